"""Pages in a real browser: nothing but the file is asked for, and what is seen and heard at each stop is right."""

import base64
import io
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from hf_fourier import Report
from hf_fourier.evaluation.results import Check, Evaluation, MethodResult, SanityResult
from hf_fourier.results.views import GeneView
from tests.evaluation.test_model_spectrum import LOW, spectrum
from tests.report.hostile_text import TEXTS
from tests.report.sample_results import (
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

pytestmark = pytest.mark.browser
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required"]  # fmt: skip
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WORDS = ("re", "##view", ":", "the", "coffee", "was", "superb", "##ly", "bitter")
GENES = ("CD3D", "GNLY", "MS4A1", "NKG7", "LYZ")


@pytest.fixture(scope="module")
def browser():
    """One browser for the module, with a profile of its own."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        assert os.environ.get("HF_FOURIER_REQUIRE_ASSETS") != "1", f"none of {', '.join(NAMES)} is installed"
        pytest.skip("no Chromium here")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=found, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def opened(browser, tmp_path):
    """Open a report as a page; at the end nothing but the file was asked for and nothing went wrong."""
    troubles, contexts = [], []

    def look(report, include_inputs=True, width=1100, scheme="light", content=None):
        path = tmp_path / f"{len(contexts)}.html"
        if content is None:
            report.html(path, include_inputs)
        else:
            path.write_text(content, encoding="utf-8")
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda told: troubles.append(f"{told.type}: {told.text}"))
        page.on("pageerror", lambda error: troubles.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (troubles.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        allowed = (path.as_uri(), "data:", "blob:", "about:srcdoc")
        page.on("request", lambda asked: asked.url.startswith(allowed) or troubles.append(f"request: {asked.url[:90]}"))
        page.goto(path.as_uri())
        return page

    yield look
    for context in contexts:
        context.close()
    assert troubles == []


def moved(page, key, article="article:not([hidden])"):
    """Move the slider by keyboard, and return the stop that it stands at."""
    slider = page.locator(f"{article} input[type=range]")
    slider.focus()
    slider.press(key)
    return int(slider.input_value())


def pixels(page, selector):
    """What an image element shows, `(height, width, 3)`, as the browser decodes it."""
    found = page.locator(selector).evaluate(
        """async image => { await image.decode(); const canvas = document.createElement("canvas");
        canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
        const pen = canvas.getContext("2d"); pen.drawImage(image, 0, 0);
        return [canvas.height, canvas.width, [...pen.getImageData(0, 0, canvas.width, canvas.height).data]]; }"""
    )
    return np.asarray(found[2], dtype=float).reshape(found[0], found[1], 4)[..., :3]


def rgb(image):
    return np.asarray(image.convert("RGB"), dtype=float)


@pytest.mark.parametrize(("size", "most"), [((12, 10), 0.0), ((96, 80), 4.0)])
def test_the_picture_at_each_stop_is_the_one_that_keep_rebuilds(opened, size, most):
    # A smooth picture, as photographs are: noise is what their compression is not made for.
    rows, columns = torch.linspace(-2, 2, size[0])[:, None], torch.linspace(-2, 2, size[1])
    signal = torch.stack(
        [torch.sigmoid(rows * columns), torch.exp(-(rows**2) - columns**2), torch.sigmoid(columns + rows)]
    )
    result = picture(*size, played=PLAYED, signal=signal)
    page = opened(Report([result]))
    for at, (share, sure, *_) in enumerate(PLAYED):
        assert moved(page, "ArrowRight" if at else "Home") == at
        for part, delete in (("kept", False), ("removed", True)):
            wrong = np.abs(pixels(page, f".part.{part} img") - rgb(result.render(share, delete=delete))).mean()
            assert wrong <= most, (share, part)
        assert f"{sure:.2f}" in page.locator(".part.kept .says").inner_text()
        assert page.locator("input[type=range]").get_attribute("aria-valuetext") == f"{100 * share:g} %"
    assert moved(page, "End") == len(PLAYED)
    assert np.abs(pixels(page, ".part.kept img") - rgb(result.render())).mean() <= most
    assert page.locator(".part.removed img").is_hidden()


def test_the_decision_and_the_conclusion_follow_the_slider(opened):
    page = opened(Report([picture(played=PLAYED)]))
    moved(page, "Home")
    assert "decision lost" in page.locator(".part.kept .says").inner_text()
    assert "not sufficient" in page.locator(".conclusion").inner_text()
    moved(page, "ArrowRight")
    assert "decision holds" in page.locator(".part.kept .says").inner_text()
    assert "are sufficient" in page.locator(".conclusion").inner_text()


def samples(source):
    from scipy.io import wavfile

    assert source.startswith("data:audio/wav;base64,")
    rate, found = wavfile.read(io.BytesIO(base64.b64decode(source.partition(",")[2])))
    assert found.dtype == np.int16
    return rate, found.astype(float) / 32767


@pytest.mark.parametrize("make", [waveform, spectrogram])
def test_players_hold_what_is_kept_and_removed_at_each_stop_that_has_sound(opened, make):
    result = make(played=PLAYED)
    page = opened(Report([result]))
    moved(page, "Home")
    for at, (share, *_) in enumerate(PLAYED):
        if at:
            moved(page, "ArrowRight")
        for part, delete in (("kept", False), ("removed", True)):
            player = page.locator(f".part.{part} audio")
            rate, heard = samples(player.get_attribute("src"))
            wanted = np.asarray(result.audio(share, delete=delete).samples, dtype=float)[: len(heard)]
            scale = np.abs(heard).max() / np.abs(wanted).max()
            assert rate == result.render().rate if make is waveform else result.view.rate
            assert np.abs(heard - scale * wanted).max() < 2e-4
            assert page.locator(f".part.{part} a[download]").get_attribute("href") == player.get_attribute("src")
    clip = page.locator(".part.whole audio")
    told = clip.evaluate(
        """async player => { await player.play(); await new Promise(done => setTimeout(done, 30));
        player.pause(); return [player.duration, player.currentTime]; }"""
    )
    assert told[0] == pytest.approx(len(samples(clip.get_attribute("src"))[1]) / rate, abs=1e-3)
    assert clip.get_attribute("aria-label") == "The whole clip"
    with page.expect_download() as saved:
        page.locator(".part.kept a[download]").press("Enter")
    assert saved.value.suggested_filename == "kept-30-percent.wav"
    assert saved.value.path().read_bytes()[:4] == b"RIFF"


def test_tokens_answer_the_pointer_and_the_arrow_keys_and_change_with_the_share(opened):
    result = text(WORDS, played=PLAYED, axes=("token", "hidden"))
    page = opened(Report([result]))
    box, status = page.locator(".tokens"), page.locator(".pointed")
    assert box.inner_text() == "review : the coffee was superbly bitter"  # words are whole
    page.locator(".token").nth(4).hover()
    assert status.inner_text().startswith("token 5 of 9, “coffee”: ")
    page.locator(".token").first.focus()
    page.keyboard.press("ArrowRight")
    assert status.inner_text().startswith("token 2 of 9, “view”: ")
    page.keyboard.press("End")
    assert status.inner_text().startswith("token 9 of 9, “bitter”: ")
    for at, (share, *_) in enumerate(PLAYED):
        moved(page, "Home" if at == 0 else "ArrowRight")
        values = np.asarray(result.input_relevance(share).values)
        weights = [float(w) for w in page.evaluate(
            "[...document.querySelectorAll('.token')].map(t => t.style.getPropertyValue('--w'))")]  # fmt: skip
        assert np.allclose(weights, np.abs(values) / np.abs(values).max(), atol=6e-3)
        signs = page.evaluate("[...document.querySelectorAll('.token')].map(t => t.classList.contains('for'))")
        assert signs == (values > 0).tolist()


def test_a_text_from_the_right_begins_at_the_right(opened):
    page = opened(Report([text(("שלום", "עולם"), played=PLAYED)]))
    first, second = (page.locator(".token").nth(i).bounding_box()["x"] for i in (0, 1))
    assert first > second


def test_genes_are_ranked_at_each_stop_and_sort(opened):
    result = cell(GENES, played=PLAYED, view=GeneView(genes=tuple(f"ENSG{i}" for i in range(5))))
    page = opened(Report([result]))
    for at, (share, *_) in enumerate(PLAYED):
        moved(page, "Home" if at == 0 else "ArrowRight")
        ranked = result.genes(share)
        assert page.locator(".genes tbody td:nth-child(2)").all_inner_texts() == ranked["symbol"]
        assert page.locator(".genes tbody td:nth-child(4)").all_inner_texts() == [str(p) for p in ranked["place"]]
    page.locator(".genes th button").nth(1).press("Enter")
    assert page.locator(".genes tbody td:nth-child(2)").all_inner_texts() == sorted(GENES)
    page.locator(".genes tbody tr").nth(1).hover()
    assert "“GNLY”" in page.locator(".pointed").inner_text()


CONTROL = {"dig": [0.1, 0.2, 0.3], "selectivity (random)": [0.5, 0.5, 0.6]}
OWN = {"dig": [0.3, 0.4, 0.6], "selectivity (random)": [0.4, 0.5, 0.5]}
CELLS = [
    MethodResult("magnitude", "fourier", True, (1, 0), CONTROL),
    MethodResult("ffc", "fourier", False, (1, 1), OWN),
]
EVALUATION = Evaluation("toy", CELLS, ["a", "b", "c"], {"dig": 1, "selectivity (random)": 1})
SANITY = SanityResult("toy", "ffc", "fourier", "softmax", ["a"], [Check("fresh weights", False, "stays as it was"),
                                                            Check("seeds", True, "changes nothing")])  # fmt: skip


def test_tables_sort_by_click_and_by_key_and_examples_are_chosen(opened):
    shown = [picture(played=PLAYED, label=label, confidence=sure) for label, sure in
             (("b", 0.2), ("a", 0.9), ("c", 0.45))]  # fmt: skip
    page = opened(Report(shown, EVALUATION, SANITY))
    sure, label = (page.locator(f"#table-examples tbody td:nth-child({n})") for n in (4, 3))
    head = page.locator("#table-examples th:nth-child(4)")
    head.locator("button").click()
    assert sure.all_inner_texts() == ["0.2", "0.45", "0.9"]
    assert head.get_attribute("aria-sort") == "ascending"
    head.locator("button").press("Enter")
    assert sure.all_inner_texts() == ["0.9", "0.45", "0.2"]
    page.locator("#table-examples th:nth-child(3) button").press("Space")
    assert label.all_inner_texts() == ["a", "b", "c"]
    assert head.get_attribute("aria-sort") == "none"
    assert page.locator("article:visible").count() == 1
    page.get_by_role("button", name="Next").press("Enter")
    assert "example 2: a" in page.locator("article:visible h3").inner_text()
    page.get_by_label("Example", exact=True).select_option("2")
    assert "example 3: c" in page.locator("article:visible h3").inner_text()
    assert page.get_by_role("button", name="Next").is_disabled()
    short = page.locator("#short").inner_text()  # no headline without the gap to the magnitude and selectivity
    assert "gap to magnitude" in short
    assert "+0.233 [" in short
    assert "selectivity (random)" in short
    assert "fewer than 30 are anecdotal" in short
    assert "fresh weights: stays as it was" in page.locator("#sanity-words").inner_text()


EVERYTHING = {
    "picture": lambda: picture(played=PLAYED),
    "not played": lambda: picture(),
    "masked picture": lambda: segmented(24, 20),
    "masked volume": lambda: segmented(8, 9, 10),
    "waveform": lambda: waveform(played=PLAYED),
    "spectrogram": lambda: spectrogram(played=PLAYED),
    "spectrogram that is silent": lambda: spectrogram(played=PLAYED, source=()),
    "text": lambda: text(WORDS, played=PLAYED),
    "text from the right": lambda: text(("שלום", "עולם"), played=PLAYED, gradient=False),
    "pair of texts": lambda: text(WORDS, segments=(4, 5), played=PLAYED),
    "protein": lambda: protein(tuple("QVQLQQSGAELARPGASV"), played=PLAYED),
    "cell": lambda: cell(GENES, played=PLAYED),
    "series": lambda: hand_made(50, 2, channels=(1,), played=PLAYED),
    "value": lambda: hand_made(50, 2, channels=(1,), played=PLAYED, confidence=None),
    "video": lambda: hand_made(4, 3, 8, 8, channels=(1,), kind="video", played=PLAYED),
    "wavelets": lambda: picture(16, 16, domain="wavelet:haar", played=PLAYED),
    "bands": lambda: in_bands(1),
    "scales": lambda: picture(16, 16, domain="wavelet:haar,level=2", played=PLAYED,
                              extras={"scale_importance": torch.ones(3), "scale_maps": torch.randn(3, 16, 16)}),
    "layers": lambda: picture(played=PLAYED, extras={
        "layers": ["input", "block"], "is_cut": [True, False], "effective": [3.0, 2.0], "standard_error": [0.0, 0.1],
        "energy": torch.rand(2, 4), "information": torch.rand(2, 4), "band_radius": torch.rand(4)}),
}  # fmt: skip


def in_bands(key, **others):
    """A picture in octaves, with what the score loses without each and gains by each alone."""
    made = picture(32, 32, domain="fourier:bands=octave", method="occlusion:mode=both", **others)
    made.extras = {"deleted": made.scores, "alone": -made.scores / 2}
    made.fingerprint = key
    return made


UNNAMED = """() => [...document.querySelectorAll("img, input, select, audio, button, svg[role=img], [role=region]")]
    .filter(node => !(node.alt || node.textContent.trim() || node.getAttribute("aria-label")
        || (node.labels && node.labels.length)) || (node.tagName === "IMG" && !node.alt))
    .map(node => node.outerHTML.slice(0, 90))"""


@pytest.mark.parametrize("kind", EVERYTHING)
def test_every_kind_opens_wide_and_narrow_light_and_dark_with_and_without_its_input(opened, kind):
    report = Report([EVERYTHING[kind]()], sanity=SANITY)
    for inputs, width, scheme in ((True, 1100, "light"), (True, 360, "dark"), (False, 360, "light")):
        page = opened(report, inputs, width, scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(UNNAMED) == []
        assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
        if page.locator("input[type=range]").count():
            last = int(page.locator("input[type=range]").get_attribute("max"))
            before = page.locator(".percent").first.inner_text()
            assert moved(page, "End") == last
            moved(page, "Home")
            assert page.locator(".percent").first.inner_text() != "100 %" or before == "100 %"
        ink, paper = page.evaluate("(s => [s.color, s.backgroundColor])(getComputedStyle(document.body))")
        assert (sum(map(int, ink[4:-1].split(","))) > sum(map(int, paper[4:-1].split(",")))) == (scheme == "dark")


#: Labels below one axis that touch, facts in a column of a few letters, and percentages on two lines.
CRAMPED = """() => [...document.querySelectorAll("svg")].flatMap(chart => {
    const boxes = [...chart.querySelectorAll(".tick[text-anchor=middle]")].map(node => node.getBoundingClientRect())
        .filter(box => box.width);
    return boxes.flatMap((a, i) => boxes.slice(i + 1).filter(b => Math.abs(a.top - b.top) < 1 && b.left < a.right + 3))
        .map(box => `tick at ${box.left}`);
}).concat(
    [...document.querySelectorAll(".facts dd")].filter(node => node.offsetHeight > 70),
    [...document.querySelectorAll(".percent")].filter(node => node.getClientRects().length > 1),
).map(found => found.innerText ?? found)"""


def test_nothing_is_cramped_on_a_phone(opened):
    both = [picture(played=((1 / 8, 0.1, 0.0, 0.9, 1.0), *PLAYED, (0.5, 0.9, 1.0, 0.1, 0.0), (0.875, 0.9, 1, 0.1, 0)))]
    both += [protein(WORDS, played=PLAYED)]
    for width in (360, 400):
        page = opened(Report(both), width=width)
        assert page.locator(".facts dd").count() > 4
        assert page.locator(".tick[text-anchor=middle]").count() > 8
        assert page.evaluate(CRAMPED) == []


def test_text_of_others_stays_text(opened):
    worst = [one for one in TEXTS if "\n" not in one]
    results = [text(worst[:8], played=PLAYED, label=worst[0], alternatives=[(one, 0.1) for one in worst[:3]]),
               text(worst[8:], played=PLAYED, label=worst[7]),
               cell(worst[:8], played=PLAYED, label=worst[1], view=GeneView(genes=tuple(worst[:8])))]  # fmt: skip
    for result in results:
        result.provenance |= {"task": "text-classification", "model": worst[1], "notes": worst, "revision": worst[0]}
    report = Report(results, title=worst[1], names=[worst[1], worst[0], worst[7]])
    for inputs in (True, False):
        page = opened(report, inputs)
        assert page.evaluate("document.scripts.length") == 2
        assert page.evaluate("document.querySelectorAll('[onerror], img[src=x], iframe').length") == 0
        whole = page.evaluate("document.documentElement.textContent")
        assert "\u202e" not in whole
        assert (worst[1] if inputs else "Frequency explanations of ") in page.title()
        if inputs:
            assert worst[0] in page.locator("article h3").first.text_content()
            for at in range(3):
                page.locator(".chooser select").select_option(str(at))
                moved(page, "End")
            page.locator(".chooser select").select_option("0")
            page.locator(".token").first.hover()
            assert worst[0] in page.locator(".pointed").first.text_content()
            assert worst[1] in page.locator(".genes tbody").text_content()


def test_a_notebook_shows_the_report_without_inputs_in_a_frame(opened):
    report = Report([picture(played=PLAYED)], names=["secret.png"])
    shown = report._repr_html_()
    page = opened(report, content=f"<!doctype html><link rel=icon href=data:,><title>n</title>{shown}")
    frame = page.frame_locator("iframe")
    assert frame.locator("h1").inner_text() == report.title
    assert frame.locator("input[type=range]").count() == 1
    assert "secret.png" not in shown
    assert frame.locator(".part img").count() == 0


def test_bands_come_first_and_the_bars_are_as_long_as_their_numbers(opened):
    found, _ = spectrum(LOW)
    bins = picture(32, 32, played=PLAYED)
    bins.fingerprint = 1
    report = Report([bins, in_bands(1), in_bands(2, label="cup")], spectrum=replace(found, model="toy"))
    for width, scheme in ((1200, "light"), (1200, "dark"), (400, "light"), (400, "dark")):
        page = opened(report, False, width, scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(UNNAMED) == []
        heights = [page.locator(part).first.bounding_box()["y"] for part in
                   ("#short", "#spectrum", "#bands", "#ranking", "#limits", "#examples")]  # fmt: skip
        assert heights == sorted(heights)
        assert page.locator("#spectrum .chart").count() == 4
        article = page.locator("article:visible")
        assert article.locator(".bands").bounding_box()["y"] < article.locator(".slider").bounding_box()["y"]
        bars = article.locator(".bands .series-0 .bar-of")
        lengths = np.array([bars.nth(i).bounding_box()["width"] for i in range(bars.count())])
        scores = report.records[1].band_scores.scores
        assert lengths / lengths.max() == pytest.approx(np.array(scores) / max(scores), abs=0.01)
        names = article.locator(".bands .band")
        assert names.all_text_contents() == list(report.records[1].band_scores.names)
    page.get_by_role("button", name="Next").press("Enter")
    article = page.locator("article:visible")
    assert "example 3" in article.locator("h3").inner_text()
    assert article.locator(".parts").is_hidden()
    assert article.locator(".bands").is_visible()
