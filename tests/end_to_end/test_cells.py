"""Real blood cells through the stand-in for Geneformer."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hf_fourier import FourierExplainer, demo
from tests.end_to_end.cases import Asset, Case, every_law
from tests.models import laws

pytestmark = pytest.mark.assets


@pytest.fixture(scope="module")
def case(asset: Asset) -> Case:
    asset("pbmc")
    explain = FourierExplainer.from_pretrained(str(asset("pbmc-geneformer")), device="cpu")
    cells = demo.cells("test")
    one = max(cells, key=lambda cell: int((np.asarray(cell["values"]) > 0).sum()))
    first = int(np.argmax(one["values"]))
    few = np.argsort(-np.asarray(one["values"]), kind="stable")[:13]
    hard: list[Any] = [
        {"genes": [one["genes"][first]], "values": [1]},
        {"genes": [one["genes"][i] for i in few], "values": [2.0] * 13},
        {"genes": [one["genes"][first], "ENSG00000000000"], "values": [3, 1]},
        one,
    ]

    def own(cell: Any) -> torch.Tensor:
        ids, _ = explain.processor.encode(cell["genes"], cell["values"], explain.model.config.max_position_embeddings)
        return explain.model(input_ids=torch.tensor([ids])).logits

    return Case(explain, cells[:4], hard, own)


@every_law
def test_laws(case: Case, law: Any) -> None:
    law(case)


def test_a_result_comes_back_from_a_folder(case: Case, tmp_path: Path) -> None:
    case.comes_back(tmp_path)


def test_most_cells_are_named_rightly_and_genes_have_symbols(case: Case) -> None:
    cells = demo.cells("test")[:24]
    right = [case.explain.predict(cell).label == cell["label"] for cell in cells]
    assert sum(right) > len(right) / 2
    symbols = set(cells[0]["symbols"])
    for result in case.alone:
        assert set(result.names) <= symbols
        table = result.input_relevance(0.04).top(5)
        assert set(table["name"]) <= symbols


def test_ranks_are_those_of_the_counts(case: Case) -> None:
    tokenizer = case.explain.processor
    for cell, result in zip(case.examples, case.alone, strict=True):
        scaled = {
            symbol: value / tokenizer.medians[gene]
            for gene, symbol, value in zip(cell["genes"], cell["symbols"], cell["values"], strict=True)
            if value > 0 and gene in tokenizer.tokens and gene in tokenizer.medians
        }
        ranks = [scaled[name] for name in result.names]
        assert all(a >= b * (1 - 1e-6) for a, b in pairwise(ranks))
        limit = case.explain.model.config.max_position_embeddings
        assert len(ranks) == len(scaled) or len(result.inputs["input_ids"]) == limit


def test_a_cell_without_a_known_gene_is_refused(case: Case) -> None:
    from hf_fourier.errors import InputError

    with pytest.raises(InputError, match="none of 2 expressed genes is known"):
        case.explain.explain({"genes": ["CD3D", "LYZ"], "values": [1, 2]})
    laws.same(case.explain.explain([case.examples[0]])[0], case.alone[0])


def test_the_file_of_cells_says_the_same(case: Case, asset: Asset) -> None:
    from hf_fourier.models.inputs.cells import read_cells

    names = [cell["name"] for cell in case.examples]
    for one, result in zip(read_cells(asset("pbmc") / "cells.h5ad", names), case.alone, strict=True):
        laws.same(case.explain.explain(one), result)
        table = result.genes()
        by_id = dict(zip(case.examples[0]["genes"], case.examples[0]["symbols"], strict=True))
        assert all(by_id[row["ensembl_id"]] == row["symbol"] for row in table.rows())


def test_one_command_from_the_file_to_a_table_and_a_figure(
    asset: Asset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blood cells from `.h5ad`: a gene in each row, for each cell and for all of them, and a figure each."""
    import csv

    from typer.testing import CliRunner

    from hf_fourier.cli.app import app

    monkeypatch.chdir(tmp_path)
    model, file = str(asset("pbmc-geneformer")), str(asset("pbmc") / "cells.h5ad")
    said = CliRunner().invoke(app, ["explain", model, file, "--cells", "0:2", "--fraction", ".04", "--output", "out"])
    assert said.exit_code == 0, said.output
    folders = sorted(folder for folder in (tmp_path / "out").iterdir() if folder.is_dir())
    assert len(folders) == 2
    rows: list[dict[str, str]] = []
    for folder in folders:
        assert (folder / "figure.png").stat().st_size > 20_000
        with (folder / "genes.csv").open(encoding="utf-8", newline="") as one:
            own = list(csv.DictReader(one))
        assert [int(row["rank"]) for row in own] == list(range(1, len(own) + 1))
        assert len({row["ensembl_id"] for row in own}) == len(own) == 128
        sizes = [abs(float(row["relevance"])) for row in own]
        assert sizes == sorted(sizes, reverse=True)
        rows += own
    with (tmp_path / "out" / "genes.csv").open(encoding="utf-8", newline="") as every:
        assert list(csv.DictReader(every)) == rows


def test_from_a_table_of_cells_to_tested_genes(asset: Asset, case: Case) -> None:
    """Real counts with their types go in, and a table of genes by type comes out, in the table that it came from."""
    anndata = pytest.importorskip("anndata")
    scanpy = pytest.importorskip("scanpy")
    table = anndata.read_h5ad(asset("pbmc") / "cells.h5ad")
    table = table[table.obs["split"] == "test"][:48].copy()
    scores = case.explain.genes(table, groupby="label", check=2, fractions=(0.1,))
    assert len(scores) == 48
    curves = {row["ranking"]: row for row in scores.curve_table().rows()}
    assert curves["sequential_contributions"]["kept without"] < curves["random (control)"]["kept without"] - 0.2
    assert (
        curves["sequential_contributions"]["kept without"]
        < curves["the cell's own ranks (control)"]["kept without"] - 0.1
    )
    filled = scores.to_anndata(table)
    groups = set(scores.compare()["group"])
    frame = scanpy.get.rank_genes_groups_df(filled, group=None)
    assert set(frame["group"]) == groups
    assert set(filled.var_names) >= set(frame["names"])
    assert filled.obs["label"].tolist() == table.obs["label"].tolist()
