"""Passes at examples as they are, made once for all methods and labels that an evaluation compares."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from hf_fourier.domains import Basis
from hf_fourier.scoring.chunks import attached, detached
from hf_fourier.scoring.failures import differentiate
from hf_fourier.scoring.heads import CustomTarget, Reading
from hf_fourier.scoring.layer_gradients import no_gradient_path
from hf_fourier.scoring.score import READ_LATE, Score, ValueAndGradient
from hf_fourier.scoring.targets import ResolvedTarget
from hf_fourier.typing import Num, Tensor

#: How many times as much memory as the signals what is kept of them in a domain may take.
KEPT = 2
#: What is explained, as a key: the numbers of a resolved target.
Label = tuple[float, ...]


@dataclass(eq=False)
class CleanPass:
    """What the model said of one example.

    Attributes:
        labels: Classes that will be explained, whose gradients are taken in one pass; empty where only one is.
        logits: What the head reads; None while it is not known, or where it is large.
        gradients: By label, the gradient of the logit margin at the signal.
        basis: The domain that was last asked for.
        made: By name, what follows from the signal in this domain alone (`Score.once`).
    """

    labels: tuple[int, ...] = ()
    logits: Tensor | None = None
    gradients: dict[Label, Tensor] = field(default_factory=dict)
    basis: Basis | None = None
    made: dict[str, Tensor] = field(default_factory=dict)


class SharedScore(Score):
    """The score of examples whose clean passes are remembered, used where they are known, and added where they are not.

    `passes` counts those that are used as if they had been made: what the method takes by itself. Arguments as for
    `Score`, after these:

    Args:
        shared: One per example.
        with_gradient: Whether the clean gradient is asked for by itself.
    """

    def __init__(self, shared: Sequence[CleanPass], with_gradient: bool, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._shared, self._with_gradient = list(shared), with_gradient
        self._recalled: tuple[Tensor, Reading] | None = None

    def for_targets(self, targets: Sequence[ResolvedTarget]) -> Score:
        """The score of the same batch for other targets, which reads the known answers anew."""
        other = copy.copy(self)
        other._recalled = None
        return Score.for_targets(other, targets)

    def clean(self) -> ValueAndGradient:
        """Score and gradient at the clean signals, computed once for all methods."""
        recalled = None if self._clean is not None else self._recall()
        if recalled is not None:
            wanted = [_label(row) for row in self.frozen_targets]
            if all(label in one.gradients for label, one in zip(wanted, self._shared, strict=True)):
                self._count(backward=True)
            else:
                self.batcher.run(self._differentiate, len(self.signal))
            gradients = [one.gradients[label] for label, one in zip(wanted, self._shared, strict=True)]
            self._clean = ValueAndGradient(recalled[1], torch.stack(gradients))
            self._clean_reading = recalled[1]
        return super().clean()

    def clean_reading(self) -> Reading:
        """Score at the clean signals, computed once for all methods."""
        recalled = None if self._clean_reading is not None else self._recall()
        if recalled is not None:
            self._count(backward=False)
            self._clean_reading = recalled[1]
        return super().clean_reading()

    def once(self, basis: Basis, name: str, make: Callable[[], Tensor]) -> Tensor:
        """What follows from the clean signals in a domain alone, made once for all methods and labels.

        Of one domain at a time, and no more than `KEPT` allows (frames have many coefficients).
        """
        for one in self._shared:
            if one.basis is not basis:
                one.basis, one.made = basis, {}
        known = [one.made[name] for one in self._shared if name in one.made]
        if len(known) == len(self._shared):
            return torch.stack(known)
        made = make()
        if made.nbytes <= KEPT * self.signal.nbytes:
            for one, row in zip(self._shared, made, strict=True):
                one.made[name] = row
        return made

    def known_answers(self) -> Tensor | None:
        """The clean logits, if they are known and no gradient is asked for."""
        recalled = None if self._with_gradient else self._recall()
        if recalled is None:
            return None
        if self._clean_reading is None:
            self._count(backward=True)
            self._clean_reading = recalled[1]
        return recalled[0]

    def _recall(self) -> tuple[Tensor, Reading] | None:
        """The clean logits and their reading, the targets resolved on them; None where one is not known."""
        rows = [one.logits for one in self._shared if one.logits is not None]
        if self._recalled is None and len(rows) == len(self.signal) and not isinstance(self.head, CustomTarget):
            logits, numbers = torch.stack(rows), list(range(len(rows)))
            if self._unresolved:
                self._freeze(logits, torch.arange(len(rows), device=logits.device), numbers)
            with torch.inference_mode(False), torch.no_grad():
                self._recalled = logits, detached(self._reading(logits, slice(0, len(rows))))
        return self._recalled

    def _freeze(self, logits: Any, rows: Tensor, numbers: Sequence[int]) -> None:
        super()._freeze(logits, rows, numbers)
        if isinstance(self.head, CustomTarget) or logits[0].numel() > READ_LATE:
            return
        for number, row in zip(numbers, logits.detach(), strict=True):
            if self._shared[number].logits is None:
                self._shared[number].logits = row.clone()

    def _differentiate(self, chunk: slice) -> None:
        """One forward pass of some examples, and a backward pass for each of their labels."""
        frozen, shared = self.frozen_targets[chunk], self._shared[chunk]
        columns = [frozen]
        if frozen.ndim == 1:
            owns = frozen.tolist()
            others = [[label for label in one.labels if label != own] for one, own in zip(shared, owns, strict=True)]
            for place in range(max(map(len, others))):  # an example with fewer takes its own again
                labels = [rest[place] if place < len(rest) else own for rest, own in zip(others, owns, strict=True)]
                columns.append(frozen.new_tensor(labels))
        with torch.inference_mode(False), torch.enable_grad():
            signal = attached(self.signal[chunk])
            logits, _ = self._logits(signal, chunk, None)
            for place, column in enumerate(columns):
                total = self.head.read(logits, column).logit_margin.sum()
                gradient = None
                if total.requires_grad:
                    last = place == len(columns) - 1
                    (gradient,) = differentiate(self.model, total, [signal], retain_graph=not last)
                if gradient is None:
                    raise no_gradient_path()
                for one, label, row in zip(shared, column, gradient, strict=True):
                    one.gradients.setdefault(_label(label), row)
        self.passes.backward += len(signal) * self.cost

    def _count(self, backward: bool) -> None:
        """Count a pass that another method made."""
        self.passes.forward += len(self.signal) * self.cost
        self.passes.backward += len(self.signal) * self.cost if backward else 0


def _label(frozen: Num[Tensor, "..."]) -> Label:
    return tuple(frozen.reshape(-1).tolist())
