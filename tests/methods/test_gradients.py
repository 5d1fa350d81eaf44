"""Gradient methods in every domain: closed forms on linear scores, sums that are complete, one transform for all."""

import math

import pytest
import torch

from hf_fourier import attribute
from hf_fourier.domains import DOMAINS
from hf_fourier.domains.fourier import FourierBasis
from hf_fourier.errors import SpecError
from hf_fourier.methods import METHODS
from hf_fourier.methods.gradients import geometric_path
from tests.toy_scores import Curved, Weighted, noise, value

DOMAINS_HERE = ("fourier", "identity", "cosine", "wavelet", "wavelet:bior2.2,level=2")


@pytest.mark.parametrize("domain", DOMAINS_HERE)
@pytest.mark.parametrize("method", ["gradient_input", "integrated_gradients", "wam:ig"])
def test_contributions_of_a_linear_score(method, domain):
    model, x = Weighted(7, 6), noise(2, 7, 6)
    if method.startswith("wam") and not domain.startswith("wavelet"):
        with pytest.raises(SpecError, match="levels"):
            attribute(model, x, value, method, domain)
        return
    for one, row in zip(attribute(model, x, value, method, domain), x, strict=True):
        basis = one.basis
        pulled, coefficients = basis.pullback(model.weight.detach()[None]), basis.forward(row[None])
        torch.testing.assert_close(one.scores, basis.inner(pulled, coefficients)[0])
        assert float(one.scores.sum()) == pytest.approx(float((row * model.weight).sum()))
        assert one.completeness_error == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("domain", DOMAINS_HERE)
@pytest.mark.parametrize("method", ["saliency", "smoothgrad"])
def test_gradients_of_a_linear_score(method, domain):
    model, x = Weighted(7, 6), noise(2, 7, 6)
    for one in attribute(model, x, value, method, domain):
        expected = one.basis.magnitude(one.basis.pullback(model.weight.detach()[None]))[0]
        torch.testing.assert_close(one.scores, expected)


@pytest.mark.parametrize("domain", DOMAINS_HERE)
def test_integrated_gradients_are_complete(domain):
    model, x = Curved(7, 6), noise(3, 7, 6)
    zero = float(model(torch.zeros(1, 7, 6, dtype=x.dtype)))
    for one, row in zip(attribute(model, x, value, "integrated_gradients:steps=200", domain), x, strict=True):
        difference = float(model(row[None])) - zero
        assert float(one.scores.sum()) == pytest.approx(difference, rel=1e-3)
        assert one.completeness_error == pytest.approx(float(one.scores.sum()) - difference, abs=1e-9)


def test_the_mean_keeps_its_sign():
    """Gradients of opposite signs cancel: their sizes are not what is averaged."""

    class Even(torch.nn.Module):
        def forward(self, x):
            return x.square().flatten(1).sum(1, keepdim=True)

    x = torch.zeros(1, 64, dtype=torch.float64)
    x[0, 0] = 1.0
    (many,) = attribute(Even(), x, value, "smoothgrad:samples=400,spread=1", "identity")
    (exact,) = attribute(Even(), x, value, "saliency", "identity")
    assert float((many.scores - exact.scores).abs().max()) < 0.5  # the mean size of the noise's gradient would be 1.6


def test_a_logarithm_needs_a_geometric_path():
    """From silence through a log-mel front end: within 2 % with 25 points, where uniform ones are far off."""
    torch.manual_seed(0)
    filters = torch.rand(20, 129, dtype=torch.float64) / 129

    def front(x):
        power = (
            torch.stft(x, 256, 128, window=torch.hann_window(256, dtype=x.dtype), return_complex=True).abs().square()
        )
        return torch.log(filters.to(x) @ power + 1e-10).mean((1, 2)).unsqueeze(1) / -10

    time = torch.arange(4000, dtype=torch.float64) / 16_000
    x = (0.3 * torch.sin(2 * math.pi * 1000 * time) + 0.01 * noise(4000)).unsqueeze(0)
    difference = float(front(x) - front(torch.zeros_like(x)))
    gaps = {}
    for path in ("geometric", "uniform"):
        (one,) = attribute(front, x, value, f"integrated_gradients:steps=25,path={path}")
        gaps[path] = abs(one.completeness_error / difference)
    assert gaps["geometric"] < 0.02
    assert gaps["uniform"] > 0.2


def test_a_geometric_path_has_the_trapezoids_weights():
    alphas, weights = geometric_path(8)
    assert alphas == pytest.approx([10.0 ** (i - 7) for i in range(8)], rel=1e-9)
    step = math.log(10)
    inner = [10.0 ** (i - 7) * step for i in range(1, 7)]
    assert weights == pytest.approx([1e-7 * step / 2, *inner, step / 2], rel=1e-9, abs=0)


def test_a_geometric_path_integrates():
    alphas, weights = geometric_path(200)
    assert sum(w * a**2 for a, w in zip(alphas, weights, strict=True)) == pytest.approx(1 / 3, rel=1e-2)
    assert alphas[-1] == 1


@pytest.mark.parametrize("method", ["smoothgrad", "integrated_gradients", "closed_loop"])
def test_the_transform_stays_out_of_the_loop(method, monkeypatch):
    """At most one forward transform for each thing that is transformed, however many samples."""
    calls = []
    inner = FourierBasis.forward
    monkeypatch.setattr(FourierBasis, "forward", lambda self, x: calls.append(1) or inner(self, x))
    (one,) = attribute(Curved(6, 5), noise(1, 6, 5), value, method)
    stages = 6 if method == "closed_loop" else 2
    assert len(calls) <= stages
    assert one.provenance["passes"]["backward"] == METHODS.parse(method).passes[1]


@pytest.mark.parametrize("family", ["haar", "db3,level=2", "bior2.2,level=2"])
def test_scales_and_places_add_up(family):
    model, x = Curved(9, 11), noise(2, 9, 11)
    for one in attribute(model, x, value, "wam:ig,samples=100", f"wavelet:{family}"):
        maps, total = one.extras["scale_maps"], one.scores.sum()
        assert maps.shape[1:] == (9, 11)
        torch.testing.assert_close(maps.sum(), total)
        level = one.layout.with_role("level")[0].values
        by_band = torch.stack([one.scores[level == n].sum() for n in level.unique()])
        torch.testing.assert_close(by_band.sum(), total)
        importance = one.extras["scale_importance"]
        torch.testing.assert_close(importance.sum(), one.scores.abs().sum())
        assert len(importance) == len(maps)
        smooth = torch.tensor([one.layout.describe(k)["orientation"] == "aa" for k in range(len(one.layout))])
        torch.testing.assert_close(importance[0], one.scores[smooth].abs().sum())
        torch.testing.assert_close(maps[0].sum(), one.scores[smooth].sum())
        finest = ~smooth & (level == 1)
        torch.testing.assert_close(importance[-1], one.scores[finest].abs().sum())


def test_wam_is_at_home_in_wavelets():
    (one,) = attribute(Curved(8, 8), noise(1, 8, 8), value, "wam")
    assert DOMAINS.parse(one.layout.domain) == DOMAINS.parse("wavelet:haar,level=3")


def test_the_loop_finds_what_alone_suffices():
    """Two features say the same: kept together they are redundant, and the loop still ranks both above the rest."""

    class Either(torch.nn.Module):
        def forward(self, x):
            spectrum = torch.fft.rfft(x, norm="ortho")
            there = spectrum[:, 3].abs().square() + spectrum[:, 5].abs().square()
            return torch.stack([torch.zeros_like(there), 4 * there.sqrt() - 2], 1)

    time = torch.arange(64, dtype=torch.float64)
    x = (torch.cos(2 * math.pi * 3 * time / 64) + torch.cos(2 * math.pi * 5 * time / 64)).unsqueeze(0) * 0.3
    x = x + 0.5 * torch.cos(2 * math.pi * 20 * time / 64)
    (one,) = attribute(Either(), x, 1, "closed_loop:lam=0,kappa=.1")
    frequencies = (one.layout["frequency"][one.order[:2]] * 64).round().tolist()
    assert sorted(frequencies) == [3, 5]
