"""The settings of a run, and which example belongs to which chunk. Planned once, then only read."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from hf_fourier.errors import InputError
from hf_fourier.results import formats
from hf_fourier.results.atomic_writes import write_whole
from hf_fourier.results.integrity import as_stored, earlier_digest, parsing, read_json, sealed
from hf_fourier.results.schema import Malformed, check

FORMAT = 3
NAME = "manifest.json"
#: Chunks and windows of a run, at most: each chunk is a file.
MOST_CHUNKS = 10**7
#: Examples of a window, at most, whose order is read as a whole.
MOST_WINDOW = 2**24
_SCHEMA = {
    "settings": {"model": (str, type(None)), "method": str, "weights": str, "store": str},
    "environment": {"paths?": dict, "rate?": float, "outputs?": {"kind": str, "labels": [str], "notes": [str]}},
    "examples": (int, type(None)),
    "chunk": int,
    "window": int,
    "windows": [int],
    "identity?": str,
}
_HINT = (
    "restore it from a copy, or start the run in a new folder; the shards can still be read one by one with "
    "hf_fourier.runs.shards.Shard"
)


@dataclass(frozen=True)
class Manifest:
    """A run's settings and plan.

    A run by length is planned in windows of consecutive examples: in each, examples are ordered by length and cut into
    chunks of about equal cost. Otherwise a chunk is `chunk` consecutive examples.

    Attributes:
        settings: Settings that must agree when a run is resumed (model, method, data, …), as plain values.
        environment: Versions, threads and other facts that may differ.
        examples: How many there are; None in a stream that has not ended.
        chunk: Examples in a chunk (on average, where they are ordered by length).
        window: Examples in a window; 0 where examples are taken in their order.
        windows: How many chunks each window has, once all are planned.
        identity: A digest of the settings under the names that they had when the run was started; "" for that of
            `settings`. A run's shards state it: those of another run do not belong to it.
    """

    settings: dict[str, Any]
    environment: dict[str, Any]
    examples: int | None
    chunk: int
    window: int = 0
    windows: tuple[int, ...] = ()
    identity: str = ""

    def __post_init__(self) -> None:
        if not self.identity:
            settings = json.dumps(as_stored(self.settings), sort_keys=True)
            object.__setattr__(self, "identity", earlier_digest(settings.encode()))

    @property
    def window_ranges(self) -> list[range]:
        """The windows as ranges of examples."""
        assert self.examples is not None
        return [range(i, min(i + self.window, self.examples)) for i in range(0, self.examples, self.window)]

    @property
    def planned(self) -> bool:
        """Whether every example has its chunk."""
        return self.window == 0 or len(self.windows) == len(self.window_ranges)

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
        write_whole(folder / NAME, [sealed({"format": FORMAT, **asdict(self)})])

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
            DamagedFile: If it is not as it was written.
        """
        path = folder / NAME
        if not path.is_file():
            raise InputError(f"the folder {folder.name!r} without {NAME}", "a run's folder", "correct the path")
        values = read_json(path, _HINT)
        with parsing(path, _HINT):
            check(values, {"format": int})
            if values.pop("format") > FORMAT:
                raise InputError("a run of a newer format", f"format {FORMAT}", "install a newer hf_fourier")
            values = formats.renamed(values, formats.MANIFEST)
            check(values, _SCHEMA)
            values["settings"] = formats.settings(values["settings"])
            if "paths" in values["environment"]:
                values["environment"]["paths"] = formats.renamed(values["environment"]["paths"], formats.PATHS)
            return cls(**{**values, "windows": tuple(values["windows"])})._checked()

    def _checked(self) -> Manifest:
        """The same, once its numbers are known to be a plan's.

        Raises:
            Malformed: If they are not.
        """
        if self.chunk < 1 or not 0 <= self.window <= MOST_WINDOW or (self.window and self.examples is None):
            raise Malformed(f"chunks of {self.chunk} examples in windows of {self.window}")
        if self.examples is not None and not 0 <= self.examples <= MOST_CHUNKS * (self.window or self.chunk):
            raise Malformed(f"{self.examples} examples in chunks of {self.chunk}")
        if not self.planned and self.windows:
            raise Malformed(f"{len(self.windows)} windows planned of {len(self.window_ranges)}")
        if not all(0 < count <= self.window for count in self.windows) or sum(self.windows) > MOST_CHUNKS:
            raise Malformed("windows without chunks, or with more than examples")
        return self
