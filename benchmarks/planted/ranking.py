"""How far up a ranking the planted features are: areas, precision, first hit, by feature and by frequency.

Three sets of features matter: G, which is planted and decides; the neighbours of G that the model takes for it (they
count as hits and are left out of areas); and the decoys D.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor

from benchmarks.assets.triggers import Frequency
from hf_fourier.domains.layout import Axis, Layout
from hf_fourier.results.attribution import Attribution


def cycles(layout: Layout) -> Tensor:
    """Each feature's frequency as whole cycles along each transformed axis, shape `(K, axes)`.

    Of a conjugate pair it is that with the smaller numbers, so that equal frequencies have equal rows.
    """
    axes = transformed(layout)
    columns = [
        (column.values.double() / axis.rate * axis.length).round().long()
        for column, axis in zip(layout.with_role("frequency"), axes, strict=True)
    ]
    return canonical(torch.stack(columns, 1), [axis.length for axis in axes])


def transformed(layout: Layout) -> list[Axis]:
    """The axes along which the layout has frequencies.

    Raises:
        ValueError: There are none.
    """
    axes = {axis.name: axis for axis in layout.signal.axes}
    chosen = [axes[column.axis] for column in layout.with_role("frequency")]
    if not chosen:
        raise ValueError(f"features in domain {layout.domain!r} have no frequency")
    return chosen


def canonical(frequencies: Tensor, lengths: Sequence[int]) -> Tensor:
    """The first in lexicographic order of k and −k modulo the lengths, for each row."""
    sizes = torch.tensor(lengths)
    one, other = frequencies % sizes, -frequencies % sizes
    code = torch.zeros(2, len(frequencies), dtype=torch.long)
    for axis, length in enumerate(lengths):
        code = code * length + torch.stack([one[:, axis], other[:, axis]])
    return torch.where((code[0] <= code[1])[:, None], one, other)


def members(layout: Layout, frequencies: Iterable[Frequency]) -> Tensor:
    """Which features have one of these frequencies, all channels alike, shape `(K,)`.

    Raises:
        ValueError: No feature has one of the frequencies.
    """
    have = cycles(layout)
    lengths = [axis.length for axis in transformed(layout)]
    chosen = torch.zeros(len(layout), dtype=torch.bool)
    for frequency in frequencies:
        same = (have == canonical(torch.tensor([frequency]), lengths)).all(1)
        if not same.any():
            raise ValueError(f"no feature has {frequency} cycles along axes of {lengths}")
        chosen |= same
    return chosen


def area(scores: np.ndarray, positive: np.ndarray, negative: np.ndarray) -> float:
    """AUROC: how often a positive has a larger score than a negative; a tie counts half.

    Args:
        scores: Shape `(K,)`.
        positive: Which are positive, shape `(K,)`.
        negative: Which are negative; features in neither are left out.
    """
    n, m = int(positive.sum()), int(negative.sum())
    ranks = rankdata(np.concatenate([scores[positive], scores[negative]]))
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))


def average_precision(order: np.ndarray, positive: np.ndarray, left_out: np.ndarray) -> float:
    """The mean over positives of the fraction of positives at or above each, in a ranking.

    Args:
        order: Features from the first on, shape `(K,)`.
        positive: Which are positive, shape `(K,)`.
        left_out: Features that count neither way, shape `(K,)`.
    """
    hits = positive[order[~left_out[order]]]
    places = np.flatnonzero(hits) + 1
    return float((np.arange(1, len(places) + 1) / places).mean())


def reciprocal_rank(order: np.ndarray, positive: np.ndarray) -> float:
    """One over the place of the first positive."""
    return float(1 / (1 + np.flatnonzero(positive[order])[0]))


def by_frequency(scores: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The mean rank of each frequency's features over its channels, shape `(frequencies,)`; larger is more important.

    Args:
        scores: Shape `(K,)`.
        groups: The number of each feature's frequency, 0, 1, …, shape `(K,)`.
    """
    ranks = rankdata(scores)
    return np.bincount(groups, ranks) / np.bincount(groups)


def measures(
    result: Attribution, planted: Sequence[Frequency], admitted: Sequence[Frequency], decoys: Sequence[Frequency]
) -> dict[str, float]:
    """All numbers of one example's ranking.

    Args:
        result: The ranking.
        planted: The frequencies that decide here (a wave has one, a rhythm of tokens has harmonics).
        admitted: Neighbours that the model takes for them.
        decoys: The frequencies of the decoys that this example has.
    """
    layout = result.layout
    truth, near = (members(layout, frequencies).numpy() for frequencies in (planted, [*planted, *admitted]))
    decoyed = members(layout, decoys).numpy() & ~near
    scores, order = result.scores.double().numpy(), result.order.numpy()
    _, groups = torch.unique(cycles(layout), dim=0, return_inverse=True)
    numbers = groups.numpy()
    heard = by_frequency(scores, numbers)
    sets = [np.bincount(numbers, which) > 0 for which in (truth, near, decoyed)]
    top = np.flatnonzero(heard == heard.max())
    return {
        "AUROC": area(scores, truth, ~near),
        "AP": average_precision(order, truth, near & ~truth),
        "AUROC decoys": area(scores, truth, decoyed),
        "first": float(near[order[0]]),
        "MRR": reciprocal_rank(order, near),
        "AUROC frequencies": area(heard, sets[0], ~sets[1]),
        "AUROC frequencies, decoys": area(heard, sets[0], sets[2]),
        "first frequency": float(sets[1][top].mean()),
    }
