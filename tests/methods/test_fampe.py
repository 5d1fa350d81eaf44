"""FAMPE: its bands, its noise, and AttEXplore as the case that weights nothing. What both share is next door."""

import numpy as np
import pytest
import torch

from hf_fourier import attribute
from hf_fourier.domains import DOMAINS, Fourier
from hf_fourier.errors import SpecError
from hf_fourier.methods import FAMPE, METHODS, AttEXplore
from hf_fourier.methods.fampe import cutoffs
from hf_fourier.scoring.heads import Regression
from tests.methods.reference_walks import NORMAL, PLAIN, pictures, walk
from tests.toy_scores import Smooth, noise, signal

QUICK = "steps=4,copies=3"


def radii(shape):
    """The radius of every bin of the full spectrum over the last two axes, in cycles per sample."""
    y, x = (np.fft.fftfreq(n) for n in shape[-2:])
    return np.broadcast_to(np.hypot(y[:, None], x[None]), shape)


def cutoff_of(x, tau):
    """The definition in numpy, over the full spectrum."""
    power, r = np.abs(np.fft.fft2(x)) ** 2, radii(x.shape)
    power = np.where(r > 0, power, 0)
    for radius in np.unique(r.round(9)):
        if power[r <= radius + 1e-7].sum() >= tau * power.sum():
            return radius
    raise AssertionError


def rough(*sizes, seed=0):
    """Pictures with more power at low frequencies, and most of it in the constant."""
    white = np.fft.fft2(noise(*sizes, seed=seed).numpy())
    smooth = np.fft.ifft2(white / (0.03 + radii(sizes)) ** 1.5).real
    return torch.from_numpy(0.5 + 0.1 * smooth / smooth.std())


@pytest.mark.parametrize("sizes", [(3, 16, 18), (1, 15, 13), (2, 8, 9)], ids=str)
@pytest.mark.parametrize("tau", [0.5, 0.9, 0.99])
def test_the_cutoff(sizes, tau):
    x = rough(4, *sizes)
    basis = Fourier().bind(signal(*sizes, channels=(0,)))
    found = cutoffs(basis, x, basis.layout.radius, tau)
    assert found.tolist() == pytest.approx([cutoff_of(row.numpy(), tau) for row in x], abs=1e-6)


def test_the_constant_does_not_decide():
    """With it, one bin would hold more than τ of the power and the low band would be that bin alone."""
    x = rough(4, 3, 16, 18)
    basis = Fourier().bind(signal(3, 16, 18, channels=(0,)))
    power = basis.inner(basis.forward(x), basis.forward(x))
    constant = power[:, basis.layout.radius == 0].sum(1) / power.sum(1)
    assert float(constant.min()) > 0.9
    radius = basis.layout.radius
    found = cutoffs(basis, x, radius, 0.9)
    assert float(found.min()) > 0.05
    torch.testing.assert_close(cutoffs(basis, 3 * x + 7, radius, 0.9), found)
    rising = torch.stack([cutoffs(basis, x, radius, tau) for tau in (0, 0.3, 0.6, 0.9, 1)])
    assert bool((rising.diff(dim=0) >= 0).all())
    assert cutoffs(basis, torch.full_like(x, 0.3), radius, 0.9).tolist() == [0] * 4


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_power_at_rounding_level_does_not_count_at_any_scale(size):
    basis = Fourier().bind(signal(16, 16))
    x = (torch.cos(2 * torch.pi * 3 * torch.arange(16) / 16).expand(1, 16, 16) * size).float()
    assert (basis.magnitude(basis.forward(x)) > 0).sum() > 1, "rounding leaves power in other bins"
    assert cutoffs(basis, x, basis.layout.radius, 1.0).tolist() == pytest.approx([3 / 16])


def test_a_circle_is_not_cut():
    """All bins of one radius are on one side, also where rounding tells them apart."""
    shape = signal(3, 25, 25, channels=(0,))
    basis = Fourier().bind(shape)
    x = torch.cos(2 * torch.pi * (3 * torch.arange(25.0)[:, None] + 4 * torch.arange(25.0)) / 25).expand(1, 3, -1, -1)
    bands = FAMPE().bands(basis, x)
    inside = basis.layout.radius <= 0.2 + 1e-4
    assert float(bands.cutoff) == pytest.approx(0.2)
    assert torch.equal(bands.low[0], inside)


@pytest.mark.parametrize("alpha", [0.0, 0.1, 0.5, 1.0])
def test_the_weights_and_the_noise_power(alpha):
    x = rough(3, 3, 16, 18)
    basis = Fourier().bind(signal(3, 16, 18, channels=(0,)))
    bands = FAMPE(alpha=alpha).bands(basis, x)
    low = torch.tensor([cutoff_of(row.numpy(), 0.9) for row in x])[:, None] + 1e-6 >= basis.layout.radius
    assert torch.equal(bands.low, low)
    assert bool(low[:, basis.layout.radius == 0].all())
    torch.testing.assert_close(bands.weights, torch.where(low, 2 * alpha, 2 - 2 * alpha).double())
    ranking, _, _ = walk(f"fampe:alpha={alpha},{QUICK}", Smooth(3, 3, 16, 18).eval(), x, PLAIN)
    full = np.stack([radii(x.shape[1:])] * 3) <= ranking.extras["cutoff"][0] + 1e-6
    share = full[0].mean()
    expected = share * (2 * alpha) ** 2 + (1 - share) * (2 - 2 * alpha) ** 2
    assert ranking.extras["noise_power"][0] == pytest.approx(expected)
    assert ranking.extras["noise_power"] == pytest.approx([1, 1, 1]) or alpha != 0.5


def copies_of(spec, x, sigma=0.02):
    """What the model is shown at the first step."""
    seen = []

    def model(v):
        seen.append(v.detach())
        return (v.flatten(1) ** 2).sum(1, keepdim=True)

    walk(f"{spec},steps=1,copies=3000,sigma={sigma}", model, x, NORMAL, head=Regression())
    return torch.cat(seen)[1:-1]


@pytest.mark.parametrize("alpha", [0.0, 0.1, 0.5])
def test_copies_have_the_law_that_is_defined(alpha):
    """Jitter of min(ρw, 1) on each pair, noise of power w², feature by feature; the phase of the clean one is kept."""
    x = rough(1, 3, 8, 10)
    basis = Fourier().bind(signal(3, 8, 10, channels=(0,)))
    weights = FAMPE(alpha=alpha).bands(basis, x).weights[0]
    clean = basis.forward(x)
    jittered = basis.forward(copies_of(f"fampe:alpha={alpha}", x, sigma=0))
    ratio = basis.inner(clean.expand_as(jittered), jittered) / basis.inner(clean, clean)
    torch.testing.assert_close(ratio.std(0), (weights / 2).clamp(max=1) / 3**0.5, rtol=0.06, atol=1e-6)
    assert float((basis.magnitude(jittered) - ratio.abs() * basis.magnitude(clean)).abs().max()) < 1e-6
    noisy = basis.forward(copies_of(f"fampe:alpha={alpha},rho=0", x)) - clean
    power = basis.inner(noisy, noisy).mean(0) / basis.multiplicity
    torch.testing.assert_close(power, (0.02 * weights) ** 2, rtol=0.12, atol=1e-9)


def test_no_coefficient_changes_its_sign():
    """A jitter of ρw above 1 would turn phases round; it is cut there."""
    x = rough(1, 3, 8, 10)
    basis = Fourier().bind(signal(3, 8, 10, channels=(0,)))
    clean = basis.forward(x)
    jittered = basis.forward(copies_of("fampe:alpha=0,rho=.9", x, sigma=0))
    ratio = basis.inner(clean.expand_as(jittered), jittered) / basis.inner(clean, clean)
    assert float(ratio.min()) >= -1e-6
    assert 1.9 < float(ratio.max()) <= 2 + 1e-6


def test_the_cutoff_is_that_of_the_picture():
    """A processor that makes much of one colour moves no band."""
    x = torch.cat([rough(2, 1, 16, 18), pictures(2, 2, 16, 18)], 1)
    model, much = Smooth(3, 3, 16, 18).eval(), (torch.zeros(3), torch.tensor([0.001, 1.0, 1.0]))
    (plain, _, _), (other, _, _) = (walk(f"fampe:{QUICK}", model, x, how) for how in (PLAIN, much))
    assert other.extras["cutoff"] == pytest.approx(plain.extras["cutoff"])


def test_with_half_it_is_attexplore_on_the_fourier_spectrum():
    """The all-pass case: equal, copy by copy, to AttEXplore's own copies made in that basis."""

    class InFourier(AttEXplore):
        name = "in_fourier"

        def exploration_basis(self, shape):
            return Fourier().bind(shape)

    x, model = rough(2, 3, 8, 10), Smooth(3, 3, 8, 10).eval()
    half, basis, score = walk(f"fampe:alpha=.5,{QUICK}", model, x, NORMAL, "fourier")
    from hf_fourier.seeding import ExampleRng

    plain = (
        InFourier(steps=4, copies=3).resolve(basis.signal).attribute(score, score.signal, basis, ExampleRng(0, [0, 1]))
    )
    torch.testing.assert_close(half.scores, plain.scores)
    torch.testing.assert_close(half.extras["adversarial"], plain.extras["adversarial"])
    other, _, _ = walk(f"fampe:alpha=.1,{QUICK}", model, x, NORMAL, "fourier")
    assert not torch.allclose(half.scores, other.scores)


@pytest.mark.parametrize("measure", ["path", "published"])
def test_the_bands_add_up(measure):
    x, model = rough(2, 3, 8, 10), Smooth(3, 3, 8, 10).eval()
    spec = f"fampe:measure={measure},{QUICK}"
    spread, _, _ = walk(spec, model, x, NORMAL, "identity")
    ranking, basis, _ = walk(spec, model, x, NORMAL, "fourier")
    maps, sums = ranking.extras["band_maps"], ranking.extras["band_scores"]
    assert maps.shape == (2, 2, 8, 10)
    torch.testing.assert_close(maps.sum((2, 3)), sums)
    torch.testing.assert_close(maps.sum(1), spread.scores.view(2, 3, 8, 10).sum(1))
    for i, cutoff in enumerate(ranking.extras["cutoff"]):
        low = basis.layout.radius <= cutoff + 1e-6
        torch.testing.assert_close(sums[i, 0], ranking.scores[i, low].sum())
        torch.testing.assert_close(sums[i, 1], ranking.scores[i, ~low].sum())


def test_evidence_in_a_band_is_found_in_that_band():
    """A model that reads high frequencies alone has its scores in the high band, and the other way round."""
    shape = signal(3, 16, 18, channels=(0,))
    basis, x = Fourier().bind(shape), rough(2, 3, 16, 18)
    bands = FAMPE().bands(basis, x)
    both = bands.low.all(0), (~bands.low).all(0)
    for band, mask in enumerate(both):
        weight = basis.keep_features(basis.forward(noise(1, 3, 16, 18)), mask[None])[0]

        def model(v, weight=weight):
            return torch.stack([(v * weight).flatten(1).sum(1), torch.zeros(len(v), dtype=v.dtype)], 1)

        ranking, _, _ = walk(f"fampe:{QUICK}", model, x, NORMAL)
        shares = ranking.extras["band_scores"].abs()
        assert bool((shares[:, band] > 0.999 * shares.sum(1)).all())


def test_bands_are_the_examples_own():
    """A rough and a smooth example in one batch keep their own cutoffs."""
    x = torch.cat([rough(1, 3, 16, 18), pictures(1, 3, 16, 18)])
    together, _, _ = walk(f"fampe:{QUICK}", Smooth(3, 3, 16, 18).eval(), x, NORMAL, keys=[7, 8])
    assert together.extras["cutoff"][0] < 0.8 * together.extras["cutoff"][1]
    for i, row in enumerate(x):
        alone, _, _ = walk(f"fampe:{QUICK}", Smooth(3, 3, 16, 18).eval(), row[None], NORMAL, keys=[7 + i])
        torch.testing.assert_close(alone.scores[0], together.scores[i])
        assert alone.extras["cutoff"][0] == pytest.approx(together.extras["cutoff"][i])


def test_pieces_of_a_pair_share_one_cutoff():
    shape = signal(12, 2, channels=(1,), segments=(7, 5))
    basis = DOMAINS.parse("fourier").bind(shape)
    bands = FAMPE().bands(basis, noise(3, 12, 2))
    assert bands.low.shape == (3, len(basis))
    assert bool((bands.cutoff > 0).all())


def test_it_is_at_home_where_most_methods_are():
    (one,) = attribute(Smooth(3, 7, 6).eval(), noise(1, 7, 6), None, f"fampe:{QUICK}")
    assert one.layout.domain == "fourier"
    assert FAMPE().alpha == 0.1


@pytest.mark.parametrize("wrong", ["alpha=1.1", "alpha=-.1", "tau=2", "tau=nan"])
def test_what_it_refuses(wrong):
    with pytest.raises(SpecError, match=wrong.split("=")[0]):
        METHODS.parse(f"fampe:{wrong}")
