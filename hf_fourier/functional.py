"""attribute: explains any torch callable that maps a tensor to logits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, SupportsIndex, TypedDict, Unpack
from weakref import WeakKeyDictionary

import torch

from hf_fourier.domains import DOMAINS, Axis, Domain, SignalShape
from hf_fourier.engine import Engine
from hf_fourier.errors import InputError, TargetError, brief, is_list_like, whole_number
from hf_fourier.methods import METHODS, Method
from hf_fourier.methods.apply import MethodCall, explain_all
from hf_fourier.models.calls import Call, FunctionModule
from hf_fourier.models.inputs.tensors import check_dense
from hf_fourier.models.inspection import eval_mode
from hf_fourier.models.network import CALLABLE, NetworkWrapper
from hf_fourier.models.prediction import Prediction
from hf_fourier.models.side_inputs import SideInputCheck
from hf_fourier.registry import DEFAULT_METHOD
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.curve import Fractions
from hf_fourier.scoring.example_batch import BatchSize, EncodedExample, ExplanationRequest
from hf_fourier.scoring.heads import Categorical
from hf_fourier.scoring.targets import Target
from hf_fourier.torch_state import exact, exact_class
from hf_fourier.typing import Tensor


@exact_class
class CallableResults(list[Attribution]):
    """The results of `attribute`: a list that can perturb its results and predict with the callable.

    Attributes:
        explainer: The callable as an explainer, for `explainer.perturb`, `predict`, `re_explain` and other methods.
    """

    def __init__(self, results: Iterable[Attribution], explainer: Engine) -> None:
        super().__init__(results)
        self.explainer = explainer

    def perturb(
        self,
        fractions: Fractions = (0.01, 0.02, 0.04, 0.1, 0.3),
        *,
        replacement: str = "zero",
        overwrite: bool = False,
        batch_size: BatchSize = "auto",
    ) -> CallableResults:
        """Compute the perturbation curves of all results, as `FourierExplainer.perturb` does; returns these results."""
        self.explainer.perturb(
            list(self), fractions, replacement=replacement, overwrite=overwrite, batch_size=batch_size
        )
        return self

    def predict(self, index: int, signal: Tensor | None = None) -> Prediction:
        """Predict one example, or another signal in its place.

        Args:
            index: Index of the result.
            signal: Such as `results[0].keep_top(0.04)` or `results[0].delete_top(0.04)`; None for the result's signal.

        Raises:
            InputError: If the signal does not fit.
        """
        return self.explainer.predict(self[index], signal=signal)


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
    **others: Unpack[DonorKeywords],
) -> CallableResults:
    """Explain any torch callable at any real tensor.

    `FourierExplainer(forward, …)` takes the same callables and offers all methods for them.

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
        axes: The dimensions of `x` that have an order, without the batch (dimension 0); the others are treated like
            channels. None for all of one or two dimensions, and all but the first of more.
        contributions: Points on the path from zero for signed contributions to the answer, as for `explain`.
        seed: Seed of all random numbers.
        batch_size: Largest number of rows in a batch.
        dither: Noise that is added to the input of `forward`, as for `FourierExplainer`.
        **others: `donors`, other examples in the shape `(n, …)` of `x`, whose features replace deleted ones
            (`replacement=example`). An example is never its own donor, so `x` itself can be passed.

    Returns:
        One `Attribution` per example, in a list that perturbs them and predicts on parts of them (`CallableResults`).

    Raises:
        InputError: If `x` or the donors are not a batch of finite real numbers, `axes` are not dimensions of it, or
            donors are needed and there is none of the examples' shape.
        TargetError: If a target is not a class.
        ModelError: If `forward` does not take the type of `x`.
    """
    shape = _signal_shape(_checked(x), axes)
    chosen = METHODS.parse(method)
    basis = DOMAINS.parse(domain or chosen.default_domain or "fourier")
    encoded = _encoded(x, axes, **others)
    job = MethodCall(chosen, basis, seed, _model(forward), dither=dither, contributions=contributions, donors=encoded)
    requests = [
        ExplanationRequest(EncodedExample(shape, {}, values=row.detach()), goal)
        for row, goal in zip(x, _target_each(target, len(x)), strict=True)
    ]
    return _explained(forward, x, requests, job, batch_size, domain)


def _explained(
    forward: Callable[[Tensor], Any],
    x: Tensor,
    requests: Sequence[ExplanationRequest],
    job: MethodCall,
    batch_size: BatchSize,
    domain: str | Domain | None,
) -> CallableResults:
    """One result per request, with the callable as an explainer that has the call's method, domain and donors."""
    source = NetworkWrapper(Call(forward, dtype=x.dtype, device=x.device), {}, bare=True)
    training = _in_training_mode(source)
    with eval_mode(source.model):
        results = explain_all(requests, job, source, batch_size)
        _side_inputs_of(forward).add_notes(source, requests, results)
    for result in results:
        result.provenance["notes"] += _notes(training, x.dtype, source.call.dtype or x.dtype)
    explainer = Engine(source, name=job.model["name"], method=job.method, domain=domain, dither=job.dither)
    explainer.donors = tuple(job.donors)
    return CallableResults(results, explainer)


class DonorKeywords(TypedDict, total=False):
    """Further options of `attribute`."""

    donors: Tensor | None


def _encoded(x: Tensor, axes: Sequence[int] | None, donors: Tensor | None = None) -> tuple[EncodedExample, ...]:
    """Donors for examples like `x`, in its type, so that an example among them is known."""
    if donors is None:
        return ()
    shape = _signal_shape(_checked(donors), axes)
    return tuple(EncodedExample(shape, {}, values=row.detach()) for row in donors.to(x))


def _model(forward: Callable[[Tensor], Any]) -> dict[str, Any]:
    """What provenance says of a callable."""
    name = getattr(forward, "__name__", type(forward).__name__)
    return {"name": name, "task": CALLABLE, "revision": None}


def _in_training_mode(source: NetworkWrapper) -> list[torch.nn.Module]:
    """The modules behind a function that are in training mode."""
    parts = source.model.parts if isinstance(source.model, FunctionModule) else ()
    return [one for one in parts if one is not source.call.layers and any(part.training for part in one.modules())]


def _notes(training: Sequence[torch.nn.Module], given: torch.dtype, used: torch.dtype) -> list[str]:
    """Remarks on modules that were in training mode, and on rows that were converted to another type."""
    notes = []
    if training:
        names = ", ".join(type(module).__name__ for module in training)
        notes.append(f"in training mode inside `forward`, and put in evaluation mode for the call: {names}")
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
    check_dense("a batch", x)
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
