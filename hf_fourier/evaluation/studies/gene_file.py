"""The file of scores of genes: sparse matrices and plain values in safetensors, with digests, checked when read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from hf_fourier.errors import InputError
from hf_fourier.results.atomic_writes import write_whole
from hf_fourier.results.integrity import parsing, to_json
from hf_fourier.results.schema import Malformed, check
from hf_fourier.results.tensor_files import bytes_tensor, laid_out_sealed, read_sealed

FORMAT = 1
MATRICES, NUMBERS, TEXTS = (
    ("scores", "effects"),
    ("confidences", "decided"),
    ("genes", "symbols", "cells", "labels", "groups"),
)
_PARTS = ("data", "indices", "indptr")
_VALUES = "gene scores"
_SCHEMA = {**{name: [str] for name in TEXTS}, "by": str, "measure": str, "groupby": str, "provenance": dict}
_HINT = "restore it from a copy, or score the genes again"


def write(path: Path, values: Mapping[str, Any], arrays: Mapping[str, Any]) -> Path:
    """Write scores of genes as one file, whole or not at all.

    Args:
        path: The file.
        values: Texts by the names in `TEXTS`, and plain values.
        arrays: Matrices by the names in `MATRICES` (None for none), and numbers by cell by those in `NUMBERS`.

    Raises:
        StorageError: If it cannot be written.
    """
    import torch

    whole = {name: arrays[name] for name in NUMBERS}
    for name in MATRICES:
        if arrays[name] is not None:
            whole.update({f"{name} {part}": getattr(arrays[name], part) for part in _PARTS})
    tensors = {name: torch.from_numpy(np.array(array, order="C")) for name, array in whole.items()}
    write_whole(path, laid_out_sealed({**tensors, _VALUES: bytes_tensor(to_json({"format": FORMAT, **values}))}))
    return path


def read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The values and arrays that `write` wrote.

    Raises:
        InputError: If it is no such file, or one of a newer format.
        DamagedFile: If it is not as it was written.
        StorageError: If it cannot be read.
    """
    if not path.is_file():
        raise InputError(f"{path.name!r}, which is no file", "a file that `GeneScores.save` wrote", "pass that one")
    tensors = read_sealed(path, _HINT)
    if _VALUES not in tensors:
        raise InputError(f"{path.name!r}, another file of tensors", "one that `GeneScores.save` wrote", "pass that one")
    with parsing(path, _HINT):
        values = json.loads(bytes(tensors.pop(_VALUES).numpy()))
        check(values, {"format": int})
        if values["format"] > FORMAT:
            raise InputError(f"format {values['format']}", f"at most {FORMAT}", "install a newer hf_fourier")
        check(values, _SCHEMA)
        arrays: dict[str, Any] = {name: tensors[name].numpy() for name in NUMBERS}
        cells, genes = len(values["cells"]), len(values["genes"])
        lengths = {"symbols": genes, "labels": cells, "groups": (0, cells)}
        for name, length in lengths.items():
            if len(values[name]) not in (length if isinstance(length, tuple) else (length,)):
                raise Malformed(f"{len(values[name])} {name} for {cells} cells and {genes} genes")
        if any(arrays[name].shape != (cells,) for name in NUMBERS):
            raise Malformed("not one confidence for each cell")
        for name in MATRICES:
            parts = tuple(tensors[f"{name} {part}"].numpy() for part in _PARTS if f"{name} {part}" in tensors)
            arrays[name] = sparse.csr_array(parts, (cells, genes)) if parts else None
            if parts:
                arrays[name].check_format()
        return {name: values[name] for name in _SCHEMA}, arrays
