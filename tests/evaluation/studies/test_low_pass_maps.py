"""Low-pass maps: closed forms of the filter, and the side that suits a model whose shape is coarse."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from hf_fourier import FourierExplainer
from hf_fourier.errors import InputError
from hf_fourier.evaluation.studies.low_pass_maps import choose_low_pass
from hf_fourier.results.relevance import Relevance


def wave(cycles, size=16):
    return np.cos(2 * math.pi * cycles * np.arange(size) / size)


def test_slow_waves_stay_and_fast_ones_go():
    values = 2 + wave(2)[:, None] * wave(3) + wave(5)[:, None] + wave(1) * wave(8)
    one = Relevance(values, ("height", "width"), (), "scores", "scores of ffc")
    np.testing.assert_allclose(one.low_pass(7).values, 2 + wave(2)[:, None] * wave(3), atol=1e-12)
    np.testing.assert_allclose(one.low_pass(6).values, np.full((16, 16), 2.0), atol=1e-12)
    np.testing.assert_allclose(one.low_pass(1).values, np.full((16, 16), 2.0), atol=1e-12)
    np.testing.assert_allclose(one.low_pass(16).values, values, atol=1e-12)
    assert one.low_pass(5).values.sum() == pytest.approx(values.sum())
    assert one.low_pass(5).description == "scores of ffc, below 2.5 cycles over each axis"
    with pytest.raises(InputError, match="at least 1"):
        one.low_pass(0)


def test_a_side_is_chosen_on_one_half_and_measured_on_the_other():
    """The model reads one coarse blob; its map is buried in noise of single pixels, which a low-pass takes away."""
    grid = torch.arange(16.0)
    blob = torch.exp(-((grid - 5).square()[:, None] + (grid - 9).square()) / 18)

    class Net(torch.nn.Module):
        def forward(self, x):
            return torch.stack([(x[:, 0] * blob).sum((1, 2)) / 20, 0 * x[:, 0, 0, 0]], 1)

    generator = torch.Generator().manual_seed(0)
    examples = [1 + 0.1 * torch.randn(1, 16, 16, generator=generator) for _ in range(4)]
    explainer = FourierExplainer(Net(), labels=["blob", "none"], axes=("height", "width"))
    results = explainer.explain(examples, method="gradient_input", domain="identity", contributions=0)
    noisy = [
        replace(one, scores=one.scores + one.scores.max() * torch.randn(256, generator=generator)) for one in results
    ]
    table = list(choose_low_pass(explainer, examples, noisy, sides=(1, 3, 99)))
    assert [row["side"] for row in table] == [1, 3, 16]
    (best,) = [row for row in table if row["chosen"]]
    assert best["side"] == 3
    assert best["measured_on"] > max(row["measured_on"] for row in table if not row["chosen"])
    with pytest.raises(InputError, match="at least two"):
        choose_low_pass(explainer, examples[:1], noisy[:1])
    with pytest.raises(InputError, match="correct `sides`"):
        choose_low_pass(explainer, examples, noisy, sides=(True,))
