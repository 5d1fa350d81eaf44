"""Sources of examples: by number, one after the other, with targets; each with a fingerprint."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

#: Examples that the fingerprint of a dataset reads.
LOOK = 32


@dataclass(frozen=True, eq=False)
class SourceItem:
    """One example of a source.

    Attributes:
        index: Its place.
        name: Its name there, or "".
        example: As `explain` takes it; None where it could not be read.
        error: The exception where it could not be read.
        target: Its target from the source, or None.
    """

    index: int
    name: str
    example: Any
    error: Exception | None = None
    target: Any = None


class Source(ABC):
    """Examples in a fixed order.

    Attributes:
        length: How many there are; None if unknown before the end.
    """

    length: int | None = None

    @abstractmethod
    def stream(self, start: int) -> Iterator[SourceItem]:
        """All items from a place on, in order."""

    def read(self, indices: Sequence[int]) -> list[SourceItem]:
        """The items at some places, in that order; only where `length` is known."""
        raise NotImplementedError

    def fingerprint(self) -> str:
        """A digest of the number of examples and the content of some, which identifies the dataset."""
        if self.length is None:
            items: Iterable[SourceItem] = islice(self.stream(0), LOOK)
        else:
            step = max(1, self.length // LOOK)
            items = self.read(range(0, self.length, step)[:LOOK])
        digest = hashlib.blake2b(f"{self.length}".encode(), digest_size=16)
        for item in items:
            digest.update(f"{item.index}/{item.name}/{item.target!r}/".encode("utf-8", "backslashreplace"))
            _hash(digest.update, item.example)
        return digest.hexdigest()


class ListSource(Source):
    """Examples that are read by their number.

    Args:
        length: How many.
        get: `place -> example`.
        name: `place -> its name`.
    """

    def __init__(self, length: int, get: Callable[[int], Any], name: Callable[[int], str] = lambda i: "") -> None:
        self.length: int = length
        self._get, self._name = get, name

    def read(self, indices: Sequence[int]) -> list[SourceItem]:
        """The items at some places; those that cannot be read carry the error."""
        return [_item(i, self._name(i), lambda i=i: self._get(i)) for i in indices]  # type: ignore[misc]

    def stream(self, start: int) -> Iterator[SourceItem]:
        """All items from a place on."""
        for i in range(start, self.length):
            yield from self.read([i])


class StreamSource(Source):
    """Examples that come one after the other.

    Args:
        rows: `start -> rows from there on`; called again after a stop, it must give the same ones.
        get: `row -> example`.
    """

    def __init__(self, rows: Callable[[int], Iterable[Any]], get: Callable[[Any], Any] = lambda row: row) -> None:
        self._rows, self._get = rows, get

    def stream(self, start: int) -> Iterator[SourceItem]:
        """All items from a place on."""
        for i, row in enumerate(self._rows(start), start):
            yield _item(i, "", lambda row=row: self._get(row))  # type: ignore[misc]


class TargetedSource(Source):
    """A source with targets beside its examples: one for each, or a function of its place."""

    def __init__(self, source: Source, target_of: Callable[[int], Any]) -> None:
        self.source, self.length, self.target_of = source, source.length, target_of

    def read(self, indices: Sequence[int]) -> list[SourceItem]:
        """The items at some places."""
        return [self._with_target(item) for item in self.source.read(indices)]

    def stream(self, start: int) -> Iterator[SourceItem]:
        """All items from a place on."""
        return map(self._with_target, self.source.stream(start))

    def _with_target(self, item: SourceItem) -> SourceItem:
        return SourceItem(item.index, item.name, item.example, item.error, self.target_of(item.index))


def _item(index: int, name: str, get: Callable[[], Any]) -> SourceItem:
    try:
        return SourceItem(index, name, get())
    except Exception as error:  # exceptions of third-party decoders have no common base
        return SourceItem(index, name, None, error)


def _hash(update: Callable[[bytes], object], value: Any) -> None:
    """Feed the content of an example to a digest."""
    match value:
        case torch.Tensor():
            _hash(update, value.detach().cpu().float().numpy())
        case np.ndarray():
            update(f"{value.shape}{value.dtype}".encode() + np.ascontiguousarray(value).tobytes())
        case Mapping():
            for key in sorted(value, key=str):
                update(str(key).encode("utf-8", "backslashreplace"))
                _hash(update, value[key])
        case list() | tuple() if not all(isinstance(part, (str, int, float)) for part in value):
            for part in value:
                _hash(update, part)
        case PathLike():
            path = Path(value)
            size = path.stat().st_size if path.exists() else 0
            update(f"{path.name}/{size}".encode("utf-8", "backslashreplace"))
        case _ if hasattr(value, "tobytes"):
            update(value.tobytes())
        case _:
            update(repr(value).encode())
