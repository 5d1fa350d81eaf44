"""NIfTI-1: headers, the turn of a volume's axes to canonical orientation and back, and maps on the grid of a scan."""

from __future__ import annotations

import gzip
import math
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hf_fourier.errors import InputError
from hf_fourier.results.atomic_writes import write_whole

if TYPE_CHECKING:
    import numpy as np

#: Bytes up to the first voxel, at least and at most: extensions lie between.
HEADER, _LATEST = 352, 2**24
TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4"}
ENDINGS = (".nii", ".nii.gz")
#: How a map is brought to the grid of a scan of another size.
FITS = ("stretch", "centre")
_FIT_HINT = "say how the scan was resized: fit='stretch' (each axis by its factor) or fit='centre' (padded or cropped)"


@dataclass(frozen=True, eq=False)
class Grid:
    """The grid of voxels that a scan is stored on.

    Attributes:
        shape: Its sizes, as stored.
        affine: Millimetres to the right, to the front and upwards of a voxel's indices, shape `(4, 4)`.
        order: Byte order of the file, "<" or ">".
        header: The file's first 348 bytes; empty where the scan comes from no NIfTI file.
    """

    shape: tuple[int, ...]
    affine: np.ndarray
    order: str = "<"
    header: bytes = b""

    @classmethod
    def of(cls, scan: str | os.PathLike[str] | Grid) -> Grid:
        """The grid of a NIfTI file.

        Raises:
            InputError: If it is none.
        """
        if isinstance(scan, Grid):
            return scan
        if not isinstance(scan, (str, os.PathLike)):
            do = "pass its path, or `read_dicom(folder).grid`"
            raise InputError(f"like of type {type(scan).__name__}", "the scan's NIfTI file, or a grid", do)
        path = Path(scan)
        try:
            with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
                raw = file.read(HEADER)
            order, _, shape, _ = parse_header(raw, path.name)
            return cls(shape, _affine(raw, order), order, raw[:348])
        except Exception as error:  # what broken files raise has no common base
            reason = str(error).replace(str(path), path.name)
            got = f"{path.name!r}, which cannot be read ({reason:.300})"
            raise InputError(got, "a NIfTI-1 volume", "convert it") from error

    @property
    def turn(self) -> tuple[list[int], tuple[int, ...]]:
        """The stored axis of each canonical one, and the canonical axes that run backwards on it.

        Raises:
            ValueError: If the axes are oblique.
        """
        return turn_of(self.affine[:3, :3], "the scan")


def parse_header(raw: bytes, name: str) -> tuple[str, int, tuple[int, ...], int]:
    """Byte order, type, three sizes and the place of the first voxel.

    Raises:
        ValueError: It is no NIfTI-1 file of one volume, its type is unknown, or it has more voxels than
            `domains.limits.SIGNAL_ENTRIES`.
    """
    from hf_fourier.domains.limits import SIGNAL_ENTRIES  # loads torch, which listing assets does without

    if len(raw) < HEADER:
        raise ValueError(f"{name} is shorter than a header")
    order = "<" if struct.unpack_from("<i", raw)[0] == 348 else ">"
    if struct.unpack_from(order + "i", raw)[0] != 348 or raw[344:347] != b"n+1":
        raise ValueError(f"{name} is not a NIfTI-1 file")
    rank, *shape = struct.unpack_from(order + "8h", raw, 40)
    kind = struct.unpack_from(order + "h", raw, 70)[0]
    if rank < 3 or any(size > 1 for size in shape[3:rank]) or kind not in TYPES:
        raise ValueError(f"{name} holds something else than one volume (shape {shape[:rank]}, type {kind})")
    sizes = tuple(shape[:3])
    if min(sizes) < 1 or math.prod(sizes) > SIGNAL_ENTRIES:
        raise ValueError(f"{name} claims {sizes} voxels; at most {SIGNAL_ENTRIES} are read, and one along each axis")
    start = struct.unpack_from(order + "f", raw, 108)[0]
    if not HEADER <= start <= _LATEST:
        raise ValueError(f"{name} has its first voxel at byte {start:g}")
    return order, kind, sizes, int(start)


def directions(raw: bytes, order: str) -> np.ndarray:
    """What one step along each axis (columns) means in space (rows: right, front, top), up to a positive scale."""
    import numpy as np

    quaternion, affine = struct.unpack_from(order + "2h", raw, 252)
    if affine > 0:
        return np.array(struct.unpack_from(order + "12f", raw, 280)).reshape(3, 4)[:, :3]
    if quaternion > 0:
        b, c, d = struct.unpack_from(order + "3f", raw, 256)
        a = max(0.0, 1.0 - b * b - c * c - d * d) ** 0.5
        turn = np.array(
            [
                [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
                [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
                [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
            ]
        )
        turn[:, 2] *= -1 if struct.unpack_from(order + "f", raw, 76)[0] < 0 else 1
        return turn
    return np.eye(3)


def _affine(raw: bytes, order: str) -> np.ndarray:
    """The affine of a header: the stated one, or that of its rotation, steps and offsets."""
    import numpy as np

    whole = np.eye(4)
    if struct.unpack_from(order + "h", raw, 254)[0] > 0:
        whole[:3] = np.array(struct.unpack_from(order + "12f", raw, 280)).reshape(3, 4)
        return whole
    steps = np.array(struct.unpack_from(order + "8f", raw, 76)[1:4])
    whole[:3, :3] = directions(raw, order) * np.where(steps > 0, steps, 1.0)
    whole[:3, 3] = struct.unpack_from(order + "3f", raw, 268)
    return whole


def turn_of(directions: np.ndarray, name: str) -> tuple[list[int], tuple[int, ...]]:
    """The stored axis of each canonical one (right, front, top), and the canonical axes that run backwards on it.

    Raises:
        ValueError: If the axes are oblique.
    """
    import numpy as np

    unit = directions / np.linalg.norm(directions, axis=0)
    axes = [int(axis) for axis in np.abs(unit).argmax(1)]
    if sorted(axes) != [0, 1, 2] or not np.abs(unit).max(1).min() >= 0.9:
        raise ValueError(f"the axes of {name} are oblique")
    return axes, tuple(space for space in range(3) if unit[space, axes[space]] < 0)


def write_map(
    values: np.ndarray, path: str | os.PathLike[str], like: str | os.PathLike[str] | Grid, fit: str | None = None
) -> Path:
    """Write a map of a volume as float32 in NIfTI-1, on the grid and with the affine of the scan that it belongs to.

    Args:
        values: The map, `(left to right, back to front, bottom to top)` as scans are read.
        path: Where to write it, ".nii" or ".nii.gz".
        like: The scan's NIfTI file, or its grid.
        fit: Needed where the map is of another size, which does not say how the scan was resized: "stretch" resizes
            each axis by its own factor, trilinearly, "centre" adds zeros or cuts off around the middle.

    Raises:
        InputError: If the map has not three axes or is not finite as float32, the path has another ending, the scan
            cannot be read or is oblique, or the sizes differ and `fit` does not say how.
        StorageError: If the file cannot be written; one that was there before stays as it was.
    """
    import numpy as np

    target = Path(path)
    if not target.name.lower().endswith(ENDINGS):
        raise InputError(f"the path {target.name!r}", "one that ends with .nii or .nii.gz", "correct the path")
    if fit not in (None, *FITS):
        raise InputError(f"fit {fit!r:.60}", f"one of {', '.join(FITS)}, or None", "choose one of them")
    if values.ndim != 3:
        raise InputError(f"a map of {values.ndim} axes", "one of three axes", "use it for volumes")
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
    if not np.isfinite(single).all():
        raise InputError("a map with numbers that are not finite as float32", "finite numbers", "repair the map")
    grid = Grid.of(like)
    try:
        axes, backwards = grid.turn
    except ValueError as error:
        do = "bring the scan to the axes of the scanner first, and explain that"
        raise InputError(
            f"a scan with oblique axes ({error})", "axes within 25° of right, front and top", do
        ) from error
    canonical = tuple(grid.shape[axis] for axis in axes)
    fitted = _fitted(single, canonical, fit)
    stored = np.flip(fitted, backwards).transpose(np.argsort(axes))
    data = _header_for(grid, stored) + stored.astype(grid.order + "f4").tobytes(order="F")
    if target.name.lower().endswith(".gz"):
        data = gzip.compress(data, mtime=0)
    write_whole(target, [data])
    return target


def _fitted(values: np.ndarray, shape: tuple[int, ...], fit: str | None) -> np.ndarray:
    """A map at another size; see `write_map`."""
    import numpy as np
    import torch

    if values.shape == shape:
        return values
    if fit is None:
        got = f"a map of {' × '.join(map(str, values.shape))} for a scan of {' × '.join(map(str, shape))}"
        raise InputError(got, "one of its size, or `fit`", _FIT_HINT)
    if fit == "centre":
        found = np.zeros(shape, np.float32)
        ours, theirs = [], []
        for old, new in zip(values.shape, shape, strict=True):
            both, start, there = min(old, new), max(0, (old - new) // 2), max(0, (new - old) // 2)
            ours.append(slice(start, start + both))
            theirs.append(slice(there, there + both))
        found[tuple(theirs)] = values[tuple(ours)]
        return found
    whole = torch.from_numpy(np.ascontiguousarray(values))[None, None]
    return torch.nn.functional.interpolate(whole, shape, mode="trilinear", align_corners=False)[0, 0].numpy()


def _header_for(grid: Grid, stored: np.ndarray) -> bytes:
    """A header with the place of a scan and the type of a map; texts of the scan's header are left out."""
    import numpy as np

    order, head = grid.order, bytearray(HEADER)
    steps = np.linalg.norm(grid.affine[:3, :3], axis=0)
    struct.pack_into(order + "4f", head, 76, 1.0, *steps)
    struct.pack_into(order + "2h", head, 252, 0, 1)  # the affine is that of the scanner
    struct.pack_into(order + "12f", head, 280, *grid.affine[:3].ravel())
    head[123] = 2  # millimetres
    if grid.header:
        for start, stop in ((76, 108), (123, 124), (252, 328)):  # steps, units, rotation and affine, byte for byte
            head[start:stop] = grid.header[start:stop]
    struct.pack_into(order + "i", head, 0, 348)
    struct.pack_into(order + "8h", head, 40, 3, *stored.shape, 1, 1, 1, 1)
    struct.pack_into(order + "2h", head, 70, 16, 32)  # float32
    struct.pack_into(order + "3f", head, 108, float(HEADER), 1.0, 0.0)
    most = float(np.abs(stored).max(initial=0.0))
    struct.pack_into(order + "2f", head, 124, most, -most)
    head[148 : 148 + 22] = b"hf_fourier relevance  "
    head[344:348] = b"n+1\0"
    return bytes(head)
