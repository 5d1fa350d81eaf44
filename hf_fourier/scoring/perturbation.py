"""Perturbation curves of one batch: the model's predictions as top features are kept or deleted, forward only."""

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
from hf_fourier.scoring.pending import to_device
from hf_fourier.scoring.score import Score
from hf_fourier.typing import Bool, Float, Inexact, Int, Tensor

#: Coefficients that are filtered at once, unless a batch holds more.
ENTRIES = 2**19


@dataclass(eq=False)  # not frozen, which would double the time it takes to make one
class Perturbation:
    """One example with some of its features left.

    Attributes:
        example: Its index in the batch.
        mode: Whether the top is kept or deleted.
        fraction: The requested fraction.
        actual_fraction: The fraction of the longest prefix that fits.
        order: Features in descending order, at least those of that prefix.
        count: How many of them are in that prefix.
        key: Which features are left: equal for perturbations of one example that leave the same features.
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
        """The features that are left, where the order is of all features."""
        mask = torch.full((len(self.order),), self.mode == "delete")
        mask[self.order[: self.count]] = self.mode == "keep"
        return mask

    def relabel(self, point: CurvePoint) -> CurvePoint:
        """The point of a perturbation that leaves the same features, with the mode and fractions of this one."""
        result = point.value, point.confidence, point.agreement, point.predicted_class
        return CurvePoint(self.mode, self.fraction, self.actual_fraction, *result)


def perturbations(
    example: int, order: Int[Tensor, " ranked"], multiplicity: Int[Tensor, " features"], grid: FractionGrid
) -> list[Perturbation]:
    """All perturbations of a grid by one order.

    Args:
        example: Its index in the batch.
        order: Features in descending order, at least as many as the largest fraction takes (`reach`).
        multiplicity: By feature.
        grid: The fractions to keep and to delete.
    """
    total = None if len(order) == len(multiplicity) else int(multiplicity.sum())
    prefixes = dict(zip(grid.fractions, cuts(multiplicity.index_select(0, order), grid.fractions, total), strict=True))
    return [
        Perturbation(example, mode, fraction, prefixes[fraction][1], order, prefixes[fraction][0])
        for mode, fraction in grid
    ]


def run_perturbations(
    score: Score,
    basis: Basis,
    requests: Sequence[Perturbation],
    visit: Callable[[Perturbation, Tensor], None] | None = None,
    replacement: Inexact[Tensor, "examples stored"] | None = None,
) -> list[CurvePoint]:
    """Run all perturbations, forward only; examples and fractions share batches, equal perturbations run once.

    Args:
        score: A batch whose targets are resolved.
        basis: Its domain.
        requests: The perturbations, in any order.
        visit: Called with each perturbation whose prediction is a mask, and that mask on the CPU.
        replacement: The coefficients of what stands in a deleted feature's place (see
            `hf_fourier.scoring.replacements.curve_coefficients`); None for zero.

    Returns:
        One point per perturbation, in the same order.
    """
    equal: dict[tuple[int, PerturbationKey], list[int]] = {}
    orders: dict[int, Tensor] = {}
    for i, request in enumerate(requests):
        equal.setdefault((request.example, request.key), []).append(i)
        orders.setdefault(request.example, request.order)
    if score.signal.device.type != "cpu":  # the rest of an order has no effect and need not get there
        most = max((request.count for request in requests), default=0)
        orders = {example: order[:most] for example, order in orders.items()}
    filtered = _FilteredSignals(basis, score.signal, score.coefficients(basis), orders, replacement)
    unique, points = list(equal.values()), [CurvePoint("keep", 0, 0, 0, None, 0)] * len(requests)
    # Rows of small signals are made for several batches at once.
    rows_per_batch = max(1, score.batcher.size)
    width = rows_per_batch * max(1, ENTRIES // (rows_per_batch * filtered.stored))

    def run(chunk: slice) -> None:
        indices = unique[chunk]
        arranged, complements = filtered.with_complements([requests[group[0]] for group in indices])
        groups = [indices[place] for place in arranged]
        firsts = [requests[group[0]] for group in groups]
        rows = to_device(torch.tensor([request.example for request in firsts]), score.signal.device)
        with score.pending.readings_here():
            reading = score.value(filtered.signals(firsts, rows, complements), rows)
        wanted = reading.value, reading.confidence, reading.agreement, reading.predicted_class
        *numbers, predicted = score.pending.fetch([*wanted, None if visit is None else reading.predicted_mask])
        nothing = [None] * len(groups)
        columns = [nothing if column is None else column.tolist() for column in numbers]
        masks = nothing if predicted is None else list(predicted)
        for group, mask, *result in zip(groups, masks, *columns, strict=True):
            for i in group:
                request = requests[i]
                points[i] = CurvePoint(request.mode, request.fraction, request.actual_fraction, *result)
                if visit is not None and mask is not None:
                    visit(request, mask.clone())

    batcher = MicroBatcher(width)  # fewer signals at once where making them takes too much memory
    batcher.run(run, len(unique))
    score.batcher.splits += batcher.splits
    return points


class _FilteredSignals:
    """The signals of a batch's examples with features kept or deleted.

    Two perturbations may be complements. Then one inverse transform does for both: the signal without the top is
    made from its coefficients, and the top by subtracting that from the example, which rounds like one more transform.

    With v in the place of deleted features and d = c - v, the signal that keeps the features m is `W⁻¹ v + W⁻¹ m d`,
    and that which keeps the others is `x - W⁻¹ m d`.

    Attributes:
        stored: How many coefficients an example has.

    Args:
        basis: The domain.
        x: The examples.
        coefficients: Theirs.
        orders: Features in descending order, by example: all, or the same number of first ones, as many as are counted.
        replacement: The coefficients of what stands in a deleted feature's place; None for zero.
    """

    def __init__(
        self,
        basis: Basis,
        x: Float[Tensor, "examples *signal"],
        coefficients: Inexact[Tensor, "examples stored"],
        orders: Mapping[int, Int[Tensor, " features"]],
        replacement: Inexact[Tensor, "examples stored"] | None = None,
    ) -> None:
        self._basis, self._x = basis, x
        self._start = None if replacement is None else basis.inverse(replacement)
        self._coefficients = coefficients if replacement is None else coefficients - replacement
        self.stored = self._coefficients.shape[1]
        # The rank of each stored bin's feature in its example's order.
        self._ranks: Int[Tensor, "examples stored"]
        if x.device.type != "cpu":
            self._ranks = _ranks_there(basis, x, orders)
            return
        ranks = np.full((len(x), len(basis)), len(basis), dtype=np.int32)
        places = np.arange(len(basis), dtype=np.int32)
        for example, order in orders.items():
            ranks[example, order.cpu().numpy()] = places[: len(order)]
        self._ranks = basis.expand_to_bins(torch.from_numpy(ranks))

    def with_complements(self, requests: Sequence[Perturbation]) -> tuple[Sequence[int], int]:
        """An order of different perturbations, and how many at its end are complements of as many at its beginning."""
        deleting = {(r.example, r.count): i for i, r in enumerate(requests) if r.mode == "delete"}
        if not deleting:
            return range(len(requests)), 0
        keeping = ((i, (r.example, r.count)) for i, r in enumerate(requests) if r.mode == "keep")
        pairs = [(deleting[key], i) for i, key in keeping if key in deleting]
        pairs = [pair if requests[pair[0]].count else pair[::-1] for pair in pairs]  # so that nothing is exactly zero
        direct, complements = [i for i, _ in pairs], [i for _, i in pairs]
        alone = sorted(set(range(len(requests))).difference(direct, complements))
        return direct + alone + complements, len(pairs)

    def signals(
        self, requests: Sequence[Perturbation], rows: Int[Tensor, " rows"], complements: int
    ) -> Float[Tensor, "rows *signal"]:
        """The perturbed signals, the last `complements` being those of the first ones."""
        direct = len(requests) - complements
        inverted = self._basis.inverse(self._filtered(rows[:direct], requests[:direct]))
        if not complements and self._start is None:
            return inverted
        signals = inverted.new_empty((len(requests), *inverted.shape[1:]))
        signals[:direct] = inverted if self._start is None else inverted + self._start[rows[:direct]]
        for example, run in _runs(requests[direct:]):
            torch.sub(self._x[example], inverted[run], out=signals[direct:][run])
        return signals

    def _filtered(self, rows: Int[Tensor, " rows"], requests: Sequence[Perturbation]) -> Inexact[Tensor, "rows stored"]:
        """The coefficients that each perturbation leaves; on the CPU numpy makes them several times faster."""
        counts = np.array([request.count for request in requests], dtype=np.int32)[:, None]
        kept = np.array([request.mode == "keep" for request in requests])[:, None]
        if self._x.device.type != "cpu":
            edges, keeping = (to_device(torch.from_numpy(column), self._x.device) for column in (counts, kept))
            return self._coefficients[rows] * ((self._ranks[rows] < edges) == keeping)
        ranks, whole = self._ranks.numpy(), self._coefficients.detach().resolve_conj().numpy()
        left = np.empty((len(requests), self.stored), whole.dtype)
        for example, run in _runs(requests):
            np.multiply(whole[example], (ranks[example] < counts[run]) == kept[run], out=left[run])
        return torch.from_numpy(left)


def _ranks_there(
    basis: Basis, x: Float[Tensor, "examples *signal"], orders: Mapping[int, Int[Tensor, " features"]]
) -> Int[Tensor, "examples stored"]:
    """The rank of each stored bin's feature in its example's order, made on the examples' own device.

    Features that are not in the orders come last.
    """
    ranks = torch.full((len(x), len(basis)), len(basis), dtype=torch.int32, device=x.device)
    if orders:
        lines = to_device(torch.stack(list(orders.values())).int(), x.device).long()
        places = torch.arange(lines.shape[1], dtype=torch.int32, device=x.device).expand(len(lines), -1)
        own = to_device(torch.tensor(list(orders)), x.device)
        ranks[own] = ranks[own].scatter_(1, lines, places)
    return basis.expand_to_bins(ranks)


def _runs(requests: Sequence[Perturbation]) -> Iterator[tuple[int, slice]]:
    """Examples, and the slices in which their perturbations lie side by side."""
    end = 0
    for example, members in groupby(request.example for request in requests):
        yield example, slice(end, end := end + len(list(members)))


def curves(
    requests: Sequence[Perturbation], points: Sequence[CurvePoint], clean: Sequence[float], replacement: str = "zero"
) -> list[Curve]:
    """The points sorted by example."""
    by_example: list[list[CurvePoint]] = [[] for _ in clean]
    for request, point in zip(requests, points, strict=True):
        by_example[request.example].append(point)
    return [Curve(tuple(members), start, replacement) for members, start in zip(by_example, clean, strict=True)]
