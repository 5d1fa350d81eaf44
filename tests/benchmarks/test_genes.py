"""The benchmark of gene rankings: attention rollout against its definition, and cells of a pancreas."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import assets, folds, gene_candidates, genes
from hf_fourier.demo.convert.cells import split
from hf_fourier.results.curve import Curve, CurvePoint
from tests.models import test_single_cell


def test_attention_is_the_rollout_from_the_position_that_is_read() -> None:
    explainer = test_single_cell.explainer("text-classification", "V2")
    results = explainer.explain([test_single_cell.cell(6), test_single_cell.cell(4, 1)], method="magnitude")
    before = explainer.model.config._attn_implementation
    shares = genes.attention(explainer, results)
    assert explainer.model.config._attn_implementation == before
    explainer.model.set_attn_implementation("eager")
    for result, own in zip(results, shares, strict=True):
        ids = result.inputs["input_ids"]
        with torch.no_grad():
            layers = explainer.model(input_ids=ids[None], output_attentions=True).attentions
        paths = np.eye(len(ids))[0]  # along which the first position reads the others, layer by layer from the top
        for weights in reversed(layers):
            paths = 0.5 * paths + 0.5 * paths @ weights[0].mean(0).double().numpy()
        np.testing.assert_allclose(own, paths[result.inputs["content"]], rtol=1e-5)
        assert paths.sum() == pytest.approx(1)
    explainer.model.set_attn_implementation(before)


def test_folds_part_the_cells_by_label_and_begin_with_the_test_split() -> None:
    names, labels = [f"cell-{i}" for i in range(137)], ["T", "B", "T", "NK", "T"] * 27 + ["B", "B"]
    found = folds.folds_of(names, labels)
    assert [number == 0 for number in found] == [side == "test" for side in split(names, labels)]
    for label in set(labels):
        sizes = [
            sum(own == label and fold == number for own, fold in zip(labels, found, strict=True)) for number in range(4)
        ]
        assert max(sizes[1:]) - min(sizes[1:]) <= 1
        assert sum(sizes) == labels.count(label)


def test_rankings_are_paired_with_the_default() -> None:
    def curve(deleted: list[int], kept: list[int]) -> Curve:
        modes = {"delete": deleted, "keep": kept}
        return Curve(tuple(
            CurvePoint(mode, share, share, 0.0, 0.5, float(one), 0)
            for mode, values in modes.items() for share, one in zip(genes.SHARES, values, strict=True)
        ), 1.0)  # fmt: skip

    played = {
        genes.DEFAULT: [curve([1, 0, 0, 0], [1, 1, 1, 1])] * 2,
        "other": [curve([1, 1, 1, 1], [0, 1, 1, 1]), curve([1, 1, 0, 0], [1, 1, 1, 1])],
    }
    first, other = genes.against_default(played)
    assert (first["falls"][:5], first["minus default's"]) == ("0.250", "0.000 [0.000, 0.000]")
    assert (other["falls"][:5], other["minus default's"][:5], other["at 4 %"][:5]) == ("0.750", "0.500", "0.000")
    assert (other["at 30 %"][:5], other["suffices"][:5], other["minus default's kept"][:6]) == (
        "0.500",
        "0.875",
        "-0.125",
    )


def test_genes_in_turn_are_ranked_again_without_those_that_are_gone() -> None:
    explainer = test_single_cell.explainer("text-classification", "V1")
    results = explainer.explain([test_single_cell.cell(9), test_single_cell.cell(9, 1)], method="magnitude")
    own = gene_candidates.Cells(explainer, results)
    by_token = own.in_turn(lambda ids: ids.float())
    assert (by_token.argsort(dim=1, descending=True) == own.ids.argsort(dim=1, descending=True)).all()
    found = own.in_turn(own.contributions).argsort(dim=1, descending=True)
    for row, order in enumerate(found.tolist()):
        left = list(range(9))
        for place in order[:5]:  # one at a time
            ids = own.ids[row, left].repeat(2, 1)
            own_target, own.target = own.target, own.target[row].repeat(2)
            assert left[int(own.contributions(ids)[0].argmax())] == place
            own.target = own_target
            left.remove(place)
    logits = explainer.model(input_ids=own.ids).logits.detach()
    p = logits.double().softmax(1).gather(1, own.target[:, None])[:, 0]
    np.testing.assert_allclose(own.value(own.ids, own.target), torch.log(p / (1 - p)), rtol=1e-4)


@pytest.mark.assets
def test_islets_are_nine_types_in_two_splits(asset: Callable[[str], Path]) -> None:
    asset("islets")
    held_out = assets.islets("test")
    assert len(held_out) == 378
    assert len({cell["label"] for cell in held_out}) == 9
    for symbol, label in {"INS": "beta", "GCG": "alpha", "SST": "delta", "PRSS1": "acinar", "KRT19": "ductal"}.items():
        column, counts = held_out[0]["symbols"].index(symbol), dict[str, list[float]]()
        for cell in held_out:
            counts.setdefault(cell["label"], []).append(float(cell["values"][column]))
        assert max(counts, key=lambda kind: np.mean(counts[kind])) == label
    with pytest.raises(ValueError, match='"train", "test" or None'):
        assets.islets("validation")
