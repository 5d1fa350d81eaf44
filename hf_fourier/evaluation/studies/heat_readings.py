"""Makes a `HeatMap`: reads a data set, adds waves to its examples, and asks the model."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_fourier.domains import SignalShape
from hf_fourier.errors import FourierError, InputError
from hf_fourier.evaluation.studies.band_readings import FOLDER, class_of, cluster_name, one_each
from hf_fourier.evaluation.studies.heat_map import HeatMap, WaveAxis
from hf_fourier.evaluation.studies.waves import Waves, wave_axes, wave_readings
from hf_fourier.methods.filters import measures
from hf_fourier.models.inputs.dataset_sources import column_values, source_of
from hf_fourier.models.inputs.sources import SourceItem
from hf_fourier.models.inspection import eval_mode
from hf_fourier.scoring.batching import MicroBatcher
from hf_fourier.scoring.example_batch import (
    BatchSize,
    EncodedExample,
    batch_of,
    examples_per_batch,
    grouped,
    in_batches,
    rows_for,
    score_of,
)
from hf_fourier.seeding import ExampleRng

if TYPE_CHECKING:
    from hf_fourier.engine import Engine

#: Examples that are read at a time, so that memory stays flat.
CHUNK = 64


def heat_map(
    explainer: Engine,
    data: Any,
    labels: str | Iterable[Any] | None,
    clusters: str | Iterable[Any] | None,
    waves: Waves,
    seed: int,
    batch_size: BatchSize,
    progress: Callable[[int, int], None] | bool | None,
) -> HeatMap:
    """See `FourierExplainer.heat_map`."""
    source = source_of(data, is_example=explainer.wrapper.is_example)
    known = {name: _values(data, name, given, source.length) for name, given in
             (("labels", labels), ("clusters", clusters))}  # fmt: skip
    reader = _Reader(explainer, waves, seed, batch_size)
    items, found = source.stream(0), list[tuple[SourceItem, np.ndarray, np.ndarray]]()
    while chunk := list(islice(items, CHUNK)):
        found += reader.read(chunk)
        if callable(progress):
            done = len(found) + len(reader.failures)
            progress(done, source.length or done)
    if not found:
        got = f"no example that can be read ({next(iter(reader.failures), 'there is none')})"
        raise InputError(got, "at least one", "check the data")
    head = explainer.wrapper.head()
    truth = [math.nan if known["labels"] is None else class_of(head, _of(known["labels"], item)) for item, *_ in found]
    names = () if known["clusters"] is None else tuple(
        cluster_name(item.index, _of(known["clusters"], item)) for item, *_ in found
    )  # fmt: skip
    return HeatMap(
        model=explainer.name, axes=reader.axes, frequencies=reader.frequencies,
        readings=np.stack([with_waves for _, _, with_waves in found]).astype(np.float32),
        clean=np.stack([clean for _, clean, _ in found]).astype(np.float32),
        labels=np.array(truth, dtype=float), clusters=names, class_names=dict(head.labels),
        made_by={"level": waves.level, "phases": waves.phases, "seed": seed, "head": head.name},
        failures=len(reader.failures),
    )  # fmt: skip


class _Reader:
    """Reads examples chunk by chunk. The largest one of the first chunk sets the frequencies.

    Attributes:
        axes: The axes along which waves run.
        frequencies: Those of the waves, shape `(waves, axes)`.
        failures: Why examples could not be read or encoded.
    """

    axes: tuple[WaveAxis, ...]
    frequencies: np.ndarray

    def __init__(self, explainer: Engine, waves: Waves, seed: int, batch_size: BatchSize) -> None:
        self._explainer, self._waves, self._seed, self._batch_size = explainer, waves, seed, batch_size
        self.axes, self.frequencies, self.failures = (), np.zeros((0, 0)), list[str]()

    def read(self, chunk: Sequence[SourceItem]) -> list[tuple[SourceItem, np.ndarray, np.ndarray]]:
        """The readings of the examples that can be encoded: clean, `(4,)`, and with each wave, `(waves, 4)`."""
        wrapper, encoded = self._explainer.wrapper, list[tuple[SourceItem, EncodedExample]]()
        for item, example in self._encoded(chunk):
            axes = tuple(axis for _, _, axis in wave_axes(example.signal))
            self.axes = self.axes or axes
            check_axes(axes, self.axes, item.index)
            encoded.append((item, example))
        if encoded and not len(self.frequencies):
            self.frequencies = self._waves.grid(max((example.signal for _, example in encoded), key=_extent))
        found: dict[int, tuple[np.ndarray, np.ndarray]] = {}

        def work(indices: list[int], batcher: MicroBatcher) -> None:
            own = [encoded[i][1] for i in indices]
            rng = ExampleRng(self._seed, [example.key for example in own])
            batch = batch_of(wrapper, own, rng, self._explainer.dither)
            inner = MicroBatcher(min(rows_for(batch, self._batch_size), wrapper.max_rows or batcher.size))
            score = score_of(batch, [None] * len(own), inner)
            clean = measures(score.clean_reading()).numpy()
            score.pending.fetch([])  # whether the outputs are finite
            with_waves = wave_readings(score, own[0].signal, self.frequencies, self._waves, rng).numpy()
            found.update(zip(indices, zip(clean, with_waves, strict=True), strict=True))
            batcher.remember(inner)

        with eval_mode(self._explainer.model):
            encoded = [(item, wrapper.prepare_target(example, None)[0]) for item, example in encoded]
            for indices in grouped(encoded, lambda pair: pair[1].batch_key):
                in_batches(indices, examples_per_batch(encoded[indices[0]][1], self._batch_size, wrapper), work)
        return [(item, *found[i]) for i, (item, _) in enumerate(encoded)]

    def _encoded(self, chunk: Sequence[SourceItem]) -> Iterator[tuple[SourceItem, EncodedExample]]:
        """The items that can be encoded; why the others cannot is noted."""
        for item in chunk:
            try:
                if item.error is not None:
                    raise item.error
                yield item, self._explainer.wrapper.encode(item.example)
            except FourierError as error:
                self.failures.append(str(error))
            except Exception as error:
                if item.error is None:
                    raise
                self.failures.append(f"{type(error).__name__}: {error}")


def _values(data: Any, name: str, given: Any, length: int | None) -> str | list[Any] | None:
    """One value for each example, "folder", or None.

    Raises:
        InputError: If there is no such column, or not one value for each example.
    """
    if given is None or (isinstance(given, str) and given == FOLDER):
        return given
    values = column_values(data, given) if isinstance(given, str) else one_each(given)
    if length is not None and len(values) != length:
        raise InputError(f"{len(values)} {name} for {length} examples", "one for each", f"correct `{name}`")
    return values


def _of(values: str | list[Any], item: SourceItem) -> Any:
    """The value of one example.

    Raises:
        InputError: If a stream has more examples than values.
    """
    if isinstance(values, str):
        return item.name.rpartition("/")[0].rpartition("/")[2]
    if item.index >= len(values):
        raise InputError(f"{len(values)} values for more examples", "one for each", "correct `labels` and `clusters`")
    return values[item.index]


def _extent(signal: SignalShape) -> int:
    """How many entries a signal has along the axes of waves."""
    return math.prod(signal.shape[dim] for dim in signal.ordered_axes)


def check_axes(axes: Sequence[WaveAxis], first: Sequence[WaveAxis], index: int) -> None:
    """Refuse an example with other axes than the first one.

    Raises:
        InputError: If they differ.
    """
    if tuple(axes) != tuple(first):
        got = f"example {index} with axes {_worded(axes)}, after one with {_worded(first)}"
        raise InputError(got, "signals with the same axes", "make a heat map of each kind")


def _worded(axes: Sequence[WaveAxis]) -> str:
    return ", ".join(f"{axis.name} in {axis.unit}" for axis in axes)
