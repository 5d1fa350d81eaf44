"""Mean perturbation curves: the fraction of decisions kept and the confidence, with their intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hf_fourier.evaluation.metrics.statistics import interval
from hf_fourier.results.curve import Mode

if TYPE_CHECKING:
    from hf_fourier.report.example_record import ExampleRecord

Quantity = Literal["decisions", "confidence"]


@dataclass(frozen=True)
class Average:
    """One method's mean over examples at each fraction that all their curves have.

    Attributes:
        method: The method's spec.
        domain: The domain's spec.
        part: "keep" or "delete".
        quantity: "decisions" (the fraction that is kept, 0 to 1; of a mask the Dice) or "confidence".
        fractions: Ascending.
        means: One for each fraction.
        low: The lower ends of their 95 % bootstrap intervals over examples; NaN for one example.
        high: The upper ends.
        examples: How many there are.
        in_place: What replaced deleted features, in words; nothing for zero.
    """

    method: str
    domain: str
    part: Mode
    quantity: Quantity
    fractions: Sequence[float]
    means: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    examples: int
    in_place: str = ""

    @property
    def name(self) -> str:
        """The method, its domain and the number of examples, and what replaced deleted features."""
        return f"{self.method} in {self.domain}{f', {self.in_place}' * bool(self.in_place)} (n = {self.examples})"


def averages(records: Sequence[ExampleRecord], part: Mode, quantity: Quantity) -> list[Average]:
    """One average per method, domain and replacement, of the examples with curves; none without a common fraction."""
    groups: dict[tuple[str, str, str], list[ExampleRecord]] = {}
    for one in records:
        if one.curve is not None:
            groups.setdefault((one.method, one.domain, one.in_place), []).append(one)
    found = []
    for (method, domain, in_place), own in groups.items():
        columns = _columns(own, part, quantity)
        if not columns:
            continue
        means = [math.fsum(values) / len(values) for values in columns.values()]
        ends = [interval(values) if len(values) > 1 else (math.nan, math.nan) for values in columns.values()]
        low, high = [a for a, _ in ends], [b for _, b in ends]
        found.append(Average(method, domain, part, quantity, list(columns), means, low, high, len(own), in_place))
    return found


def _columns(records: Sequence[ExampleRecord], part: Mode, quantity: Quantity) -> dict[float, list[float]]:
    """By fraction, a number per example, where all examples have one."""
    columns: dict[float, list[float]] = {}
    for one in records:
        for stop in one.curve.of(part) if one.curve else []:
            value = stop.agreement if quantity == "decisions" else stop.confidence
            if 0 < stop.fraction < 1 and value is not None:
                columns.setdefault(round(stop.fraction, 9), []).append(value)
    return {fraction: values for fraction, values in sorted(columns.items()) if len(values) == len(records)}


CHARTS: tuple[tuple[Mode, Quantity, str, str], ...] = (
    ("keep", "decisions", "Decisions kept with the top features alone", "fraction of decisions kept"),
    ("keep", "confidence", "Confidence with the top features alone", "mean confidence"),
    ("delete", "decisions", "Decisions kept without the top features", "fraction of decisions kept"),
    ("delete", "confidence", "Confidence without the top features", "mean confidence"),
)
