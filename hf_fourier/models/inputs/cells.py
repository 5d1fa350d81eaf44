"""Cells out of files: raw counts in a table, or the tokenised `.dataset` that Geneformer's tools write."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from hf_fourier.errors import FourierError, InputError, MissingExtraError
from hf_fourier.models.inputs.cell_tables import kind_of_table, open_table, unreadable
from hf_fourier.models.inputs.masks import places_of_mask
from hf_fourier.results.gene_ids import gene_ids

#: The column of `obs` with the cells that passed their quality checks, as Geneformer names it.
FILTER_PASS = "filter_pass"
_YES, _NO = {"1", "true", "yes"}, {"0", "false", "no", "nan", "none", "<na>", ""}
#: How near to whole the ratios of counts that were stored in float32 are, how many values tell logarithms from chance,
#: and what no logarithm of a count exceeds.
_NEAR, _DISTINCT, _LARGEST_LOG = 2e-6, 3, 40
#: Entries that are looked at to tell counts from other things.
_LOOK = 1000


def is_cell_file(path: Any) -> bool:
    """Whether something is the path of a file or folder of cells, by its form on disk."""
    if not isinstance(path, (str, PathLike)):
        return False
    return kind_of_table(path) is not None or _is_tokenised(Path(path))


def read_cells(
    path: str | PathLike[str],
    cells: Sequence[int | str] | np.ndarray | slice | None = None,
    *,
    layer: str | None = None,
    gene_ids: str | None = None,
) -> list[dict[str, Any]]:
    """The cells of a file, each as `explain` takes one.

    Of a table genes go by Ensembl id (a column of `var`, or else its index); where there are none, by the index as it
    is, for a tokenizer that maps symbols. Cells whose `filter_pass` is not 1 or True (also as texts) are left out,
    as Geneformer's tools do.

    Args:
        path: A table with raw counts (an `.h5ad`, `.loom` or `.zarr`, Cell Ranger's `.h5` or its folder with
            `matrix.mtx`), or a `.dataset` folder with `input_ids`.
        cells: Which ones, by number or name, in this order; or a mask, True for each that is read; None for all.
        layer: Where the counts are, raw or scaled: "X", "raw" or a layer's name. None for the first of X, layer
            "counts" and raw that holds whole numbers.
        gene_ids: The column of `var` with Ensembl ids; None for the first that holds such.

    Returns:
        `{"name", "genes", "values"}` with the expressed genes of each cell, or `{"name", "input_ids"}`.

    Raises:
        InputError: If it is no such file, holds no counts, or there is no such cell.
        MissingExtraError: If the package that reads it is not installed.
    """
    place = Path(path)
    if not is_cell_file(place):
        expected = "a table of cells (.h5ad, .loom, .zarr, 10x), or a folder that datasets.save_to_disk wrote"
        raise InputError(f"{place.name!r}", expected, "correct the path")
    try:
        return _tokenised(place, cells) if _is_tokenised(place) else _tabled(place, cells, layer, gene_ids)
    except FourierError:
        raise
    except Exception as error:  # what broken files raise has no common base
        raise unreadable(place, error) from error


def _is_tokenised(path: Path) -> bool:
    """Whether `datasets` saved it."""
    return os.path.isfile(path / "state.json") and os.path.isfile(path / "dataset_info.json")


def _tabled(path: Path, cells: Any, layer: str | None, ids: str | None) -> list[dict[str, Any]]:
    table = open_table(path)
    try:
        names, cell = table_cells(table, layer, path.name, ids)
        return [cell(place) for place in _select_cells(names, cells)]
    finally:
        if table.isbacked:
            table.file.close()


class LazyCells(Sequence[dict[str, Any]]):
    """Cells of an open table, each read when it is asked for.

    Args:
        names: The cells' names.
        read: What reads one by its place.
    """

    def __init__(self, names: Sequence[str], read: Callable[[int], dict[str, Any]]) -> None:
        self.names, self._read = names, read

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self._read(place) for place in range(len(self))[index]]
        return self._read(range(len(self))[index])


def cells_and_column(data: Any, column: str | None) -> tuple[Sequence[dict[str, Any]], list[Any] | None] | None:
    """The cells of a table or a `.dataset`, and one column's value for each; None for anything else.

    Args:
        data: An `AnnData`, or the path of a file or folder of cells.
        column: Of `obs`, or of the tokenised data set; None for none.

    Raises:
        InputError: If there is no such column, or the cells cannot be read.
    """
    if is_cell_file(data) and _is_tokenised(Path(data)):
        cells = read_cells(data)
        import datasets

        table = datasets.load_from_disk(str(data))
        if column is None:
            return cells, None
        stored = list(_column(table, table.column_names, column))
        spelled = getattr(table.features[column], "int2str", None)  # of class labels
        return cells, [spelled(one) if spelled and one is not None and one >= 0 else one for one in stored]
    if not (hasattr(data, "obs") and hasattr(data, "var")) and not is_cell_file(data):
        return None
    table = open_table(data) if isinstance(data, (str, PathLike)) else data
    names, cell = table_cells(table)
    values = None
    if column is not None:
        values = [_column(table.obs, list(table.obs), column).iloc[place] for place in passing(table.obs)]
    return LazyCells(names, cell), values


def _column(table: Any, names: Sequence[str], column: str) -> Any:
    if column not in names:
        known = f"one of {', '.join(map(str, names))}" if len(names) else "a table with columns"
        raise InputError(f"column {column!r}", known, "correct the name of the column")
    return table[column]


def table_cells(
    table: Any, layer: str | None = None, name: str = "the AnnData", ids: str | None = None
) -> tuple[list[str], Callable[[int], dict[str, Any]]]:
    """The names of an open `AnnData`'s cells, and what reads one of them by its place; see `read_cells`."""
    counts, var = _counts(table, layer, name)
    if getattr(counts, "format", "csr") == "csc":  # by genes: rows of it would be read slowly
        counts = (counts.to_memory() if hasattr(counts, "to_memory") else counts).tocsr()
    genes, obs = np.asarray(gene_ids(var, ids), dtype=object), table.obs
    passed = passing(obs, name)
    names = [str(obs.index[place]) for place in passed]

    def cell(place: int) -> dict[str, Any]:
        values = counts[int(passed[place])]
        values = np.ravel(values.toarray() if hasattr(values, "toarray") else values)
        expressed = np.flatnonzero(values)
        return {"name": names[place], "genes": genes[expressed].tolist(), "values": values[expressed]}

    return names, cell


def _counts(table: Any, layer: str | None, file: str) -> tuple[Any, Any]:
    """The matrix of counts and the table of its genes."""
    places = {"X": (table.X, table.var)}
    places.update({str(name): (table.layers[name], table.var) for name in table.layers})
    if table.raw is not None:
        places["raw"] = (table.raw.X, table.raw.var)
    if layer is not None:
        if layer not in places or places[layer][0] is None:
            layers = ", ".join(name for name, (matrix, _) in places.items() if matrix is not None)
            raise InputError(f"layer {layer!r} of {file!r}", f"one of {layers}", "correct `layer`")
        _refuse_logs(layer, places, file)
        return places[layer]
    for name in ("X", "counts", "raw"):
        if name in places and places[name][0] is not None and _are_counts(places[name][0]):
            return places[name]
    got = f"{file!r}, whose values are not whole numbers"
    raise InputError(
        got,
        "raw counts in X, in the layer 'counts' or in raw",
        "call their layer 'counts' in the file, or name it with `layer`",
    )


def kind_of(values: np.ndarray) -> str:
    """What the values of one cell are: "counts", "scaled" (counts times a factor), "logs" of counts, or "other".

    Logarithms are known by being whole multiples of the least of them once log1p (or log2 of 1 + x) is undone, which
    chance does not bring about. Ranks of scaled counts are those of the counts; ranks of logarithms are not.
    """
    values = np.asarray(values, dtype=np.float64)
    values = values[values != 0]
    if not np.isfinite(values).all() or (values < 0).any():
        return "other"
    if (values == np.round(values)).all():
        return "counts"
    if _multiples(values):
        return "scaled"
    distinct = len(np.unique(values)) >= _DISTINCT and values.max() < _LARGEST_LOG
    return "logs" if distinct and any(_multiples(undo(values)) for undo in (np.expm1, _exp2m1)) else "other"


def _exp2m1(values: np.ndarray) -> np.ndarray:
    return np.exp2(values) - 1


def _multiples(values: np.ndarray) -> bool:
    """Whether values are whole numbers times a factor, the least of them standing for 1, 2 or 3."""
    ratios = values / values.min()
    return any(bool((np.abs(n * ratios - np.round(n * ratios)) <= _NEAR * (5 + n * ratios)).all()) for n in (1, 2, 3))


def _rows(matrix: Any) -> Iterator[np.ndarray]:
    """The values of the first rows that hold anything, as many as tell what they are."""
    seen = 0
    for row in range(matrix.shape[0]):
        values = matrix[row]
        values = np.ravel(values.toarray() if hasattr(values, "toarray") else values)
        values = values[values != 0]
        if len(values):
            yield values
        seen += len(values)
        if seen >= _LOOK:
            return


def _are_counts(matrix: Any) -> bool:
    """Whether the first rows that hold anything hold whole numbers that are not negative."""
    return all(kind_of(values) == "counts" for values in _rows(matrix))


def _refuse_logs(layer: str, places: Mapping[str, tuple[Any, Any]], file: str) -> None:
    """Refuse a layer of logarithms, and one of numbers below 0, which are no counts whatever they are."""
    for values in _rows(places[layer][0]):
        kind = "values below 0" if (values < 0).any() else "logarithms of counts" if kind_of(values) == "logs" else ""
        if kind:
            counts = [
                n for n, (matrix, _) in places.items() if n != layer and matrix is not None and _are_counts(matrix)
            ]
            do = f"pass layer={counts[0]!r}" if counts else "undo the logarithm (np.expm1), and write the file again"
            raise InputError(f"layer {layer!r} of {file!r}, which holds {kind}", "counts, raw or scaled", do)


def passing(obs: Any, name: str = "the AnnData") -> np.ndarray:
    """The places of the cells that passed their quality checks, or of all where that is not said."""
    return np.flatnonzero(_passed(obs[FILTER_PASS], name)) if FILTER_PASS in obs else np.arange(len(obs))


def _passed(column: Any, file: str) -> list[bool]:
    """Which cells passed their checks, of 1 and 0, True and False, or the same as texts.

    Raises:
        InputError: If it says something else, or no cell passed.
    """
    values = [str(value).strip().lower().removesuffix(".0") for value in column.tolist()]
    if strange := sorted({value for value in values if value not in _YES | _NO}):
        got = f"{FILTER_PASS!r} of {file!r} with {', '.join(map(repr, strange[:3]))}"
        raise InputError(got, "1 and 0, or True and False", f"set obs[{FILTER_PASS!r}] to these, or delete the column")
    passed = [value in _YES for value in values]
    if values and not any(passed):
        got = f"{file!r}, of whose {len(values)} cells none has {FILTER_PASS!r} 1"
        raise InputError(got, "at least one cell that passed", f"correct obs[{FILTER_PASS!r}], or delete the column")
    return passed


def _tokenised(path: Path, cells: Any) -> list[dict[str, Any]]:
    try:
        import datasets
    except ImportError as error:
        raise MissingExtraError("datasets", "metrics", "tokenised cells") from error
    table = datasets.load_from_disk(str(path))
    if "input_ids" not in table.column_names:
        got = f"{path.name!r} with the columns {', '.join(table.column_names)}"
        raise InputError(got, "'input_ids' among them", "tokenise the cells")
    names = [f"cell-{i:05}" for i in range(len(table))]
    return [{"name": names[i], "input_ids": list(table[i]["input_ids"])} for i in _select_cells(names, cells)]


def _select_cells(names: Sequence[str], cells: Any) -> list[int]:
    """The places of the chosen cells."""
    if cells is None:
        return list(range(len(names)))
    if isinstance(cells, slice):
        return list(range(len(names)))[cells]
    masked = places_of_mask("cells", cells, len(names))
    if masked is not None:
        return masked
    places = {name: i for i, name in enumerate(names)}
    chosen = []
    for cell in [cells] if isinstance(cells, (int, str)) else cells:
        number = None if isinstance(cell, (str, bool)) or not isinstance(cell, Integral) else int(cell)
        if isinstance(cell, str) and cell in places:
            if names.count(cell) > 1:
                expected = "a name of its own, or its number"
                raise InputError(f"cell {cell!r}, the name of {names.count(cell)} cells", expected, "correct `cells`")
            chosen.append(places[cell])
        elif number is not None and -len(names) <= number < len(names):
            chosen.append(number % len(names))
        else:
            listed = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
            expected = f"a number from 0 to {len(names) - 1}, or one of {listed}"
            raise InputError(f"cell {cell!r}", expected, "correct `cells`")
    return chosen
