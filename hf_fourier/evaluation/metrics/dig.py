"""DIG, the deletion-insertion game: the area between the two deletion curves of an example.

Areas are by the trapezoid rule over fractions r of the features. Least important first at r is keeping the top 1 − r.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from hf_fourier.evaluation.metrics.base import Metric, MetricValues, register
from hf_fourier.evaluation.metrics.table import DELETE_COLUMNS, KEEP_COLUMNS, Table, curves_of
from hf_fourier.results.curve import TENTHS, Curve, trapezoid


def insertion_curve(curve: Curve, fractions: Sequence[float] = TENTHS) -> list[float]:
    """L(r): the relative confidence `p(x_r) / p(x)` as the least important features are deleted first; at least 0.

    Args:
        curve: One example's, perturbed at these fractions; the clean confidence is known.
        fractions: Deleted fractions r, 0 to 1.

    Returns:
        One number per fraction; NaN if the clean confidence is 0.

    Raises:
        InputError: If the curve has no point at a fraction, or the head has no confidence.
    """
    return _relative(curve, curve.confidences("keep", [round(1 - r, 12) for r in fractions]))


def deletion_curve(curve: Curve, fractions: Sequence[float] = TENTHS) -> list[float]:
    """M(r): likewise as the most important features are deleted first. Arguments as for `insertion_curve`."""
    return _relative(curve, curve.confidences("delete", fractions))


def dig(curve: Curve, *, paper: bool = False, fractions: Sequence[float] = TENTHS) -> float:
    """DIG, the deletion-insertion game: the area between deleting least and most important first.

    `∫ L(r) − M(r) dr` over r from 0 to 1. Both curves begin at 1 and end at the same empty example, so on the tenths
    this is the published sum divided by 10. From −0.9 to 0.9 while no curve exceeds 1, and unbounded above where a
    confidence grows; 0 for a random order, on average.

    Args:
        curve: One example's, perturbed in both directions (`metrics.PAPER_GRID`).
        paper: The plain sum of L − M over the ten points r = 0, 0.1, …, 0.9 instead (arXiv 2411.18343, as its code
            computes it), at most 9 while no curve exceeds 1.
        fractions: Deleted fractions of the area, 0 and 1 among them; `paper` has its own.

    Returns:
        NaN if the clean confidence is 0.

    Raises:
        InputError: If the curve has no point at a fraction, or the head has no confidence (a regression).
    """
    chosen = TENTHS[:-1] if paper else tuple(fractions)
    gaps = np.subtract(insertion_curve(curve, chosen), deletion_curve(curve, chosen))
    return math.fsum(gaps) if paper else trapezoid(gaps, chosen)


def dig_normalised(curve: Curve) -> float:
    """The published sum of DIG divided by 9, its largest value while no curve exceeds 1; see `dig`."""
    return dig(curve, paper=True) / 9


def _relative(curve: Curve, confidences: Sequence[float]) -> list[float]:
    return [confidence / curve.clean if curve.clean else math.nan for confidence in confidences]


def _dig_from_table(table: Table, *, paper: bool = False) -> MetricValues:
    curves = curves_of(table)
    return {
        "dig": [dig(curve, paper=paper) for curve in curves],
        "dig_normalised": [dig_normalised(curve) for curve in curves],
    }


DIG = register(
    Metric(
        name="dig",
        description=(
            "The area between two curves of relative confidence: least important features deleted first, minus most "
            "important first."
        ),
        reads=(*KEEP_COLUMNS, *DELETE_COLUMNS, "clean"),
        range=(
            "−0.9 to 0.9 while no confidence exceeds the clean one, unbounded above; with `paper=True` ten times that"
        ),
        better="higher",
        needs="perturb with `metrics.PAPER_GRID`: 19 forward passes per example",
        limits=(
            "A high value does not show that the prediction depended on the features: deletions that follow the "
            "gradient can raise the confidence, and this counts. On planted models it does not separate the true "
            "ranking from the magnitude, since both have the planted features in their first tenth. Examples with a "
            "low clean confidence dominate a mean of ratios; read the median too. Not comparable across domains of "
            "different redundancy."
        ),
        reference=(
            "arXiv 2411.18343, which sums over ten points (`paper=True`); `dig_normalised` is that sum divided by 9"
        ),
        per_example=_dig_from_table,
    )
)
