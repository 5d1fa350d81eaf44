"""Results of evaluations and sanity checks: `Evaluation`, `SanityResult` and their rows."""

from __future__ import annotations

import math
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hf_fourier.evaluation.metrics.statistics import MIN_GROUPS, summarise
from hf_fourier.evaluation.paper_table import is_of_method, paired_gap, paper_table
from hf_fourier.results.drawing import drawn_by
from hf_fourier.results.remarks import IN_PLACE
from hf_fourier.results.table import Table, table_of

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class MethodResult:
    """One method in one domain: a number per example of each quantity.

    Attributes:
        method: Its spec.
        domain: The domain's spec.
        control: Whether it is a control.
        passes: Model passes per example that the attributions took, forward and backward.
        values: By quantity, one number per example; NaN where it is undefined.
        seconds: Wall time of an attribution per example, without perturbations; NaN if not known. A clean pass that
            methods share is in the seconds of the first of them, and in the passes of each.
    """

    method: str
    domain: str
    control: bool
    passes: tuple[float, float]
    values: Mapping[str, Sequence[float]]
    seconds: float = math.nan


@dataclass(frozen=True)
class Evaluation:
    """The result of `FourierExplainer.evaluate`.

    Attributes:
        model: The model's name.
        cells: All methods in all domains, the controls first.
        groups: The group of each example; intervals draw whole groups.
        better: By quantity, whether more is better (1), less (-1) or neither (0).
        excluded: (method, domain, reason) of each pair that cannot be combined.
        notes: Notes for the reader.
        replacement: What replaced deleted features, one of `hf_fourier.results.curve.REPLACEMENTS`.
    """

    model: str
    cells: Sequence[MethodResult]
    groups: Sequence[str]
    better: Mapping[str, int]
    excluded: Sequence[tuple[str, str, str]] = ()
    notes: Sequence[str] = ()
    replacement: str = "zero"

    def __repr__(self) -> str:
        methods = ", ".join(dict.fromkeys(cell.method for cell in self.cells))
        few = "" if self._enough else ", anecdotal"
        many = f"{len(self.groups)} examples in {self._group_count} group{'s' * (self._group_count != 1)}{few}"
        return f"Evaluation({self.model}: {methods}; {many})"

    def table(
        self,
        quantities: Sequence[str] | None = None,
        *,
        against: str = "magnitude",
        digits: int = 2,
        seed: int = 0,
    ) -> Table:
        """The quantities as a paper prints them, or without any all numbers, one row per method, domain and quantity.

        With quantities a row is a method and a column a quantity: the mean, rounded, with its 95 % bootstrap interval
        (drawn by groups), the best in bold, and a mark where the paired difference to `against` in the same domain has
        an interval that excludes 0. The notes state n and the meaning of the marks. `to_latex()` and `to_markdown()`
        write it.

        Without, the columns are mean and median with their 95 % bootstrap intervals, `n`, `groups`, `undefined`,
        the best control in the same domain with the paired difference to it and its interval, the difference to
        `magnitude` likewise, passes and seconds per example, and whether the row is anecdotal (fewer than 30 groups).

        Args:
            quantities: Columns among `better`, such as `["dig", "maintain_rate", "selectivity (random)"]`.
            against: The method that the marks compare with: a spec, or its name.
            digits: Decimals of rounded means, at least 0.
            seed: Of the bootstrap.

        Raises:
            InputError: If a quantity was not measured, there is no method `against`, or `digits` is below 0.
        """
        if quantities is not None:
            names = [quantities] if isinstance(quantities, str) else list(quantities)
            found = paper_table(self.cells, self.groups, self.better, names, against, digits, seed)
            in_place = IN_PLACE[self.replacement]
            return Table(found.columns, [*found.notes, in_place]) if in_place else found
        rows = [self._row(cell, name, seed) for cell in self.cells for name in cell.values]
        return table_of(rows)

    def to_pandas(self) -> pd.DataFrame:
        """`table()` as a `pandas.DataFrame`.

        Raises:
            MissingExtraError: If pandas is not installed.
        """
        return self.table().to_pandas()

    def summary(self, quantities: Sequence[str] | None = None, seed: int = 0) -> Table:
        """One row per method and domain: each quantity's mean with its interval, and its paired gap to `magnitude`.

        Args:
            quantities: Which; None for all.
            seed: Of the bootstrap.
        """
        chosen = list(self.better) if quantities is None else list(quantities)
        rows = []
        for cell in self.cells:
            row: dict[str, Any] = {"method": cell.method, "domain": cell.domain}
            row["n (groups)"] = f"{len(self.groups)} ({self._group_count}){'' if self._enough else ', anecdotal'}"
            for name in chosen:
                numbers = self._row(cell, name, seed) if name in cell.values else None
                row[name] = _interval(numbers, "mean", "low", "high")
                row[f"{name}, gap to magnitude"] = _interval(numbers, "gap_magnitude", "gap_low", "gap_high")
            rows.append(row)
        return table_of(rows)

    def of(self, method: str, domain: str | None = None) -> MethodResult:
        """The result of a method (by its full spec, or its name) in a domain.

        Raises:
            KeyError: If there is none.
        """
        for cell in self.cells:
            if is_of_method(cell, method) and domain in (None, cell.domain):
                return cell
        raise KeyError(f"no {method} in {domain}; there are {[(c.method, c.domain) for c in self.cells]}")

    def __str__(self) -> str:
        """The table of the main quantities in blocks as wide as the terminal, with what was left out and the notes."""
        width = shutil.get_terminal_size((_WIDTH, 24)).columns
        if not self.cells:
            return "\n".join([repr(self), *self.remarks])
        found = self.printed_table()
        texts = dict.fromkeys((*found.notes, *self.remarks))
        lines = [line for text in texts for line in textwrap.wrap(text, width)]
        return "\n".join([repr(self), found.blocks(width), *lines])

    def _repr_html_(self) -> str:
        return str(drawn_by("html.notebook:evaluation", self))

    def printed_table(self) -> Table:
        """`table` of the main quantities: those not at one fraction, and decisions kept at 4 %.

        Marks are against `magnitude`, or against the first method where that was not run.
        """
        names = [name for name in self.better if "_at_" not in name or name == "maintain_rate_at_0.04"]
        methods = [cell.method for cell in self.cells]
        against = "magnitude" if "magnitude" in methods else methods[0]
        return self.table(names or list(self.better), against=against)

    @property
    def remarks(self) -> list[str]:
        """What was left out, with the reason, and the notes."""
        left_out = [f"left out: {method} in {domain}: {reason}" for method, domain, reason in self.excluded]
        return [*left_out, *self.notes]

    @property
    def _group_count(self) -> int:
        return len(set(self.groups))

    @property
    def _enough(self) -> bool:
        return self._group_count >= MIN_GROUPS

    def _row(self, cell: MethodResult, name: str, seed: int) -> dict[str, Any]:
        summary = summarise(cell.values[name], self.groups, seed)
        controls = [one for one in self.cells if one.control and one.domain == cell.domain and name in one.values]
        best = max(controls, key=lambda one: self._worth(one, name), default=None)
        magnitude = next((one for one in controls if one.method == "magnitude"), None)
        row: dict[str, Any] = {"method": cell.method, "domain": cell.domain, "metric": name}
        row |= {"mean": summary.mean, "low": summary.interval[0], "high": summary.interval[1], "median": summary.median}
        row |= {"median_low": summary.median_interval[0], "median_high": summary.median_interval[1]}
        row |= {"best_control": "" if best is None else best.method}
        for title, control in (("control", best), ("magnitude", magnitude)):
            gap, low, high = self._gap(cell, control, name, seed)
            ends = ("gap_low", "gap_high") if title == "magnitude" else ("gap_control_low", "gap_control_high")
            row |= {f"gap_{title}": gap, ends[0]: low, ends[1]: high}
        row |= {"n": summary.examples, "groups": summary.groups, "undefined": summary.undefined}
        row |= {"forward": cell.passes[0], "backward": cell.passes[1], "seconds": cell.seconds}
        row |= {"anecdotal": not self._enough}
        return row

    def _worth(self, cell: MethodResult, name: str) -> float:
        mean = summarise(cell.values[name], self.groups).mean * (self.better.get(name, 0) or 1)
        return -math.inf if math.isnan(mean) else mean

    def _gap(
        self, cell: MethodResult, control: MethodResult | None, name: str, seed: int
    ) -> tuple[float, float, float]:
        if control is None:
            return math.nan, math.nan, math.nan
        return paired_gap(cell.values[name], control.values[name], self.groups, seed)


def _interval(row: Mapping[str, Any] | None, *names: str) -> str:
    if row is None or math.isnan(row[names[0]]):
        return ""
    middle, low, high = (row[name] for name in names)
    return f"{middle:.3f}" if math.isnan(low) else f"{middle:.3f} [{low:.3f}, {high:.3f}]"


_WIDTH = 118
_VERDICTS = {True: "pass", False: "FAIL", None: "not applicable"}


@dataclass(frozen=True)
class Check:
    """One check of a method.

    Attributes:
        name: Its name.
        passed: Whether it passed; None where it does not apply, which is no pass.
        words: The verdict in words, with the numbers behind it.
        quantity: What `value` is.
        value: The effect size; NaN where nothing was measured.
        interval: Its 95 % bootstrap interval over groups; NaN where there is none.
        needed: The condition for passing.
        examples: The number of examples behind the value.
    """

    name: str
    passed: bool | None
    words: str
    quantity: str = ""
    value: float = math.nan
    interval: tuple[float, float] = (math.nan, math.nan)
    needed: str = ""
    examples: int = 0

    @property
    def verdict(self) -> str:
        """In a word."""
        return _VERDICTS[self.passed]


@dataclass(frozen=True)
class SanityResult:
    """The result of `FourierExplainer.sanity_check`.

    Attributes:
        model: The model's name.
        method: The method's spec, with the parameters that depend on the signal filled in.
        domain: The domain's spec.
        head: The name of the model's head.
        groups: The group of each example; intervals draw whole groups.
        checks: All checks, those that do not apply too.
        notes: Notes for the reader.
    """

    model: str
    method: str
    domain: str
    head: str
    groups: Sequence[str]
    checks: Sequence[Check]
    notes: Sequence[str] = ()

    @property
    def passed(self) -> bool:
        """Whether some check applies, and all that apply passed."""
        applied = [check for check in self.checks if check.passed is not None]
        return bool(applied) and all(check.passed for check in applied)

    def of(self, name: str) -> Check:
        """The check of this name.

        Raises:
            KeyError: If there is none.
        """
        for check in self.checks:
            if check.name == name:
                return check
        raise KeyError(f"no check {name!r}; there are {[check.name for check in self.checks]}")

    def table(self) -> Table:
        """One row per check: verdict, quantity with its interval, the condition, and the verdict in words.

        `low` and `high` are NaN where there is no interval, `passed` is None where the check does not apply.
        """
        rows = [
            {
                "model": self.model,
                "method": self.method,
                "domain": self.domain,
                "check": check.name,
                "passed": check.passed,
                "quantity": check.quantity,
                "value": check.value,
                "low": check.interval[0],
                "high": check.interval[1],
                "needed": check.needed,
                "n": check.examples,
                "groups": len(set(self.groups)),
                "words": check.words,
            }
            for check in self.checks
        ]
        return table_of(rows)

    def to_pandas(self) -> pd.DataFrame:
        """`table()` as a `pandas.DataFrame`.

        Raises:
            MissingExtraError: If pandas is not installed.
        """
        return self.table().to_pandas()

    def __repr__(self) -> str:
        return f"SanityResult({self.headline})"

    def _repr_html_(self) -> str:
        return str(drawn_by("html.notebook:sanity", self))

    @property
    def headline(self) -> str:
        """The method, the number of examples, and the verdict with its counts."""
        groups = len(set(self.groups))
        few = "" if groups >= MIN_GROUPS else ", anecdotal"
        verdicts = [check.passed for check in self.checks]
        counts = f"{verdicts.count(True)} passed, {verdicts.count(False)} failed, {verdicts.count(None)} not applicable"
        on = f"{len(self.groups)} examples ({groups} group{'s' * (groups != 1)}{few})"
        return f"{self.method} in {self.domain} on {self.model}, {on}: {'pass' if self.passed else 'FAIL'} ({counts})"

    def __str__(self) -> str:
        lines = [self.headline]
        for check in self.checks:
            text = f"  {check.verdict:<14}  {check.name}: {check.words}"
            lines += textwrap.wrap(text, _WIDTH, subsequent_indent=" " * 18)
        for note in self.notes:
            lines += textwrap.wrap(f"  note: {note}", _WIDTH, subsequent_indent=" " * 8)
        return "\n".join(lines)
