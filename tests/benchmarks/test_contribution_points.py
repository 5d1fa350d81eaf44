"""The benchmark of points on the paths of contributions: exact rules, counted passes, and numbers of known answers."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from benchmarks import contribution_points as points
from benchmarks.contributions import WAYS, left_out, words
from hf_fourier import FourierExplainer
from hf_fourier.evaluation.studies.in_silico_deletion import delete_genes
from tests.models import test_single_cell as cells
from tests.models import tiny_models, tiny_tokenizers

#: By rule, the degree up to which it integrates polynomials exactly.
DEGREES = (
    (points.MIDPOINTS_4, 1), (points.MIDPOINTS_2, 1), (points.GAUSS_2, 3), (points.RADAU_2, 2), (points.RADAU_2_END, 2),
    (points.RADAU_4_END, 6), (points.SIMPSON, 3), (points.LOBATTO_5, 7), (points.TRAPEZOIDS, 1), (points.ENDS, 0),
    (points.LATE_TRAPEZOIDS, 0),
)  # fmt: skip


@pytest.mark.parametrize(("rule", "degree"), DEGREES)
def test_rules_are_exact_up_to_their_degree_and_no_further(rule: points.Rule, degree: int) -> None:
    def error(power: int) -> float:
        return abs(sum(weight * at**power for at, weight in rule.items()) - 1 / (power + 1))

    assert max(error(power) for power in range(degree + 1)) < 1e-9
    assert error(degree + 1) > 1e-6


def test_passes_beside_those_of_tracking() -> None:
    found = {title: one.passes for title, one in points.CANDIDATES.items()}
    assert found[points.FOUR] == (10, 8)
    assert found[points.OF_CELLS] == (4, 3)
    assert found[points.OF_TEXTS] == (4, 4)
    assert points.two(points.GAUSS_2).passes == (6, 4)
    assert points.two(points.RADAU_2).passes == points.two(points.SIMPSON).passes == (4, 4)
    assert points.two(points.RADAU_2_END).passes == (4, 2)


@pytest.mark.parametrize(("title", "asked"), [(points.FOUR, {"contributions": 4}), (points.OF_TEXTS, {})])
def test_two_of_the_rules_are_contributions_of_explain(title: str, asked: dict[str, int]) -> None:
    explain = FourierExplainer(tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer("bert"))
    text = tiny_tokenizers.text(6, 7, 8, 9)
    one = points.of_paths(explain, text, partial(left_out, explain))
    (result,) = explain.explain([text], **asked)
    assert result.provenance["passes"]["forward"] == 4 + points.CANDIDATES[title].passes[0]
    assert result.provenance["passes"]["backward"] == 4 + points.CANDIDATES[title].passes[1]
    expected = np.bincount(words(result), weights=result.input_relevance().values)
    found, summed, total = points.CANDIDATES[title].of(one)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    assert summed == pytest.approx(result.contributions.sum, rel=1e-3, abs=1e-5)
    assert total == pytest.approx(result.contributions.total, rel=1e-3, abs=1e-5)


def test_the_table_compares_each_rule_with_the_default() -> None:
    random = np.random.default_rng(0)
    truth = {way: random.normal(size=30).tolist() for way in WAYS}
    paths = {
        path: {
            "total": sum(truth["masked"]), "points": at, "values": [0.0] * len(at),
            "words": [truth["masked"] if path == points.AVERAGE else random.normal(size=30).tolist() for _ in at],
        }
        for path, at in points.POINTS.items()
    }  # fmt: skip
    one = {"words": 30, "label": "x", "truth": truth, "paths": paths}
    rows = {row["rule"]: row for row in points.table("a model", [one, one], [0, 1])}
    alone = rows["average token alone, Gauss–Radau: 3 points and the example"]
    assert alone["masked"] == "1.000 [1.000, 1.000]"
    assert alone["masked: below 0 (clearly)"] == "0 (0)"
    assert alone["error"] == "0.00"
    assert alone["total"] == f"{sum(truth['masked']):.2f}"
    assert rows[points.FOUR]["masked: gap"] == ""
    gap = float(alone["masked: gap"].split()[0])
    assert gap == pytest.approx(1 - float(rows[points.FOUR]["masked"].split()[0]), abs=2e-3)


def test_genes_are_deleted_together_and_kept_alone() -> None:
    explain = cells.explainer("text-classification", "V2")
    given = [cells.cell(10 + i, i) for i in range(3)]
    default, four = points.together(explain, given, [0, 1, 2])
    assert (default["n"], four["on the top genes alone: gap"]) == (3, "0.000 [0.000, 0.000]")
    for row, asked in ((default, None), (four, 4)):
        curves = delete_genes(explain, explain.explain(given, contributions=asked), points.SHARES)
        for way, mode in (("without the top genes", "delete"), ("on the top genes alone", "keep")):
            stay = [curve.at(mode, share).agreement for curve in curves for share in points.SHARES]
            assert row[way].split()[0] == f"{np.mean(stay):.3f}"
