"""What sanity checks conclude from numbers that are given: gains, completeness errors, shared tops."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from hf_fourier import attribute
from hf_fourier.evaluation import sanity_checks
from hf_fourier.evaluation.results import Check, _interval
from hf_fourier.evaluation.sanity_checks import BATCH, SanityChecks, _change, _flat, _mean, _with
from hf_fourier.methods import METHODS
from hf_fourier.results.attribution import Attribution
from tests.toy_scores import Linear, noise

FEATURES = 100


def result(scores: Any, **options: Any) -> Attribution:
    """A result of a hundred features, of which the top 4 % are the four largest."""
    (made,) = attribute(Linear(2, FEATURES).eval(), noise(1, FEATURES), domain="identity", method="saliency")
    return replace(made, scores=torch.as_tensor(scores, dtype=torch.float64), **options)


def ranked(*top: int) -> Attribution:
    """These features first, the others in their order."""
    scores = -torch.arange(FEATURES, dtype=torch.float64)
    scores[list(top)] = 10.0
    return result(scores)


def checks(**facts: Any) -> SanityChecks:
    """Checks that know these facts, and have no model."""
    made = object.__new__(SanityChecks)
    known = {"callable": False, "seeded": False, "seed": 0, "method": METHODS.parse("saliency"), **facts}
    for name, value in known.items():
        made.__dict__[name] = value
    return made


def gain(low: float, high: float, method: str = "saliency") -> Check:
    row = {"method": method, "mean": 0.5, "gap_magnitude": (low + high) / 2, "gap_low": low, "gap_high": high, "n": 7}
    (found,) = checks(_rows={"maintain_rate": row, "insertion": row}).gain_over_magnitude()
    return found


@pytest.mark.parametrize(
    ("low", "high", "good", "words"),
    [
        (0.1, 0.3, True, "better than"),
        (0.0, 0.3, False, "not shown to be better than"),
        (-0.1, 0.3, False, "not shown to be better than"),
        (-0.3, 0.0, False, "not shown to be better than"),
        (-0.3, -0.1, False, "worse than"),
        (math.nan, math.nan, False, "not shown to be better than"),
    ],
)
def test_a_gain_is_shown_by_its_low_end(low: float, high: float, good: bool, words: str) -> None:
    found = gain(low, high)
    assert (found.name, found.passed, found.examples) == ("gain over magnitude: maintain_rate", good, 7)
    assert found.words.startswith(f"{words} the magnitude ranking")


def test_the_magnitude_is_not_better_than_itself() -> None:
    assert gain(0.0, 0.0, "magnitude").words.startswith("the same as the magnitude")
    (skipped,) = checks(callable=True).gain_over_magnitude()
    assert skipped.passed is None


@pytest.mark.parametrize(
    ("low", "selectivity", "good"),
    [(0.1, [0.5, 0.6, 0.7], True), (-0.1, [0.5, 0.6, 0.7], False), (0.0, [0.5, 0.6, 0.7], False),
     (0.1, [0.2, 0.3, 0.4], False), (0.1, [0.1, 0.2, 0.3], False)],
)  # fmt: skip
def test_wrong_labels_are_reached_less_than_by_chance(low: float, selectivity: list[float], good: bool) -> None:
    """The selectivity's low end is above 0, and so is that of its gain over a random order's (.2, .3, .4)."""
    name, groups = "selectivity (random)", ["a", "b", "c"]
    rows = {
        name: {"mean": 0.5, "low": low, "high": 0.9, "n": 3},
        "wrong_reached_at_0.04 (random)": {"mean": 0.125},
    }
    values = {"saliency": selectivity, "random": [0.2, 0.3, 0.4]}
    evaluation = SimpleNamespace(of=lambda spec: SimpleNamespace(values={name: values[spec]}))
    made = checks(_rows=rows, _evaluation=evaluation, groups=groups)
    found = made._wrong_label_control("wrong-label control")
    assert (found.passed, found.value, found.interval, found.examples) == (good, 0.5, (low, 0.9), 3)
    assert ("hardly more often" in found.words) == (not good)
    assert "it reaches 0.12 of them" in found.words
    lone = checks(_rows=rows, _evaluation=evaluation, groups=["a"] * 3)._wrong_label_control("wrong-label control")
    assert not lone.passed  # one group has no interval


def complete(*pairs: tuple[float, float]) -> Check:
    """A check of scores with these sums and errors."""
    results = []
    for total, error in pairs:
        scores = torch.zeros(FEATURES)
        scores[0] = total
        results.append(result(scores, completeness_error=error))
    groups = list(map(str, range(len(results))))
    return checks(attributions=results, groups=groups, method=METHODS.parse("gradient_input")).completeness()


def test_completeness_is_judged_by_the_median() -> None:
    """Errors of 4.9, 4 and 50 % of what is explained."""
    found = complete((2.098, 0.098), (0.96, -0.04), (3.0, 1.0))
    assert (found.passed, found.examples) == (True, 3)
    assert found.value == pytest.approx(0.049, rel=1e-5)
    assert "4.9% in the median and by at most 50.0%" in found.words
    assert not complete((2.102, 0.102)).passed
    assert complete((2.0, 2.0), (1.0, 0.0)).examples == 1  # nothing to explain in one of them
    nothing = complete((2.0, 2.0))
    assert (nothing.passed, nothing.words) == (False, "the difference to explain is 0 everywhere")
    assert checks(attributions=[], groups=[]).completeness().passed is None


def test_two_seeds_share_more_than_half_of_the_top() -> None:
    pairs = [ranked(0, 1, 2, 3), ranked(1, 2, 3, 4)]
    facts = {"seeded": True, "groups": ["a", "b"], "attributions": pairs, "reseeded": pairs}
    assert checks(seed_overlaps=[0.75, 0.75], **facts).seed_variance().passed
    assert not checks(seed_overlaps=[0.5, 0.5], **facts).seed_variance().passed
    assert not checks(seed_overlaps=[0.25, 1.0], **facts).seed_variance().passed  # its low end is 0.25
    assert checks().seed_variance().passed is None


def depends(attributions: list[Attribution], others: list[Attribution], overlaps: list[float] | None = None) -> Check:
    made = checks(
        attributions=attributions,
        seed_overlaps=overlaps or [1.0] * len(attributions),
        groups=[str(i) for i in range(len(attributions))],
        _magnitude=attributions,
    )
    return made._dependence("weights", others, "with fresh weights", "the weights", ", a hint")


def test_how_much_of_the_top_goes_with_the_model() -> None:
    """Four features of a hundred: by chance 4 % are shared, so that three of four shared are (1 − .75) / .96 lost."""
    same, other = [ranked(0, 1, 2, 3)] * 3, [ranked(7, 1, 2, 3)] * 3
    found = depends(same, other)
    assert found.value == pytest.approx(0.25 / 0.96)
    assert (found.passed, found.examples) == (True, 3)
    assert "0.75 of the top 4 % are the same" in found.words
    assert "chance 0.04)" in found.words
    kept = depends(same, same)
    assert (kept.passed, kept.value) == (False, 0.0)
    assert kept.words.endswith("; 1.00 of the top is also in the magnitude's top, a hint")
    gone = depends(same, [ranked(50, 51, 52, 53)] * 3)
    assert gone.value == pytest.approx(1 / 0.96)
    noisy = depends(same, other, [0.85] * 3)  # the method's own repetition shares no more than .85
    assert noisy.value == pytest.approx(0.1 / 0.81)


def test_examples_without_a_ranking_are_left_out() -> None:
    flat, same, other = result(torch.ones(FEATURES)), ranked(0, 1, 2, 3), ranked(50, 51, 52, 53)
    found = depends([same, flat, same], [other, other, flat])
    assert found.examples == 1
    assert found.words.endswith("; 2 examples without a ranking left out")
    nothing = depends([flat], [other])
    assert (nothing.passed, "nothing is ranked" in nothing.words) == (False, True)
    lost = depends([same], [flat])
    assert (lost.passed, "no ranking to compare with" in lost.words) == (None, True)
    unstable = depends([same, same], [other, other], [0.1, 0.13])
    assert (unstable.passed, unstable.examples) == (False, 2)
    assert "another seed gives a different top (0.12 shared)" in unstable.words


def test_small_parts() -> None:
    assert _flat(result(torch.ones(FEATURES)))
    assert not _flat(ranked(1))
    one, double, zero = ranked(1), result(2 * ranked(1).scores), result(torch.zeros(FEATURES))
    assert _change(one, double) == pytest.approx(1)
    assert _change(double, one) == pytest.approx(0.5)
    assert _change(zero, zero) == 0
    assert _change(zero, one) == math.inf
    assert _mean([1.0, math.nan, 3.0]) == 2
    assert math.isnan(_mean([math.nan]))
    assert _with(0.123, (0.1, 0.2)) == "0.12 [0.10, 0.20]"
    assert _with(0.123, (math.nan, math.nan)) == "0.12"


@pytest.mark.parametrize(("change", "passed"), [(BATCH, True), (1.01 * BATCH, False)])
def test_a_change_in_a_batch_may_reach_the_limit(change: float, passed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sanity_checks, "_change", lambda alone, among: change)
    of_batches: Any = SimpleNamespace(
        batch_size="auto", examples=["a", "b"], targets=[None, None], seed=0,
        explainer=SimpleNamespace(model=Linear(2, 3)),
        _explain=lambda examples, targets, seed: [ranked(1)] * len(examples),
    )  # fmt: skip
    assert SanityChecks.batch_invariance(of_batches).passed is passed


def test_what_was_not_measured_is_left_blank() -> None:
    row = {"mean": 0.5, "low": 0.25, "high": 0.75}
    assert _interval(row, "mean", "low", "high") == "0.500 [0.250, 0.750]"
    assert _interval({**row, "low": math.nan}, "mean", "low", "high") == "0.500"
    assert _interval({**row, "mean": math.nan}, "mean", "low", "high") == ""
    assert _interval(None, "mean", "low", "high") == ""
