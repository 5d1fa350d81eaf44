"""The columns of readings by example, and whether they are right: what spectra and heat maps of models count."""

from __future__ import annotations

import math

import numpy as np

from hf_fourier.evaluation.metrics.statistics import MeanInterval
from hf_fourier.methods.filters import MEASURES

VALUE, CONFIDENCE, AGREEMENT, CLASS = range(len(MEASURES))


def classes_known(labels: np.ndarray, clean: np.ndarray) -> bool:
    """Whether any example has a true class and a predicted one.

    Args:
        labels: The true class of each example, NaN where it is not known.
        clean: The readings of the clean examples, shape `(examples, 4)`.
    """
    return bool((np.isfinite(labels) & np.isfinite(clean[:, CLASS])).any())


def right(readings: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
    """Whether the true class is predicted; without true classes, the agreement with the clean prediction.

    Args:
        readings: Shape `(examples, places, 4)`.
        labels: The true class of each example, NaN where it is not known; None to take the agreement.

    Returns:
        Shape `(examples, places)`: 0 or 1, of masks and tags also between; NaN where it is not known.
    """
    if labels is None:
        return readings[..., AGREEMENT]
    known = np.isfinite(labels)[:, None] & np.isfinite(readings[..., CLASS])
    return np.where(known, (readings[..., CLASS] == labels[:, None]).astype(float), math.nan)


def percent(one: MeanInterval) -> str:
    """A share with its interval in percent."""
    return f"{100 * one.mean:.0f} % [{100 * one.low:.0f}, {100 * one.high:.0f}]"
