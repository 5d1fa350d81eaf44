"""Faults of published code, each with a case in which it shows: these fail where one is put back.

Faults of a batch (a gradient divided by its size, a maximum over it) fail the contracts of all methods; broken pairs
and adjoints those of all domains.
"""

import math

import pytest
import torch

from hf_fourier import attribute
from hf_fourier.domains.wavelet import WaveletBasis
from tests.toy_scores import Smooth, noise, value


class Even(torch.nn.Module):
    """A score whose gradient changes its sign with the input."""

    def forward(self, x):
        return x.square().flatten(1).sum(1, keepdim=True)


def test_ffc_keeps_a_displacement_that_the_input_would_swallow():
    """`x' − x` in float32 is zero or a few steps of rounding where the walk is short; the displacement is not."""
    x = 1000 + noise(2, 6, 7, dtype=torch.float32)
    narrow, wide = Smooth(3, 6, 7, dtype=torch.float32).eval(), Smooth(3, 6, 7).eval()
    spec = "ffc:rule=absolute,lr=1e-4,steps=2,lam=0"
    one, other = (attribute(lambda v, m=m: m(v - 1000), x.to(m.out.dtype), 0, spec) for m in (narrow, wide))
    for near, far in zip(one, other, strict=True):
        top = float(far.scores.abs().max())
        assert top > 0
        torch.testing.assert_close(near.scores.double(), far.scores, rtol=1e-2, atol=1e-2 * top)


def test_ffc_ranks_the_ends_of_the_spectrum_like_the_rest():
    """DC, Nyquist and a pair of one modulus have one magnitude: a pair's two bins do not make it √2 stronger."""
    time = torch.arange(16)
    x = (1 + torch.cos(math.pi * time) + 2 * torch.cos(2 * math.pi * 3 * time / 16)).double().unsqueeze(0)
    (one,) = attribute(Smooth(3, 16).eval(), x, method="magnitude")
    torch.testing.assert_close(one.scores[[0, 3, 8]], torch.full((3,), 4.0, dtype=torch.float64), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", ["sg", "ig"])
def test_wam_averages_gradients_with_their_sign(kind):
    """Sizes averaged instead would be far from the clean gradient's (sg), or from the difference (ig)."""
    x = torch.zeros(1, 16, 16, dtype=torch.float64)
    x[0, 4:8, 8:] = 1.0
    if kind == "sg":
        (one,) = attribute(Even(), x, value, "wam:samples=200,spread=1", "wavelet")
        (exact,) = attribute(Even(), x, value, "saliency", "wavelet")
        assert float((one.scores - exact.scores).abs().max()) < 0.6  # the mean size of the noise's gradient: 1.6
        return
    (one,) = attribute(Even(), x - 0.5, value, "wam:ig", "wavelet")
    assert float(one.scores.sum()) == pytest.approx(float((x - 0.5).square().sum()), rel=1e-3)
    assert one.completeness_error == pytest.approx(0, abs=1e-3)


def test_wam_does_not_divide_a_band_by_its_largest():
    """With everything doubled in one band, the band is worth twice as much, and the sum is still the difference."""

    class Weighted(torch.nn.Module):
        def __init__(self, basis, factor):
            super().__init__()
            level = basis.layout["level"]
            weights = torch.where(level == 1, factor, 1.0).double()
            self.register_buffer("weight", basis.inverse(weights[None])[0])

        def forward(self, x):
            return (x * self.weight).flatten(1).sum(1, keepdim=True)

    x = noise(1, 8, 8)
    (first,) = attribute(Even(), x, value, "wam:ig", "wavelet:level=2")
    models = [Weighted(first.basis, factor) for factor in (1.0, 2.0)]
    one, two = (attribute(model, x, value, "wam:ig", "wavelet:level=2")[0] for model in models)
    ratio = two.extras["scale_importance"] / one.extras["scale_importance"]
    torch.testing.assert_close(ratio, torch.tensor([1.0, 1.0, 2.0], dtype=torch.float64))


@pytest.mark.parametrize(("dim", "word"), [(0, "da"), (1, "ad")])
def test_bands_are_named_by_the_axis_that_they_change_along(dim, word):
    """Stripes that change from row to row are detail along the height, whatever it is called."""
    stripes = torch.tensor([1.0, -1.0]).repeat(4).double()
    x = stripes[:, None].expand(8, 8) if dim == 0 else stripes.expand(8, 8)
    (one,) = attribute(Smooth(3, 8, 8).eval(), x.unsqueeze(0), method="magnitude", domain="wavelet")
    assert {one.layout.describe(int(k))["orientation"] for k in one.order[:16]} == {word}


@pytest.mark.parametrize("kind", ["sg", "ig"])
def test_wam_on_silence(kind):
    """Zeros have no range and no maximum to divide by."""
    quiet = torch.cat([torch.zeros(1, 64), noise(1, 64, dtype=torch.float32)])
    for one in attribute(Smooth(3, 64, dtype=torch.float32).eval(), quiet, method=f"wam:{kind}"):
        assert one.scores.isfinite().all()
        assert one.extras["scale_importance"].isfinite().all()


@pytest.mark.parametrize(("kind", "splits"), [("sg", 1), ("ig", 2)])
def test_wam_transforms_once(kind, splits, monkeypatch):
    """The mean gradient is pulled back once, and the example transformed once, however many samples there are."""
    calls = []
    inner = WaveletBasis._split
    monkeypatch.setattr(WaveletBasis, "_split", lambda self, x, adjoint: calls.append(1) or inner(self, x, adjoint))
    for samples in (2, 40):
        calls.clear()
        attribute(Smooth(3, 16, 16).eval(), noise(2, 16, 16), method=f"wam:{kind},samples={samples}")
        assert len(calls) == splits
