"""Means with bootstrap intervals, drawn by groups: examples made from one source stay together."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

DRAWS, LEVEL = 5000, 0.95


def interval(values: Sequence[float], groups: Sequence[Hashable] | None = None, seed: int = 0) -> tuple[float, float]:
    """A percentile interval of the mean.

    Args:
        values: One number per example.
        groups: The source of each example; whole sources are drawn. None for one source each.
        seed: Of the draws; equal seeds, values and groups give equal intervals.
    """
    sample = np.asarray(values, dtype=float)
    names = list(range(len(sample))) if groups is None else list(groups)
    order = {name: i for i, name in enumerate(dict.fromkeys(names))}
    index = np.asarray([order[name] for name in names])
    sums, counts = np.bincount(index, sample), np.bincount(index)
    draws = np.random.default_rng(seed).integers(0, len(sums), (DRAWS, len(sums)))
    means = sums[draws].sum(1) / counts[draws].sum(1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def described(values: Sequence[float], groups: Sequence[Hashable] | None = None) -> str:
    """The mean with its interval, as tables show it."""
    low, high = interval(values, groups)
    return f"{float(np.mean(values)):.3f} [{low:.3f}, {high:.3f}]"
