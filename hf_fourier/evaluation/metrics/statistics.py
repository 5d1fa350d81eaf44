"""Means and medians with bootstrap intervals by groups: examples of one group are drawn together."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hf_fourier.errors import InputError
from hf_fourier.results.gene_groups import group_name

DRAWS, LEVEL = 5000, 0.95
#: With fewer groups a row is anecdotal.
MIN_GROUPS = 30
Kind = Literal["mean", "median"]
Numbers = Sequence[float] | np.ndarray
_KINDS: tuple[Kind, Kind] = ("mean", "median")
_NONE, _UNKNOWN = math.nan, (math.nan, math.nan)
#: Numbers drawn at once, at most.
_AT_ONCE = 2**24


def interval(
    values: Numbers,
    groups: Sequence[Hashable] | None = None,
    seed: int = 0,
    of: Kind = "mean",
) -> tuple[float, float]:
    """A percentile bootstrap interval (95 %) of the mean or the median (Efron 1979).

    Args:
        values: One number per example.
        groups: The group of each example; whole groups are drawn. None for one each.
        seed: Of the draws; equal seeds, values and groups give equal intervals.
        of: The statistic.

    Raises:
        InputError: If there are no values, or not one group for each.
    """
    sample = np.asarray(values, dtype=float)
    names = list(range(len(sample))) if groups is None else list(groups)
    if not len(sample) or len(names) != len(sample):
        got = f"{len(sample)} values with {len(names)} groups"
        raise InputError(got, "at least one value, and a group for each", "pass one of both per example")
    places = {name: i for i, name in enumerate(dict.fromkeys(names))}
    index = np.asarray([places[name] for name in names])
    drawn = _means(sample, index, seed) if of == "mean" else _medians(sample, index, seed)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def paired_interval(
    a: Numbers, b: Numbers, groups: Sequence[Hashable] | None = None, seed: int = 0
) -> tuple[float, float]:
    """The interval of the mean of a − b, pair by pair: two methods on the same examples.

    Raises:
        InputError: If they are not equally many, or there are none.
    """
    if len(a) != len(b):
        raise InputError(f"{len(a)} and {len(b)} values", "as many of each", "pair them by example")
    return interval([x - y for x, y in zip(a, b, strict=True)], groups, seed)


@dataclass(frozen=True)
class Summary:
    """One number per example, reduced.

    Attributes:
        mean: Over the examples that have a number; NaN if none has.
        median: Likewise.
        interval: The mean's 95 % bootstrap interval; NaN with fewer than two groups.
        median_interval: The median's.
        examples: How many have a number.
        groups: How many groups they come from.
        undefined: How many have none (NaN: a ratio to 0, a correlation of constants).
    """

    mean: float
    median: float
    interval: tuple[float, float]
    median_interval: tuple[float, float]
    examples: int
    groups: int
    undefined: int

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.mean:.3f} [{low:.3f}, {high:.3f}], median {self.median:.3f}, n = {self.examples}"


def summarise(values: Numbers, groups: Sequence[str | None] | None = None, seed: int = 0) -> Summary:
    """Mean, median and their intervals. None of them depends on the order of the examples.

    Args:
        values: One number per example; NaN where it is undefined.
        groups: The name of each example's group, None for a group of its own; None for all such.
        seed: Of the bootstrap.

    Raises:
        InputError: If there is not one group for each value.
    """
    given = [None] * len(values) if groups is None else list(groups)
    if len(given) != len(values):
        raise InputError(
            f"{len(values)} values with {len(given)} groups", "one for each", "pass one of both per example"
        )
    pairs = sorted((name or "", x) for name, x in zip(given, values, strict=True) if not math.isnan(x))
    defined, names = [x for _, x in pairs], [name or i for i, (name, _) in enumerate(pairs)]
    count, undefined = len(set(names)), len(values) - len(defined)
    if not defined:
        return Summary(_NONE, _NONE, _UNKNOWN, _UNKNOWN, 0, 0, undefined)
    mean, median = math.fsum(defined) / len(defined), float(np.median(defined))
    ends = [interval(defined, names, seed, of) if count > 1 else _UNKNOWN for of in _KINDS]
    return Summary(mean, median, ends[0], ends[1], len(defined), count, undefined)


@dataclass(frozen=True)
class MeanInterval:
    """A mean with its 95 % interval.

    Attributes:
        mean: Over the examples that have a number; NaN if none has.
        low: The lower end; NaN with fewer than two examples or groups.
        high: The upper end.
        n: How many examples have a number.
    """

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.mean:.3g} [{self.low:.3g}, {self.high:.3g}]"


def mean_interval(values: Numbers, groups: Sequence[Hashable] | None = None, proportion: bool = False) -> MeanInterval:
    """The mean with an interval by formula, where thousands of them are needed and a bootstrap takes too long.

    Of proportions of independent examples that are 0 or 1, and where all examples are alike, it is Wilson's (1927);
    else Student's t with the standard error of group sums (Liang and Zeger 1986), of proportions cut to 0 and 1.

    Args:
        values: One number per example; NaN where it is undefined.
        groups: The group of each example; None for independent ones.
        proportion: Whether the values are parts of a whole, 0 to 1.
    """
    from scipy.stats import t

    sample = np.asarray(values, dtype=float)
    known = np.isfinite(sample)
    defined, n = sample[known], int(known.sum())
    if not n:
        return MeanInterval(_NONE, _NONE, _NONE, 0)
    mean = float(defined.mean())
    names = np.arange(n) if groups is None else np.unique(np.asarray(groups, dtype=str)[known], return_inverse=True)[1]
    alike = groups is not None and mean in (0.0, 1.0)  # without spread: as many observations as groups
    if proportion and np.isin(defined, (0.0, 1.0)).all() and (groups is None or alike):
        z2, count = 1.959964**2, int(names.max()) + 1
        centre = mean + z2 / (2 * count)
        spread = math.sqrt(mean * (1 - mean) * z2 / count + (z2 / (2 * count)) ** 2)
        return MeanInterval(mean, (centre - spread) / (1 + z2 / count), (centre + spread) / (1 + z2 / count), n)
    sums = np.bincount(names, defined - mean)
    if len(sums) < 2:
        return MeanInterval(mean, _NONE, _NONE, n)
    error = math.sqrt((sums**2).sum() * len(sums) / (len(sums) - 1)) / n
    half = float(t.ppf((1 + LEVEL) / 2, len(sums) - 1)) * error
    low, high = (max(0.0, mean - half), min(1.0, mean + half)) if proportion else (mean - half, mean + half)
    return MeanInterval(mean, low, high, n)


def group_names(groups: Sequence[object] | None, count: int, unit: str = "examples") -> list[str]:
    """The name of each example's group; without groups each is its own.

    Args:
        groups: One per example, or None. An example whose group is missing (None, NaN, "") is a group of its own.
        count: How many examples there are.
        unit: What they are, for the message.

    Raises:
        InputError: If there is not one group for each.
    """
    names = [str(place) for place in range(count)] if groups is None else list(map(group_name, groups))
    if len(names) != count:
        raise InputError(f"{len(names)} groups for {count} {unit}", "one for each", "correct `groups`")
    return [name or f"example {place}" for place, name in enumerate(names)]


def _draws(count: int, width: int, seed: int) -> Iterator[np.ndarray]:
    """Indices of the drawn groups, `(draws, count)`, in pieces whose rows times `width` fit into memory."""
    generator, step = np.random.default_rng(seed), max(1, _AT_ONCE // max(1, width))
    for start in range(0, DRAWS, step):
        yield generator.integers(0, count, (min(step, DRAWS - start), count))


def _means(sample: np.ndarray, index: np.ndarray, seed: int) -> np.ndarray:
    sums, counts = np.bincount(index, sample), np.bincount(index)
    return np.concatenate([sums[d].sum(1) / counts[d].sum(1) for d in _draws(len(sums), len(sums), seed)])


def _medians(sample: np.ndarray, index: np.ndarray, seed: int) -> np.ndarray:
    """Medians of the drawn examples, from how often each is drawn."""
    order = np.argsort(sample, kind="stable")
    ranked, owner, count = sample[order], index[order], int(index.max()) + 1
    medians = []
    for draw in _draws(count, len(sample), seed):
        cells = draw + count * np.arange(len(draw))[:, None]
        times = np.bincount(cells.ravel(), minlength=draw.size).reshape(draw.shape)[:, owner].cumsum(1)
        total = times[:, -1:]
        lower, upper = ((times <= (total - 1) // 2).sum(1), (times <= total // 2).sum(1))
        medians.append((ranked[lower] + ranked[upper]) / 2)
    return np.concatenate(medians)
