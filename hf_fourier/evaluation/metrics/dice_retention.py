"""Dice retention: how much of a mask is left."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from hf_fourier.evaluation.metrics.base import Metric, MetricValues, register
from hf_fourier.evaluation.metrics.table import Table, curves_of
from hf_fourier.results.curve import TENTHS, Curve


def dice_retention(curve: Curve, shares: Sequence[float] = TENTHS, *, paper: bool = False) -> float:
    """How much of the predicted mask the kept features keep: the mean over kept shares of the Dice with the clean mask.

    By the trapezoid, divided by the shares' width; from 0 to 1, higher is better; two empty masks have a Dice of 1.

    Args:
        curve: One mask's, played by keeping these shares.
        shares: Kept shares, in growing order.
        paper: The plain sum over these shares instead (arXiv 2411.18343 takes 0.05, 0.1, …, 1: at most 20).

    Raises:
        InputError: If a share was not played.
    """
    kept = curve.decisions("keep", shares)
    if paper:
        return math.fsum(kept)
    return float(np.trapezoid(kept, list(shares))) / (shares[-1] - shares[0])


def _dice_retention_from_table(table: Table, *, shares: Sequence[float] = TENTHS, paper: bool = False) -> MetricValues:
    return {"dice_retention": [dice_retention(c, shares, paper=paper) for c in curves_of(table)]}


DICE_RETENTION = register(
    Metric(
        name="dice_retention",
        description=(
            "The Dice of the mask predicted from the kept features with the clean mask, on average over kept shares."
        ),
        reads=("kept", "kept_decision"),
        range="0 to 1; with `paper=True` a sum, at most the number of shares",
        better="higher",
        needs="play `curve.PAPER_GRID` on a segmentation model",
        limits="whether either mask is right. Two empty masks score 1.",
        reference="arXiv 2411.18343; there the plain sum over kept shares 0.05, 0.1, …, 1",
        per_example=_dice_retention_from_table,
    )
)
