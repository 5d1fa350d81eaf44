"""The deletion game: the one routine that asks the model what it says as features are kept or deleted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from hf_fourier.curves import Curve, Part, Stop
from hf_fourier.domains import Basis
from hf_fourier.ranking import cut
from hf_fourier.scoring import Score
from hf_fourier.typing import Bool, Int, Tensor


@dataclass(frozen=True)
class Move:
    """One question of the game: one example with some features left."""

    example: int
    part: Part
    asked: float
    reached: float
    mask: Bool[Tensor, " features"]


def moves(
    example: int, order: Int[Tensor, " features"], multiplicity: Int[Tensor, " features"], kept: Sequence[float]
) -> list[Move]:
    """Keep and delete the top features of one order at each share.

    Args:
        example: Its place in the block.
        order: Features in descending order.
        multiplicity: By feature.
        kept: Shares of all features, 0 to 1.
    """
    ranked = multiplicity[order]
    result: list[Move] = []
    for share in kept:
        count = cut(ranked, share)
        mask = torch.zeros(len(order), dtype=torch.bool)
        mask[order[:count]] = True
        reached = float(ranked[:count].sum()) / float(ranked.sum())
        result += [Move(example, "keep", share, reached, mask), Move(example, "delete", share, reached, ~mask)]
    return result


def play(
    score: Score, basis: Basis, questions: Sequence[Move], look: Callable[[Move, Tensor], None] | None = None
) -> list[Stop]:
    """Ask all questions, forward only, examples and steps packed into the same batches.

    Args:
        score: A block whose targets are settled.
        basis: Its domain.
        questions: What to ask, in any order.
        look: Called with each question whose answer can be looked at (a mask), and that answer on the CPU.

    Returns:
        One stop per question, in the same order.
    """
    coefficients = basis.forward(score.x)
    stops: list[Stop] = []
    width = max(1, score.packer.size)
    for start in range(0, len(questions), width):
        some = questions[start : start + width]
        rows = torch.tensor([move.example for move in some], device=score.x.device)
        masks = torch.stack([move.mask for move in some]).to(score.x.device)
        reading = score.value(basis.keep(coefficients[rows], masks), rows)
        confidences = [None] * len(some) if reading.confidence is None else reading.confidence.tolist()
        if look is not None and reading.answer is not None:
            for move, answer in zip(some, reading.answer.cpu(), strict=True):
                look(move, answer.clone())
        told = zip(some, reading.value.tolist(), confidences, reading.agrees.tolist(), strict=True)
        stops += [Stop(m.part, m.asked, m.reached, value, sure, agrees) for m, value, sure, agrees in told]
    return stops


def curves(questions: Sequence[Move], stops: Sequence[Stop], clean: Sequence[float]) -> list[Curve]:
    """The stops sorted by example."""
    by_example: list[list[Stop]] = [[] for _ in clean]
    for move, stop in zip(questions, stops, strict=True):
        by_example[move.example].append(stop)
    return [Curve(tuple(own), start) for own, start in zip(by_example, clean, strict=True)]
