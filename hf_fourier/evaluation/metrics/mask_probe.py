"""Mask probe: whether the choice of the top features alone, without their values, predicts the label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hf_fourier.errors import InputError
from hf_fourier.evaluation.metrics.base import Metric, MetricValues, register
from hf_fourier.evaluation.metrics.structure import TopSet
from hf_fourier.evaluation.metrics.table import Table

#: Ridge penalty, relative to the mean squared distance of masks from their mean.
_PENALTY = 0.1


@dataclass(frozen=True)
class ProbedMasks:
    """What a classifier on masks finds.

    Attributes:
        recall: By label, the fraction of its examples whose label is predicted from the mask.
        accuracy: Their mean, the balanced accuracy.
        chance: The mean balanced accuracy with labels shuffled among the groups.
        p: The fraction of the shuffles, and of the true labels as one of them, that reach the accuracy.
    """

    recall: dict[str, float]
    accuracy: float
    chance: float
    p: float


def probe_masks(
    tops: Sequence[TopSet],
    labels: Sequence[str],
    features: int,
    groups: Sequence[str] | None = None,
    *,
    folds: int = 5,
    shuffles: int = 99,
    seed: int = 0,
) -> ProbedMasks:
    """Predict labels from masks by ridge regression, cross-validated by groups.

    The classifier reads which features are among the top (0 or 1), never their values. Each fold's masks are centred
    by the other folds' mean; the label is the one whose indicator's prediction is largest relative to its frequency.

    Args:
        tops: The top features of each example, by index.
        labels: The label of each.
        features: How many features there are.
        groups: The group of each example: a group is predicted from other groups alone. None, or "", for its own.
        folds: At least 2; no more than groups.
        shuffles: How often labels are shuffled for the chance level, at least 1.
        seed: Of folds and shuffles.

    Raises:
        InputError: If there are fewer than two labels with two groups each, or not one label and group for each mask.
    """
    given = [""] * len(labels) if groups is None else list(groups)
    if not len(tops) == len(labels) == len(given):
        got = f"{len(tops)} masks, {len(labels)} labels and {len(given)} groups"
        raise InputError(got, "one of each for every example", "correct `labels` or `groups`")
    rows = sorted(
        (label, group or "", tuple(map(int, top))) for label, group, top in zip(labels, given, tops, strict=True)
    )
    labels, tops = [row[0] for row in rows], [row[2] for row in rows]  # in an order that does not depend on theirs
    names = [row[1] or f"\0{i}" for i, row in enumerate(rows)]
    of_group: dict[str, Counter[str]] = {name: Counter() for name in names}
    for name, label in zip(names, labels, strict=True):
        of_group[name][label] += 1
    major = {name: max(sorted(counts), key=counts.__getitem__) for name, counts in of_group.items()}
    held = Counter(label for counts in of_group.values() for label in counts)
    if len(held) < 2 or min(held.values()) < 2 or folds < 2 or shuffles < 1:
        got = f"{len(held)} labels, the rarest in {min(held.values(), default=0)} groups"
        raise InputError(got, "two labels or more, each in two groups", "explain more examples of each label")
    draw = np.random.default_rng(seed)
    fold_of = _folds(major, min(folds, len(major)), draw)
    fold = np.array([fold_of[name] for name in names])
    known = sorted(held)
    index = np.array([known.index(label) for label in labels])
    place = {name: i for i, name in enumerate(major)}
    majors, own = np.array([known.index(major[name]) for name in major]), np.array([place[name] for name in names])
    columns = np.stack([index, *(draw.permutation(majors)[own] for _ in range(shuffles))], 1)
    predicted = _predicted(_products(tops, features), columns, fold, len(known))
    recalls = [_recall(columns[:, i], predicted[:, i], len(known)) for i in range(columns.shape[1])]
    accuracies = np.array([np.nanmean(recall) for recall in recalls])
    reached = 1 + int((accuracies[1:] >= accuracies[0] - 1e-12).sum())
    recall = dict(zip(known, map(float, recalls[0]), strict=True))
    return ProbedMasks(recall, float(accuracies[0]), float(accuracies[1:].mean()), reached / (1 + shuffles))


def _folds(major: dict[str, str], folds: int, draw: np.random.Generator) -> dict[str, int]:
    """The fold of each group, labels spread evenly."""
    order = sorted(zip(major.values(), draw.random(len(major)), major, strict=True))
    return {name: place % folds for place, (_, _, name) in enumerate(order)}


def _products(tops: Sequence[TopSet], features: int) -> np.ndarray:
    """How many features each two masks share."""
    from scipy import sparse

    index = [np.asarray(top, dtype=int) for top in tops]
    starts = np.concatenate([[0], np.cumsum([len(top) for top in index])])
    flat = np.concatenate(index) if index else np.zeros(0, dtype=int)
    masks = sparse.csr_matrix((np.ones(len(flat)), flat, starts), shape=(len(index), features))
    return np.asarray((masks @ masks.T).todense(), dtype=float)


def _predicted(products: np.ndarray, labels: np.ndarray, fold: np.ndarray, classes: int) -> np.ndarray:
    """The class that each mask is given from the other folds, for each column of labels."""
    found = np.zeros_like(labels)
    for number in np.unique(fold):
        test, train = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        inner, outer = products[np.ix_(train, train)], products[np.ix_(test, train)]
        mean = inner.mean(0)
        centred = inner - mean - mean[:, None] + mean.mean()
        outer = outer - mean - outer.mean(1, keepdims=True) + mean.mean()
        penalty = _PENALTY * np.trace(centred) / len(train) or 1.0
        indicators = np.eye(classes)[labels[train]]  # examples, columns, classes
        frequency = indicators.mean(0)
        flat = (indicators - frequency).reshape(len(train), -1)
        fitted = outer @ np.linalg.solve(centred + penalty * np.eye(len(train)), flat)
        evidence = fitted.reshape(len(test), *frequency.shape) / np.where(frequency > 0, frequency, 1)
        found[test] = np.where(frequency > 0, evidence, -np.inf).argmax(2)
    return found


def _recall(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """By class the fraction of its examples that are predicted."""
    right = np.bincount(labels, labels == predicted, classes)
    counts = np.bincount(labels, minlength=classes)
    return np.where(counts > 0, right / np.maximum(counts, 1), np.nan)


def _from_table(table: Table) -> MetricValues:
    sizes = set(table["features"])
    if len(sizes) != 1:
        got = f"masks of {sorted(sizes)} features"
        raise InputError(got, "one number of features for all", "probe signals of one shape")
    found = probe_masks(table["top"], table["label"], sizes.pop(), table["group"])
    return {
        "mask_probe": list(found.recall.values()),
        "mask_probe_by_chance": found.chance,
        "mask_probe_p": found.p,
    }


MASK_PROBE = register(
    Metric(
        name="mask_probe",
        description=(
            "How often the label can be predicted from which features are on top, without their values: the recall "
            "of each class, whose mean is the balanced accuracy."
        ),
        reads=("group", "label", "top", "features"),
        range="0 to 1; `mask_probe_by_chance` with labels shuffled, and `mask_probe_p` how often those reach it",
        better="neither",
        needs="make the table with `columns(results, top=0.04)`, examples of several classes",
        limits=(
            "A mask that tells the label is no proof that the kept values do not matter, since examples of a class "
            "are alike: compare with `magnitude`, whose masks tell it too, with `encoding`, and with results for "
            "wrong labels, whose masks should not tell the label that was asked for. Below chance level means nothing"
        ),
        reference=(
            "this library, after the question of Jethani et al. (AISTATS 2021, arXiv 2103.01890) whether masks encode "
            "labels"
        ),
        per_example=_from_table,
        unit="class",
    )
)
