"""Rate-distortion masks against closed forms, finite differences, and the faults of the released code."""

from __future__ import annotations

import math

import pytest
import torch

from hf_fourier import FourierExplainer, attribute
from hf_fourier.domains import DOMAINS
from hf_fourier.errors import SpecError
from hf_fourier.methods import METHODS
from hf_fourier.methods.band_mask import neighbour_slope, within_budget
from hf_fourier.methods.rate_distortion import MIXTURES, RateDistortion, relative_loss, spatial_slope
from hf_fourier.scoring.replacements import replacement_coefficients
from hf_fourier.scoring.targets import Contrast
from hf_fourier.seeding import ExampleRng
from tests.toy_scores import Smooth, noise, score_of, signal, value

TRUE = torch.tensor([True])


def fitted(forward, x, options, domain="identity", target=value):
    return attribute(forward, x, target=target, method=f"rate_distortion:{options}", domain=domain)


def test_one_feature():
    """`(1 - m)² + λ m` is least at `m = 1 - λ / 2`, where the loss is λ² / 4."""
    (one,) = fitted(lambda v: 3 * v, noise(1, 1), "rates=.2+.6+1.4,steps=60,replacement=zero")
    rates = torch.tensor([0.2, 0.6, 1.4]).double()
    torch.testing.assert_close(one.extras["mask"][:, 0].double(), 1 - rates / 2, atol=0.05, rtol=0)
    torch.testing.assert_close(one.extras["kept"].double(), 1 - rates / 2, atol=0.05, rtol=0)
    torch.testing.assert_close(one.extras["distortion"].double(), rates.square() / 4, atol=0.05, rtol=0)


def test_features_leave_in_the_order_of_what_they_are_worth():
    """Of a sum of parts a, `(1 - Σ m a)² + λ Σ m / K` has one fractional m at most: all above it 1, all below it 0."""
    parts = torch.tensor([0.07, 0.4, 0.05, 0.3, 0.18]).double()
    (one,) = fitted(
        lambda v: v @ parts[:, None], torch.ones(1, 5).double(), "rates=.2+.8+1.6,steps=40,replacement=zero"
    )
    order = parts.argsort(descending=True)
    assert one.order.tolist() == order.tolist()
    for mask, rate in zip(one.extras["mask"].double(), (0.2, 0.8, 1.6), strict=True):
        best = min(
            (float((1 - m @ parts).square() + rate * m.sum() / 5), m)
            for m in (water_level(parts, order, level) for level in torch.linspace(0, 5, 501))
        )[1]
        torch.testing.assert_close(mask, best, atol=0.1, rtol=0)


def water_level(parts, order, level):
    """The first ones of the order kept, `level` of them in all."""
    mask = torch.zeros_like(parts)
    mask[order] = (level - torch.arange(len(parts))).clamp(0, 1).double()
    return mask


CASES = "features zero", "features noise", "amplitude zero", "amplitude noise", "phase phase"


@pytest.mark.parametrize(("of", "replacement"), [case.split() for case in CASES])
@pytest.mark.parametrize("spec", ["fourier", "fourier:bands=3"])
def test_the_gradient_is_that_of_the_loss(of, replacement, spec):
    shape, x = signal(7, 4), noise(2, 7, 4)
    basis, score = DOMAINS.parse(spec).bind(shape), score_of(Smooth(3, 7, 4).eval(), x)
    method = METHODS.parse(f"rate_distortion:of={of},replacement={replacement}")
    coefficients = basis.forward(x)
    other = replacement_coefficients(replacement, score, basis, ExampleRng(0, [1, 2]), 2)
    mask = torch.rand(2, len(basis), generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    _, slope = method._distortion(score, basis, coefficients, other, mask)
    spatial = spatial_slope(basis, coefficients, mask, x)
    for k in range(len(basis)):
        step = torch.zeros_like(mask)
        step[:, k] = 1e-6
        ends = [method._distortion(score, basis, coefficients, other, mask + way * step)[0] for way in (1, -1)]
        torch.testing.assert_close(slope[:, k], (ends[0] - ends[1]) / 2e-6, rtol=1e-5, atol=1e-7)
        sizes = [
            basis.inverse(basis.scale_features(coefficients, mask + way * step)).abs().sum((1, 2)) for way in (1, -1)
        ]
        expected = (sizes[0] - sizes[1]) / 2e-6 / x.abs().sum((1, 2))
        torch.testing.assert_close(spatial[:, k], expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("of", MIXTURES)
def test_a_whole_mask_is_the_example(of):
    """Released code cuts the masked coefficients to 0 and 1, and so loses every negative one."""
    own, other = (torch.complex(noise(2, 9, seed=s), noise(2, 9, seed=s + 1)) for s in (0, 5))
    torch.testing.assert_close(MIXTURES[of](own, other, torch.ones(2, 9).double())[0], own)
    empty = MIXTURES[of](own, other, torch.zeros(2, 9).double())[0]
    torch.testing.assert_close(empty.abs(), (own if of == "phase" else other).abs())
    torch.testing.assert_close(empty / empty.abs(), (own if of == "amplitude" else other).sgn())


def test_negative_coefficients_are_kept():
    x = torch.tensor([[-3.0, 0.0, 2.0, 0.0]]).double()
    (one,) = fitted(lambda v: v @ torch.tensor([[-1.0], [0], [1], [0]]).double(), x, "rates=.3,replacement=zero")
    assert one.extras["mask"][0, [0, 2]].min() > 0.7
    assert one.extras["mask"][0, [1, 3]].max() == 0


def test_the_loss_is_of_probabilities():
    """A softmax of a softmax never falls below 1 / (1 + e): where all is lost, its loss is not 1, and has no slope."""
    clean, lost = torch.tensor([0.999]).log(), torch.tensor([1e-6]).log()
    loss, _ = relative_loss(lost, clean, TRUE)
    assert float(loss) == pytest.approx(1, abs=1e-4)
    at = torch.tensor([math.log(0.4)], dtype=torch.float64, requires_grad=True)
    loss, slope = relative_loss(at, clean, TRUE)
    (expected,) = torch.autograd.grad((1 - (at.exp() / 0.999)).square(), at)
    assert float(loss.detach()) == pytest.approx((1 - 0.4 / 0.999) ** 2, rel=1e-5)
    torch.testing.assert_close(slope, expected.detach(), rtol=1e-4, atol=0)
    assert [float(part) for part in relative_loss(clean, clean + math.log(1e-3), TRUE)] == [1, 0]  # far above


def test_the_loss_of_a_logit_difference_is_relative_to_it():
    """A sure difference of logits is no log-probability: `exp(d)` would have no slope, and all masks fall alike."""
    weights = torch.tensor([8.0, 4, 2, 1] + [0.01] * 12).double()

    def forward(v):
        logit = 8 * (v.double() @ weights)
        return torch.stack([logit, 0 * logit, 0 * logit - 50], 1)

    options = {"domain": "identity", "contributions": 0}
    explainer = FourierExplainer(forward, labels=["a", "b", "c"], axes=("time",))
    method = "rate_distortion:steps=5,replacement=zero"
    one = explainer.explain(torch.ones(16), target=Contrast("a", "b"), method=method, **options)
    assert one.order[:4].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("method", ["rate_distortion:rates=1,steps=7,replacement=zero", "band_mask:steps=7"])
def test_the_reported_value_is_that_of_the_reported_mask(method):
    model, x = Smooth(3, 6).eval(), noise(1, 6)
    (one,) = attribute(model, x, target=0, method=method, domain="identity")
    mask = one.extras["mask"].reshape(-1, 6)[-1]
    value, clean = (model(v.double()).log_softmax(1)[0, 0].detach() for v in (mask * x, x))
    if "value" in one.extras:
        assert one.extras["value"] == pytest.approx(float(value), abs=1e-5)
    else:
        assert float(one.extras["distortion"]) == pytest.approx(float((1 - (value - clean).exp()).square()), abs=1e-5)
        assert float(one.extras["kept"]) == pytest.approx(float(mask.mean()), abs=1e-6)


def test_rates_are_numbers():
    assert RateDistortion(rates=[1, 3]).rates == (1.0, 3.0)
    for rates in ("high", ("1", "3"), None, [], [3, 1]):
        with pytest.raises(SpecError, match="correct `rates`"):
            RateDistortion(rates=rates)


@pytest.mark.parametrize("replacement", ["noise", "phase"])
def test_the_unit_of_the_input_does_not_matter(replacement):
    """Released code replaces by noise of size 1, whatever the example's size."""
    model, x = Smooth(3, 12).eval(), noise(2, 12)
    options = f"rates=.5,steps=4,replacement={replacement}"
    rng = ExampleRng(0, [7, 8])
    basis = DOMAINS.parse("fourier").bind(signal(12))
    scores = [
        METHODS.parse(f"rate_distortion:{options}")
        .attribute(score := score_of(lambda v, unit=unit: model(v / unit), x * unit), score.signal, basis, rng)
        .scores
        for unit in (1.0, 2.0**9)
    ]
    torch.testing.assert_close(*scores, rtol=1e-9, atol=1e-9)


def test_amplitudes_and_phases_are_told_apart():
    """The energy of a bin needs its amplitude and no phase; a fixed wave needs the phase too."""
    wave = torch.cos(2 * math.pi * 3 * torch.arange(16) / 16).double()
    x = (wave + 0.3 * noise(16)).unsqueeze(0)
    bin_ = DOMAINS.parse("fourier").bind(signal(16)).forward

    def energy(v):
        return bin_(v)[:, 3].abs().square().unsqueeze(1)

    for forward, phase in ((energy, False), (lambda v: (v @ wave).unsqueeze(1), True)):
        by = {
            of: fitted(forward, x, f"rates=1,steps=25,replacement=phase,of={of}", "fourier")[0].extras["mask"][0]
            for of in ("features", "phase")
        }
        assert by["features"][3] > 0.5
        assert (by["phase"][3] > 0.5) == phase
        assert by["phase"].sum() - by["phase"][3] < 1e-6
    loud = fitted(energy, x, "rates=1,steps=25,replacement=zero,of=amplitude", "fourier")[0].extras["mask"][0]
    assert loud[3] > 0.5
    assert loud.sum() - loud[3] < 1e-6


def test_phases_need_complex_coefficients():
    with pytest.raises(SpecError, match="of='amplitude'"):
        fitted(lambda v: v[:, :1], noise(1, 8), "of=phase")


@pytest.mark.parametrize(("keep", "unit"), [(0.4, 1.0), (0.2, 1e-2), (0.6, 10.0)])
def test_a_band_mask_keeps_the_best_of_its_budget(keep, unit):
    """Of a sum the best mask is 1 on the largest parts, as many as fit, whatever the unit of the score."""
    parts = unit * torch.tensor([0.3, -0.2, 0.9, 0.1, 0.5]).double()
    x, method = torch.ones(1, 5).double(), f"band_mask:keep={keep}"
    (one,) = attribute(lambda v: v @ parts[:, None], x, target=value, method=method, domain="identity")
    chosen = parts.argsort(descending=True)[: round(5 * keep)]
    assert set(one.order[: len(chosen)].tolist()) == set(chosen.tolist())
    expected = torch.zeros(5).double().index_fill(0, chosen, 1)
    torch.testing.assert_close(one.extras["mask"], expected, atol=1e-6, rtol=0)


def test_two_neighbours_are_drawn_together_as_well():
    parts, x = torch.tensor([1.0, 0.6]).double(), torch.ones(1, 2).double()
    apart, together = (
        attribute(lambda v: v @ parts[:, None], x, value, f"band_mask:keep=0.5,smooth={smooth}", "identity")[0].scores
        for smooth in (0, 5)
    )
    assert float(apart[0] - apart[1]) > 0.5
    assert abs(float(together[0] - together[1])) < 0.25


def test_the_passes_are_counted_by_levels_steps_and_draws():
    assert METHODS.parse("rate_distortion:rates=1,steps=7,replacement=zero").passes == (8, 8)
    drawn = METHODS.parse("rate_distortion:rates=1,steps=7,replacement=noise,draws=3")
    assert drawn.passes == (1 + 7 * 3, 1 + 7 * 3)


def test_a_sure_model_still_has_a_slope():
    """With a softmax of the softmax, as in the released code, the loss of a sure model is flat."""
    wave = torch.cos(2 * math.pi * 6 * torch.arange(32) / 32).double()
    x = (wave + torch.cos(2 * math.pi * 2 * torch.arange(32) / 32)).unsqueeze(0)
    (one,) = attribute(lambda v: 60 * torch.stack([v @ wave / 16, 0.2 + 0 * v[:, 0]], 1), x, 0, "band_mask")
    first = one.layout.bands[int(one.order[0])]
    assert first.low <= 6 / 32 < first.high
    assert one.scores.sort(descending=True).values[:2].diff() < -0.5


def test_neighbours_are_drawn_together():
    mask = torch.tensor([[0.1, 0.5, 0.4, 0.4]], dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad(mask.diff().abs().mean(), mask)
    torch.testing.assert_close(neighbour_slope(mask.detach()), expected)


def test_the_nearest_mask_within_a_budget():
    """Nothing within the budget is nearer, by trial; masks that are within it already are only cut to 0 and 1."""
    generator = torch.Generator().manual_seed(0)
    masks = 0.5 + torch.randn(20, 6, generator=generator, dtype=torch.float64)
    near = within_budget(masks, 0.3)
    assert near.mean(1).max() < 0.3 + 1e-9
    for other in torch.rand(200, 6, generator=generator, dtype=torch.float64):
        other = other * min(1.0, 0.3 / float(other.mean()))
        assert bool(((masks - near).norm(dim=1) <= (masks - other).norm(dim=1) + 1e-9).all())
    torch.testing.assert_close(within_budget(masks / 10 - 0.2, 0.3), (masks / 10 - 0.2).clamp(0, 1))


def test_a_smooth_band_mask_lies_side_by_side():
    """Of parts that alternate a little the best mask alternates; where differences cost more than that, it does not."""
    parts = torch.tensor([0.5, 0.48, 0.5, 0.48, 0.5, 0.48]).double()
    changes = []
    for smooth in (0, 0.5):
        method = f"band_mask:keep=.5,smooth={smooth}"
        (one,) = attribute(lambda v: v @ parts[:, None], torch.ones(1, 6).double(), value, method, "identity")
        assert float(one.extras["mask"].mean()) == pytest.approx(0.5, abs=1e-3)
        changes.append(float(one.extras["mask"].diff().abs().sum()))
    assert changes[0] > 4
    assert changes[1] < 2
