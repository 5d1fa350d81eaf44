"""In-silico perturbation beside the published rule of Geneformer's own tools, written anew from their documentation.

`InSilicoPerturber` with `genes_to_perturb="all"`, `emb_mode="cell"` and `InSilicoPerturberStats` with
`mode="goal_state_shift"`: for each gene of each cell of the start state its token is deleted (or moved to the front,
but for the first gene); a cell's embedding is the mean over all its genes at a layer; a shift towards a state is the
cosine with the mean embedding of the state's cells, after minus before. A gene's shifts are compared with those of all
genes in all cells by Wilcoxon's rank-sum test, p values are adjusted by Benjamini and Hochberg, and rows are sorted by
significance, then by shift. Without states the effect on a cell is the mean over the other genes of the cosine between
their embeddings before and after.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy import stats

from hf_fourier.errors import InputError
from hf_fourier.evaluation.studies.gene_shifts import GeneShifts, _rank_sum
from tests.evaluation.studies.test_perturb_genes import MANY, STATES, TYPES, cosine, hidden, tokens
from tests.models import test_single_cell as cells

LAYER = -1
EXPLAIN = ("fill-mask", "V1")


def moved(ids: list[int], place: int, by: str) -> list[int]:
    return ([ids[place]] if by == "overexpress" else []) + ids[:place] + ids[place + 1 :]


def published_shifts(by: str) -> dict[str, dict[str, list[float]]]:
    """By state and gene the shifts of all cells of the start state."""
    explain = cells.explainer(*EXPLAIN)
    whole = [hidden(explain, tokens(explain, cell), LAYER).mean(0) for cell in MANY]
    ends = {name: np.mean([one for one, kind in zip(whole, TYPES, strict=True) if kind == name], axis=0)
            for name in ("well", "other")}  # fmt: skip
    found: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in ends}
    for cell, kind, before in zip(MANY, TYPES, whole, strict=True):
        ids = tokens(explain, cell)
        for place in range(1 if by == "overexpress" else 0, len(ids)) if kind == "ill" else ():
            after = hidden(explain, moved(ids, place, by), LAYER).mean(0)
            for name, end in ends.items():
                found[name][explain.processor.ensembl(ids[place])].append(cosine(after, end) - cosine(before, end))
    return found


def step_up(p: list[float]) -> list[float]:
    """Benjamini and Hochberg's adjusted p values."""
    order, least, adjusted = np.argsort(p)[::-1], 1.0, [0.0] * len(p)
    for place, i in enumerate(order):
        least = min(least, p[i] * len(p) / (len(p) - place))
        adjusted[i] = least
    return adjusted


@cache
def ours(by: str) -> GeneShifts:
    return cells.explainer(*EXPLAIN).perturb_genes(MANY, by=by, states=STATES, embedding="geneformer", layer=LAYER)


@pytest.mark.parametrize("by", ["delete", "overexpress"])
def test_shifts_to_states_are_those_of_the_published_rule(by: str) -> None:
    found, expected = ours(by), published_shifts(by)
    for i, end in enumerate(("well", "other")):
        for number, (gene,) in enumerate(found.perturbed):
            rows = (found.perturbation == number) & ((found.rank > 0) | (by == "delete"))
            assert found.shifts[rows, i] == pytest.approx(expected[end].get(gene, []), abs=1e-6)
    assert np.abs(found.shifts).max() > 1e-3
    if by == "overexpress":  # which their tools leave out: the first gene is first already
        assert found.shifts[found.rank == 0] == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("by", ["delete", "overexpress"])
def test_the_table_is_that_of_the_published_rule(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found, shifts = ours(by), published_shifts(by)
    with monkeypatch.context() as patch:
        patch.delattr(stats, "ranksums")  # which would rank all shifts anew for each gene
        table = found.table(against="all")
    assert list(table.columns) == [
        "Gene", "Gene_name", "Ensembl_ID", "Shift_to_goal_end", "Shift_to_alt_end_other", "Cosine_sim_mean",
        "Cosine_sim_stdev", "N_Detections", "Goal_end_vs_random_pval", "Goal_end_FDR", "Alt_end_vs_random_pval_other",
        "Alt_end_FDR_other", "Sig",
    ]  # fmt: skip
    rows = {row["Ensembl_ID"]: row for row in table.rows()}
    assert rows.keys() == shifts["well"].keys()
    for end, shift, p_name, fdr_name in (
        ("well", "Shift_to_goal_end", "Goal_end_vs_random_pval", "Goal_end_FDR"),
        ("other", "Shift_to_alt_end_other", "Alt_end_vs_random_pval_other", "Alt_end_FDR_other"),
    ):
        every = [one for values in shifts[end].values() for one in values]
        p = [stats.ranksums(every, values).pvalue for values in shifts[end].values()]
        for gene, own, adjusted in zip(shifts[end], p, step_up(p), strict=True):
            assert rows[gene][shift] == pytest.approx(np.mean(shifts[end][gene]), abs=1e-6)
            assert rows[gene]["N_Detections"] == len(shifts[end][gene])
            assert rows[gene][p_name] == pytest.approx(own, abs=1e-6)
            assert rows[gene][fdr_name] == pytest.approx(adjusted, abs=1e-6)
    keys = list(zip(table["Sig"], table["Shift_to_goal_end"], strict=True))
    assert keys == sorted(keys, reverse=True)
    assert [row["Sig"] for row in table.rows()] == [int(row["Goal_end_FDR"] < 0.05) for row in table.rows()]
    assert "the perturbed ones included as in Geneformer's tools; p against all genes" in table.notes[0]


@pytest.mark.parametrize("against", ["like rank", "all"])
def test_genes_that_are_first_already_are_in_no_row_and_no_test(against: str) -> None:
    found = ours("overexpress")
    table, moved_rows = found.table(against), found.rank > 0
    assert (found.rank == 0).any()
    assert sum(table["N_Detections"]) == moved_rows.sum()
    kept = {name: getattr(found, name)[moved_rows] for name in ("cell", "perturbation", "rank", "control", "cosine")}
    rest = replace(found, **kept, shifts=found.shifts[moved_rows], score=found.score[moved_rows])
    assert rest.table(against).columns == table.columns


def test_rank_sums_against_sorted_values_are_those_of_scipy() -> None:
    random = np.random.default_rng(0)
    for size in (1, 2, 7, 40):
        every = random.integers(0, 20, 300) / 7  # many are equal
        sample = np.concatenate([every[:size], [-1.0, 9.0]])
        expected = stats.ranksums(sample, every).pvalue
        assert _rank_sum(sample, np.sort(every)) == pytest.approx(expected, rel=1e-12)
    assert np.isnan(_rank_sum(np.array([np.nan]), every))


def test_without_states_the_effect_is_the_mean_cosine_of_the_other_genes() -> None:
    explain = cells.explainer(*EXPLAIN)
    found = explain.perturb_genes(MANY[:2], embedding="geneformer", layer=LAYER)
    for number, cell in enumerate(MANY[:2]):
        ids = tokens(explain, cell)
        before = hidden(explain, ids, LAYER)
        for place, value in enumerate(found.cosine[found.cell == number]):
            after = hidden(explain, moved(ids, place, "delete"), LAYER)
            others = [i for i in range(len(ids)) if i != place]
            expected = np.mean([cosine(before[i], after[j]) for j, i in enumerate(others)])
            assert value == pytest.approx(expected, abs=1e-6)
    assert "mean over the genes as in Geneformer's tools" in found.table().notes[0]


def test_what_the_test_is_against_is_refused_where_it_is_not_known() -> None:
    explain = cells.explainer(*EXPLAIN)
    gene = explain.processor.ensembl(tokens(explain, MANY[0])[1])
    named = explain.perturb_genes(MANY[:2], [gene], embedding="geneformer")
    with pytest.raises(InputError, match="'all' of named genes"):
        named.table(against="all")
    with pytest.raises(InputError, match="against 'some'"):
        named.table(against="some")
