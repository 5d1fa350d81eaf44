"""The lock that keeps two runs out of one folder."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from hf_fourier.errors import StorageError
from hf_fourier.results.atomic_writes import write_error

LOCK = ".lock"


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
                f"the folder {folder.name!r}, which another run writes", "one run per folder", do
            ) from error
        except OSError as error:
            raise write_error(error, folder / names[0], 0) from error
        yield


def is_writable(folder: Path) -> bool:
    """Whether files can be made in a folder: on its disk, and by this user."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
