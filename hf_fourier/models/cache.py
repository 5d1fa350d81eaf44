"""Where assets lie on disk, and how a build becomes visible all at once or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path


def root() -> Path:
    """The cache folder: `HF_FOURIER_CACHE`, else `hf_fourier` below `XDG_CACHE_HOME` or `~/.cache`."""
    own = os.environ.get("HF_FOURIER_CACHE")
    if own:
        return Path(own).expanduser()
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared).expanduser() if shared else Path.home() / ".cache") / "hf_fourier"


def place(name: str, revision: int) -> Path:
    """Where the ready asset lies, whether or not it does already."""
    return root() / "assets" / f"r{revision}" / name


def downloads() -> Path:
    """Where fetched package files are kept."""
    return root() / "downloads"


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Keep other processes from doing the work called `name` at the same time."""
    from filelock import FileLock

    folder = root() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{name.replace('/', '_')}.lock"):
        yield


def once(name: str, target: Path, fill: Callable[[Path], None]) -> Path:
    """Make `target` by filling a temporary folder and renaming it; do nothing where it exists.

    A folder at `target` is therefore always a finished one. What a killed process left behind is swept away by
    the next build of the same name.

    Args:
        name: of the work, for the lock.
        target: the folder to make.
        fill: writes the contents into the empty folder that it is given.
    """
    if target.is_dir():
        return target
    with locked(name):
        if target.is_dir():
            return target
        workshop = root() / "building" / name
        shutil.rmtree(workshop, ignore_errors=True)
        workshop.mkdir(parents=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            # The last part of the path is the asset's name, because some writers record it.
            folder = Path(tempfile.mkdtemp(dir=workshop)) / target.name
            folder.mkdir()
            fill(folder)
            os.replace(folder, target)
        finally:
            shutil.rmtree(workshop, ignore_errors=True)
    return target
