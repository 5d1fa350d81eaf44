"""Third-party models: evaluation mode while they are explained, and the device, labels and heads they declare."""

from __future__ import annotations

import functools
import inspect
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any

import numpy as np
import torch

from hf_fourier.errors import ModelError
from hf_fourier.scoring.compiled_calls import compiled_calls
from hf_fourier.scoring.heads import Binary, Categorical, Head, Regression, part_of
from hf_fourier.torch_state import ours, taken
from hf_fourier.typing import Tensor

#: How far into what a callable holds modules are looked for.
_DEPTH = 5
#: How many things are looked at, and what holds none.
_MOST, _PLAIN = 10_000, frozenset((str, bytes, int, float, bool, complex, type(None), np.ndarray, Tensor))


@contextmanager
def alone(*models: torch.nn.Module) -> Iterator[None]:
    """Inside, no other thread explains these models, or others that share a module with them.

    Hooks, train mode and `requires_grad` are a module's, whoever runs it: two threads would see each other's.
    """
    with taken(*(module for model in models for module in model.modules())):
        yield


@contextmanager
def eval_mode(model: torch.nn.Module) -> Iterator[None]:
    """This thread's alone, in evaluation mode, without parameter gradients inside; as it was afterwards.

    It is not compiled inside, but for passes that no hook watches (`compiled_calls`).

    Running statistics that a model goes on collecting in evaluation mode are put back, too.

    What is computed inside may be differentiated, even where the caller is in `torch.inference_mode()`, or was when
    the model was made.
    """
    modules = list(model.modules())
    training, needing, lent = list[Any](), list[Tensor](), list[_Loan]()
    with taken(*modules), ours(), compiled_calls.set_aside(model, modules):
        collected = _statistics(modules)
        try:
            for module in modules:
                if module.training:
                    training.append(module)
                    module.training = False
                for parameter in module._parameters.values():
                    if parameter is not None and parameter.requires_grad and not parameter.is_inference():
                        needing.append(parameter)
                        parameter.requires_grad_(False)
            _lend_out_of_inference(modules, lent)
            yield
        finally:
            for module in training:
                module.training = True
            for needed in needing:
                needed.requires_grad_(True)
            for buffer, before in collected:
                if buffer.device.type != "cpu":  # not compared, which would be waited for; not marked as changed
                    buffer.data.copy_(before)
                elif not torch.equal(buffer, before):  # a norm's own update does not count as a change
                    buffer.copy_(before)
            for store, name, tensor, plain in lent:
                if store.get(name) is plain:  # the model has not put another one there
                    store[name] = tensor


def _statistics(modules: Sequence[torch.nn.Module]) -> list[tuple[Tensor, Tensor]]:
    """The running statistics of norms, each with a copy."""
    return [
        (buffer, buffer.clone())
        for module in modules
        for name, buffer in module._buffers.items()
        if buffer is not None and name.startswith(_COLLECTED) and not buffer.is_inference()
    ]


#: How buffers are called in which norms collect statistics.
_COLLECTED = ("running_", "num_batches_tracked")
#: Where a tensor was, by what name, and what stands in for it.
_Loan = tuple[dict[str, Any], str, Tensor, Tensor]


def _lend_out_of_inference(modules: Sequence[torch.nn.Module], lent: list[_Loan]) -> None:
    """Put tensors of the same memory in the place of those made in inference mode, which take no part in gradients."""
    stores: list[dict[str, Any]] = [s for m in modules for s in (m._parameters, m._buffers) if s]
    if not any(t is not None and t.is_inference() for store in stores for t in store.values()):
        return
    found: dict[int, Tensor] = {}
    for store in [*stores, *(vars(module) for module in modules)]:
        for name, tensor in list(store.items()):
            if isinstance(tensor, Tensor) and tensor.is_inference():
                if id(tensor) not in found:
                    found[id(tensor)] = _plain(tensor)
                lent.append((store, name, tensor, found[id(tensor)]))
                store[name] = found[id(tensor)]


def _plain(tensor: Tensor) -> Tensor:
    """The same memory in a tensor that was not made in inference mode."""
    if tensor.layout is not torch.strided or tensor.is_quantized:
        return tensor.clone()
    plain = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
    plain.set_(tensor.untyped_storage(), tensor.storage_offset(), tensor.size(), tensor.stride())
    return torch.nn.Parameter(plain, requires_grad=False) if isinstance(tensor, torch.nn.Parameter) else plain


def owner(function: Callable[..., Any]) -> torch.nn.Module | None:
    """The module that a callable is, or is a method of."""
    one = function if isinstance(function, torch.nn.Module) else getattr(function, "__self__", None)
    return one if isinstance(one, torch.nn.Module) else None


def reachable_modules(function: Callable[..., Any]) -> list[torch.nn.Module]:
    """The modules that a callable runs, as far as it shows them.

    Those are itself, whose method it is, what it closes over, was bound to or keeps, and the globals that it names;
    what is near first, so that a data set that it also keeps costs little.
    """
    found: dict[torch.nn.Module, None] = {}
    seen: set[int] = set()
    near: deque[tuple[Any, int]] = deque([(function, 0)])
    while near and len(seen) < _MOST:
        thing, depth = near.popleft()
        if isinstance(thing, torch.nn.Module):
            found[thing] = None
        elif depth < _DEPTH and id(thing) not in seen:
            seen.add(id(thing))
            near.extend((part, depth + 1) for part in islice(_parts(thing), _MOST) if type(part) not in _PLAIN)
    return list(found)


def _parts(thing: Any) -> Iterable[Any]:
    """What a callable or a container holds."""
    match thing:
        case types.MethodType():
            return thing.__self__, thing.__func__
        case functools.partial():
            return thing.func, *thing.args, *thing.keywords.values()
        case types.FunctionType():
            cells = [cell.cell_contents for cell in thing.__closure__ or () if _filled(cell)]
            named = [thing.__globals__[name] for name in _names(thing.__code__) if name in thing.__globals__]
            return *cells, *named, *(thing.__defaults__ or ()), *(thing.__kwdefaults__ or {}).values()
        case list() | tuple() | set() | frozenset():
            return thing
        case dict():
            return thing.values()
        case type() | types.ModuleType() | Tensor():
            return ()
    own = [vars(cls)["__call__"] for cls in type(thing).__mro__ if "__call__" in vars(cls)]
    return *getattr(thing, "__dict__", {}).values(), *(call for call in own if isinstance(call, types.FunctionType))


def _filled(cell: Any) -> bool:
    """Whether a cell of a closure has got its contents."""
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def _names(code: types.CodeType) -> set[str]:
    """The names that code and the functions inside it use."""
    inner = (_names(const) for const in code.co_consts if isinstance(const, types.CodeType))
    return set(code.co_names).union(*inner)


def unwrap(model: torch.nn.Module) -> torch.nn.Module:
    """The module below `torch.compile` and data parallelism, which hide hooks and split batches.

    One that comes without them runs as it is written, also if it was explained in compiled form before.
    """
    given = model
    while True:
        if isinstance(model, (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)):
            inner = model.module
        else:
            inner = getattr(model, "_orig_mod", None)
        if not isinstance(inner, torch.nn.Module):
            if model is given:
                compiled_calls.forget(model)
            return model
        compiled_calls.note(inner, model)
        model = inner


def device_of(model: torch.nn.Module) -> torch.device:
    """The device that a model's inputs go to."""
    hook = getattr(model, "_hf_hook", None)
    execution = getattr(hook, "execution_device", None)
    if execution is not None:
        return torch.device(execution if not isinstance(execution, int) else f"cuda:{execution}")
    for tensor in chain(model.parameters(), model.buffers()):
        if tensor.device.type != "meta":
            return tensor.device
    return torch.device("cpu")


def dtype_of(model: torch.nn.Module) -> torch.dtype:
    """The model's floating-point type."""
    return next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)


def is_convolutional(model: torch.nn.Module) -> bool:
    """Whether a model has several convolutions over pictures; a single one only cuts them into patches."""
    return sum(isinstance(module, torch.nn.Conv2d) for module in model.modules()) > 1


def unwrap_peft(model: torch.nn.Module) -> torch.nn.Module:
    """The model that PEFT has wrapped; any other as it is."""
    inner: Any = getattr(model, "get_base_model", None)
    return model if inner is None else inner()


def has_prompt_tuning(model: torch.nn.Module) -> bool:
    """Whether an adapter puts virtual tokens in front of a text."""
    return bool(getattr(getattr(model, "active_peft_config", None), "is_prompt_learning", False))


def forward_arguments(model: torch.nn.Module) -> frozenset[str]:
    """The names of what a model takes (below PEFT, which passes on whatever it gets); none where it does not say."""
    try:
        return frozenset(inspect.signature(unwrap_peft(model).forward).parameters)
    except (TypeError, ValueError):
        return frozenset()


def labels_of(config: Any) -> dict[int, str]:
    """The names of the classes in a config.

    Raises:
        ModelError: If `id2label` does not go from class numbers to names, one name for each.
    """
    given = getattr(config, "id2label", None) or {}
    try:
        labels = {int(index): str(name) for index, name in given.items()}
        good = len(labels) == len(given) and min(labels, default=0) >= 0
    except (TypeError, ValueError, AttributeError):
        good = False
    if not good:
        some = ", ".join(map(repr, list(given)[:3])) if isinstance(given, Mapping) else repr(given)[:60]
        do = "set `model.config.id2label` the right way round, from numbers to names"
        raise ModelError(f"`id2label` with the keys {some} in the config", "class numbers from 0 on, each once", do)
    return labels


def label_notes(config: Any) -> tuple[str, ...]:
    """A note where a config's two lists of names contradict each other."""
    back = getattr(config, "label2id", None)
    back = back if isinstance(back, Mapping) else {}
    odd = [
        f"{name!r} ({index} and {back[name]})"
        for index, name in labels_of(config).items()
        if back.get(name, index) != index
    ]
    if not odd:
        return ()
    more = ", …" if len(odd) > 3 else ""
    note = f"id2label and label2id in the config contradict each other about {', '.join(odd[:3])}{more}"
    return (f"{note}: names are those of id2label",)


def classification_head(config: Any) -> Head:
    """The head of a classifier as its config describes it: softmax, sigmoids, or a value.

    Raises:
        ModelError: If the config names no classes.
    """
    labels, problem = labels_of(config), getattr(config, "problem_type", None)
    if problem == "multi_label_classification":
        return Binary(labels)
    if problem == "regression" or (problem is None and len(labels) == 1):
        return Regression(labels if len(labels) > 1 else {}, outputs=len(labels), assumed=problem is None)
    if len(labels) == 1:
        return Binary(labels)
    if not labels and int(getattr(config, "num_labels", None) or 0) < 2:  # some configs count them without naming them
        raise ModelError("a classifier without classes", "`id2label` in its config", "set `model.config.id2label`")
    return Categorical(labels)


def hidden_states_of(outputs: Any) -> Tensor:
    """The last hidden states among a model's outputs, or the first of a tuple, which is where they stand.

    Raises:
        ModelError: If there are none.
    """
    if isinstance(outputs, tuple) and outputs and not hasattr(outputs, "_fields"):
        first = outputs[0]
        if isinstance(first, Tensor) and first.ndim > 2:
            return first
    return part_of(outputs, "last_hidden_state")
