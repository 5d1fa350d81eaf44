"""Cuts rows into batches that fit the model, and halves them when memory runs out."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar
from weakref import WeakKeyDictionary

import torch

T = TypeVar("T")

#: Rows of a batch when nothing else limits it. On a CPU, 8 to 16 rows are fastest, unless a model is so small that
#: the fixed cost of a batch counts: a batch there has up to `MOST_ON_CPU` rows until it holds `SMALL` signal entries.
ROWS_ON_CPU, MOST_ON_CPU, ROWS_ON_ACCELERATOR, SMALL = 16, 128, 64, 2**18
#: Signal entries that a batch may hold before it has fewer rows: a model's activations grow with them.
ENTRIES = 2**22
#: Objects that garbage collection skips where nobody has frozen any, at most.
FROZEN_BY_PYTHON = 5_000


#: Messages of devices, their libraries and the host when memory is short.
_SHORT = re.compile(
    r"out[ _]?of[ _]?(?:(?:host|device)[ _])?(?:memory|resources)|alloc_?failed|status_memory_error|bad_?alloc"
    r"|defaultcpuallocator|(?:can't|cannot|can not|could not|unable to|failed to) allocate"
    r"|memory allocation (?:error|fail)",
    re.IGNORECASE,
)


#: What libraries of a GPU say where they find no memory for a plan, a handle or an algorithm, and of other trouble too.
_PERHAPS_SHORT = re.compile(
    r"CUFFT_INTERNAL_ERROR|CUBLAS_STATUS_(?:NOT_INITIALIZED|INTERNAL_ERROR)|CUDNN_STATUS_INTERNAL_ERROR"
    r"|unable to find (?:a valid cuDNN algorithm|an engine to execute)",
    re.IGNORECASE,
)
#: The fraction of a GPU's memory under which such words are taken for a lack of it.
SCARCE = 0.05


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device or the host ran out of memory, in a model, a transform or a library."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    if not isinstance(error, (RuntimeError, OSError)):
        return False
    return _SHORT.search(str(error)) is not None or (
        _PERHAPS_SHORT.search(str(error)) is not None and torch.cuda.is_available() and _is_scarce()
    )


def _is_scarce() -> bool:
    """Whether a GPU is nearly full."""
    try:
        free, total = torch.cuda.mem_get_info()
    except RuntimeError:  # a GPU that is out of order says nothing of its memory either
        return False
    return free < SCARCE * total


class DeviceMemory:
    """What a row of a model takes on a GPU, measured while its first batch runs, and how many rows then fit.

    The first batch of a model has the rows that `suggested_rows` gives; what was allocated at its peak beyond what was
    there before, divided by its signal entries, is remembered for later ones. To measure it, torch's peak statistics
    of the device are reset once for each model.
    """

    #: The fraction of the free memory that a batch may take.
    SHARE = 0.7
    #: Rows and signal entries of a batch, at most: more are no faster, and the host has to hold their results.
    ROWS, ENTRIES = 512, 2**26

    def __init__(self) -> None:
        self._bytes: WeakKeyDictionary[torch.nn.Module, float] = WeakKeyDictionary()

    def rows(self, model: torch.nn.Module | None, entries: int, device: torch.device) -> int | None:
        """Rows that fit into what is free now; None where that was not measured.

        Args:
            model: The model.
            entries: Signal values in a row.
            device: Where it is.
        """
        each = None if model is None or device.type != "cuda" else self._bytes.get(model)
        if each is None:
            return None
        free = torch.cuda.mem_get_info(device)[0]
        free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        fitting = int(self.SHARE * free / (each * max(1, entries)))
        return max(1, min(fitting, self.ROWS, self.ENTRIES // max(1, entries)))

    @contextmanager
    def measuring(self, model: torch.nn.Module | None, entries: int, device: torch.device, rows: int) -> Iterator[None]:
        """Inside, a batch of so many rows runs: what it takes is remembered, if that is not known."""
        if model is None or device.type != "cuda" or model in self._bytes:
            yield
            return
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield
        taken = max(1, torch.cuda.max_memory_allocated(device) - before)
        self._bytes[model] = taken / (max(1, rows) * max(1, entries))

    def too_many(self, model: torch.nn.Module | None, fitted: int, tried: int) -> None:
        """Take over that batches had to shrink from `tried` rows to `fitted` ones."""
        if model is not None and model in self._bytes and fitted < tried:
            self._bytes[model] *= tried / fitted


MEMORY = DeviceMemory()


def suggested_rows(entries: int, device: torch.device) -> int:
    """Rows of `entries` signal values that make a good batch on `device`."""
    entries, most = max(1, entries), ROWS_ON_ACCELERATOR
    if device.type == "cpu":
        most = max(ROWS_ON_CPU, min(MOST_ON_CPU, SMALL // entries))
    return max(1, min(most, ENTRIES // entries))


@dataclass
class MicroBatcher:
    """Runs work over rows in chunks of at most `size`; a chunk that runs out of memory is halved and tried again.

    Attributes:
        size: The present chunk size, which only ever shrinks.
        splits: How often it had to shrink.
    """

    size: int
    splits: int = 0

    def run(self, work: Callable[[slice], T], rows: int, least: int = 1) -> list[T]:
        """`work(slice)` over `range(rows)`, in order.

        Args:
            work: Runs one chunk, and leaves nothing behind when it fails.
            rows: How many rows there are.
            least: Chunks are never cut below this.

        Raises:
            torch.OutOfMemoryError: If a chunk of `least` rows does not fit either (or what the work raised).
        """
        return list(self.each(work, rows, least))

    def each(self, work: Callable[[slice], T], rows: int, least: int = 1) -> Iterator[T]:
        """The same as an iterator, chunk by chunk."""
        start = 0
        while start < rows:
            stop = min(rows, start + max(self.size, least))
            try:
                result = work(slice(start, stop))
            except Exception as error:
                if not is_out_of_memory(error) or stop - start <= least:
                    raise
                self.size = max(least, (stop - start) // 2)
                self.splits += 1
            else:
                start = stop
                yield result
                continue
            _release()

    def remember(self, other: MicroBatcher) -> None:
        """Take over the size that a batcher of the same rows has shrunk to."""
        if other.splits:
            self.size = max(1, min(self.size, other.size))
            self.splits += other.splits


def objects_are_frozen() -> bool:
    """Whether garbage collection skips older objects; Python 3.12 begins with some hundred that it always skips."""
    return gc.get_freeze_count() > FROZEN_BY_PYTHON


@contextmanager
def frozen_objects() -> Iterator[None]:
    """Inside, garbage collection skips the objects that existed before.

    Models and their libraries are hundreds of thousands of objects, which every collection would go through, all
    threads waiting, while a run or an evaluation makes small ones by the thousand.
    """
    if objects_are_frozen():
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _release() -> None:
    """Free what a failed chunk held; outside of the `except` block, whose traceback keeps it alive."""
    frozen = objects_are_frozen()  # as they are during a run
    if frozen:
        gc.unfreeze()
    gc.collect()
    if frozen:
        gc.freeze()
    if torch.cuda.is_available():
        torch.backends.cuda.cufft_plan_cache.clear()  # whose plans hold memory that the allocator does not see
        torch.cuda.empty_cache()
    for other in (torch.mps, torch.xpu):
        if other.is_available():
            other.empty_cache()
