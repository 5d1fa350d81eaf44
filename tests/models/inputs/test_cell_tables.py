"""Tables of cells in the forms that people have: each gives the cells of the .h5ad."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import io, sparse

from hf_fourier.errors import InputError
from hf_fourier.models.inputs.cell_tables import kind_of_table, open_table
from hf_fourier.models.inputs.cells import is_cell_file, read_cells
from hf_fourier.models.inputs.dataset_sources import source_of
from tests.models import test_single_cell as cells

GENES, CELLS = cells.GENES[:20], 7


def table() -> anndata.AnnData:
    counts = np.random.default_rng(0).poisson(1.5, (CELLS, len(GENES))).astype(np.float32)
    counts[:, 0] += 1
    obs = pd.DataFrame({"kind": list("abcabca")}, index=[f"AAAC-{i}" for i in range(CELLS)])
    var = pd.DataFrame({"ensembl_gene_id": GENES}, index=[f"G{i}" for i in range(len(GENES))])
    return anndata.AnnData(sparse.csr_matrix(counts), obs, var)


def _h5ad(folder: Path, own: anndata.AnnData) -> Path:
    own.write_h5ad(folder / "a.h5ad", compression="gzip")
    return folder / "a.h5ad"


def _zarr(folder: Path, own: anndata.AnnData) -> Path:
    own.write_zarr(folder / "a.zarr")
    return folder / "a.zarr"


def _loom(folder: Path, own: anndata.AnnData) -> Path:
    with h5py.File(folder / "a.loom", "w") as file:
        file["matrix"] = own.X.toarray().T
        file["col_attrs/CellID"] = np.array(list(own.obs_names), dtype="S")
        file["row_attrs/Gene"] = np.array(list(own.var_names), dtype="S")
        file["row_attrs/Accession"] = np.array(GENES, dtype="S")
        file["layers/spliced"] = own.X.toarray().T
    return folder / "a.loom"


def _ten_x(folder: Path, own: anndata.AnnData, version: int) -> Path:
    antibody, counts = 3 * np.ones((CELLS, 1), np.float32), own.X
    if version == 3:
        counts = sparse.hstack([own.X, antibody]).tocsr()
    matrix = sparse.csc_matrix(counts.T)
    with h5py.File(folder / "a.h5", "w") as file:
        group = file.create_group("matrix" if version == 3 else "GRCh38")
        for name in ("data", "indices", "indptr"):
            group[name] = getattr(matrix, name)
        group["shape"], group["barcodes"] = matrix.shape, np.array(list(own.obs_names), dtype="S")
        if version == 3:
            group["features/id"] = np.array([*GENES, "CD3_ab"], dtype="S")
            group["features/name"] = np.array([*own.var_names, "CD3_ab"], dtype="S")
            group["features/feature_type"] = np.array(
                ["Gene Expression"] * len(GENES) + ["Antibody Capture"], dtype="S"
            )
        else:
            group["genes"], group["gene_names"] = np.array(GENES, dtype="S"), np.array(list(own.var_names), dtype="S")
    return folder / "a.h5"


def _matrix_market(folder: Path, own: anndata.AnnData, packed: bool) -> Path:
    place = folder / "filtered"
    place.mkdir()
    io.mmwrite(place / "matrix.mtx", sparse.coo_matrix(own.X.T.astype(int)))
    rows = [f"{gene}\t{name}" for gene, name in zip(GENES, own.var_names, strict=True)]
    if packed:
        rows = [f"{row}\tGene Expression" for row in rows]
    (place / ("features.tsv" if packed else "genes.tsv")).write_text("\n".join(rows) + "\n")
    (place / "barcodes.tsv").write_text("\n".join(own.obs_names) + "\n")
    for file in list(place.iterdir()) if packed else []:
        file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    return place


FORMS: dict[str, Callable[[Path, anndata.AnnData], Path]] = {
    "h5ad": _h5ad,
    "zarr": _zarr,
    "loom": _loom,
    "10x-h5, version 3": lambda folder, own: _ten_x(folder, own, 3),
    "10x-h5, version 2": lambda folder, own: _ten_x(folder, own, 2),
    "10x-mtx": lambda folder, own: _matrix_market(folder, own, False),
    "10x-mtx, packed": lambda folder, own: _matrix_market(folder, own, True),
}


def by_gene(cell: dict[str, Any]) -> dict[str, float]:
    return dict(zip(cell["genes"], np.asarray(cell["values"], dtype=float).tolist(), strict=True))


@pytest.mark.parametrize("form", FORMS)
def test_all_forms_hold_the_same_cells(form: str, tmp_path: Path) -> None:
    own = table()
    path = FORMS[form](tmp_path, own)
    assert kind_of_table(path) == form.split(",")[0]
    assert is_cell_file(path)
    found = read_cells(path)
    assert [cell["name"] for cell in found] == list(own.obs_names)
    dense = own.X.toarray()
    for cell, counts in zip(found, dense, strict=True):
        assert by_gene(cell) == {gene: count for gene, count in zip(GENES, counts.tolist(), strict=True) if count}
    assert [cell["name"] for cell in read_cells(path, ["AAAC-3", 0])] == ["AAAC-3", "AAAC-0"]
    assert source_of(path).length == CELLS
    explain = cells.explainer("text-classification", "V2")
    several = explain.explain(path if form != "zarr" else str(path), method="magnitude", contributions=0)
    assert len(several) == CELLS
    one = explain.explain(found[2], method="magnitude", contributions=0)
    assert several[2].value == pytest.approx(one.value, rel=1e-5)


def test_a_column_of_genes_may_be_named(tmp_path: Path) -> None:
    own = table()
    own.var["mine"] = [f"{gene}.3" for gene in GENES]
    path = _h5ad(tmp_path, own)
    assert set(by_gene(read_cells(path, [0], gene_ids="mine")[0])) <= set(own.var["mine"])
    with pytest.raises(InputError, match="one of the columns ensembl_gene_id, mine"):
        read_cells(path, gene_ids="theirs")


def test_what_is_none_or_broken(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["weights"] = np.ones(3)
    assert kind_of_table(tmp_path / "other.h5") is None
    assert not is_cell_file(tmp_path / "other.h5")
    assert kind_of_table("a text that is no path " * 400) is None
    with pytest.raises(InputError, match=r"\.h5ad, \.loom or \.zarr"):
        open_table(tmp_path / "other.h5")
    place = _matrix_market(tmp_path, table(), False)
    (place / "genes.tsv").unlink()
    with pytest.raises(InputError, match=r"without features\.tsv"):
        open_table(place)
    for name in ("a.loom", "b.h5ad"):
        (tmp_path / name).write_bytes(b"no HDF5")
        with pytest.raises(InputError, match="cannot be read"):
            open_table(tmp_path / name)


def test_names_are_read_as_they_are(tmp_path: Path) -> None:
    own = table()
    own.var_names = ["NA", '"quoted', *own.var_names[2:]]
    own.obs_names = ["NA", *own.obs_names[1:]]
    found = open_table(_matrix_market(tmp_path, own, False))
    assert list(found.var_names) == list(own.var_names)
    assert list(found.obs_names) == list(own.obs_names)


def test_two_genomes_are_refused(tmp_path: Path) -> None:
    path = _ten_x(tmp_path, table(), 2)
    with h5py.File(path, "a") as file:
        file.copy("GRCh38", "mm10")
    with pytest.raises(InputError, match="2 genomes"):
        open_table(path)


def test_a_loom_that_would_fill_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hf_fourier.models.inputs import limits

    path = _loom(tmp_path, table())
    monkeypatch.setattr(limits, "ARRAY_BYTES", 100)
    with pytest.raises(InputError, match="at most 100"):
        open_table(path)
