"""Cells as rank-value tokens through classifiers and masked models."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hf_fourier import FourierExplainer
from hf_fourier.errors import InputError, TargetError
from hf_fourier.models.gene_tokenizer import MEDIANS, SYMBOLS, TOKENS, GeneTokenizer
from tests.models import laws, tiny_models

GENES = [f"ENSG{i:011d}" for i in range(58)]
SPECIALS = {"V1": {"<pad>": 0, "<mask>": 1}, "V2": {"<pad>": 0, "<mask>": 1, "<cls>": 2, "<eos>": 3}}
TASKS = ("text-classification", "fill-mask")


@cache
def explainer(task: str, version: str) -> FourierExplainer:
    tokens = {**SPECIALS[version], **{gene: i + len(SPECIALS[version]) for i, gene in enumerate(GENES)}}
    medians = dict(zip(GENES, np.random.default_rng(0).uniform(0.5, 9, len(GENES)).tolist(), strict=True))
    own = GeneTokenizer(tokens, medians, {gene: f"G{i}" for i, gene in enumerate(GENES)})
    return FourierExplainer(tiny_models.build(task, "bert"), own)


def cell(genes: int, seed: int = 0) -> dict[str, Any]:
    numbers = np.random.default_rng(seed)
    chosen = [GENES[i] for i in numbers.permutation(len(GENES))[:genes]]
    return {"genes": chosen, "values": numbers.poisson(4, genes) + 1.0}


@pytest.mark.parametrize("version", SPECIALS)
@pytest.mark.parametrize("genes", [1, 2, 7, 40])
def test_a_classifier_answers_as_without_us(version: str, genes: int) -> None:
    explain, one = explainer("text-classification", version), cell(genes)
    ids, _ = explain.processor.encode(one["genes"], one["values"])
    with torch.no_grad():
        theirs = explain.model(input_ids=torch.tensor([ids])).logits
    laws.close(laws.own_forward(explain, explain.wrapper.encode(one)), theirs)
    result = explain.explain(one)
    laws.whole(result)
    assert result.confidence == pytest.approx(float(theirs.softmax(-1).max()), rel=1e-5)
    assert [axis.name for axis in result.layout.signal.axes] == ["gene", "hidden"]
    content = ids[1:-1] if version == "V2" else ids
    embedded = explain.model.get_input_embeddings()(torch.tensor(content)).detach()
    torch.testing.assert_close(result.signal, embedded)
    assert list(result.names) == [explain.processor.name(token) for token in content]
    assert result.names[0].startswith("G")
    assert result.input_relevance(0.5).values.shape == (genes,)


@pytest.mark.parametrize("version", SPECIALS)
@pytest.mark.parametrize("task", TASKS)
def test_batch_order_passes_state_and_storage(task: str, version: str, tmp_path: Path) -> None:
    explain = explainer(task, version)
    cells = [cell(9, 1), cell(5, 2), cell(9, 3), cell(1, 4)]
    laws.batch_and_order_are_no_matter(explain, cells)
    if task == "text-classification":
        laws.one_pass_each_way(explain, cells)
    laws.nothing_is_changed(explain, cells[0])
    laws.comes_back(explain, explain.explain(cells[0]), tmp_path)


@pytest.mark.parametrize("version", SPECIALS)
def test_a_masked_gene_is_predicted(version: str) -> None:
    explain, one = explainer("fill-mask", version), cell(9)
    ids = explain.processor.encode(one["genes"], one["values"])[0]
    place = 4
    truth, ids[place] = ids[place], 1
    with torch.no_grad():
        p = explain.model(input_ids=torch.tensor([ids])).logits[0, place].softmax(-1)
    result = explain.explain({"input_ids": ids})
    assert result.target == int(p.argmax())
    assert result.label == explain.processor.name(result.target)
    assert result.confidence == pytest.approx(float(p.max()), rel=1e-5)
    assert result.signal.shape[0] == 8  # the mask is no content
    named = explain.explain({"input_ids": ids}, explain.processor.name(truth))
    assert named.target == truth
    assert named.confidence == pytest.approx(float(p[truth]), rel=1e-4)
    assert explain.explain({"input_ids": ids}, explain.processor.genes[truth]).target == truth
    with pytest.raises(TargetError, match="a symbol or an Ensembl id"):
        explain.explain({"input_ids": ids}, "CD3D")


@pytest.mark.parametrize("version", SPECIALS)
def test_a_cell_without_a_mask_is_masked_in_turn(version: str) -> None:
    explain, one = explainer("fill-mask", version), cell(12)
    result = explain.explain(one, method="ffc")
    laws.whole(result)
    assert result.provenance["passes"] == {"forward": 8, "backward": 8}
    assert len(result.target) == 8
    lone = explain.explain(cell(1), method="ffc")
    assert lone.provenance["passes"] == {"forward": 1, "backward": 1}
    assert lone.scores.isfinite().all()


def test_specials_never_move() -> None:
    explain, one = explainer("text-classification", "V2"), cell(9)
    heard: list[torch.Tensor] = []
    layer = explain.model.bert.embeddings.LayerNorm
    handle = layer.register_forward_pre_hook(lambda module, args: heard.append(args[0].detach().clone()))
    encoded = explain.wrapper.encode(one)
    result = explain.explain(one)
    heard.clear()
    laws.own_forward(explain, encoded)
    laws.own_forward(explain, encoded, result.keep_top(0.2))
    handle.remove()
    clean, kept = heard
    assert torch.equal(clean[0, [0, -1]], kept[0, [0, -1]])
    assert not torch.equal(clean[0, 1:-1], kept[0, 1:-1])


def test_a_long_cell_keeps_its_marks() -> None:
    explain = explainer("text-classification", "V2")  # 48 positions
    one = cell(58)
    result = explain.explain(one)
    whole, _ = explain.processor.encode(one["genes"], one["values"])
    assert result.inputs["input_ids"].tolist() == [*whole[:47], 3]
    assert result.provenance["notes"] == ["a cell of 58 genes was cut to the first 46"]
    row = explain.explain({"input_ids": whole})
    assert row.inputs["input_ids"].tolist() == [*whole[:47], 3]
    assert row.provenance["notes"] == ["a cell of 60 tokens was cut to the model's 48"]
    plain = explainer("text-classification", "V1").explain(cell(58))
    assert plain.inputs["input_ids"].shape == (48,)


def test_missing_genes_are_said() -> None:
    explain, one = explainer("text-classification", "V1"), cell(6)
    more = {"genes": [*one["genes"], "ENSG99", "ENSG98"], "values": [*one["values"], 5, 0]}
    result = explain.explain(more)
    assert result.provenance["notes"] == ["1 of 7 expressed genes are not in the model's vocabulary: ENSG99"]
    laws.same(result, explain.explain(one))


def test_cells_of_one_order_are_one_cell() -> None:
    """Ranks alone are read: scaled counts, zeros and another order of different ranks change nothing."""
    explain, one = explainer("text-classification", "V2"), cell(8)
    values = np.asarray(one["values"]) + np.linspace(0, 0.1, 8)
    first = explain.explain({"genes": one["genes"], "values": values})
    for other in (
        {"genes": one["genes"], "values": values * 3},
        {"genes": one["genes"][::-1], "values": values[::-1]},
        {"genes": [*one["genes"], GENES[0] + "x"], "values": [*values, 0.0]},
    ):
        laws.same(explain.explain(other), first)


def test_rows_of_tokens_in_every_form() -> None:
    explain, one = explainer("text-classification", "V2"), cell(7)
    ids = explain.processor.encode(one["genes"], one["values"])[0]
    result = explain.explain(one)
    for form in (ids, torch.tensor(ids), np.array(ids), tuple(ids)):
        laws.same(explain.explain({"input_ids": form}), result)
    laws.same(explain.explain([{"input_ids": ids}, one])[0], result)
    padded = torch.tensor([[*ids, 0, 0]])
    (row,) = explain.explain({"input_ids": padded, "attention_mask": (padded != 0).long()})
    torch.testing.assert_close(row.signal, result.signal)
    torch.testing.assert_close(row.confidence, result.confidence, rtol=1e-5, atol=0)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("example", "said"),
    [
        ({"genes": GENES[:2], "values": [1]}, "2 genes and 1 values"),
        ({"genes": GENES[:2]}, "without 'values'"),
        ({"genes": ["CD3D"], "values": [1]}, "Ensembl"),
        ({"genes": GENES[:2], "values": [0, 0]}, "expresses no gene"),
        ({"genes": GENES[:2], "values": [-1, 2]}, "negative"),
        ({"input_ids": [0, 1, 2, 3]}, "without content"),
        ({"input_ids": [5, 999]}, "999"),
        ({"input_ids": []}, "2 dimensions"),
        ({"values": [1, 2]}, "input_ids"),
        ("CD3D CD8A", "type str"),
        (3, "type int"),
        ([GENES[:2]], "type list"),
    ],
)
def test_what_is_no_cell_is_refused(example: Any, said: str) -> None:
    with pytest.raises(InputError) as caught:
        explainer("text-classification", "V2").explain(example)
    assert said in str(caught.value)


def test_a_folder_with_dictionaries_is_loaded_and_read(tmp_path: Path) -> None:
    explain = explainer("text-classification", "V2")
    explain.model.save_pretrained(tmp_path / "inside")
    own = explain.processor
    for name, values in ((TOKENS, own.tokens), (MEDIANS, own.medians), (SYMBOLS, own.symbols)):
        (tmp_path / "inside" / name).write_text(json.dumps(values))
    loaded = FourierExplainer.from_pretrained(str(tmp_path), subfolder="inside", device="cpu")
    assert isinstance(loaded.processor, GeneTokenizer)
    laws.same(loaded.explain(cell(9)), explain.explain(cell(9)))


def test_bfloat16() -> None:
    explain = explainer("text-classification", "V2")
    halved = FourierExplainer(tiny_models.build("text-classification", "bert").bfloat16(), explain.processor)
    laws.half_precision_works(explain, halved, cell(9))


def test_names_of_many_genes_are_quick() -> None:
    import time

    tokens = {f"ENSG{i:011d}": i for i in range(20_000)}
    own = GeneTokenizer(tokens, dict.fromkeys(tokens, 1.0))
    start = time.process_time()
    assert len([own.name(i) for i in range(4096)]) == 4096
    assert time.process_time() - start < 1


@pytest.mark.parametrize("version", SPECIALS)
def test_rows_masked_in_turn_may_run_one_after_the_other(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long cell's eight rows do not fit in memory at once; what comes out is the same."""
    from hf_fourier.models import masked_lm_batches

    explain, cells = explainer("fill-mask", version), [cell(12), cell(12, 5)]
    whole = explain.perturb(explain.explain(cells))
    monkeypatch.setattr(masked_lm_batches, "IN_TURN_AT_ONCE", 1)
    rows: list[int] = []
    handle = explain.model.register_forward_pre_hook(
        lambda module, args, kwargs: rows.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    for one, other in zip(whole, explain.perturb(explain.explain(cells)), strict=True):
        laws.same(one, other)
        for stop, another in zip(one.curve.points, other.curve.points, strict=True):
            assert another.value == pytest.approx(stop.value, rel=1e-4)
        assert one.provenance["passes"] == other.provenance["passes"]
    handle.remove()
    assert set(rows) == {1}


@pytest.mark.parametrize("version", SPECIALS)
def test_files_of_cells_are_explained_by_their_path(version: str, tmp_path: Path) -> None:
    """An `.h5ad`, and the `.dataset` that Geneformer's tools make of it, give the same answers."""
    anndata, datasets = pytest.importorskip("anndata"), pytest.importorskip("datasets")
    import pandas as pd

    explain = explainer("text-classification", version)
    counts = np.random.default_rng(0).poisson(1, (3, len(GENES))).astype(np.float32)
    obs = pd.DataFrame({"n_counts": counts.sum(1)}, index=list("abc"))
    anndata.AnnData(counts, obs=obs, var=pd.DataFrame(index=GENES)).write_h5ad(tmp_path / "cells.h5ad")
    ids = [explain.processor.encode(GENES, row, 48)[0] for row in counts]
    made = datasets.Dataset.from_dict({"input_ids": ids, "length": [len(row) for row in ids]})
    made.save_to_disk(str(tmp_path / "cells.dataset"))
    raw = explain.explain(tmp_path / "cells.h5ad")
    stored = explain.explain(str(tmp_path / "cells.dataset"))
    assert len(raw) == len(stored) == 3
    for one, other, row in zip(raw, stored, counts, strict=True):
        laws.same(one, other)
        laws.same(one, explain.explain({"genes": GENES, "values": row}))


def test_genes_are_ranked_with_their_ids(tmp_path: Path) -> None:
    explain, one = explainer("text-classification", "V2"), cell(9)
    result = explain.explain(one)
    table = result.genes(0.3)
    values = result.input_relevance(0.3).values
    assert table["rank"] == list(range(1, 10))
    for row in table.rows():
        assert row["relevance"] == pytest.approx(float(values[row["place"] - 1]))
        whole = (result.signal * result.gradient)[row["place"] - 1].sum()
        assert row["gradient_input"] == pytest.approx(float(whole), rel=1e-3, abs=1e-7)
        assert row["symbol"] == result.names[row["place"] - 1]
        assert row["symbol"] == f"G{GENES.index(row['ensembl_id'])}"
    assert [abs(v) for v in table["relevance"]] == sorted(np.abs(values).tolist(), reverse=True)
    back = type(result).load(result.save(tmp_path))
    assert list(back.genes(0.3).rows()) == list(table.rows())
    own = explain.explain(one, method="integrated_gradients:steps=4", domain="identity:grain=position")
    for row in own.genes().rows():
        assert row["relevance"] == pytest.approx(float(own.scores[row["place"] - 1]))
        assert row["measure"] == "score of integrated_gradients"
    control = explain.explain(one, method="magnitude").genes()
    assert min(control["relevance"]) >= 0  # power: no gradient was taken
    assert "gradient_input" not in control.columns
    with pytest.raises(InputError, match="genes\\(\\)"):
        result.render(0.1)


def test_only_cells_have_genes() -> None:
    from tests.models import tiny_tokenizers

    result = FourierExplainer(
        tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer("bert")
    ).explain("a b")
    with pytest.raises(InputError, match="a cell's result"):
        result.genes()


def test_tokens_of_another_version_and_no_tokens() -> None:
    explain = explainer("text-classification", "V2")
    ids, _ = explain.processor.encode(**cell(9))
    assert explain.explain({"input_ids": ids}).provenance["notes"] == []
    (note,) = explain.explain({"input_ids": ids[1:]}).provenance["notes"]
    assert "without the <cls>" in note
    with pytest.raises(InputError, match="not whole numbers"):
        explain.explain({"input_ids": [5.7, 6.2]})


def test_a_path_of_no_cells_is_named() -> None:
    for wrong in ("nowhere.h5ad", Path("nowhere.h5ad"), ["nowhere.h5ad"]):
        with pytest.raises(InputError, match=r"nowhere.h5ad.*not a file of cells"):
            explainer("text-classification", "V1").explain(wrong)


def test_an_anndata_is_its_cells() -> None:
    anndata = pytest.importorskip("anndata")
    import pandas as pd

    counts = np.random.default_rng(0).poisson(2, (3, len(GENES))).astype(np.float32)
    table = anndata.AnnData(counts, var=pd.DataFrame(index=GENES))
    explain = explainer("text-classification", "V1")
    for result, row in zip(explain.explain(table), counts, strict=True):
        laws.same(result, explain.explain({"genes": GENES, "values": row}))
    logs = np.log1p(counts / counts.sum(1, keepdims=True) * 1e4)
    with pytest.raises(InputError, match=r"np.expm1"):
        explain.explain({"genes": GENES, "values": logs[0]})
