"""Tables in input space: the largest positions, genes with their ids, bases of overlapping words, and their measure."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hf_fourier import attribute
from hf_fourier.errors import InputError
from hf_fourier.results.relevance import FOR, MORE, SIZE, Relevance, contributes, default_relevance, method_name
from hf_fourier.results.views import BaseView, GeneView
from tests.toy_scores import Smooth, noise

IDS = tuple(f"ENSG{i:04}" for i in range(6))
SYMBOLS = [f"G{i}" for i in range(6)]


def explained(method="gradient_input", domain="fourier", n=6):
    (result,) = attribute(Smooth(3, n, 4).eval(), noise(1, n, 4), method=method, domain=domain, axes=[1])
    return result


def cell(method="gradient_input", domain="fourier"):
    return replace(explained(method, domain), view=GeneView(genes=IDS), names=SYMBOLS)


def per_position(tensor):
    return tensor.sum(1).numpy()


def test_the_largest_in_size_first_with_places_from_one():
    values = np.array([[0.5, -3.0, 0.0], [2.0, 3.0, -0.25]])
    found = Relevance(values, ("row", "column"), ("a", "b"), "gradient", measure="gradient × input")
    table = found.top(4)
    assert list(table.columns) == ["rank", "name", "row", "column", "relevance", "measure"]
    assert table["rank"] == [1, 2, 3, 4]
    assert table["relevance"] == [-3.0, 3.0, 2.0, 0.5]  # equal sizes by place
    assert table["row"] == [1, 2, 2, 1]
    assert table["column"] == [2, 2, 1, 1]
    assert table["name"] == ["a", "b", "b", "a"]
    assert table["measure"] == ["gradient × input"] * 4
    assert len(found.top()) == 6
    assert "name" not in Relevance(values, ("row", "column"), (), "gradient").top(1).columns
    assert len(Relevance(np.zeros(30), ("x",), (), "power").top()) == 20
    assert repr(found) == "Relevance(2 × 3 over row, column: gradient)"
    assert repr(replace(found, description="power of all")) == "Relevance(2 × 3 over row, column: power of all)"


def test_the_meaning_of_the_sign():
    found = Relevance(np.zeros(2), ("x",), (), "scores")
    assert found.signed
    assert found.sense == FOR
    assert replace(found, signed=False).sense == MORE
    assert replace(found, signed=False, kind="power").sense == SIZE
    assert replace(found, kind="power").sense == FOR


def test_genes_of_a_method_with_a_gradient():
    result = cell()
    table, expected = result.genes(0.5), per_position(result.keep_top(0.5) * result.gradient)
    order = np.argsort(-np.abs(expected), kind="stable")
    assert list(table.columns) == ["rank", "symbol", "ensembl_id", "place", "relevance", "measure", "gradient_input"]
    assert table["rank"] == [1, 2, 3, 4, 5, 6]
    assert table["symbol"] == [SYMBOLS[i] for i in order]
    assert table["ensembl_id"] == [IDS[i] for i in order]
    assert table["place"] == [i + 1 for i in order]
    assert table["relevance"] == pytest.approx(expected[order])
    assert table["gradient_input"] == pytest.approx(per_position(result.signal * result.gradient)[order])
    assert set(table["measure"]) == {"gradient × input"}


def test_genes_by_power_have_no_gradient():
    for result, kind in ((cell("magnitude"), None), (cell(), "power")):
        table = result.genes(k=2, kind=kind)
        assert "gradient_input" not in table.columns
        assert sorted(table["relevance"]) == pytest.approx(sorted(per_position(result.keep_top(k=2).square())))
        assert set(table["measure"]) == {"power"}


def test_genes_where_features_are_genes_have_their_scores():
    result = cell(domain="identity:grain=position")
    table = result.genes()
    assert table["relevance"] == pytest.approx([float(result.scores[place - 1]) for place in table["place"]])
    assert set(table["measure"]) == {"score of gradient_input"}
    assert table["gradient_input"] == pytest.approx(table["relevance"])
    control = cell("magnitude", "identity:grain=position").genes()
    assert "gradient_input" not in control.columns


def test_what_is_no_cell_and_no_sequence():
    with pytest.raises(InputError, match="a cell's result"):
        explained().genes()
    with pytest.raises(InputError, match="the result of a DNA model"):
        explained().bases()


@pytest.mark.parametrize("kind", [None, "gradient", "power"])
def test_bases_of_overlapping_words(kind):
    """Six words of three bases, one base apart: each base has a third of each word that it is in."""
    view = BaseView(starts=tuple(range(6)), stops=tuple(range(3, 9)), sequence="ACGTACGT")
    result = replace(explained(), view=view)
    table = result.bases(0.5, kind=kind)
    kept = result.keep_top(0.5)
    words = per_position(kept * (kept if kind == "power" else result.gradient))
    every = per_position(result.signal * result.gradient)
    assert table["place"] == list(range(1, 9))
    assert table["base"] == list("ACGTACGT")
    for column, per_word in (("relevance", words), ("gradient_input", every)):
        expected = [sum(per_word[w] / 3 for w in range(6) if w <= b < w + 3) for b in range(8)]
        if column in table.columns:
            assert table[column] == pytest.approx(expected)
    assert ("gradient_input" in table.columns) == (kind != "power")
    assert sum(table["relevance"]) == pytest.approx(words.sum())
    assert table["measure"] == ["power" if kind == "power" else "gradient × input"] * 8


def test_bases_of_words_side_by_side_without_a_gradient():
    view = BaseView(starts=(0, 2, 4, 6, 8, 9), stops=(2, 4, 6, 8, 9, 10), sequence="ACGTACGTAC")
    result = replace(explained("magnitude"), view=view)
    table = result.bases(1.0)
    words = per_position(result.signal.square())
    assert "gradient_input" not in table.columns
    assert table["relevance"] == pytest.approx([*np.repeat(words[:4] / 2, 2), words[4], words[5]])
    scored = replace(explained("magnitude", "identity:grain=position"), view=view).bases()
    assert "gradient_input" not in scored.columns


def test_the_default_fraction_and_kind():
    result = explained()
    np.testing.assert_array_equal(result.input_relevance().values, result.input_relevance(0.04).values)
    np.testing.assert_array_equal(default_relevance(result, 0.5).values, result.input_relevance(0.5).values)
    control = explained("magnitude")
    by_power = default_relevance(control, 0.5)
    assert by_power.kind == "power"
    np.testing.assert_array_equal(by_power.values, control.input_relevance(0.5, kind="power").values)
    by_place = explained(domain="identity")
    whole = default_relevance(by_place, 0.1)
    assert whole.description == "scores of gradient_input"
    np.testing.assert_allclose(whole.values, per_position(by_place.scores.view(6, 4)))


def test_a_top_of_scores_is_named():
    result = explained(domain="identity")
    for found, words in (
        (result.input_relevance(0.125), "scores of gradient_input, the top 12.5 % of features alone"),
        (result.input_relevance(k=2), "scores of gradient_input, the top 2 features alone"),
    ):
        assert found.description == words
    kept = torch.where(result.mask(k=2), result.scores, 0.0)
    np.testing.assert_allclose(result.input_relevance(k=2).values, per_position(kept.view(6, 4)))
    part = torch.where(result.mask(0.125), result.scores, 0.0)
    np.testing.assert_allclose(result.input_relevance(0.125).values, per_position(part.view(6, 4)))
    frequencies = explained().input_relevance(0.5, k=3)  # a count goes before a fraction
    np.testing.assert_array_equal(frequencies.values, explained().input_relevance(k=3).values)


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("ffc:kappa=.1,steps=3", "ffc"),
        ("saliency", "saliency"),
        ("given:origin=captum", "the map by captum"),
        ("given:lift=transport,origin=shap", "the map by shap"),
        ("given:lift=transport", "the map by elsewhere"),
        ("given", "the map by elsewhere"),
    ],
)
def test_the_name_of_a_method(spec, name):
    result = explained()
    assert method_name(replace(result, provenance={**result.provenance, "method": spec})) == name
    assert method_name(replace(result, provenance={})) == "this method"


def test_what_contributes():
    complete, sizes = explained(), explained("saliency")
    assert contributes(complete)
    assert not contributes(sizes)
    for result, scores, expected in ((sizes, sizes.scores, False), (complete, complete.scores, True)):
        taken_over = {**result.provenance, "method": "given:origin=captum"}
        assert contributes(replace(result, provenance=taken_over, scores=scores)) == expected
    for spec, expected in (("InputXGradient", True), ("GradientShap,steps=4", True), ("Saliency", False)):
        unsummed = replace(complete, provenance={"method": f"captum:{spec}"}, completeness_error=None)
        assert contributes(unsummed) == expected, spec
    # A map without negative numbers is one of sizes, also where a sum is known; zero is no contribution.
    taken_over = {**complete.provenance, "method": "given:origin=captum"}
    assert not contributes(replace(complete, provenance=taken_over, scores=complete.scores.abs()))
    assert not contributes(replace(complete, provenance=taken_over, scores=torch.zeros_like(complete.scores)))
