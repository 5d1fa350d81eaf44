"""The table of an evaluation as papers print it: methods by metrics, rounded means with intervals, and marks."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from hf_fourier.errors import InputError
from hf_fourier.evaluation.metrics.statistics import paired_interval, summarise
from hf_fourier.results.estimate import BETTER, OTHER, WORSE, Estimate
from hf_fourier.results.table import Table

_ARROWS = {1: " ↑", -1: " ↓", 0: ""}


@runtime_checkable
class Row(Protocol):
    """One method in one domain, with a number per example of each quantity."""

    @property
    def method(self) -> str:
        """Its spec."""

    @property
    def domain(self) -> str:
        """The domain's spec."""

    @property
    def values(self) -> Mapping[str, Sequence[float]]:
        """By quantity, one number per example; NaN where it is undefined."""


def paper_table(
    rows: Sequence[Row],
    groups: Sequence[str],
    better: Mapping[str, int],
    quantities: Sequence[str],
    against: str,
    digits: int,
    seed: int,
) -> Table:
    """See `Evaluation.table`.

    Args:
        rows: All methods.
        groups: The group of each example.
        better: By quantity, whether more is better (1), less (-1) or neither (0).
        quantities: The columns.
        against: The method that marks compare with, a spec or its name.
        digits: Decimals.
        seed: Of the bootstrap.

    Raises:
        InputError: If a quantity was not measured, or there is no method `against`.
    """
    for name in quantities:
        if name not in better:
            near = difflib.get_close_matches(name, better, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "evaluate it too (`metrics`), or choose one of them"
            raise InputError(f"quantity {name!r}", f"some of {', '.join(better)}", hint)
    if not any(_is(row, against) for row in rows):
        names = ", ".join(dict.fromkeys(row.method for row in rows))
        raise InputError(f"against {against!r}", f"one of {names}", "choose one of them")
    columns: dict[str, list[Any]] = {"method": [row.method for row in rows]}
    domains = list(dict.fromkeys(row.domain for row in rows))
    if len(domains) > 1:
        columns["domain"] = [row.domain for row in rows]
    undefined: list[str] = []
    for name in quantities:
        cells = [_estimate(row, name, rows, groups, better[name], against, digits, seed) for row in rows]
        columns[f"{name}{_ARROWS[better[name]]}"] = _with_best(cells, better[name])
        undefined += _undefined(name, rows)
    marks = {one.mark for values in columns.values() for one in values if isinstance(one, Estimate)}
    return Table(columns, [*_notes(groups, domains, against, marks), *undefined])


def paired_gap(
    values: Sequence[float], control: Sequence[float], groups: Sequence[str], seed: int
) -> tuple[float, float, float]:
    """The mean paired difference to a control over the examples for which both have a number; and its interval."""
    known = [(a, b, group) for a, b, group in zip(values, control, groups, strict=True) if not math.isnan(a - b)]
    if not known:
        return math.nan, math.nan, math.nan
    a, b, names = (list(side) for side in zip(*known, strict=True))
    low, high = paired_interval(a, b, names, seed) if len(set(names)) > 1 else (math.nan, math.nan)
    return math.fsum(x - y for x, y in zip(a, b, strict=True)) / len(a), low, high


def _is(row: Row, method: str) -> bool:
    return method in (row.method, row.method.partition(":")[0])


def _estimate(
    row: Row, name: str, rows: Sequence[Row], groups: Sequence[str], sign: int, against: str, digits: int, seed: int
) -> Estimate:
    """The mean with its interval, and a mark where the paired interval against the control excludes 0."""
    if name not in row.values:
        return Estimate(math.nan, digits=digits)
    summary, mark = summarise(row.values[name], groups, seed), ""
    control = next((one for one in rows if _is(one, against) and one.domain == row.domain and name in one.values), None)
    if control is not None and control is not row:
        _, low, high = paired_gap(row.values[name], control.values[name], groups, seed)
        if low > 0 or high < 0:
            mark = OTHER if sign == 0 else BETTER if (low > 0) == (sign > 0) else WORSE
    return Estimate(summary.mean, *summary.interval, mark=mark, digits=digits)


def _with_best(cells: Sequence[Estimate], sign: int) -> list[Estimate]:
    """The cells, those that are best to the printed digits marked as such."""
    known = [one.mean * sign for one in cells if not math.isnan(one.mean)]
    if sign == 0 or len(set(known)) < 2:
        return list(cells)
    best = max(known)
    return [Estimate(one.mean, one.low, one.high, one.mean * sign == best, one.mark, one.digits) for one in cells]


def _undefined(name: str, rows: Sequence[Row]) -> list[str]:
    """How many examples of each method have no number."""
    counts = {row.method: sum(map(math.isnan, row.values[name])) for row in rows if name in row.values}
    text = ", ".join(f"{count} of {method}" for method, count in counts.items() if count)
    return [f"{name} is undefined for some examples, which are left out: {text}"] if text else []


def _notes(groups: Sequence[str], domains: Sequence[str], against: str, marks: set[str]) -> list[str]:
    count = len(set(groups))
    where = f" in {domains[0]}" if len(domains) == 1 else ""
    few = "; fewer than 30 groups are anecdotal" if count < 30 else ""
    notes = [
        f"means{where} over n = {len(groups)} examples in {count} group{'s' * (count != 1)} with 95 % bootstrap "
        f"intervals, drawn by groups{few}; ↑ more is better, ↓ less is better; > or bold: the best mean"
    ]
    meanings = {BETTER: "better than", WORSE: "worse than", OTHER: "other than"}
    texts = [f"{mark} {words} {against}" for mark, words in meanings.items() if mark in marks]
    if texts:
        notes.append(f"{', '.join(texts)}: the 95 % interval of the paired difference excludes 0")
    else:
        notes.append(f"no paired difference to {against} has a 95 % interval that excludes 0")
    return notes
