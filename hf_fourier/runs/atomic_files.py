"""Atomic writes, and the lock that keeps two runs out of one folder."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from hf_fourier.errors import StorageError
from hf_fourier.results.tensor_files import ByteChunks

#: The suffix of the neighbour that is written first; a killed run leaves at most one, and overwrites it.
PART = ".part"
LOCK = ".lock"
#: Error numbers of a full disk, and of one that cannot be written.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CLOSED = (errno.EROFS, errno.EACCES, errno.EPERM)


def write_whole(path: Path, pieces: ByteChunks, move: Callable[[Path, Path], object] = os.replace) -> None:
    """Write a file atomically, also against power loss.

    The bytes go to a neighbour, which is flushed to the disk and then renamed; then the folder is flushed.

    Args:
        path: The file.
        pieces: Its bytes, in order.
        move: Renames the neighbour.

    Raises:
        StorageError: If the disk is full, or the folder cannot be written. What was written before stays readable.
    """
    part = path.with_name(path.name + PART)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        move(part, path)
        _flush_folder(path.parent)
    except OSError as error:
        _remove(part)
        raise write_error(error, path, sum(map(len, pieces))) from error


def write_error(error: OSError, path: Path, size: int) -> StorageError:
    """The system's error about a file as a `StorageError`."""
    name = f"{path.parent.name}/{path.name}"
    if error.errno in _FULL:
        got = f"a full disk while writing {name} ({error.strerror})"
        do = "free some, or choose another folder, and run the same command again: it goes on from what is finished"
        return StorageError(got, f"{size / 1e6:.1f} MB of space for it", do)
    if error.errno in _CLOSED:
        got = f"{name}, which cannot be written ({error.strerror})"
        return StorageError(got, "a folder that can be written", "change its permissions, or choose another")
    got = f"{name}, which cannot be written ({error.strerror or error})"
    return StorageError(got, "a disk that takes it", "correct that, and run the same command again")


@contextmanager
def run_lock(folder: Path, rank: int) -> Iterator[None]:
    """Lock a run's folder: one run at a time. The system releases the lock when the process ends, however it ends.

    The first process of a run checks that no process of another one still writes; each of the others holds a lock of
    its own.

    Raises:
        StorageError: If another run holds it, or the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    names = [f"{LOCK}-{rank}"] if rank else [LOCK, *sorted(path.name for path in folder.glob(f"{LOCK}-*"))]
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for number, name in enumerate(names):
                lock = FileLock(folder / name)
                lock.acquire(timeout=0)
                stack.callback(lock.release)
                if number:
                    lock.release()
        except Timeout as error:
            do = "wait for it, or choose another folder; processes of one run are started together"
            raise StorageError(
                f"the folder {folder.name!r}, which another run writes", "one run a folder", do
            ) from error
        except OSError as error:
            raise write_error(error, folder / names[0], 0) from error
        yield


def _remove(part: Path) -> None:
    with suppress(OSError):
        part.unlink(missing_ok=True)


def _flush_folder(folder: Path) -> None:
    """Make a rename permanent; systems that cannot flush a folder do so by themselves."""
    if os.name == "nt":
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def existing(paths: Sequence[Path]) -> list[bool]:
    """Which of these files exist, each folder read once."""
    names: dict[Path, set[str]] = {}
    for folder in {path.parent for path in paths}:
        names[folder] = set(os.listdir(folder)) if folder.is_dir() else set()
    return [path.name in names[path.parent] for path in paths]
