"""What a notebook shows: tokens coloured in place, figures, players; no script, and every text escaped."""

import html.parser
import io
import re
from base64 import b64decode

import numpy as np
import pytest
from PIL import Image

from hf_fourier.evaluation.results import Check, Evaluation, MethodResult, SanityResult
from hf_fourier.report.html import notebook
from hf_fourier.results.audio import AudioClip
from hf_fourier.results.table import Table
from tests.report import sample_results
from tests.report.hostile_text import ALL, TEXTS

ALLOWED = {"div", "p", "b", "br", "span", "table", "thead", "tbody", "tr", "th", "td", "img", "figure", "figcaption",
           "audio", "pre"}  # fmt: skip


class Elements(html.parser.HTMLParser):
    """Elements with their attributes, and all text."""

    def __init__(self, text):
        super().__init__()
        self.found, self.texts = [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.texts.append(data)

    def of(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


def parsed(text):
    """The elements, once it is certain that nothing in them runs or is fetched."""
    elements = Elements(text)
    for tag, attributes in elements.found:
        assert tag in ALLOWED, tag
        assert not any(name.startswith("on") for name in attributes), attributes
        assert attributes.get("src", "data:").startswith("data:")
        assert "href" not in attributes
    return elements


def test_tokens_are_coloured_in_place_by_their_relevance():
    words = ("<b>one", "two", "three", "&amp;", "five")
    result = sample_results.text(words)
    elements = parsed(result._repr_html_())
    spans = elements.of("span")
    values = [float(span["title"]) for span in spans]
    expected = np.asarray(result.input_relevance(0.04).values).reshape(len(words), -1).sum(1)
    assert values == pytest.approx(expected, rel=1e-3)
    strongest = int(np.abs(expected).argmax())
    full = "rgb(244,160,58)" if expected[strongest] > 0 else "rgb(127,184,230)"
    assert full in spans[strongest]["style"]
    assert [text for text in elements.texts if text in words] == list(words)


def test_a_picture_is_a_figure_with_the_best_features_below():
    elements = parsed(sample_results.picture(played=sample_results.PLAYED)._repr_html_())
    (image,) = elements.of("img")
    data = b64decode(image["src"].partition("base64,")[2])
    assert Image.open(io.BytesIO(data)).width == 11 * notebook.DPI
    assert "score" in elements.texts
    assert elements.of("table")


def test_a_sound_has_players_of_its_parts():
    result = sample_results.waveform()
    elements = parsed(result._repr_html_())
    clips = [b64decode(player["src"].partition("base64,")[2]) for player in elements.of("audio")]
    assert len(clips) == 3
    clean, kept, removed = (np.frombuffer(clip[44:], "<i2").astype(float) for clip in clips)
    assert np.abs(clean - kept - removed).max() <= 2  # the parts of a waveform add up


def test_a_compact_result_shows_its_table_alone(tmp_path):
    from hf_fourier import Attribution

    result = Attribution.load(sample_results.picture().save(tmp_path / "one", compact=True))
    elements = parsed(result._repr_html_())
    assert not elements.of("img")
    assert elements.of("table")


def test_long_texts_and_tables_end():
    many = sample_results.text(tuple(f"w{i}" for i in range(700)))
    assert len(parsed(many._repr_html_()).of("span")) == notebook.MOST_TOKENS
    table = Table({"a": list(range(1000))})
    assert len(parsed(table._repr_html_()).of("tr")) == notebook.MOST_ROWS + 1
    assert "940 more rows" in table._repr_html_()


@pytest.mark.parametrize("hostile", TEXTS)
def test_texts_of_others_do_nothing(hostile):
    cells = [
        MethodResult("magnitude", "fourier", True, (1, 0), {"dig": [0.1, 0.2]}),
        MethodResult(hostile, "fourier", False, (1, 1), {"dig": [0.1, 0.3]}),
    ]
    shown = [
        Table({hostile: [hostile]}, [hostile]),
        sample_results.text((hostile, "b", "c"), label=hostile),
        sample_results.text((hostile, "b", "c")).input_relevance(),
        Evaluation(hostile, cells, ["a", "b"], {"dig": 1}, [("a", "b", hostile)], [hostile]),
        SanityResult(hostile, "ffc", "fourier", "softmax", ["0"], [Check(hostile, True, hostile)], [hostile]),
    ]
    for one in shown:
        text = one._repr_html_()
        parsed(text)
        assert not re.search("[\u202a-\u202e\u2066-\u2069\x1b\x00]", text)


def test_a_figure_of_hostile_names_does_nothing():
    parsed(sample_results.picture(label=ALL, method=ALL)._repr_html_())


def test_an_evaluation_shows_intervals_and_the_best_in_bold():
    cells = [
        MethodResult("magnitude", "fourier", True, (1, 0), {"dig": [0.1, 0.2, 0.3] * 10}),
        MethodResult("ffc", "fourier", False, (1, 1), {"dig": [0.2, 0.3, 0.4] * 10}),
    ]
    text = Evaluation("toy", cells, [str(i) for i in range(30)], {"dig": 1})._repr_html_()
    assert re.search(r"<td style=\"[^\"]*white-space:nowrap\"><b>0\.30</b> \[0\.2\d, 0\.3\d\]\*", text)
    assert "30 examples in 30 groups" in text


def test_a_map_and_a_clip():
    elements = parsed(sample_results.picture().input_relevance()._repr_html_())
    pixels = np.asarray(Image.open(io.BytesIO(b64decode(elements.of("img")[0]["src"].partition("base64,")[2]))))
    assert pixels.shape[:2] == (12, 10)
    clip = AudioClip(np.linspace(-2, 2, 50, dtype=np.float32), 100)
    assert len(parsed(clip._repr_html_()).of("audio")) == 1
    assert repr(clip) == "AudioClip(0.50 s at 100 Hz)"


def test_no_representation_is_an_address():
    from hf_fourier import FourierExplainer
    from tests.models import tiny_models, tiny_tokenizers

    explainer = FourierExplainer(
        tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer("bert"), method="saliency"
    )
    assert repr(explainer) == (
        "FourierExplainer('BertForSequenceClassification': text-classification, saliency in fourier)"
    )
    words = tiny_tokenizers.texts(1)[0]
    result = explainer(words, contributions=2)
    assert (result.scores == explainer.explain(words, contributions=2).scores).all()
    assert re.fullmatch(r"Prediction\('LABEL_\d' 0\.\d+(, then .*)?\)", repr(explainer.predict(words)))
    for one in (result, result.contributions, result.input_relevance(), result.top_features(2)):
        assert " at 0x" not in repr(one)
        assert "tensor(" not in repr(one)


def test_a_heat_map_is_a_figure_and_gene_scores_a_table():
    from scipy import sparse

    from hf_fourier.evaluation.studies.heat_map import HeatMap, WaveAxis
    from hf_fourier.results.gene_scores import GeneScores

    frequencies = np.arange(5.0)[:, None]
    table = np.ones((4, 5, 4), np.float32)
    axes = (WaveAxis("time", "Hz"),)
    found = HeatMap("toy", axes, frequencies, table, table[:, 0], np.full(4, np.nan), (), {}, {"level": 0.5})
    assert len(parsed(found._repr_html_()).of("img")) == 1
    scores = sparse.csr_array(np.array([[0.5, -1.0], [0.25, 0.0]]))
    known = np.full(2, np.nan)
    names = ("E1", "E2"), ("<b>A", "B"), ("E1", "E2"), ("c1", "c2"), ("T", "T")
    genes = GeneScores(scores, None, *names, known, known, "ffc", "x")
    elements = parsed(genes._repr_html_())
    assert "<b>A" in elements.texts
    assert "GeneScores(2 cells × 2 genes by ffc)" in elements.texts
