"""The cut-off of a filter at which half of a quantity is lost, and the bootstrap of it."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np

#: Draws of the bootstrap.
DRAWS = 1000
#: Numbers drawn at once, at most.
AT_ONCE = 2**21


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


def bootstrap_sums(columns: np.ndarray, clusters: Sequence[Hashable] | None, seed: int) -> np.ndarray:
    """The sums of columns over the examples, and over `DRAWS` bootstrap samples of them, whole clusters together.

    Args:
        columns: Shape `(examples, columns)`.
        clusters: The cluster of each example; None for one each.
        seed: Of the draws.

    Returns:
        Shape `(1 + DRAWS, columns)`, the sums of the examples themselves first.
    """
    if clusters is not None:
        names = {name: number for number, name in enumerate(dict.fromkeys(clusters))}
        totals = np.zeros((len(names), columns.shape[1]))
        np.add.at(totals, [names[name] for name in clusters], columns)
        columns = totals
    generator, many = np.random.default_rng(seed), len(columns)
    at_once = max(1, AT_ONCE // many)
    sums = [columns.sum(0, keepdims=True)]
    for start in range(0, DRAWS, at_once):
        times = generator.multinomial(many, np.full(many, 1 / many), min(at_once, DRAWS - start))
        sums.append(times @ columns)
    return np.concatenate(sums)
