"""Ensembl ids of the genes in a table of cells: which column of `AnnData.var` holds them."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from hf_fourier.errors import InputError

#: Columns of `var` that may hold Ensembl ids, by preference, before its index: Geneformer's own, and those of readers.
ID_COLUMNS = ("ensembl_id", "ensembl_gene_id", "gene_ids", "gene_id", "feature_id", "ensembl", "Accession")
_ENSEMBL = re.compile(r"(ENS[A-Z]*G\d+)(\.\d+)?", re.IGNORECASE)
#: Entries that are looked at to tell ids from other names.
_LOOK = 1000


def gene_ids(var: Any, column: str | None = None) -> list[str]:
    """Ensembl ids of the genes: of a column, or of the first of `ID_COLUMNS` or the index that holds them.

    Raises:
        InputError: If there is no such column.
    """
    if column is not None and column not in var:
        got, do = f"gene_ids {column!r}", "correct `gene_ids`"
        raise InputError(got, f"one of the columns {', '.join(map(str, var.columns))}", do)
    for name in ID_COLUMNS if column is None else (column,):
        if name == column or (name in var and _ensembl(var[name])):
            return [str(gene) for gene in var[name]]
    return [str(gene) for gene in var.index]


@lru_cache(maxsize=2**16)  # every cell names the same genes
def id_forms(name: str) -> tuple[str, ...]:
    """A gene's name; if it is an Ensembl id also in capitals, with and without its version. Others are one form."""
    found = _ENSEMBL.fullmatch(name)
    return (name,) if found is None else (name, found[0].upper(), found[1].upper())


def _ensembl(names: Any) -> bool:
    """Whether most of the first names are Ensembl ids."""
    first = [str(name) for name in names[:_LOOK]]
    return sum(_ENSEMBL.fullmatch(name) is not None for name in first) > len(first) / 2
