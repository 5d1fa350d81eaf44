"""Pictures and sounds fit into a page, and are what they were."""

import base64
import io

import numpy as np
import pytest
import torch

from hf_fourier import Report
from hf_fourier.report.html import media, page
from hf_fourier.report.html.example_view import example_view
from tests.report.sample_results import PLAYED, hand_made, picture, waveform


def opened(uri):
    from PIL import Image

    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_small_pictures_lose_nothing_and_large_ones_little():
    rng = np.random.default_rng(0)
    small = media.image_of(rng.integers(0, 256, (40, 64, 3), dtype=np.uint8))
    assert (np.asarray(opened(media.picture(small))) == np.asarray(small)).all()
    smooth = np.linspace(0, 255, 200 * 100 * 3).reshape(100, 200, 3).astype(np.uint8)
    kept = np.asarray(opened(media.picture(media.image_of(smooth))), dtype=float)
    assert np.abs(kept - smooth).mean() < 2
    assert max(opened(media.picture(media.image_of(np.zeros((900, 300, 3), dtype=np.uint8)))).size) == media.LARGE


def test_pictures_get_poorer_and_smaller_until_they_fit():
    noise = media.image_of(np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8))
    sizes = []
    for budget in (10**7, 200_000, 40_000, 10_000):
        found = media.pictures([noise, noise], budget)
        assert sum(map(len, found)) <= budget
        sizes.append((opened(found[0]).size[0], len(found[0])))
    assert sizes[0][0] == 256
    assert sizes == sorted(sizes, reverse=True)


def test_a_wav_file_holds_the_samples():
    from scipy.io import wavfile

    samples = np.sin(np.arange(300) / 5) * 0.9
    rate, read = wavfile.read(io.BytesIO(media.wav(np.append(samples, [1.5, -2.0]), 16000)))
    assert rate == 16000
    assert np.abs(read[:-2] / 32767 - samples).max() < 2e-5
    assert read[-2:].tolist() == [32767, -32767]


@pytest.mark.parametrize(
    "make",
    [lambda: picture(160, 160, played=PLAYED), lambda: waveform(16000, played=PLAYED, signal=torch.randn(16000))],
)
def test_an_example_keeps_to_its_budget_however_noisy(make):
    result = make()
    for budget in (page.MAX_EXAMPLE_CHARS, page.MAX_MEDIA_CHARS / 50):
        assert len(page.embedded(example_view(result, budget))) <= 1.15 * budget


def test_a_long_sound_is_cut_and_that_is_said():
    told = example_view(waveform(8000 * 20, played=PLAYED), 100_000)["sounds"]
    assert told["cut"]
    assert 0.5 <= told["seconds"] < 20
    assert len(told["stops"]) == 1


def test_an_example_of_channels_alone_has_a_page():
    result = hand_made(2, 3, domain="identity", channels=(0, 1), played=PLAYED)
    assert "all entries together" in Report([result]).html(include_inputs=True)


def test_a_report_of_very_many_shows_the_first_and_says_so(monkeypatch):
    monkeypatch.setattr(page, "MAX_EXAMPLES", 2)
    monkeypatch.setattr(page, "MAX_ROWS", 3)
    text = Report([picture(played=PLAYED) for _ in range(4)]).html()
    assert text.count("<article") == 2
    assert "The first 2 of 4 are shown" in text
    assert "Examples (4, the first 3 shown)" in text


def test_a_report_says_what_it_does_not_show():
    assert "not measured" in Report([picture(played=PLAYED)]).html()
