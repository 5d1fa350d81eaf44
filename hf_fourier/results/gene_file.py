"""The file of scores of genes: sparse matrices by their parts, numbers by cell, and plain values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from hf_fourier.results.integrity import parsing
from hf_fourier.results.schema import Malformed, check
from hf_fourier.results.sealed_values import SealedValues

MATRICES, NUMBERS, TEXTS = (
    ("scores", "effects"),
    ("confidences", "model_share"),
    ("genes", "symbols", "names", "cells", "labels", "groups"),
)
_PARTS = ("data", "indices", "indptr")
PLAIN = {"by": str, "measure": str, "groupby": str, "provenance": dict, "signed": bool, "reads_first": bool}
#: Plain values that files of earlier versions do not have.
LATER: dict[str, Any] = {"aliases": dict, "samples": [str]}


def write(path: Path, values: Mapping[str, Any], arrays: Mapping[str, Any]) -> Path:
    """Write scores of genes as one file, whole or not at all.

    Args:
        path: The file.
        values: Texts by the names in `TEXTS`, and plain values.
        arrays: Matrices by the names in `MATRICES` (None for none), and numbers by cell by those in `NUMBERS`.

    Raises:
        StorageError: If it cannot be written.
    """
    whole = {name: arrays[name] for name in NUMBERS}
    for name in MATRICES:
        if arrays[name] is not None:
            whole.update({f"{name} {part}": getattr(arrays[name], part) for part in _PARTS})
    return FILE.write(path, values, whole)


def read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The values and arrays that `write` wrote.

    Raises:
        InputError: If it is no such file, or one of a newer format.
        DamagedFile: If it is not as it was written.
        StorageError: If it cannot be read.
    """
    values, whole = FILE.read(path)
    shape = len(values["cells"]), len(values["genes"])
    arrays: dict[str, Any] = {name: whole[name] for name in NUMBERS}
    with parsing(path, FILE.hint):
        arrays |= {name: _matrix(name, whole, shape) for name in MATRICES}
        if arrays["scores"] is None:
            raise Malformed("no scores")
    return values, arrays


def _matrix(name: str, whole: Mapping[str, np.ndarray], shape: tuple[int, int]) -> sparse.csr_array | None:
    """A matrix by its parts, None where the file has none of them; raises `ValueError` where they make no matrix."""
    parts = tuple(whole[f"{name} {part}"] for part in _PARTS if f"{name} {part}" in whole)
    if not parts:
        return None
    matrix = sparse.csr_array(parts, shape)
    matrix.check_format()
    return matrix


def _fits(values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Check that the texts and the numbers by cell fit each other.

    Raises:
        Malformed: If they do not.
    """
    cells, genes = len(values["cells"]), len(values["genes"])
    check(list(values.get("aliases", {}).values()), [str], "aliases")
    lengths = {"symbols": genes, "names": genes, "labels": cells, "groups": (0, cells), "samples": (0, cells)}
    for name, length in lengths.items():
        if len(values.get(name, ())) not in (length if isinstance(length, tuple) else (length,)):
            raise Malformed(f"{len(values.get(name, ()))} {name} for {cells} cells and {genes} genes")
    if any(arrays[name].shape != (cells,) for name in NUMBERS):
        raise Malformed("not one confidence for each cell")


FILE = SealedValues(
    name="gene scores",
    saved_by="GeneScores.save",
    format=1,
    schema={**{name: [str] for name in TEXTS}, **PLAIN, **{f"{name}?": kind for name, kind in LATER.items()}},
    hint="restore it from a copy, or score the genes again",
    fits=_fits,
)
