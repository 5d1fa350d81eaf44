"""Cross-fitting on the blood cells: a stand-in for each fold, which has not seen the cells that it is asked about.

Fold 0 is the test split of `pbmc`, a fifth of the cells, whose model is `pbmc-geneformer`. The other cells are in three
more folds; for each of them the same model is trained on all cells but its own, and kept in a folder.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import assets
from hf_fourier import FourierExplainer, demo
from hf_fourier.demo.convert.ranks import write_stand_in

#: Ends of the folds, as shares of the cells of a label.
ENDS = (3 / 15, 7 / 15, 11 / 15, 1)


def folds_of(names: list[str], labels: list[str]) -> list[int]:
    """The fold of each cell: a part of each label, in the order of the digests of their names."""
    order = sorted(range(len(names)), key=lambda index: hashlib.sha256(names[index].encode()).hexdigest())
    found = [0] * len(names)
    for label in set(labels):
        members = [index for index in order if labels[index] == label]
        ends = [round(len(members) * end) for end in ENDS]
        for place, index in enumerate(members):
            found[index] = next(fold for fold, end in enumerate(ends) if place < end)
    return found


def held_out(fold: int) -> list[dict[str, Any]]:
    """The cells of a fold."""
    cells = demo.cells()
    numbers = folds_of([cell["name"] for cell in cells], [cell["label"] for cell in cells])
    return [cell for cell, number in zip(cells, numbers, strict=True) if number == fold]


def explainer(fold: int, folder: Path) -> FourierExplainer:
    """The model that has not seen the cells of a fold; trained where the folder does not hold it.

    Args:
        fold: From 0 on.
        folder: Where trained models are kept.
    """
    if fold == 0:
        return FourierExplainer.from_pretrained(str(demo.get("pbmc-geneformer")), device="cpu")
    place = folder / f"fold-{fold}"
    if not place.is_dir():
        with tempfile.TemporaryDirectory(dir=folder) as name:
            data, made = Path(name) / "data", Path(name) / "model"
            made.mkdir()
            _write_split(assets.get("pbmc"), data, fold)
            write_stand_in(data, made, "pbmc", "blood cells")
            made.rename(place)
    return FourierExplainer.from_pretrained(str(place), device="cpu")


def _write_split(source: Path, data: Path, fold: int) -> None:
    """The cells as the asset holds them, those of the fold for testing."""
    data.mkdir()
    shutil.copy(source / "cells.npz", data)
    table = json.loads((source / "cells.json").read_text(encoding="utf-8"))
    numbers = folds_of(table["barcodes"], table["labels"])
    table["splits"] = ["test" if number == fold else "train" for number in numbers]
    (data / "cells.json").write_text(json.dumps(table), encoding="utf-8")
