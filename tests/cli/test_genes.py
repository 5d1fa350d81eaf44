"""`hf-fourier genes` on a small Geneformer and a table of cells, as it is typed."""

from __future__ import annotations

import csv
import json
import shlex
from pathlib import Path

import numpy as np
import pytest

from hf_fourier import FourierExplainer
from hf_fourier.cli.help_text import EXAMPLES
from tests.models import tiny_geneformer

CELLS, TYPES = 6, ["T", "B", "T", "B", "T", "B"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of version 1 in its repository."""
    repo = tiny_geneformer.snapshot(tmp_path_factory.mktemp("hub") / "Geneformer")
    return repo / "fine_tuned_models" / "Geneformer-V1-10M_CellClassifier"


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cells of two types."""
    anndata, pandas = pytest.importorskip("anndata"), pytest.importorskip("pandas")
    counts = np.random.default_rng(0).poisson(1.0, (CELLS, 20)).astype(np.float32)
    counts[:, :3] += 1
    obs = pandas.DataFrame({"type": TYPES}, index=[f"c{i}" for i in range(CELLS)])
    path = tmp_path_factory.mktemp("cells") / "cells.h5ad"
    anndata.AnnData(counts, obs, pandas.DataFrame(index=tiny_geneformer.GENES["V1"][:20])).write_h5ad(path)
    return Path(path)


def rows(path: str) -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_scores_go_into_tables_and_back_into_the_cells(run, model, table):
    import anndata

    done = run("genes", model, table, "--output", "out", "--groupby", "type", "--fraction", ".5", "--check", "1")
    assert done.exit_code == 0, done.output
    scores = FourierExplainer.from_pretrained(str(model)).genes(table, groupby="type", check=1, fractions=(0.5,))
    expected = scores.table()
    assert [row["ensembl_id"] for row in rows("out/genes.csv")] == expected["ensembl_id"]
    assert float(rows("out/genes.csv")[0]["mean score"]) == pytest.approx(expected["mean score"][0], rel=1e-4)
    assert expected["symbol"][0] in done.stdout
    assert len(rows("out/groups.csv")) == len(scores.compare())
    assert [row["ranking"] for row in rows("out/curves.csv")] == scores.curve_table()["ranking"]
    filled = anndata.read_h5ad("out/cells.h5ad")
    assert list(filled.obs["type"]) == TYPES
    assert np.count_nonzero(filled.layers["gene_scores"].toarray()) == np.count_nonzero(scores.scores.data)


@pytest.mark.parametrize("line", [EXAMPLES["genes"][1], EXAMPLES["explain-dataset"][2]])
def test_examples_of_the_help_run(run, model, table, line):
    done = run(*({"MODEL_FOLDER": model, "cells.h5ad": table}.get(word, word) for word in shlex.split(line)[1:]))
    assert done.exit_code == 0, done.output


def test_without_further_options_there_are_no_groups_and_no_curves(run, model, table):
    done = run("genes", model, table, "--output", "out", "--by", "gradient_input", "--check", "0")
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in Path("out").iterdir()) == ["cells.h5ad", "genes.csv"]
    assert rows("out/genes.csv")


def test_groups_that_cannot_be_tested_are_refused_before_anything_is_scored(run, model, table, tmp_path):
    import anndata

    cells = anndata.read_h5ad(table)
    cells.obs["one"] = "T"
    cells.write_h5ad(tmp_path / "one.h5ad")
    done = run("genes", model, tmp_path / "one.h5ad", "--output", "out", "--groupby", "one")
    assert done.exit_code == 2
    assert "cells by group T (6)" in done.stderr
    assert not Path("out/genes.csv").exists()


def test_genes_are_perturbed_towards_a_state(run, model, table):
    one, two, three = tiny_geneformer.GENES["V1"][:3]
    words = ["--perturb", "delete", "--gene", one, "--gene", f"{two}+{three}", "--groupby", "type", "--states", "T,B"]
    done = run("genes", model, table, "--output", "out", *words, "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    states = {"state_key": TYPES, "start_state": "T", "goal_state": "B"}
    explain = FourierExplainer.from_pretrained(str(model))
    expected = explain.perturb_genes(table, [one, [two, three]], states=states).table()
    assert [row["Ensembl_ID"] for row in told["rows"]] == expected["Ensembl_ID"]
    found = [row["Shift_to_goal_end"] for row in told["rows"]]
    assert found == pytest.approx(expected["Shift_to_goal_end"], rel=1e-4, abs=1e-9)
    assert [row["N_Detections"] for row in rows(told["files"]["perturbation"])] == ["3", "3"]
    assert Path("out/perturbation/piece-000000.safetensors").is_file()


def test_what_does_not_fit_together_is_told_before_anything_is_loaded(run):
    for words, advice in (
        (["--gene", "CD3D"], "add --perturb delete"),
        (["--perturb", "delete", "--states", "T,B"], "pass --groupby COLUMN"),
        (["--perturb", "delete", "--groupby", "type", "--states", "T"], "pass --groupby COLUMN"),
        (["--perturb", "delete", "--by", "mask"], "--by with --perturb"),
        (["--perturb", "delete", "--fraction", ".1"], "--fraction with --perturb"),
        (["--perturb", "delete", "--target", "T"], "--target with --perturb"),
        (["--perturb", "delete", "--check", "1"], "--check with --perturb"),
        (["--perturb", "delete", "--groupby", "type"], "--groupby with --perturb, without --states"),
    ):
        done = run("genes", "none", "cells.h5ad", "--output", "out", *words)
        assert done.exit_code == 2
        assert advice in done.stderr
