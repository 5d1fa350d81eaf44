"""attribute: explains any torch callable that maps a tensor to logits."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, SupportsIndex
from weakref import WeakKeyDictionary

import torch

from hf_fourier.domains import DOMAINS, Axis, Domain, SignalShape
from hf_fourier.errors import FourierError, InputError, ModelError, TargetError, brief, is_list_like, whole_number
from hf_fourier.methods import METHODS, Method
from hf_fourier.methods.apply import MethodCall, explain_all
from hf_fourier.models.inspection import alone, eval_mode, owner, reachable_modules
from hf_fourier.models.side_inputs import SideInputCheck
from hf_fourier.registry import DEFAULT_METHOD
from hf_fourier.results.attribution import Attribution
from hf_fourier.scoring.batching import is_out_of_memory
from hf_fourier.scoring.example_batch import BatchSize, EncodedExample, ExampleBatch, ExplanationRequest
from hf_fourier.scoring.heads import Categorical, by_class, logits_of, of_each
from hf_fourier.scoring.heads.outputs import retarget_hint
from hf_fourier.scoring.targets import Target
from hf_fourier.seeding import ExampleRng
from hf_fourier.torch_state import exact, theirs
from hf_fourier.typing import Tensor

#: Messages of torch where types do not fit.
_OF_TYPES = re.compile(r"dtype|scalar type|(?:input|weight|bias) type", re.IGNORECASE)


class CallableBatch(ExampleBatch):
    """Rows of any tensor in front of any torch callable."""

    def __init__(self, source: CallableSource, examples: Sequence[EncodedExample]) -> None:
        values = [example.values for example in examples if example.values is not None]
        self._source, self.head, self.model = source, Categorical(), source.model
        self.input_dtype = source.dtype
        stacked = torch.stack(values)
        self.signal = stacked if stacked.dtype == torch.float64 else stacked.float()

    def forward(self, x: Tensor, rows: Tensor) -> Any:
        """The callable's output."""
        return self._source.run(x)

    def logits(self, outputs: Any, rows: Tensor) -> Tensor:
        """The logits, `(rows, classes)`."""
        read = logits_of(outputs)
        if not read.ndim:
            got, do = "one number for all rows", "return a row of logits for each row of the input"
            raise InputError(f"logits of shape (), {got}", "(rows, classes)", do)
        of_each(read, len(rows))
        logits = by_class(read)
        if read.ndim == 1 or logits.ndim != 2:
            do = f"explain one number of each row, as by {retarget_hint(outputs, read)}"
            raise InputError(f"logits of shape {tuple(read.shape)}", "(rows, classes)", do)
        if logits.shape[1] == 1:
            do = f"explain that number, as by {retarget_hint(outputs, read)}"
            raise TargetError("a softmax over one class", "at least two", do)
        if len(rows) > 1 and logits.shape[1] == len(rows):
            self._source.check_batch(self.signal[:1])
        return logits


class CallableSource:
    """Makes batches for a torch callable, for rows like those of `x`."""

    max_rows: None = None

    def __init__(self, forward: Callable[[Tensor], Any], x: Tensor) -> None:
        self._forward, self.dtype, self.device = forward, x.dtype, x.device
        self._batch_first = False
        self.modules = reachable_modules(forward)
        #: The module whose layers can be read, and that is put in evaluation mode.
        self.model = owner(forward)

    def example_batch(self, examples: Sequence[EncodedExample], rng: ExampleRng) -> ExampleBatch:
        """Rows, ready to run."""
        return CallableBatch(self, examples)

    def check_batch(self, row: Tensor) -> None:
        """Check on one row, once, that the batch is the first axis of the logits, where rows are as many as classes.

        Raises:
            ModelError: If it is not.
        """
        if not self._batch_first:
            with torch.no_grad():  # so that no layer is recorded
                of_each(by_class(logits_of(self.run(row))), 1)
            self._batch_first = True

    def run(self, x: Tensor) -> Any:
        """The callable's output at copies of rows, which it may change in place.

        Rows have the type of the user's tensor. Where the callable fails on that and its weights are of another type,
        rows have that type from then on. Its errors are passed on, except torch's on types.

        Raises:
            ModelError: If types do not fit.
        """
        try:
            return self._called(x, self.dtype)
        except Exception as error:
            own = next((p.dtype for m in self.modules for p in m.parameters() if p.is_floating_point()), self.dtype)
            if is_out_of_memory(error) or isinstance(error, FourierError):
                raise
            if own != self.dtype:
                try:
                    outputs = self._called(x, own)
                except Exception as again:  # the first error is reported
                    if is_out_of_memory(again):
                        raise
                else:
                    self.dtype = own
                    return outputs
            if isinstance(error, RuntimeError) and _OF_TYPES.search(str(error)):
                message = str(error).strip().splitlines()[0]
                got = f"rows of {self.dtype}, which `forward` does not take ({message})"
                do = "convert `x` to the type of the weights, as by x.float()"
                raise ModelError(got, "rows of the type that `forward` takes", do) from error
            raise

    def _called(self, x: Tensor, dtype: torch.dtype) -> Any:
        with theirs():
            return self._forward(x.to(dtype, copy=True))


@exact
def attribute(
    forward: Callable[[Tensor], Any],
    x: Tensor,
    target: Target | Sequence[Target] | SupportsIndex = None,
    method: str | Method = DEFAULT_METHOD,
    domain: str | Domain | None = None,
    axes: Sequence[int] | None = None,
    *,
    contributions: int | None = None,
    seed: int = 0,
    batch_size: BatchSize = "auto",
    dither: float = 0.0,
) -> list[Attribution]:
    """Explain any torch callable at any real tensor.

    Args:
        forward: `(rows, …) -> (rows, classes)` logits, or a mapping, a tuple or an object with them, differentiable. A
            module, one whose method this is, and those that a function shows (it closes over them, was bound to them,
            or names them as globals) are put in evaluation mode for the time of the call, and a note says so where one
            behind a function was in training mode; running statistics stay as they are. No other thread explains them
            meanwhile. It gets copies of rows. Where its output for the same row differs between calls or batches,
            results have a note.
        x: Examples, shape `(batch, …)`, real. Where `forward` refuses their type and its weights are of another, rows
            are converted to that, and a note says so; scores stay in float32, or float64 where `x` is.
        target: A class index for all, one per example, a callable `outputs -> (rows,)`, or None for the predictions.
        method: The method.
        domain: The domain; None for the method's default, mostly "fourier".
        axes: The dimensions of `x` that have an order (the batch, dimension 0, is none of them); the others lie side
            by side like channels. None for all of one or two dimensions, and all but the first of more.
        contributions: Points on the path from zero for what speaks for or against the answer, as for `explain`.
        seed: Seed of all random numbers.
        batch_size: Rows in a batch, at most.
        dither: Noise that is added to the input of `forward`, as for `FourierExplainer`.

    Returns:
        One `Attribution` per example.

    Raises:
        InputError: If `x` is not a batch of finite real numbers, or `axes` are not dimensions of it.
        TargetError: If a target is no class.
        ModelError: If `forward` does not take the type of `x`.
    """
    shape = _signal_shape(_checked(x), axes)
    chosen = METHODS.parse(method)
    basis = DOMAINS.parse(domain or chosen.default_domain or "fourier")
    job = MethodCall(chosen, basis, seed, _model(forward), dither=dither, contributions=contributions)
    requests = [
        ExplanationRequest(EncodedExample(shape, {}, values=row.detach()), goal)
        for row, goal in zip(x, _target_each(target, len(x)), strict=True)
    ]
    source = CallableSource(forward, x)
    training = [m for m in source.modules if m is not source.model and any(p.training for p in m.modules())]
    with alone(*source.modules), ExitStack() as stack:
        for module in source.modules:
            stack.enter_context(eval_mode(module))
        results = explain_all(requests, job, source, batch_size)
        _side_inputs_of(forward).add_notes(source, requests, results)
    for result in results:
        result.provenance["notes"] += _notes(training, x.dtype, source.dtype)
    return results


def _model(forward: Callable[[Tensor], Any]) -> dict[str, Any]:
    """What provenance says of a callable."""
    name = getattr(forward, "__name__", type(forward).__name__)
    return {"name": name, "task": "callable", "revision": None}


def _notes(training: Sequence[torch.nn.Module], given: torch.dtype, used: torch.dtype) -> list[str]:
    """Remarks on modules that were in training mode, and on rows that were converted to another type."""
    notes = []
    if training:
        names = ", ".join(type(module).__name__ for module in training)
        notes.append(f"in training mode behind `forward`, and put in evaluation mode for the call: {names}")
    if used != given:
        notes.append(f"`forward` takes no {given}: its rows were converted to {used}, the type of its weights")
    return notes


#: Checks of callables that still exist.
_CHECKS: WeakKeyDictionary[Callable[[Tensor], Any], SideInputCheck] = WeakKeyDictionary()


def _side_inputs_of(forward: Callable[[Tensor], Any]) -> SideInputCheck:
    """The check of a callable so far; a new one where it cannot be kept in a weak dictionary."""
    try:
        return _CHECKS.setdefault(forward, SideInputCheck())
    except TypeError:
        return SideInputCheck()


def _target_each(target: Any, examples: int) -> list[Target]:
    """One target per example."""
    head = Categorical()
    if hasattr(target, "tolist"):  # a tensor, an array
        try:
            target = target.tolist()
        except (RuntimeError, NotImplementedError) as error:  # sparse, or without numbers
            raise TargetError(f"target {brief(target)}", "class indices", "correct `target`") from error
    if not isinstance(target, (list, tuple)):
        return [head.check(target)] * examples
    if len(target) != examples:
        raise InputError(f"{len(target)} targets for {examples} examples", "one per example", "correct `target`")
    return [head.check(goal) for goal in target]


def _checked(x: Any) -> Tensor:
    """The batch, if it is one.

    Raises:
        InputError: If it is no tensor of shape `(batch, …)`, is empty, or holds other than finite real numbers.
    """
    if isinstance(x, Tensor) and (x.layout != torch.strided or x.is_meta or x.is_quantized):
        got = f"a {'meta' if x.is_meta else 'quantised' if x.is_quantized else 'sparse'} tensor"
        raise InputError(got, "a dense one that holds numbers", "convert it, as by x.to_dense() or x.dequantize()")
    if not isinstance(x, Tensor) or x.ndim < 2 or x.numel() == 0 or not x.is_floating_point():
        got = f"shape {tuple(x.shape)}, {x.dtype}" if isinstance(x, Tensor) else type(x).__name__
        raise InputError(got, "a real tensor of shape (batch, …), not empty", "add a batch axis, or convert it")
    if not bool(x.isfinite().all()):
        raise InputError("numbers that are NaN or infinite", "finite numbers", "fix the tensor")
    return x


def _signal_shape(x: Tensor, axes: Sequence[int] | None) -> SignalShape:
    """The axes of a row; those that have no order are channels."""
    ordered = _ordered(x, axes)
    return SignalShape(
        "tensor", tuple(Axis(f"axis{d}", x.shape[d], channel=d not in ordered) for d in range(1, x.ndim))
    )


def _ordered(x: Tensor, axes: Sequence[int] | None) -> set[int]:
    """The dimensions of `x` that have an order, counted from its front.

    Raises:
        InputError: If `axes` are none, not dimensions of `x`, or include the batch.
    """
    if axes is None:
        return set(range(1, x.ndim)) if x.ndim <= 3 else set(range(2, x.ndim))
    if not is_list_like(axes):
        raise InputError(f"axes {brief(axes)}", f"dimensions of x from 1 to {x.ndim - 1}", "pass them in a list")
    numbers = [whole_number("axes", axis) for axis in axes]
    chosen = {axis % x.ndim if -x.ndim <= axis < x.ndim else 0 for axis in numbers}
    if not chosen:
        raise InputError("no axes", f"dimensions of x from 1 to {x.ndim - 1}", "name at least one")
    if 0 in chosen:
        raise InputError(f"axes {tuple(axes)}", f"dimensions of x from 1 to {x.ndim - 1}", "leave the batch out")
    return chosen
