"""A finished run in a folder that cannot be written is found to be finished; nothing is written there."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hf_fourier.errors import DamagedFile, InputError, StorageError
from hf_fourier.runs import Results
from tests.runs.sample_results import digests, run, texts

COUNT = 8
OPTIONS: dict[str, Any] = {"method": "magnitude", "fractions": None, "chunk": 3}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    run(texts(COUNT), folder, **OPTIONS)
    return folder


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, which `close` makes read-only: as root a folder's permissions stop nothing."""
    place = tmp_path / "disk"
    place.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(place)], check=True, capture_output=True)
        mounted = True
    except (OSError, subprocess.CalledProcessError):
        mounted = False
    yield place
    if mounted:
        subprocess.run(["umount", "-l", str(place)], check=True)
    else:
        subprocess.run(["chmod", "-R", "u+w", str(place)], check=True)


def close(disk: Path) -> None:
    """Make a disk read-only, or without mounting all folders in it."""
    if disk.is_mount():
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    else:
        subprocess.run(["chmod", "-R", "a-w", str(disk)], check=True)
    try:
        (disk / "run" / "new").write_text("")
    except OSError:
        return
    pytest.skip("this user may write everywhere and mount nothing")


@pytest.mark.parametrize("locked", [True, False], ids=["with its lock", "without"])
def test_a_finished_run_is_finished(finished: Path, disk: Path, locked: bool) -> None:
    folder = Path(shutil.copytree(finished, disk / "run"))
    if not locked:
        (folder / ".lock").unlink(missing_ok=True)
    close(disk)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    results = run(texts(COUNT), folder, **OPTIONS)
    assert results.finished
    assert len(list(results)) == COUNT
    assert len(list(Results(folder).rows(2))) == COUNT
    assert not Results(folder).damage()["file"]
    assert digests(folder) == digests(finished)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    with pytest.raises(InputError, match="seed"):
        run(texts(COUNT), folder, **OPTIONS, seed=1)
    with pytest.raises(InputError, match=r"other (data|examples)"):
        run([*texts(COUNT)[:-1], "w5 w6"], folder, **OPTIONS)


def test_what_is_not_finished_or_damaged_says_so(finished: Path, disk: Path) -> None:
    folder = Path(shutil.copytree(finished, disk / "run"))
    first, *_, last = sorted((folder / "shards").glob("*/*"))
    first.write_bytes(first.read_bytes()[:-1] + b"\xff")
    shutil.copytree(folder, disk / "cut")
    (disk / "cut" / last.relative_to(folder)).unlink()
    close(disk)
    with pytest.raises(DamagedFile, match=first.name):
        run(texts(COUNT), folder, **OPTIONS)
    with pytest.raises(StorageError, match="cannot be written"):
        run(texts(COUNT), disk / "cut", **OPTIONS)
