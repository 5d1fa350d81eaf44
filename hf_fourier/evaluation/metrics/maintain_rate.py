"""Maintain rate: the fraction of examples whose prediction survives on the top features alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hf_fourier.errors import InputError
from hf_fourier.evaluation.metrics.base import Metric, MetricValues, register
from hf_fourier.evaluation.metrics.statistics import Summary, summarise
from hf_fourier.evaluation.metrics.table import Table, common_kept, kept_decisions
from hf_fourier.results.curve import SAME, SAME_FRACTIONS, Curve, common_fractions, common_replacement, maintained


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
    common = common_fractions(curves)
    counts = [math.fsum(maintained(curve, fraction, least) for curve in curves) for fraction in common]
    return _first_at(common, counts, rate * len(curves))


def _first_at(fractions: Sequence[float], counts: Sequence[float], wanted: float) -> float:
    """The first fraction at which so many predictions are kept; NaN where there is none."""
    return next((at for at, count in zip(fractions, counts, strict=True) if count >= wanted - SAME), math.nan)


def _maintain_rate_from_table(
    table: Table, *, fractions: Sequence[float] | None = None, rate: float = 0.8, least: float = 1.0
) -> MetricValues:
    common = common_kept(table)
    chosen = common if fractions is None else list(fractions)
    inner = [fraction for fraction in chosen if 0 < fraction < 1 or fractions is not None]
    if not inner:
        raise InputError("curves without a kept fraction in common", "at least one between 0 and 1", SAME_FRACTIONS)
    decided = [[float(decision >= least) for decision in row] for row in kept_decisions(table, inner)]
    by_fraction = {fraction: [row[i] for row in decided] for i, fraction in enumerate(inner)}
    mean = [math.fsum(row) / len(row) for row in decided]
    named = {f"maintain_rate_at_{fraction:g}": values for fraction, values in by_fraction.items()}
    kept = [[float(decision >= least) for decision in row] for row in kept_decisions(table, common)]
    counts = [math.fsum(row[i] for row in kept) for i in range(len(common))]
    least_kept = _first_at(common, counts, rate * len(kept))
    return {"maintain_rate": mean, **named, "least_kept": least_kept}


MAINTAIN_RATE = register(
    Metric(
        name="maintain_rate",
        description=(
            "The fraction of predictions that stay the same with the top features alone, at each kept fraction."
        ),
        reads=("kept", "kept_decision"),
        range="0 to 1; `maintain_rate` is the mean over the kept fractions, `least_kept` a fraction of the features",
        better="higher",
        reversed=("least_kept",),
        needs="perturb with some kept fractions, such as those of `metrics.DEFAULT_GRID`",
        limits=(
            "Whether a prediction is kept is not monotone in the fraction, so `least_kept` is an upper bound: only "
            "the fractions of the curve are tried. A high rate does not show that the features are evidence: a ranking "
            "for a wrong label may do as well (see `selectivity`)."
        ),
        reference="arXiv 2411.18343",
        per_example=_maintain_rate_from_table,
    )
)
