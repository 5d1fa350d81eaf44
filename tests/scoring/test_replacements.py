"""What stands in a deleted feature's place: power, phases and sources, and where random numbers come from."""

import pytest
import torch

from hf_fourier import FourierExplainer
from hf_fourier.domains import DOMAINS, Axis, SignalShape
from hf_fourier.errors import InputError, SpecError
from hf_fourier.models.calls import Call
from hf_fourier.models.network import NetworkWrapper
from hf_fourier.scoring.example_batch import EncodedExample
from hf_fourier.scoring.references import mean
from hf_fourier.scoring.replacements import (
    REPLACEMENTS,
    band_magnitude,
    checked_replacement,
    donor_signals,
    donors_digest,
    replacement_coefficients,
)
from hf_fourier.seeding import ExampleRng
from tests.models.kinds import KINDS
from tests.toy_scores import DOMAIN_SPECS, LEAVES, Smooth, bound, noise, score_of, signal

#: Its batches have the examples' values for signals.
SOURCE = NetworkWrapper(Call(lambda v: v), {}, bare=True)
ORTHONORMAL = ["fourier", "fourier:axes=-1+,grain=frequency", "cosine", "wavelet", "identity"]


def coefficients(name, basis, x, draws=1, seed=0, keys=None):
    score = score_of(Smooth(3, *x.shape[1:]).eval(), x)
    rng = ExampleRng(seed, list(range(len(x))) if keys is None else keys)
    return replacement_coefficients(name, score, basis, rng, draws)


SIGNALS = ["13", "16", "6x7", "c3x4x6", "4x6x8", "12c2 in 7+5"]


@pytest.mark.parametrize(
    ("spec", "leaf"), [(spec, leaf) for spec in DOMAIN_SPECS for leaf in SIGNALS if bound(spec, LEAVES[leaf])]
)
def test_scrambled_phases_keep_every_modulus_and_make_a_real_signal(spec, leaf):
    basis = bound(spec, LEAVES[leaf])
    x = noise(3, *basis.signal.shape)
    clean, got = basis.forward(x), coefficients("phase", basis, x, draws=2)
    assert got.shape == (3, 2, clean.shape[1])
    torch.testing.assert_close(got.abs(), clean.abs().unsqueeze(1).expand(-1, 2, -1))
    if basis.redundancy == 1 and basis.parseval:  # then it is the analysis of a real signal
        made = basis.forward(basis.inverse(got[:, 0]))
        torch.testing.assert_close(made, got[:, 0])
    assert not torch.allclose(got[:, 0], got[:, 1])


@pytest.mark.parametrize("spec", ORTHONORMAL)
def test_noise_has_the_power_of_each_feature(spec):
    basis = DOMAINS.parse(spec).bind(signal(16))
    x = noise(1, 16) * torch.linspace(0, 3, 16)
    got = coefficients("noise", basis, x, draws=1500)[0]
    power = basis.magnitude(got).square().mean(0)
    expected = basis.magnitude(basis.forward(x))[0].square()
    torch.testing.assert_close(power, expected, rtol=0.2, atol=1e-12)
    assert not torch.allclose(basis.magnitude(got[:1])[0], expected.sqrt(), rtol=0.1)  # of that power on average only


def test_noise_in_a_redundant_frame_has_the_power_of_the_example():
    basis = DOMAINS.parse("stft:window=6,hop=2").bind(signal(64))
    x = noise(1, 64)
    got = coefficients("noise", basis, x, draws=500)[0]
    ratio = basis.inner(got, got).sum(1).mean() / basis.inner(basis.forward(x), basis.forward(x)).sum()
    assert float(ratio) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    "spec", ["fourier", "fourier:bands=octave", "fourier:grain=frequency", "stft:window=6,hop=2", "identity"]
)
@pytest.mark.parametrize("leaf", ["16", "c3x4x6"])
def test_a_band_has_the_geometric_mean_of_what_lies_around(spec, leaf):
    """One by one, over all other features within 20 %, or the next ones below and above: never its own magnitude."""
    basis = bound(spec, LEAVES[leaf])
    if basis is None:
        return
    x = noise(2, *basis.signal.shape)
    magnitude, radius = basis.magnitude(basis.forward(x)), basis.layout.radius
    got = band_magnitude(basis, magnitude)
    for k in range(len(basis)):
        near = torch.arange(len(basis)) != k
        if radius is not None:
            near &= (radius >= radius[k] / 1.2 - 1e-6) & (radius <= radius[k] * 1.2 + 1e-6)
            if not near.any():
                below, above = radius[radius < radius[k]], radius[radius > radius[k]]
                nearest = [*below.unique()[-1:], *above.unique()[:1]]
                near = torch.isclose(radius[:, None], torch.tensor(nearest).to(radius), atol=0, rtol=1e-6).any(1)
        weights = basis.multiplicity[near].double()
        expected = ((magnitude[:, near].log() * weights).sum(1) / weights.sum()).exp()
        torch.testing.assert_close(got[:, k], expected, rtol=1e-6, atol=0)
    replaced = coefficients("band", basis, x, draws=2)
    torch.testing.assert_close(replaced[:, 1].abs(), basis.expand_to_bins(got))
    assert band_magnitude(basis, 0 * magnitude).abs().max() == 0
    silent = magnitude.clone()
    silent[:, 1] = 0
    assert band_magnitude(basis, silent).isfinite().all()


def test_zero_is_nothing():
    assert coefficients("zero", DOMAINS.parse("fourier").bind(signal(8)), noise(2, 8), draws=3) is None


def test_each_reference_is_a_draw():
    shape = SignalShape("pixels", (Axis("channel", 2, channel=True), Axis("height", 4), Axis("width", 5)))
    basis, x = DOMAINS.parse("fourier").bind(shape), noise(3, 2, 4, 5)
    score = score_of(Smooth(3, 2, 4, 5).eval(), x)
    own = mean(x, shape, "each channel's mean")
    score.references = lambda: (own, own)
    got = replacement_coefficients("reference", score, basis, ExampleRng(0, [1, 2, 3]), 7)
    assert got.shape[1] == 2
    torch.testing.assert_close(basis.inverse(got[:, 1]), x.mean((2, 3), keepdim=True).expand_as(x))


@pytest.mark.parametrize("name", ["noise", "phase", "band"])
def test_random_numbers_are_the_example_s_own(name):
    basis, x = DOMAINS.parse("fourier").bind(signal(9)), noise(3, 9)
    together = coefficients(name, basis, x, draws=2, keys=[5, 6, 7])
    torch.testing.assert_close(coefficients(name, basis, x[1:2], draws=2, keys=[6])[0], together[1])
    assert torch.equal(coefficients(name, basis, x, draws=3, keys=[5, 6, 7])[:, :2], together)
    assert not torch.allclose(coefficients(name, basis, x, draws=2, seed=1, keys=[5, 6, 7]), together)


def encoded(*rows):
    return [EncodedExample(signal(len(row)), {}, values=row) for row in rows]


def test_donors_are_others_of_the_same_shape_drawn_by_the_example():
    rows = noise(6, 5)
    donors = encoded(*rows, *noise(2, 4))
    examples = donors[:2]
    rng = ExampleRng(0, [example.key for example in examples])
    got = donor_signals(examples, donors, SOURCE, rng, 5)
    assert got.shape == (2, 5, 5)
    for i, drawn in enumerate(got):
        numbers = [next(j for j, row in enumerate(rows) if torch.equal(row, one)) for one in drawn]
        assert sorted(numbers) == [j for j in range(6) if j != i]  # each other one once
    alone = donor_signals(examples[1:], donors, SOURCE, ExampleRng(0, [examples[1].key]), 5)
    assert torch.equal(alone[0], got[1])
    again = donor_signals(examples, donors, SOURCE, rng, 8)
    assert torch.equal(again[:, 5:], got[:, :3])  # then the first ones again
    assert not torch.equal(got, donor_signals(examples, donors, SOURCE, ExampleRng(1, rng.keys), 5))


def test_without_donors_the_error_advises():
    basis = DOMAINS.parse("fourier").bind(signal(5))
    with pytest.raises(InputError, match=r"explainer\.donors"):
        coefficients("example", basis, noise(2, 5))
    examples = encoded(*noise(2, 5))
    for donors in ([], encoded(*noise(2, 4, seed=1)), examples[:1]):
        with pytest.raises(InputError, match=r"explainer\.donors"):
            donor_signals(examples, donors, SOURCE, ExampleRng(0, [e.key for e in examples]), 1)
    with pytest.raises(InputError, match=r"of shape \(5,\) \(there are \[\(4,\)\]\)"):
        donor_signals(examples, encoded(*noise(2, 4)), SOURCE, ExampleRng(0, [1, 2]), 1)


def test_an_unknown_replacement():
    with pytest.raises(SpecError, match="zero, noise, phase, band, reference, example"):
        checked_replacement("nothing")
    assert [checked_replacement(name) for name in REPLACEMENTS] == list(REPLACEMENTS)


def test_an_explainer_encodes_its_donors():
    explainer: FourierExplainer = KINDS["pictures"].make()
    assert explainer.donors == ()
    explainer.donors = KINDS["pictures"].example()
    assert all(isinstance(donor, EncodedExample) for donor in explainer.donors)
    (one, other) = explainer.explain(KINDS["pictures"].example(), method="occlusion:replacement=example")
    assert one.provenance["donors"] == {"examples": 2, "digest": donors_digest(explainer.donors)}
    assert donors_digest(explainer.donors) != donors_digest(explainer.donors[::-1])
    assert other.extras["deleted"].abs().max() > 0
    explainer.donors = None
    assert explainer.donors == ()
