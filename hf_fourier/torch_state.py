"""Torch's ambient modes: our own arithmetic leaves the caller's, and the model's forward is given them back.

Autocast, inference mode and the default device belong to a thread and are left here. The default type belongs to the
whole process, where other threads see it: our code never sets it, and names the type of what it makes instead.
"""

from __future__ import annotations

import functools
import os
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import torch
from torch.overrides import TorchFunctionMode

from hf_fourier.errors import checked

P = ParamSpec("P")
T = TypeVar("T")
Class = TypeVar("Class", bound=type)

#: Kinds of devices that autocast knows.
_CASTING = ("cpu", "cuda", "xpu", "mps", "hpu", "xla")
_CPU = torch.device("cpu")
#: What makes real numbers of the default type.
_MAKING = {
    torch.zeros, torch.ones, torch.empty, torch.rand, torch.randn, torch.linspace, torch.logspace, torch.eye,
    torch.hann_window, torch.hamming_window, torch.blackman_window, torch.bartlett_window, torch.kaiser_window,
}  # fmt: skip


#: Kinds of devices that have no float64: Apple's GPUs.
WITHOUT_FLOAT64 = ("mps",)


def bytes_of(tensor: torch.Tensor) -> torch.Tensor:
    """The bytes of a dense tensor's entries in order, uint8, shape `(bytes,)`, there; a view where they lie so."""
    flat = tensor.detach().resolve_conj().resolve_neg().reshape(-1)
    if flat.stride(0) != 1:  # also of one entry, which is contiguous with any stride
        flat = flat.clone(memory_format=torch.contiguous_format)
    return flat.view(torch.uint8)


def has_float64(device: torch.device) -> bool:
    """Whether a device computes in float64."""
    return device.type not in WITHOUT_FLOAT64


def in_float64(values: torch.Tensor) -> torch.Tensor:
    """Values as float64, differentiably; on the CPU where their own device has none."""
    return (values if has_float64(values.device) else values.cpu()).double()


def as_before(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Numbers that `in_float64` made on the CPU, back on a device and in the type that it has; others as they are."""
    return values.to(like) if values.device != like.device else values


@dataclass(frozen=True)
class Modes:
    """What the caller's thread is in.

    Attributes:
        casts: Kinds of devices under autocast, each with the type that it casts to.
        cached: Whether autocast keeps the weights that it has cast.
        device: The default device.
    """

    casts: tuple[tuple[str, torch.dtype], ...]
    cached: bool
    device: torch.device


#: The modes that were left, inside `ours`; None where none were, and inside `theirs`.
_left: ContextVar[Modes | None] = ContextVar("modes that were left", default=None)


#: How many function modes this thread is in, of which a default device is one; torch's quick answer where it has it.
_function_modes: Callable[[], int] = getattr(torch._C, "_len_torch_function_stack", lambda: 1)


def _ambient() -> bool:
    """Whether this thread is in a mode that is to be left. Asked at each public call, of which a run makes many."""
    if torch.is_inference_mode_enabled() or (_function_modes() and torch.get_default_device() != _CPU):
        return True
    return any(map(torch.is_autocast_enabled, _CASTING))


@contextmanager
def ours() -> Iterator[None]:
    """Inside, numbers come out as without any ambient mode. Gradients are taken as before."""
    if not _ambient():
        yield
        return
    casts = tuple((kind, torch.get_autocast_dtype(kind)) for kind in _CASTING if torch.is_autocast_enabled(kind))
    device = torch.get_default_device()
    elsewhere, inferring = device.type != "cpu", torch.is_inference_mode_enabled()
    with ExitStack() as stack:
        if casts or elsewhere:
            token = _left.set(Modes(casts, torch.is_autocast_cache_enabled(), device))
            stack.callback(_left.reset, token)
        for kind, _ in casts:
            stack.enter_context(torch.autocast(kind, enabled=False))
        if elsewhere:
            stack.enter_context(_CPU)
        if inferring:
            stack.enter_context(torch.inference_mode(False))
        yield


@contextmanager
def theirs() -> Iterator[None]:
    """Inside, the caller's autocast and default device are back: for the model's forward, and other code of theirs.

    Inference mode is not: what is computed in it cannot be differentiated, nor can what a model keeps of it.
    """
    modes = _left.get()
    if modes is None:
        yield
        return
    with ExitStack() as stack:
        stack.callback(_left.reset, _left.set(None))
        for kind, dtype in modes.casts:
            stack.enter_context(torch.autocast(kind, dtype, cache_enabled=modes.cached))
        if modes.device.type != "cpu":
            stack.enter_context(modes.device)
        yield


class _InFloat32(TorchFunctionMode):
    """Tensors that are made without a type are float32 in this thread, whatever the process's default is.

    Attributes:
        active: Whether they are; switched off for code that counts on the caller's default.
    """

    def __init__(self) -> None:
        super().__init__()
        self.active = True

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        made = func in _MAKING or (func is torch.tensor and _holds_reals(args[0] if args else kwargs.get("data")))
        if self.active and made and kwargs.get("dtype") is None:
            kwargs["dtype"] = torch.float32
        return func(*args, **kwargs)


def _holds_reals(data: Any) -> bool:
    """Whether Python's real numbers are made a tensor of, whose type is the default one."""
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return isinstance(data, float)


@contextmanager
def in_float32() -> Iterator[_InFloat32]:
    """Inside, code of others that counts on the usual default type finds it: a processor's windows and filters.

    What it yields has `active`, by which a part within (a model's forward) has the caller's default type.
    """
    mode = _InFloat32()
    if torch.get_default_dtype() == torch.float32:
        yield mode
        return
    with mode:
        yield mode


def casting() -> bool:
    """Whether the caller's autocast will be back for the model's forward."""
    modes = _left.get()
    return bool(modes.casts) if modes is not None else any(map(torch.is_autocast_enabled, _CASTING))


def carried(function: Callable[P, T]) -> Callable[P, T]:
    """A function that finds the present caller's modes also in another thread."""
    context = copy_context()

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return context.copy().run(function, *args, **kwargs)

    return call


def exact(function: Callable[P, T]) -> Callable[P, T]:
    """A function that runs in `ours`, its arguments checked by their names (`errors.checked`)."""
    function = checked(function)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        if not _ambient():
            return function(*args, **kwargs)
        with ours():
            return function(*args, **kwargs)

    return call


def exact_class(cls: Class) -> Class:
    """A class whose own public methods and properties run in `ours`."""
    for name, member in list(vars(cls).items()):
        if not name.startswith("_") or name in ("__getitem__", "__call__", "_repr_html_"):
            set_exact(cls, name, member)
    return cls


def set_exact(cls: type, name: str, member: Any) -> None:
    """Let one member of a class run in `ours`."""
    if isinstance(member, types.FunctionType):
        setattr(cls, name, exact(member))
    elif isinstance(member, classmethod):
        setattr(cls, name, classmethod(exact(member.__func__)))
    elif isinstance(member, property) and member.fget is not None:
        change = member.fset and exact(member.fset)
        setattr(cls, name, property(exact(member.fget), change, member.fdel, member.__doc__))
    elif isinstance(member, functools.cached_property):
        member.func = exact(member.func)


class Turns:
    """Which thread has what to itself. Nothing of it hangs on the things themselves."""

    def __init__(self) -> None:
        self._changed, self._owners = threading.Condition(), dict[int, int]()

    @contextmanager
    def taken(self, *things: Any) -> Iterator[None]:
        """Inside, no other thread has any of these; a thread may take what it has again.

        All of them are taken at once, or none while one is another thread's: so nobody waits with half of a model.
        """
        me, numbers = threading.get_ident(), set(map(id, things))
        with self._changed:
            self._changed.wait_for(lambda: all(self._owners[n] == me for n in numbers & self._owners.keys()))
            mine = numbers - self._owners.keys()
            self._owners.update(dict.fromkeys(mine, me))
        try:
            yield
        finally:
            with self._changed:
                for number in mine:
                    self._owners.pop(number, None)
                self._changed.notify_all()


_TURNS = Turns()
taken = _TURNS.taken
if hasattr(os, "register_at_fork"):  # a child has none of the threads that might give something back
    os.register_at_fork(after_in_child=lambda: Turns.__init__(_TURNS))
