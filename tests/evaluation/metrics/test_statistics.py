"""Intervals: what they cover, that groups stay together, and that no order of examples changes them."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from hf_fourier.errors import InputError
from hf_fourier.evaluation.metrics import statistics
from hf_fourier.evaluation.metrics.statistics import group_names, interval, paired_interval, summarise


@pytest.mark.parametrize("of", ["mean", "median"])
def test_intervals_are_the_textbooks(of: str) -> None:
    """Whole groups are drawn, with the same draws, and what they hold is put together and reduced."""
    numbers = np.random.default_rng(3)
    groups = np.arange(40) % 11
    values = numbers.normal(size=40) * 0.3 + numbers.normal(size=11)[groups]
    draws = np.random.default_rng(5).integers(0, 11, (statistics.DRAWS, 11))
    pieces = [values[groups == i] for i in range(11)]
    found = [getattr(np, of)(np.concatenate([pieces[i] for i in draw])) for draw in draws]
    expected = tuple(np.quantile(found, [0.025, 0.975]))
    assert interval(values, list(groups), seed=5, of=of) == pytest.approx(expected, abs=1e-12)
    alone = interval(values, of=of)
    assert alone[1] - alone[0] < 0.8 * (expected[1] - expected[0])  # as if forty examples were forty groups


def test_intervals_cover(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "DRAWS", 400)
    numbers = np.random.default_rng(4)
    hits = [low <= 0 <= high for low, high in (interval(numbers.normal(size=50)) for _ in range(300))]
    assert 0.9 < np.mean(hits) < 0.98


def test_draws_in_pieces_are_draws_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    values, groups = list(np.random.default_rng(5).normal(size=30)), [i % 7 for i in range(30)]
    whole = [interval(values, groups, of=of) for groups in (None, groups) for of in ("mean", "median")]
    monkeypatch.setattr(statistics, "_AT_ONCE", 100)
    assert [interval(values, groups, of=of) for groups in (None, groups) for of in ("mean", "median")] == whole


def test_pairs() -> None:
    numbers = np.random.default_rng(6)
    level = numbers.normal(size=60) * 5
    a, b = level + 0.3 + numbers.normal(size=60) * 0.1, level + numbers.normal(size=60) * 0.1
    low, high = paired_interval(a, b)
    assert 0.2 < low < 0.3 < high < 0.4
    assert interval(a)[1] > interval(b)[0]  # unpaired, nothing would be seen
    assert paired_interval(a, b, ["one"] * 30 + ["two"] * 30) == interval(list(a - b), ["one"] * 30 + ["two"] * 30)
    with pytest.raises(InputError, match="60 and 59"):
        paired_interval(a, b[1:])


def test_summaries_do_not_depend_on_the_order() -> None:
    numbers = np.random.default_rng(7)
    values, groups = numbers.normal(size=50).tolist(), [str(i % 9) for i in range(48)] + [None, None]
    shuffled = numbers.permutation(50)
    for chosen in (None, groups):
        again = None if chosen is None else [chosen[i] for i in shuffled]
        assert summarise([values[i] for i in shuffled], again) == summarise(values, chosen)
    assert summarise(values, groups).groups == 11


def test_summaries_by_hand() -> None:
    found = summarise([1.0, 2.0, 6.0, math.nan], ["a", "a", "b", "b"])
    assert (found.mean, found.median, found.examples, found.groups, found.undefined) == (3, 2, 3, 2, 1)
    assert found.interval == (1.5, 6)
    lone = summarise([1.0, 2.0], ["a", "a"])
    assert lone.mean == 1.5
    assert all(math.isnan(end) for end in (*lone.interval, *lone.median_interval))
    nothing = summarise([math.nan])
    assert (nothing.examples, nothing.undefined) == (0, 1)
    assert math.isnan(nothing.mean)
    for wrong in (lambda: interval([]), lambda: interval([1.0], ["a", "b"]), lambda: summarise([1.0], [])):
        with pytest.raises(InputError):
            wrong()
    assert str(summarise([1.0, 1.0])) == "1.000 [1.000, 1.000], median 1.000, n = 2"


def test_the_interval_of_a_proportion_is_wilsons():
    """Values of the closed form: 8 of 10, and none of 10."""
    from hf_fourier.evaluation.metrics.statistics import mean_interval

    some = mean_interval([1] * 8 + [0] * 2, proportion=True)
    assert (some.mean, some.n) == (0.8, 10)
    assert (some.low, some.high) == pytest.approx((0.49016, 0.94331), abs=1e-4)
    none = mean_interval([0] * 10, proportion=True)
    assert (none.low, none.high) == pytest.approx((0, 0.27753), abs=1e-4)


def test_the_interval_of_a_mean_is_students():
    from scipy.stats import sem, t

    from hf_fourier.evaluation.metrics.statistics import mean_interval

    values = [1.0, 4.0, 2.0, 8.0, 5.0]
    found = mean_interval([*values, math.nan])
    half = t.ppf(0.975, 4) * sem(values)
    assert found.n == 5
    assert (found.low, found.high) == pytest.approx((4 - half, 4 + half))
    inside = mean_interval([0.0, 0.5, 1.0], proportion=True)
    assert (inside.low, inside.high) == (0.0, 1.0)
    assert math.isnan(mean_interval([]).mean)
    assert math.isnan(mean_interval([3.0]).low)
    zero = mean_interval([0.0] * 5)
    assert (zero.low, zero.high) == (0, 0)


def test_the_interval_of_a_mean_counts_groups():
    """Copies in one group bring no knowledge; where all agree, there are as many observations as groups."""
    from hf_fourier.evaluation.metrics.statistics import mean_interval

    values = [1.0, 4.0, 2.0, 8.0, 5.0]
    alone, copied = mean_interval(values), mean_interval(values * 3, groups=[*range(5)] * 3)
    assert (copied.low, copied.high) == pytest.approx((alone.low, alone.high))
    all_right = mean_interval([1] * 12, groups=[0, 1, 2, 3] * 3, proportion=True)
    assert all_right.low == pytest.approx(mean_interval([1] * 4, proportion=True).low)


def test_examples_whose_group_is_missing_are_groups_of_their_own() -> None:
    given = ["a", None, "a", None, float("nan"), float("nan"), pd.NA, pd.NA]
    names = group_names(given, 8)
    assert names[0] == names[2] == "a"
    assert len(set(names)) == 7
    assert group_names(None, 2) == ["0", "1"]


def test_intervals_are_drawn_with_seed_0_unless_another_is_given() -> None:
    values = np.random.default_rng(0).normal(size=20)
    assert interval(values) == interval(values, seed=0) != interval(values, seed=1)
