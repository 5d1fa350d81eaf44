"""Tables of cells and genes out of files, as an AnnData: .h5ad, .zarr, .loom, and what 10x' Cell Ranger writes.

Of `.loom` and of 10x files the counts, the names of cells and genes and their columns of plain values are read.
"""

from __future__ import annotations

import csv
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_fourier.errors import FourierError, InputError, MissingExtraError
from hf_fourier.models.inputs import limits

if TYPE_CHECKING:
    from anndata import AnnData

#: Files of a folder that Cell Ranger writes, plain or with `.gz`.
_MATRIX, _GENES, _BARCODES = "matrix.mtx", ("features.tsv", "genes.tsv"), "barcodes.tsv"


def kind_of_table(path: str | os.PathLike[str]) -> str | None:
    """What a path is: "h5ad", "zarr", "loom", "10x-h5" or "10x-mtx"; None for anything else.

    By its ending, except for folders and for `.h5`, which is looked into.
    """
    place = Path(path)
    suffix = place.suffix.lower()
    if os.path.isfile(place):  # unlike Path.is_file, no error where a text is too long for a path
        if suffix in (".h5ad", ".loom"):
            return suffix[1:]
        if suffix in (".h5", ".hdf5") and _is_ten_x(place):
            return "10x-h5"
        return None
    if any(os.path.isfile(place / name) for name in (".zgroup", "zarr.json")) and os.path.isdir(place / "obs"):
        return "zarr"
    return "10x-mtx" if os.path.isdir(place) and _found(place, _MATRIX) is not None else None


def open_table(path: str | os.PathLike[str]) -> AnnData:
    """Open a table of cells: an `.h5ad` without reading its counts, all others in memory.

    Raises:
        InputError: If it is no such file, or cannot be read.
        MissingExtraError: If anndata or h5py is not installed.
    """
    place, kind = Path(path), kind_of_table(path)
    try:
        import anndata
    except ImportError as error:
        raise MissingExtraError("anndata", "bio", "tables of cells") from error
    readers: dict[str | None, Callable[[Path], Any]] = {
        "h5ad": lambda file: anndata.read_h5ad(file, backed="r"),
        "zarr": anndata.read_zarr,
        "loom": lambda file: anndata.AnnData(*_loom(file)),
        "10x-h5": lambda file: anndata.AnnData(*_ten_x(file)),
        "10x-mtx": lambda file: anndata.AnnData(*_matrix_market(file)),
    }
    if kind not in readers:
        expected = "an .h5ad, .loom or .zarr, or what Cell Ranger writes (an .h5, or a folder with matrix.mtx)"
        raise InputError(f"{place.name!r}", expected, "correct the path")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*names are not unique")
            return readers[kind](place)
    except FourierError:
        raise
    except Exception as error:  # what broken files raise has no common base
        raise unreadable(place, error) from error


def unreadable(path: Path, error: Exception) -> InputError:
    """The error for a file of cells that cannot be read."""
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0].replace(str(path), path.name)
    got = f"{path.name!r}, which cannot be read ({reason:.300})"
    return InputError(got, "a table of cells, or a .dataset folder", "write it again")


def _loom(path: Path) -> tuple[Any, Any, Any]:
    """Counts, cells and genes of a `.loom`, whose matrix is genes × cells."""
    import pandas as pd
    from scipy import sparse

    with _hdf5(path) as file:
        matrix = file["matrix"]
        if matrix.size * matrix.dtype.itemsize > limits.ARRAY_BYTES:
            got = f"{path.name!r}, whose matrix of {matrix.shape} takes {matrix.size * matrix.dtype.itemsize} bytes"
            raise InputError(got, f"at most {limits.ARRAY_BYTES}", "convert it to .h5ad, which is read cell by cell")
        counts = sparse.csr_matrix(np.asarray(matrix).T)
        tables = []
        for group, names in (
            ("col_attrs", ("CellID", "obs_names", "cell_names")),
            ("row_attrs", ("Accession", "Gene")),
        ):
            columns = {name: _texts(values[()]) for name, values in file[group].items() if values.ndim == 1}
            index = next((columns[name] for name in names if name in columns), None)
            tables.append(pd.DataFrame(columns, index=None if index is None else [str(one) for one in index]))
    for table in tables:
        table.index = table.index.astype(str)
    return counts, *tables


def _ten_x(path: Path) -> tuple[Any, Any, Any]:
    """Counts, cells and genes of Cell Ranger's `.h5`, version 2 and 3; of several modalities the genes alone."""
    import pandas as pd
    from scipy import sparse

    with _hdf5(path) as file:
        if "matrix" not in file and len(file) > 1:
            got = f"{path.name!r} with {len(file)} genomes ({', '.join(file)})"
            raise InputError(got, "one of them", "write the cells of one genome")
        group = file["matrix"] if "matrix" in file else file[next(iter(file))]
        genes, cells = (int(size) for size in group["shape"][()])
        parts = tuple(group[name][()] for name in ("data", "indices", "indptr"))
        counts = sparse.csc_matrix(parts, shape=(genes, cells)).T.tocsr()
        barcodes = _texts(group["barcodes"][()])
        source = group.get("features", group)
        names = {
            "gene_ids": "id" if "id" in source else "genes",
            "symbol": "name" if "name" in source else "gene_names",
        }
        var = pd.DataFrame({title: _texts(source[name][()]) for title, name in names.items()})
        kinds = _texts(source["feature_type"][()]) if "feature_type" in source else None
    return _of_genes(counts, pd.DataFrame(index=barcodes), var, kinds)


def _matrix_market(folder: Path) -> tuple[Any, Any, Any]:
    """Counts, cells and genes of Cell Ranger's folder."""
    import pandas as pd
    from scipy import io

    matrix, barcodes = _found(folder, _MATRIX), _found(folder, _BARCODES)
    genes = next((file for name in _GENES if (file := _found(folder, name)) is not None), None)
    if matrix is None or barcodes is None or genes is None:
        got = f"{folder.name!r} without {_BARCODES if barcodes is None else _GENES[0]}"
        raise InputError(got, "matrix.mtx, barcodes.tsv and features.tsv, plain or .gz", "add this file to the folder")
    counts = io.mmread(matrix).T.tocsr()
    plain: dict[str, Any] = {
        "sep": "\t",
        "header": None,
        "dtype": str,
        "keep_default_na": False,
        "quoting": csv.QUOTE_NONE,
    }
    rows = pd.read_csv(genes, **plain)
    var = pd.DataFrame({"gene_ids": rows[0], "symbol": rows[1] if 1 in rows else rows[0]})
    cells = pd.read_csv(barcodes, **plain)[0].tolist()
    return _of_genes(counts, pd.DataFrame(index=cells), var, rows[2].tolist() if 2 in rows else None)


def _of_genes(counts: Any, obs: Any, var: Any, kinds: list[str] | None) -> tuple[Any, Any, Any]:
    """The columns that count expressed genes, where a table has others (antibodies, guides) as well."""
    var.index = var["symbol"].astype(str)
    if kinds is None or "Gene Expression" not in kinds:
        return counts, obs, var
    chosen = np.flatnonzero(np.asarray(kinds) == "Gene Expression")
    return counts[:, chosen], obs, var.iloc[chosen]


def _is_ten_x(path: Path) -> bool:
    """Whether an HDF5 file is Cell Ranger's."""
    try:
        with _hdf5(path) as file:
            groups = [file[name] for name in file]
            return any(
                {"barcodes", "data", "indptr", "shape"} <= set(getattr(group, "keys", list)()) for group in groups
            )
    except (OSError, MissingExtraError):
        return False


def _hdf5(path: Path) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError("h5py", "bio", "HDF5 files of cells") from error
    return h5py.File(path, "r")


def _found(folder: Path, name: str) -> Path | None:
    """A file of a folder, plain or packed."""
    return next((folder / form for form in (name, f"{name}.gz") if os.path.isfile(folder / form)), None)


def _texts(values: np.ndarray) -> list[Any]:
    """Plain values, bytes as texts."""
    return [value.decode("utf-8", "replace") if isinstance(value, bytes) else value for value in values.tolist()]
