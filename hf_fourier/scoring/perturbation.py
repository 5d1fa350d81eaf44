"""The deletion game: the one routine that asks the model what it says as features are kept or deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
import torch

from hf_fourier.domains import Basis
from hf_fourier.results.curve import Curve, CurvePoint, FractionGrid, Mode, PerturbationKey, canonical_perturbation
from hf_fourier.results.ordering import cuts
from hf_fourier.scoring.batching import MicroBatcher
from hf_fourier.scoring.score import Score
from hf_fourier.typing import Bool, Float, Inexact, Int, Tensor

#: Coefficients that are filtered at once, unless a batch holds more.
ENTRIES = 2**19


@dataclass(eq=False)  # not frozen, which would double the time it takes to make one
class Perturbation:
    """One question of the game: one example with some features left.

    Attributes:
        example: Its place in the block.
        mode: Whether the top is kept or deleted.
        fraction: The share that was asked for.
        actual_fraction: The share of the longest prefix that fits.
        order: Features in descending order.
        count: How many of them are in that prefix.
        key: Which features are left: equal for two questions about one example that are the same question.
    """

    example: int
    mode: Mode
    fraction: float
    actual_fraction: float
    order: Int[Tensor, " features"]
    count: int
    key: PerturbationKey = field(init=False)

    def __post_init__(self) -> None:
        self.key = canonical_perturbation(self.mode, self.actual_fraction)

    @property
    def mask(self) -> Bool[Tensor, " features"]:
        """The features that are left."""
        mask = torch.full((len(self.order),), self.mode == "delete")
        mask[self.order[: self.count]] = self.mode == "keep"
        return mask

    def at(self, example: int) -> Perturbation:
        """The same question about the example at another place."""
        return Perturbation(example, self.mode, self.fraction, self.actual_fraction, self.order, self.count)

    def answered(self, stop: CurvePoint) -> CurvePoint:
        """An answer to the same question, under this move's name."""
        told = stop.value, stop.confidence, stop.agreement, stop.predicted_class
        return CurvePoint(self.mode, self.fraction, self.actual_fraction, *told)


def perturbations(
    example: int, order: Int[Tensor, " features"], multiplicity: Int[Tensor, " features"], grid: FractionGrid
) -> list[Perturbation]:
    """All questions of a grid about one order.

    Args:
        example: Its place in the block.
        order: Features in descending order.
        multiplicity: By feature.
        grid: What to keep and delete.
    """
    shares = tuple(dict.fromkeys(grid.keep + grid.delete))
    found = dict(zip(shares, cuts(multiplicity[order], shares), strict=True))
    return [Perturbation(example, part, share, found[share][1], order, found[share][0]) for part, share in grid]


def run_perturbations(
    score: Score,
    basis: Basis,
    questions: Sequence[Perturbation],
    look: Callable[[Perturbation, Tensor], None] | None = None,
) -> list[CurvePoint]:
    """Ask all questions, forward only, examples and steps packed into the same batches, equal questions once.

    Args:
        score: A block whose targets are settled.
        basis: Its domain.
        questions: What to ask, in any order.
        look: Called with each question whose answer can be looked at (a mask), and that answer on the CPU.

    Returns:
        One stop per question, in the same order.
    """
    same: dict[tuple[int, PerturbationKey], list[int]] = {}
    orders: dict[int, Tensor] = {}
    for i, move in enumerate(questions):
        same.setdefault((move.example, move.key), []).append(i)
        orders.setdefault(move.example, move.order)
    remains = _FilteredSignals(basis, score.signal, orders)
    asked, stops = list(same.values()), [CurvePoint("keep", 0, 0, 0, None, 0)] * len(questions)
    # Rows of small signals are made for several batches at once.
    batch = max(1, score.batcher.size)
    width = batch * max(1, ENTRIES // (batch * remains.stored))

    def ask(chunk: slice) -> None:
        groups = asked[chunk]
        places, rests = remains.with_complements([questions[group[0]] for group in groups])
        some = [groups[place] for place in places]
        firsts = [questions[group[0]] for group in some]
        rows = torch.tensor([move.example for move in firsts], device=score.signal.device)
        reading = score.value(remains.signals(firsts, rows, rests), rows)
        confidences = [None] * len(some) if reading.confidence is None else reading.confidence.tolist()
        answers = [None] * len(some) if reading.predicted_mask is None else list(reading.predicted_mask.cpu())
        said = [None] * len(some) if reading.predicted_class is None else reading.predicted_class.tolist()
        told = zip(some, reading.value.tolist(), confidences, reading.agreement.tolist(), said, answers, strict=True)
        for group, value, sure, agrees, label, answer in told:
            for i in group:
                move = questions[i]
                stops[i] = CurvePoint(move.mode, move.fraction, move.actual_fraction, value, sure, agrees, label)
                if look is not None and answer is not None:
                    look(move, answer.clone())

    batcher = MicroBatcher(width)  # fewer signals at once where making them takes too much memory
    batcher.run(ask, len(asked))
    score.batcher.splits += batcher.splits
    return stops


class _FilteredSignals:
    """What is left of a block's examples when features are kept or deleted.

    Two questions may leave each other's rest. Then one inverse transform does for both: what is left without the top is
    made from its coefficients, and the top by taking that off the example, which rounds like one more transform.

    Attributes:
        stored: How many coefficients an example has.

    Args:
        basis: The domain.
        x: The examples.
        orders: Features in descending order, by example.
    """

    def __init__(
        self, basis: Basis, x: Float[Tensor, "examples *signal"], orders: Mapping[int, Int[Tensor, " features"]]
    ) -> None:
        self._basis, self._x = basis, x
        self._coefficients = basis.forward(x)
        self.stored = self._coefficients.shape[1]
        ranks = np.zeros((len(x), len(basis)), dtype=np.int32)
        places = np.arange(len(basis), dtype=np.int32)
        for example, order in orders.items():
            ranks[example, order.cpu().numpy()] = places
        # The place of each stored bin's feature in its example's order.
        self._ranks: Int[Tensor, "examples stored"] = basis.expand_to_bins(torch.from_numpy(ranks)).to(x.device)

    def with_complements(self, asked: Sequence[Perturbation]) -> tuple[Sequence[int], int]:
        """An order of different questions, and how many at its end leave the rest of as many at its beginning."""
        deleting = {(move.example, move.count): i for i, move in enumerate(asked) if move.mode == "delete"}
        keeping = ((i, (move.example, move.count)) for i, move in enumerate(asked) if move.mode == "keep")
        pairs = [(deleting[key], i) for i, key in keeping if key in deleting]
        pairs = [pair if asked[pair[0]].count else pair[::-1] for pair in pairs]  # nothing is nothing, exactly
        made, rests = [i for i, _ in pairs], [i for _, i in pairs]
        alone = sorted(set(range(len(asked))).difference(made, rests))
        return made + alone + rests, len(pairs)

    def signals(
        self, questions: Sequence[Perturbation], rows: Int[Tensor, " rows"], rests: int
    ) -> Float[Tensor, "rows *signal"]:
        """What each question signals, the last `rests` being the rest of the first ones."""
        direct = len(questions) - rests
        made = self._basis.inverse(self._filtered(rows[:direct], questions[:direct]))
        if not rests:
            return made
        signals = made.new_empty((len(questions), *made.shape[1:]))
        signals[:direct] = made
        for example, own in _runs(questions[direct:]):
            torch.sub(self._x[example], made[own], out=signals[direct:][own])
        return signals

    def _filtered(
        self, rows: Int[Tensor, " rows"], questions: Sequence[Perturbation]
    ) -> Inexact[Tensor, "rows stored"]:
        """The coefficients that each question signals; on the CPU numpy makes them several times faster."""
        counts = np.array([[move.count] for move in questions], dtype=np.int32)
        kept = np.array([[move.mode == "keep"] for move in questions])
        if self._x.device.type != "cpu":
            below = self._ranks[rows] < torch.from_numpy(counts).to(self._ranks)
            return self._coefficients[rows] * (below == torch.from_numpy(kept).to(below.device))
        ranks, whole = self._ranks.numpy(), self._coefficients.detach().resolve_conj().numpy()
        found = np.empty((len(questions), self.stored), whole.dtype)
        for example, own in _runs(questions):
            np.multiply(whole[example], (ranks[example] < counts[own]) == kept[own], out=found[own])
        return torch.from_numpy(found)


def _runs(questions: Sequence[Perturbation]) -> Iterator[tuple[int, slice]]:
    """Examples, and where questions about them lie side by side."""
    end = 0
    for example, own in groupby(move.example for move in questions):
        yield example, slice(end, end := end + len(list(own)))


def curves(questions: Sequence[Perturbation], stops: Sequence[CurvePoint], clean: Sequence[float]) -> list[Curve]:
    """The stops sorted by example."""
    by_example: list[list[CurvePoint]] = [[] for _ in clean]
    for move, stop in zip(questions, stops, strict=True):
        by_example[move.example].append(stop)
    return [Curve(tuple(own), start) for own, start in zip(by_example, clean, strict=True)]
