"""Advice about scans: DICOM series, and maps on the grid of a scan."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from hf_fourier.models.inputs.dataset_sources import source_of
from hf_fourier.models.inputs.dicom import read_dicom
from hf_fourier.results.nifti_file import Grid, write_map
from tests.advice.case import Case
from tools.fuzz.files import dicom

GRID = Grid((3, 4, 5), np.eye(4))


def _series(places: Any = (0, 1, 2), **tags: Any) -> Path:
    folder = Path(tempfile.mkdtemp())
    for number, place in enumerate(places):
        (folder / f"{number}.dcm").write_bytes(dicom(np.ones((3, 4), np.int16), (0, 0, place), **tags))
    return folder


def _broken() -> Path:
    folder = _series()
    (folder / "x.dcm").write_bytes(b"")
    return folder


def _two() -> Path:
    folder = _series()
    for number in range(2):
        data = dicom(np.ones((3, 4), np.int16), (0, 0, number), series="9.9", number=2)
        (folder / f"other-{number}.dcm").write_bytes(data)
    return folder


def _map(shape: tuple[int, ...] = (3, 4, 5), like: Any = GRID, name: str = "a.nii", **options: Any) -> Path:
    return write_map(np.zeros(shape), Path(tempfile.mkdtemp()) / name, like, **options)


def _turned(degrees: float) -> Grid:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return Grid((3, 4, 5), np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]))


def _tilted(degrees: float) -> Path:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return _series(along=[c, s, 0, -s, c, 0])


CASES = [
    Case("choose one with series=1 to 2", lambda: read_dicom(_two()), lambda: read_dicom(_two(), series=2)),
    Case(
        "pass a list of the files of one such stack",
        lambda: read_dicom(_series((0, 1, 2, 9))),
        lambda: read_dicom(sorted(_series((0, 1, 2, 9)).iterdir())[:3]),
    ),
    Case(
        "resample the series to the axes of the scanner first",
        lambda: read_dicom(_tilted(45)),
        lambda: read_dicom(_tilted(0)),
    ),
    Case(
        "say how the scan was resized: fit='stretch' (each axis by its factor) or fit='centre' (padded or cropped)",
        lambda: _map((6, 6, 6)),
        lambda: [_map((6, 6, 6), fit=fit) for fit in ("stretch", "centre")],
    ),
    Case(
        "repair it, or pass a list of the files of one series",
        lambda: read_dicom(_broken()),
        lambda: read_dicom(sorted(_broken().iterdir())[:3]),
    ),
    Case(
        "name one `.dcm` of each series",
        lambda: source_of(_series()),
        lambda: source_of(_series() / "0.dcm").read([0]),
    ),
    Case("use it for volumes", lambda: _map((3, 4)), lambda: _map()),
    Case("correct the path", lambda: _map(name="a.png"), lambda: _map(name="a.nii.gz")),
    Case(
        "pass its path, or `read_dicom(folder).grid`",
        lambda: _map((4, 3, 3), np.zeros(3)),
        lambda: [_map((4, 3, 3), read_dicom(_series()).grid), _map(like=_map())],
    ),
    Case(
        "bring the scan to the axes of the scanner first, and explain that",
        lambda: _map(like=_turned(45)),
        lambda: _map(like=_turned(0)),
    ),
    Case(
        "pass a list of the files of one series",
        lambda: _limited(_series(range(40))),
        lambda: _limited([_series(range(40)) / f"{number}.dcm" for number in range(3)]),
    ),
]


def _limited(source: Any) -> Any:
    from unittest.mock import patch

    from hf_fourier.models.inputs import limits

    with patch.object(limits, "DICOM_FILES", 8):
        return read_dicom(source)
