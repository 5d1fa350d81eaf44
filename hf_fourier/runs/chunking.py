"""Examples ordered by length and cut into chunks of about equal cost."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from hf_fourier.errors import DamagedFile
from hf_fourier.results.atomic_writes import write_whole
from hf_fourier.results.integrity import parsing
from hf_fourier.results.schema import Malformed
from hf_fourier.results.tensor_files import laid_out_sealed, read_sealed
from hf_fourier.runs.manifest import Manifest
from hf_fourier.scoring.example_batch import EncodedExample

#: Chunks hold at most this many times the average number of examples, however short those are.
MOST = 4


def is_tokens(encoded: EncodedExample) -> bool:
    """Whether an example is tokens, whose lengths vary and are quickly found."""
    return encoded.content is not None and "input_ids" in encoded.inputs


def cost_of(encoded: EncodedExample) -> float:
    """The cost of a pass through the model, relative to other examples: signal entries, and what attention adds.

    A layer of width h takes about 24 h² operations per token, and 4 h per pair of tokens.
    """
    shape = encoded.signal.shape
    entries = float(np.prod(shape, dtype=float))
    if not is_tokens(encoded):
        return entries
    tokens, width = encoded.inputs["input_ids"].numel(), shape[-1]
    return tokens * width * (1 + tokens / (6 * width))


def order_by_length(indices: Sequence[int], looked_at: Iterable[EncodedExample | None], chunk: int) -> LengthWindow:
    """The plan of one window.

    Args:
        indices: Its examples.
        looked_at: These, encoded; None where one cannot be.
        chunk: Examples in a chunk, on average.
    """
    known: list[tuple[float, int, int]] = []
    kinds: dict[str, int] = {}  # examples of one length may differ in other shapes
    for index, encoded in zip(indices, looked_at, strict=True):
        if encoded is None:
            known.append((0.0, 0, index))
        else:
            known.append((cost_of(encoded), kinds.setdefault(repr(encoded.batch_key), len(kinds)), index))
    known.sort()
    costs = np.array([cost for cost, *_ in known])
    costs[costs == 0] = costs[costs > 0].mean() if (costs > 0).any() else 1.0
    cuts = _cuts(costs, chunk)
    totals = np.add.reduceat(costs, np.concatenate([[0], cuts[:-1]]))
    return LengthWindow(np.array([index for *_, index in known], dtype=np.int64), cuts, totals)


def _cuts(costs: np.ndarray, chunk: int) -> np.ndarray:
    """Where chunks end so that each costs about the same."""
    share = costs.sum() / -(-len(costs) // chunk)
    cuts, spent, begun = [], 0.0, 0
    for i, cost in enumerate(costs):
        if i > begun and (spent + cost / 2 > share or i - begun >= MOST * chunk):
            cuts.append(i)
            spent, begun = 0.0, i
        spent += cost
    return np.array([*cuts, len(costs)], dtype=np.int64)


#: Files in one folder, at most.
FILES_PER_FOLDER = 1000
_PLANNED = "run the same command again, which plans it again; the shards stay as they are"


@dataclass(frozen=True, eq=False)
class LengthWindow:
    """The chunks of one window.

    Attributes:
        indices: Its examples in the order in which they are explained, shape `(examples,)`.
        cuts: Where each chunk ends in `indices`, shape `(chunks,)`.
        costs: The cost of each chunk, in signal entries weighted by what attention adds, shape `(chunks,)`.
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
        return self.folder / "shards" / f"{chunk // FILES_PER_FOLDER:04d}" / f"{chunk:07d}.safetensors"

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
        """The cost of each chunk, shape `(chunks,)`: signal entries, or examples where all have one shape."""
        manifest = self.manifest
        if manifest.window:
            return np.concatenate([self._window(i).costs for i in range(len(manifest.windows))])
        assert manifest.examples is not None
        assert manifest.chunks is not None
        costs = np.full(manifest.chunks, float(manifest.chunk))
        costs[-1] -= manifest.chunks * manifest.chunk - manifest.examples
        return costs

    def unfinished(self) -> list[int]:
        """The chunks that are not finished."""
        count = self.manifest.chunks
        assert count is not None
        found = _existing([self.path(chunk) for chunk in range(count)])
        return [chunk for chunk, finished in enumerate(found) if not finished]

    def write_window(self, number: int, window: LengthWindow) -> None:
        """Write the plan of one window.

        Raises:
            StorageError: If it cannot be written.
        """
        arrays = {"indices": window.indices, "cuts": window.cuts, "costs": window.costs}
        tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
        write_whole(self._window_path(number), laid_out_sealed(tensors))

    def has_window(self, number: int) -> bool:
        """Whether a window is planned, and its file whole."""
        try:
            return self._window_path(number).is_file() and self._read_window(number) is not None
        except DamagedFile:
            return False

    def window_chunks(self, number: int) -> int:
        """How many chunks a window has."""
        return len(self._window(number).cuts)

    def _window_path(self, number: int) -> Path:
        return self.folder / "plan" / f"{number:06d}.safetensors"

    def _read_window(self, number: int) -> LengthWindow:
        path = self._window_path(number)
        tensors = read_sealed(path, _PLANNED)
        with parsing(path, _PLANNED):
            window = LengthWindow(**{name: tensor.numpy().copy() for name, tensor in tensors.items()})
            chunks = self.manifest.windows[number] if self.manifest.windows else None
            _check_window(window, self.manifest.window_ranges[number], chunks)
        return window


def _existing(paths: Sequence[Path]) -> list[bool]:
    """Which of these files exist, each folder read once."""
    names: dict[Path, set[str]] = {}
    for folder in {path.parent for path in paths}:
        names[folder] = set(os.listdir(folder)) if folder.is_dir() else set()
    return [path.name in names[path.parent] for path in paths]


def _check_window(window: LengthWindow, examples: range, chunks: int | None) -> None:
    """Check that a window holds each of its examples once, in chunks that follow one another.

    Args:
        window: The window.
        examples: Those that it should hold.
        chunks: How many chunks it should have; None for any number.

    Raises:
        Malformed: If not.
    """
    cuts = window.cuts
    if not np.array_equal(np.sort(window.indices), np.arange(examples.start, examples.stop)):
        raise Malformed(f"examples other than {examples.start} to {examples.stop - 1}, each once")
    if len(cuts) != len(window.costs) or len(cuts) != (chunks or len(cuts)) or cuts.dtype.kind != "i":
        raise Malformed(f"{len(cuts)} chunks with {len(window.costs)} costs")
    if (np.diff(cuts, prepend=0) < 1).any() or cuts[-1] != len(examples) or not np.isfinite(window.costs).all():
        raise Malformed("chunks that do not follow one another")


def assign_chunks(open_chunks: Sequence[int], costs: np.ndarray, processes: int) -> list[list[int]]:
    """Assign whole chunks to processes, so that all have about the same cost; the most expensive first.

    So memory runs out, if it does, at the start, and the last chunks are small.

    Args:
        open_chunks: The unfinished chunks.
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
