"""Gradients averaged over many points of each example, packed over examples and points alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from hf_fourier.scoring import Score
from hf_fourier.typing import Float, Tensor


def mean_gradient(
    score: Score, point: Callable[[int], Float[Tensor, "batch *leaf"]], weights: Sequence[float]
) -> Float[Tensor, "batch *leaf"]:
    """`Σ_j weights[j] ds/dx(point(j))`, the signed gradient: no transform enters the loop.

    Args:
        score: A block whose targets are settled.
        point: The j-th point of every example, in the leaf's shape; made when it is needed.
        weights: One per point.
    """
    examples = len(score.x)
    own = torch.arange(examples, device=score.x.device)
    at_once = max(1, score.packer.size // examples)
    total = torch.zeros_like(score.x)
    for start in range(0, len(weights), at_once):
        numbers = range(start, min(start + at_once, len(weights)))
        points = torch.cat([point(j) for j in numbers])
        gradient = score.evaluate(points, own.repeat(len(numbers))).gradient
        by_point = gradient.view(len(numbers), *score.x.shape)
        for j, one in zip(numbers, by_point, strict=True):
            total += weights[j] * one
    return total
