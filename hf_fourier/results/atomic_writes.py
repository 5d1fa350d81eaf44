"""Writes a file whole or not at all, also against power loss; errors of the disk in one message."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from hf_fourier.errors import StorageError

#: The bytes of a file, in order.
ByteChunks = Sequence[bytes | memoryview]
#: The suffix of the neighbour that is written first; a killed process leaves at most one, which the next overwrites.
PART = ".part"
#: Error numbers of a full disk, and of one that cannot be written.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CLOSED = (errno.EROFS, errno.EACCES, errno.EPERM)
#: Error numbers of file systems that flush no folders (FUSE, network mounts).
_UNFLUSHED = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


def write_whole(path: Path, pieces: ByteChunks) -> None:
    """Write a file atomically, also against power loss.

    The bytes go to a neighbour, which is flushed to the disk and then renamed; then the folder is flushed.

    Args:
        path: The file; its folder is made if it does not exist.
        pieces: Its bytes, in order.

    Raises:
        StorageError: If the disk is full, or the folder cannot be written. What was written before stays readable.
    """
    part = write_part(path, pieces)
    try:
        part.replace(path)
        flush_folder(path.parent)
    except OSError as error:
        remove(part)
        raise write_error(error, path, sum(map(len, pieces))) from error


def write_part(path: Path, pieces: ByteChunks) -> Path:
    """Write a file beside its place, flush it to the disk, and return where it is: the caller renames it.

    Raises:
        StorageError: If the disk is full, or the folder cannot be written; then nothing is left beside the place.
    """
    part = part_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        remove(part)
        raise write_error(error, path, sum(map(len, pieces))) from error
    return part


def part_of(path: Path) -> Path:
    """Where a file is written before it is renamed."""
    return path.with_name(path.name + PART)


def write_error(error: OSError, path: Path, size: int) -> StorageError:
    """The system's error about a file as a `StorageError`.

    Args:
        error: As it was raised.
        path: The file.
        size: Its bytes.
    """
    name = f"{path.parent.name}/{path.name}"
    if error.errno in _FULL:
        got = f"a full disk while writing {name} ({error.strerror})"
        do = "free some, or choose another folder, and run the same command again: it resumes after the finished part"
        return StorageError(got, f"{size / 1e6:.1f} MB of space for it", do)
    if error.errno in _CLOSED:
        got = f"{name}, which cannot be written ({error.strerror})"
        return StorageError(got, "a folder that can be written", "change its permissions, or choose another")
    got = f"{name}, which cannot be written ({error.strerror or error})"
    return StorageError(got, "a disk that can be written", "correct that, and run the same command again")


def flush_folder(folder: Path) -> None:
    """Make renames in a folder permanent, where the file system flushes folders.

    Raises:
        OSError: If it does, and fails.
    """
    if os.name == "nt":
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in _UNFLUSHED:
            raise
    finally:
        os.close(number)


def remove(part: Path) -> None:
    """Remove what was written beside a place, if it is there and can be removed."""
    with suppress(OSError):
        part.unlink(missing_ok=True)
