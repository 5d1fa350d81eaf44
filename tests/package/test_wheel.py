"""What the wheel and the source distribution hold, and that the pages in a wheel are found and change nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

from hf_fourier.cli import pages
from hf_fourier.report import public_text


@pytest.fixture(scope="module")
def installed(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel installs."""
    folder = tmp_path_factory.mktemp("wheel")
    built = next(WheelBuilder(str(root)).build(directory=str(folder / "dist"), versions=["standard"]))
    zipfile.ZipFile(built).extractall(folder / "site")
    return folder / "site"


def run(site: Path, *words: str) -> str:
    """What a program prints that imports the package from a folder."""
    done = subprocess.run(
        [sys.executable, *words], cwd=site, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(site)}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def page_files(folder: Path) -> list[str]:
    paths = (path.relative_to(folder) for path in folder.rglob("*.md"))
    return sorted(path.as_posix() for path in paths if path.parts[0] not in pages.MADE)


def test_the_wheel_has_every_page_and_no_more(root: Path, installed: Path) -> None:
    held = [path.relative_to(installed / "hf_fourier/docs") for path in (installed / "hf_fourier/docs").rglob("*.*")]
    assert sorted(path.as_posix() for path in held) == page_files(root / "docs")
    assert {one.name for one in installed.iterdir() if one.suffix != ".dist-info"} == {"hf_fourier"}


def test_the_source_distribution_has_the_pages_for_its_wheel(root: Path, tmp_path: Path) -> None:
    built = next(SdistBuilder(str(root)).build(directory=str(tmp_path), versions=["standard"]))
    with tarfile.open(built) as file:
        names = [name.partition("/")[2] for name in file.getnames()]
    assert sorted(name for name in names if name.startswith("docs/")) == [
        f"docs/{one}" for one in page_files(root / "docs")
    ]


def test_an_installation_prints_its_pages(installed: Path) -> None:
    assert run(installed, "-m", "hf_fourier", "docs", "genes") == pages.read("genes")
    listed = json.loads(run(installed, "-m", "hf_fourier", "docs", "--json"))
    assert {one["page"] for one in listed} == set(pages.pages())


def test_words_of_the_pages_are_not_public_in_a_report(installed: Path) -> None:
    """What a report may show of a title does not depend on whether the pages lie in the package."""
    code = "import json; from hf_fourier.report import public_text as p; print(json.dumps(sorted(p._vocabulary())))"
    assert json.loads(run(installed, "-c", code)) == sorted(public_text._vocabulary())
