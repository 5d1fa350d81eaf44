"""The controls rank by what they say, and ask no gradient."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch

from hf_fourier import attribute
from hf_fourier.domains import Axis, Fourier, SignalShape
from hf_fourier.errors import SpecError
from hf_fourier.methods import METHODS, LowFrequency
from hf_fourier.scoring.batching import DeviceMemory
from hf_fourier.seeding import ExampleRng
from tests.toy_scores import Smooth, full_bins, full_spectrum, noise, score_of


def test_which_methods_are_controls():
    assert {name for name in METHODS if METHODS[name].control} == {"magnitude", "low_frequency", "random"}


def test_magnitude_is_the_modulus():
    x = noise(2, 5, 6)
    for one, row in zip(attribute(Smooth(3, 5, 6), x, method="magnitude"), x.numpy(), strict=True):
        full = np.abs(full_spectrum(row, one.layout))
        np.testing.assert_allclose(one.scores, [full[bins[0]] for bins in full_bins(one.layout)])


def test_low_frequencies_come_first():
    x = noise(2, 6, 8)
    results = attribute(Smooth(3, 6, 8), x, method="low_frequency")
    for one in results:
        ky, kx = (np.minimum(np.arange(n), n - np.arange(n)) / n for n in (6, 8))
        radius = np.hypot(ky[:, None], kx[None]).ravel()
        owned = [radius[bins] for bins in full_bins(one.layout)]
        np.testing.assert_allclose(one.scores, [-r[0] for r in owned], atol=1e-7)
        assert all(np.ptp(r) < 1e-12 for r in owned)
    assert torch.equal(results[0].scores, results[1].scores)
    assert not torch.equal(results[0].order, results[1].order)


def test_low_frequency_is_in_cycles_per_sample():
    """A rate along one axis does not make its frequencies higher."""
    shape = SignalShape("tensor", (Axis("a", 8, "Hz", 1000.0), Axis("b", 8)))
    score = score_of(Smooth(3, 8, 8).eval(), noise(1, 8, 8))
    ranking = LowFrequency().attribute(score, score.signal, Fourier().bind(shape), ExampleRng(0, [1]))
    assert ranking.scores.min() == pytest.approx(-(0.5**0.5))


def test_low_frequency_needs_frequencies():
    with pytest.raises(SpecError, match="identity"):
        attribute(Smooth(3, 6), noise(1, 6), method="low_frequency", domain="identity")


def test_random_is_uniform_and_belongs_to_the_example():
    x = noise(3, 400)
    results = attribute(Smooth(3, 400), x, method="random")
    scores = torch.stack([one.scores for one in results])
    assert scores.min() >= 0
    assert scores.max() < 1
    assert scores.mean().item() == pytest.approx(0.5, abs=0.05)
    correlation = torch.corrcoef(scores)
    assert correlation[0, 1].abs() < 0.2
    (alone,) = attribute(Smooth(3, 400), x[2:], method="random")
    assert torch.equal(alone.scores, scores[2])
    twins = attribute(Smooth(3, 400), x[[0, 0]], method="random")
    assert torch.equal(twins[0].scores, twins[1].scores)


def test_the_memory_of_a_pass_is_measured_where_it_takes_a_gradient(monkeypatch):
    measured = []

    def measuring(memory, model, *sizes):
        measured.append(model)
        return nullcontext()

    monkeypatch.setattr(DeviceMemory, "measuring", measuring)
    x = noise(2, 9)
    for method in ("magnitude", "gradient_input"):
        attribute(Smooth(3, 9).eval(), x, method=method)
    assert [model is not None for model in measured] == [False, True]


@pytest.mark.parametrize("name", ["magnitude", "low_frequency", "random"])
def test_controls_in_place_of_another_are_those_of_each_example(name):
    """Examples of two lengths in turn: each gets its own scores back, in its place."""
    signals = [noise(length, seed=i) for i, length in enumerate((12, 9, 12, 9))]
    nets = {12: Smooth(3, 12), 9: Smooth(3, 9)}
    first, expected = (
        [attribute(nets[len(x)], x.unsqueeze(0), method=method)[0] for x in signals] for method in ("random", name)
    )
    found = METHODS.parse(name).instead_of(first)
    assert [result.provenance["method"] for result in found] == [name] * 4
    for result, alone in zip(found, expected, strict=True):
        assert torch.equal(result.scores, alone.scores)
        assert torch.equal(result.order, alone.order)
        assert result.curve is None
