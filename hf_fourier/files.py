"""Examples out of files, by their endings: pictures, sounds, volumes and cells."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from hf_fourier.errors import InputError

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
SOUNDS = (".wav", ".flac", ".ogg", ".mp3")
SCANS = (".nii", ".nii.gz")
ARRAYS, CELLS = (".npy",), (".json",)
MANY_CELLS = (".h5ad", ".dataset")
READ = (*PICTURES, *SOUNDS, *SCANS, *ARRAYS, *CELLS, *MANY_CELLS)
ACCEPTED = (
    "a picture, a sound (.wav, .flac, .ogg, .mp3), a volume (.nii, .nii.gz, .npy), cells (.h5ad, .dataset), a cell "
    '(.json: {"genes": [Ensembl ids], "values": [counts]}), or a text or protein typed as it is'
)


def example(text: str) -> Any:
    """One example: what the file of this name holds, or the text itself where there is no such file.

    Raises:
        InputError: If the file's ending is none that is read, or it does not hold what its ending says.
    """
    if not os.path.isfile(text):
        return text
    path, name = Path(text), text.lower()
    if name.endswith((*PICTURES, *SOUNDS)):
        return path
    if name.endswith(SCANS):
        return _scan(path)
    if name.endswith(ARRAYS):
        return _array(path)
    if name.endswith(CELLS):
        return _cell(path)
    do = f"for the lines of a text file: hf-fourier explain MODEL - < {text}"
    raise InputError(f"the file {text!r}", ACCEPTED, do)


def _scan(path: Path) -> Any:
    """A NIfTI volume, its axes from left to right, back to front and bottom to top."""
    import struct
    import zlib

    from hf_fourier.assets.scans import read_nifti

    try:
        return read_nifti(path)[0]
    except (ValueError, OSError, EOFError, struct.error, zlib.error) as error:
        raise InputError(f"{path.name!r}, which cannot be read ({error})", "a NIfTI-1 volume", "convert it") from error


def _array(path: Path) -> Any:
    import numpy as np

    try:
        return np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        got = f"{path.name!r}, which cannot be read ({error})"
        raise InputError(got, "one array of numbers as numpy.save writes it", "save it again") from error


def _cell(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        got = f"{path.name!r}, which is no JSON ({error})"
        raise InputError(got, '{"genes": [Ensembl ids], "values": [counts]}', "correct it") from error
    if not isinstance(found, dict) or not all(isinstance(found.get(key), list) for key in ("genes", "values")):
        got = f"{path.name!r} without 'genes' and 'values'"
        raise InputError(got, '{"genes": [Ensembl ids], "values": [counts]}', "write one cell per file")
    return {"genes": [str(gene) for gene in found["genes"]], "values": found["values"]}
