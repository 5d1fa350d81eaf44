"""Dice retention: how much of a predicted mask the kept features preserve."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from hf_fourier.evaluation.metrics.base import Metric, of_curves, register
from hf_fourier.results.curve import TENTHS, Curve


def dice_retention(curve: Curve, fractions: Sequence[float] = TENTHS, *, paper: bool = False) -> float:
    """The mean over kept fractions of the Dice of the mask predicted from the kept features with the clean mask.

    By the trapezoid rule, divided by the fractions' width; from 0 to 1, higher is better; two empty masks score 1.

    Args:
        curve: One mask's, perturbed by keeping these fractions.
        fractions: Kept fractions, in growing order.
        paper: The plain sum over these fractions instead (arXiv 2411.18343 takes 0.05, 0.1, …, 1: at most 20).

    Raises:
        InputError: If the curve has no point at a fraction.
    """
    kept = curve.decisions("keep", fractions)
    if paper:
        return math.fsum(kept)
    return float(np.trapezoid(kept, list(fractions))) / (fractions[-1] - fractions[0])


DICE_RETENTION = register(
    Metric(
        name="dice_retention",
        description=(
            "The Dice coefficient of the mask on the kept features and the clean mask, averaged over kept fractions."
        ),
        reads=("kept", "kept_decision"),
        range="0 to 1; with `paper=True` a sum, at most the number of fractions",
        better="higher",
        needs="perturb with `metrics.PAPER_GRID` on a segmentation model",
        limits="It compares two predicted masks, and does not know the true one. Two empty masks score 1.",
        reference="arXiv 2411.18343; there the plain sum over kept fractions 0.05, 0.1, …, 1",
        per_example=of_curves(dice_retention),
    )
)
