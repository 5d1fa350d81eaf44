"""A simulated accelerator: counts the operations at which the host would wait for a device.

Tensors on it wrap a CPU tensor and report the device "meta". Every operation runs on the CPU, so all numbers are real.
Counted as waits: copies to the CPU, scalars that are read, and operations whose output shape depends on values. Not
simulated: waits inside a GPU's libraries, and kernels that differ from the CPU's.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map_only

HERE, THERE = torch.device("cpu"), torch.device("meta")
aten = torch.ops.aten
#: Operations whose result has a shape, or is a number, that the host has to wait for.
_WAIT = {
    aten._local_scalar_dense, aten.nonzero, aten.masked_select, aten.equal, aten._unique2, aten.unique_consecutive,
    aten.unique_dim, aten.is_nonzero, aten.item, aten.repeat_interleave,
}  # fmt: skip
#: Views that torch resolves above this level: computed here at once.
_AT_ONCE = {aten._conj.default: aten._conj_physical.default, aten._neg_view.default: aten.neg.default}
_SORTS = {aten.sort, aten.argsort, aten.topk, aten.msort}


class OnDevice(torch.Tensor):
    """A tensor on the fake device; `held` is where its numbers are."""

    held: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> OnDevice:
        made = torch.Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype,
            device=THERE, requires_grad=False,
        )  # fmt: skip
        made.held = held
        return made

    def __repr__(self) -> str:
        return f"OnDevice({self.held!r})"

    def tolist(self) -> Any:
        """Read, as of any device; torch refuses that of subclasses."""
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {}, Counter(), [])


class FakeDevice(TorchDispatchMode):
    """Inside, `torch.device("meta")` computes, and what would be waited for is counted.

    Attributes:
        counts: "read", times the host would wait; "of the model", those of the model's own code; "sort", sorts of CPU
            tensors of real numbers; "upload", copies to the device; "pageable", those of them that do not go by way of
            pinned memory (`to_device`), which CUDA's host waits for too, without the model's own; "float64",
            operations there with such numbers.
        sizes: Bytes of each copy to the CPU.
        places: The line of each read.
        uploads: The line of each pageable copy.
    """

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self.sizes: list[int] = []
        self.places: list[str] = []
        self.uploads: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before, uploads = self.counts["read"], self.counts["upload"]
        result = run(func, args, kwargs or {}, self.counts, self.sizes)
        if (self.counts["read"], self.counts["upload"]) == (before, uploads):
            return result
        frames = traceback.extract_stack()
        of_model = any("/transformers/" in frame.filename for frame in frames)
        ours = [frame for frame in frames if "/hf_fourier/" in frame.filename][-3:]
        place = f"{func} by " + " < ".join(f"{f.filename}:{f.lineno}" for f in reversed(ours))
        if self.counts["read"] > before:
            if of_model:
                self.counts.update({"read": -1, "of the model": 1})
            else:
                self.places.append(place)
        elif ours and not of_model and not any(frame.name == "to_device" for frame in frames):
            self.counts["pageable"] += 1
            self.uploads.append(place)
        return result


def run(func: Any, args: Any, kwargs: Any, counts: Counter[str], sizes: list[int]) -> Any:
    """One operation on the CPU, its result on the device where an input or the given device is."""
    func = _AT_ONCE.get(func, func)
    tensors: list[torch.Tensor] = []
    tree_map_only(torch.Tensor, tensors.append, (args, kwargs))
    if any(tensor.is_meta and not isinstance(tensor, OnDevice) for tensor in tensors):
        raise AssertionError(f"{func} of a tensor that was made on the fake device without its numbers")
    there = any(isinstance(tensor, OnDevice) for tensor in tensors)
    name = func.overloadpacket
    if not there and name in _SORTS and tensors and tensors[0].is_floating_point():
        counts["sort"] += 1
    given = kwargs.get("device")
    kept, call = there, dict(kwargs)
    if given is not None and torch.device(given).type == THERE.type:
        kept, call["device"] = True, HERE
        counts["upload"] += bool(tensors) and not there
    elif given is not None and there:
        kept = False
    inner_args, inner = tree_map_only(OnDevice, lambda tensor: tensor.held, (args, call))
    fetched = there and not kept and func is aten._to_copy.default
    if name is aten.copy_:
        target, source = args[:2]
        fetched = isinstance(source, OnDevice) and not isinstance(target, OnDevice)
        counts["upload"] += isinstance(target, OnDevice) and not isinstance(source, OnDevice)
        kept = isinstance(target, OnDevice)
    flags = there and name in (aten.index, aten.index_put_) and any(
        isinstance(index, torch.Tensor) and index.dtype in (torch.bool, torch.uint8) for index in args[1]
    )  # fmt: skip
    if fetched or flags or (there and name in _WAIT):
        counts["read"] += 1
    if fetched:
        sizes.append(sum(tensor.numel() * tensor.element_size() for tensor in tensors if isinstance(tensor, OnDevice)))
    result = func(*inner_args, **inner)
    if not kept:
        return args[0] if name is aten.copy_ else result
    made = [one for one in tree_leaves(result) if isinstance(one, torch.Tensor)]
    counts["float64"] += any(one.dtype in (torch.float64, torch.complex128) for one in made)
    wrapped = tree_map_only(torch.Tensor, lambda t: t if isinstance(t, OnDevice) else OnDevice(t), result)
    return return_and_correct_aliasing(func, args, kwargs, wrapped)


class _Made(TorchFunctionMode):
    """`torch.tensor` on the fake device: torch copies its numbers there unseen by the other mode."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in (torch.tensor, torch.as_tensor, torch.asarray) and kwargs.get("device") is not None:
            device = kwargs.pop("device")
            return func(*args, **kwargs).to(device)
        return func(*args, **kwargs)


def moved(model: torch.nn.Module) -> torch.nn.Module:
    """The same model with its weights on the fake device."""
    for module in model.modules():
        for name, weight in list(module._parameters.items()):
            if weight is not None:
                module._parameters[name] = torch.nn.Parameter(OnDevice(weight.detach()), weight.requires_grad)
        for name, buffer in list(module._buffers.items()):
            if buffer is not None:
                module._buffers[name] = OnDevice(buffer)
    model._hf_hook = SimpleNamespace(execution_device=THERE)  # by which accelerate says where inputs go
    return model


@contextmanager
def on_device() -> Iterator[FakeDevice]:
    """Inside, the fake device is there; what it yields counts."""
    with _Made(), FakeDevice() as device:
        yield device


def counted(function: Callable[[], Any]) -> tuple[Any, FakeDevice]:
    """What a function returns inside the fake device, and what was counted."""
    with on_device() as device:
        return function(), device
