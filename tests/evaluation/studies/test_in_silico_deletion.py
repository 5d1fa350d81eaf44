"""Genes deleted from cells: what the model itself says of the shorter cell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from hf_fourier import FourierExplainer
from hf_fourier.errors import InputError, TargetError
from hf_fourier.evaluation.studies.in_silico_deletion import delete_genes
from hf_fourier.results.curve import FractionGrid
from tests.models import test_single_cell as cells
from tests.models import tiny_models, tiny_tokenizers

SHARES = (0.1, 0.3, 0.5)


@pytest.mark.parametrize("version", cells.SPECIALS)
def test_each_answer_is_the_models_own_for_the_shorter_cell(version: str) -> None:
    explain = cells.explainer("text-classification", version)
    results = explain.explain([cells.cell(12), cells.cell(20, 1), cells.cell(12, 2)])
    curves = delete_genes(explain, results, SHARES, fraction=0.3)
    for result, curve in zip(results, curves, strict=True):
        genes = len(result.names)
        order = np.argsort(-result.input_relevance(0.3).values)
        assert len(curve.points) == 6
        assert curve.clean == result.confidence
        for stop in curve.points:
            count = round(stop.fraction * genes)
            gone = order[:count] if stop.mode == "delete" else order[count:]
            ids = np.delete(result.inputs["input_ids"].numpy(), result.inputs["content"].numpy()[gone])
            assert (ids[0] == 2 and ids[-1] == 3) == (version == "V2")
            with torch.no_grad():
                p = explain.model(input_ids=torch.from_numpy(ids)[None]).logits[0].softmax(-1)
            assert stop.confidence == pytest.approx(float(p[result.target]), rel=1e-4)
            assert stop.agreement == float(p.argmax() == result.target)
            assert stop.predicted_class == int(p.argmax())
            assert stop.actual_fraction == pytest.approx(count / genes)
        assert result.curve is None  # the game on frequencies is another


def test_what_is_kept_and_what_is_deleted_change_places() -> None:
    """Keeping the top of an order is deleting the rest: the top of the order turned round."""
    explain = cells.explainer("text-classification", "V2")
    result = explain.explain(cells.cell(20))
    order = np.arange(20.0)
    (one,) = delete_genes(explain, [result], FractionGrid((0.3,), (0.7,)), orders=[order])
    (other,) = delete_genes(explain, [result], FractionGrid((0.3,), (0.7,)), orders=[-order])
    assert one.at("keep", 0.3).value == pytest.approx(other.at("delete", 0.7).value, rel=1e-5)


def test_the_whole_cell_is_one_question_and_none_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    explain = cells.explainer("text-classification", "V1")
    result = explain.explain(cells.cell(8))
    rows: list[int] = []
    handle = explain.model.register_forward_pre_hook(
        lambda module, args, kwargs: rows.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    (curve,) = delete_genes(explain, [result], (0.0, 1.0))
    handle.remove()
    assert [(stop.mode, stop.fraction) for stop in curve.points] == [("delete", 0.0), ("keep", 1.0)]
    assert {round(stop.confidence, 5) for stop in curve.points} == {round(result.confidence, 5)}
    assert sum(rows) == 1


def test_batches_change_nothing() -> None:
    explain = cells.explainer("text-classification", "V2")
    results = explain.explain([cells.cell(12, seed) for seed in range(3)])
    for one, other in zip(delete_genes(explain, results), delete_genes(explain, results, batch_size=1), strict=True):
        assert [s.value for s in one.points] == pytest.approx([s.value for s in other.points], rel=1e-4)


def test_deleting_a_gene_is_leaving_it_out_of_the_counts() -> None:
    explain = cells.explainer("text-classification", "V2")
    one = cells.cell(12)
    result = explain.explain(one)
    gone = result.view.genes[3]
    (curve,) = delete_genes(explain, [result], FractionGrid((), (0.08,)), orders=[np.arange(12) == 3])
    left = [i for i, gene in enumerate(one["genes"]) if gene != gone]
    shorter = {"genes": [one["genes"][i] for i in left], "values": one["values"][left]}
    p = dict(explain.predict(shorter).ranked)
    assert curve.points[0].confidence == pytest.approx(p[result.label], rel=1e-4)


@pytest.mark.parametrize("orders", [[np.zeros(3)], [np.full(8, np.nan)], [["a"] * 8], []])
def test_orders_that_do_not_fit(orders: Any) -> None:
    explain = cells.explainer("text-classification", "V1")
    with pytest.raises(InputError):
        delete_genes(explain, [explain.explain(cells.cell(8))], orders=orders)


def test_what_has_no_genes_or_no_target_left() -> None:
    masked = cells.explainer("fill-mask", "V1")
    with pytest.raises(TargetError, match="whose targets are genes"):
        delete_genes(masked, [masked.explain(cells.cell(8))])
    text = FourierExplainer(tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer("bert"))
    with pytest.raises(InputError, match="a model of cells"):
        delete_genes(text, [text.explain("a b")])
