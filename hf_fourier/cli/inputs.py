"""What `hf-fourier explain` reads: texts, pictures, sounds, volumes and cells, by the endings of files."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hf_fourier.cli.show import err, line
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
#: Cells of a file that are read where none are named.
FIRST_CELLS = 8


def read(inputs: Sequence[str], pair: bool, cells: str | None = None) -> tuple[list[str], list[Any]]:
    """The examples with a name for each: files by their endings, texts, or pairs of texts.

    Args:
        inputs: Paths or texts, or "-" alone.
        pair: Whether texts belong together two by two.
        cells: Which cells of a file that holds many: names and numbers with commas between, "0:20" or "all".

    Raises:
        InputError: If standard input is empty, a file cannot be read, or pairs do not come out even.
    """
    texts = list(inputs)
    if texts == ["-"]:
        texts = [text for text in sys.stdin.read().splitlines() if text.strip()]
        if not texts:
            raise InputError("nothing on standard input", "one text per line", "pipe texts in")
        if pair:
            texts = [part for text in texts for part in _two(text)]
        files = False
    else:
        files = True
    if not pair:
        found = [one for text in texts for one in (_several(text, cells) if files else [(text, text)])]
        return [name for name, _ in found], [one for _, one in found]
    if len(texts) % 2:
        raise InputError(f"{len(texts)} texts with --pair", "an even number", "give both texts of each pair, in quotes")
    pairs = list(zip(texts[::2], texts[1::2], strict=True))
    return [" | ".join(both) for both in pairs], pairs


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


def _several(text: str, cells: str | None) -> list[tuple[str, Any]]:
    """One example under its own name, or some cells of a file under theirs."""
    from hf_fourier.cells import is_cells, read_cells

    if not is_cells(text):
        return [(text, example(text))]
    found = read_cells(text, _which(cells))
    if cells is None and len(found) > FIRST_CELLS:
        said = f"{Path(text).name} holds {len(found)} cells: the first {FIRST_CELLS} are read; --cells names others"
        line(err(), said, style="yellow")
        found = found[:FIRST_CELLS]
    return [(cell["name"], cell) for cell in found]


def _which(cells: str | None) -> Any:
    """What `--cells` says, as `read_cells` takes it."""
    if cells is None or cells == "all":
        return None
    span = re.fullmatch(r"(\d*):(\d*)", cells)
    if span is not None:
        return slice(*(int(end) if end else None for end in span.groups()))
    parts = [part.strip() for part in cells.split(",") if part.strip()]
    return [int(part) if re.fullmatch(r"\d+", part) else part for part in parts]


def slug(text: str, most: int = 40) -> str:
    """A name for a file: letters, digits, dots and dashes."""
    ending = next((e for e in sorted(READ, key=len, reverse=True) if text.lower().endswith(e)), "")
    stem = Path(text[: len(text) - len(ending)]).name if ending else text
    return re.sub(r"[^\w.]+", "-", stem)[:most].strip("-.") or "example"


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


def _two(text: str) -> tuple[str, str]:
    parts = text.split("\t")
    if len(parts) != 2:
        raise InputError(f"the line {text[:60]!r} with --pair", "two texts with one tab between", "correct the line")
    return parts[0], parts[1]
