"""The figure of a text: tokens as a person reads them, coloured by the relevance of the chosen frequencies."""

import numpy as np
import pytest

from hf_fourier.report.figures.fonts import drawable, token_texts
from tests.report.sample_results import PLAYED, text


def shown(names):
    return [(piece.text, piece.starts) for piece in token_texts(names)]


def test_wordpiece():
    assert shown(["un", "##believ", "##able", "!"]) == [("un", True), ("believ", False), ("able", False), ("!", True)]


def test_byte_level():
    assert shown(["The", "Ġca", "fÃ©", "Ċ"]) == [("The", True), ("ca", True), ("fé", False), ("⏎", True)]


def test_byte_level_decoded():
    assert shown(["The", " ca", "fé", " "]) == [("The", True), ("ca", True), ("fé", False), ("␣", True)]


def test_a_part_of_a_character_is_a_box():
    assert shown(["a", " <0xC3><0xA9>", "<0xF0><0x9F>", "<0x98><0x80>"]) == [
        ("a", True), ("é", True), ("□", False), ("□", False),
    ]  # fmt: skip


def test_sentencepiece():
    assert shown(["▁un", "real", "▁", "▁x"]) == [("un", True), ("real", False), ("␣", True), ("x", True)]


def test_classic_bpe():
    assert shown(["un@@", "real", "x"]) == [("un", True), ("real", False), ("x", True)]
    assert shown(["un", "real</w>", "x</w>"]) == [("un", True), ("real", False), ("x", True)]


def test_residues_and_a_heading_keep_their_letters():
    assert shown(["M", "K", "##"]) == [("M", True), ("K", True), ("##", True)]


@pytest.mark.parametrize("words", ["$x_1$", "a\\frac{1}{2}", "<script>", "x^2_{", "%", "[bold]"])
def test_marks_of_other_languages_stay_text(words):
    assert drawable(words) == words


def test_what_no_font_has_becomes_a_box():
    assert drawable("a\U000e0fff\u200db\x07") == "a□b"


def test_colour_and_bar_follow_the_relevance(artist):
    names = [f"w{i}" for i in range(12)]
    a = text(names, played=PLAYED)
    relevance = a.input_relevance(0.1).values
    figure = a.plot()
    strongest = int(np.abs(relevance).argmax())
    red, _, blue, _ = artist(figure, f"token-{strongest}").get_facecolor()
    assert (red > blue) == (relevance[strongest] > 0)
    warm = [artist(figure, f"token-{i}").get_facecolor() for i in range(12)]
    for (r, _, b, _), value in zip(warm, relevance, strict=True):
        if abs(value) > 0.02 * np.abs(relevance).max():
            assert (r > b) == (value > 0)


def test_tokens_stand_in_reading_order(artist):
    names = [f"word{i}" for i in range(60)]
    figure = text(names).plot()
    places = [artist(figure, f"token-{i}").get_xy() for i in range(60)]
    assert places == sorted(places, key=lambda place: (place[1], place[0]))
    assert len({y for _, y in places}) > 1


def test_hebrew_runs_from_the_right(artist):
    figure = text(["שלום", "עולם", "זה"]).plot()
    assert artist(figure, "token-0").get_x() > artist(figure, "token-1").get_x() > artist(figure, "token-2").get_x()


def test_two_texts_start_on_lines_of_their_own(artist):
    figure = text(["a", "b", "c", "d", "e"], segments=(3, 2)).plot()
    rows = [artist(figure, f"token-{i}").get_y() for i in range(5)]
    assert rows[0] == rows[1] == rows[2] < rows[3] == rows[4]
    assert artist(figure, "token-3").get_x() == artist(figure, "token-0").get_x()


def test_the_headline_has_the_confidences(artist):
    words = artist(text(["a", "b", "c"], played=PLAYED).plot(), "headline").get_text()
    assert "“espresso”: confidence 0.95" in words
    assert "top 10 % of frequencies alone: 0.61, decision holds · without them: 0.34, decision lost" in words
    assert "toy · ffc · fourier" in words


def test_chosen_share_per_frequency(artist):
    a = text([f"w{i}" for i in range(9)])
    figure = a.plot(fraction=0.2)
    bars = artist_bars(figure, "% in the top")
    mask, frequency = a.mask(0.2).numpy(), a.layout["frequency"].numpy()
    expected = {round(float(f), 4): 100 * mask[frequency == f].mean() for f in np.unique(frequency)}
    assert {round(b.get_x() + b.get_width() / 2, 4): b.get_height() for b in bars} == pytest.approx(expected)
    assert figure.findobj(lambda t: getattr(t, "get_text", str)() == "frequency [cycles/token]")


def test_power_by_frequency_adds_up():
    figure = text([f"w{i}" for i in range(9)]).plot()
    assert sum(bar.get_height() for bar in artist_bars(figure, "% of power")) == pytest.approx(100, rel=1e-4)


def artist_bars(figure, label):
    axes = next(axes for axes in figure.get_axes() if axes.get_ylabel() == label)
    return list(axes.patches)


@pytest.mark.parametrize(
    "names",
    [
        ["hi"],
        [""],
        ["$x_1$", "\\alpha", "_{^"],
        ["北京", "🎉", "\x00", "שלום", "مرحبا", "नमस्ते", "\u202e"],
        ["a" * 500],
        ["x"] * 900,
    ],
    ids=["one", "empty", "mathematics", "scripts", "long-token", "long-text"],
)
def test_odd_tokens_are_drawn_without_warnings(drawn, names):
    drawn(text(names))


def test_without_a_gradient_power_is_shown(drawn, texts):
    figure = drawn(text(["a", "b", "c"], gradient=False))
    assert any("neither for nor against" in t.get_text() for t in texts(figure))


def test_a_long_text_shows_its_strongest_part(texts):
    figure = text([f"w{i}" for i in range(900)]).plot()
    assert any("of 900, around the strongest" in t.get_text().replace("\n", " ") for t in texts(figure))
    assert len(figure.findobj(lambda a: str(a.get_gid()).startswith("token-"))) == 400
