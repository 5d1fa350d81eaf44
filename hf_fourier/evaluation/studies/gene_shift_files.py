"""The folder of an in-silico perturbation: its settings, and one file for each piece of cells that is done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hf_fourier.errors import DamagedFile, InputError
from hf_fourier.results.atomic_writes import write_whole
from hf_fourier.results.integrity import as_stored, parsing, read_json, sealed
from hf_fourier.results.schema import Malformed, check
from hf_fourier.results.sealed_values import SealedValues

NAME = "perturbation.json"
#: Arrays of a piece with an entry for each row.
ROWS = ("cell", "perturbation", "rank", "control", "cosine", "shifts", "score")
#: Arrays of a piece for effects on other genes: perturbation, whether control, token; number, sum, squares.
DOWNSTREAM = ("affected", "affected_sums")
_SCHEMA = {
    "by": str, "embedding": str, "layer": int, "downstream": bool, "genes": (list, type(None)), "tokens": dict,
    "symbols": dict, "cells": [str], "ends": [str], "pieces?": int, "notes?": [str],
}  # fmt: skip
#: Settings that are not compared: remarks.
_REMARKS = ("notes",)
_HINT = "call perturb_genes with the same folder again: it computes that part once more"
_SETTINGS_HINT = "restore it from a copy, or delete the folder and call perturb_genes again"


def write_settings(folder: Path, settings: Mapping[str, Any], answer: Sequence[float]) -> None:
    """Write the settings into a new folder, or check that those of the folder are the same.

    Args:
        folder: The folder.
        settings: Plain values.
        answer: Numbers that the model gave for the first cell, by which its weights are known again.

    Raises:
        InputError: If it holds a perturbation with other settings.
        DamagedFile: If the settings in it are not as they were written.
        StorageError: If it cannot be written.
    """
    if not (folder / NAME).is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / NAME, [sealed({**settings, "answer": list(answer)})])
        return
    before, now = read_json(folder / NAME, _SETTINGS_HINT), as_stored(dict(settings))
    first = before.pop("answer", [])
    different = [name.replace("_", " ") for name in now if name not in _REMARKS and before.get(name) != now[name]]
    if not different and not np.allclose(first, answer, rtol=1e-3, atol=1e-5):
        different = ["the model's weights"]
    if different:
        got = f"a perturbation into {folder.name!r}, whose own differs in {', '.join(different)}"
        raise InputError(got, "the settings that it was started with", "choose another folder")


def read_settings(folder: Path) -> dict[str, Any]:
    """The settings of a folder.

    Raises:
        InputError: If there are none.
        DamagedFile: If they are not as they were written.
    """
    path = folder / NAME
    if not path.is_file():
        raise InputError(f"the folder {folder.name!r} without {NAME}", "one of perturb_genes", "correct the path")
    settings = read_json(path, _SETTINGS_HINT)
    with parsing(path, _SETTINGS_HINT):
        check(settings, _SCHEMA)
    return settings


def piece_path(folder: Path, number: int) -> Path:
    """The file of a piece."""
    return folder / f"piece-{number:06d}.safetensors"


def write_piece(path: Path, number: int, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a piece, whole or not at all.

    Raises:
        StorageError: If it cannot be written.
    """
    PIECE.write(path, {"piece": number}, arrays)


def has_piece(path: Path, number: int) -> bool:
    """Whether the piece of this number is there, as it was written."""
    try:
        return path.is_file() and bool(PIECE.read(path)[0]["piece"] == number)
    except DamagedFile:
        return False


def read_pieces(folder: Path) -> list[dict[str, np.ndarray]]:
    """All pieces that are there, in order.

    Raises:
        DamagedFile: If one is not as it was written.
    """
    return [PIECE.read(path)[1] for path in sorted(folder.glob("piece-*.safetensors"))]


def merged(settings: Mapping[str, Any], pieces: Iterable[Mapping[str, np.ndarray]]) -> dict[str, Any]:
    """The fields of a `GeneShifts`.

    Args:
        settings: As `read_settings` returns them.
        pieces: Their arrays.
    """
    pieces = list(pieces)
    if not pieces and settings.get("pieces"):
        raise InputError("a folder without a finished cell", "an interrupted or a finished perturbation", _HINT)
    if not pieces or not sum(len(piece["cell"]) for piece in pieces):
        got = "cells without any of the genes"
        raise InputError(got, "genes that are expressed, or over-expressed ones", "correct `genes`")
    rows = {name: np.concatenate([piece[name] for piece in pieces]) for name in ROWS}
    rows["control"] = rows["control"].astype(bool)
    gene_of = {token: gene for gene, token in settings["tokens"].items()}
    symbols = settings["symbols"]
    if settings["genes"] is None:  # perturbations are numbered by their gene's token
        numbers, rows["perturbation"] = np.unique(rows["perturbation"], return_inverse=True)
        perturbed = tuple((gene_of[int(token)],) for token in numbers)
    else:
        perturbed = tuple(tuple(genes) for genes in settings["genes"])
    known = sorted(gene_of)
    return {
        **rows, "perturbed": perturbed, "ends": tuple(settings["ends"]), "cells": tuple(settings["cells"]),
        "symbols": tuple(tuple(symbols.get(gene, gene) for gene in genes) for genes in perturbed),
        "settings": settings, "genes": tuple((gene_of[t], symbols.get(gene_of[t], gene_of[t])) for t in known),
        "downstream": _downstream(pieces, known, len(perturbed)) if settings["downstream"] else None,
    }  # fmt: skip


def _downstream(
    pieces: Iterable[Mapping[str, np.ndarray]], tokens: Sequence[int], perturbations: int
) -> dict[tuple[int, bool], np.ndarray]:
    """Sums over all pieces, by perturbation and control."""
    place = np.full(max(tokens) + 1, -1)
    place[list(tokens)] = np.arange(len(tokens))
    sums = np.zeros((perturbations, 2, len(tokens), 3))
    for piece in pieces:
        number, control, token = piece["affected"].T
        np.add.at(sums, (number, control, place[token]), piece["affected_sums"])
    return {(i, control): sums[i, int(control)] for i in range(perturbations) for control in (False, True)}


def _fits(values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Check that the arrays of a piece fit each other.

    Raises:
        Malformed: If they do not.
    """
    rows = len(arrays["cell"])
    if any(len(arrays[name]) != rows for name in ROWS) or arrays["shifts"].ndim != 2:
        raise Malformed("not one entry for each row")
    if "affected" in arrays and arrays["affected_sums"].shape != (len(arrays["affected"]), 3):
        raise Malformed("not three sums for each affected gene")


PIECE = SealedValues(
    name="perturbed genes", saved_by="perturb_genes", format=1, schema={"piece": int}, hint=_HINT, fits=_fits
)
