"""How well a metric orders methods as the truth does, with an interval over families of methods."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from hf_fourier.evaluation.metrics.robustness import rank_correlation

DRAWS = 1000


def family(method: str) -> str:
    """The method without its settings: variants of one method are not independent of each other."""
    return method.partition(":")[0]


def spearman(metric: Sequence[float], truth: Sequence[float]) -> float:
    """Spearman's ρ over the methods for which both are defined; NaN with fewer than three, or where one is constant."""
    pairs = [(a, b) for a, b in zip(metric, truth, strict=True) if not math.isnan(a + b)]
    return rank_correlation(*zip(*pairs, strict=True)) if len(pairs) > 2 else math.nan


def pooled(
    models: Sequence[tuple[Mapping[str, float], Mapping[str, float]]], methods: Sequence[str], seed: int = 0
) -> tuple[float, float, float]:
    """The mean over models of Spearman's ρ over methods, with its 95 % interval.

    Args:
        models: For each model the metric and the truth, by method.
        methods: The methods, drawn with replacement by family for the interval, the same draw for all models.
        seed: Of the draws.
    """

    def mean(chosen: Sequence[str]) -> float:
        values = [spearman([metric[m] for m in chosen], [truth[m] for m in chosen]) for metric, truth in models]
        known = [value for value in values if not math.isnan(value)]
        return math.fsum(known) / len(known) if known else math.nan

    families: dict[str, list[str]] = {}
    for method in methods:
        families.setdefault(family(method), []).append(method)
    names, generator = list(families), np.random.default_rng(seed)
    draws = [
        mean([method for i in generator.integers(len(names), size=len(names)) for method in families[names[i]]])
        for _ in range(DRAWS)
    ]
    low, high = np.nanquantile(draws, [0.025, 0.975]) if not all(map(math.isnan, draws)) else (math.nan, math.nan)
    return mean(methods), float(low), float(high)
