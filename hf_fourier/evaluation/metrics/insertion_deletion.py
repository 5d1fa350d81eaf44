"""Insertion and deletion: areas under perturbation curves."""

from __future__ import annotations

from collections.abc import Sequence

from hf_fourier.results.curve import TENTHS, Curve, trapezoid


def insertion(curve: Curve, shares: Sequence[float] = TENTHS) -> float:
    """The area under the confidence as the most important features are put back, the first first; higher is better.

    The substrate is the example with no power in any feature (Petsiuk et al. 2018, arXiv 1806.07421, whose substrate is
    a blurred image). From 0 to 1.

    Args:
        curve: One example's, played by keeping these shares.
        shares: Kept shares, in growing order.

    Raises:
        InputError: If a share was not played, or the head has no confidence.
    """
    return trapezoid(curve.confidences("keep", shares), shares)


def deletion(curve: Curve, shares: Sequence[float] = TENTHS) -> float:
    """The area under the confidence as the most important features lose their power; lower is better; from 0 to 1.

    Petsiuk et al. 2018, arXiv 1806.07421. Arguments as for `insertion`, for deleted shares.
    """
    return trapezoid(curve.confidences("delete", shares), shares)
