"""The time, memory and disk that a run will take, measured on a few examples before it starts."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import torch

from hf_fourier.errors import InputError
from hf_fourier.models.inputs.sources import Source
from hf_fourier.results.attribution import Attribution
from hf_fourier.runs.chunking import cost_of, is_tokens
from hf_fourier.runs.gene_store import NOT_STORABLE, has_gene_scores
from hf_fourier.runs.memory import LIBRARIES, count_memory, weights
from hf_fourier.runs.options import RunOptions
from hf_fourier.runs.packing import STORES, Outcome, Store, pack_shard
from hf_fourier.runs.worker import WITHOUT_CONTRIBUTIONS, PreparedExample, Worker
from hf_fourier.scoring.batching import suggested_rows

#: Examples read to see how they differ; the cheapest, a middle one and the most expensive of them are explained.
LOOK = 9
#: How many times a chunk's results are in memory: explained, being written and their bytes.
WAITING = 5
#: Seconds below which an example is explained twice.
QUICK = 0.1
#: Bytes of results that a chunk holds, about; it is in memory several times over.
CHUNK_BYTES = 64 * 10**6
#: Examples in a chunk, fewer where there would be less than `FEW` chunks, more where a batch has more or there would be
#: too many.
CHUNK, FEW, CHUNKS = 64, 8, 20_000
#: The same beside an accelerator, on which batches are larger, and results are made while it works on the next one.
CHUNK_THERE = 512


@dataclass(frozen=True)
class Plan:
    """The time, memory and disk that a run takes.

    Attributes:
        examples: How many; None in a stream.
        chunk: Examples in a chunk, on average.
        seconds: Of one process, for all examples; for one of them in a stream. Measured on a few examples.
        memory: Bytes of one process at its peak, about: Python with its libraries, the model, a whole batch of the
            most expensive example measured, and the results that wait to be written. A dataset in memory comes on
            top. It does not depend on what the process did before.
        sizes: Bytes on disk for each way to store, for all examples; for one of them in a stream.
        store: The chosen one.
        passes: Model passes per example: forward, backward, and for perturbation curves.
        processes: How many share the time.
        notes: Notes, such as that no way to store fits the budget.
    """

    examples: int | None
    chunk: int
    seconds: float
    memory: int
    sizes: Mapping[Store, int]
    store: Store
    passes: Mapping[str, float]
    processes: int = 1
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        many = "a stream of examples" if self.examples is None else f"{self.examples:,} examples"
        each = ", each" if self.examples is None else ""
        passes = ", ".join(f"{n:g} {name}" for name, n in self.passes.items())
        shared = (
            ""
            if self.processes == 1
            else f", {duration_text(self.seconds / self.processes)} in {self.processes} processes"
        )
        sizes = ", ".join(f"{name} {size(taken)}" for name, taken in self.sizes.items())
        lines = [
            f"{many} in chunks of about {self.chunk}; passes per example: {passes}",
            f"time: about {duration_text(self.seconds)}{each} in one process{shared}",
            f"memory: about {size(self.memory)} per process",
            f"on disk: {size(self.sizes[self.store])}{each} with store={self.store!r} ({sizes})",
            *self.notes,
        ]
        return "\n".join(lines)


def duration_text(seconds: float) -> str:
    """A time with its unit."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.2g} s"


def size(count: float) -> str:
    """Bytes with their unit."""
    for unit, length in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= length:
            return f"{count / length:.3g} {unit}"
    return f"{count:.0f} B"


@dataclass(frozen=True)
class Measurement:
    """A few examples as they were explained.

    Attributes:
        rates: Pairs of an example's cost and the cost units per second.
        cost: The mean cost of an example.
        sizes: Mean bytes per example for each way to store.
        passes: Model passes per example.
        row: Bytes of tensors that a row of a batch adds, for the most expensive example.
        model: Bytes of the model's weights.
        rows: Examples in a batch.
        tokens: Whether the signals are embedded tokens, which are ordered by length.
        chunk: Examples in a chunk, where nothing else limits it.
    """

    rates: Sequence[tuple[float, float]]
    cost: float
    sizes: Mapping[Store, float]
    passes: Mapping[str, float]
    row: int
    model: int
    rows: int
    tokens: bool
    chunk: int = CHUNK

    def seconds(self, cost: float) -> float:
        """Seconds for an example of this cost, by the nearest one measured."""
        nearest = min(self.rates, key=lambda known: abs(known[0] - cost))
        return cost / nearest[1]


def measure(worker: Worker, source: Source, top: int) -> Measurement:
    """Explain a few examples from all over the dataset.

    Raises:
        InputError: If none of them can be explained, with the reason.
    """
    if source.length is None:
        items = list(islice(source.stream(0), LOOK))
    else:
        step = max(1, source.length // LOOK)
        items = source.read(range(0, source.length, step)[:LOOK])
    ready = [worker.encode(item) for item in items]
    readable = sorted((example for example in ready if example.encoded is not None), key=_cost)
    if not readable:
        reason = ready[0].failure.reason if ready and ready[0].failure else "there are none"
        raise InputError(f"examples that cannot be read ({reason})", "some that can", "check data and `column`")
    return _measured(worker, readable, top)


def _cost(ready: PreparedExample) -> float:
    return 0.0 if ready.encoded is None else cost_of(ready.encoded)


def _measured(worker: Worker, examples: Sequence[PreparedExample], top: int) -> Measurement:
    """Measure examples in order of cost: one of each of up to three costs; more only where these fail."""
    ends = {_cost(examples[i]): examples[i] for i in (0, len(examples) // 2, len(examples) - 1)}
    chosen = list(ends.values())
    rates: list[tuple[float, float]] = []
    results: list[Outcome] = []
    row, reason = 0.0, ""
    model = worker.explainer.model
    for example in [*chosen, *(other for other in examples if other not in chosen)]:
        if results and example not in chosen:
            break
        with count_memory(model) as memory:
            spent, outcomes = _timed(worker, example)
        # The first pass of a shape allocates, a small model warms up, and some code fails while memory is counted.
        if spent < QUICK or not isinstance(outcomes[0].result, Attribution):
            spent, outcomes = _timed(worker, example)
        row = max(row, memory.per_row)
        result = outcomes[0].result
        if isinstance(result, Attribution):
            rates.append((_cost(example), _cost(example) / spent))
            results.append(outcomes[0])
        else:
            reason = result.reason
    if not results:
        raise InputError(f"examples that cannot be explained ({reason})", "some that can", "check model and target")
    cost = sum(map(_cost, examples)) / len(examples)
    larger = cost / (sum(known for known, _ in rates) / len(rates))
    storable = all(isinstance(one.result, Attribution) and has_gene_scores(one.result) for one in results)
    stores = [store for store in STORES if store != "genes" or storable]
    sizes: dict[Store, float] = {store: larger * _bytes(results, store, top) for store in stores}
    last, encoded = results[-1].result, examples[-1].encoded
    assert isinstance(last, Attribution)
    assert encoded is not None
    passes = {name: float(count) for name, count in last.provenance["passes"].items()}
    device = torch.device(last.provenance["device"])
    rows = worker.batch_size
    rows = suggested_rows(torch.Size(encoded.signal.shape).numel(), device) if rows == "auto" else rows
    max_rows = worker.explainer.wrapper.max_rows
    fitting = min(int(rows), max_rows or int(rows))
    chunk = CHUNK if device.type == "cpu" else CHUNK_THERE
    return Measurement(rates, cost, sizes, passes, int(row), weights(model), fitting, is_tokens(encoded), chunk)


def _timed(worker: Worker, example: PreparedExample) -> tuple[float, list[Outcome]]:
    start = time.perf_counter()
    outcomes, _ = worker.explain([example])
    return time.perf_counter() - start, outcomes


def _bytes(results: Sequence[Outcome], store: Store, top: int) -> float:
    """Bytes that one more example adds to a shard."""
    twice, once = (sum(map(len, pack_shard(some, store, top, False))) for some in ([*results, *results], results))
    return (twice - once) / len(results)


def estimate(
    known: Measurement,
    length: int | None,
    store: str,
    budget: int,
    chunk: int | None,
    processes: int,
    cost: float | None,
) -> Plan:
    """The time, memory and disk of a run, from a measurement.

    Args:
        known: The measurement.
        length: How many examples there are.
        store: As requested.
        budget: Bytes that "auto" may take.
        chunk: As requested.
        processes: How many share the work.
        cost: The cost of all examples; None for the measured mean.
    """
    count = 1 if length is None else length
    sizes: dict[Store, int] = {name: int(each * count) for name, each in known.sizes.items()}
    if store in STORES and store not in sizes:
        got = f"store {store!r} of results with {NOT_STORABLE}"
        raise InputError(got, "cells, explained with contributions", "leave `contributions` out, or store 'scores'")
    fits = [name for name in sizes if sizes[name] <= budget]
    chosen: Store = next((name for name in sizes if name == store), (fits or ["top"])[0])
    notes = []
    if store == "auto" and not fits:
        notes.append(f"no kind of `store` fits into {size(budget)}: the smallest is used")
    each = known.sizes[chosen]
    if chunk is None:
        chunk = max(1, min(_usual(length, max(known.chunk, known.rows)), int(CHUNK_BYTES / max(each, 1.0))))
        if chunk > known.rows:  # whole batches
            fewer = chunk - chunk % known.rows
            chunk = fewer if fewer * CHUNKS >= count else fewer + known.rows
    mean = known.cost if cost is None else cost / count
    memory = LIBRARIES + known.model + known.row * min(known.rows, count if length else known.rows)
    memory += WAITING * int(each) * chunk
    spent = known.seconds(mean) * count
    return Plan(length, chunk, spent, memory, sizes, chosen, known.passes, processes, tuple(notes))


def planned(worker: Worker, source: Source, options: RunOptions, processes: int) -> tuple[Measurement, Plan]:
    """A measurement and the plan by it, both once more without contributions where the plan is to store none.

    Args:
        worker: Explains the examples.
        source: The examples.
        options: The options of the run.
        processes: How many share the work.

    Raises:
        InputError: If no example can be explained.
    """
    known = measure(worker, source, options.top)

    def plan() -> Plan:
        return estimate(known, source.length, options.store, options.budget_bytes, options.chunk, processes, None)

    if (store := plan().store) in WITHOUT_CONTRIBUTIONS and worker.has_contributions:
        worker.keep(store, options.top)
        known = replace(measure(worker, source, options.top), sizes=known.sizes)
    return known, plan()


def _usual(length: int | None, most: int) -> int:
    """Examples in a chunk, whatever they hold; not less than eight, which a batch makes use of."""
    if length is None:
        return most
    return max(min(most, -(-length // FEW)), FEW, -(-length // CHUNKS))
