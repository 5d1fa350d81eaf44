"""Selectivity: whether a ranking explains its own label rather than any."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hf_fourier.errors import InputError
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
