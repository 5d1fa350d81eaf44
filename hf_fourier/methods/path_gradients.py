"""Gradients at many points of each example, batched over examples and points alike, and integrals of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from hf_fourier.scoring.batching import MicroBatcher
from hf_fourier.scoring.references import ZERO
from hf_fourier.scoring.score import Score, ValueAndGradient
from hf_fourier.typing import Float, Tensor

#: What is integrated: the score s, or the log-odds of what it is the log-probability of.
Quantity = Literal["score", "log-odds"]


@dataclass(frozen=True)
class Path:
    """An integral along the straight path from a reference to the example: `(x - start) * mean` sums to `difference`.

    Attributes:
        start: The reference, shape `(batch, *signal)`, maybe with length 1 along axes where it is constant.
        mean: The mean signed gradient along the path, shape `(batch, *signal)`.
        difference: The quantity at x minus that at the start, shape `(batch,)`.
        words: The reference in words.
        quantity: What was integrated.
        points: Gradients that were averaged.
    """

    start: Float[Tensor, "batch ..."]
    mean: Float[Tensor, "batch *signal"]
    difference: Float[Tensor, " batch"]
    words: str = ZERO
    quantity: Quantity = "score"
    points: int = 0


def mean_gradient_at(
    score: Score, point: Callable[[int], Float[Tensor, "batch *signal"]], weights: Sequence[float]
) -> Float[Tensor, "batch *signal"]:
    """`Σ_j weights[j] ds/dx(point(j))`, the signed gradient: no transform enters the loop.

    Args:
        score: A batch whose targets are resolved.
        point: The j-th point of every example, in the signal's shape; made when it is needed.
        weights: One per point.
    """
    total = torch.zeros_like(score.signal)
    for weight, (gradient, slope) in zip(weights, gradients_at(score, point, len(weights)), strict=True):
        total += weight * (gradient * slope.view(-1, *[1] * (gradient.ndim - 1)))
    return total


def gradients_at(
    score: Score, point: Callable[[int], Float[Tensor, "batch *signal"]], count: int
) -> Iterator[tuple[Float[Tensor, "batch *signal"], Float[Tensor, " batch"]]]:
    """The gradient of each example's margin and the score's slope over it, point by point, in order.

    Args:
        score: A batch whose targets are resolved.
        point: The j-th point of every example, in the signal's shape; made when it is needed.
        count: How many points there are.
    """
    examples = len(score.signal)
    own = torch.arange(examples, device=score.signal.device)
    at_once = max(1, score.batcher.size // examples)

    def run(chunk: slice) -> tuple[int, ValueAndGradient]:
        points = [point(j) for j in range(count)[chunk]]
        return len(points), score.value_and_gradient(torch.cat(points), own.repeat(len(points)))

    batcher = MicroBatcher(at_once)  # fewer points at once where making them takes too much memory
    for many, found in batcher.each(run, count):
        yield from zip(
            found.margin_gradient.view(many, *score.signal.shape),
            found.reading.dvalue_dmargin.view(many, examples),
            strict=True,
        )
    score.batcher.splits += batcher.splits
