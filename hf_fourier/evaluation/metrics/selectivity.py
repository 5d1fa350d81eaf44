"""Selectivity: whether a ranking explains its own label rather than any label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hf_fourier.errors import InputError
from hf_fourier.evaluation.metrics.base import Metric, MetricValues, register
from hf_fourier.evaluation.metrics.table import Table, kept_decisions, wrong_reached_at
from hf_fourier.results.curve import SMALL_FRACTIONS, Curve, common_replacement, maintained, reaches_label


def selectivity_at(own: Curve, wrong: Sequence[Curve], fraction: float) -> float:
    """Own prediction kept minus wrong labels reached, at one kept fraction; from −1 to 1, higher is better. Ours.

    Args:
        own: One example's curve for its own label.
        wrong: Its curves for one or more wrong labels, each from the same method for that label.
        fraction: Kept fraction of the features, 0 to 1.

    Raises:
        InputError: If a curve has no point at the fraction, or curves differ in what replaced deleted
            features.
    """
    common_replacement([own, *wrong])
    return maintained(own, fraction) - reaches_label(wrong, fraction)


def selectivity(own: Curve, wrong: Sequence[Curve], fractions: Sequence[float] = SMALL_FRACTIONS) -> float:
    """The area of `selectivity_at` over log r, divided by the grid's width; from −1 to 1, higher is better. Ours.

    Args:
        own: As for `selectivity_at`.
        wrong: As for `selectivity_at`.
        fractions: Kept fractions above 0, at least two, in growing order.

    Raises:
        InputError: If a curve has no point at a fraction.
    """
    return log_area([selectivity_at(own, wrong, fraction) for fraction in fractions], fractions)


def log_area(heights: Sequence[float], fractions: Sequence[float]) -> float:
    """The mean height over log r, by the trapezoid rule.

    Args:
        heights: One per fraction.
        fractions: At least two fractions above 0, in growing order.

    Raises:
        InputError: If there are fewer fractions, or one is 0.
    """
    return log_areas([heights], fractions)[0]


def log_areas(rows: Sequence[Sequence[float]], fractions: Sequence[float]) -> list[float]:
    """`log_area` of each row of heights; errors likewise."""
    if len(fractions) < 2 or min(fractions) <= 0:
        raise InputError(f"fractions {list(fractions)}", "at least two, all above 0", "choose others")
    places = np.log(list(fractions))
    heights = np.array(rows, dtype=float).reshape(len(rows), len(fractions))
    areas: list[float] = (np.trapezoid(heights, places) / (places[-1] - places[0])).tolist()
    return areas


def _selectivity_from_table(table: Table, *, fractions: Sequence[float] = SMALL_FRACTIONS) -> MetricValues:
    own = [[float(decision >= 1.0) for decision in row] for row in kept_decisions(table, fractions)]
    wrong = wrong_reached_at(table, fractions)
    gaps = [[a - b for a, b in zip(*pair, strict=True)] for pair in zip(own, wrong, strict=True)]
    values: dict[str, Sequence[float]] = {"selectivity": log_areas(gaps, fractions)}
    for i, fraction in enumerate(fractions):
        values[f"own_kept_at_{fraction:g}"] = [row[i] for row in own]
        values[f"wrong_reached_at_{fraction:g}"] = [row[i] for row in wrong]
    return values


SELECTIVITY = register(
    Metric(
        name="selectivity",
        description=(
            "The fraction of own predictions kept minus that of wrong labels reached by the same method, averaged over "
            "the logarithm of kept fractions."
        ),
        reads=("kept", "kept_decision", "wrong_kept", "wrong_reached"),
        range="−1 to 1",
        better="higher",
        reversed=("wrong_reached_at_",),
        needs=(
            "perturb with `curve.SMALL_FRACTIONS` among the kept fractions, and pass `wrong_labels.wrong_labels` to "
            "`columns`"
        ),
        limits=(
            "A wrong label may be reached because the input contains evidence for it (a runner-up), or because the "
            "method can select features that produce any label; selectivity does not separate the two. It does not "
            "show which ranking is true: a method that does not use the model cannot be asked for a label."
        ),
        reference="this library",
        per_example=_selectivity_from_table,
    )
)
