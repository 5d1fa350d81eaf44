"""Means with bootstrap intervals as tables show them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from hf_fourier.evaluation.metrics.statistics import interval


def described(values: Sequence[float], groups: Sequence[Hashable] | None = None) -> str:
    """The mean with its interval, drawn by groups."""
    low, high = interval(values, groups)
    return f"{float(np.mean(values)):.3f} [{low:.3f}, {high:.3f}]"
