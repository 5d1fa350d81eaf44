"""Maps from elsewhere in other domains: contributions stay contributions, gradients stay gradients."""

import pytest
import torch

from hf_fourier.domains import DOMAINS, Axis, SignalShape
from hf_fourier.errors import InputError, SpecError
from hf_fourier.methods import METHODS
from hf_fourier.methods.precomputed import NEAR_ZERO, Precomputed, fit
from hf_fourier.scoring.example_batch import EncodedExample
from hf_fourier.seeding import ExampleRng
from tests.toy_scores import ALL_SPECS, LEAVES, Smooth, bound, noise, score_of, signal

SHAPES = ("16", "13", "6x7", "c3x4x6", "4x6x8", "12c2 in 7+5", "10 in 1+8+1")
CASES = [(spec, name) for spec in ALL_SPECS for name in SHAPES if bound(spec, LEAVES[name]) is not None]
DRAW = ExampleRng(0, [0, 1, 2])


def ranked(maps, x, basis, lift, model=None):
    score = score_of(model or Smooth(3, *x.shape[1:]).eval(), x)
    score.precomputed_maps = maps
    return Precomputed("elsewhere", lift).attribute(score, x, basis, DRAW)


@pytest.mark.parametrize(("spec", "name"), CASES)
def test_contributions_are_carried_over_as_if_they_had_been_made_there(spec, name):
    """gradient × input and integrated gradients by place, transported, are those of the domain; the sum is kept."""
    basis = bound(spec, LEAVES[name])
    x = noise(3, *basis.signal.shape)
    model = Smooth(3, *basis.signal.shape).eval()
    score = score_of(model, x)
    path = METHODS.parse("integrated_gradients:steps=8")
    made = {"gradient_input": score.clean().gradient * x, path: x * path.integrate(score, x).mean}
    for method, maps in made.items():
        own = METHODS.parse(method).attribute(score_of(model, x), x, basis, DRAW)
        found = ranked(maps, x, basis, "transport", model)
        scale = float(own.scores.abs().max())
        torch.testing.assert_close(found.scores.double(), own.scores, rtol=1e-6, atol=1e-6 * scale)
        torch.testing.assert_close(
            found.scores.double().sum(1), maps.flatten(1).sum(1), rtol=1e-5, atol=1e-5 * scale * len(basis)
        )
        assert found.completeness_error.abs().max() <= 1e-5 * scale


@pytest.mark.parametrize(("spec", "name"), CASES)
def test_a_gradient_becomes_the_gradient_of_the_coefficients(spec, name):
    basis = bound(spec, LEAVES[name])
    x = noise(3, *basis.signal.shape)
    score = score_of(Smooth(3, *basis.signal.shape).eval(), x)
    own = METHODS.parse("saliency").attribute(score, x, basis, DRAW)
    found = ranked(score.clean().gradient, x, basis, "gradient")
    torch.testing.assert_close(found.scores.double(), own.scores, rtol=1e-6, atol=1e-7)


def test_one_tone():
    """x·g of one tone has its energy at 0 and at twice the tone's frequency, while all of the evidence is the tone."""
    t = torch.arange(64)
    x = torch.cos(2 * torch.pi * 5 * t / 64 + 0.3).double().unsqueeze(0)
    basis = DOMAINS.parse("fourier").bind(signal(64))
    maps = x * 2 * x
    contributed = ranked(maps, x, basis, "transport").scores[0]
    assert contributed.argsort(descending=True)[0] == 5
    assert float(contributed[5]) == pytest.approx(float(maps.sum()))
    assert contributed[:5].abs().sum() + contributed[6:].abs().sum() < 1e-5
    assert ranked(maps, x, basis, "magnitude").scores[0].argsort(descending=True)[:2].tolist() == [0, 10]


def test_evidence_in_one_bin_is_found_by_transport_and_missed_by_the_map_s_own_spectrum():
    """500 noisy signals, the score is the energy at bin 9."""
    x = noise(500, 64)
    basis = DOMAINS.parse("fourier").bind(signal(64))
    spectrum = torch.fft.rfft(x, norm="ortho")
    only = torch.zeros_like(spectrum)
    only[:, 9] = spectrum[:, 9]
    maps = x * 4 * torch.fft.irfft(only, n=64, norm="ortho")  # times the gradient of 2 |F_9|²
    first = {lift: ranked(maps, x, basis, lift).scores.argmax(1) for lift in ("transport", "magnitude")}
    assert (first["transport"] == 9).all()
    assert float((first["magnitude"] == 9).double().mean()) < 0.06


@pytest.mark.parametrize("spec", ["fourier", "cosine", "wavelet:bior2.2", "stft:window=4", "identity"])
@pytest.mark.parametrize("name", ["9c3", "12c2 in 7+5"])
def test_one_number_per_place_is_shared_as_the_least_sensitivity_would(spec, name):
    """Of all sensitivities that contribute R at a place the least is parallel to x there; the sum is kept."""
    basis = bound(spec, LEAVES[name])
    x = noise(2, *basis.signal.shape)
    maps = noise(2, basis.signal.shape[0], 1, seed=4)
    found = ranked(maps, x, basis, "transport")
    shared = maps * x.square() / x.square().sum(2, keepdim=True)
    torch.testing.assert_close(found.scores, ranked(shared, x, basis, "transport").scores)
    torch.testing.assert_close(found.scores.double().sum(1), maps.flatten(1).sum(1), rtol=1e-5, atol=1e-5)
    with pytest.raises(SpecError, match="channels"):
        ranked(maps, x, basis, "gradient")


@pytest.mark.parametrize("name", ["9c3", "12c2 in 7+5"])
def test_by_place_a_map_is_what_it_is(name):
    """Also in two segments, and with the sign; one number per place stays that number."""
    shape = LEAVES[name]
    x = noise(2, *shape.shape)
    per_place = noise(2, shape.shape[0], 1, seed=4)
    full = noise(2, *shape.shape, seed=5)
    entries, places = bound("identity", shape), bound("identity:grain=position", shape)
    for lift in (None, "transport"):
        torch.testing.assert_close(ranked(full, x, entries, lift).scores.double(), full.flatten(1), check_dtype=False)
        torch.testing.assert_close(ranked(full, x, places, lift).scores.double(), full.sum(2), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(
            ranked(per_place, x, places, lift).scores.double(), per_place[..., 0], rtol=1e-5, atol=1e-6
        )


def test_what_lies_where_the_input_is_zero_is_the_gap():
    x, maps = noise(3, 16), noise(3, 16, seed=2)
    x[:, 3] = 0
    x[0, 4] = NEAR_ZERO * 1e-3
    found = ranked(maps, x, DOMAINS.parse("fourier").bind(signal(16)), "transport")
    lost = maps[:, 3].clone()
    lost[0] += maps[0, 4]
    torch.testing.assert_close(found.completeness_error.double(), -lost, rtol=1e-5, atol=1e-6)
    assert found.extras["zero_share"] == pytest.approx([2 / 16, 1 / 16, 1 / 16])
    assert found.scores.abs().max() < 100


def test_an_unknown_lift():
    with pytest.raises(SpecError, match="transport"):
        Precomputed("elsewhere", "fft")


def test_a_map_of_all_model_positions_is_cut_to_those_of_the_signal():
    tokens = SignalShape("tokens", (Axis("token", 3, "cycles/token"), Axis("hidden", 2, channel=True)))
    example = EncodedExample(tokens, {"input_ids": torch.arange(5)}, content=torch.tensor([1, 2, 3]))
    places, whole = noise(5, seed=1).float(), noise(5, 2, seed=2).float()
    for given in (places, places[None], places[1:4]):
        fitted, by_place = fit(given, example)
        assert by_place
        assert fitted.tolist() == places[1:4, None].tolist()
    for given in (whole, whole[None], whole[1:4]):
        fitted, by_place = fit(given, example)
        assert not by_place
        assert fitted.tolist() == whole[1:4].tolist()
    for other in (places[:4], whole[:4], whole.T):
        with pytest.raises(InputError, match="interpolate or crop"):
            fit(other, example)
