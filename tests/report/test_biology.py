"""The figures of proteins and cells: residues with their numbers, genes with their symbols and ranks."""

import numpy as np
import pytest

from tests.report.sample_results import PLAYED, cell, protein

CHAIN = "QVQLQQSGAELARPGASVKMSCKASGYTFTRYTMHWVKQRPGQGLEWIGYINPSRGYTNYNQKFKDKATL"


def test_residues_stand_in_blocks_of_ten_with_their_numbers(artist):
    figure = protein(CHAIN).plot()
    x = [artist(figure, f"token-{i}").get_x() for i in range(60)]
    steps = np.diff(x)
    assert np.allclose(np.delete(steps, np.arange(9, 59, 10)), steps[0]), "residues of a block touch"
    assert (steps[9::10] > 1.5 * steps[0]).all(), "blocks do not"
    first, second = artist(figure, "token-0"), artist(figure, "token-60")
    assert second.get_x() == first.get_x()
    assert second.get_y() > first.get_y()
    assert artist(figure, "number-1").get_text() == "1"
    assert artist(figure, "number-61").get_position()[1] == pytest.approx(second.get_y() + second.get_height() / 2)
    for last in (10, 60, 70):
        number, box = artist(figure, f"number-{last}"), artist(figure, f"token-{last - 1}")
        assert number.get_text() == f"{last}"
        assert number.get_position()[0] == pytest.approx(box.get_x() + box.get_width() / 2)
        assert number.get_position()[1] < box.get_y(), "above its box: down is positive"


def test_residues_are_coloured_by_their_sign(artist):
    a = protein(CHAIN, played=PLAYED)
    values, figure = a.input_relevance(0.1).values, a.plot()
    for i in np.argsort(-np.abs(values))[:20]:
        red, _, blue, _ = artist(figure, f"token-{i}").get_facecolor()
        assert (red > blue) == (values[i] > 0)


def test_a_protein_has_cycles_per_residue_and_periods(texts, artist):
    figure = protein(CHAIN, played=PLAYED).plot()
    words = {t.get_text() for t in texts(figure)}
    assert "frequency [cycles/residue]" in words
    assert any("slow, along the whole chain; right: from residue to residue" in word for word in words)
    power = next(axes for axes in figure.get_axes() if axes.get_ylabel() == "% of power")
    (top,) = power.child_axes
    ticks = dict(zip([label.get_text() for label in top.get_xticklabels()], top.get_xticks(), strict=True))
    assert ticks == pytest.approx({"10": 0.1, "5": 0.2, "3.6 (turn of an α-helix)": 1 / 3.6, "2 (β-strand)": 0.5})
    assert "for orientation only" in top.get_xlabel()
    assert "top 10 % of frequencies alone: 0.61" in artist(figure, "headline").get_text()


def test_genes_are_ranked_by_the_size_of_their_relevance(artist):
    genes = [f"GENE{i}" for i in range(64)]
    a = cell(genes, played=PLAYED)
    values, figure = a.input_relevance(0.1).values, a.plot()
    bars = [p for p in figure.findobj(lambda p: p.get_gid() == "genes") if hasattr(p, "get_width")]
    best = np.argsort(-np.abs(values), kind="stable")[: len(bars)]
    assert len(bars) == 20
    assert [bar.get_width() for bar in bars] == pytest.approx(values[best].tolist())
    labels = [label.get_text() for label in bars[0].axes.get_yticklabels()]
    assert labels == [f"GENE{i}  (rank {i + 1})" for i in best]
    assert bars[0].axes.yaxis_inverted(), "the strongest is on top"
    lines = artist(figure, "ranking").get_segments()
    assert [line[0][0] for line in lines] == list(range(1, 65))
    assert [line[1][1] for line in lines] == pytest.approx(values.tolist())


def test_a_cell_has_cycles_per_gene_and_confidences(texts, artist):
    figure = cell([f"GENE{i}" for i in range(64)], played=PLAYED).plot()
    words = {t.get_text() for t in texts(figure)}
    assert "frequency [cycles/gene]" in words
    assert any("for “T”" in word for word in words)
    assert "without them: 0.34, decision lost" in artist(figure, "headline").get_text()


@pytest.mark.parametrize("make", [protein, cell])
@pytest.mark.parametrize("names", [["A"], ["A", "$x_1$"], ["<mask>", "北京", ""], ["C"] * 900], ids=len)
@pytest.mark.parametrize("gradient", [True, False])
def test_odd_ones_are_drawn(drawn, make, names, gradient):
    drawn(make(names, gradient=gradient))


@pytest.mark.parametrize("domain", ["identity", "fourier:grain=frequency"])
@pytest.mark.parametrize("make", [protein, cell])
def test_other_domains_are_drawn(drawn, make, domain):
    drawn(make(CHAIN, domain=domain, played=PLAYED))


def test_no_line_crosses_the_name_of_a_gene(artist):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.path import Path

    figure = cell([f"GENE{i}" for i in range(64)], played=PLAYED).plot()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    lines = artist(figure, "ranking")
    names = [text for text in lines.axes.texts if text.get_text().startswith("GENE")]
    assert len(names) > 2
    for name in names:
        box = name.get_window_extent(canvas.get_renderer()).shrunk(0.98, 0.9)
        for segment in lines.get_segments():
            assert not Path(lines.axes.transData.transform(segment)).intersects_bbox(box, filled=False), name.get_text()
