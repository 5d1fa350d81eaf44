"""The benchmark of gene rankings: attention rollout against its definition, and cells of a pancreas."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import assets, genes
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
