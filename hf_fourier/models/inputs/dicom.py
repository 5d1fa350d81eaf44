"""Volumes from the slices of a DICOM series, in canonical orientation and stored units (Hounsfield units of CT)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
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
_DEFLATED = "1.2.840.10008.1.2.1.99"
#: The class of a folder's table of contents, the one file that belongs to no series.
_CONTENTS = "1.2.840.10008.1.3.10"
#: What is read of every file, to choose the series.
_HEAD = ("SeriesInstanceUID", "SeriesNumber", "Rows")
#: What is read of a file of the chosen one; names of patients and places are not.
_TAGS = (
    "Rows", "Columns", "SamplesPerPixel", "NumberOfFrames", "BitsAllocated",
    "BitsStored", "HighBit", "PixelRepresentation", "PixelSpacing", "ImagePositionPatient",
    "ImageOrientationPatient", "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence",
    "PixelData",
)  # fmt: skip
#: How far slices may lie from equal distances on one line, and that line from their normal, relative to a distance.
_UNEVEN = 0.02
_A_SLICE = "one slice of a DICOM series"


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


@dataclass(frozen=True)
class _Head:
    """A file, the number and the UID of its series, and whether it holds a picture."""

    path: Path
    number: int
    series: str
    picture: bool


@dataclass(frozen=True, eq=False)
class _Slice:
    """One slice: its pixels `(columns, rows)`, and where it lies."""

    pixels: np.ndarray
    origin: np.ndarray
    axes: np.ndarray
    steps: tuple[float, float]


def read_dicom(source: str | os.PathLike[str] | Sequence[Any], series: int | None = None) -> DicomVolume:
    """One series of DICOM slices as a volume.

    Slices are sorted by their position along the normal of their plane, whatever the files are called; stored numbers
    are rescaled by each slice's slope and intercept. Needs pydicom (extra `dicom`).

    Args:
        source: A folder (its own files, not those below it), a list of files, or one file: its series in its folder.
            Files of other series are only asked for their series.
        series: Which series, counted from 1 in the order of their numbers, where there are several.

    Raises:
        InputError: If there is no series or several; a named file, or one of a folder that ends with .dcm, cannot be
            read; slices of the series are missing, doubled, displaced, tilted, compressed or of different sizes; or a
            limit is exceeded (`hf-fourier docs security`).
        MissingExtraError: If pydicom is not installed.
    """
    files, only = _files(source)
    listed = not isinstance(source, (str, os.PathLike))
    heads = [head for path in files if (head := _head(path, listed or path == only)) is not None]
    found = list(dict.fromkeys(head.series for head in sorted(heads, key=_order) if head.picture))
    if not found:
        got = f"{_named(source)} without a slice"
        raise InputError(got, "a folder or files of one DICOM series", "correct the path")
    chosen = _chosen(found, series, next((head.series for head in heads if head.path == only), None))
    slices, held = list[_Slice](), 0
    for path in (head.path for head in heads if head.series == chosen):
        slices.append(_read(path))
        held += slices[-1].pixels.size
        if held > SIGNAL_ENTRIES:
            got = f"a series of more than {SIGNAL_ENTRIES} pixels"
            raise InputError(got, f"at most {SIGNAL_ENTRIES}", "pass a list of the files of one such stack")
    return _volume(slices)


def _named(source: Any) -> str:
    return repr(Path(source).name) if isinstance(source, (str, os.PathLike)) else "the list"


def _files(source: Any) -> tuple[list[Path], Path | None]:
    """The files to look at, and the one whose series is meant."""
    only: Path | None = None
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        only = path if path.is_file() else None
        folder = path.parent if only is not None else path
        if not folder.is_dir():
            raise InputError(f"path {str(source)!r:.80}", "a folder of a DICOM series", "correct the path")
        paths = sorted(one for one in folder.iterdir() if one.is_file())
    else:
        given = list(source) if isinstance(source, Iterable) else [source]
        for one in given:
            if not isinstance(one, (str, os.PathLike)) or not Path(one).is_file():
                got = f"path {str(one)!r:.80}" if isinstance(one, (str, os.PathLike)) else f"a {type(one).__name__}"
                raise InputError(got, "the paths of files that exist", "correct the path")
        paths = [Path(one) for one in given]
    if len(paths) > limits.DICOM_FILES:
        got = f"{_named(source)} of {len(paths)} files"
        raise InputError(got, f"at most {limits.DICOM_FILES}", "pass a list of the files of one series")
    return paths, only


def _chosen(found: list[str], series: int | None, named: str | None) -> str:
    """The series that is meant."""
    if series is None and named is not None:
        return named
    if series is None and len(found) == 1:
        return found[0]
    if not isinstance(series, int) or isinstance(series, bool) or not 1 <= series <= len(found):
        got = f"{len(found)} series" + ("" if series is None else f" and series={series!r:.40}")
        raise InputError(got, "one of them", f"choose one with series=1 to {len(found)}")
    return found[series - 1]


def _order(head: _Head) -> tuple[int, str]:
    return head.number, head.series


def _head(path: Path, meant: bool) -> _Head | None:
    """A file's series; None where a file of a folder is no DICOM file, or is the folder's table of contents.

    Args:
        path: The file.
        meant: Whether it was named, and not found in a folder.

    Raises:
        InputError: If it cannot be read, though it was named, ends with .dcm or begins like DICOM, or has to be
            unpacked before its series is known.
    """
    stated = False
    try:
        with path.open("rb") as file:
            start = file.read(132)
        stated = start[128:] == b"DICM"
        if not (meant or stated or path.suffix.lower() == ".dcm" or start[:2] in (b"\2\0", b"\x08\0", b"\0\x08")):
            return None
        if not start:
            raise ValueError("it is empty")
        data = _parsed(path, stated, _HEAD, stop_before_pixels=True)
        if not meant and getattr(data.file_meta, "MediaStorageSOPClassUID", "") == _CONTENTS:
            return None
        uid = str(getattr(data, "SeriesInstanceUID", ""))
        if not uid:
            raise ValueError("it names no series")
        if meant and "Rows" not in data:
            raise ValueError("it holds no picture")
    except FourierError:
        raise
    except Exception as error:  # what broken files raise in pydicom has no common base
        if not (meant or stated or path.suffix.lower() == ".dcm"):
            return None  # two bytes alone do not make it a DICOM file
        do = "repair it, or pass a list of the files of one series"
        raise InputError(_unread(path, error), _A_SLICE, do) from error
    try:
        number = int(getattr(data, "SeriesNumber", None) or 0)
    except Exception:  # it only sorts the series
        number = 0
    return _Head(path, number, uid, "Rows" in data)


def _parsed(path: Path, stated: bool, tags: Sequence[str], **options: bool) -> Any:
    """Some elements of a file, which begins with a preamble where `stated`.

    Raises:
        InputError: If its elements have to be unpacked first, which may take all memory.
        MissingExtraError: If pydicom is not installed.
    """
    try:
        from pydicom import dcmread
        from pydicom.filereader import read_file_meta_info
    except ImportError as error:
        raise MissingExtraError("pydicom", "dicom", "DICOM files") from error
    if stated:
        deflated = str(getattr(read_file_meta_info(path), "TransferSyntaxUID", "")) == _DEFLATED
    elif path.stat().st_size > limits.DICOM_BYTES:
        raise ValueError(f"more than {limits.DICOM_BYTES} bytes")
    else:
        raw = path.read_bytes()
        deflated = raw[:2] == b"\2\0" and _DEFLATED.encode() in raw
    if deflated:
        raise _compressed(path)
    return dcmread(path, specific_tags=list(tags), force=not stated, **options)


def _compressed(path: Path) -> InputError:
    do = "decompress the series, as by gdcmconv --raw or dcmdjpeg"
    return InputError(f"{path.name!r}, whose pixels are compressed", "a transfer syntax without compression", do)


def _unread(path: Path, error: Exception) -> str:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0].replace(str(path), path.name)
    return f"{path.name!r}, which cannot be read ({reason:.300})"


def _read(path: Path) -> _Slice:
    """The slice in a file of the chosen series.

    Raises:
        InputError: If it cannot be read.
    """
    try:
        if path.stat().st_size > limits.DICOM_BYTES:
            raise ValueError(f"more than {limits.DICOM_BYTES} bytes")
        with path.open("rb") as file:
            stated = file.read(132)[128:] == b"DICM"
        data = _parsed(path, stated, _TAGS)
        syntax = str(getattr(data.file_meta, "TransferSyntaxUID", ""))
        if syntax and syntax not in PLAIN:
            raise _compressed(path)
        return _slice(data, PLAIN[syntax] if syntax else "<" if data.original_encoding[1] else ">")
    except FourierError:
        raise
    except Exception as error:  # what broken files raise in pydicom has no common base
        raise InputError(_unread(path, error), _A_SLICE, "convert the series to NIfTI") from error


def _slice(data: Any, order: str) -> _Slice:
    """A slice from what a file says.

    Raises:
        ValueError: If it is no single grey picture with a place.
    """
    if "Rows" not in data:
        raise ValueError("it holds no picture")
    rows, columns = int(data.Rows), int(data.Columns)
    if int(getattr(data, "SamplesPerPixel", 1)) != 1 or int(getattr(data, "NumberOfFrames", None) or 1) != 1:
        raise ValueError("it holds colours or several frames")
    bits, stored = int(data.BitsAllocated), int(data.BitsStored)
    if bits not in (8, 16, 32) or not 1 <= stored <= bits or int(data.HighBit) != stored - 1:
        raise ValueError(f"pixels of {stored} in {bits} bits")
    signed = int(data.PixelRepresentation) == 1
    raw = bytes(getattr(data, "PixelData", b""))
    if rows < 1 or columns < 1 or len(raw) < rows * columns * bits // 8:
        raise ValueError(f"{rows} × {columns} pixels are claimed, and {len(raw)} bytes are there")
    whole = np.frombuffer(raw, f"{order}{'i' if signed else 'u'}{bits // 8}", rows * columns)
    whole = (whole.astype(np.int64) << (64 - stored)) if signed else whole.astype(np.int64) & (2**stored - 1)
    numbers = whole >> (64 - stored) if signed else whole
    if "ModalityLUTSequence" in data:
        raise ValueError("a table, and no slope, says what its pixels mean (modality LUT)")
    given = [getattr(data, name, None) for name in ("RescaleSlope", "RescaleIntercept")]
    slope, intercept = (
        default if one in (None, "") else float(one) for one, default in zip(given, (1.0, 0.0), strict=True)
    )
    if slope == 0:
        raise ValueError("its rescale slope is 0")
    with np.errstate(over="ignore"):  # what is too large is refused below
        pixels = (numbers * slope + intercept).astype(np.float32).reshape(rows, columns).T
    along = np.array([float(part) for part in data.ImageOrientationPatient]).reshape(2, 3)
    origin = np.array([float(part) for part in data.ImagePositionPatient])
    between, beside = (float(part) for part in data.PixelSpacing)  # of rows, of columns
    finite = np.isfinite(pixels).all() and np.isfinite(along).all() and np.isfinite(origin).all()
    square = np.abs(along @ along.T - np.eye(2)).max() < 1e-3
    if not finite or not square or origin.shape != (3,) or not (0 < between < np.inf and 0 < beside < np.inf):
        raise ValueError("its place in space is not stated")
    return _Slice(pixels, origin, along, (beside, between))


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
    third = _third(np.stack([one.origin for one in slices]), normal)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = first.axes[0] * first.steps[0], first.axes[1] * first.steps[1]
    affine[:3, 2] = third
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


def _third(origins: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """The step from slice to slice in mm.

    Raises:
        InputError: If the slices do not lie on one line along their normal, at equal distances.
    """
    step = (origins[-1] - origins[0]) / (len(origins) - 1)
    length = float(np.linalg.norm(step))
    beside = np.linalg.norm(origins - origins[0] - np.arange(len(origins))[:, None] * step, axis=1)
    expected = "one stack of equal slices at equal distances, each straight above the last"
    if beside.max() > _UNEVEN * length:
        at = int(beside.argmax())
        got = f"slices that are displaced (slice {at + 1} by {beside[at]:.3g} mm, at steps of {length:.3g} mm)"
        raise InputError(got, expected, "pass a list of the files of one such stack")
    aslant = float(np.linalg.norm(step - (step @ normal) * normal))
    if aslant > _UNEVEN * length:
        got = f"a tilted gantry: each slice lies {aslant:.3g} mm beside the last, at steps of {length:.3g} mm"
        raise InputError(got, expected, "resample the series to the axes of the scanner first")
    return np.asarray(step)
