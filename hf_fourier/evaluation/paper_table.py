"""The table of an evaluation as papers print it: methods by metrics, rounded means with intervals, and marks."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

from hf_fourier.errors import InputError, whole_number
from hf_fourier.evaluation.metrics.statistics import MIN_GROUPS, paired_interval, summarise
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
        digits: Decimals, at least 0.
        seed: Of the bootstrap.

    Raises:
        InputError: If a quantity was not measured, there is no method `against`, or `digits` is below 0.
    """
    digits = whole_number("digits", digits, 0, "a whole number of at least 0")
    for name in quantities:
        if name not in better:
            longer = [known for known in better if known.startswith(name)]
            near = longer or difflib.get_close_matches(name, better, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "evaluate it too (`metrics`), or choose one of them"
            raise InputError(f"quantity {name!r}", f"some of {', '.join(better)}", hint)
    if not any(is_of_method(row, against) for row in rows):
        names = ", ".join(dict.fromkeys(row.method for row in rows))
        raise InputError(f"against {against!r}", f"one of {names}", "choose one of them")
    columns: dict[str, list[Any]] = {"method": [row.method for row in rows]}
    domains = list(dict.fromkeys(row.domain for row in rows))
    if len(domains) > 1:
        columns["domain"] = [row.domain for row in rows]
    undefined, marks, compared = list[str](), set[str](), 0
    enough = len(set(groups)) >= MIN_GROUPS
    for name in quantities:
        cells = []
        for row in rows:
            gap = _gap(row, name, rows, groups, against, seed) if enough else None
            compared += gap is not None
            summary = summarise(row.values.get(name, [math.nan] * len(groups)), groups, seed)
            cells.append(Estimate(summary.mean, *summary.interval, mark=_mark(gap, better[name]), digits=digits))
        columns[f"{name}{_ARROWS[better[name]]}"] = _with_best(cells, better[name])
        marks |= {one.mark for one in cells}
        undefined += _undefined(name, rows, len(domains) > 1)
    return Table(columns, [*_notes(groups, domains, against, marks, compared), *undefined])


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


def is_of_method(row: Row, method: str) -> bool:
    """Whether a row is of a method, named by its full spec or by its name alone."""
    return method in (row.method, row.method.partition(":")[0])


def _gap(
    row: Row, name: str, rows: Sequence[Row], groups: Sequence[str], against: str, seed: int
) -> tuple[float, float] | None:
    """The interval of the paired difference to the control in the same domain; None where there is none."""
    of_control = (one for one in rows if is_of_method(one, against) and one.domain == row.domain)
    control = next((one for one in of_control if name in one.values), None)
    if control is None or control is row or name not in row.values:
        return None
    _, low, high = paired_gap(row.values[name], control.values[name], groups, seed)
    return None if math.isnan(low) or math.isnan(high) else (low, high)


def _mark(gap: tuple[float, float] | None, sign: int) -> str:
    """The mark of a paired interval that excludes 0."""
    if gap is None or gap[0] <= 0 <= gap[1]:
        return ""
    return OTHER if sign == 0 else BETTER if (gap[0] > 0) == (sign > 0) else WORSE


def _with_best(cells: Sequence[Estimate], sign: int) -> list[Estimate]:
    """The cells, those that are best to the printed digits marked as such."""
    printed = [math.nan if math.isnan(one.mean) else float(one.number) * sign for one in cells]
    known = {value for value in printed if not math.isnan(value)}
    if sign == 0 or len(known) < 2:
        return list(cells)
    return [replace(one, best=value == max(known)) for one, value in zip(cells, printed, strict=True)]


def _undefined(name: str, rows: Sequence[Row], several: bool) -> list[str]:
    """How many examples of each method, in each of several domains, have no number."""
    counts = [(sum(map(math.isnan, row.values[name])), row) for row in rows if name in row.values]
    text = ", ".join(f"{count} of {row.method}{f' in {row.domain}' * several}" for count, row in counts if count)
    return [f"{name} is undefined for some examples, which are left out: {text}"] if text else []


def _notes(groups: Sequence[str], domains: Sequence[str], against: str, marks: set[str], compared: int) -> list[str]:
    count = len(set(groups))
    where = f" in {domains[0]}" if len(domains) == 1 else ""
    few = f"; fewer than {MIN_GROUPS} groups are anecdotal" if count < MIN_GROUPS else ""
    notes = [
        f"means{where} over n = {len(groups)} examples in {count} group{'s' * (count != 1)} with 95 % bootstrap "
        f"intervals, drawn by groups{few}; ↑ more is better, ↓ less is better; > or bold: the best mean"
    ]
    meanings = {BETTER: "better than", WORSE: "worse than", OTHER: "other than"}
    texts = [f"{mark} {words} {against}" for mark, words in meanings.items() if mark in marks]
    if texts:
        notes.append(f"{', '.join(texts)}: the 95 % interval of the paired difference excludes 0")
    elif compared:
        notes.append(f"no paired difference to {against} has a 95 % interval that excludes 0")
    else:
        notes.append(f"not compared with {against}: this needs another method in its domain, and {MIN_GROUPS} groups")
    return notes
