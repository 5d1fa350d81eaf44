"""Maintain rate: the fraction of examples whose prediction survives on the top features alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hf_fourier.errors import InputError
from hf_fourier.evaluation.metrics.base import Metric, MetricValues, register
from hf_fourier.evaluation.metrics.statistics import Summary, summarise
from hf_fourier.evaluation.metrics.table import Table, curves_of, kept_decisions
from hf_fourier.results.curve import Curve, common_fractions, common_replacement, maintained


def maintain_rate(
    curves: Sequence[Curve], fraction: float, least: float = 1.0, groups: Sequence[str | None] | None = None
) -> Summary:
    """The maintain rate: the fraction of examples whose prediction survives; its mean is from 0 to 1, higher is better.

    arXiv 2411.18343 (there by deleted fractions). Arguments as for `maintained`, for many examples and their groups.

    Raises:
        InputError: If the curves differ in what replaced deleted features, or lack the fraction.
    """
    common_replacement(curves)
    return summarise([maintained(curve, fraction, least) for curve in curves], groups)


def least_kept_fraction(curves: Sequence[Curve], rate: float = 0.8, least: float = 1.0) -> float:
    """The least fraction of the curves whose top features keep the predictions of a fraction `rate` of the examples.

    A prediction that is kept is not monotone in the fraction: a smaller one between those of the curves may do as
    well, and a larger one may not. This is an upper bound for the grid.

    Args:
        curves: Perturbed by keeping the same fractions.
        rate: Fraction of examples, 0 to 1.
        least: As for `maintained`.

    Returns:
        A fraction from 0 to 1; NaN where none does.
    """
    for fraction in common_fractions(curves):
        if math.fsum(maintained(curve, fraction, least) for curve in curves) >= rate * len(curves) - 1e-9:
            return fraction
    return math.nan


def _maintain_rate_from_table(
    table: Table, *, fractions: Sequence[float] | None = None, rate: float = 0.8, least: float = 1.0
) -> MetricValues:
    curves = curves_of(table)
    chosen = common_fractions(curves) if fractions is None else list(fractions)
    inner = [fraction for fraction in chosen if 0 < fraction < 1 or fractions is not None]
    if not inner:
        raise InputError(
            "curves without a kept fraction in common", "at least one between 0 and 1", "perturb with one grid"
        )
    decided = [[float(decision >= least) for decision in row] for row in kept_decisions(table, inner)]
    by_fraction = dict(zip(inner, map(list, zip(*decided, strict=True)), strict=True))
    mean = [math.fsum(row) / len(row) for row in decided]
    named = {f"maintain_rate_at_{fraction:g}": values for fraction, values in by_fraction.items()}
    return {"maintain_rate": mean, **named, "least_kept": least_kept_fraction(curves, rate, least)}


MAINTAIN_RATE = register(
    Metric(
        name="maintain_rate",
        description=(
            "The fraction of predictions that stay the same with the top features alone, at each kept fraction."
        ),
        reads=("kept", "kept_decision"),
        range="0 to 1; `maintain_rate` is the mean over the kept fractions, `least_kept` a fraction of the features",
        better="higher",
        needs="perturb with a grid that keeps some fractions, such as `metrics.DEFAULT_GRID`",
        limits=(
            "Whether a prediction is kept is not monotone in the fraction, so `least_kept` is an upper bound on the "
            "grid. A high rate does not show that the features are evidence: a ranking for a wrong label may do as "
            "well (see `selectivity`)."
        ),
        reference="arXiv 2411.18343",
        per_example=_maintain_rate_from_table,
    )
)
