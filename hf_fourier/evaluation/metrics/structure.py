"""Concentration and specificity: how alike the top features of a class are, and how many no other class has."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from hf_fourier.errors import InputError
from hf_fourier.evaluation.metrics.base import Metric, MetricValues, register
from hf_fourier.evaluation.metrics.table import Table
from hf_fourier.results.attribution import Attribution

#: The features on top of one example, by index.
TopSet = Sequence[int] | np.ndarray


def top_overlap(a: Attribution, b: Attribution, fraction: float = 0.04) -> float:
    """The fraction of a's top features that are among b's, 0 to 1; about `fraction` by chance.

    Args:
        a: A ranking of some features.
        b: Another one of the same features.
        fraction: Of all features, the size of the top.

    Raises:
        InputError: If they are of different domains.
    """
    if a.layout.domain != b.layout.domain:
        got = f"top features in {a.layout.domain} and in {b.layout.domain}"
        raise InputError(got, "in one domain", "explain them alike")
    top, other = a.mask(fraction), b.mask(fraction)
    return float((top & other).sum().float() / top.sum())


def feature_counts(tops: Sequence[TopSet], features: int) -> np.ndarray:
    """In how many of the examples each feature is on top, shape `(features,)`.

    Raises:
        InputError: If a feature is out of range, or twice in one example.
    """
    counts = np.zeros(features, dtype=int)
    for top in tops:
        index = np.asarray(top, dtype=int)
        if len(index) and (index.min() < 0 or index.max() >= features or len(np.unique(index)) < len(index)):
            raise InputError(
                "features that repeat or are out of range", f"some of 0 to {features - 1}", "correct `tops`"
            )
        counts[index] += 1
    return counts


def concentration(tops: Sequence[TopSet], features: int) -> float:
    """Intra-class concentration: the kurtosis of the counts per feature over one class's examples.

    `mean(((c − μ)/σ)⁴)` over the features, c the number of examples in whose top a feature is (Pearson's; 3 for a
    normal distribution). At least 1. Examples that agree on few features give a large value, examples with nothing in
    common about `chance_concentration`. After arXiv 2411.18343, whose code takes it of a 0/1 vector, where it only
    measures the fraction of ones.

    Args:
        tops: The top features of each example, all with the same features.
        features: How many features there are.

    Returns:
        NaN where all counts are equal.

    Raises:
        InputError: If a feature is out of range or repeats.
    """
    counts = feature_counts(tops, features)
    centred = counts - counts.mean()
    variance = float((centred**2).mean())
    return float((centred**4).mean()) / variance**2 if variance > 1e-12 else math.nan


def chance_concentration(examples: int, fraction: float) -> float:
    """The expected `concentration` where each example's top is a random fraction of many features.

    The kurtosis of a binomial count, `3 + (1 − 6 r (1 − r)) / (n r (1 − r))`.
    """
    spread = fraction * (1 - fraction)
    return 3 + (1 - 6 * spread) / (examples * spread)


def specificity(tops: Mapping[str, Sequence[TopSet]], features: int) -> dict[str, tuple[float, int]]:
    """Inter-class specificity: how much of what is usual for a class is usual for no other.

    Usual for a class are the features whose count over its examples exceeds the class's mean count. After arXiv
    2411.18343, which gives the number of features that are usual for exactly one class.

    Args:
        tops: By class, the top features of each example.
        features: How many features there are.

    Returns:
        By class, the fraction of its usual features that are usual for no other class (0 to 1, higher is more specific;
        NaN where none is usual), and their number.

    Raises:
        InputError: With fewer than two classes, or if a feature is out of range or repeats.
    """
    if len(tops) < 2:
        raise InputError(f"{len(tops)} class", "at least two", "explain examples of several classes")
    usual = {}
    for name, class_tops in tops.items():
        counts = feature_counts(class_tops, features)
        usual[name] = counts > counts.mean()
    classes = np.sum(list(usual.values()), axis=0)
    result: dict[str, tuple[float, int]] = {}
    for name, mask in usual.items():
        alone = int((mask & (classes == 1)).sum())
        result[name] = (alone / int(mask.sum()) if mask.any() else math.nan, alone)
    return result


def _by_class(table: Table) -> tuple[dict[str, list[TopSet]], int]:
    """The top features of each class's examples, classes by name, and how many features there are."""
    sizes = set(table["features"])
    if len(sizes) != 1:
        raise InputError(f"examples of {sorted(sizes)} features", "one number for all", "compare signals of one shape")
    classes: dict[str, list[TopSet]] = {name: [] for name in sorted(set(table["label"]))}
    for name, top in zip(table["label"], table["top"], strict=True):
        classes[name].append(top)
    return classes, int(sizes.pop())


def _concentration_from_table(table: Table) -> MetricValues:
    classes, features = _by_class(table)
    many = {name: tops for name, tops in classes.items() if len(tops) > 1}
    if not many:
        raise InputError("one example of each class", "several of at least one class", "explain more examples")
    chance = [chance_concentration(len(tops), len(tops[0]) / features) for tops in many.values()]
    values = [concentration(tops, features) for tops in many.values()]
    return {"concentration": values, "concentration_by_chance": chance}


def _specificity_from_table(table: Table) -> MetricValues:
    classes, features = _by_class(table)
    pairs = list(specificity(classes, features).values())
    return {
        "specificity": [fraction for fraction, _ in pairs],
        "specific_features": [float(count) for _, count in pairs],
    }


CONCENTRATION = register(
    Metric(
        name="concentration",
        description=(
            "How much the examples of a class agree on their top features: the kurtosis of the counts per feature."
        ),
        reads=("label", "top", "features"),
        range="1 and above; `concentration_by_chance` for random features",
        better="neither",
        needs="make the table with `columns(results, top=0.04)`, several examples of a class",
        limits=(
            "Shared features need not be specific to the class: a fixed low-pass mask has the largest possible value. "
            "Compare with `magnitude`."
        ),
        reference="after arXiv 2411.18343, whose code computes it of a 0/1 vector",
        per_example=_concentration_from_table,
        unit="class",
    )
)


SPECIFICITY = register(
    Metric(
        name="specificity",
        description="The fraction of a class's frequent features that are frequent in no other class.",
        reads=("label", "top", "features"),
        range="0 to 1; `specific_features` counts them",
        better="neither",
        needs="make the table with `columns(results, top=0.04)`, examples of several classes",
        limits=(
            "With few examples random features are specific too, and the value may rise when a true ranking is "
            "degraded. Compare with `random`."
        ),
        reference="after arXiv 2411.18343, which counts them",
        per_example=_specificity_from_table,
        unit="class",
    )
)
