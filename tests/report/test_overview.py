"""Figures of a whole report: means as they are, light and dark, and text that stays text in SVG."""

import math
import warnings
from xml.etree import ElementTree

import numpy as np
import pytest

from hf_fourier import Report
from hf_fourier.report.figures.dark_mode import darken
from hf_fourier.report.figures.overview import save_figures
from hf_fourier.report.mean_curves import averages
from hf_fourier.results.curve import Curve, CurvePoint
from tests.report.hostile_text import TEXTS
from tests.report.sample_results import PLAYED, picture, text
from tests.report.test_page import EVALUATION, WORDS


def asked(method, *kept):
    """An example that was asked at 10 % and 30 %: confidences and whether the decision holds."""
    made = picture(method=method)
    pairs = zip((0.1, 0.3), kept, strict=True)
    stops = tuple(CurvePoint("keep", share, share, 0.0, sure, float(sure > 0.5)) for share, sure in pairs)
    made.curve = Curve(stops, 0.9)
    return made


def test_averages_are_the_means_of_each_method_with_an_interval_around_them():
    records = Report([asked("ffc", 0.2, 0.6), asked("ffc", 0.4, 0.8), asked("magnitude", 0.1, 0.3)]).records
    own, control = averages(records, "keep", "confidence")
    assert (own.method, own.examples, own.fractions) == ("ffc", 2, [0.1, 0.3])
    assert own.means == pytest.approx([0.3, 0.7])
    assert all(low <= mean <= high for low, mean, high in zip(own.low, own.means, own.high, strict=True))
    assert math.isnan(control.low[0])
    assert averages(records, "keep", "decisions")[0].means == [0.0, 1.0]
    assert averages(records, "delete", "decisions") == []


def test_a_share_that_not_all_were_asked_at_is_left_out():
    one, other = asked("ffc", 0.2, 0.6), asked("ffc", 0.4, 0.8)
    other.curve = Curve(other.curve.points[:1], 0.9)
    assert averages(Report([one, other]).records, "keep", "confidence")[0].fractions == [0.1]


def test_figures_are_written_light_and_dark_and_show_no_markup(tmp_path):
    results = [picture(played=PLAYED, label=label, method=method)
               for label in TEXTS[:2] for method in ("ffc", "magnitude") for _ in range(2)]  # fmt: skip
    for result in results:
        result.provenance["task"] = "image-classification"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        written = save_figures(Report(results, EVALUATION), tmp_path, include_inputs=False)
    kinds = {"curves", "bands", "classes", "evaluation"}
    looks = [f"{kind}{look}" for kind in kinds for look in ("", "-dark")]
    assert set(written) == {f"{look}{end}" for look in looks for end in (".png", ".svg")}
    for name, path in written.items():
        if name.endswith(".svg"):
            content = path.read_text(encoding="utf-8")
            tags = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(content).iter()}
            assert not tags & {"script", "foreignObject", "a"}
            assert "<script>" not in content
    names = {path.name for path in tmp_path.iterdir()}
    assert names == set(written)


def test_an_examples_svg_holds_no_markup_and_no_marks_that_turn_it(tmp_path):
    path = tmp_path / "x.svg"
    text(TEXTS[:8], played=PLAYED, label=TEXTS[7]).plot(path)
    content = path.read_text(encoding="utf-8")
    tags = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(content).iter()}
    assert not tags & {"script", "foreignObject", "a"}
    assert not set("\u202e\u2066\u200f") & set(content)


@pytest.mark.parametrize("make", [lambda: text(WORDS, played=PLAYED), lambda: picture(played=PLAYED)])
def test_a_dark_figure_is_dark_and_its_letters_are_read(make, tmp_path):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import to_rgb
    from matplotlib.text import Text

    figure = darken(make().plot())
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    assert np.median(pixels) < 60
    boxes = {id(one) for axes in figure.axes if not axes.axison for one in axes.texts}
    for one in figure.findobj(Text):
        if one.get_text().strip() and one.get_visible():
            light = sum(to_rgb(one.get_color())) / 3 > 0.5
            assert light == (id(one) not in boxes), one.get_text()
