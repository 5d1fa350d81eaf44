"""Sequential contributions: rounds against a plain loop and by hand, the order of scores, runs, what is refused."""

from __future__ import annotations

import math
import time
from functools import cache
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
import torch

from hf_fourier import FourierExplainer
from hf_fourier.errors import InputError, TargetError
from hf_fourier.evaluation.studies.in_silico_deletion import delete_genes
from hf_fourier.evaluation.studies.score_genes import explained
from hf_fourier.methods.sequential_contributions import BELOW, ROUNDS, _Cell
from hf_fourier.results.gene_scores import GeneScores
from hf_fourier.results.relevance import SEQUENTIAL
from hf_fourier.runs import Results
from hf_fourier.runs.options import RunOptions
from tests.models import test_single_cell as cells

GROUPS = ["T", "B", "T", "B", "B", "T", "T", "B", "T"]
MANY = [{**cells.cell(10 + i % 3, i), "name": f"c{i}"} for i in range(9)]


@cache
def scored(version: str = "V2", check: int = 3) -> GeneScores:
    explain = cells.explainer("text-classification", version)
    return explain.genes(MANY, by=SEQUENTIAL, groupby=GROUPS, check=check, fractions=(0.1, 0.2, 0.5))


def contributions(explain: FourierExplainer, ids: list[int], target: int) -> np.ndarray:
    """Those of the genes of one cell, by the public call."""
    (result,) = explain.explain([{"input_ids": ids}], target, method="magnitude", contributions=2)
    return np.asarray(result.input_relevance(kind="contribution").values, dtype=float)


def by_a_plain_loop(explain: FourierExplainer, ids: list[int], target: int) -> dict[int, float]:
    """By token, its score: one gene after the other is looked at, cell by cell."""
    special, ids = explain.processor.special_ids, list(ids)
    genes = [token for token in ids if token not in special]
    found, last, most = dict[int, float](), math.inf, len(genes)
    while genes:
        values = dict(zip(genes, contributions(explain, ids, target), strict=True))
        order = sorted(genes, key=lambda token: -values[token])
        step = max(1, math.ceil(most / 128), math.ceil((most - len(genes)) / 5))
        top = [token for token in order if values[token] > 0][:step]
        if len(top) in (0, len(genes)):
            top = order
        for token in top:
            found[token] = min(values[token], last)
            last = found[token] * BELOW if values[token] > 0 else last
        genes = [token for token in genes if token not in top]
        ids = [token for token in ids if token not in top]
    return found


@pytest.mark.parametrize("version", cells.SPECIALS)
def test_scores_are_those_of_a_plain_loop(version: str) -> None:
    found, explain = scored(version), cells.explainer("text-classification", version)
    for number, cell in enumerate(MANY):
        ids = explain.wrapper.encode(cell).inputs["input_ids"].tolist()
        (clean,) = explain.explain([cell])
        expected = by_a_plain_loop(explain, ids, int(clean.target))
        row = found.scores[[number]].tocoo()
        own = {explain.processor.tokens[found.genes[i]]: value for i, value in zip(row.col, row.data, strict=True)}
        assert own.keys() == expected.keys()
        for token, value in expected.items():
            assert own[token] == pytest.approx(value, rel=1e-3, abs=1e-5)
    assert (found.scores.data > 0).any()
    assert (found.scores.data < 0).any()


def test_the_order_of_scores_is_that_of_deletion() -> None:
    for version in cells.SPECIALS:
        for row in scored(version).scores:
            for_it = row.data[row.data > 0]
            assert len(set(for_it.astype(np.float32))) == len(for_it)  # no ties, also where float32 is stored


def rounds(cell: _Cell, *given: dict[int, float]) -> list[list[int]]:
    """What is deleted in each round, where contributions are given by gene."""
    gone = []
    for values in given:
        before = list(cell.left)
        cell.delete(np.array([values[gene] for gene in before]))
        gone.append([gene for gene in before if gene not in cell.left])
    return gone


def a_cell(genes: int) -> _Cell:
    (result,) = cells.explainer("text-classification", "V2").explain([cells.cell(genes)])
    return _Cell(result)


def test_a_gene_that_another_one_stood_in_for_comes_next() -> None:
    cell = a_cell(4)
    gone = rounds(
        cell,
        {0: 2.0, 1: 0.1, 2: 0.5, 3: -1.0},
        {1: 3.0, 2: 0.4, 3: -1.0},  # gene 1 does what gene 0 did
        {2: 0.3, 3: 0.2},
        {3: -0.5},
    )
    assert gone == [[0], [1], [2], []]
    assert cell.done
    assert cell.scores.tolist() == pytest.approx([2.0, 2.0 * BELOW, 0.3, -0.5], rel=1e-12)
    assert cell.tokens == [cell.ids[0], cell.ids[cell.content[3]], cell.ids[-1]]


def test_genes_that_are_left_are_scored_where_none_speaks_for_the_label() -> None:
    cell = a_cell(3)
    assert rounds(cell, {0: -1.0, 1: 0.0, 2: -3.0}) == [[]]
    assert cell.done
    assert cell.scores.tolist() == [-1.0, 0.0, -3.0]


def test_rounds_grow_and_never_delete_the_last_gene() -> None:
    cell = a_cell(12)
    counts = []
    while not cell.done:
        counts.append(len(cell.left))
        cell.delete(np.arange(len(cell.left), 0, -1.0))
    assert counts == [12, 11, 10, 9, 8, 7, 6, 4, 2]  # one at a time, two from the seventh round on
    assert len(cell.left) == 0
    assert (np.diff(cell.scores) < 0).all()


class Shape:
    """What a `_Cell` reads of a result."""

    def __init__(self, genes: int) -> None:
        self.inputs = {"input_ids": torch.arange(genes), "content": torch.arange(genes)}


@pytest.mark.parametrize("genes", [1, 5, 127, 128, 2048, 4999])
@pytest.mark.parametrize("above", [None, 0, 1, 3])
def test_no_cell_takes_more_rounds_than_are_promised(genes: int, above: int | None) -> None:
    """Of each round's genes, a few or all (None) speak for the label."""
    cell, rounds, given = _Cell(Shape(genes)), 0, np.zeros(0)  # type: ignore[arg-type]
    while not cell.done and rounds <= ROUNDS:
        given = np.arange(len(cell.left), 0, -1.0)
        if above is not None:
            given[above:] *= -1
        left = list(cell.left)
        cell.delete(given)
        rounds += 1
    assert cell.done
    assert rounds <= (23 if above is None else 46)
    scores = cell.scores[cell.scores > 0]
    assert len(set(scores.astype(np.float32))) == len(scores)
    if above is not None:  # the others keep the contributions of the last round
        assert cell.scores[left][above:] == pytest.approx(given[above:])
    if (genes, above) == (4999, None):
        assert rounds == 23, "as many as are needed where all speak for it"


def test_contributions_that_are_not_finite_are_refused() -> None:
    with pytest.raises(InputError, match="after 1 genes were deleted"):
        rounds(a_cell(3), {0: 1.0, 1: 0.5, 2: 0.1}, {1: float("nan"), 2: 0.1})


def test_a_cell_of_one_gene_has_its_contribution() -> None:
    explain = cells.explainer("text-classification", "V2")
    found = explain.genes([cells.cell(1)], by=SEQUENTIAL)
    (result,) = explain.explain([cells.cell(1)])
    expected = contributions(explain, result.inputs["input_ids"].tolist(), int(result.target))
    assert found.scores.data == pytest.approx(expected, rel=1e-4)


def test_tables_checks_controls_and_curves_are_as_for_other_scores() -> None:
    found, explain = scored(), cells.explainer("text-classification", "V2")
    assert (found.by, found.signed, found.reads_first) == (SEQUENTIAL, True, False)
    assert scored("V1").reads_first
    assert "genes that rank higher, at most that of the gene before it; above 0 for" in found.table().notes[0]
    assert 0 <= found.disagreement() <= 1
    assert {"checked", "sign disagrees", "for the label"} <= set(found.table().columns)
    assert set(found.compare()["group"]) == {"T", "B"}
    assert list(found.curves) == [SEQUENTIAL, "the cell's own ranks (control)", "random (control)"] or (
        "differential expression (control)" in found.curves
    )
    results = explain.explain(MANY)
    row_of = [dict(zip(found.scores[[i]].tocoo().col, found.scores[[i]].data, strict=True)) for i in range(len(MANY))]
    orders = [
        [row_of[i][found.genes.index(gene)] for gene in result.view.genes]  # type: ignore[attr-defined]
        for i, result in enumerate(results)
    ]
    curves = delete_genes(explain, results, (0.1, 0.2, 0.5), orders=orders)
    for curve, expected in zip(found.curves[SEQUENTIAL], curves, strict=True):
        assert curve.confidences("delete", (0.1, 0.5)) == pytest.approx(expected.confidences("delete", (0.1, 0.5)))
    note = "the model makes its prediction at the first gene: where that is deleted, another one is read"
    assert note in scored("V1").table().notes
    assert note not in found.table().notes


def test_scores_come_back_to_the_table(tmp_path: Path) -> None:
    counts = np.random.default_rng(0).poisson(0.6, (9, len(cells.GENES)))
    counts[:, :3] += 1
    obs = pd.DataFrame({"type": GROUPS}, index=[f"c{i}" for i in range(9)])
    table = anndata.AnnData(counts.astype(np.float32), obs, pd.DataFrame(index=cells.GENES))
    found = cells.explainer("text-classification", "V2").genes(table, by=SEQUENTIAL, groupby="type", check=0)
    filled = found.to_anndata(table)
    assert filled.uns["gene_scores"]["by"] == SEQUENTIAL
    assert filled.layers["gene_scores"].sum() == pytest.approx(found.scores.sum(), rel=1e-5)
    assert "rank_genes_groups" in filled.uns
    again = GeneScores.load(found.save(tmp_path / "scores"))
    assert (again.by, again.measure) == (found.by, found.measure)


def run(folder: Path, **options: Any) -> Results:
    explain = cells.explainer("text-classification", "V2")
    chosen = {"store": "genes", "gene_scores": SEQUENTIAL, "chunk": 2, "progress": False, **options}
    return explain.explain_dataset(MANY, folder, **chosen)


def test_a_run_stores_them_and_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    whole, direct = run(tmp_path / "whole"), scored(check=0)
    scores = whole.genes(GROUPS)
    assert (scores.by, scores.measure, scores.signed) == (SEQUENTIAL, direct.measure, True)
    places = [direct.genes.index(gene) for gene in scores.genes]
    assert scores.scores.toarray() == pytest.approx(direct.scores.toarray()[:, places], rel=1e-4, abs=1e-6)
    assert len(whole.compare_genes(GROUPS, "T")) == len(scores.compare("T"))
    files = {
        path.relative_to(tmp_path / "whole"): path.read_bytes() for path in (tmp_path / "whole" / "shards").rglob("*.*")
    }
    assert len(files) == 5
    run(tmp_path / "parts")
    for name in list(files)[1:4]:
        (tmp_path / "parts" / name).unlink()
    run(tmp_path / "parts")
    assert {name: (tmp_path / "parts" / name).read_bytes() for name in files} == files
    with pytest.raises(InputError, match="method 'tracking'"):
        run(tmp_path / "parts", gene_scores=None)


def test_what_a_run_refuses() -> None:
    with pytest.raises(InputError, match="gene_scores 'deletion'"):
        RunOptions(gene_scores="deletion", store="genes")
    with pytest.raises(InputError, match="store='auto'"):
        RunOptions(gene_scores=SEQUENTIAL)
    for name, value in {"method": "ffc", "domain": "identity", "contributions": 4, "fractions": (0.1,)}.items():
        with pytest.raises(InputError, match=f"with `{name}`"):
            RunOptions(gene_scores=SEQUENTIAL, store="genes", **{name: value})  # type: ignore[arg-type]


def test_models_of_single_genes_are_refused(tmp_path: Path) -> None:
    explain = cells.explainer("fill-mask", "V2")
    with pytest.raises(TargetError, match="whose targets are genes"):
        explain.genes(MANY[:1], by=SEQUENTIAL)
    with pytest.raises(TargetError, match="whose targets are genes"):
        explain.explain_dataset(MANY[:1], tmp_path, store="genes", gene_scores=SEQUENTIAL, progress=False)


def test_passes_and_seconds_are_counted() -> None:
    explain = cells.explainer("text-classification", "V2")
    explain.genes(MANY[:1], check=0)  # what is asked of a new explainer once
    rows: list[tuple[int, bool]] = []

    def watch(module: torch.nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
        rows.append((len(kwargs["input_ids"]), torch.is_grad_enabled()))
        time.sleep(0.01)

    handle = explain.model.register_forward_pre_hook(watch, with_kwargs=True)
    (result,) = explained(explain, MANY[:1], None, SEQUENTIAL, 0, "auto")
    handle.remove()
    assert result.provenance["seconds"] > 0.01 * len(rows), "of all rounds"
    passes = result.provenance["passes"]
    assert passes["forward"] == sum(count for count, _ in rows)
    assert passes["backward"] == sum(count for count, is_on in rows if is_on) > 4
