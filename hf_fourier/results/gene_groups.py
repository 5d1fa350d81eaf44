"""Scores of genes by groups of cells: sums that are gathered in one pass, and Welch's test on them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import sparse, stats

from hf_fourier.errors import InputError
from hf_fourier.results.table import Table

REST = "rest"
_NUMBER = re.compile(r"\d+")
_SUMS = ("cells", "seen", "totals", "spreads")
#: A spread below this fraction of the numbers is what rounding leaves of equal ones.
ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class NoteCounts:
    """Counts cells by their notes; notes that differ in numbers, or behind a colon, are of one kind.

    Attributes:
        counted: How many cells were counted, as "cells".
        kinds: By kind how many cells have it, the first of them, its note, and whether all notes are equal.
    """

    counted: Counter[str] = field(default_factory=Counter)
    kinds: dict[str, tuple[int, str, str, bool]] = field(default_factory=dict)

    def add(self, name: str, notes: Iterable[str]) -> None:
        """Count one cell."""
        self.counted["cells"] += 1
        for kind, note in {_NUMBER.sub("#", note.partition(": ")[0]): note for note in notes}.items():
            count, first, example, equal = self.kinds.get(kind, (0, name, note, True))
            self.kinds[kind] = count + 1, first, example, equal and note == example

    def lines(self) -> tuple[str, ...]:
        """One line for each kind: "3 of 8 cells, such as c0: 2 of 90 expressed genes are not in …"."""
        return tuple(
            f"{count} of {self.counted['cells']} cells{'' if equal else f', such as {first}'}: {note}"
            for count, first, note, equal in self.kinds.values()
        )


def group_name(value: Any) -> str:
    """The name of a group; "" for None, NaN and the missing values of pandas."""
    try:
        return "" if value is None or value != value else str(value)
    except TypeError:  # pandas.NA is neither equal nor unequal to anything
        return ""


@dataclass(frozen=True, eq=False)
class GroupSums:
    """What a comparison of groups needs of any number of cells.

    Attributes:
        groups: Their names.
        cells: Cells of each group, shape `(groups,)`.
        seen: Cells of each group in which each gene was seen, shape `(groups, genes)`.
        totals: Sums of the scores, likewise.
        spreads: Sums of their squared deviations from the group's mean, likewise. (Sums of squares would lose the
            spread of scores that are nearly equal.)
        rest: Where rows are means of samples: of each group the sums over samples of the mean of its other groups.
        pairs: Where rows are means of samples: the rows of those that are on both sides of a test, by group and
            reference.
    """

    groups: tuple[str, ...]
    cells: np.ndarray
    seen: np.ndarray
    totals: np.ndarray
    spreads: np.ndarray
    rest: GroupSums | None = field(default=None, kw_only=True)
    pairs: Callable[[str, str], tuple[np.ndarray, np.ndarray]] | None = field(default=None, kw_only=True)

    @classmethod
    def empty(cls, groups: tuple[str, ...], genes: int) -> GroupSums:
        """Of no cells."""
        return cls(groups, np.zeros(len(groups)), *(np.zeros((len(groups), genes)) for _ in range(3)))

    @property
    def sizes(self) -> dict[str, float]:
        """How many cells each group has."""
        return dict(zip(self.groups, self.cells.tolist(), strict=True))

    def among(self, reference: str) -> tuple[str, ...]:
        """The groups that can be tested; see `comparable`."""
        return comparable(self.sizes, reference, None if self.rest is None else self.rest.sizes)

    def ordered(self) -> GroupSums:
        """The same with the groups by name."""
        order = sorted(range(len(self.groups)), key=lambda i: self.groups[i])
        return GroupSums(tuple(self.groups[i] for i in order), *(getattr(self, name)[order] for name in _SUMS))

    def widened(self, groups: Iterable[str]) -> GroupSums:
        """The same with further groups, of no cells yet."""
        more = tuple(name for name in groups if name not in self.groups)
        if not more:
            return self
        added = GroupSums.empty(more, self.totals.shape[1])
        both = (np.concatenate([getattr(one, name) for one in (self, added)]) for name in _SUMS)
        return GroupSums((*self.groups, *more), *both)

    def add(self, scores: sparse.csr_array, groups: Sequence[str]) -> None:
        """Add the cells of a sparse matrix, `(cells, genes)`, each with its group; those of no group are left out."""
        places = {name: i for i, name in enumerate(self.groups)}
        grouped = [i for i, name in enumerate(groups) if name in places]
        if not grouped:
            return
        scores = scores[grouped]
        codes = np.array([places[groups[i]] for i in grouped], dtype=int)
        member = sparse.csr_array((np.ones(len(codes)), (codes, np.arange(len(codes)))), (len(self.groups), len(codes)))
        values = scores.astype(np.float64)
        of_each = np.repeat(codes, np.diff(values.indptr))

        def summed(data: np.ndarray) -> np.ndarray:
            sums: np.ndarray = (
                member @ sparse.csr_array((data, values.indices, values.indptr), values.shape)
            ).toarray()
            return sums

        cells = np.bincount(codes, minlength=len(self.groups))
        seen, totals = summed(np.ones(len(values.data))), summed(values.data)
        means = totals / np.maximum(cells, 1)[:, None]
        spreads = summed((values.data - means[of_each, values.indices]) ** 2) + (cells[:, None] - seen) * means**2
        apart = means - self.totals / np.maximum(self.cells, 1)[:, None]
        spreads += (self.cells * cells / np.maximum(self.cells + cells, 1))[:, None] * apart**2
        for own, added in ((self.cells, cells), (self.seen, seen), (self.totals, totals), (self.spreads, spreads)):
            own += added


def row_means(scores: sparse.csr_array, keys: Sequence[Any]) -> sparse.csr_array:
    """The mean row of each key, in the order of their first rows; entries stay where any row has one, also of 0."""
    places = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    codes = np.array([places[key] for key in keys], dtype=int)
    entries = scores.tocoo()
    parts = entries.data / np.bincount(codes, minlength=1)[codes[entries.row]]
    return sparse.csr_array((parts, (codes[entries.row], entries.col)), (len(places), scores.shape[1]))


def rest_by_sample(
    names: tuple[str, ...], scores: sparse.csr_array, groups: Sequence[str], samples: Sequence[str]
) -> GroupSums:
    """What each group is compared with where rows are means of samples: one row for each sample, not for each group.

    It is the mean of the sample's other groups, which count alike however many cells they have; samples without others
    are left out.
    """
    rest = GroupSums.empty(names, scores.shape[1])
    for name in names:
        rows = [i for i, group in enumerate(groups) if group not in ("", name)]
        means = row_means(scores[rows], [samples[i] for i in rows])
        rest.add(means, [name] * means.shape[0])
    return rest


def paired_samples(
    scores: sparse.csr_array, groups: Sequence[str], samples: Sequence[str], group: str, reference: str
) -> tuple[np.ndarray, np.ndarray]:
    """The rows of the samples that are on both sides of a test, in the group and in the reference, `(samples, genes)`.

    Args:
        scores: A row for each group of each sample.
        groups: The group of each row, "" for none.
        samples: The sample of each row.
        group: One side.
        reference: The other one: a group, or "rest" for the mean of the sample's other groups.
    """
    sides = [
        {sample: i for i, (own, sample) in enumerate(zip(groups, samples, strict=True)) if own == name}
        for name in (group, reference)
    ]
    others = scores
    if reference == REST:
        rows = [i for i, name in enumerate(groups) if name not in ("", group)]
        keys = [samples[i] for i in rows]
        others = row_means(scores[rows], keys)
        sides[1] = {sample: i for i, sample in enumerate(dict.fromkeys(keys))}
    both = [sample for sample in sides[0] if sample in sides[1]]
    one, other = (
        matrix[[side[sample] for sample in both]] for matrix, side in zip((scores, others), sides, strict=True)
    )
    return one.toarray(), other.toarray()


@dataclass(frozen=True, eq=False)
class GroupTest:
    """One group against its reference, an entry for each gene; see `GeneScores.compare`."""

    seen: tuple[np.ndarray, np.ndarray]
    means: tuple[np.ndarray, np.ndarray]
    t: np.ndarray
    p: np.ndarray
    adjusted: np.ndarray
    name: str = "Welch's t-test"

    @property
    def order(self) -> np.ndarray:
        """Genes by t, highest first."""
        return np.argsort(-self.t, kind="stable")


def welch(sums: GroupSums, group: str, reference: str = REST) -> GroupTest:
    """Welch's t-test of each gene's scores in a group against those in a reference.

    Where samples are on both sides it is the test for partly paired samples of Derrick et al. (2017, their `T_new2`),
    which is the paired t-test where all of them are. Where one alone is, of which no correlation is known, it is
    Welch's. Genes without a difference and without spread have t 0 and p 1; where there is no spread but a difference,
    t is infinite and p 0.

    Raises:
        InputError: If there is no such group, or one of the two has fewer than two cells.
    """
    for name in (group, *([] if reference == REST else [reference])):
        if name not in sums.groups:
            raise InputError(f"group {name!r}", f"one of {', '.join(sums.groups)}", "correct `group`")
    own = sums.groups.index(group)
    others = [i for i, name in enumerate(sums.groups) if (i != own if reference == REST else name == reference)]
    there = sums
    if reference == REST and sums.rest is not None:
        there, others = sums.rest, [own]
    n, seen, mean, deviation = _side(sums, [own], group)
    m, seen_there, mean_there, deviation_there = _side(there, others, repr(reference))
    parts = deviation**2 / n, deviation_there**2 / m
    square, difference = parts[0] + parts[1], mean - mean_there
    with np.errstate(invalid="ignore", divide="ignore"):
        freedom = square**2 / (parts[0] ** 2 / (n - 1) + parts[1] ** 2 / (m - 1))
        test = "Welch's t-test"
        one, other = (np.empty((0, 0)), np.empty((0, 0))) if sums.pairs is None else sums.pairs(group, reference)
        both = len(one)
        if both == n == m:
            test, freedom = "paired t-test", np.full_like(square, n - 1)
            difference, square = _differences(one, other)
        elif both > 1:
            test = "t-test for partly paired samples (Derrick et al. 2017)"
            less = 2 * _correlation(one, other) * deviation * deviation_there * both / (n * m)
            square = np.maximum(square - less, 0)
            freedom = both - 1 + (freedom - both + 1) * (n + m - 2 * both) / (n + m)
        t = difference / np.sqrt(square)
        p = 2 * stats.t.sf(np.abs(t), freedom)
    equal = np.abs(difference) <= ROUNDING * np.maximum(np.abs(mean), np.abs(mean_there))
    t = np.where(square == 0, np.where(equal, 0.0, np.copysign(np.inf, difference)), t)
    p = np.where(square == 0, np.where(equal, 1.0, 0.0), p)
    known = seen + seen_there > 0
    adjusted = np.ones_like(p)
    if known.any():
        adjusted[known] = stats.false_discovery_control(p[known])
    return GroupTest((seen, seen_there), (mean, mean_there), t, p, adjusted, test)


def _differences(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean difference of each column over paired rows, and its squared standard error."""
    differences = one - other
    variance = differences.var(0, ddof=1)
    variance[variance < (ROUNDING * np.maximum(np.abs(one), np.abs(other)).max(0)) ** 2] = 0
    return differences.mean(0), variance / len(one)


def _correlation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Pearson's correlation of each column over rows, 0 where one has no spread."""
    one, other = one - one.mean(0), other - other.mean(0)
    sizes = np.sqrt((one**2).sum(0) * (other**2).sum(0))
    return np.divide((one * other).sum(0), sizes, out=np.zeros_like(sizes), where=sizes > 0)


def _side(sums: GroupSums, rows: Sequence[int], name: str) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """One side of a test: how many cells, and by gene those that it was seen in, its mean and standard deviation.

    Raises:
        InputError: If it has fewer than two cells.
    """
    cells = float(sums.cells[rows].sum())
    if cells < 2:
        what = "cells" if sums.rest is None else "samples"
        raise InputError(f"{cells:.0f} {what} of {name}", "at least two of each side", "leave the group out")
    mean, each = sums.totals[rows].sum(0) / cells, sums.cells[rows][:, None]
    apart = sums.totals[rows] / np.maximum(each, 1) - mean
    spread = (sums.spreads[rows] + each * apart**2).sum(0) / (cells - 1)
    spread[spread < (ROUNDING * mean) ** 2] = 0
    return cells, sums.seen[rows].sum(0), mean, np.sqrt(spread)


def comparable(
    cells: Mapping[str, float], reference: str = REST, rest: Mapping[str, float] | None = None
) -> tuple[str, ...]:
    """The groups that have two cells, and whose reference has.

    Args:
        cells: How many cells each group has.
        reference: A group, or "rest".
        rest: How many samples the rest of each group has, where rows are means of samples.

    Raises:
        InputError: If there is none.
    """
    others = {name: sum(cells.values()) - own if reference == REST else 2 for name, own in cells.items()}
    if reference == REST and rest is not None:
        others = dict(rest)
    found = tuple(name for name, own in cells.items() if own >= 2 and name != reference and others[name] >= 2)
    if not found:
        sizes = ", ".join(f"{name} ({count:.0f})" for name, count in list(cells.items())[:5])
        got = f"cells by group {sizes or 'of no group'}{', …' if len(cells) > 5 else ''}"
        expected = "a group of two cells or more, and as many " + ("of others" if reference == REST else reference)
        raise InputError(got, expected, "correct `groupby`")
    return found


def compare(
    sums: GroupSums, symbols: Sequence[str], genes: Sequence[str], group: str | None = None, reference: str = REST
) -> Table:
    """See `GeneScores.compare`."""
    columns: dict[str, list[Any]] = {}
    tested = sums.among(reference) if group is None else (group,)
    tests = dict[str, None]()
    for name in tested:
        test = welch(sums, name, reference)
        tests[test.name] = None
        order = np.argsort(-np.abs(test.t), kind="stable")
        order = order[(test.seen[0] + test.seen[1])[order] > 0]
        numbers = {
            "cells": test.seen[0].astype(int), "cells of reference": test.seen[1].astype(int),
            "mean score": test.means[0], "mean of reference": test.means[1],
            "difference": test.means[0] - test.means[1], "t": test.t, "p": test.p, "adjusted p": test.adjusted,
        }  # fmt: skip
        columns.setdefault("group", []).extend([name] * len(order))
        columns.setdefault("symbol", []).extend(symbols[i] for i in order)
        columns.setdefault("ensembl_id", []).extend(genes[i] for i in order)
        for title, values in numbers.items():
            columns.setdefault(title, []).extend(values[order].tolist())
    left = [] if group is not None else [name for name in sums.groups if name not in (*tested, reference)]
    notes = (f"too few cells for a test: {', '.join(left)}",) if left else ()
    over = "cells" if sums.rest is None else "samples"
    if sums.rest is not None and reference == REST:
        over += ", the other groups of each averaged first"
    first = f"against {reference}; {' or '.join(tests)} over {over}, Benjamini–Hochberg by group"
    return Table(columns, (first, *notes))


def label_notes(pairs: Mapping[tuple[str, str], int]) -> tuple[str, ...]:
    """A note where groups are labels of the model, but not of all their cells.

    Args:
        pairs: How many cells there are of each group, "" for none, with each label that their scores are for.
    """
    pairs = {pair: count for pair, count in pairs.items() if pair[0]}
    others = sum(count for (group, label), count in pairs.items() if group != label)
    if not others or not {group for group, _ in pairs} & {label for _, label in pairs}:
        return ()
    note = f"{others} of {sum(pairs.values())} cells have another label than their group, which their scores are for"
    return (f"{note}: pass `target` for one label",)
