"""A result in a folder: a pair of files, tensors as safetensors and the rest as JSON, replaced in one step.

The JSON states its own digest and that of each tensor, so that it says which tensors are its own. Tensors are written
first, beside their place; that the JSON is renamed is the one step that makes the new pair the folder's; then the
tensors are renamed. A process that is killed before the step leaves the earlier pair, one that is killed after it the
new pair, whose tensors are found where they are. Both are flushed to the disk before the step, so that the same holds
when the power fails.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from hf_fourier.domains import Axis, SignalShape
from hf_fourier.errors import DamagedFile, InputError
from hf_fourier.results.atomic_writes import flush_folder, part_of, remove, write_part
from hf_fourier.results.integrity import damaged, read_json, sealed
from hf_fourier.results.schema import NUMBER, Malformed, check
from hf_fourier.results.tensor_files import digests_of, laid_out, read_tensors
from hf_fourier.typing import Tensor

TENSORS, VALUES = "attribution.safetensors", "attribution.json"
#: The digests of the tensors in `VALUES`.
DIGESTS = "digests"
#: How often a pair that does not fit together is read, where another process writes it meanwhile.
TRIES = 8
_HINT = "restore it from a copy, or explain the example again; {}"
SIGNAL = {
    "kind": str,
    "axes": [{"name": str, "length": int, "unit?": str, "rate?": NUMBER, "channel?": bool, "names?": [str]}],
    "segments": [int],
}


def write(folder: str | PathLike[str], values: dict[str, Any], tensors: Mapping[str, Tensor]) -> Path:
    """Write `attribution.json` and `attribution.safetensors` into a folder, which is made if it does not exist.

    Raises:
        InputError: If it is a file.
        StorageError: If the disk is full, or the folder cannot be written; what it held before stays.
    """
    path = Path(folder)
    if path.exists() and not path.is_dir():
        raise InputError(f"the file {path.name!r}", "a folder, or a name that does not exist yet", "choose a folder")
    path.mkdir(parents=True, exist_ok=True)
    ready = {name: _plain(tensor) for name, tensor in tensors.items()}
    pieces = laid_out(ready)
    text = sealed({**values, DIGESTS: digests_of(ready, pieces)})
    with _alone(path):
        _finish(path)
        try:
            beside = write_part(path / TENSORS, pieces)
            write_part(path / VALUES, [text]).replace(path / VALUES)
        except BaseException:
            for name in (TENSORS, VALUES):
                remove(part_of(path / name))
            raise
        beside.replace(path / TENSORS)
        flush_folder(path)
    return path


def read(folder: str | PathLike[str]) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Read what `write` wrote.

    Raises:
        InputError: If the folder holds none.
        DamagedFile: If a file is not as it was written.
    """
    path = Path(folder)
    if not (path / VALUES).is_file() or not any(file.is_file() for file in _places(path)):
        raise InputError(f"{path.name!r}", f"a folder with {VALUES} and {TENSORS}", "pass a folder that `save` wrote")
    for last in (*[False] * (TRIES - 1), True):
        values = read_json(path / VALUES, _HINT.format(f"the tensors in {TENSORS} can still be read with safetensors"))
        digests = values.pop(DIGESTS, None)
        if digests is not None and not _is_digests(digests):
            raise damaged(path / VALUES, f"its values are not of the schema ({DIGESTS} is not an object of texts)")
        try:
            return values, _tensors(path, digests)
        except DamagedFile:
            if last:
                raise
    raise AssertionError("unreachable")


def _tensors(path: Path, digests: dict[str, str] | None) -> dict[str, Tensor]:
    """The tensors of these digests, in their place or beside it."""
    first: DamagedFile | None = None
    hint = _HINT.format(f"{VALUES}, with the label and the curve, can still be read as JSON")
    for file in _places(path)[: 1 if digests is None else None]:
        if file.is_file():
            try:
                return read_tensors(file, digests, hint)
            except DamagedFile as error:
                first = first or error
            except OSError as error:  # a writer may have renamed it in between
                if not isinstance(error.__cause__ or error, FileNotFoundError):
                    raise
    raise first or damaged(path / TENSORS, "it is missing", hint)


def _places(path: Path) -> list[Path]:
    """Where the tensors of a folder's result are: in their place, or beside it after a kill."""
    return [path / TENSORS, part_of(path / TENSORS)]


def _finish(path: Path) -> None:
    """Do what a process that was killed in `write` left to do: rename its tensors, or remove what came to nothing."""
    place, part = _places(path)
    part_of(path / VALUES).unlink(missing_ok=True)
    if not part.is_file():
        return
    with suppress(DamagedFile):
        digests = read_json(path / VALUES).get(DIGESTS) if (path / VALUES).is_file() else None
        if _is_digests(digests):
            read_tensors(part, digests)
            part.replace(place)
    part.unlink(missing_ok=True)


def _is_digests(values: Any) -> bool:
    return isinstance(values, dict) and all(isinstance(value, str) for value in values.values())


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Inside, no other process writes a result into this folder, where the system can lock one.

    The system releases the lock when the process ends, however it ends.
    """
    try:
        import fcntl
    except ImportError:  # not there on Windows
        yield
        return
    number = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError):  # network file systems may have no locks of folders
            fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)


def _plain(tensor: Tensor) -> Tensor:
    """A tensor on the CPU whose bytes lie in order; of one entry any stride counts as contiguous."""
    ready = tensor.detach().cpu().contiguous()
    return ready.clone(memory_format=torch.contiguous_format) if ready.numel() == 1 else ready


@lru_cache(maxsize=256)
def signal_values(signal: SignalShape) -> dict[str, Any]:
    """A signal's shape as plain values, which many results share; without the names of axes that have none."""
    values = asdict(signal)
    for axis in values["axes"]:
        if not axis["names"]:
            del axis["names"]
    return values


def shape_from_dict(values: dict[str, Any]) -> SignalShape:
    """A signal's shape out of its plain values.

    Raises:
        Malformed: If they are none.
    """
    check(values, SIGNAL, "signal")
    if any(axis["length"] < 1 for axis in values["axes"]):
        raise Malformed("an axis of the signal has no length")
    if any(len(axis.get("names", ())) not in (0, axis["length"]) for axis in values["axes"]):
        raise Malformed("an axis of the signal has not one name for each entry")
    axes = tuple(Axis(**{**axis, "names": tuple(axis.get("names", ()))}) for axis in values["axes"])
    return SignalShape(values["kind"], axes, tuple(values["segments"]))
