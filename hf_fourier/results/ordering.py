"""Orders and cuts: one descending order per example, and the longest prefix that fits a fraction of the features."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from hf_fourier.errors import InputError
from hf_fourier.seeding import ExampleRng
from hf_fourier.typing import Bool, Float, Int, Tensor

#: Rows of so many scores are sorted together: longer ones take so long that a call for each adds nothing.
SHORT = 2**12
#: The attribute of a result that holds its order as an accelerator sorted it, until `order` is first read.
SORTED = "_sorted"
#: The attribute of a result that holds its top features, where an accelerator sorted no others (`Leading`).
LEADING = "_leading"


@dataclass(frozen=True, eq=False)
class Leading:
    """The top features of a result as an accelerator selected them, none tied with another one.

    Attributes:
        features: The first features of its descending order, int32.
        scores: Their scores.
        power: Their fractions of the signal's power; None where they were not asked for.
    """

    features: Int[Tensor, " top"]
    scores: Float[Tensor, " top"]
    power: Float[Tensor, " top"] | None = None

    def is_of(self, scores: Float[Tensor, " features"]) -> bool:
        """Whether these are the top features of scores, which are not looked at where they are on an accelerator."""
        if scores.device.type != "cpu" or not len(self.features):
            return True
        same = torch.equal(scores[self.features], self.scores)
        return same and int((scores >= self.scores[-1]).sum()) == len(self.features)


def descending(
    scores: Float[Tensor, " features"],
    ties: torch.Generator | Callable[[], torch.Generator] | None = None,
    known: Int[Tensor, " features"] | None = None,
) -> Int[Tensor, " features"]:
    """Feature indices from the highest score to the lowest.

    Args:
        scores: One finite number per feature.
        ties: The generator that orders equal scores, or a function that returns it, called only if there are any; None
            keeps them by index.
        known: The order with ties by index, if it was sorted elsewhere; ignored if it is not that of the scores.
    """
    values = scores.detach().cpu().numpy()
    order, equal = (None if known is None else _checked(known, values)) or _sorted(values)
    if equal.any():
        _break_ties(order, equal, ties() if callable(ties) else ties)
    return torch.from_numpy(order)


def descending_rows(
    scores: Float[Tensor, "rows features"], ties: Sequence[Callable[[], torch.Generator]]
) -> list[Int[Tensor, " features"]]:
    """`descending` for each row; short rows are sorted together, which saves most of the time that they take.

    Args:
        scores: One finite number per feature.
        ties: By row, a function that returns the generator that orders equal scores.
    """
    if scores.shape[1] > SHORT or scores.dtype != torch.float32:
        return [descending(row, own) for row, own in zip(scores, ties, strict=True)]
    values = scores.detach().cpu().numpy()
    orders = _by_digits((0 - values).view(np.uint32))
    ranked = _along_rows(values, orders)
    equal = ranked[:, 1:] == ranked[:, :-1]
    for row in np.flatnonzero(equal.any(axis=1)).tolist():
        _break_ties(orders[row], equal[row], ties[row]())
    return list(torch.from_numpy(orders).unbind())


def ties_of(provenance: Mapping[str, Any], key: int) -> torch.Generator:
    """The generator of the key that orders equal scores of a result with this provenance and fingerprint."""
    return ExampleRng(int(provenance.get("seed", 0)), [key]).generator(0, "ties")


def sorted_there(scores: Float[Tensor, "rows features"]) -> Int[Tensor, "rows features"]:
    """The descending order of each row, equal scores by index, int32, sorted on the scores' own device."""
    return scores.detach().sort(dim=1, descending=True, stable=True).indices.int()


def leading(result: Any, count: int) -> Int[Tensor, " first"]:
    """The first features of a result's order, `count` or more: without a sort where an accelerator selected them."""
    known: Leading | None = vars(result).get(LEADING)
    if known is None or "order" in vars(result) or count > len(known.features) or not known.is_of(result.scores):
        order: Tensor = result.order
        return order
    return known.features.long()


def leading_there(
    scores: Float[Tensor, "rows features"], count: int
) -> tuple[Int[Tensor, "rows top"], Float[Tensor, "rows top"], Bool[Tensor, " rows"]]:
    """The first features of each row's descending order, int32, and their scores, selected on the scores' own device.

    Args:
        scores: One finite number per feature, more features than `count`.
        count: How many features.

    Returns:
        The features, their scores, and the rows in which one of them has the same score as another feature: which of
        these comes first is not settled.
    """
    top = scores.detach().topk(count + 1, dim=1)
    tied = (top.values[:, 1:] == top.values[:, :-1]).any(1)
    return top.indices[:, :count].int(), top.values[:, :count], tied


def sorted_shuffled(scores: Float[Tensor, "rows features"]) -> Int[Tensor, "rows features"]:
    """The descending order of each row, equal scores by one fixed shuffle of all features, on the scores' own device.

    For orders within a method on an accelerator: the keys of an example's own random stream would have to wait until
    the host knows how many features are tied.
    """
    shuffle = _shuffle(scores.shape[1], scores.device)
    return shuffle[scores.detach()[:, shuffle].sort(dim=1, descending=True, stable=True).indices]


@lru_cache(maxsize=16)
def _shuffle(features: int, device: torch.device) -> Int[Tensor, " features"]:
    return torch.randperm(features, generator=torch.Generator().manual_seed(features)).to(device)


def _checked(known: Int[Tensor, " features"], values: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """An order of `sorted_there`, and whether each place but the last equals the next; None if of other scores."""
    order = known.numpy().astype(np.int64)
    ranked = values.take(order)
    return None if (ranked[1:] > ranked[:-1]).any() else (order, ranked[1:] == ranked[:-1])


def _sorted(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The descending order, equal values by index, and whether each place but the last equals the next."""
    if values.dtype != np.float32:
        order = np.argsort(-values, kind="stable")
        ranked = values[order]
        return order, ranked[1:] == ranked[:-1]
    order = _by_digits((0 - values).view(np.uint32))  # 0 - x has no -0
    ranked = values.take(order)
    return order, ranked[1:] == ranked[:-1]


def _by_digits(bits: np.ndarray) -> np.ndarray:
    """The stable ascending order of floats from their bits: numpy sorts 16-bit digits by radix, in linear time.

    Several times faster than indices sorted by their scores, and faster than score and index packed in one number.
    """
    key = bits ^ ((bits.view(np.int32) >> 31).view(np.uint32) | np.uint32(1 << 31))  # orders as the floats do
    low = key.astype(np.uint16).argsort(kind="stable")
    high = _along_rows((key >> np.uint32(16)).astype(np.uint16), low)
    return _along_rows(low, high.argsort(kind="stable"))


def _along_rows(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    """`np.take_along_axis` along the last axis of a vector or a matrix, in half of the time for short rows."""
    if values.ndim == 1:
        return values.take(order)
    return values.reshape(-1).take(order + np.arange(len(values))[:, None] * values.shape[-1])


def _break_ties(order: np.ndarray, equal: np.ndarray, ties: torch.Generator | None) -> None:
    """Reorder runs of equal scores in place, by a random key for each tied feature, drawn in the order of indices.

    Args:
        order: Features in descending order.
        equal: Whether each place but the last has the same score as the next.
        ties: Draws the keys; None keeps equal scores by index.
    """
    member = np.zeros(len(order), dtype=bool)
    member[:-1] |= equal
    member[1:] |= equal
    places = np.flatnonzero(member)
    run = np.cumsum((places == 0) | ~equal[places - 1])
    tied = order[places]
    count = len(tied)
    keys = np.arange(count) if ties is None else torch.randperm(count, generator=ties).numpy()
    marked = np.zeros(len(order), dtype=bool)
    marked[tied] = True
    by_key = np.empty(count, dtype=np.int64)
    by_key[keys[np.cumsum(marked)[tied] - 1]] = np.arange(count)  # the k-th tied feature by index has the k-th key
    runs = run[by_key]
    if run[-1] < 2**16:
        runs = runs.astype(np.uint16)  # sorted by radix, in linear time
    order[places] = tied[by_key[runs.argsort(kind="stable")]]


def cut(multiplicity: Int[Tensor, " ranked"], fraction: float | None = None, k: int | None = None) -> int:
    """How many features from the top make a fraction of all, or a count.

    Args:
        multiplicity: The features' multiplicities in descending order of their scores.
        fraction: Fraction of all degrees of freedom N, 0 to 1: the longest prefix of at most `round(fraction * N)`,
            at least one feature unless it is 0.
        k: A number of features instead.

    Raises:
        InputError: If neither or both are given, or one is out of range.
    """
    if (fraction is None) == (k is None):
        raise InputError(
            f"fraction {fraction!r} and k {k!r}", "one of the two", "give a fraction of features or a count"
        )
    if k is not None:
        if isinstance(k, bool) or not isinstance(k, int) or not 0 <= k <= len(multiplicity):
            raise InputError(f"k {k!r}", f"a whole number from 0 to {len(multiplicity)}", "correct `k`")
        return k
    assert fraction is not None
    ((count, _),) = cuts(multiplicity, [fraction])
    return count


def reach(multiplicity: Int[Tensor, " features"], fraction: float) -> int:
    """How many features from the top a fraction may take, whatever their order: one at least, where each is one bin.

    Args:
        multiplicity: The features' multiplicities.
        fraction: The fraction of all degrees of freedom.
    """
    return min(len(multiplicity), max(1, round(fraction * int(multiplicity.sum())))) if fraction else 0


def cuts(
    multiplicity: Int[Tensor, " ranked"], fractions: Sequence[float], total: int | None = None
) -> list[tuple[int, float]]:
    """`cut` for several fractions at once, each with the fraction of all in its prefix.

    Args:
        multiplicity: As for `cut`; of the first features alone, where all fractions end among them.
        fractions: The fractions.
        total: All degrees of freedom N; None for the sum of the multiplicities.

    Raises:
        InputError: If a fraction is out of range.
    """
    for fraction in fractions:
        if not 0 <= fraction <= 1:
            raise InputError(f"fraction {fraction!r}", "a number from 0 to 1", "for a count of features use `k=`")
    held = multiplicity.cpu().numpy().cumsum()
    total = int(held[-1]) if total is None else total
    fitting = held.searchsorted([round(fraction * total) for fraction in fractions], side="right").tolist()
    counts = [max(1, count) if fraction else 0 for count, fraction in zip(fitting, fractions, strict=True)]
    return [(count, int(held[count - 1]) / total if count else 0.0) for count in counts]
