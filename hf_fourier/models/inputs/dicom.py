"""Volumes from the slices of a DICOM series, in canonical orientation and stored units (Hounsfield units of CT)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hf_fourier.domains.limits import SIGNAL_ENTRIES
from hf_fourier.errors import FourierError, InputError, MissingExtraError
from hf_fourier.models.inputs import limits
from hf_fourier.results.nifti_file import Grid, turn_of

#: Transfer syntaxes whose pixels lie in the file as they are. A deflated one is not among them: it may unpack to much.
PLAIN = {
    "1.2.840.10008.1.2": "<", "1.2.840.10008.1.2.1": "<", "1.2.840.10008.1.2.2": ">",
}  # fmt: skip
#: What is read of a file; names of patients and places are not.
_TAGS = (
    "SeriesInstanceUID", "SeriesNumber", "Rows", "Columns", "SamplesPerPixel", "NumberOfFrames", "BitsAllocated",
    "BitsStored", "HighBit", "PixelRepresentation", "PixelSpacing", "ImagePositionPatient",
    "ImageOrientationPatient", "RescaleSlope", "RescaleIntercept", "PixelData",
)  # fmt: skip
#: How far the distances of neighbouring slices may differ, relative to their median.
_UNEVEN = 0.02


@dataclass(frozen=True, eq=False)
class DicomVolume:
    """A series as one volume.

    Attributes:
        values: float32, `(left to right, back to front, bottom to top)`, rescaled by slope and intercept.
        spacing: The distance of voxels along each axis in mm.
        grid: The grid that it was stored on, for `Relevance.to_nifti(path, like=volume.grid)`.
    """

    values: np.ndarray
    spacing: tuple[float, float, float]
    grid: Grid

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.values, dtype=dtype)

    def __repr__(self) -> str:
        sizes = " × ".join(map(str, self.values.shape))
        return f"DicomVolume({sizes} voxels of {' × '.join(f'{step:.3g}' for step in self.spacing)} mm)"


@dataclass(frozen=True, eq=False)
class _Slice:
    """One slice: its pixels `(columns, rows)`, and where it lies."""

    pixels: np.ndarray
    origin: np.ndarray
    axes: np.ndarray
    steps: tuple[float, float]
    series: tuple[int, str]


def read_dicom(source: str | os.PathLike[str] | Sequence[Any], series: int | None = None) -> DicomVolume:
    """One series of DICOM slices as a volume.

    Slices are sorted by their position along the normal of their plane, whatever the files are called; stored numbers
    are rescaled by each slice's slope and intercept. Needs pydicom (extra `dicom`).

    Args:
        source: A folder (its own files, not those below it), a list of files, or one file: its series in its folder.
        series: Which series, counted from 1 in the order of their numbers, where there are several.

    Raises:
        InputError: If there is no series or several, slices are missing, doubled, compressed or of different sizes, or
            a limit is exceeded (`docs/security.md`).
        MissingExtraError: If pydicom is not installed.
    """
    files, only = _files(source)
    slices, held = list[_Slice](), 0
    for path in files:
        one = _read(path)
        if one is not None:
            slices.append(one)
            held += one.pixels.size
        if held > SIGNAL_ENTRIES:
            got = f"{_named(source)} with more than {SIGNAL_ENTRIES} pixels"
            raise InputError(got, f"at most {SIGNAL_ENTRIES}", "pass a list of the files of one series")
    if not slices:
        got = f"{_named(source)} without a slice"
        raise InputError(got, "a folder or files of one DICOM series", "correct the path")
    found = sorted({one.series for one in slices})
    chosen = _chosen(found, series, None if only is None else _read(only))
    return _volume([one for one in slices if one.series == chosen])


def _named(source: Any) -> str:
    return repr(Path(source).name) if isinstance(source, (str, os.PathLike)) else "the list"


def _files(source: Any) -> tuple[list[Path], Path | None]:
    """The files to look at, and the one whose series is meant."""
    if not isinstance(source, (str, os.PathLike)):
        paths, only = [Path(one) for one in source], None
    else:
        path = Path(source)
        only = path if path.is_file() else None
        folder = path.parent if only is not None else path
        if not folder.is_dir():
            raise InputError(f"path {str(source)!r:.80}", "a folder of a DICOM series", "correct the path")
        paths = sorted(one for one in folder.iterdir() if one.is_file())
    if len(paths) > limits.DICOM_FILES:
        got = f"{_named(source)} of {len(paths)} files"
        raise InputError(got, f"at most {limits.DICOM_FILES}", "pass a list of the files of one series")
    return paths, only


def _chosen(found: list[tuple[int, str]], series: int | None, only: _Slice | None) -> tuple[int, str]:
    """The series that is meant."""
    if series is None and only is not None:
        return only.series
    if series is None and len(found) == 1:
        return found[0]
    if not isinstance(series, int) or isinstance(series, bool) or not 1 <= series <= len(found):
        got = f"{len(found)} series" + ("" if series is None else f" and series={series!r:.40}")
        raise InputError(got, "one of them", f"choose one with series=1 to {len(found)}")
    return found[series - 1]


def _read(path: Path) -> _Slice | None:
    """The slice in a file; None where it is no DICOM file, or holds no picture.

    Raises:
        InputError: If it is one that cannot be read.
    """
    try:
        from pydicom import dcmread
        from pydicom.filereader import read_file_meta_info
    except ImportError as error:
        raise MissingExtraError("pydicom", "dicom", "DICOM files") from error
    with path.open("rb") as file:
        if file.read(132)[128:] != b"DICM":
            return None
    try:
        if path.stat().st_size > limits.DICOM_BYTES:
            raise ValueError(f"more than {limits.DICOM_BYTES} bytes")
        syntax = str(getattr(read_file_meta_info(path), "TransferSyntaxUID", ""))
        if syntax not in PLAIN:  # before anything is read that might have to be unpacked
            got = f"{path.name!r}, whose pixels are compressed"
            do = "decompress the series, as by gdcmconv --raw or dcmdjpeg"
            raise InputError(got, "a transfer syntax without compression", do)
        data = dcmread(path, specific_tags=list(_TAGS))
        if "PixelData" not in data:
            return None
        return _slice(data, PLAIN[syntax])
    except FourierError:
        raise
    except Exception as error:  # what broken files raise in pydicom has no common base
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].replace(str(path), path.name)
        got = f"{path.name!r}, which cannot be read ({reason:.300})"
        raise InputError(got, "one slice of a DICOM series", "convert the series to NIfTI") from error


def _slice(data: Any, order: str) -> _Slice:
    """A slice from what a file says.

    Raises:
        ValueError: If it is no single grey picture with a place.
    """
    rows, columns = int(data.Rows), int(data.Columns)
    if int(getattr(data, "SamplesPerPixel", 1)) != 1 or int(getattr(data, "NumberOfFrames", None) or 1) != 1:
        raise ValueError("it holds colours or several frames")
    bits, stored = int(data.BitsAllocated), int(data.BitsStored)
    if bits not in (8, 16, 32) or not 1 <= stored <= bits or int(data.HighBit) != stored - 1:
        raise ValueError(f"pixels of {stored} in {bits} bits")
    signed = int(data.PixelRepresentation) == 1
    raw = bytes(data.PixelData)
    if rows < 1 or columns < 1 or len(raw) < rows * columns * bits // 8:
        raise ValueError(f"{rows} × {columns} pixels are claimed, and {len(raw)} bytes are there")
    whole = np.frombuffer(raw, f"{order}{'i' if signed else 'u'}{bits // 8}", rows * columns)
    whole = (whole.astype(np.int64) << (64 - stored)) if signed else whole.astype(np.int64) & (2**stored - 1)
    numbers = whole >> (64 - stored) if signed else whole
    slope, intercept = (float(getattr(data, name, None) or default) for name, default in
                        (("RescaleSlope", 1.0), ("RescaleIntercept", 0.0)))  # fmt: skip
    pixels = (numbers * slope + intercept).astype(np.float32).reshape(rows, columns).T
    along = np.array([float(part) for part in data.ImageOrientationPatient]).reshape(2, 3)
    origin = np.array([float(part) for part in data.ImagePositionPatient])
    between, beside = (float(part) for part in data.PixelSpacing)  # of rows, of columns
    finite = np.isfinite(pixels).all() and np.isfinite(along).all() and np.isfinite(origin).all()
    square = np.abs(along @ along.T - np.eye(2)).max() < 1e-3
    if not finite or not square or origin.shape != (3,) or not (0 < between < np.inf and 0 < beside < np.inf):
        raise ValueError("its place in space is not stated")
    number = int(getattr(data, "SeriesNumber", None) or 0)
    return _Slice(pixels, origin, along, (beside, between), (number, str(data.SeriesInstanceUID)))


def _volume(slices: list[_Slice]) -> DicomVolume:
    """The volume of a series, slices in the order of their places.

    Raises:
        InputError: If they do not fit together.
    """
    first = slices[0]
    expected, do = "one stack of equal slices at equal distances", "pass a list of the files of one such stack"
    for one in slices:
        same = one.pixels.shape == first.pixels.shape and np.allclose(one.steps, first.steps, rtol=1e-3)
        if not same or np.abs(one.axes - first.axes).max() > 1e-3:
            raise InputError("slices of several sizes, spacings or orientations", expected, do)
    if len(slices) < 2 or len(slices) * first.pixels.size > SIGNAL_ENTRIES:
        got = f"{len(slices)} slices of {first.pixels.size} pixels"
        raise InputError(got, f"2 slices at least, and at most {SIGNAL_ENTRIES} voxels", do)
    normal = np.cross(first.axes[0], first.axes[1])
    slices = sorted(slices, key=lambda one: float(one.origin @ normal))
    gaps = np.diff([float(one.origin @ normal) for one in slices])
    step = float(np.median(gaps))
    if step <= 0 or np.abs(gaps - step).max() > _UNEVEN * step:
        at = int(np.abs(gaps - step).argmax())
        what = "two slices at one place" if gaps.min() < _UNEVEN * max(step, 1e-9) else "a gap between slices"
        raise InputError(f"{what} ({gaps[at]:.3g} mm behind slice {at + 1}, else {step:.3g} mm)", expected, do)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = first.axes[0] * first.steps[0], first.axes[1] * first.steps[1]
    affine[:3, 2] = (slices[-1].origin - slices[0].origin) / (len(slices) - 1)
    affine[:3, 3] = slices[0].origin
    affine[:2] *= -1  # DICOM's axes run to the left and to the back
    stored = np.stack([one.pixels for one in slices], axis=2)
    grid = Grid(stored.shape, affine)
    try:
        axes, backwards = turn_of(affine[:3, :3], "the series")
    except ValueError as error:
        do = "resample the series to the axes of the scanner first"
        raise InputError("a series with oblique slices", "axes within 25° of right, front and top", do) from error
    values = np.ascontiguousarray(np.flip(stored.transpose(axes), backwards))
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    spacing = (float(lengths[axes[0]]), float(lengths[axes[1]]), float(lengths[axes[2]]))
    return DicomVolume(values, spacing, grid)
