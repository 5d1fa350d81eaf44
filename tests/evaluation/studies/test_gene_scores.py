"""Scores of genes over many cells: by deletion, by masking, by contributions; groups; back into an AnnData."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse, stats

from hf_fourier import FourierExplainer
from hf_fourier.errors import DamagedFile, InputError, TargetError
from hf_fourier.evaluation.studies.gene_effects import gene_effects
from hf_fourier.evaluation.studies.gene_expression import differential_expression
from hf_fourier.evaluation.studies.in_silico_deletion import delete_genes
from hf_fourier.evaluation.studies.score_genes import score_genes
from hf_fourier.results.gene_groups import GroupSums, compare, welch
from hf_fourier.results.gene_ids import gene_ids
from hf_fourier.results.gene_scores import GeneScores
from tests.models import test_single_cell as cells

CELLS, GROUPS = 9, ("T", "B", "T", "B", "B", "T", "T", "B", "T")


def value(explain: Any, ids: list[int], target: int) -> float:
    """The explained score, by the model alone."""
    with torch.no_grad():
        logits = explain.model(input_ids=torch.tensor([ids])).logits[0].double()
    return float(logits.log_softmax(0)[target])


@pytest.mark.parametrize("by", ["deletion", "mask"])
@pytest.mark.parametrize("version", cells.SPECIALS)
def test_an_effect_is_the_models_own_without_the_gene(version: str, by: Any) -> None:
    explain = cells.explainer("text-classification", version)
    results = explain.explain([cells.cell(6), cells.cell(9, 1)])
    for result, effects in zip(results, gene_effects(explain, results, by), strict=True):
        ids, target = result.inputs["input_ids"].tolist(), int(result.target)
        first = ids.index(int(result.inputs["input_ids"][result.inputs["content"][0]]))
        assert len(effects) == len(result.names)
        for gene, effect in enumerate(effects):
            whole, at = list(ids), first + gene
            if (
                version == "V1" and gene == 0
            ):  # the place that the classifier reads holds another gene, before and after
                whole[0], whole[1], at = whole[1], whole[0], 1
            left = [*whole[:at], *([explain.processor.mask_token_id] if by == "mask" else []), *whole[at + 1 :]]
            expected = value(explain, whole, target) - value(explain, left, target)
            assert effect == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_chosen_genes_cost_one_pass_each() -> None:
    explain = cells.explainer("text-classification", "V2")
    results = explain.explain([cells.cell(6), cells.cell(9, 1)])
    whole = gene_effects(explain, results)
    rows: list[int] = []
    handle = explain.model.register_forward_pre_hook(
        lambda module, args, kwargs: rows.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    some = gene_effects(explain, results, places=[[3, 0], []])
    handle.remove()
    assert sum(rows) == 2
    assert some[0] == pytest.approx(whole[0][[3, 0]], rel=1e-4, abs=1e-6)
    assert some[1].shape == (0,)
    with pytest.raises(InputError, match="deletion, or mask"):
        gene_effects(explain, results, "silence")
    with pytest.raises(TargetError):
        gene_effects(cells.explainer("fill-mask", "V2"), results)
    (alone,) = gene_effects(explain, explain.explain([cells.cell(1)]))
    assert np.isnan(alone).all()  # a cell without a gene is none


@cache
def scored(by: str = "contributions", version: str = "V2") -> GeneScores:
    explain = cells.explainer("text-classification", version)
    given = [{**cells.cell(10 + i, i), "name": f"c{i}"} for i in range(CELLS)]
    return explain.genes(given, by=by, groupby=GROUPS, check=3, fractions=(0.2, 0.5))


@pytest.mark.parametrize("by", ["contributions", "deletion", "gradient_input"])
def test_scores_are_the_methods_own(by: str) -> None:
    found, explain = scored(by), cells.explainer("text-classification", "V2")
    assert len(found) == CELLS
    assert found.scores.shape == (CELLS, len(found.genes))
    assert "genes by " + by in repr(found)
    one = cells.cell(13, 3)
    options: dict[str, Any] = {"domain": "identity:grain=position", "method": by, "contributions": 0}
    asked = {"contributions": {"contributions": 4}, "gradient_input": options}
    result = explain.explain(one, **asked.get(by, {}))
    own = found.scores[[3]].tocoo()
    by_gene = {found.genes[column]: number for column, number in zip(own.col, own.data, strict=True)}
    expected = gene_effects(explain, [result])[0] if by == "deletion" else result.input_relevance().values
    assert [by_gene[gene] for gene in result.view.genes] == pytest.approx(list(expected), rel=1e-4, abs=1e-6)
    assert found.labels[3] == result.label
    assert found.confidences[3] == pytest.approx(result.confidence)


def test_a_table_of_genes_over_cells() -> None:
    found = scored()
    table, dense = found.table(), found.scores.toarray()
    seen = np.zeros_like(dense, dtype=bool)
    entries = found.scores.tocoo()
    seen[entries.row, entries.col] = True
    for row in table.rows():
        column = found.genes.index(row["ensembl_id"])
        values = dense[seen[:, column], column]
        assert row["symbol"] == found.symbols[column]
        assert row["cells"] == len(values)
        assert row["mean score"] == pytest.approx(values.mean(), abs=1e-7)
        if len(values) > 1:
            assert row["standard error"] == pytest.approx(values.std(ddof=1) / len(values) ** 0.5, rel=1e-4, abs=1e-8)
        assert row["for the label"] == pytest.approx((values > 0).mean())
        assert row["mean over all"] == pytest.approx(values.sum() / CELLS, abs=1e-7)
    sizes = np.abs(table["mean over all"])
    assert (np.diff(sizes) <= 1e-12).all()
    assert sum(table["checked"]) == 3 * CELLS
    assert 0 <= found.disagreement() <= 1
    some = found.table("T")
    assert sum(some["cells"]) == sum(10 + i for i, name in enumerate(GROUPS) if name == "T")
    with pytest.raises(InputError, match="one of T, B"):
        found.table("NK")


def test_a_sign_that_deletion_contradicts_is_counted() -> None:
    found = scored()
    assert found.effects is not None
    scores, effects = found.scores.toarray(), np.full(found.scores.shape, np.nan)
    entries = found.effects.tocoo()
    effects[entries.row, entries.col] = entries.data
    known = ~np.isnan(effects)
    assert known.sum() == 3 * CELLS
    assert found.disagreement() == pytest.approx((effects * scores < 0)[known].mean())
    assert np.isnan(scored("deletion").disagreement())  # nothing to hold it against


def test_groups_are_tested_as_scipy_tests_them() -> None:
    found = scored()
    table = found.compare("T")
    dense = found.scores.toarray()
    mine = np.array([name == "T" for name in GROUPS])
    t, p = stats.ttest_ind(dense[mine], dense[~mine], equal_var=False)
    for row in table.rows():
        column = found.genes.index(row["ensembl_id"])
        assert row["difference"] == pytest.approx(dense[mine, column].mean() - dense[~mine, column].mean(), abs=1e-7)
        assert row["t"] == pytest.approx(t[column], rel=1e-4)
        assert row["p"] == pytest.approx(p[column], rel=1e-3)
    known = np.isfinite(p)
    assert sorted(table["adjusted p"]) == pytest.approx(
        sorted(stats.false_discovery_control(np.where(known, p, 1))), rel=1e-3
    )
    assert set(found.compare()["group"]) == {"B", "T"}
    assert set(found.compare(reference="T")["group"]) == {"B"}
    with pytest.raises(InputError, match="one of B, T"):
        found.compare("NK")


def test_groups_are_gathered_in_pieces() -> None:
    scores = sparse.random_array((40, 12), density=0.4, rng=np.random.default_rng(0)).tocsr()
    groups = ["a" if i % 3 else "b" for i in range(40)]
    whole, parts = GroupSums.empty(("a", "b"), 12), GroupSums.empty(("a", "b"), 12)
    whole.add(scores, groups)
    for start in range(0, 40, 7):
        parts.add(scores[start : start + 7], groups[start : start + 7])
    for name in ("cells", "seen", "totals", "spreads"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name))
    one = compare(whole, ["s"] * 12, [f"g{i}" for i in range(12)], "a")
    assert len(one) == 12


def test_genes_without_spread() -> None:
    sums = GroupSums.empty(("a", "b"), 2)
    sums.add(sparse.csr_array(np.array([[1.0, 2], [1, 2], [1, 3], [1, 3]])), ["a", "a", "b", "b"])
    test = welch(sums, "a")
    assert test.t.tolist() == [0, -np.inf]
    assert test.p.tolist() == [1, 0]
    lonely = GroupSums.empty(("a", "b"), 1)
    lonely.add(sparse.csr_array(np.ones((3, 1))), ["a", "a", "b"])
    with pytest.raises(InputError, match="at least two"):
        welch(lonely, "b")
    with pytest.raises(InputError, match=r"a \(2\), b \(1\)"):
        compare(lonely, ["s"], ["g"])


def test_what_suffices_and_what_falls() -> None:
    found, explain = scored(), cells.explainer("text-classification", "V2")
    table = found.curve_table()
    assert set(table["ranking"]) == {"contributions", "the cell's own ranks (control)", "random (control)",
                                     "differential expression (control)"}  # fmt: skip
    results = explain.explain([cells.cell(10 + i, i) for i in range(CELLS)], contributions=4)
    curves = delete_genes(explain, results, (0.2, 0.5))
    for fraction in (0.2, 0.5):
        row = next(row for row in table.rows() if (row["ranking"], row["fraction"]) == ("contributions", fraction))
        for title, mode in (("alone", "keep"), ("without", "delete")):
            points = [curve.at(mode, fraction) for curve in curves]
            assert row[f"kept {title}"] == pytest.approx(np.mean([point.agreement for point in points]))
            assert row[f"confidence {title}"] == pytest.approx(
                np.mean([point.confidence for point in points]), rel=1e-3
            )
    assert not table.notes
    first = score_genes(cells.explainer("text-classification", "V1"), [cells.cell(8)], check=0, fractions=(0.5,))
    assert "first gene" in first.curve_table().notes[0]


def test_expression_is_compared_as_scipy_compares_it() -> None:
    tokenizer, groups = cells.explainer("text-classification", "V2").processor, ["a", "a", "b", "b", ""]
    given = [{"genes": cells.GENES[:4], "values": np.array(row)} for row in
             ([4.0, 0, 1, 5], [2, 2, 1, 5], [1, 3, 2, 4], [0, 9, 1, 0], [100, 0, 0, 0])]  # fmt: skip
    found = differential_expression(tokenizer, given, groups)
    assert found is not None
    counts = np.array([cell["values"] for cell in given[:4]])
    scaled = np.log1p(1e4 * counts / counts.sum(1, keepdims=True))
    t, _ = stats.ttest_ind(scaled[:2], scaled[2:], equal_var=False)
    assert [found["a"][gene] for gene in cells.GENES[:4]] == pytest.approx(t.tolist(), rel=1e-6)
    # A gene that comes by two names has the sum of both counts.
    twice = []
    for cell in given:
        last = cell["values"][3]
        parts = [*cell["values"][:3], 1, last - 1] if last > 1 else [*cell["values"], 0]
        twice.append({"genes": [*cells.GENES[:4], f"{cells.GENES[3]}.2"], "values": np.array(parts)})
    again = differential_expression(tokenizer, twice, groups)
    assert again is not None
    assert [again["a"][gene] for gene in cells.GENES[:4]] == pytest.approx(t.tolist(), rel=1e-6)
    assert differential_expression(tokenizer, given[:2], ["a", "b"]) is None
    assert differential_expression(tokenizer, [{"input_ids": [2, 3]}] * 4, groups[:4]) is None


def test_only_genes_that_were_seen_are_corrected_for() -> None:
    rows = np.zeros((9, 30))
    rows[:3, :10] = np.random.default_rng(0).normal(1, 0.3, (3, 10))
    rows[3:6, :10] = np.random.default_rng(1).normal(0.2, 0.3, (3, 10))
    rows[6:, 10:] = 1.0
    sums = GroupSums.empty(("a", "b", "c"), 30)
    sums.add(sparse.csr_array(rows), [*"aaabbbccc"])
    table = compare(sums, ["s"] * 30, [f"g{i}" for i in range(30)], "a", "b")
    assert len(table) == 10
    assert sorted(table["adjusted p"]) == pytest.approx(sorted(stats.false_discovery_control(table["p"])))


def test_cells_without_a_group_are_left_out() -> None:
    explain = cells.explainer("text-classification", "V2")
    given = [{**cells.cell(9, i), "name": f"c{i}"} for i in range(6)]
    found = score_genes(explain, given, groupby=["a", "a", "b", "b", None, float("nan")], check=0)
    assert found.sums().groups == ("a", "b")
    assert found.sums().cells.tolist() == [2, 2]
    assert set(found.compare()["group"]) == {"a", "b"}
    filled = found.to_anndata()
    assert filled.obs["gene_scores_group"].isna().tolist() == [False] * 4 + [True] * 2
    assert list(filled.uns["rank_genes_groups"]["names"].dtype.names) == ["a", "b"]


def test_a_column_of_other_groups_stays() -> None:
    explain, table = cells.explainer("text-classification", "V2"), table_of_cells()
    found = score_genes(explain, table, groupby=["p", "q", "r"] * 3, check=0)
    assert repr(found).endswith(", 3 groups)")
    assert repr(replace(found, groups=())).endswith("by sequential_contributions)")
    filled = found.to_anndata(table)
    assert filled.uns["rank_genes_groups"]["params"]["groupby"] == "gene_scores_group"
    assert list(filled.obs["gene_scores_group"]) == ["p", "q", "r"] * 3
    other = score_genes(explain, table, groupby="type", check=0)
    assert other.to_anndata(table).uns["rank_genes_groups"]["params"]["groupby"] == "type"
    table.obs["type"] = ["x"] * CELLS
    changed = other.to_anndata(table)
    assert changed.uns["rank_genes_groups"]["params"]["groupby"] == "gene_scores_group"
    assert set(changed.obs["type"]) == {"x"}


def test_cells_with_sparse_values_have_the_control_of_expression_too() -> None:
    explain = cells.explainer("text-classification", "V2")
    given = [{**cells.cell(9, i), "name": f"c{i}"} for i in range(4)]
    rows = [{**one, "values": sparse.csr_matrix(np.asarray(one["values"], dtype=float))} for one in given]
    tensors = [{**one, "values": torch.as_tensor(np.asarray(one["values"]))} for one in given]
    options: Any = {"by": "gradient_input", "groupby": ["a", "a", "b", "b"], "check": 0, "fractions": (0.5,)}
    expected = score_genes(explain, given, **options).curve_table().columns
    for form in (rows, tensors):
        assert score_genes(explain, form, **options).curve_table().columns == expected


@pytest.mark.parametrize("form", ["numbers", "truth values", "categories of numbers"])
def test_groups_that_are_numbers_are_drawn_as_groups_by_scanpy(form: str) -> None:
    scanpy = pytest.importorskip("scanpy")
    explain, table = cells.explainer("text-classification", "V2"), table_of_cells()
    numbers = np.array([3, 40, 3, 40, 40, 3, 3, 40, 3])
    table.obs["cluster"] = {
        "numbers": numbers,
        "truth values": numbers == 3,
        "categories of numbers": pd.Categorical(numbers),
    }[form]
    found = score_genes(explain, table, by="gradient_input", groupby="cluster", check=0)
    filled = found.to_anndata(table)
    assert filled.obs["cluster"].equals(table.obs["cluster"])
    where = filled.uns["rank_genes_groups"]["params"]["groupby"]
    assert where == ("cluster" if form == "categories of numbers" else "gene_scores_group")
    drawn = scanpy.pl.rank_genes_groups_dotplot(
        filled, n_genes=2, layer="gene_scores", dendrogram=False, show=False, return_fig=True
    )
    means = drawn.dot_color_df
    assert sorted(map(str, means.index)) == sorted(set(map(str, table.obs["cluster"])))
    for row, group in enumerate(map(str, means.index)):
        own = np.array([str(one) == group for one in table.obs["cluster"]])
        expected = filled[own, means.columns[0]].layers["gene_scores"].mean()
        assert means.to_numpy()[row, 0] == pytest.approx(expected, rel=1e-5)


def test_cells_that_were_not_scored_are_in_no_group() -> None:
    explain, table = cells.explainer("text-classification", "V2"), table_of_cells()
    found = score_genes(explain, table[:6], by="gradient_input", groupby="type", check=0)
    filled = found.to_anndata(table)
    assert filled.uns["rank_genes_groups"]["params"]["groupby"] == "gene_scores_group"
    assert filled.obs["gene_scores_group"].isna().tolist() == [False] * 6 + [True] * 3
    assert list(filled.obs["gene_scores_group"][:6]) == list(GROUPS[:6])
    gone = table.copy()
    gone.obs["type"] = [*GROUPS[:6], None, None, None]
    assert found.to_anndata(gone).uns["rank_genes_groups"]["params"]["groupby"] == "type"


def test_scores_come_back_to_the_names_that_the_table_has() -> None:
    explain, table = cells.explainer("text-classification", "V2"), table_of_cells()
    table.var["ensembl_id"] = [f"{gene}.7" for gene in cells.GENES]
    table.var_names = [f"row{i}" for i in range(table.n_vars)]
    found = score_genes(explain, table, check=0)
    filled = found.to_anndata(table)
    assert np.count_nonzero(filled.layers["gene_scores"].toarray()) == np.count_nonzero(found.scores.data)
    assert filled.uns["gene_scores"]["genes_without_column"] == 0
    some = found.to_anndata(table[:, 5:].copy())
    assert some.uns["gene_scores"]["genes_without_column"] == sum(gene in cells.GENES[:5] for gene in found.genes)


@pytest.mark.parametrize("saved", [False, True])
def test_another_table_may_have_retired_ids_or_ids_in_a_column_of_its_own(saved: bool, tmp_path: Path) -> None:
    explain, table = cells.explainer("text-classification", "V2"), table_of_cells()
    old = [f"ENSG{90000 + i:011d}" for i in range(len(cells.GENES))]
    tokenizer = replace(explain.processor, aliases=dict(zip(old, cells.GENES, strict=True)))
    found = score_genes(FourierExplainer(explain.model, tokenizer), table, check=0)
    if saved:
        found = GeneScores.load(found.save(tmp_path / "scores"))
    expected = found.to_anndata(table).layers["gene_scores"].toarray()
    assert np.count_nonzero(expected)
    other = table.copy()
    other.var = pd.DataFrame(
        {"mine": [f"{name.lower()}.3" for name in old]}, index=[f"row{i}" for i in range(len(old))]
    )
    assert (found.to_anndata(other, gene_ids="mine").layers["gene_scores"].toarray() == expected).all()
    other.var = other.var.set_index("mine")
    assert (found.to_anndata(other).layers["gene_scores"].toarray() == expected).all()
    with pytest.raises(InputError, match="gene_ids 'yours'"):
        found.to_anndata(other, gene_ids="yours")


def test_a_retired_id_goes_before_a_symbol_and_no_two_genes_share_a_column() -> None:
    """The first gene stands in the table by its retired id, and its symbol is the name of the second gene's column."""
    explain, table = cells.explainer("text-classification", "V2"), table_of_cells()
    found = score_genes(explain, table, check=0)
    first, second = found.genes[:2]
    found = replace(found, aliases={"ENSG00000099999": first}, symbols=("S", *found.symbols[1:]))
    other = table.copy()
    ids = {first: "ENSG00000099999"}
    other.var["ensembl_id"] = [ids.get(gene, gene) for gene in cells.GENES]
    other.var_names = [{first: "A", second: "S"}.get(gene, gene) for gene in cells.GENES]
    dense = found.scores.toarray()
    filled = found.to_anndata(other).layers["gene_scores"].toarray()
    for place, gene in enumerate((first, second)):
        assert np.allclose(filled[:, cells.GENES.index(gene)], dense[:, place])


def test_methods_without_signs_are_sizes() -> None:
    found = scored("magnitude")
    table = found.table()
    assert "for the label" not in table.columns
    assert "neither for nor against" in table.notes[0]
    assert found.effects is None
    assert "for the label" in scored("gradient_input").table().columns


def test_a_cell_of_one_gene_is_not_measured_by_deletion() -> None:
    explain = cells.explainer("text-classification", "V2")
    given = [cells.cell(1), *(cells.cell(8, i) for i in range(4))]
    found = score_genes(explain, given, by="deletion", groupby=[*"aabbb"], fractions=(0.5,))
    assert not np.isnan(found.scores.data).any()
    assert found.scores[[0]].nnz == 0
    assert all(np.isfinite(found.table()["mean score"]))
    assert len(found.compare()) > 0
    found.to_anndata()


def test_samples_are_averaged_before_they_are_compared() -> None:
    found = scored()
    donors = [*"xxyyzzwwv"]
    averaged = found.averaged(donors)
    dense = found.scores.toarray()
    for row, name in enumerate(averaged.cells):
        donor, group = name.split(", ")
        own = [i for i in range(CELLS) if (donors[i], GROUPS[i]) == (donor, group)]
        assert averaged.scores.toarray()[row] == pytest.approx(dense[own].mean(0), abs=1e-9)
        assert averaged.groups[row] == group
    assert len(averaged) == len(set(zip(donors, GROUPS, strict=True)))
    assert set(averaged.compare()["group"]) == {"B", "T"}
    with pytest.raises(InputError, match="3 samples for 9 cells"):
        found.averaged("abc")


def of_donors(scores: np.ndarray, donors: list[str], groups: list[str]) -> GeneScores:
    """Scores of cells of the given donors and groups."""
    many, names = len(scores), tuple(f"g{i}" for i in range(scores.shape[1]))
    known = np.ones(many)
    return GeneScores(
        sparse.csr_array(scores), None, names, names, names, tuple(f"c{i}" for i in range(many)), ("l",) * many,
        known, known, "x", "x", groups=tuple(groups),
    )  # fmt: skip


@pytest.mark.parametrize("saved", [False, True])
def test_the_rest_has_one_row_for_each_donor(saved: bool, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    donors = [*"aabbccccddddeee", "f"]
    groups = [*"TTTTTTBNBNKKBNK", ""]
    dense = random.normal(size=(len(donors), 3))
    found = of_donors(dense, donors, groups).averaged(donors)
    if saved:
        found = GeneScores.load(found.save(tmp_path / "scores"))
    means = {
        key: dense[[i for i, own in enumerate(zip(donors, groups, strict=True)) if own == key]].mean(0)
        for key in zip(donors, groups, strict=True)
    }
    mine = [means[one, "T"] for one in "abc"]
    rest = [np.mean([means[key] for key in means if key[0] == one and key[1] not in ("", "T")], 0) for one in "cde"]
    expected = stats.ttest_ind(mine, rest, equal_var=False)
    table = found.compare("T")
    for row in table.rows():
        column = found.genes.index(row["symbol"])
        assert (row["cells"], row["cells of reference"]) == (3, 3)
        assert row["t"] == pytest.approx(expected.statistic[column])
        assert row["p"] == pytest.approx(expected.pvalue[column])
    assert "over samples, the other groups of each averaged first" in table.notes[0]
    filled = found.to_anndata()
    assert filled.uns["rank_genes_groups"]["pvals"]["T"].min() == pytest.approx(expected.pvalue.min())
    assert "over samples, Benj" in found.compare("T", "B").notes[0]


def test_effects_of_donors_alone_are_rarely_significant_against_the_rest() -> None:
    random = np.random.default_rng(0)
    donors = [f"d{i}" for i in range(12) for _ in range(1 if i < 6 else 4)]
    groups = ["T"] * 6 + [*"BNKM"] * 6
    effect = random.normal(size=(12, 1000))[[int(one[1:]) for one in donors]]
    found = of_donors(effect + 0.5 * random.normal(size=effect.shape), donors, groups).averaged(donors)
    assert np.mean(np.asarray(found.compare("T")["p"]) < 0.05) == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize("reference", ["rest", "B"])
def test_donors_on_both_sides_are_tested_in_pairs(reference: str) -> None:
    donors = [*"aabbccdd"]
    dense = np.random.default_rng(0).normal(size=(8, 40)) + 5 * np.arange(4).repeat(2)[:, None]
    found = of_donors(dense, donors, ["T", "B"] * 4).averaged(donors)
    table = found.compare("T", reference)
    expected = stats.ttest_rel(dense[::2], dense[1::2])
    for row in table.rows():
        column = found.genes.index(row["symbol"])
        assert row["t"] == pytest.approx(expected.statistic[column])
        assert row["p"] == pytest.approx(expected.pvalue[column])
    assert "; paired t-test over samples" in table.notes[0]
    if reference == "rest":
        p = found.to_anndata().uns["rank_genes_groups"]["pvals"]["T"]
        assert sorted(p) == pytest.approx(sorted(expected.pvalue))


@pytest.mark.parametrize("size", [1e-6, 1e-9])
@pytest.mark.parametrize("reference", ["rest", "B"])
def test_scores_that_are_nearly_equal_are_tested_as_scipy_tests_them(reference: str, size: float) -> None:
    random = np.random.default_rng(0)
    dense = 1 + size * (random.normal(size=(6, 40)) + np.array([0.5, 0] * 3)[:, None])
    found = of_donors(dense, [*"aabbcc"], ["T", "B"] * 3)
    far = 1 + random.normal(size=(6, 40))
    far[1::2] = far[::2] + size * random.normal(size=(3, 40))  # nearly equal in each donor alone
    for scores, test, expected in (
        (found, "Welch's t-test", stats.ttest_ind(dense[::2], dense[1::2], equal_var=False)),
        (found.averaged([*"aabbcc"]), "paired t-test", stats.ttest_rel(dense[::2], dense[1::2])),
        (of_donors(far, [*"aabbcc"], ["T", "B"] * 3).averaged([*"aabbcc"]), "paired t-test",
         stats.ttest_rel(far[::2], far[1::2])),
    ):  # fmt: skip
        table = scores.compare("T", reference)
        assert f"; {test} over" in table.notes[0]
        column = [int(symbol[1:]) for symbol in table["symbol"]]
        assert table["t"] == pytest.approx(expected.statistic[column].tolist(), rel=1e-5)
        assert table["p"] == pytest.approx(expected.pvalue[column].tolist(), rel=1e-5)
    for row in found.table().rows():
        assert row["standard error"] == pytest.approx(stats.sem(dense[:, int(row["symbol"][1:])]), rel=1e-5)
    tiny = of_donors(1e-9 * np.array([[1.0], [2], [1], [2]]), [*"abcd"], [*"TBTB"]).compare("T")
    assert (tiny["t"], tiny["p"]) == ([-np.inf], [0]), "small scores that differ are not equal"


def test_of_one_donor_on_both_sides_the_test_is_welchs() -> None:
    dense = np.random.default_rng(0).normal(size=(5, 4))
    table = of_donors(dense, [*"aabcd"], [*"TBTTB"]).averaged([*"aabcd"]).compare("T", "B")
    column = [int(symbol[1:]) for symbol in table["symbol"]]
    expected = stats.ttest_ind(dense[[0, 2, 3]], dense[[1, 4]], equal_var=False)
    assert table["t"] == pytest.approx(expected.statistic[column].tolist())
    assert "; Welch's t-test over samples" in table.notes[0]


def test_some_donors_on_both_sides_are_tested_as_published() -> None:
    donors, groups = [*"aabbccdefg"], [*"TBTBTBTTBB"]
    dense = np.random.default_rng(0).normal(size=(10, 5)) + np.array([0, 0, 3, 3, 6, 6, 1, 2, 3, 4])[:, None]
    table = of_donors(dense, donors, groups).averaged(donors).compare("T", "B")
    for row in table.rows():
        one, other = (dense[[i for i, g in enumerate(groups) if g == name], int(row["symbol"][1:])] for name in "TB")
        v, w = one.var(ddof=1), other.var(ddof=1)
        r = stats.pearsonr(one[:3], other[:3]).statistic
        t = (one.mean() - other.mean()) / np.sqrt(v / 5 + w / 5 - 2 * r * np.sqrt(v * w) * 3 / 25)
        welch_freedom = stats.ttest_ind(one, other, equal_var=False).df
        freedom = 2 + (welch_freedom - 2) / (4 + 2 * 3) * 4  # Derrick et al. 2017: 3 pairs, 4 on one side alone
        assert row["t"] == pytest.approx(t)
        assert row["p"] == pytest.approx(2 * stats.t.sf(abs(t), freedom))
    assert "partly paired samples (Derrick et al. 2017) over samples" in table.notes[0]


def test_pairs_without_spread() -> None:
    donors, groups = [*"aabbcc"], ["T", "B"] * 3
    dense = np.array([[1, 2, 1], [1, 1, 2], [3, 4, 3], [3, 3, 3], [0.1, 1.1, 5], [0.1, 0.1, 5]], dtype=float)
    table = of_donors(dense, donors, groups).averaged(donors).compare("T", "B")
    rows = {row["symbol"]: row for row in table.rows()}
    assert (rows["g0"]["t"], rows["g0"]["p"]) == (0, 1)  # equal in each donor
    assert (rows["g1"]["t"], rows["g1"]["p"]) == (np.inf, 0)  # differ alike in each donor
    assert 0 < rows["g2"]["p"] < 1


@pytest.mark.parametrize("pairs", [3, 6, 12])
def test_effects_of_donors_on_both_sides_are_rarely_significant(pairs: int) -> None:
    random = np.random.default_rng(pairs)
    both, alone = range(pairs), range(pairs, 12)
    donors = [*(f"d{i}" for i in both for _ in "TB"), *(f"d{i}" for i in alone)]
    groups = [*(name for _ in both for name in "TB"), *("TB"[i % 2] for i in alone)]
    effect = random.normal(size=(12, 1000))[[int(one[1:]) for one in donors]]
    found = of_donors(effect + 0.5 * random.normal(size=effect.shape), donors, groups).averaged(donors)
    assert np.mean(np.asarray(found.compare("T", "B")["p"]) < 0.05) == pytest.approx(0.05, abs=0.02)


def test_a_group_whose_rest_is_of_one_donor_is_not_tested() -> None:
    donors, groups = [*"abcc"], [*"TTBN"]
    found = of_donors(np.arange(8.0).reshape(4, 2), donors, groups).averaged(donors)
    with pytest.raises(InputError, match="of others"):
        found.compare()


def test_genes_that_were_read_with_score_0_stay_seen_in_their_samples() -> None:
    found = scored()
    zeros = replace(found, scores=sparse.csr_array((0 * found.scores.data, *_structure(found)), found.scores.shape))
    averaged, donors = zeros.averaged([*"xxyyzzwwv"]), [*"xxyyzzwwv"]
    pattern = sparse.csr_array((np.ones(found.scores.nnz), *_structure(found)), found.scores.shape).toarray() > 0
    assert averaged.scores.nnz == sum(
        pattern[[i for i in range(CELLS) if (donors[i], GROUPS[i]) == key]].any(0).sum()
        for key in set(zip(donors, GROUPS, strict=True))
    )
    assert averaged.scores.count_nonzero() == 0


def _structure(found: GeneScores) -> tuple[np.ndarray, np.ndarray]:
    return found.scores.indices, found.scores.indptr


def test_cells_whose_sample_is_missing_are_in_no_sample() -> None:
    found = scored()
    donors = pd.Series(["x", None, "x", "y", float("nan"), "y", pd.NA, "z", ""], dtype=object)
    averaged, known = found.averaged(donors), [0, 2, 3, 5, 7]
    assert set(averaged.cells) == {f"{donors[i]}, {GROUPS[i]}" for i in known}
    dense = found.scores.toarray()
    assert averaged.scores.toarray()[averaged.cells.index("x, T")] == pytest.approx(dense[[0, 2]].mean(0), abs=1e-9)
    assert averaged.confidences[averaged.cells.index("z, B")] == pytest.approx(found.confidences[7])
    note = "4 of 9 cells have no sample and are left out"
    assert note in averaged.table().notes
    assert note not in found.table().notes
    with pytest.raises(InputError, match="all missing"):
        found.averaged([None] * CELLS)


def table_of_cells() -> anndata.AnnData:
    counts = np.random.default_rng(0).poisson(0.6, (CELLS, len(cells.GENES)))
    counts[:, 0] += 1
    obs = pd.DataFrame({"type": list(GROUPS), "donor": list("abcabcabc")}, index=[f"cell{i}" for i in range(CELLS)])
    var = pd.DataFrame({"ensembl_id": cells.GENES}, index=[f"G{i}" for i in range(len(cells.GENES))])
    return anndata.AnnData(sparse.csr_matrix(counts.astype(np.float32)), obs, var)


@pytest.mark.parametrize("form", ["memory", "view", "backed", "path"])
def test_an_anndata_goes_in_and_comes_back(form: str, tmp_path: Path) -> None:
    explain, table = cells.explainer("text-classification", "V2"), table_of_cells()
    if form == "view":
        whole = anndata.concat([table, table[:2].copy()], index_unique="-", merge="same")
        table = whole[:CELLS]
    table.obs_names = [f"cell{i}" for i in range(CELLS)] if form != "view" else table.obs_names
    given: Any = table
    if form in ("backed", "path"):
        table.write_h5ad(tmp_path / "a.h5ad", compression="gzip")
        given = anndata.read_h5ad(tmp_path / "a.h5ad", backed="r") if form == "backed" else tmp_path / "a.h5ad"
    found = score_genes(explain, given, by="contributions", groupby="type", check=0)
    assert found.groups == GROUPS
    assert found.groupby == "type"
    filled = found.to_anndata(table if form == "path" else given)
    assert filled.shape == table.shape
    assert list(filled.obs["donor"]) == list("abcabcabc")
    layer = filled.layers["gene_scores"].toarray()
    own = found.scores.tocoo()
    for row, column, number in zip(own.row, own.col, own.data, strict=True):
        assert layer[row, cells.GENES.index(found.genes[column])] == pytest.approx(number, rel=1e-5)
    assert np.count_nonzero(layer) == np.count_nonzero(own.data)
    assert list(filled.obs["gene_scores_label"]) == list(found.labels)
    assert filled.obs["gene_scores_confidence"].to_numpy() == pytest.approx(found.confidences)
    assert filled.obs["gene_scores_model_share"].between(0, 1).all()
    filled.write_h5ad(tmp_path / "b.h5ad")
    again = anndata.read_h5ad(tmp_path / "b.h5ad")
    assert again.uns["gene_scores"]["by"] == "contributions"
    assert "gene_scores" not in table.layers  # the given one stays as it was


def test_scanpy_reads_the_groups() -> None:
    scanpy = pytest.importorskip("scanpy")
    import matplotlib.pyplot as plt

    found = scored()
    filled = found.to_anndata()
    frame = scanpy.get.rank_genes_groups_df(filled, group="T")
    table = found.compare("T")
    expected = dict(zip(table["ensembl_id"], table["t"], strict=True))
    assert [expected[name] for name in frame["names"]] == pytest.approx(frame["scores"].tolist(), rel=1e-4)
    assert frame["scores"].is_monotonic_decreasing
    adjusted = dict(zip(table["ensembl_id"], table["adjusted p"], strict=True))
    assert [adjusted[name] for name in frame["names"]] == pytest.approx(frame["pvals_adj"].tolist(), rel=1e-4)
    scanpy.pl.rank_genes_groups(filled, n_genes=3, show=False)
    scanpy.pl.rank_genes_groups_dotplot(filled, n_genes=3, gene_symbols="symbol", dendrogram=False, show=False)
    plt.close("all")


def test_groups_that_cannot_be_tested_cost_no_scores(tmp_path: Path) -> None:
    explain, table = cells.explainer("text-classification", "V2"), table_of_cells()
    for groups in (["a"] * CELLS, [f"own{i}" for i in range(CELLS)]):
        found = score_genes(explain, table, by="gradient_input", groupby=groups, check=0)
        filled = found.to_anndata(table)
        assert "rank_genes_groups" not in filled.uns
        assert f"{groups[0]} ({groups.count(groups[0])})" in filled.uns["gene_scores"]["not_tested"]
        assert np.count_nonzero(filled.layers["gene_scores"].toarray()) == np.count_nonzero(found.scores.data)
        filled.write_h5ad(tmp_path / "a.h5ad")
    with pytest.raises(InputError, match=r"cells by group own0 \(1\), .*, …; expected a group of two cells or more"):
        found.compare()
    some = score_genes(explain, table, by="gradient_input", groupby=[*"aaaabbbbc"], check=0).compare()
    assert some.notes[1].startswith("too few cells for a test: c")
    table.obs_names = ["a"] * CELLS
    with pytest.raises(InputError, match="several cells of one name"):
        score_genes(explain, table, check=0)


def test_class_labels_of_a_data_set_are_groups_by_their_names(tmp_path: Path) -> None:
    from datasets import ClassLabel, Dataset, Features, List, Value

    explain = cells.explainer("text-classification", "V2")
    tokens = [explain.wrapper.encode(cells.cell(9, i)).inputs["input_ids"].tolist() for i in range(4)]
    kinds = Features({"input_ids": List(Value("int64")), "type": ClassLabel(names=["T", "B"])})
    Dataset.from_dict({"input_ids": tokens, "type": [0, 1, None, 1]}, kinds).save_to_disk(tmp_path / "a.dataset")
    found = score_genes(explain, tmp_path / "a.dataset", by="gradient_input", groupby="type", check=0)
    assert found.groups == ("T", "B", "", "B")


def test_missing_values_of_pandas_are_no_groups() -> None:
    explain, table = cells.explainer("text-classification", "V2"), table_of_cells()
    table.obs["type"] = pd.array([*"aabbaa", None, pd.NA, np.nan], dtype="string")
    found = score_genes(explain, table, by="gradient_input", groupby="type", check=0)
    assert found.groups == (*"aabbaa", "", "", "")
    assert found.to_anndata(table).uns["rank_genes_groups"]["params"]["groupby"] == "type"
    listed = score_genes(explain, table, by="gradient_input", groupby=[*"aabbaa", None, pd.NA, pd.NaT], check=0)
    assert listed.groups == found.groups


def test_notes_on_the_input_are_counted(tmp_path: Path) -> None:
    explain = cells.explainer("text-classification", "V2")
    given = [cells.cell(6, i) for i in range(4)]
    given[1] = {"genes": [*given[1]["genes"], "X"], "values": [*given[1]["values"], 1]}
    given[2] = {**given[2], "values": np.array([1, 2.31, 3.77, 0.123, 5.05, 1.9])}
    found = score_genes(explain, given, by="gradient_input", groupby=[*"aabb"], check=0)
    for table in (found.table(), found.compare(), GeneScores.load(found.save(tmp_path / "a")).table()):
        assert [note[:20] for note in table.notes if " of 4 cells: " in note] == [
            "1 of 4 cells: 1 of 7",
            "1 of 4 cells: values",
        ]


def test_a_table_of_other_cells_is_refused() -> None:
    found, other = scored(), table_of_cells()
    with pytest.raises(InputError, match="without the cell 'c0'"):
        found.to_anndata(other)
    other.obs_names = [f"c{i}" for i in range(CELLS)]
    other.var_names, other.var["ensembl_id"] = [f"X{i}" for i in range(other.n_vars)], "none"
    with pytest.raises(InputError, match="without any of"):
        found.to_anndata(other)


def test_saved_and_read_again(tmp_path: Path) -> None:
    for by in ("contributions", "deletion"):
        found = scored(by)
        again = GeneScores.load(found.save(tmp_path / by))
        assert repr(again) == repr(found)
        assert again.table().columns == found.table().columns
        assert again.compare("B").columns == found.compare("B").columns
        assert again.disagreement() == pytest.approx(found.disagreement(), nan_ok=True)
        assert again.provenance == found.provenance
    whole = (tmp_path / "deletion").read_bytes()
    for place in range(0, len(whole), 97):
        (tmp_path / "bad").write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(DamagedFile, match="bad"):
            GeneScores.load(tmp_path / "bad")
    with pytest.raises(InputError, match=r"GeneScores\.save"):
        GeneScores.load(tmp_path / "none")


def test_wrong_arguments_say_so() -> None:
    explain, given = cells.explainer("text-classification", "V2"), [cells.cell(5)]
    with pytest.raises(InputError, match="1 groups for 2 cells"):
        score_genes(explain, given * 2, groupby=["a"])
    with pytest.raises(InputError, match="a column, or a group for each cell"):
        score_genes(explain, given, groupby=5)
    with pytest.raises(InputError, match="with that column"):
        score_genes(explain, given, groupby="type")
    with pytest.raises(InputError, match="one of type, donor"):
        score_genes(explain, table_of_cells(), groupby="kind")
    with pytest.raises(InputError, match="without one"):
        score_genes(explain, [])
    found = score_genes(explain, given, check=0)
    with pytest.raises(InputError, match="without groups"):
        found.compare()
    with pytest.raises(InputError, match="without curves"):
        found.curve_table()


@pytest.mark.parametrize("kind", ["dots", "heat"])
def test_groups_are_drawn_with_their_means(kind: str, tmp_path: Path) -> None:
    found = scored()
    figure = found.plot(tmp_path / "groups.png", kind=kind, n=2)
    assert (tmp_path / "groups.png").stat().st_size > 1000
    axes = figure.axes[0]
    symbols = [text.get_text() for text in axes.get_xticklabels()]
    assert len(symbols) == len(set(symbols)) <= 4
    table = found.compare("B")
    best = next(row for row in sorted(table.rows(), key=lambda row: -row["t"]) if row["cells"])
    assert symbols[0] == best["symbol"]  # groups by name: B before T
    assert [text.get_text() for text in axes.get_yticklabels()] == ["B (4)", "T (5)"]
    drawn = (axes.collections[0] if kind == "dots" else axes.images[0]).get_array().reshape(2, len(symbols))
    assert drawn[0, 0] == pytest.approx(best["mean score"])
    if kind == "dots":
        assert axes.collections[0].get_sizes()[0] == pytest.approx(150 * best["cells"] / 4)


def test_figures_of_groups_name_the_measure_in_whole_words() -> None:
    measure = "contribution in the cell without the genes that rank higher, at most that of the gene before it"
    label = replace(scored(), measure=measure).plot(n=1).axes[1].get_ylabel()
    assert label.split() == ["mean", *measure.split()]
    assert max(map(len, label.splitlines())) <= 60


def test_labels_stand_in_for_groups_in_figures() -> None:
    figure = replace(scored(), groups=(), groupby="").plot(n=1)
    names = {text.get_text().rpartition(" (")[0] for text in figure.axes[0].get_yticklabels()}
    assert names == set(scored().labels)
    with pytest.raises(InputError, match="one of dots, heat"):
        scored().plot(kind="bars")


def test_ids_are_of_the_named_column_or_of_the_first_that_holds_ensembl_ids() -> None:
    ids = ["ENSG00000000003", "ENSG00000000005"]
    var = pd.DataFrame({"symbol": ["TSPAN6", "TNMD"], "feature_id": ids, "gene_ids": ["7", "8"]}, index=["a", "b"])
    assert gene_ids(var) == ids
    assert gene_ids(var, "symbol") == ["TSPAN6", "TNMD"]
    assert gene_ids(var[["symbol"]]) == ["a", "b"]
