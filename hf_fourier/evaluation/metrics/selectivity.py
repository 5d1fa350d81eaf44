"""Selectivity: whether a ranking explains its own label rather than any."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hf_fourier.errors import InputError
from hf_fourier.evaluation.metrics.base import Metric, MetricValues, register
from hf_fourier.evaluation.metrics.table import Table, curves_of, wrong_reached
from hf_fourier.results.curve import SMALL_FRACTIONS, Curve, maintained, reaches_label


def selectivity_at(own: Curve, wrong: Sequence[Curve], share: float) -> float:
    """Own decision kept minus wrong labels reached, at one kept share; from −1 to 1, higher is better. Ours.

    Args:
        own: One example's curve for its own label.
        wrong: Its curves for one or more wrong labels, each from the same method asked for that label.
        share: Kept share of the features, 0 to 1.

    Raises:
        InputError: If the share was not played.
    """
    return maintained(own, share) - reaches_label(wrong, share)


def selectivity(own: Curve, wrong: Sequence[Curve], shares: Sequence[float] = SMALL_FRACTIONS) -> float:
    """The area of `selectivity_at` over log r, divided by the grid's width; from −1 to 1, higher is better. Ours.

    Args:
        own: As for `selectivity_at`.
        wrong: As for `selectivity_at`.
        shares: Kept shares above 0, at least two, in growing order.

    Raises:
        InputError: If a share was not played.
    """
    return log_area([selectivity_at(own, wrong, share) for share in shares], shares)


def log_area(heights: Sequence[float], shares: Sequence[float]) -> float:
    """The mean height over log r, by the trapezoid.

    Args:
        heights: One per share.
        shares: At least two shares above 0, in growing order.

    Raises:
        InputError: If there are fewer shares, or one is 0.
    """
    if len(shares) < 2 or min(shares) <= 0:
        raise InputError(f"shares {list(shares)}", "at least two, all above 0", "choose others")
    places = np.log(list(shares))
    return float(np.trapezoid(heights, places) / (places[-1] - places[0]))


def _selectivity_from_table(table: Table, *, shares: Sequence[float] = SMALL_FRACTIONS) -> MetricValues:
    own = [[maintained(curve, share) for share in shares] for curve in curves_of(table)]
    wrong = [[wrong_reached(table, i, share) for share in shares] for i in range(len(own))]
    gaps = [[a - b for a, b in zip(*pair, strict=True)] for pair in zip(own, wrong, strict=True)]
    found: dict[str, Sequence[float]] = {"selectivity": [log_area(gap, shares) for gap in gaps]}
    for i, share in enumerate(shares):
        found[f"own_kept_at_{share:g}"] = [row[i] for row in own]
        found[f"wrong_reached_at_{share:g}"] = [row[i] for row in wrong]
    return found


SELECTIVITY = register(
    Metric(
        name="selectivity",
        description=(
            "Own decisions kept minus wrong labels reached by the same method, on average over the logarithm of shares."
        ),
        reads=("kept", "kept_decision", "wrong_kept", "wrong_reached"),
        range="−1 to 1",
        better="higher",
        needs="play a grid that keeps `curve.SMALL`, and pass `wrong_labels.wrong_labels` to `columns`",
        limits=(
            "which part of a wrong label's success is evidence that is really in the input (a runner-up may be there "
            "too) and which the method's freedom to choose."
        ),
        reference="this library",
        per_example=_selectivity_from_table,
    )
)
