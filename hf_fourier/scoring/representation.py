"""A model's answer and what it is computed from: its outputs, the input of its last linear layer, a layer by name."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch

from hf_fourier.errors import FourierError, SpecError
from hf_fourier.scoring.failures import differentiate
from hf_fourier.scoring.heads import Categorical, ContrastHead, Head, Reading, logits_of
from hf_fourier.scoring.layer_gradients import matching, no_gradient_path
from hf_fourier.typing import Float, Tensor

#: Names with a meaning of their own; any other one is a pattern of module names.
LAST_LINEAR, LOGITS, OUTPUT = "auto", "logits", "output"
#: Linear layers that are remembered from the end of a pass: the head's is among them.
_REMEMBERED = 16
_CONVOLUTIONS = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)

#: `(outputs) -> what the head reads of them`, one row per signal row.
Select = Callable[[Any], Tensor]


class Representation:
    """Reads one representation h of a model in every pass, always from the same layer.

    - "auto": the input of the layer whose output are the logits (a linear layer or a convolution), at the positions
      that the head reads; where no layer's output has the form of the logits (a similarity of two embeddings, a
      callable that is no module), the logits themselves.
    - "logits": what the head reads, one row of numbers; of a softmax minus their mean over the classes, on which no
      softmax depends.
    - "output": what the head reads as it is, `(rows, ...)`, for `Head.divergence`; the values of a callable target.
    - any other name: the output of the modules with that name, `*` for any part of it.

    Args:
        model: The model; None for a callable that is no module.
        name: One of the above.
        head: Reads the logits.

    Raises:
        SpecError: If no module has that name.
    """

    def __init__(self, model: torch.nn.Module | None, name: str, head: Head) -> None:
        self.name, self.head = name, head
        self.is_known = name != LAST_LINEAR or model is None
        self._modules: dict[str, torch.nn.Module] = {}
        if name == LAST_LINEAR and model is not None:
            self._modules = {full: module for full, module in model.named_modules() if _is_linear(module)}
        elif name not in (LAST_LINEAR, LOGITS, OUTPUT):
            self._modules = {} if model is None else matching(model, [name])
            if not self._modules:
                expected = "'auto', 'logits', 'output' or the name of a module"
                raise SpecError(f"representation {name!r}", expected, "correct `representation`")
        self._calls: deque[tuple[str, Tensor, Tensor]] = deque(maxlen=_REMEMBERED)

    @property
    def description(self) -> str:
        """The representation in words, once it was read."""
        if self.name == OUTPUT or not self._modules or not self.is_known:
            return "the output" if self.name == OUTPUT else "the logits"
        (first, *_) = self._modules
        return f"the input of {first}" if self.name == LAST_LINEAR else f"the output of {' + '.join(self._modules)}"

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Inside, the layers of a pass are recorded; the hooks are removed afterwards."""
        self._calls.clear()
        handles = [
            module.register_forward_hook(self._hook(name), with_kwargs=True) for name, module in self._modules.items()
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def read(self, outputs: Any, answer: Tensor, select: Select, rows: int) -> Float[Tensor, "rows ..."]:
        """h of the pass that was recorded.

        Args:
            outputs: The model's outputs.
            answer: What the head reads of them, `(rows, ...)`.
            select: Selects what the head reads of a tensor in the form of the logits.
            rows: Signal rows that went in.
        """
        calls, values = list(self._calls), None
        self._calls.clear()
        if self.name == OUTPUT:
            return answer
        if self.name not in (LAST_LINEAR, LOGITS):
            values = torch.cat([_by_row(output, rows) for _, _, output in calls], dim=1) if calls else None
            if values is None:
                raise SpecError(
                    f"representation {self.name!r}, a module that was not called", "one that is", "choose another"
                )
        elif self.name == LAST_LINEAR and calls:
            values = self._before_logits(calls, outputs, select, rows)
        if values is None:
            values = self._logits(answer)
        return values if values.dtype == torch.float64 else values.float()

    def _before_logits(
        self, calls: Sequence[tuple[str, Tensor, Tensor]], outputs: Any, select: Select, rows: int
    ) -> Tensor | None:
        """The input of the last layer whose output has the form of the logits; None where there is none."""
        try:
            logits = logits_of(outputs)
        except FourierError:
            logits = None
        found = None
        for name, given, output in reversed(calls):
            if logits is not None and (states := _at_logits(given, output, logits)) is not None:
                found = name, states
                break
        if not self.is_known:  # all later passes record this layer alone
            self.is_known = True
            self._modules = {} if found is None else {found[0]: self._modules[found[0]]}
        if found is None:
            return None
        # Of a contrast the logits are computed on, and no hidden states could stand in for them.
        return _by_row(found[1], rows) if isinstance(self.head, ContrastHead) else _selected(found[1], select, rows)

    def _logits(self, answer: Tensor) -> Tensor:
        if isinstance(self.head, Categorical):
            finite = answer.isfinite()  # a class that is ruled out has −inf, and no part in the mean
            answer = torch.where(finite, answer, 0)
            mean = answer.sum(-1, keepdim=True) / finite.sum(-1, keepdim=True).clamp(min=1)
            answer = torch.where(finite, answer - mean, 0)
        return answer.flatten(1)

    def _hook(self, name: str) -> Callable[[torch.nn.Module, Any, Any, Any], None]:
        def hook(module: torch.nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            given = args[0] if args else next(iter(kwargs.values()), None)
            output = output[0] if isinstance(output, (tuple, list)) and output else output
            if (
                isinstance(given, Tensor) and isinstance(output, Tensor) and output.requires_grad
            ):  # no check on the side
                self._calls.append((name, given, output))

        return hook


class RepresentationPass:
    """h of one chunk of signal rows, with its graph.

    Attributes:
        values: h, shape `(rows, ...)`, detached.
        rows: The rows of the chunk among all.
        margin_gradient: The gradient of the margin that the score depends on, once `gradient_of_value` took it.
    """

    margin_gradient: Tensor | None = None

    def __init__(
        self,
        signal: Tensor,
        values: Tensor,
        read: Callable[[], Reading],
        rows: slice,
        count: Callable[[int], None],
        model: torch.nn.Module | None,
    ) -> None:
        self.values, self.rows, self._read = values.detach(), rows, read
        self._signal, self._values, self._count, self._model = signal, values, count, model

    @property
    def attached(self) -> Tensor:
        """h with its graph."""
        return self._values

    @cached_property
    def reading(self) -> Reading:
        """What the head reads of the same pass, with its graph."""
        return self._read()

    def gradient(
        self, loss: Callable[[Tensor], Float[Tensor, " rows"]], last: bool = True
    ) -> Float[Tensor, "rows *signal"]:
        """The gradient of each row's loss at the signal: one backward pass.

        Args:
            loss: `h -> one number per row`, differentiable.
            last: Whether the graph may be freed.

        Raises:
            ModelError: If h does not depend on the signal.
        """
        return self._backward(loss(self._values).sum(), last)

    def gradient_of_value(self, last: bool = True) -> Float[Tensor, "rows *signal"]:
        """The gradient of the score `reading.value` at the signal: one backward pass; arguments as for `gradient`."""
        slopes = self.reading.dvalue_dmargin.detach()
        self.margin_gradient = gradient = self._backward(self.reading.logit_margin.sum(), last)
        return gradient * slopes.view(-1, *[1] * (gradient.ndim - 1))

    def _backward(self, total: Tensor, last: bool) -> Tensor:
        gradient = None
        if total.requires_grad:
            (gradient,) = differentiate(self._model, total, [self._signal], retain_graph=not last)
        if gradient is None:
            raise no_gradient_path()
        self._count(len(self._signal))
        return gradient


def _is_linear(module: torch.nn.Module) -> bool:
    """Linear layers, convolutions, and those of GPT-2, which multiply from the other side."""
    return isinstance(module, (torch.nn.Linear, *_CONVOLUTIONS)) or type(module).__name__ == "Conv1D"


def _at_logits(given: Tensor, output: Tensor, logits: Tensor) -> Tensor | None:
    """A layer's input where its output are the logits; None where they are not."""
    if output.shape == logits.shape:
        return given
    if not logits.ndim or not output.ndim or output.shape[-1] != logits.shape[-1]:
        return given.reshape(len(logits), -1) if _is_flat(given, output, logits) else None
    if output.ndim == 3 and logits.ndim == 2 and len(output) == len(logits):  # of one position, such as the last token
        same = (output.detach() == logits.detach().to(output).unsqueeze(1)).all(-1)
        if bool(same.any(1).all()):
            return given[torch.arange(len(given), device=given.device), same.to(torch.uint8).argmax(1)]
    return None


def _is_flat(given: Tensor, output: Tensor, logits: Tensor) -> bool:
    """Whether each row of logits was computed as several rows of one number, as of multiple choice."""
    return logits.ndim == 2 and output.shape == (logits.numel(), 1) and given.ndim == 2


def _selected(states: Tensor, select: Select, rows: int) -> Tensor:
    """The states at the positions that the head reads; all of them where it reads no positions of this form."""
    try:
        chosen = select(states)
    except (FourierError, RuntimeError, IndexError, TypeError, AttributeError):
        chosen = states
    return _by_row(chosen if len(chosen) == rows else states, rows)


def _by_row(values: Tensor, rows: int) -> Tensor:
    return values.reshape(rows, -1)
