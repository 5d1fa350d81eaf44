"""What a model answers when only some features of each example are left: many subsets of features in full batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch

from hf_fourier.domains import Basis
from hf_fourier.scoring.batching import MicroBatcher
from hf_fourier.scoring.heads import Reading
from hf_fourier.scoring.pending import to_device
from hf_fourier.scoring.score import Score
from hf_fourier.typing import Bool, Float, Inexact, Int, Tensor

#: Signal entries that are made at once, unless a batch holds more.
ENTRIES = 2**19
#: Features of an example whose signals are kept to be summed, and the entries that these signals may have.
MOST_PARTS, ENTRIES_OF_PARTS = 256, 2**24


@dataclass(frozen=True)
class SubsetReadings:
    """The readings of each example with each subset of its features, shape `(batch, subsets)`, detached.

    Several draws of a replacement are averaged; the predicted class is then the most frequent one.

    Attributes:
        value: The score.
        confidence: See `Reading`; None where the head has none.
        agreement: The fraction of decisions that are the clean ones.
        predicted_class: None where the prediction is not one class.
    """

    value: Float[Tensor, "batch subsets"]
    confidence: Float[Tensor, "batch subsets"] | None
    agreement: Float[Tensor, "batch subsets"]
    predicted_class: Int[Tensor, "batch subsets"] | None


def subset_readings(
    score: Score,
    basis: Basis,
    masks: Bool[Tensor, "... features"],
    replacement: Inexact[Tensor, "batch draws stored"] | None = None,
) -> SubsetReadings:
    """Run the model on `m c + (1 - m) v` for each example's coefficients c and each subset m of its features.

    The rows of all examples share batches, forward only. Equal subsets of an example run once. The whole set is the
    clean reading, which does not run again.

    Args:
        score: The batch.
        basis: Its domain.
        masks: The features that are left: shape `(subsets, K)` for all examples, or `(batch, subsets, K)`.
        replacement: The coefficients v of what stands in a deleted feature's place (see
            `hf_fourier.scoring.replacements`); None for zero.
    """
    clean = score.clean_reading()
    table, example, subset, place = _plan(masks, len(score.signal))
    whole = np.logical_and.reduce(table, axis=1)[subset]
    readings = _gathered(clean, example)
    if not whole.all():
        draws = 1 if replacement is None else replacement.shape[1]
        ran = _run(score, basis, table, example[~whole], subset[~whole], replacement)
        there = torch.from_numpy(np.flatnonzero(~whole))
        for name, values in readings.items():
            values[to_device(there, values.device)] = _over_draws(ran[name].view(-1, draws))
    rows = torch.from_numpy(place)
    by_subset = {name: values[to_device(rows, values.device)] for name, values in readings.items()}
    return SubsetReadings(
        by_subset["value"], by_subset.get("confidence"), by_subset["agreement"], by_subset.get("predicted_class")
    )


def _plan(masks: Bool[Tensor, "... features"], batch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The different subsets, the different pairs of an example and a subset, and each request's pair.

    Returns:
        The subsets, shape `(different, K)`; of each pair the example and the subset, ordered by example; the pair of
        each example and mask, shape `(batch, subsets)`.
    """
    rows = masks.reshape(-1, masks.shape[-1]).cpu().numpy()
    _, first, number = np.unique(np.packbits(rows, axis=1), axis=0, return_index=True, return_inverse=True)
    numbers = np.broadcast_to(number.reshape(masks.shape[:-1]), (batch, masks.shape[-2]))
    keys = np.arange(batch)[:, None] * len(first) + numbers
    pairs, place = np.unique(keys, return_inverse=True)
    example, subset = np.divmod(pairs, len(first))
    return rows[first], example, subset, place.reshape(keys.shape)


def _run(
    score: Score,
    basis: Basis,
    table: np.ndarray,
    example: np.ndarray,
    subset: np.ndarray,
    replacement: Inexact[Tensor, "batch draws stored"] | None,
) -> dict[str, Tensor]:
    """The readings of pairs of an example and a subset, the draws of one pair side by side."""
    draws = 1 if replacement is None else replacement.shape[1]
    each = np.stack([np.repeat(example, draws), np.tile(np.arange(draws), len(example)), np.repeat(subset, draws)], 1)
    order = np.lexsort((each[:, 1], each[:, 0]))  # by example, then by draw
    each = each[order]
    signals = _SubsetSignals(basis, score.signal, replacement, len(example) // len(np.unique(example)))
    rows_per_batch = max(1, score.batcher.size)
    width = rows_per_batch * max(1, ENTRIES // (rows_per_batch * signals.stored))
    masks = torch.from_numpy(table)

    def run(chunk: slice) -> dict[str, Tensor]:
        rows = to_device(torch.from_numpy(each[chunk, 0]), score.signal.device)
        made = score.signal.new_empty((len(rows), *score.signal.shape[1:]))
        for (number, draw), run in _runs(each[chunk]):
            signals.write(number, draw, masks[each[chunk][run, 2]], made[run])
        return _present(score.value(made, rows))

    batcher = MicroBatcher(width)  # fewer signals at once where making them takes too much memory
    parts = batcher.run(run, len(each))
    score.batcher.splits += batcher.splits
    back = torch.from_numpy(np.argsort(order))
    joined = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    return {name: values[to_device(back, values.device)] for name, values in joined.items()}


class _SubsetSignals:
    """Signals of examples with some of their features left.

    With d = c − v, a subset's signal is that of v plus the sum of its features' parts of d. Where features are few
    these parts are made once per example and draw, and a product of matrices sums them; elsewhere each subset takes an
    inverse transform, as on accelerators, whose products may be of low precision.

    Attributes:
        stored: How many coefficients an example has.

    Args:
        basis: The domain.
        x: The examples.
        replacement: What stands in a deleted feature's place; None for zero.
        subsets: How many subsets an example has, about.
    """

    def __init__(
        self,
        basis: Basis,
        x: Float[Tensor, "examples *signal"],
        replacement: Inexact[Tensor, "examples draws stored"] | None,
        subsets: int,
    ) -> None:
        self._basis, self._coefficients, self._replacement = basis, basis.forward(x), replacement
        self.stored = self._coefficients.shape[1]
        few = len(basis) <= min(subsets, MOST_PARTS) and len(basis) * x[0].numel() <= ENTRIES_OF_PARTS
        self._summed = few and x.device.type == "cpu"
        self._which: tuple[int, int] | None = None
        self._parts: Tensor | None = None
        self._start: Tensor | None = None

    def write(
        self, example: int, draw: int, masks: Bool[Tensor, "rows features"], out: Float[Tensor, "rows *signal"]
    ) -> None:
        """Write the signals of one example, one draw and several subsets."""
        kept = self._coefficients[example : example + 1]
        other = None if self._replacement is None else self._replacement[example, draw].unsqueeze(0)
        difference = kept if other is None else kept - other
        if self._which != (example, draw):
            self._which, self._parts = (example, draw), None
            self._start = None if other is None else self._basis.inverse(other)
        if self._summed:
            if self._parts is None:
                alone = torch.eye(len(self._basis), dtype=torch.bool, device=difference.device)
                self._parts = self._kept(difference, alone).flatten(1)
            torch.mm(masks.to(self._parts), self._parts, out=out.view(len(out), -1))
        else:
            out.copy_(self._kept(difference, to_device(masks, difference.device)))
        if self._start is not None:
            out += self._start

    def _kept(
        self, coefficients: Inexact[Tensor, "1 stored"], masks: Bool[Tensor, "rows features"]
    ) -> Float[Tensor, "rows *signal"]:
        return self._basis.keep_features(coefficients.expand(len(masks), -1), masks)


def _runs(each: np.ndarray) -> Iterator[tuple[tuple[int, int], slice]]:
    """Examples with a draw, and the slices in which their rows lie side by side."""
    end = 0
    for pair, members in groupby(map(tuple, each[:, :2].tolist())):
        yield pair, slice(end, end := end + len(list(members)))


def _present(reading: Reading) -> dict[str, Tensor]:
    """The columns that a reading has."""
    names = "value", "confidence", "agreement", "predicted_class"
    return {name: getattr(reading, name) for name in names if getattr(reading, name) is not None}


def _gathered(reading: Reading, example: np.ndarray) -> dict[str, Tensor]:
    """The columns of examples' readings, one row for each entry of `example`."""
    rows = torch.from_numpy(example)
    return {name: values[to_device(rows, values.device)] for name, values in _present(reading).items()}


def _over_draws(values: Tensor) -> Tensor:
    """The mean of each row, or of classes the most frequent one."""
    if values.shape[1] == 1:
        return values[:, 0]
    return values.mean(1) if values.is_floating_point() else values.mode(1).values
