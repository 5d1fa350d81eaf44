"""Examples ordered by length and cut into chunks of about equal cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hf_fourier.models.base import Encoded
from hf_fourier.runs.manifest import Window

#: Chunks hold at most this many times the average number of examples, however short those are.
MOST = 4


def is_tokens(encoded: Encoded) -> bool:
    """Whether an example is tokens, whose lengths vary and are quickly found."""
    return encoded.content is not None and "input_ids" in encoded.inputs


def cost_of(encoded: Encoded) -> float:
    """What a pass through a model takes, relative to others of the same model: leaf entries, and what attention adds.

    A layer of width h takes about 24 h² operations per token, and 4 h per pair of tokens.
    """
    shape = encoded.leaf.shape
    entries = float(np.prod(shape, dtype=float))
    if not is_tokens(encoded):
        return entries
    tokens, width = encoded.inputs["input_ids"].numel(), shape[-1]
    return tokens * width * (1 + tokens / (6 * width))


def ordered(indices: Sequence[int], look: Callable[[int], Encoded | None], chunk: int) -> Window:
    """The plan of one window.

    Args:
        indices: Its examples.
        look: An example as the model gets it; None where it cannot be read.
        chunk: Examples in a chunk, on average.
    """
    known: list[tuple[float, int, int]] = []
    kinds: dict[str, int] = {}  # examples of one length may differ in other shapes
    for index in indices:
        encoded = look(index)
        if encoded is None:
            known.append((0.0, 0, index))
        else:
            known.append((cost_of(encoded), kinds.setdefault(repr(encoded.signature), len(kinds)), index))
    known.sort()
    costs = np.array([cost for cost, *_ in known])
    costs[costs == 0] = costs[costs > 0].mean() if (costs > 0).any() else 1.0
    cuts = _cuts(costs, chunk)
    totals = np.add.reduceat(costs, np.concatenate([[0], cuts[:-1]]))
    return Window(np.array([index for *_, index in known], dtype=np.int64), cuts, totals)


def _cuts(costs: np.ndarray, chunk: int) -> np.ndarray:
    """Where chunks end so that each costs about the same."""
    share = costs.sum() / -(-len(costs) // chunk)
    cuts, spent, begun = [], 0.0, 0
    for i, cost in enumerate(costs):
        if i > begun and (spent + cost / 2 > share or i - begun >= MOST * chunk):
            cuts.append(i)
            spent, begun = 0.0, i
        spent += cost
    return np.array([*cuts, len(costs)], dtype=np.int64)
