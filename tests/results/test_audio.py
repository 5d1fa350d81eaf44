"""Sounds: WAV files, and clips filtered band by band and frame by frame, against gains that are known."""

import math

import numpy as np
import pytest
import torch
from scipy.io import wavfile

from hf_fourier.errors import InputError
from hf_fourier.results.audio import AudioClip, _band_weights, filtered
from hf_fourier.results.views import SoundView, SpectrogramView, VolumeView
from tests.toy_scores import noise

RATE, FFT, HOP, FRAMES = 1000, 64, 16, 25
SAMPLES = 384
#: Three bands: bins 4 to 9, 10 to 19 (of which 10 is shared with the first by a third), 20 to 27; nothing elsewhere.
FILTERS = torch.zeros(33, 3)
FILTERS[4:10, 0], FILTERS[10:20, 1], FILTERS[20:28, 2], FILTERS[10, 0] = 0.5, 2.0, 1.0, 1.0


def tone(bin_: float, samples: int = SAMPLES) -> torch.Tensor:
    return torch.cos(2 * math.pi * bin_ * torch.arange(samples) / FFT)


def gain(bin_: int, change: torch.Tensor, **options: int) -> float:
    """The size of a tone after filtering relative to before, away from the clip's ends."""
    clip = tone(bin_)
    made = filtered(clip, FILTERS, change, RATE, FFT, HOP, **options)
    assert made.rate == RATE
    assert made.samples.shape == clip.shape
    middle = slice(FFT * 2, -FFT * 2)
    return float(made.samples[middle] @ clip[middle].numpy() / (clip[middle] @ clip[middle]))


def test_seconds():
    assert AudioClip(np.zeros(500), 2000).seconds == 0.25


@pytest.mark.parametrize(("peak", "written"), [(0.5, 0.5), (1.0, 1.0), (4.0, 1.0), (1.5, 1.0)])
def test_a_wav_file_is_scaled_only_where_it_would_clip(tmp_path, peak, written):
    samples = np.array([0.0, peak / 2, -peak, peak / 4])
    path = AudioClip(samples, 8000).save(tmp_path / "clip.wav")
    assert path == tmp_path / "clip.wav"
    rate, stored = wavfile.read(path)
    assert (rate, stored.dtype) == (8000, np.float32)
    np.testing.assert_allclose(stored, samples / peak * written, rtol=1e-6)


def test_an_empty_clip_is_a_file(tmp_path):
    AudioClip(np.zeros(0), 8000).save(tmp_path / "none.wav")
    assert len(wavfile.read(tmp_path / "none.wav")[1]) == 0


def test_without_a_change_the_clip_comes_back():
    clip = noise(SAMPLES, dtype=torch.float32)
    made = filtered(clip, FILTERS, torch.zeros(3, FRAMES), RATE, FFT, HOP)
    np.testing.assert_allclose(made.samples, clip.numpy(), atol=1e-5)


@pytest.mark.parametrize(("decibels", "factor"), [(-20, 0.1), (-60, 1e-3), (6, 10**0.3), (20, 10), (45, 10)])
def test_decibels(decibels, factor):
    """Lowered without a limit, raised by 20 dB at most."""
    assert gain(14, torch.full((3, FRAMES), float(decibels))) == pytest.approx(factor, rel=1e-3)


@pytest.mark.parametrize(
    ("bin_", "band"),
    [(6, 0), (14, 1), (24, 2), (1, 0), (3, 0), (30, 2), (31, 2)],
    ids=["first", "second", "third", "below", "just below", "above", "far above"],
)
def test_a_frequency_changes_as_its_band_and_outside_of_all_as_the_nearest(bin_, band):
    change = torch.tensor([[-20.0], [-6.0], [6.0]]).expand(3, FRAMES)
    weights = _band_weights(FILTERS)
    assert weights[bin_].tolist() == [float(b == band) for b in range(3)]
    # A Hann window spreads a tone over two bins to each side; neighbours in the same band change alike.
    assert gain(bin_, change) == pytest.approx(10 ** (float(change[band, 0]) / 20), rel=0.02)


def test_where_bands_overlap_their_gains_are_weighted():
    weights = _band_weights(FILTERS)
    torch.testing.assert_close(weights.sum(1), torch.ones(33))
    torch.testing.assert_close(weights[10], torch.tensor([1 / 3, 2 / 3, 0]))
    gap = torch.zeros(9, 2)
    gap[2, 0], gap[7, 1] = 3.0, 0.1
    assert _band_weights(gap).argmax(1).tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 1]


def test_filters_of_a_longer_transform_are_cut():
    """Mel filters may reach beyond the frame's own bins; what is there is not read."""
    longer = torch.cat([FILTERS, torch.full((8, 3), 9.0)])
    change = torch.tensor([[-20.0], [-6.0], [6.0]]).expand(3, FRAMES)
    one, other = (filtered(tone(31), f, change, RATE, FFT, HOP).samples for f in (FILTERS, longer))
    np.testing.assert_array_equal(one, other)


def loudness(samples: np.ndarray) -> list[float]:
    """The root mean square of each hop."""
    return np.sqrt(np.square(samples).reshape(-1, HOP).mean(1)).tolist()


@pytest.mark.parametrize("first", [0, 8, 32, 96])
def test_frames_have_their_time(first):
    """The change sets in at one frame; the sample at the middle of frame f is `first + f · hop`."""
    change, onset = torch.zeros(3, FRAMES), 12
    change[:, onset:] = -60.0
    made = filtered(tone(8), FILTERS, change, RATE, FFT, HOP, first)
    level = loudness(made.samples) / np.mean(loudness(tone(8).numpy()))
    middle = (first + onset * HOP) / HOP  # in hops
    before, after = int(middle) - 3, math.ceil(middle) + 3
    np.testing.assert_allclose(level[1:before], 1, atol=0.05)
    assert max(level[after:], default=0) < 0.01
    half = np.interp(0.5, level[before:after][::-1], np.arange(before, after)[::-1]) + 0.5
    assert half == pytest.approx(middle - 0.5, abs=0.6)


def test_the_first_frame_is_at_the_beginning_unless_it_is_said():
    """With a hop of one sample even one sample counts."""
    filters, change = torch.ones(3, 1), -3.0 * torch.arange(24.0).unsqueeze(0)
    clips = [filtered(noise(24), filters, change, RATE, 4, 1, *first).samples for first in ((), (0,), (1,))]
    np.testing.assert_array_equal(clips[0], clips[1])
    assert np.abs(clips[0] - clips[2]).max() > 0.1


def test_samples_outside_of_all_frames_change_as_the_nearest_frame():
    change = torch.full((3, 4), -20.0)
    change[:, 0], change[:, -1] = -6.0, 6.0
    made = filtered(tone(8), FILTERS, change, RATE, FFT, HOP, first=160)
    level = loudness(made.samples) / np.mean(loudness(tone(8).numpy()))
    np.testing.assert_allclose(level[1:6], 10 ** (-6 / 20), rtol=0.05)
    np.testing.assert_allclose(level[18:23], 10 ** (6 / 20), rtol=0.05)


def test_a_spectrogram_is_heard_through_its_clip():
    """Hop and first frame are in seconds, the change in decibels, with bands first or frames first."""
    view = SpectrogramView(10.0, -40.0, HOP / RATE, RATE, 0.0, 500.0, mel_first=False, fft=FFT, first=32 / RATE)
    clean = noise(FRAMES, 3)
    rebuilt = clean.clone()
    rebuilt[12:, :] -= 6.0  # sixty decibels
    source = {"sound": tone(8), "mel_filters": FILTERS}
    heard = view.listen(clean, rebuilt, source)
    change = torch.zeros(3, FRAMES)
    change[:, 12:] = -60.0
    np.testing.assert_allclose(heard.samples, filtered(tone(8), FILTERS, change, RATE, FFT, HOP, 32).samples, atol=1e-4)
    assert heard.rate == RATE
    shown = view.show(clean)
    assert shown.shape == (3, FRAMES)
    np.testing.assert_allclose(shown, clean.float().numpy().T * 10 - 40, rtol=1e-6)
    upright = SpectrogramView(10.0, -40.0, HOP / RATE, RATE, 0.0, 500.0, mel_first=True)
    np.testing.assert_array_equal(upright.show(clean.T), shown)
    with pytest.raises(InputError, match="clip behind it"):
        view.listen(clean, rebuilt, {})


def test_a_waveform_is_heard_as_it_is():
    view, signal = SoundView(8000, 0.25, 2.0), noise(30)
    clip = view.listen(torch.zeros(30), signal, {})
    assert clip.rate == 8000
    np.testing.assert_allclose(clip.samples, signal.float().numpy() * 2 + 0.25, rtol=1e-6)
    with pytest.raises(InputError, match="not a sound"):
        VolumeView().listen(signal, signal, {})


def test_the_sound_of_a_model_is_like_its_default():
    """Without an offset and a scale a waveform is its own sound; without a first frame the clip begins with it."""
    signal = noise(30)
    np.testing.assert_array_equal(SoundView(8000).show(signal).samples, signal.float().numpy())
    view = SpectrogramView(1.0, 0.0, HOP / RATE, RATE, 0.0, 500.0, mel_first=True)
    assert (view.fft, view.first) == (512, 0.0)
