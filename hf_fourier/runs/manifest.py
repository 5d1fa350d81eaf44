"""What a run is: its settings, and which example belongs to which chunk. Planned once, then read only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from hf_fourier.errors import InputError
from hf_fourier.runs.atomic_files import there, write_whole

FORMAT = 1
NAME = "manifest.json"
#: Files in one folder, at most.
FANNED = 1000


@dataclass(frozen=True)
class Manifest:
    """A run's settings and plan.

    A run by length is planned in windows of consecutive examples: in each, examples are ordered by length and cut into
    chunks of about equal cost. Otherwise a chunk is `chunk` consecutive examples.

    Attributes:
        settings: What has to agree when a run goes on: model, method, data and so on, as plain values.
        said: What is good to know but may differ: versions, threads.
        examples: How many there are; None in a stream that has not ended.
        chunk: Examples in a chunk (on average, where they are ordered by length).
        window: Examples in a window; 0 where examples are taken in their order.
        windows: How many chunks each window has, once all are planned.
    """

    settings: dict[str, Any]
    said: dict[str, Any]
    examples: int | None
    chunk: int
    window: int = 0
    windows: tuple[int, ...] = ()

    @property
    def spans(self) -> list[range]:
        """The windows as ranges of examples."""
        assert self.examples is not None
        return [range(i, min(i + self.window, self.examples)) for i in range(0, self.examples, self.window)]

    @property
    def planned(self) -> bool:
        """Whether every example has its chunk."""
        return self.window == 0 or len(self.windows) == len(self.spans)

    @property
    def chunks(self) -> int | None:
        """How many chunks there are; None in a stream that has not ended."""
        if self.window:
            return sum(self.windows)
        return None if self.examples is None else -(-self.examples // self.chunk)

    def write(self, folder: Path) -> None:
        """Write it into a run's folder.

        Raises:
            StorageError: If it cannot be written.
        """
        text = json.dumps({"format": FORMAT, **asdict(self)}, indent=1, ensure_ascii=False)
        write_whole(folder / NAME, [text.encode()])

    def ended(self, examples: int, folder: Path) -> Manifest:
        """The same, once a stream has ended; written."""
        known = replace(self, examples=examples)
        known.write(folder)
        return known

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read what `write` wrote.

        Raises:
            InputError: If there is none, or one of a newer format.
        """
        path = folder / NAME
        if not path.is_file():
            raise InputError(f"the folder {folder.name!r} without {NAME}", "a run's folder", "correct the path")
        values = json.loads(path.read_text(encoding="utf-8"))
        if values.pop("format") > FORMAT:
            raise InputError("a run of a newer format", f"format {FORMAT}", "install a newer hf_fourier")
        return cls(**{**values, "windows": tuple(values["windows"])})


@dataclass(frozen=True, eq=False)
class Window:
    """The chunks of one window.

    Attributes:
        indices: Its examples in the order in which they are explained, shape `(examples,)`.
        cuts: Where each chunk ends in `indices`, shape `(chunks,)`.
        costs: What each chunk costs, in leaf entries weighed by what attention adds, shape `(chunks,)`.
    """

    indices: np.ndarray
    cuts: np.ndarray
    costs: np.ndarray

    def chunk(self, number: int) -> list[int]:
        """The examples of one chunk."""
        start = int(self.cuts[number - 1]) if number else 0
        return self.indices[start : self.cuts[number]].tolist()

    def place(self, index: int) -> tuple[int, int]:
        """The chunk of an example, and its row there."""
        place = int(np.flatnonzero(self.indices == index)[0])
        number = int(np.searchsorted(self.cuts, place, side="right"))
        return number, place - (int(self.cuts[number - 1]) if number else 0)


class Chunks:
    """Which examples each chunk of a planned run holds, and where it lies on disk."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder, self.manifest = folder, manifest
        self._firsts = np.concatenate([[0], np.cumsum(manifest.windows)]).astype(int)
        self._window = lru_cache(maxsize=4)(self._read_window)

    def path(self, chunk: int) -> Path:
        """The shard of a chunk."""
        return self.folder / "shards" / f"{chunk // FANNED:04d}" / f"{chunk:07d}.safetensors"

    def indices(self, chunk: int) -> list[int]:
        """The examples of a chunk, in the order of its rows."""
        manifest = self.manifest
        if manifest.window:
            window = int(np.searchsorted(self._firsts, chunk, side="right")) - 1
            return self._window(window).chunk(chunk - int(self._firsts[window]))
        start, end = chunk * manifest.chunk, (chunk + 1) * manifest.chunk
        return list(range(start, end if manifest.examples is None else min(end, manifest.examples)))

    def place(self, index: int) -> tuple[int, int]:
        """The chunk of an example, and its row there."""
        manifest = self.manifest
        if not manifest.window:
            return divmod(index, manifest.chunk)
        window = index // manifest.window
        chunk, row = self._window(window).place(index)
        return int(self._firsts[window]) + chunk, row

    def costs(self) -> np.ndarray:
        """What each chunk costs, shape `(chunks,)`: leaf entries, or examples where all are alike."""
        manifest = self.manifest
        if manifest.window:
            return np.concatenate([self._window(i).costs for i in range(len(manifest.windows))])
        assert manifest.examples is not None
        assert manifest.chunks is not None
        costs = np.full(manifest.chunks, float(manifest.chunk))
        costs[-1] -= manifest.chunks * manifest.chunk - manifest.examples
        return costs

    def open(self) -> list[int]:
        """The chunks that are not finished."""
        count = self.manifest.chunks
        assert count is not None
        found = there([self.path(chunk) for chunk in range(count)])
        return [chunk for chunk, finished in enumerate(found) if not finished]

    def write_window(self, number: int, window: Window) -> None:
        """Write the plan of one window.

        Raises:
            StorageError: If it cannot be written.
        """
        from safetensors.numpy import save

        data = save({"indices": window.indices, "cuts": window.cuts, "costs": window.costs})
        write_whole(self._window_path(number), [data])

    def has_window(self, number: int) -> bool:
        """Whether a window is planned."""
        return self._window_path(number).is_file()

    def window_chunks(self, number: int) -> int:
        """How many chunks a window has."""
        return len(self._window(number).cuts)

    def _window_path(self, number: int) -> Path:
        return self.folder / "plan" / f"{number:06d}.safetensors"

    def _read_window(self, number: int) -> Window:
        from safetensors.numpy import load_file

        return Window(**load_file(self._window_path(number)))


def dealt(open_chunks: Sequence[int], costs: np.ndarray, processes: int) -> list[list[int]]:
    """Whole chunks for each process, so that all have about the same to do; the dearest first.

    Memory runs out, if it does, at the start; and what is left at the end is small.

    Args:
        open_chunks: What is to be done.
        costs: Of all chunks.
        processes: How many there are.
    """
    import heapq

    loads = [(0.0, process) for process in range(processes)]
    shares: list[list[int]] = [[] for _ in range(processes)]
    for chunk in sorted(open_chunks, key=lambda chunk: (-costs[chunk], chunk)):
        load, process = heapq.heappop(loads)
        shares[process].append(chunk)
        heapq.heappush(loads, (load + float(costs[chunk]), process))
    return shares
