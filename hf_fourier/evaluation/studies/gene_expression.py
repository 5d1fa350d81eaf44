"""Differential expression of groups of cells, a control for scores of genes that does not use the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import sparse

from hf_fourier.errors import InputError
from hf_fourier.models.gene_tokenizer import GeneTokenizer
from hf_fourier.results.gene_groups import GroupSums, comparable, welch

#: Cells whose counts are held at once.
AT_ONCE = 256


def differential_expression(
    tokenizer: GeneTokenizer, cells: Sequence[Any], groups: Sequence[str]
) -> dict[str, Mapping[str, float]] | None:
    """Welch's t of each gene's log expression in a group against all other cells, by group.

    Expression is log(1 + 10,000 × count / the cell's total), of the genes of the model's vocabulary; counts of a gene
    that comes by several names are added before.

    Args:
        tokenizer: Of the model.
        cells: `{"genes", "values"}` each; they are read in pieces.
        groups: The group of each cell, "" for none.

    Returns:
        For each group that has two cells the statistics by Ensembl id. None without such groups, or where cells come
        as tokens, without counts.
    """
    if not any(groups) or "values" not in cells[0]:
        return None
    column_of = {gene: i for i, gene in enumerate(tokenizer.tokens)}
    sums = GroupSums.empty(tuple(sorted({name for name in groups if name})), len(column_of))
    for start in range(0, len(cells), AT_ONCE):
        some = cells[start : start + AT_ONCE]
        if not all("values" in cell for cell in some):
            return None
        rows = [_expression(tokenizer, column_of, cell) for cell in some]
        indptr = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
        indices = np.array([column for row in rows for column in row], dtype=np.int64)
        values = np.array([value for row in rows for value in row.values()], dtype=float)
        sums.add(
            sparse.csr_array((values, indices, indptr), (len(some), len(column_of))), groups[start : start + AT_ONCE]
        )
    try:
        tested = comparable(sums.sizes)
    except InputError:  # too few cells for any test
        return None
    found: dict[str, Mapping[str, float]] = {}
    for group in tested:
        statistics = np.nan_to_num(welch(sums, group).t, posinf=1e9, neginf=-1e9)
        found[group] = dict(zip(column_of, statistics.tolist(), strict=True))
    return found


def _expression(tokenizer: GeneTokenizer, column_of: Mapping[str, int], cell: Mapping[str, Any]) -> dict[int, float]:
    """The log expression of one cell's genes, by column."""
    values = cell["values"]
    counts = np.ravel(values.toarray() if hasattr(values, "toarray") else values).astype(float)
    total, found = max(float(counts.sum()), 1e-300), dict[int, float]()
    for name, count in zip(cell["genes"], counts.tolist(), strict=True):
        gene = tokenizer.gene(str(name))
        if gene is not None and count:
            found[column_of[gene]] = found.get(column_of[gene], 0.0) + count
    return {column: float(np.log1p(1e4 * count / total)) for column, count in found.items()}
