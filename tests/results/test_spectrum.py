"""Spectra of several examples: weighted means of known scores, powers, choices and contributions."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hf_fourier import attribute
from hf_fourier.domains import DOMAINS
from hf_fourier.errors import InputError
from hf_fourier.results.spectrum import Spectrum, merged
from tests.toy_scores import Smooth, Weighted, noise, signal, value

WEIGHTS = (3.0, 0.5, 1.5)


def explained(method="gradient_input", domain="fourier", n=9):
    return attribute(Smooth(3, n).eval(), noise(3, n), method=method, domain=domain)


def pairs(results):
    return zip(results, WEIGHTS, strict=True)


def mean(rows):
    return sum(weight * np.asarray(row, dtype=float) for weight, row in zip(WEIGHTS, rows, strict=True)) / sum(WEIGHTS)


def test_weighted_means():
    results = explained()
    spectrum = merged(pairs(results), 0.5)
    assert len(spectrum) == len(results[0].scores) == 5
    np.testing.assert_allclose(spectrum.score, mean([a.scores / a.scores.abs().sum() for a in results]))
    np.testing.assert_allclose(spectrum.power, mean([a.power for a in results]))
    np.testing.assert_allclose(spectrum.chosen, mean([a.mask(0.5) for a in results]))
    # Gradient × input is this method's own score, in units of the model's score.
    np.testing.assert_allclose(spectrum.contribution, mean([a.scores for a in results]))
    assert (spectrum.weight, spectrum.examples) == (5.0, 3)
    ((title, frequencies),) = spectrum.coordinates.items()
    assert title == "frequency [cycles/sample]"
    assert frequencies.tolist() == pytest.approx([k / 9 for k in range(5)])


def test_places_and_their_features_are_merged():
    """Over frames of a transform in time and frequency: sums over places, and fractions of the places chosen."""
    results = explained(domain="stft:window=4", n=12)
    spectrum = merged(pairs(results), 0.3)
    frequency = results[0].layout["frequency"]
    assert len(spectrum) == 3
    for entry, hertz in enumerate(frequency.unique()):
        own = frequency == hertz
        score = mean([(a.scores / a.scores.abs().sum())[own].sum() for a in results])
        power = mean([a.power[own].sum() for a in results])
        chosen = mean([a.mask(0.3)[own].double().mean() for a in results])
        assert spectrum.score[entry] == pytest.approx(float(score))
        assert spectrum.power[entry] == pytest.approx(float(power))
        assert spectrum.chosen[entry] == pytest.approx(float(chosen))


def test_channels_are_kept_apart():
    shape = signal(2, 8, channels=(0,))
    (made,) = attribute(Smooth(3, 2, 8).eval(), noise(1, 2, 8), method="gradient_input", axes=[2])
    scores = torch.zeros(10, dtype=torch.float64)
    scores[3] = 1.0
    one = replace(made, scores=scores, layout=DOMAINS.parse("fourier:axes=1").bind(shape).layout)
    spectrum = merged([(one, 1.0)], 2 / 16)
    assert spectrum.chosen.tolist() == [float(k == 3) for k in range(10)]
    assert spectrum.coordinates["axis0"].tolist() == [0] * 5 + [1] * 5


def test_where_features_are_places_all_are_one():
    results = explained(domain="identity")
    spectrum = merged(pairs(results), 0.5)
    assert len(spectrum) == 1
    assert spectrum.coordinates["features"].tolist() == ["all"]
    np.testing.assert_allclose(spectrum.power, mean([[float(a.signal.square().sum())] for a in results]))


def test_names_stand_for_codes():
    spectrum = merged(pairs(explained(domain="wavelet:haar,level=2", n=8)), 0.5)
    named = set(spectrum.coordinates["orientation"].tolist())
    assert named == {"a", "d"}
    assert len(spectrum) == 3  # two levels of details, and what is smooth


def test_one_example_without_a_gradient_leaves_none():
    with_gradient, without = explained(), explained("magnitude")
    assert merged(pairs(without), 0.5).contribution is None
    mixed = [without[0], *with_gradient[1:]]
    assert merged(pairs(mixed), 0.5).contribution is None
    assert merged(pairs([*with_gradient[:2], without[2]]), 0.5).contribution is None
    assert "contribution" not in merged(pairs(without), 0.5).table().columns


def test_tables():
    spectrum = Spectrum(
        {"frequency [Hz]": np.array([0.0, 1.0, 2.0])}, np.array([0.1, 0.5, 0.4]), np.array([6.0, 3.0, 1.0]),
        np.array([0.0, 1.0, 0.25]), np.array([-1.0, 2.0, 0.0]), 7.0, 2,
    )  # fmt: skip
    whole = spectrum.table()
    assert list(whole.columns) == ["frequency [Hz]", "score", "power", "chosen", "contribution"]
    assert whole["power"] == pytest.approx([0.6, 0.3, 0.1])
    assert whole["chosen"] == [0.0, 1.0, 0.25]
    assert whole["contribution"] == [-1.0, 2.0, 0.0]
    top = spectrum.top(2)
    assert top["rank"] == [1, 2]
    assert top["frequency [Hz]"] == [1.0, 2.0]
    assert top["score"] == [0.5, 0.4]
    assert top["power"] == pytest.approx([0.3, 0.1])
    assert len(spectrum.top()) == 3
    assert spectrum.top(0)["rank"] == []


def test_equal_scores_keep_their_order():
    flat = Spectrum({"x": np.arange(30)}, np.ones(30), np.ones(30), np.zeros(30), None, 1.0, 1)
    assert flat.top(25)["x"] == list(range(25))
    assert len(flat.top()) == 20


def test_silence():
    """Without power there are no fractions of it, and without scores no relative ones."""
    results = attribute(Weighted(4), torch.zeros(1, 4, dtype=torch.float64), value, "gradient_input")
    spectrum = merged([(results[0], 2.0)], 0.5)
    assert spectrum.table()["power"] == [0.0] * 3
    assert spectrum.score.tolist() == [0.0] * 3


def test_what_cannot_be_merged():
    results = explained()
    for nothing in ([], [(results[0], 0.0)]):
        with pytest.raises(InputError, match="no examples"):
            merged(nothing, 0.5)
    for other in (explained(n=10)[0], explained(domain="cosine")[0]):
        with pytest.raises(InputError, match="different domains or input shapes"):
            merged([(results[0], 1.0), (other, 1.0)], 0.5)
    # A layout of as many features in another domain, and one of the same domain with others.
    same_size = explained(domain="cosine", n=5)[0]
    assert len(same_size.layout) == len(results[0].layout)
    with pytest.raises(InputError, match="different domains or input shapes"):
        merged([(results[0], 1.0), (same_size, 1.0)], 0.5)
