"""The score: a model as one number per example, its gradient at the signal, and the count of passes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, TypeVar

import torch

from hf_fourier.domains import Basis
from hf_fourier.scoring.batching import MicroBatcher
from hf_fourier.scoring.chunks import attached, cat, detached, joined
from hf_fourier.scoring.compiled_calls import compiled_calls
from hf_fourier.scoring.failures import differentiate
from hf_fourier.scoring.heads import CustomTarget, Head, Reading, of_each
from hf_fourier.scoring.layer_gradients import LayerHooks, LayerPass, no_gradient_path
from hf_fourier.scoring.pending import Pending
from hf_fourier.scoring.references import Reference, zero
from hf_fourier.scoring.representation import LAST_LINEAR, Representation, RepresentationPass
from hf_fourier.scoring.targets import ResolvedTarget
from hf_fourier.typing import Float, Inexact, Int, Tensor

T = TypeVar("T")

#: Logits of at most so many numbers a row are read when all rows are computed, which saves small models many steps.
READ_LATE = 2**10
#: Of larger ones so many numbers are read at once, so that they stay in the processor's cache between steps.
READ_AT_ONCE = 2**20
#: `(signal rows, the example of each row) -> outputs`.
Forward = Callable[[Tensor, Tensor], Any]
#: `(outputs, the example of each row) -> logits`, one row per signal row.
Select = Callable[[Any, Tensor], Tensor]
#: `(clean logits, resolved targets, the example of each row) -> notes by example`.
Remark = Callable[[Tensor, Tensor, Sequence[int]], dict[int, tuple[str, ...]]]


@dataclass
class Passes:
    """Counts of model rows: forward, and backward to the signal."""

    forward: int = 0
    backward: int = 0


@dataclass(frozen=True)
class ValueAndGradient:
    """Scores with gradients.

    Attributes:
        reading: The readings of all rows, detached.
        margin_gradient: The gradient of `reading.logit_margin` at the signal, shape `(rows, *signal)`.
    """

    reading: Reading
    margin_gradient: Float[Tensor, "rows *signal"]

    @cached_property
    def gradient(self) -> Float[Tensor, "rows *signal"]:
        """The signed gradient of the score, `ds/dx`."""
        return self.margin_gradient * self.reading.dvalue_dmargin.view(-1, *[1] * (self.margin_gradient.ndim - 1))


class Score:
    """The score of one batch of examples with signals of one shape.

    The targets are resolved inside the first forward pass, which is always at the clean signals; nothing is run twice.
    `goal_is_target` makes the targets the goal of methods that follow no label (see `goal`).
    `precomputed_maps` holds a map of each example, shape `(batch, *signal)` or with channels of length 1, where maps of
    another library are ranked. `remark` is called with the targets as they are resolved; `remarks` holds its notes.
    `references` makes the signals that contributions are measured against; `donors(draws)`, where it is set, that many
    other examples' signals for each example, shape `(batch, draws, *signal)`.

    Args:
        signal: The clean signals, shape `(batch, *signal)`, float32 or float64.
        forward: Runs the model on signal rows.
        select: Selects the logits that the head reads.
        head: Reads them.
        targets: One per example: a class index, one for each of several softmaxes, or None.
        batcher: Cuts rows into batches.
        cost: Model rows per signal row (more than one where a score averages over several inputs).
        frozen_targets: Targets that were resolved before, one row per example.
        bounds: The range of the signal's entries, low and high, each to be broadcast to the signal; None for none.
        baseline: Makes signals that stand for the absence of an example, shape `(batch, *signal)`; None where zero
            does.
        model: The module behind `forward`, whose layers can be read; None for a callable that is no module.
    """

    def __init__(
        self,
        signal: Float[Tensor, "batch *signal"],
        forward: Forward,
        select: Select,
        head: Head,
        targets: Sequence[ResolvedTarget],
        batcher: MicroBatcher,
        cost: int = 1,
        frozen_targets: Sequence[Tensor] | None = None,
        bounds: tuple[Tensor, Tensor] | None = None,
        baseline: Callable[[], Tensor | None] = lambda: None,
        model: torch.nn.Module | None = None,
    ) -> None:
        self.signal, self.head, self.batcher, self.cost, self._baseline = signal, head, batcher, cost, baseline
        self._forward, self._select, self._targets = forward, select, list(targets)
        self._frozen = None if frozen_targets is None else torch.stack(list(frozen_targets))
        self._unresolved = set(range(len(signal))) if frozen_targets is None else set()
        self.bounds, self.model = bounds, model
        self.precomputed_maps: Tensor | None = None
        self._clean: ValueAndGradient | None = None
        self._clean_reading: Reading | None = None
        self.top_predictions: dict[int, list[tuple[str, float]]] = {}
        self.notes: dict[str, None] = {}
        self.references: Callable[[], Sequence[Reference]] = lambda: (zero(signal),)
        self.donors: Callable[[int], Tensor] | None = None
        self.remark: Remark | None = None
        self.remarks: dict[int, tuple[str, ...]] = {}
        self.passes, self.pending, self.goal_is_target = Passes(), Pending(), False
        self.hidden, self._representations = LAST_LINEAR, dict[str, Representation]()

    @property
    def frozen_targets(self) -> Tensor:
        """The resolved targets, one row per example."""
        assert self._frozen is not None
        return self._frozen

    def for_targets(self, targets: Sequence[ResolvedTarget]) -> Score:
        """The score of the same batch for other targets; its passes count here too.

        Args:
            targets: One per example; None for the prediction.
        """
        other = copy.copy(self)
        other._targets, other._frozen, other._unresolved = list(targets), None, set(range(len(self.signal)))
        other.top_predictions, other.remarks, other._clean, other._clean_reading = {}, {}, None, None
        return other

    @cached_property
    def baseline(self) -> Tensor | None:
        """Signals that stand for the absence of each example, shape `(batch, *signal)`; None where zero does."""
        return self._baseline()

    def clean(self) -> ValueAndGradient:
        """Score and gradient at the clean signals, computed once."""
        if self._clean is None:
            self._clean = self.value_and_gradient(self.signal)
            self._clean_reading = self._clean.reading
        return self._clean

    def clean_reading(self) -> Reading:
        """Score at the clean signals, without a gradient unless one was computed already."""
        if self._clean_reading is None:
            self._clean_reading = self.value(self.signal)
        return self._clean_reading

    def once(self, basis: Basis, name: str, make: Callable[[], Tensor]) -> Tensor:
        """What follows from the clean signals in a domain alone: `make()`, where no other method has made it.

        Args:
            basis: The domain.
            name: Says what it is.
            make: Returns one row per example.
        """
        return make()

    def coefficients(self, basis: Basis) -> Inexact[Tensor, "batch stored"]:
        """The clean signals' coefficients, computed once for all methods."""
        return self.once(basis, "coefficients", lambda: basis.forward(self.signal))

    def known_answers(self) -> Tensor | None:
        """The clean logits, if another method's pass gave them and no gradient is asked for."""
        return None

    def value_and_gradient(
        self, x: Float[Tensor, "rows *signal"], rows: Int[Tensor, " rows"] | None = None
    ) -> ValueAndGradient:
        """Score and gradient of each row, in one forward and one backward pass.

        Args:
            x: Signals, shape `(rows, *signal)`.
            rows: The example that each row belongs to; None for one row per example, in order.

        Raises:
            ModelError: If the model's clean output is not finite.
        """
        self.pending.clean = x is self.signal

        def work(chunk: slice) -> tuple[Reading, Tensor]:
            with torch.inference_mode(False), torch.enable_grad(), compiled_calls.used(self.model):
                signal = attached(x[chunk])
                reading = self._read(signal, chunk, rows)
                gradient = None
                if reading.logit_margin.requires_grad:
                    (gradient,) = differentiate(self.model, reading.logit_margin.sum(), [signal])
                if gradient is None:
                    raise no_gradient_path()
            self.passes.backward += signal.shape[0] * self.cost
            return detached(reading), gradient

        readings, gradients = zip(*self.batcher.run(work, len(x)), strict=True)
        return ValueAndGradient(joined(readings), cat(gradients))

    def value(self, x: Float[Tensor, "rows *signal"], rows: Int[Tensor, " rows"] | None = None) -> Reading:
        """Score of each row, forward only; not in inference mode, of whose caches there is no gradient."""
        self.pending.clean = x is self.signal

        def work(chunk: slice) -> Reading | Tensor:
            with torch.inference_mode(False), torch.no_grad(), compiled_calls.used(self.model):
                logits, own = self._logits(x[chunk], chunk, rows)
                if isinstance(self.head, CustomTarget):
                    return detached(self._reading(logits, own))
                if logits[0].numel() <= READ_LATE:
                    return logits.detach()
                most = max(1, READ_AT_ONCE // logits[0].numel())
                examples = torch.arange(len(x), device=x.device)[own] if isinstance(own, slice) else own
                parts = zip(logits.split(most), examples.split(most), strict=True)
                return joined([detached(self._reading(part, some)) for part, some in parts])

        parts = self.batcher.run(work, len(x))
        readings = [part for part in parts if isinstance(part, Reading)]
        if readings:
            return joined(readings)
        with torch.inference_mode(False), torch.no_grad():
            logits = cat([part for part in parts if isinstance(part, Tensor)])
            return detached(self._reading(logits, slice(0, len(x)) if rows is None else rows))

    def with_layers(self, layers: Sequence[str] | None, visit: Callable[[LayerPass], T]) -> list[T]:
        """Record the layers of one pass at the clean signals, which also becomes the clean evaluation.

        Args:
            layers: Patterns of module names; None for the repeated blocks.
            visit: Called with the pass of each chunk of examples, in order, and again with a smaller one where memory
                runs out; so it must have no effect but its return value.

        Returns:
            The return value of `visit` for each chunk.

        Raises:
            SpecError: If there are no such layers.
            ModelError: If the score does not depend on the signal.
        """
        hooks, self.pending.clean = LayerHooks(self.model, layers), True

        def count(signals: int) -> None:
            self.passes.backward += signals * self.cost

        def work(chunk: slice) -> tuple[T, Reading, Tensor]:
            with torch.inference_mode(False), torch.enable_grad():
                signal = attached(self.signal[chunk])
                with hooks.recording():
                    reading = self._read(signal, chunk, None)
                if not reading.logit_margin.requires_grad:
                    raise no_gradient_path()
                outputs = hooks.outputs(len(signal), self.cost)
                opened = LayerPass(
                    signal, reading.logit_margin, reading.dvalue_dmargin, chunk.start, outputs, count, self.model
                )
                count(len(signal))
                return visit(opened), detached(reading), opened.margin_gradient

        visits, readings, gradients = zip(*self.batcher.run(work, len(self.signal)), strict=True)
        self._clean = ValueAndGradient(joined(readings), cat(gradients))
        self._clean_reading = self._clean.reading
        return list(visits)

    def representation(self, name: str = LAST_LINEAR) -> Representation:
        """The representation of that name (see `Representation`), the same layer in all passes; `hidden` for "auto".

        Raises:
            SpecError: If there is no such layer.
        """
        name = self.hidden if name == LAST_LINEAR else name
        if name not in self._representations:
            self._representations[name] = Representation(self.model, name, self.head)
        return self._representations[name]

    def goal(self, answers: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """What a method tracks that follows no label: the model's clean answers, or answers that name the targets.

        The second where `goal_is_target`, to test whether a method brings about any answer that it is given.

        Args:
            answers: The clean ones ("output" of `represent`).
        """
        return self.head.with_decision(answers, self.frozen_targets) if self.goal_is_target else answers

    def represent(
        self,
        x: Float[Tensor, "rows *signal"],
        visit: Callable[[RepresentationPass], T],
        name: str = LAST_LINEAR,
        rows: Int[Tensor, " rows"] | None = None,
    ) -> list[T]:
        """Run the model at signals and visit the representation of each chunk of rows, with its graph.

        A pass at the clean signals is their clean evaluation too, with its gradient if `gradient_of_value` is asked.

        Args:
            x: Signals, shape `(rows, *signal)`.
            visit: Called with the pass of each chunk, in order, and again with a smaller one where memory runs out; so
                it must have no effect but its return value.
            name: See `Representation`.
            rows: The example that each row belongs to; None for one row per example, in order.

        Returns:
            The return value of `visit` for each chunk.

        Raises:
            SpecError: If there is no such layer.
        """
        clean, representation = x is self.signal, self.representation(name)
        self.pending.clean = clean

        def count(signals: int) -> None:
            self.passes.backward += signals * self.cost

        def work(chunk: slice) -> tuple[T, Reading | None, Tensor | None]:
            with torch.inference_mode(False), torch.enable_grad():
                signal = attached(x[chunk])
                with representation.recording():
                    outputs, logits, own = self._outputs(signal, chunk, rows)
                examples, read = _numbers(own, signal.device), partial(self._reading, logits, own)
                answer = read().value.unsqueeze(1) if isinstance(self.head, CustomTarget) else logits
                values = representation.read(outputs, answer, lambda part: self._select(part, examples), len(signal))
                part = RepresentationPass(signal, values, read, chunk, count, self.model)
                visited = visit(part)
                return visited, detached(part.reading) if clean else None, part.margin_gradient if clean else None

        visits, readings, gradients = zip(*self.batcher.run(work, len(x)), strict=True)
        known = [reading for reading in readings if reading is not None]
        if known and self._clean_reading is None:
            self._clean_reading = joined(known)
        taken = [gradient for gradient in gradients if gradient is not None]
        if self._clean is None and len(taken) == len(visits):
            self._clean = ValueAndGradient(self.clean_reading(), cat(taken))
        return list(visits)

    def _read(self, signal: Tensor, chunk: slice, rows: Tensor | None) -> Reading:
        """Read the model at signal rows that belong to the examples `rows[chunk]`, or without `rows` to `chunk`."""
        logits, own = self._logits(signal, chunk, rows)
        return self._reading(logits, own)

    def _logits(self, signal: Tensor, chunk: slice, rows: Tensor | None) -> tuple[Any, slice | Tensor]:
        """The logits of signal rows, their targets resolved, and the examples that they belong to."""
        return self._outputs(signal, chunk, rows)[1:]

    def _outputs(self, signal: Tensor, chunk: slice, rows: Tensor | None) -> tuple[Any, Any, slice | Tensor]:
        """The model's outputs at signal rows, their logits with targets resolved, and the examples."""
        own = torch.arange(chunk.start, chunk.stop, device=signal.device) if rows is None else rows[chunk]
        outputs = self._forward(signal, own)
        self.passes.forward += signal.shape[0] * self.cost
        logits = outputs if isinstance(self.head, CustomTarget) else self._select(outputs, own)
        if not isinstance(self.head, CustomTarget):
            logits = logits if logits.dtype == torch.float64 else logits.float()
            of_each(logits, len(signal))
        if self._unresolved:
            numbers = list(range(chunk.start, chunk.stop)) if rows is None else own.tolist()
            if not self._unresolved.isdisjoint(numbers):
                self._freeze(logits, own, numbers)
        return outputs, logits, chunk if rows is None else own

    def _reading(self, logits: Any, examples: slice | Tensor) -> Reading:
        frozen = self.frozen_targets  # perhaps on another device than the signal, where a model lies on several
        own = frozen[examples] if isinstance(examples, slice) else frozen.index_select(0, examples.to(frozen.device))
        return self.head.read_pending(logits, own, self.pending)

    def _freeze(self, logits: Any, rows: Tensor, numbers: Sequence[int]) -> None:
        clean = logits.detach() if isinstance(logits, Tensor) else logits
        is_read = isinstance(clean, Tensor) and not isinstance(self.head, CustomTarget)
        if is_read:
            self.pending.check_finite(clean.amax(-1), numbers)  # −inf rules a class out, NaN and inf the output
            self.notes.update(dict.fromkeys(self.head.fits(clean)))
            best = self.head.best(clean)
            name = partial(self._name, numbers)
            self.pending.later(name, *best) if len(best) > 1 or best[0][0].numel() <= READ_LATE else name(*best)
        targets = [self._targets[i] for i in numbers]
        for checked, refuse in self.head.doubts(clean, targets) if is_read and clean.device.type != "cpu" else ():
            self.pending.later(refuse, checked)
        resolved = self.head.freeze(clean, targets)
        self.pending.check_finite(resolved, numbers)
        if self._frozen is None:
            self._frozen = resolved.new_empty((len(self.signal), *resolved.shape[1:]))
        self._frozen[rows.to(resolved.device)] = resolved
        if is_read and self.remark is not None:
            self.remarks.update(self.remark(clean, resolved, numbers))
        self._unresolved.difference_update(numbers)

    def _name(self, numbers: Sequence[int], *best: Tensor) -> None:
        self.top_predictions.update(zip(numbers, self.head.name_best(*best), strict=True))


def _numbers(own: slice | Tensor, device: torch.device) -> Tensor:
    return torch.arange(own.start, own.stop, device=device) if isinstance(own, slice) else own
