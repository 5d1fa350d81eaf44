"""Volumes from NIfTI-1 files, in canonical orientation."""

from __future__ import annotations

import gzip
import math
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from hf_fourier.results.nifti_file import HEADER, TYPES, directions, parse_header, turn_of

if TYPE_CHECKING:
    import numpy as np


def read_nifti(path: Path) -> tuple["np.ndarray", tuple[float, float, float]]:
    """A volume in NIfTI-1 as float32 and the spacing of its voxels in mm, its axes turned to canonical orientation.

    Of a packed file no more is unpacked than its header states.

    Raises:
        ValueError: it is not a NIfTI-1 file of one volume, its type is unknown, its axes are oblique, or it has more
            voxels than `limits.SIGNAL_ENTRIES` or than its file holds.
    """
    import numpy as np

    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
        raw = file.read(HEADER)
        order, kind, shape, start = parse_header(raw, path.name)
        count = math.prod(shape)
        file.read(start - HEADER)
        data = file.read(count * np.dtype(TYPES[kind]).itemsize)
    steps = struct.unpack_from(order + "8f", raw, 76)[1:4]
    slope, offset = struct.unpack_from(order + "2f", raw, 112)
    values = np.frombuffer(data, order + TYPES[kind], count)
    volume = values.reshape(shape, order="F").astype(np.float32)
    if slope:
        volume = volume * np.float32(slope) + np.float32(offset)
    axes, backwards = turn_of(directions(raw, order), path.name)
    turned = np.flip(volume.transpose(axes), backwards)
    return np.ascontiguousarray(turned), (float(steps[axes[0]]), float(steps[axes[1]]), float(steps[axes[2]]))
