"""Orders and cuts: one descending order per example, and the longest prefix that fits a share of the features."""

from __future__ import annotations

import numpy as np
import torch

from hf_fourier.errors import InputError
from hf_fourier.typing import Float, Int, Tensor


def descending(scores: Float[Tensor, " features"], ties: torch.Generator | None = None) -> Int[Tensor, " features"]:
    """Feature indices from the highest score to the lowest.

    Args:
        scores: One finite number per feature.
        ties: Settles the order of equal scores; asked only if there are any. None keeps them by index.
    """
    values = scores.detach().cpu().numpy()
    order = np.argsort(-values)
    ranked = values[order]
    equal = ranked[1:] == ranked[:-1]
    if equal.any():
        _settle_ties(order, equal, ties)
    return torch.from_numpy(order)


def _settle_ties(order: np.ndarray, equal: np.ndarray, ties: torch.Generator | None) -> None:
    """Reorder runs of equal scores in place, by a random key for each tied feature, drawn in the order of indices.

    Args:
        order: Features in descending order.
        equal: Whether each place but the last has the same score as the next.
        ties: Draws the keys; None keeps equal scores by index.
    """
    places = np.flatnonzero(np.append(equal, False) | np.insert(equal, 0, False))
    run = np.cumsum(np.insert(~equal, 0, False))[places]
    tied = np.sort(order[places])
    keys = np.arange(len(tied)) if ties is None else torch.randperm(len(tied), generator=ties).numpy()
    key = keys[np.searchsorted(tied, order[places])]
    order[places] = order[places][np.lexsort((key, run))]


def cut(multiplicity: Int[Tensor, " ranked"], fraction: float | None = None, k: int | None = None) -> int:
    """How many features from the top make a share of all, or a count.

    Args:
        multiplicity: The features' multiplicities in descending order of their scores.
        fraction: Share of all degrees of freedom N, from 0 to 1: the longest prefix of at most `round(fraction * N)`,
            at least one feature unless it is 0.
        k: A number of features instead.

    Raises:
        InputError: If neither or both are given, or one is out of range.
    """
    if (fraction is None) == (k is None):
        raise InputError(f"fraction {fraction!r} and k {k!r}", "one of the two", "give a share of features or a count")
    if k is not None:
        if isinstance(k, bool) or not isinstance(k, int) or not 0 <= k <= len(multiplicity):
            raise InputError(f"k {k!r}", f"a whole number from 0 to {len(multiplicity)}", "correct `k`")
        return k
    assert fraction is not None
    if not 0 <= fraction <= 1:
        raise InputError(f"fraction {fraction!r}", "a number from 0 to 1", "for a count of features use `k=`")
    if fraction == 0:
        return 0
    reached = torch.cumsum(multiplicity, 0)
    most = round(fraction * int(reached[-1]))
    return max(1, int(torch.searchsorted(reached, most, right=True)))
