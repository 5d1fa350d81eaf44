"""Encoded examples, batches of them, and the requests to explain them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, Protocol, runtime_checkable

import torch

from hf_fourier.domains import SignalShape
from hf_fourier.errors import InputError, TargetError
from hf_fourier.results.views import NoView, View
from hf_fourier.scoring.batching import MEMORY, MicroBatcher, suggested_rows
from hf_fourier.scoring.clean_passes import CleanPass, SharedScore
from hf_fourier.scoring.heads import CustomTarget, Head, head_for_target
from hf_fourier.scoring.pending import to_device
from hf_fourier.scoring.references import Reference, zero
from hf_fourier.scoring.representation import LAST_LINEAR
from hf_fourier.scoring.score import Score
from hf_fourier.scoring.targets import Target
from hf_fourier.seeding import ExampleRng, LazyFingerprint
from hf_fourier.typing import Tensor


@dataclass(eq=False)
class EncodedExample:
    """One example as model inputs, without a batch axis and without padding of ours.

    Attributes:
        signal: The shape of the signal, which is attributed.
        inputs: The model's other inputs, by argument name.
        values: The signal itself where it is an input of the model; None where the model makes it (embeddings).
        content: The model positions of the signal's entries; None where they are the whole input.
        names: A name for each entry along the signal's first ordered axis, or empty.
        view: How the signal looks in human units.
        notes: Remarks on this example.
        raw_input: The raw example, where that can be heard or shown.
        batch_group: Examples of different groups never share a batch, even where all shapes agree.
        range: The raw values that were read as black and white, or as the loudest; "" where the example came as the
            processor's own output.
        spellings: For each target that is a text its first token, then those that differ from it only by the space in
            front or by capitals.
        clean: What the model said of the example before, which is not asked again; None where that is not remembered.
        known_key: The fingerprint of an example that is explained several times; None where it is not kept.
    """

    signal: SignalShape
    inputs: dict[str, Tensor]
    values: Tensor | None = None
    content: Tensor | None = None
    names: tuple[str, ...] = ()
    view: View = field(default_factory=NoView)
    notes: tuple[str, ...] = ()
    raw_input: Mapping[str, Tensor] = field(default_factory=dict)
    batch_group: int = 0
    range: str = ""
    spellings: tuple[tuple[int, ...], ...] = ()
    clean: CleanPass | None = None
    known_key: LazyFingerprint | None = None

    @property
    def key(self) -> int:
        """The example's fingerprint."""
        return self.lazy_key.number

    @property
    def lazy_key(self) -> LazyFingerprint:
        """The fingerprint, not computed yet; the known one unless the example has got other tensors since."""
        parts, known = self.parts, self.known_key
        if known is None or list(map(id, known.tensors)) != list(map(id, parts)):
            return LazyFingerprint(parts)
        return known

    @property
    def parts(self) -> list[Tensor]:
        """The tensors that the fingerprint hashes: the inputs by name, then the values."""
        parts = [self.inputs[name] for name in sorted(self.inputs)]
        return parts if self.values is None else [*parts, self.values]

    @property
    def batch_key(self) -> tuple[Any, ...]:
        """Examples with equal keys can share a batch."""
        shapes = tuple((name, tuple(tensor.shape)) for name, tensor in sorted(self.inputs.items()))
        return self.signal, self.batch_group, shapes


class ExampleBatch(ABC):
    """Examples with one batch key on the model's device, ready to run.

    Attributes:
        signal: The clean signals, shape `(batch, *signal)`, float32 or float64.
        head: Reads the logits.
        rows_per_signal: Model rows per signal row.
        bounds: The range that the signal's entries have, low and high, each to be broadcast to the signal; None for
            none.
        input_dtype: The type of a callable's rows; None where the model's weights give it.
        baseline: Signals that stand for the absence of an example (masks instead of words); None where zero does.
        references: Signals that contributions are measured against; those of several are averaged.
        known_targets: The targets where none is given, one row per example; None for the predictions.
        signal_here: The clean signals on the CPU, where they came from there; None where the model made them.
        entries: Numbers per signal row, which govern how many rows fit in a batch.
        model: The module that runs, whose layers can be read; None for a callable that is no module.
        representation: The module with the hidden representation, where a method names none.
    """

    signal: Tensor
    head: Head
    model: torch.nn.Module | None = None
    representation: str = LAST_LINEAR
    rows_per_signal: int = 1
    bounds: tuple[Tensor, Tensor] | None = None
    input_dtype: torch.dtype | None = None
    known_targets: Sequence[Tensor] | None = None
    signal_here: Tensor | None = None

    def place(self, signal: Tensor, device: torch.device) -> None:
        """Take signals from the CPU, as float32 or float64, and put them on the model's device."""
        self.signal_here = signal if signal.dtype == torch.float64 else signal.float()
        self.signal = to_device(self.signal_here, device)

    @property
    def baseline(self) -> Tensor | None:
        """By default zero is a fair baseline, and there is none."""
        return None

    @property
    def references(self) -> Sequence[Reference]:
        """By default zero."""
        return (zero(self.signal),)

    @property
    def entries(self) -> int:
        """By default the signal's own size."""
        return self.signal[0].numel()

    def dither(self, rng: ExampleRng, size: float) -> None:
        """Add seeded noise to the model's input in all later passes; the signals themselves stay unchanged.

        Args:
            rng: Random streams of these examples.
            size: The noise's standard deviation, relative to the largest entry of each signal (to 1 where all are 0).
        """
        forward, peak = self.forward, self.signal.detach().flatten(1).abs().amax(1)
        std = size * torch.where(peak > 0, peak, 1.0)
        noise = rng.normal(self.signal.shape[1:], "dither").to(self.signal) * std.view(
            -1, *[1] * (self.signal.ndim - 1)
        )
        self.forward = lambda x, rows: forward(x + noise[rows], rows)  # type: ignore[method-assign]

    @abstractmethod
    def forward(self, x: Tensor, rows: Tensor) -> Any:
        """The model's outputs for signal rows `x`, row i belonging to example `rows[i]`."""

    @abstractmethod
    def logits(self, outputs: Any, rows: Tensor) -> Tensor:
        """The logits that the head reads, one row per signal row."""

    def remarks(self, logits: Tensor, frozen: Tensor, numbers: Sequence[int]) -> dict[int, tuple[str, ...]]:
        """Remarks on targets beside the clean logits that they were resolved on, by the example's index.

        Args:
            logits: One row per example.
            frozen: The resolved targets.
            numbers: The example of each row.
        """
        return {}


def common_slice(contents: Sequence[Tensor]) -> slice | None:
    """Ascending positions as a slice, where those of all examples are the same run; otherwise None."""
    ends = {(places[0], places[-1] + 1) for places in (content.cpu().numpy() for content in contents)}
    start, stop = (int(end) for end in next(iter(ends)))
    return slice(start, stop) if len(ends) == 1 and stop - start == len(contents[0]) else None


BatchSize = int | Literal["auto"]


@runtime_checkable  # for the tests, which check types as they run
class BatchSource(Protocol):
    """Makes batches of examples: a model wrapper, or a callable's."""

    @property
    def device(self) -> torch.device:
        """The device of the model's inputs."""

    @property
    def max_rows(self) -> int | None:
        """The most rows that the model takes at once; None for no limit."""

    def example_batch(self, examples: Sequence[EncodedExample], rng: ExampleRng) -> ExampleBatch:
        """Examples with one batch key, ready to run."""


@dataclass(eq=False)
class ExplanationRequest:
    """One example with its target, checked by the head, and a precomputed map, if there is one."""

    example: EncodedExample
    target: Target
    precomputed_map: Tensor | None = None


def batch_of(source: BatchSource, examples: Sequence[EncodedExample], rng: ExampleRng, dither: float) -> ExampleBatch:
    """Examples with one batch key, ready to run, with noise on the model's input where `dither` is above 0."""
    batch = source.example_batch(examples, rng)
    batch.representation = getattr(source, "representation", LAST_LINEAR)
    if dither:
        batch.dither(rng, dither)
    return batch


def score_of(
    batch: ExampleBatch,
    targets: Sequence[Target],
    batcher: MicroBatcher,
    frozen: Sequence[Tensor] | None = None,
    shared: Sequence[CleanPass] = (),
    with_gradient: bool = True,
) -> Score:
    """The score of a batch, its targets resolved from the request, the batch's known targets, or the prediction.

    Args:
        batch: The batch.
        targets: One per example.
        batcher: Cuts rows into batches.
        frozen: Targets that were resolved before.
        shared: What the model said of each example before, where that is remembered.
        with_gradient: Whether the clean gradient is asked for by itself.

    Raises:
        TargetError: If a target is given where the batch has known targets.
    """
    custom = next((target for target in targets if callable(target)), None)
    head = head_for_target(batch.head, _reader(targets[0])) if custom is None else CustomTarget(custom)
    resolved: list[Any] = []
    for i, target in enumerate(targets):
        if callable(target):
            resolved.append(None)
        elif batch.known_targets is not None:
            if target is not None:
                raise TargetError(f"target {target!r} for a text without a mask", "None", "put the mask in the text")
            resolved.append(batch.known_targets[i])
        elif isinstance(target, Sequence):
            resolved.append(torch.tensor(target))
        else:
            resolved.append(target)
    make: Callable[..., Score] = partial(SharedScore, shared, with_gradient) if shared else Score
    score = make(
        batch.signal,
        batch.forward,
        batch.logits,
        head,
        resolved,
        batcher,
        batch.rows_per_signal,
        frozen,
        bounds=batch.bounds,
        baseline=lambda: batch.baseline,
        model=batch.model,
    )
    score.hidden = batch.representation
    score.remark = batch.remarks
    score.references = lambda: batch.references
    return score


def rows_for(batch: ExampleBatch, batch_size: BatchSize) -> int:
    """Signal rows that go through the model at once; on a GPU from the second batch on as many as its memory holds."""
    rows = batch_size
    if rows == "auto":
        device = batch.signal.device
        rows = MEMORY.rows(batch.model, batch.entries, device) or suggested_rows(batch.entries, device)
    return max(1, rows // batch.rows_per_signal)


def examples_per_batch(example: EncodedExample, batch_size: BatchSize, source: BatchSource) -> int:
    """How many examples go through a method at once: as many as fill model batches at one row per signal."""
    if batch_size != "auto" and (isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1):
        raise InputError(
            f"batch_size {batch_size!r}", "a whole number of at least 1, or 'auto'", "correct `batch_size`"
        )
    entries = torch.Size(example.signal.shape).numel()
    if batch_size == "auto":
        batch, together = (suggested_rows(entries, device) for device in (source.device, torch.device("cuda")))
        model = getattr(source, "model", None)
        batch_size = MEMORY.rows(model, entries, source.device) or max(1, together // batch) * batch
    return min(batch_size, source.max_rows) if source.max_rows else batch_size


def grouped(items: Sequence[Any], key: Callable[[Any], Any]) -> list[list[int]]:
    """Indices of items with equal keys, groups and members in the order they came."""
    groups: dict[Any, list[int]] = {}
    before, members = object(), []
    for i, item in enumerate(items):
        current = key(item)
        if current != before:  # comparing is faster than hashing, and neighbours are mostly alike
            before, members = current, groups.setdefault(current, [])
        members.append(i)
    return list(groups.values())


def in_batches(indices: list[int], size: int, work: Callable[[list[int], MicroBatcher], None]) -> int:
    """Work on at most `size` examples at once; a batch that runs out of memory is halved and tried again.

    Returns:
        How often memory ran out.
    """
    batcher = MicroBatcher(size)
    batcher.run(lambda chunk: work(indices[chunk], batcher), len(indices))
    return batcher.splits


def _reader(target: Target) -> Any:
    """The name of the head that reads a target, or a key of a callable; None for the model's own head."""
    return id(target) if callable(target) else getattr(target, "head", None)
