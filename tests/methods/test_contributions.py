"""Contributions that any method can carry: closed forms, totals, signs that agree with leaving out, and their cost."""

import math

import pytest
import torch

from hf_fourier import attribute
from hf_fourier.domains import DOMAINS
from hf_fourier.errors import InputError
from hf_fourier.methods import METHODS
from hf_fourier.methods.contributions import GENES, TEXTS, integrate, integrate_few
from hf_fourier.results.remarks import NO_GRADIENT_BEGINNING
from hf_fourier.scoring.heads import Binary, Categorical, Regression
from hf_fourier.scoring.references import Reference
from hf_fourier.seeding import ExampleRng
from tests.toy_scores import METHOD_SPECS, Curved, Linear, Smooth, Weighted, noise, score_of, signal, value

DOMAINS_HERE = ("fourier", "identity", "cosine", "wavelet", "wavelet:bior2.2,level=2")


def entries(result):
    return result.contributions.by_entry(result.signal, result.basis)


class Waves(torch.nn.Module):
    """Logits (Σ_p a_p sin(3π x_p / 4), 0): at x_p = ±1 the gradient has the wrong sign for every position."""

    amplitudes = torch.tensor([2.0, -1.0, 0.5, -3.0, 1.5, -0.25], dtype=torch.float64)

    def forward(self, x):
        z = (self.amplitudes * (0.75 * math.pi * x).sin()).sum(1)
        return torch.stack([z, torch.zeros_like(z)], 1)


@pytest.mark.parametrize("domain", DOMAINS_HERE)
@pytest.mark.parametrize("points", [1, 3])
def test_a_linear_score_has_its_weights(domain, points):
    model, x = Weighted(7, 6), noise(2, 7, 6)
    results = attribute(model, x, value, "magnitude", domain, contributions=points)
    for one, row in zip(results, x, strict=True):
        torch.testing.assert_close(entries(one), row * model.weight.detach())
        pulled = one.basis.pullback(model.weight.detach()[None])
        by_feature = one.contributions.by_feature(one.signal, one.basis)
        torch.testing.assert_close(by_feature, one.basis.inner(pulled, one.basis.forward(row[None]))[0])
        total = float((row * model.weight).sum())
        assert one.contributions.total == pytest.approx(total)
        assert float(by_feature.sum()) == pytest.approx(total)
        assert one.contributions.completeness_error == pytest.approx(0, abs=1e-9)
        assert (one.contributions.quantity, one.contributions.points) == ("score", points)


@pytest.mark.parametrize("domain", ["fourier", "wavelet:bior2.2,level=2"])
def test_the_sums_are_the_total_and_the_error_that_is_stated(domain):
    model, x = Curved(7, 6), noise(3, 7, 6)
    errors = []
    for points in (2, 64):
        results = attribute(model, x, value, "random", domain, contributions=points)
        for one, row in zip(results, x, strict=True):
            signed, difference = one.contributions, float(model(row[None]) - model(torch.zeros(1, 7, 6).double()))
            assert signed.total == pytest.approx(difference)
            assert float(entries(one).sum()) == pytest.approx(signed.sum)
            assert float(signed.by_feature(one.signal, one.basis).sum()) == pytest.approx(signed.sum)
        errors.append(sum(abs(one.contributions.completeness_error) for one in results))
    assert errors[0] > 1e-3
    assert errors[1] < 0.02 * errors[0]


def test_the_top_features_have_their_own_sum():
    (one,) = attribute(Curved(8, 9), noise(1, 8, 9), value, "magnitude", contributions=3)
    by_feature = one.contributions.by_feature(one.signal, one.basis)
    for fraction in (0.0, 0.1, 0.5, 1.0):
        mask = one.mask(fraction)
        part = one.contributions.by_entry(one.signal, one.basis, mask)
        assert float(part.sum()) == pytest.approx(float(by_feature[mask].sum()), abs=1e-9)


@pytest.mark.parametrize("points", [1, 4])
def test_a_classifier_has_the_log_odds_of_its_answer(points):
    """Which are linear here, though log p is not."""
    model, x = Linear(2, 6), noise(3, 6)
    for one, row in zip(attribute(model, x, contributions=points), x, strict=True):
        weight = (model.weight[one.target] - model.weight[1 - one.target]).detach()
        torch.testing.assert_close(entries(one), row * weight)
        assert one.contributions.quantity == "log-odds"
        assert one.contributions.total == pytest.approx(float((row * weight).sum()))


def test_of_a_sure_answer_too():
    """Of which log p is 0 to rounding, and its gradient too."""
    model, x = Linear(2, 6), 1e4 * noise(2, 6)
    for one, row in zip(attribute(model, x, contributions=4), x, strict=True):
        weight = (model.weight[one.target] - model.weight[1 - one.target]).detach()
        torch.testing.assert_close(entries(one), row * weight)


@pytest.mark.parametrize(
    ("head", "quantity"), [(Categorical(), "log-odds"), (Binary(), "log-odds"), (Regression(), "score")]
)
def test_the_quantity_of_each_head(head, quantity):
    score = score_of(Smooth(3, 6).eval(), noise(2, 6), head)
    (path,) = integrate(score, score.signal, 40)
    assert path.quantity == quantity
    before, after = (score.value(x) for x in (torch.zeros_like(score.signal), score.signal))
    name = "value" if quantity == "score" else "logit_margin"
    torch.testing.assert_close(path.difference, getattr(after, name) - getattr(before, name))
    torch.testing.assert_close(((score.signal - path.start) * path.mean).sum(1), path.difference, rtol=1e-2, atol=1e-3)


def few_of(score, mix, weights):
    """`integrate_few` written out: the start, the mean gradient and the total."""
    x = score.signal
    mix = mix if len(score.references()) == 2 else (1,)
    start = sum(weight * one.signal for weight, one in zip(mix, score.references(), strict=True)).expand_as(x)
    mean = torch.zeros_like(x)
    for weight, place in zip(weights, (0, 0.25, 0.5, 0.75, 1), strict=True):
        there = score.value_and_gradient(start + place * (x - start))
        slope = 1 if there.reading.log_odds is not None else there.reading.dvalue_dmargin.unsqueeze(1)
        mean = mean + weight * slope * there.margin_gradient
    return start, mean, score.value(x).evidence - score.value(start).evidence


@pytest.mark.parametrize("head", [Categorical(), Binary(), Regression()])
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize(
    ("few", "mix", "weights"),
    [
        (TEXTS, (0.5, 0.5), (0.125, 0.25, 0.25, 0.25, 0.125)),
        (GENES, (0.4, 0.6), (0, 1 / 6, 1 / 3, 1 / 3, 1 / 6)),
    ],
)
def test_few_points_lie_on_the_path_from_a_mix(head, count, known, few, mix, weights):
    score = score_of(Smooth(3, 6).eval(), noise(2, 6), head)
    references = [Reference(noise(2, 1) * j, f"reference {j}") for j in range(1, count + 1)]
    score.references = lambda: references
    if known:
        score.clean()
    before = score.passes.forward, score.passes.backward
    path = integrate_few(score, score.signal, few)
    cost = (score.passes.forward - before[0]) / 2, (score.passes.backward - before[1]) / 2
    at_start = weights[0] > 0
    assert cost == ((4, 3 + at_start) if known else (5, 4 + at_start))
    start, mean, difference = few_of(score, mix, weights)
    torch.testing.assert_close(path.start.expand_as(start), start)
    torch.testing.assert_close(path.mean, mean)
    torch.testing.assert_close(path.difference, difference)
    assert path.points == 4 + at_start
    first, second = (f"{100 * weight:.0f} % reference {j}" for j, weight in enumerate(mix, 1))
    assert path.words == ("reference 1" if count == 1 else f"a mix of {first} and {second}")


@pytest.mark.parametrize("goal", ["output", "logits"])
@pytest.mark.parametrize("base", ["response", "probes"])
def test_the_clean_gradient_of_tracking_serves_contributions(goal, base):
    method = METHODS.parse(f"tracking:goal={goal},base={base}")
    score = score_of(Smooth(3, 6).eval(), noise(2, 6), Categorical())
    basis = DOMAINS.parse("fourier").bind(signal(6))
    found = method.attribute(score, score.signal, basis, ExampleRng(0, range(2)))
    before = score.passes.backward
    clean = score.clean()
    assert score.passes.backward == before
    torch.testing.assert_close(clean.gradient, found.gradient)
    again = score_of(Smooth(3, 6).eval(), noise(2, 6), Categorical()).clean()
    torch.testing.assert_close(clean.margin_gradient, again.margin_gradient)


def test_several_masked_answers_have_the_score_itself():
    """The margin of a mean over positions is no quantity of its own: only its gradient is."""

    def each_position(x):
        return torch.stack([x, -x, 0 * x], -1)

    (one,) = attribute(lambda x: {"logits": each_position(x).flatten(1)}, noise(1, 5), contributions=2)
    assert one.contributions.quantity == "log-odds"
    logits = each_position(noise(2, 5))
    frozen = Categorical().freeze(logits, [None, None])
    assert Categorical().read(logits, frozen).log_odds is None
    assert torch.equal(Categorical().read(logits, frozen).evidence, Categorical().read(logits, frozen).value)


def test_signs_agree_with_leaving_out_where_the_gradient_does_not():
    x = torch.tensor([[1.0, 1, -1, 1, -1, -1]], dtype=torch.float64)
    (one,) = attribute(Waves(), x, 0, "gradient_input", "identity", contributions=8)
    whole = Waves()(x)[0, 0]
    lost = torch.stack([whole - Waves()(x * (torch.arange(6) != p))[0, 0] for p in range(6)])
    assert torch.equal(entries(one).sign(), lost.sign())
    assert torch.equal(one.scores.sign(), -lost.sign())
    torch.testing.assert_close(entries(one), lost, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("method", METHOD_SPECS)
def test_every_method_carries_them_at_the_stated_cost(method):
    model, x = Smooth(3, 5, 6, dtype=torch.float32).eval(), noise(3, 5, 6, dtype=torch.float32)
    bare = attribute(model, x, method=method, contributions=0)
    for one, without in zip(attribute(model, x, method=method, contributions=4), bare, strict=True):
        torch.testing.assert_close(one.scores, without.scores)
        assert without.contributions is None
        assert one.contributions.gradient.shape == (1, 5, 6)
        assert [reference.numel() for reference in one.contributions.reference] == [1]
        assert one.contributions.references == ("zero everywhere",)
        assert one.provenance["contributions"] == 4
        own_path = method.startswith("integrated_gradients")
        cost = [one.provenance["passes"][way] - without.provenance["passes"][way] for way in ("forward", "backward")]
        assert cost == ([0, 0] if own_path else [5, 4])


def test_integrated_gradients_have_those_of_their_own_path():
    model, x = Smooth(3, 5, 6).eval(), noise(2, 5, 6)
    for one in attribute(model, x, method="integrated_gradients:steps=6"):
        signed = one.contributions
        torch.testing.assert_close(signed.by_feature(one.signal, one.basis), one.scores)
        assert (signed.quantity, signed.points) == ("score", 6)
        assert signed.completeness_error == pytest.approx(one.completeness_error, abs=1e-9)
        zero = attribute(model, torch.zeros_like(x[:1]), one.target)[0].value
        assert signed.total == pytest.approx(one.value - zero)
        assert "contributions" not in one.provenance


def test_several_references_are_averaged():
    model, x = Curved(6), noise(2, 6)
    score = score_of(model, x, Regression())
    starts = [noise(2, 6, seed=5), torch.ones(2, 1).double()]
    score.references = lambda: [Reference(start, f"number {i}") for i, start in enumerate(starts)]
    paths = integrate(score, score.signal, 50)
    assert [path.words for path in paths] == ["number 0", "number 1"]
    assert score.passes.backward == 2 * 100
    for path, start in zip(paths, starts, strict=True):
        alone = score_of(model, x, Regression())
        alone.references = lambda: [Reference(start, "")]  # noqa: B023
        (only,) = integrate(alone, alone.signal, 50)
        torch.testing.assert_close(path.mean, only.mean)
        torch.testing.assert_close(((x - start) * path.mean).sum(1), path.difference, rtol=1e-2, atol=1e-2)


def test_the_batch_changes_nothing():
    model, x = Smooth(3, 5, 6, dtype=torch.float32).eval(), noise(5, 5, 6, dtype=torch.float32)
    together = attribute(model, x, contributions=3)
    for i, one in enumerate(together):
        for other in (
            attribute(model, x[i : i + 1], contributions=3)[0],
            attribute(model, x, contributions=3, batch_size=2)[i],
        ):
            torch.testing.assert_close(entries(one), entries(other), rtol=1e-4, atol=1e-5)
            assert one.contributions.total == pytest.approx(other.contributions.total, rel=1e-4, abs=1e-5)


def test_what_is_not_finite_on_the_way_is_left_out_and_said():
    """A logarithm has no value at zero: the ranking is there, its contributions are not."""

    def forward(x):
        z = x.abs().sum(1).log()
        return torch.stack([z, -z], 1)

    for one in attribute(forward, noise(2, 5) + 3, method="ffc", contributions=4):
        assert one.scores.isfinite().all()
        assert one.contributions is None
        (note,) = [note for note in one.provenance["notes"] if not note.startswith(NO_GRADIENT_BEGINNING)]
        assert note.startswith("no contributions: ")
        assert "zero everywhere" in note


@pytest.mark.parametrize("wrong", [-1, True])
def test_wrong_points(wrong):
    with pytest.raises(InputError, match="contributions"):
        attribute(Linear(2, 6), noise(1, 6), contributions=wrong)
