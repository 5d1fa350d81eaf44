"""The base class of the metrics and their registry; each metric is a file beside this one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hf_fourier.errors import InputError
from hf_fourier.evaluation.metrics.statistics import summarise
from hf_fourier.evaluation.metrics.table import COLUMNS, Table, curves_of

#: By name: one number per example (or class), or a single number over all of them.
MetricValues = Mapping[str, Sequence[float] | float]


@dataclass(frozen=True)
class Metric:
    """A metric as a reduction of the table's columns.

    Attributes:
        name: Its name, which is that of its module's folder.
        description: What it measures, in one sentence.
        reads: The columns that it needs.
        range: Its range, in words.
        better: Which direction is better for a ranking, by the metric itself and the numbers beside it.
        needs: What has to be perturbed or evaluated before.
        limits: What it cannot tell.
        reference: Where it is defined.
        per_example: `(table, **options) -> numbers by name`, the first of which is the metric itself.
        unit: What one number belongs to.
        reversed: Prefixes of the numbers beside the metric for which the other direction is better.
    """

    name: str
    description: str
    reads: tuple[str, ...]
    range: str
    better: Literal["higher", "lower", "neither"]
    needs: str
    limits: str
    reference: str
    per_example: Callable[..., MetricValues]
    unit: Literal["example", "class"] = "example"
    reversed: tuple[str, ...] = ()

    def sign(self, name: str) -> int:
        """1 where higher is better for a ranking by one of the metric's numbers, -1 where lower is, 0 if neither."""
        sign = {"higher": 1, "lower": -1, "neither": 0}[self.better]
        return -sign if self.reversed and name.startswith(self.reversed) else sign

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of its table: those that it reads, and the groups that intervals draw."""
        return tuple(dict.fromkeys(("group", *self.reads)))

    def compute(self, table: Table, *, seed: int = 0, **options: Any) -> dict[str, float]:
        """Mean and median with their 95 % bootstrap intervals, drawn by groups.

        Args:
            table: With its columns; others are not read.
            seed: Of the bootstrap.
            **options: The reduction's own (`paper=True`, `fraction=0.5`).

        Returns:
            By name: the mean, `_low` and `_high`, `_median`, `_median_low` and `_median_high`, `_n` (how many have a
            number) and `_undefined` (how many have none).

        Raises:
            InputError: If a column is missing or does not fit.
        """
        missing = [name for name in self.reads if name not in table]
        if missing:
            raise InputError(f"a table without {', '.join(missing)}", f"the columns of {self.name!r}", self.needs)
        groups = [name or None for name in table["group"]] if self.unit == "example" and "group" in table else None
        numbers: dict[str, float] = {}
        for name, values in self.per_example(table, **options).items():
            if isinstance(values, (int, float)):
                numbers[name] = float(values)
                continue
            summary = summarise(values, groups, seed)
            numbers[name], numbers[f"{name}_median"] = summary.mean, summary.median
            numbers[f"{name}_low"], numbers[f"{name}_high"] = summary.interval
            numbers[f"{name}_median_low"], numbers[f"{name}_median_high"] = summary.median_interval
            numbers[f"{name}_n"], numbers[f"{name}_undefined"] = float(summary.examples), float(summary.undefined)
        return numbers


def of_curves(function: Callable[..., float]) -> Callable[..., MetricValues]:
    """`per_example` of a metric that is a function of each example's perturbation curve; options are the function's."""

    def reduce(table: Table, **options: Any) -> MetricValues:
        return {function.__name__: [function(curve, **options) for curve in curves_of(table)]}

    return _in_place_of(function, reduce, arguments=1)


def of_columns(function: Callable[..., float], *columns: str) -> Callable[..., MetricValues]:
    """`per_example` of a metric that is a function of each example's entries of these columns, likewise."""

    def reduce(table: Table, **options: Any) -> MetricValues:
        rows = zip(*(table[name] for name in columns), strict=True)
        return {function.__name__: [function(*row, **options) for row in rows]}

    return _in_place_of(function, reduce, arguments=len(columns))


def _in_place_of(
    function: Callable[..., float], reduce: Callable[..., MetricValues], arguments: int
) -> Callable[..., MetricValues]:
    """`reduce` as a definition in the function's own module: a table, then the function's options by name."""
    signature = inspect.signature(function)
    options = [option.replace(kind=option.KEYWORD_ONLY) for option in list(signature.parameters.values())[arguments:]]
    table = inspect.Parameter("table", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation="Table")
    reduce.__module__ = function.__module__
    reduce.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[table, *options], return_annotation="MetricValues"
    )
    return reduce


#: Every metric by its name, in the order of the imports in the package's `__init__`.
METRICS: dict[str, Metric] = {}


def register(metric: Metric) -> Metric:
    """Enter a metric into `METRICS`.

    Raises:
        ValueError: If its name is taken, or it reads a column that is not in `COLUMNS`.
    """
    if metric.name in METRICS:
        raise ValueError(f"metric {metric.name!r} is registered already")
    if unknown := [name for name in metric.reads if name not in COLUMNS]:
        raise ValueError(f"metric {metric.name!r} reads unknown columns {unknown}")
    METRICS[metric.name] = metric
    return metric
