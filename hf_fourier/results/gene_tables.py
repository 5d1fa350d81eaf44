"""Scores of genes written into an AnnData, in the forms that scanpy reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from hf_fourier.errors import InputError
from hf_fourier.results.gene_groups import REST, group_name, welch
from hf_fourier.results.gene_ids import gene_ids, id_forms

if TYPE_CHECKING:
    from anndata import AnnData


def to_anndata(
    scores: Any, adata: AnnData | None, key: str, gene_ids: str | None, new: Callable[..., AnnData]
) -> AnnData:
    """See `GeneScores.to_anndata`, of which `scores` is one; `new` makes an `AnnData`."""
    import pandas as pd

    if adata is None:
        obs = pd.DataFrame(index=list(scores.cells))
        if scores.groups:
            obs[scores.groupby or f"{key}_group"] = _categories(list(scores.groups))
        table = new(X=None, obs=obs, var=pd.DataFrame({"symbol": list(scores.symbols)}, index=list(scores.genes)))
        rows, columns = np.arange(len(scores)), np.arange(len(scores.genes))
    else:
        table = adata.to_memory() if getattr(adata, "isbacked", False) else adata.copy()
        rows, columns = _places(scores, table, gene_ids)
    table.layers[key] = _laid_out(scores.scores, rows, columns, table.shape)
    if adata is None:
        table.X = table.layers[key]  # which figures of scanpy read
    for name, values in _by_cell(scores).items():
        column = np.full(table.n_obs, None if name == "label" else np.nan, dtype=object if name == "label" else float)
        column[rows] = values
        table.obs[f"{key}_{name}"] = pd.Categorical(column) if name == "label" else column
    known = columns >= 0
    table.uns[key] = {
        "by": scores.by, "measure": scores.measure,
        "provenance": {name: str(value) for name, value in scores.provenance.items()},
        "genes_without_column": int((~known).sum()),
    }  # fmt: skip
    if scores.groups:
        groupby = scores.groupby
        column = np.full(table.n_obs, "", dtype=object)
        column[rows] = list(scores.groups)
        if groupby not in table.obs or not _drawn_alike(table.obs[groupby], rows, scores.groups):
            groupby = f"{key}_group"
            table.obs[groupby] = _categories(column)
        names = np.asarray(table.var_names)[columns[known]]
        try:
            table.uns["rank_genes_groups"] = rank_genes_groups(scores, groupby, key, names, np.flatnonzero(known))
        except InputError as error:  # too few cells for any test, which takes nothing from the scores
            table.uns[key]["not_tested"] = f"no test of the groups: {error}"
    return table


def rank_genes_groups(
    scores: Any, groupby: str, layer: str, names: Sequence[str] | np.ndarray, places: np.ndarray
) -> dict[str, Any]:
    """The comparison of the groups as `scanpy.tl.rank_genes_groups` would leave it, genes by t.

    `logfoldchanges` are differences of mean scores: scores have signs, and no logarithm.

    Args:
        scores: A `GeneScores` with groups.
        groupby: The column of `obs` that they are in.
        layer: The layer that the scores are in.
        names: What the table calls the genes.
        places: Which genes of the scores these are.
    """
    sums = scores.sums()
    groups = sums.among(REST)
    fields: dict[str, list[np.ndarray]] = {}
    for group in groups:
        test = welch(sums, group)
        order = np.argsort(-test.t[places], kind="stable")
        chosen = places[order]
        for name, values in {
            "names": np.asarray(names, dtype=object)[order],
            "scores": test.t[chosen].astype(np.float32),
            "pvals": test.p[chosen],
            "pvals_adj": test.adjusted[chosen],
            "logfoldchanges": (test.means[0] - test.means[1])[chosen].astype(np.float32),
        }.items():
            fields.setdefault(name, []).append(values)
    params = {
        "groupby": groupby, "reference": REST, "method": "t-test", "use_raw": False, "layer": layer,
        "corr_method": "benjamini-hochberg",
    }  # fmt: skip
    records = {name: _recorded(arrays, groups) for name, arrays in fields.items()}
    return {"params": params, **records}


def _recorded(arrays: Sequence[np.ndarray], names: Sequence[str]) -> Any:
    """Columns as a record array, which is what scanpy stores."""
    records = np.empty(len(arrays[0]), dtype=[(name, array.dtype) for name, array in zip(names, arrays, strict=True)])
    for name, array in zip(names, arrays, strict=True):
        records[name] = array
    return records.view(np.recarray)


def _categories(names: Sequence[str] | np.ndarray) -> Any:
    """Groups as categories, "" as none."""
    import pandas as pd

    return pd.Categorical([name or None for name in names])


def _drawn_alike(column: Any, rows: np.ndarray, groups: Sequence[str]) -> bool:
    """Whether scanpy's figures by a column are of these groups ("" where it has none), and of the scored cells alone.

    Of a column of numbers or truth values they are of intervals.
    """
    import pandas as pd
    from pandas.api.types import is_numeric_dtype

    named = [group_name(value) for value in column]
    elsewhere = np.ones(len(named), dtype=bool)
    elsewhere[rows] = False
    scored_alone = not any(named[place] for place in np.flatnonzero(elsewhere))
    texts = isinstance(column.dtype, pd.CategoricalDtype) or not is_numeric_dtype(
        column.dtype
    )  # truth values are numeric
    return texts and scored_alone and [named[place] for place in rows] == list(groups)


def _by_cell(scores: Any) -> dict[str, Any]:
    return {"label": list(scores.labels), "confidence": scores.confidences, "model_share": scores.model_share}


def _laid_out(scores: sparse.csr_array, rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> Any:
    """The scores at the table's own rows and columns; genes that are not in it are left out."""
    entries = scores.tocoo()
    known = columns[entries.col] >= 0
    places = rows[entries.row[known]], columns[entries.col[known]]
    return sparse.csr_matrix((entries.data[known].astype(np.float32), places), shape=shape)


def _places(scores: Any, table: AnnData, ids: str | None) -> tuple[np.ndarray, np.ndarray]:
    """The rows of the cells and the columns of the genes (−1 for none) in a table."""
    row_of = {str(name): i for i, name in enumerate(table.obs_names)}
    missing = [name for name in scores.cells if name not in row_of]
    if missing or len(row_of) < table.n_obs:
        got = f"a table without the cell {missing[0]!r}" if missing else "a table with several cells of one name"
        raise InputError(got, "the table that the cells came from", "pass that, or None for a new one")
    column_of = {name: i for i, name in reversed(list(enumerate(table.var_names.astype(str))))}
    for i, name in reversed(list(enumerate(gene_ids(table.var, ids)))):
        column_of.update(dict.fromkeys(id_forms(name), i))
    columns = _columns(scores, column_of)
    if not (columns >= 0).any():
        got = f"a table without any of {len(scores.genes)} genes ({scores.genes[0]}, …)"
        raise InputError(got, "the table that the cells came from", "pass that, or None for a new one")
    return np.array([row_of[name] for name in scores.cells]), columns


def _columns(scores: Any, column_of: Mapping[str, int]) -> np.ndarray:
    """The column of each gene, −1 for none: by its ids, then by its symbols where no other gene has that column."""
    aliases: tuple[dict[str, list[str]], dict[str, list[str]]] = ({}, {})  # retired ids, and former symbols
    for alias, gene in scores.aliases.items():
        aliases[len(id_forms(alias)) == 1].setdefault(gene, []).append(alias)
    genes = list(zip(scores.names, scores.genes, scores.symbols, strict=True))
    by_id = [(name, gene, *aliases[0].get(gene, ())) for name, gene, _ in genes]
    by_symbol = [(symbol, *aliases[1].get(gene, ())) for _, gene, symbol in genes]
    columns, taken = np.full(len(genes), -1), set()
    for names_of_genes in (by_id, by_symbol):
        for place, names in enumerate(names_of_genes):
            found = next((column_of[name] for name in names if name in column_of), -1)
            if columns[place] < 0 <= found and found not in taken:
                columns[place] = found
                taken.add(found)
    return columns
