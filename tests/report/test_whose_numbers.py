"""Figures, pages and tables say whose numbers they show: the method's own where features are places."""

import numpy as np
import pytest
import torch

from hf_fourier.report.figures.spectrum import plane, profile
from hf_fourier.report.html import example_view as pages
from hf_fourier.results.relevance import default_relevance
from hf_fourier.results.views import GeneView
from tests.report.sample_results import PLAYED, cell, hand_made, picture, protein, spectrogram, text

COUNT = 12
OWN = torch.linspace(-1, 2, COUNT)
NAMES = [f"w{i}" for i in range(COUNT)]
BY_PLACE = {"domain": "identity:grain=position", "method": "integrated_gradients:steps=9", "scores": OWN, "error": 0.0}


def words(figure, texts):
    return " | ".join(t.get_text().replace("\n", " ") for t in texts(figure))


@pytest.mark.parametrize("make", [text, protein])
def test_tokens_have_the_colours_of_the_scores(make, artist, texts):
    a = make(NAMES, played=PLAYED, **BY_PLACE)
    figure = a.plot()
    for i, score in enumerate(OWN.tolist()):
        red, _, blue, _ = artist(figure, f"token-{i}").get_facecolor()
        assert (red > blue) == (score > 0)
    said = words(figure, texts)
    assert "scores of integrated_gradients (orange, bar above: for “" in said
    assert "frequency" not in said
    assert "Power and top features by" in said


def test_elsewhere_they_say_that_they_are_not_the_scores(texts):
    said = words(text(NAMES, played=PLAYED).plot(), texts)
    assert "gradient × input of the top 10 % of frequencies, not scores of ffc (orange, bar above: for “" in said
    assert "Power and top features by frequency" in said
    said = words(text(NAMES, gradient=False, method="magnitude").plot(), texts)
    assert "power of the top 4 % of frequencies, not scores of magnitude (neither for nor against)" in said


def test_scores_that_are_no_contributions_are_neither_for_nor_against(texts):
    own = {**BY_PLACE, "method": "saliency", "scores": OWN.abs(), "error": None}
    said = words(text(NAMES, **own).plot(), texts)
    assert "scores of saliency (orange, bar above: more important; neither for nor against)" in said


def test_genes_are_the_scores_in_the_figure_and_the_table(texts, artist):
    a = cell(NAMES, view=GeneView(genes=tuple(f"ENSG{i}" for i in range(COUNT))), **BY_PLACE)
    figure = a.plot()
    lines = artist(figure, "ranking").get_segments()
    assert [line[1][1] for line in lines] == pytest.approx(OWN.tolist())
    assert "scores of integrated_gradients" in words(figure, texts)
    for row in a.genes().rows():
        assert row["relevance"] == pytest.approx(float(OWN[row["place"] - 1]))
        assert row["measure"] == "score of integrated_gradients"
        assert row["gradient_input"] == pytest.approx(float((a.signal * a.gradient)[row["place"] - 1].sum()), abs=1e-5)


@pytest.mark.parametrize("make", [text, cell])
def test_a_page_shows_them_too_at_every_stop(make):
    found = pages.example_view(make(NAMES, played=PLAYED, **BY_PLACE), 1e6)
    for row in found["values"]:
        assert sorted(row) == pytest.approx(OWN.tolist(), abs=1e-2)
    assert (found["description"], found["signed"], found["word"]) == ("scores of integrated_gradients", True, "score")
    found = pages.example_view(make(NAMES, played=PLAYED), 1e6)
    assert found["description"] == "gradient × input of the chosen frequencies, not scores of ffc"


def test_maps_and_lines_say_it(texts):
    square = {"method": "integrated_gradients", "domain": "identity", "scores": torch.randn(400), "error": 0.0}
    assert "Scores of integrated_gradients (orange: for" in words(hand_made(20, 20, **square).plot(), texts)
    assert "Gradient × input of the top 4 % of frequencies not scores of ffc" in words(hand_made(20, 20).plot(), texts)
    assert "not scores of ffc" in words(spectrogram().plot(), texts)


def test_a_map_from_elsewhere_is_called_by_what_made_it():
    a = text(NAMES, **{**BY_PLACE, "method": "given:origin=captum.Lime"})
    found = default_relevance(a, 0.04)
    assert found.description == "scores of the map by captum.Lime"
    np.testing.assert_allclose(found.values, OWN, rtol=1e-6)
    assert found.signed


def test_places_are_counted_from_one_in_every_table():
    a = cell(NAMES, view=GeneView(genes=tuple(NAMES)), **BY_PLACE)
    places = {
        "top": a.top_features(3)["gene"],
        "relevance": a.input_relevance().top(3)["gene"],
        "genes": a.genes()["place"][:3],
    }
    assert set(map(tuple, places.values())) == {(COUNT, COUNT - 1, COUNT - 2)}
    assert a.layout["gene"][-1] == COUNT - 1  # tensors count from 0


def test_a_square_map_is_square(artist):
    for sizes, ratio in (((28, 28), 1), ((14, 28), 0.5), ((5, 200), 0.3)):
        figure = hand_made(*sizes).plot()
        figure.draw_without_rendering()
        box = artist(figure, "relevance").axes.get_window_extent()
        assert box.height / box.width == pytest.approx(ratio, rel=0.02)
        assert artist(figure, "relevance").get_extent() == [0.5, sizes[1] + 0.5, sizes[0] + 0.5, 0.5]


def test_places_are_counted_from_one_along_axes():
    flat = plane(a := picture(8, 10, domain="identity:grain=position"), a.mask(0.1).numpy())
    assert (flat.rows.tolist(), flat.columns.tolist()) == (list(range(1, 9)), list(range(1, 11)))
    line = profile(a := text(NAMES, **BY_PLACE), a.mask(0.1).numpy())
    assert line.centres.tolist() == pytest.approx(list(range(1, COUNT + 1)))
