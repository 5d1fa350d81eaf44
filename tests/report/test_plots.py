"""Laws of every figure: nothing cropped, nothing global touched, text drawn as it stands, formats by ending."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.text import Text

from hf_fourier.domains import DOMAINS
from hf_fourier.errors import InputError, SpecError
from hf_fourier.report.wording import format_confidence
from hf_fourier.results.remarks import IN_PLACE
from tests.report.sample_results import (
    MASKED,
    PLAYED,
    cell,
    hand_made,
    picture,
    protein,
    segmented,
    spectrogram,
    text,
    waveform,
)

LONG = "German short-haired pointer, a very long label with commas, brackets [x] and $dollars$" * 2
WORDS = [f"token{i}" for i in range(40)]
SHAPES = {
    "signal": ((40,), {}),
    "channels": ((2, 31), {"channels": (0,)}),
    "plane": ((3, 7, 8), {"channels": (0,)}),
    "volume": ((5, 6, 7), {}),
    "segments": ((9, 4), {"channels": (1,), "segments": (5, 4)}),
    "one entry": ((1,), {}),
    "positions": ((4, 5), {"domain": "identity"}),
    "channels only": ((2, 3), {"domain": "identity", "channels": (0, 1)}),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_anything_is_drawn_without_a_gradient(drawn, shape):
    sizes, options = SHAPES[shape]
    drawn(hand_made(*sizes, gradient=False, played=PLAYED[:1], **options))


@pytest.mark.parametrize("shape", SHAPES)
def test_zeros_are_drawn(drawn, shape):
    sizes, options = SHAPES[shape]
    drawn(hand_made(*sizes, signal=torch.zeros(sizes), **options))


@pytest.mark.parametrize("played", [(), PLAYED], ids=["unplayed", "curve"])
@pytest.mark.parametrize("kind", ["picture", "text", *SHAPES])
def test_no_text_is_cropped_and_no_titles_overlap(drawn, texts, kind, played):
    if kind == "picture":
        a = picture(label=LONG, played=played)
    elif kind == "text":
        a = text(WORDS, label=LONG, played=played)
    else:
        a = hand_made(*SHAPES[kind][0], label=LONG, played=played, **SHAPES[kind][1])
    figure = drawn(a)
    renderer = figure.canvas.get_renderer()
    drawn_on = figure.get_tightbbox(renderer)
    assert drawn_on.x0 > -0.01
    assert drawn_on.y0 > -0.01
    assert drawn_on.x1 < figure.get_figwidth() + 0.01
    assert drawn_on.y1 < figure.get_figheight() + 0.01
    titles = [axes.title if axes.get_title() else axes._left_title for axes in figure.get_axes()]
    heads = [t for t in texts(figure) if t.get_gid() in ("headline", "conclusion")]
    boxes = [t.get_window_extent(renderer) for t in [*titles, *heads] if t.get_text()]
    for i, one in enumerate(boxes):
        assert not any(one.overlaps(other) for other in boxes[:i])


MADE = {
    "picture": lambda **options: picture(12, 10, **options),
    "waveform": lambda **options: waveform(400, **options),
    "spectrogram": lambda **options: spectrogram(12, 16, **options),
    "protein": lambda **options: protein("ACDEFGHIKL" * 2, **options),
    "cell": lambda **options: cell(list("ABCDEFGHIJ"), **options),
    "masked picture": lambda **options: segmented(8, 12, **options),
    "volume": lambda **options: segmented(6, 8, 8, **options),
}


@pytest.mark.parametrize("kind", MADE)
def test_every_registered_domain_has_a_figure_of_every_kind(drawn, kind):
    drawn_by = []
    for domain in DOMAINS:
        try:
            a = MADE[kind](domain=domain)
        except SpecError:
            continue  # it does not suit such signals
        drawn(a)
        drawn_by.append(domain)
    assert {"fourier", "identity"} <= set(drawn_by)


@pytest.mark.parametrize("kind", [kind for kind in MADE if kind != "picture"])
def test_no_text_of_these_is_cropped(drawn, kind):
    played = MASKED if kind in ("masked picture", "volume") else PLAYED
    figure = drawn(MADE[kind](label=LONG, played=played))
    inside = figure.get_tightbbox(figure.canvas.get_renderer())
    assert inside.x0 > -0.01
    assert inside.y0 > -0.01
    assert inside.x1 < figure.get_figwidth() + 0.01
    assert inside.y1 < figure.get_figheight() + 0.01


def test_a_label_is_drawn_as_text(drawn, texts, tmp_path):
    figure = drawn(picture(label="$x_1$ <script>"), path=tmp_path / "figure.svg")
    assert any("“$x_1$ <script>”: confidence 0.95" in t.get_text() for t in texts(figure))
    assert not any(t.get_parse_math() for t in texts(figure) if "$" in t.get_text())
    assert "<script>" not in (tmp_path / "figure.svg").read_text()


@pytest.mark.parametrize(
    ("ending", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF"), ("PNG", b"\x89PNG")]
)
def test_the_ending_chooses_the_format(tmp_path, ending, start):
    path = tmp_path / "new" / f"figure.{ending}"
    text(["a", "b"]).plot(path)
    assert path.read_bytes().startswith(start)
    first = path.read_bytes()
    text(["a", "b"]).plot(path)
    assert ending == "svg" or path.read_bytes() == first, "the same result gives the same file"


@pytest.mark.parametrize("name", ["figure.jpg", "figure", "figure.png.txt"])
def test_another_ending_is_refused(tmp_path, name):
    with pytest.raises(InputError, match=r"\.png, \.svg, \.pdf"):
        text(["a", "b"]).plot(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_share_out_of_range_is_refused():
    with pytest.raises(InputError, match="from 0 to 1"):
        text(["a", "b"]).plot(fraction=4.0)


def test_a_compact_result_says_why_it_has_no_figure():
    from hf_fourier import Attribution

    a = text(["a", "b"])
    a.signal = None
    with pytest.raises(InputError, match="compact"):
        Attribution.plot(a)


def test_settings_of_matplotlib_stay_as_they_were(tmp_path):
    import matplotlib

    with matplotlib.rc_context({"axes.titlesize": 33, "savefig.dpi": 10, "axes.facecolor": "black", "font.size": 40}):
        before = dict(matplotlib.rcParams)
        figure = picture().plot(tmp_path / "figure.png")
        assert dict(matplotlib.rcParams) == before
    assert figure.get_axes()[0].get_facecolor() == (1, 1, 1, 1)


def test_neither_pyplot_nor_a_model_library_is_loaded(tmp_path):
    picture().save(tmp_path)
    code = f"""
import sys
from hf_fourier import Attribution
Attribution.load({str(tmp_path)!r}).plot({str(tmp_path / "figure.png")!r})
assert not {{"transformers", "matplotlib.pyplot"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_missing_matplotlib_is_said(monkeypatch):
    from hf_fourier.errors import MissingExtraError

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"hf_fourier\[report\]"):
        text(["a"]).plot()


@pytest.mark.parametrize(
    ("confidence", "words"),
    [(1.0, "0.9999"), (0.99999, "0.9999"), (0.996, "0.9960"), (0.5, "0.50"), (0.004, "0.0040"), (0.0, "< 0.0001")],
)
def test_confidences_never_round_to_certainty(confidence, words):
    assert format_confidence(confidence) == words


HOSTILE = ("$\\frac$", "_a $ b $")


def named_figures():
    """Figures whose rows, columns and legends bear names of users."""
    from hf_fourier import plot_comparison
    from hf_fourier.results.channels import ChannelScores
    from tests.evaluation.test_model_spectrum import LOW, spectrum

    found, _ = spectrum(LOW, by=[HOSTILE[i % 2] for i in range(40)])
    yield "groups of a spectrum", found.plot()
    yield "bands", replace(found, bands=tuple(replace(band, name=HOSTILE[0]) for band in found.bands)).plot()
    yield "rankings", plot_comparison({name: picture(played=PLAYED) for name in HOSTILE})
    scores = np.arange(4.0).reshape(2, 2)
    yield "channels", ChannelScores(scores, HOSTILE, HOSTILE, 1, "ffc").plot()


def test_names_of_users_are_drawn_as_they_stand(texts):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    for what, figure in named_figures():
        FigureCanvasAgg(figure).draw()
        own = [one for one in texts(figure) if "$" in one.get_text()]
        assert own, what
        assert not any(one.get_parse_math() for one in own), what
        if what in ("groups of a spectrum", "rankings"):
            assert any("_a $ b $" in one.get_text() for one in own), what


@pytest.mark.parametrize("name", ["noise", "example"])
def test_a_figure_says_what_stood_in_the_place_of_deleted_features(drawn, name):
    played = picture(played=PLAYED)
    played.curve = replace(played.curve, replacement=name)
    for result, marked in ((played, True), (picture(played=PLAYED), False)):
        texts = {one.get_gid(): " ".join(one.get_text().split()) for one in result.plot().findobj(match=Text)}
        assert (IN_PLACE[name] in texts["headline"]) is marked
        assert ("parts that are drawn have zero there" in texts["conclusion"]) is marked
    drawn(played)
