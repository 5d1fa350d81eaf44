"""Runs that keep a number for each gene of a cell: the same scores, a sixth of the room, groups in one pass."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hf_fourier import FourierExplainer
from hf_fourier.errors import DamagedFile, InputError
from hf_fourier.runs import Results
from hf_fourier.runs.gene_store import NAME, NOT_STORABLE
from tests.models import test_single_cell as cells
from tests.runs import sample_results

CELLS = 13
GROUPS = ["T", "B", None, "T", "B", "T", "B", "T", "B", "T", float("nan"), "T", "B"]
POSITIONS = {"method": "gradient_input", "domain": "identity:grain=position", "contributions": 0}


def given() -> list[Any]:
    return [{**cells.cell(8 + i, i), "name": f"c{i}"} for i in range(CELLS)]


def run(folder: Path, data: Any = None, task: str = "text-classification", **options: Any) -> Results:
    explain = cells.explainer(task, "V2")
    chosen = {"store": "genes", "chunk": 3, "progress": False, **options}
    return explain.explain_dataset(given() if data is None else data, folder, **chosen)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return run(tmp_path_factory.mktemp("genes") / "run")


def test_the_scores_are_those_of_the_explainer(stored: Results) -> None:
    scores = stored.genes(GROUPS)
    direct = cells.explainer("text-classification", "V2").genes(given(), by="contributions", groupby=GROUPS, check=0)
    assert (scores.cells, scores.labels, scores.groups) == (direct.cells, direct.labels, direct.groups)
    assert (scores.by, scores.measure, scores.signed, scores.reads_first) == (
        direct.by, direct.measure, direct.signed, direct.reads_first
    )  # fmt: skip
    assert set(scores.genes) == set(direct.genes)
    places = [direct.genes.index(gene) for gene in scores.genes]
    assert [direct.symbols[i] for i in places] == list(scores.symbols)
    assert scores.scores.toarray() == pytest.approx(direct.scores.toarray()[:, places], rel=1e-5, abs=1e-7)
    assert scores.scores.nnz == direct.scores.nnz  # a gene of score 0 was read, too
    assert scores.confidences == pytest.approx(direct.confidences, rel=1e-6)
    assert scores.model_share == pytest.approx(direct.model_share, abs=1e-6)
    assert scores.provenance.items() <= {**direct.provenance, **scores.provenance}.items()


def test_groups_are_tested_shard_after_shard(stored: Results) -> None:
    whole = stored.genes(GROUPS)
    for options in ({}, {"group": "T"}, {"group": "T", "reference": "B"}):
        table, expected = stored.compare_genes(GROUPS, **options), whole.compare(**options)
        assert table.notes == expected.notes
        found, wanted = ({(row["group"], row["ensembl_id"]): row for row in one.rows()} for one in (table, expected))
        assert found.keys() == wanted.keys()
        for key, row in wanted.items():
            assert found[key]["symbol"] == row["symbol"]
            for name in ("cells", "cells of reference", "mean score", "difference", "t", "p", "adjusted p"):
                assert found[key][name] == pytest.approx(row[name], rel=1e-6, abs=1e-12)


def test_what_a_cell_takes(stored: Results, tmp_path: Path) -> None:
    genes = sum(8 + i for i in range(CELLS))
    wide = [{**cells.cell(50, i), "name": f"c{i}"} for i in range(CELLS)]
    sizes = []
    for name, data in (("narrow", given()), ("wide", wide)):
        run(tmp_path / name, data, chunk=100, **POSITIONS)
        (shard,) = (tmp_path / name / "shards").rglob("*.safetensors")
        sizes.append(shard.stat().st_size)
    assert (sizes[1] - sizes[0]) / (50 * CELLS - genes) < 7  # bytes that a gene adds
    assert stored[2:2] == []
    for place in (CELLS, -CELLS - 1):
        with pytest.raises(IndexError, match=f"example {place} of {CELLS}"):
            stored[place]
    with pytest.raises(InputError, match=r"read genes\(\)"):
        stored[0]
    row = stored.row(3, top=4)
    scores = stored.genes().scores[[3]].tocoo()
    best = scores.col[np.argsort(-np.abs(scores.data))[:4]]
    assert row["top_where"] == [stored.genes().symbols[i] for i in best]
    assert row["label"] == stored.genes().labels[3]


def test_a_run_that_is_cut_off_ends_with_the_same_numbers(stored: Results, tmp_path: Path) -> None:
    results = run(tmp_path / "run")
    for path in sorted((tmp_path / "run" / "shards").glob("*/*"))[1::2]:
        path.unlink()
    (tmp_path / "run" / NAME).write_bytes(b"{}")
    with pytest.raises((DamagedFile, InputError), match=NAME):
        results.genes()
    again = run(tmp_path / "run", store="auto")
    assert sample_results.digests(again.folder) == sample_results.digests(stored.folder)
    assert (again.genes().scores != stored.genes().scores).nnz == 0


def test_scores_of_positions_and_cells_that_fail(tmp_path: Path) -> None:
    data = [*given()[:5], {"genes": ["none"], "values": [1.0]}]
    results = run(tmp_path / "run", data, **POSITIONS)
    scores = results.genes()
    direct = cells.explainer("text-classification", "V2").genes(given()[:5], by="gradient_input", check=0)
    assert scores.by == direct.by
    assert len(scores) == 5
    assert results.failures()["index"] == [5]
    places = [direct.genes.index(gene) for gene in scores.genes]
    assert scores.scores.toarray() == pytest.approx(direct.scores.toarray()[:, places], rel=1e-5, abs=1e-7)
    assert np.isnan(scores.model_share).all()
    labelled = run(tmp_path / "labelled", given()[:5], targets=[0, 0, 1, 0, 1], **POSITIONS)
    by_label = replace(labelled.genes(), groups=labelled.genes().labels)
    streamed, whole = (
        {(row["group"], row["ensembl_id"]): row["t"] for row in table}
        for table in (labelled.compare_genes(), by_label.compare())
    )
    assert streamed == pytest.approx(whole, rel=1e-6)  # of equal sizes the order may be another
    assert len({group for group, _ in streamed}) == 2


def test_back_into_the_table(stored: Results, tmp_path: Path) -> None:
    anndata = pytest.importorskip("anndata")
    import pandas as pd

    groups = pd.Series(GROUPS, name="type")
    filled = stored.to_anndata(groups=groups)
    assert filled.shape[0] == CELLS
    assert filled.uns["rank_genes_groups"]["params"]["groupby"] == "type"
    filled.write_h5ad(tmp_path / "a.h5ad")
    assert "gene_scores" in anndata.read_h5ad(tmp_path / "a.h5ad").layers


def test_a_table_with_retired_ids_gets_its_scores_back(tmp_path: Path) -> None:
    anndata = pytest.importorskip("anndata")
    import pandas as pd

    explain = cells.explainer("text-classification", "V2")
    tokenizer = replace(explain.processor, aliases={"ENSG00000099999": cells.GENES[5], "G5": cells.GENES[5]})
    counts = np.random.default_rng(0).poisson(2, (3, 20)).astype(np.float32) + 1
    names = [*cells.GENES[:5], "ENSG00000099999", *cells.GENES[6:20]]
    table = anndata.AnnData(counts, pd.DataFrame(index=["a", "b", "c"]), pd.DataFrame(index=names))
    data = [{"name": name, "genes": names, "values": row} for name, row in zip("abc", counts, strict=True)]
    options = {"store": "genes", "progress": False, **POSITIONS}
    results = FourierExplainer(explain.model, tokenizer).explain_dataset(data, tmp_path / "run", **options)
    layer = results.to_anndata(table).layers["gene_scores"].toarray()
    scores = results.genes()
    expected = scores.scores.toarray()[:, scores.genes.index(cells.GENES[5])]
    assert np.abs(expected).min() > 0
    assert layer[:, 5] == pytest.approx(expected, rel=1e-6)
    assert (scores.to_anndata(table).layers["gene_scores"].toarray() == layer).all()
    versioned = table.copy()
    versioned.var_names = [f"{name}.4" for name in names]
    assert (scores.to_anndata(versioned).layers["gene_scores"].toarray() == layer).all()
    values = scores.scores
    assert (values.indices.itemsize, values.data.itemsize) == (4, 8)  # 12 bytes a gene and cell


def test_notes_and_missing_groups_of_runs(tmp_path: Path) -> None:
    import pandas as pd

    data = given()[:6]
    data[1] = {**data[1], "genes": [*data[1]["genes"], "X"], "values": [*data[1]["values"], 1.0]}
    results = run(tmp_path / "run", data, **POSITIONS)
    groups = [*"aabb", pd.NA, None]
    assert results.genes(groups).groups == (*"aabb", "", "")
    for table in (results.genes(groups).table(), results.compare_genes(groups)):
        assert "1 of 6 cells: 1 of 10 expressed genes are not in the model's vocabulary: X" in table.notes


def test_what_stores_no_genes_is_refused(tmp_path: Path, stored: Results) -> None:
    with pytest.raises(InputError, match=NOT_STORABLE[:20]):
        sample_results.run(sample_results.texts(5), tmp_path / "texts", store="genes")
    with pytest.raises(InputError, match=NOT_STORABLE[:20]):
        run(tmp_path / "none", contributions=0)
    assert not (tmp_path / "none" / "manifest.json").exists()
    other = run(tmp_path / "scores", given()[:3], store="scores")
    with pytest.raises(InputError, match="store='scores'"):
        other.genes()
    with pytest.raises(InputError, match=f"2 groups for {CELLS} cells"):
        stored.genes(["a", "b"])
    with pytest.raises(InputError, match="one of B, T"):
        stored.compare_genes(GROUPS, "NK")


def test_a_control_says_nothing_of_the_model_though_contributions_ask_it(tmp_path: Path) -> None:
    results = run(tmp_path, method="random", contributions=2)
    assert np.isnan(results.genes(GROUPS).model_share).all()
