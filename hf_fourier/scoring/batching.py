"""Cuts rows into batches that fit the model, and halves them when memory runs out."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch

T = TypeVar("T")

#: Rows of a batch when nothing else limits it. On a CPU, 8 to 16 rows are fastest, unless a model is so small that
#: the fixed cost of a batch counts: a batch there has up to `MOST_ON_CPU` rows until it holds `SMALL` signal entries.
ROWS_ON_CPU, MOST_ON_CPU, ROWS_ON_ACCELERATOR, SMALL = 16, 128, 64, 2**18
#: Signal entries that a batch may hold before it has fewer rows: a model's activations grow with them.
ENTRIES = 2**22


#: Messages of devices, their libraries and the host when memory is short.
_SHORT = re.compile(
    r"out[ _]?of[ _]?(?:(?:host|device)[ _])?(?:memory|resources)|alloc_?failed|status_memory_error|bad_?alloc"
    r"|defaultcpuallocator|(?:can't|cannot|can not|could not|unable to|failed to) allocate"
    r"|memory allocation (?:error|fail)",
    re.IGNORECASE,
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device or the host ran out of memory, in a model, a transform or a library."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, (RuntimeError, OSError)) and _SHORT.search(str(error)) is not None


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


def _release() -> None:
    """Free what a failed chunk held; outside of the `except` block, whose traceback keeps it alive."""
    frozen = gc.get_freeze_count()  # during a run, older objects are frozen
    if frozen:
        gc.unfreeze()
    gc.collect()
    if frozen:
        gc.freeze()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
