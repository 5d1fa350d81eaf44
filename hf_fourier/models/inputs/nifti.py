"""Volumes from NIfTI-1 files, in canonical orientation."""

from __future__ import annotations

import gzip
import math
import struct
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

#: Bytes up to the first voxel, at least and at most: extensions lie between.
_HEADER, _LATEST = 352, 2**24
_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4"}


def read_nifti(path: Path) -> tuple["np.ndarray", tuple[float, float, float]]:
    """A volume in NIfTI-1 as float32 and the spacing of its voxels in mm, its axes turned to canonical orientation.

    Of a packed file no more is unpacked than its header states.

    Raises:
        ValueError: it is not a NIfTI-1 file of one volume, its type is unknown, its axes are oblique, or it has more
            voxels than `limits.SIGNAL_ENTRIES` or than its file holds.
    """
    import numpy as np

    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
        raw = file.read(_HEADER)
        order, kind, shape, start = _header(raw, path.name)
        count = math.prod(shape)
        file.read(start - _HEADER)
        data = file.read(count * np.dtype(_TYPES[kind]).itemsize)
    steps = struct.unpack_from(order + "8f", raw, 76)[1:4]
    slope, offset = struct.unpack_from(order + "2f", raw, 112)
    values = np.frombuffer(data, order + _TYPES[kind], count)
    volume = values.reshape(shape, order="F").astype(np.float32)
    if slope:
        volume = volume * np.float32(slope) + np.float32(offset)
    volume, axes = _canonical(volume, _directions(raw, order), path.name)
    return np.ascontiguousarray(volume), (float(steps[axes[0]]), float(steps[axes[1]]), float(steps[axes[2]]))


def _header(raw: bytes, name: str) -> tuple[str, int, tuple[int, ...], int]:
    """Byte order, type, three sizes and the place of the first voxel.

    Raises:
        ValueError: See `read_nifti`.
    """
    from hf_fourier.domains.limits import SIGNAL_ENTRIES  # loads torch, which listing assets does without

    if len(raw) < _HEADER:
        raise ValueError(f"{name} is shorter than a header")
    order = "<" if struct.unpack_from("<i", raw)[0] == 348 else ">"
    if struct.unpack_from(order + "i", raw)[0] != 348 or raw[344:347] != b"n+1":
        raise ValueError(f"{name} is not a NIfTI-1 file")
    rank, *shape = struct.unpack_from(order + "8h", raw, 40)
    kind = struct.unpack_from(order + "h", raw, 70)[0]
    if rank < 3 or any(size > 1 for size in shape[3:rank]) or kind not in _TYPES:
        raise ValueError(f"{name} holds something else than one volume (shape {shape[:rank]}, type {kind})")
    sizes = tuple(shape[:3])
    if min(sizes) < 1 or math.prod(sizes) > SIGNAL_ENTRIES:
        raise ValueError(f"{name} claims {sizes} voxels; at most {SIGNAL_ENTRIES} are read, and one along each axis")
    start = struct.unpack_from(order + "f", raw, 108)[0]
    if not _HEADER <= start <= _LATEST:
        raise ValueError(f"{name} has its first voxel at byte {start:g}")
    return order, kind, sizes, int(start)


def _directions(raw: bytes, order: str) -> "np.ndarray":
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


def _canonical(volume: "np.ndarray", directions: "np.ndarray", name: str) -> tuple["np.ndarray", list[int]]:
    import numpy as np

    unit = directions / np.linalg.norm(directions, axis=0)
    axes = [int(axis) for axis in np.abs(unit).argmax(1)]
    if sorted(axes) != [0, 1, 2] or np.abs(unit).max(1).min() < 0.9:
        raise ValueError(f"the axes of {name} are oblique")
    turned = volume.transpose(axes)
    return np.flip(turned, tuple(space for space in range(3) if unit[space, axes[space]] < 0)), axes
