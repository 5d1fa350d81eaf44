"""Wavelet bands and short-time frames on one plane: every feature is somewhere, and where it belongs."""

import numpy as np
import pytest
import torch

from hf_fourier.report.figures.feature_map import features
from tests.report.sample_results import hand_made, picture, segmented, spectrogram, waveform

MADE = {
    "picture": lambda: picture(13, 18, domain="wavelet"),
    "padded picture": lambda: picture(12, 10, domain="wavelet:bior2.2,level=2"),
    "one row": lambda: picture(1, 10, domain="wavelet"),
    "waveform": lambda: waveform(100, domain="wavelet:db2"),
    "long waveform": lambda: waveform(3001, domain="wavelet:haar,level=none"),
    "frames": lambda: waveform(300, domain="stft:32"),
    "spectrogram": lambda: spectrogram(domain="wavelet"),
}


@pytest.mark.parametrize("name", MADE)
def test_all_power_and_every_chosen_feature_are_on_the_plane(name):
    a = MADE[name]()
    mask = a.mask(0.1).numpy()
    plane = features(a, mask)
    assert plane.power.shape == plane.chosen.shape == (len(plane.rows), len(plane.columns))
    assert plane.power.sum() == pytest.approx(float(a.power.sum()), rel=1e-5)
    assert plane.chosen.sum() >= mask.sum()
    assert (features(a, np.zeros_like(mask)).chosen == 0).all()


def test_a_picture_s_bands_lie_as_in_the_textbook():
    """A vertical edge is detail across columns: in the bands to the right of the smooth part, at its own rows."""
    signal = torch.zeros(3, 16, 16)
    signal[:, 4:8, 5:] = 1.0
    a = picture(16, 16, domain="wavelet:haar,level=1", signal=signal)
    power = features(a, a.mask(0.1).numpy()).power
    assert power[2:4, 8 + 2].sum() > 0
    assert power[8:, :].sum() == pytest.approx(0, abs=1e-6)  # rows 4 to 7 begin and end between pairs
    assert power[:2].sum() == power[4:8].sum() == pytest.approx(0, abs=1e-6)


def test_a_click_is_where_it_was_at_every_scale():
    signal = torch.zeros(64)
    signal[40] = 1.0
    plane = features(waveform(64, domain="wavelet:haar,level=3", signal=signal), np.ones(64, dtype=bool))
    assert len(plane.rows) == 4
    for row in plane.power:
        there = np.flatnonzero(row > 1e-9)
        assert there.min() <= 40 <= there.max()
    assert [int((row > 1e-9).sum()) for row in plane.power] == [8, 8, 4, 2]


def test_a_tone_s_frames():
    time = torch.arange(800) / 8000
    signal = torch.sin(2 * torch.pi * 1000 * time) * (time > 0.05)
    a = waveform(800, domain="stft:64", signal=signal)
    plane = features(a, a.mask(0.1).numpy())
    row, column = np.unravel_index(plane.power.argmax(), plane.power.shape)
    assert plane.rows[row] == pytest.approx(1000, abs=63)
    assert plane.columns[column] > 400


@pytest.mark.parametrize("domain", ["wavelet:axes=axis1", "wavelet"])
def test_what_no_plane_shows(domain):
    a = segmented(5, 6, 7, domain=domain) if domain == "wavelet" else picture(8, 8, domain=domain)
    assert features(a, a.mask(0.1).numpy()) is None
    pieces = hand_made(9, 4, channels=(1,), segments=(5, 4), domain=domain.partition(":")[0])
    assert features(pieces, pieces.mask(0.1).numpy()) is None
