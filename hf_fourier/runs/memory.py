"""What a model takes in memory: its weights, and what one more row of a batch adds, counted and not sampled."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

#: Bytes of Python with torch, transformers and this package, before any model is loaded.
LIBRARIES = 400 * 10**6


class Tensors(TorchDispatchMode):
    """While it is entered, the bytes of all tensors that are made and not freed yet.

    Resident memory tells no such thing: it keeps what was freed, and grows with what is made once. Tensors of one
    storage are counted once; what libraries take and give back inside one operation is not seen.

    Args:
        others: Storages that are there anyhow (a model's weights), by their number.

    Attributes:
        per_row: The most bytes at one time, divided by the rows that the model had last been asked for.
    """

    def __init__(self, others: Collection[int] = ()) -> None:
        super().__init__()
        self._others = others
        self.per_row, self._rows, self._top, self._total = 0.0, 0, 0, 0  # no rows: the model was not asked yet
        self._alive: dict[int, tuple[Any, int]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation, and count what it made."""
        made = func(*args, **(kwargs or {}))
        for one in tree_leaves(made):
            if isinstance(one, torch.Tensor):
                self._count(one)
        return made

    def asked(self, module: Any, args: Any, kwargs: Any) -> None:
        """A forward pass begins: note how many rows it has."""
        first = next((one for one in tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor) and one.ndim), None)
        self._rows, self._top = (1 if first is None else max(1, len(first))), 0

    def _count(self, tensor: torch.Tensor) -> None:
        try:
            storage = tensor.untyped_storage()
        except (NotImplementedError, RuntimeError):  # packed weights have none
            return
        key, size = storage._cdata, storage.nbytes()
        if key in self._others:
            return
        if key not in self._alive:  # a storage that is watched keeps its number
            self._alive[key] = (StorageWeakRef(storage), size)
            self._total += size
        if self._total > self._top:  # what was freed meanwhile is taken off only where it matters
            for known in [known for known, (kept, _) in self._alive.items() if kept.expired()]:
                self._total -= self._alive.pop(known)[1]
            self._top = max(self._top, self._total)
            self.per_row = max(self.per_row, self._top / self._rows if self._rows else 0)


@contextlib.contextmanager
def counted(model: torch.nn.Module) -> Iterator[Tensors]:
    """Inside, tensors are counted; the model is as before afterwards."""
    tensors = Tensors(_storages(model))
    hook = model.register_forward_pre_hook(tensors.asked, with_kwargs=True)
    try:
        with tensors:
            yield tensors
    finally:
        hook.remove()


def weights(model: torch.nn.Module) -> int:
    """Bytes of a model's parameters and buffers, those that are shared counted once."""
    return sum(_storages(model).values())


def _storages(model: torch.nn.Module) -> dict[int, int]:
    """The bytes of each storage of a model's parameters and buffers."""
    found = [*model.parameters(), *model.buffers()]
    return {one.untyped_storage()._cdata: one.untyped_storage().nbytes() for one in found if one.device.type != "meta"}
