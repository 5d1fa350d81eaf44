"""The cut-off of a filter at which half of a quantity is lost, and the bootstrap of it."""

from __future__ import annotations

import math

import numpy as np

#: Draws of the bootstrap.
DRAWS = 1000


def crossing(means: np.ndarray, goals: np.ndarray, edges: np.ndarray, upward: bool) -> np.ndarray:
    """Where each row of means crosses its goal, on a logarithmic axis between the edges of the bands.

    Args:
        means: Shape `(rows, bands)`.
        goals: Shape `(rows,)`; NaN for none.
        edges: The cut-off of each band's filter.
        upward: Whether means rise with the cut-off (low-pass).
    """
    usable = edges > 0
    order = np.flatnonzero(usable) if upward else np.flatnonzero(usable)[::-1]
    found = np.full(len(means), math.nan)
    for row, (values, goal) in enumerate(zip(means[:, order], goals, strict=True)):
        above = np.flatnonzero(values >= goal)
        if math.isnan(goal):
            continue
        if not len(above):  # it is lost already at the last cut-off
            found[row] = edges[order[-1]]
            continue
        first = above[0]
        if first == 0:
            found[row] = edges[order[0]]
            continue
        low, high = values[first - 1], values[first]
        part = (goal - low) / (high - low)
        ends = np.log(edges[order[first - 1]]), np.log(edges[order[first]])
        found[row] = math.exp(ends[0] + part * (ends[1] - ends[0]))
    return found


def bootstrap_weights(count: int, clusters: np.ndarray | None, seed: int) -> np.ndarray:
    """How often each example is drawn in each bootstrap sample, whole clusters together."""
    codes = np.arange(count) if clusters is None else clusters
    many = int(codes.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(many, np.full(many, 1 / many), DRAWS)
    return drawn[:, codes].astype(float)
