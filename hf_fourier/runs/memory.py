"""The memory of a model: its weights, and the tensors that one more row of a batch adds, counted and not sampled."""

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


class MemoryCounter(TorchDispatchMode):
    """While entered, counts the bytes of all tensors that are allocated and not freed yet.

    Resident memory would not do: it keeps what was freed, and grows with what is allocated once. Tensors of one
    storage count once; what libraries allocate and free inside one operation is not seen.

    Args:
        others: Storages that do not count (a model's weights), by their number.

    Attributes:
        per_row: The most bytes at one time, divided by the rows of the last forward pass.
    """

    def __init__(self, others: Collection[int] = ()) -> None:
        super().__init__()
        self._others = others
        self.per_row, self._rows, self._top, self._total = 0.0, 0, 0, 0  # no rows: the model has not run yet
        self._alive: dict[int, tuple[Any, int]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation, and count the tensors that it returns."""
        output = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(output):
            if isinstance(tensor, torch.Tensor):
                self._count(tensor)
        return output

    def note_rows(self, module: Any, args: Any, kwargs: Any) -> None:
        """Note the rows of a forward pass that begins."""
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
def count_memory(model: torch.nn.Module) -> Iterator[MemoryCounter]:
    """Inside, tensors are counted; the model is as before afterwards."""
    tensors = MemoryCounter(_storages(model))
    hook = model.register_forward_pre_hook(tensors.note_rows, with_kwargs=True)
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
    tensors = [t for t in (*model.parameters(), *model.buffers()) if t.device.type != "meta"]
    return {t.untyped_storage()._cdata: t.untyped_storage().nbytes() for t in tensors}
