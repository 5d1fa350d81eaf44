"""The figures of sounds: seconds, Hz and dB, what was kept and removed, and the WAV files of both."""

import numpy as np
import pytest
import torch

from hf_fourier.errors import InputError
from hf_fourier.report.audio_files import NAMES, is_audio, save_clips
from hf_fourier.report.figures.audio import band_centres
from tests.report.sample_results import PLAYED, picture, spectrogram, waveform


def titles(figure):
    return "\n".join(axes.get_title(loc="left") for axes in figure.get_axes())


@pytest.mark.parametrize("mel_first", [True, False])
def test_three_spectrograms_in_seconds_hertz_and_decibels(artist, mel_first):
    a = spectrogram(20, 30, mel_first, played=PLAYED)
    figure = a.plot()
    shown = [artist(figure, f"spectrogram-{i}") for i in range(3)]
    expected = [a.render(), a.render(0.1), a.render(0.1, delete=True)]
    for image, level in zip(shown, expected, strict=True):
        assert np.allclose(image.get_array(), level, atol=1e-4)
        assert level.shape == (20, 30)
        assert image.get_extent() == pytest.approx([0, 0.3, 0, 20])
        assert image.get_clim() == shown[0].get_clim(), "one scale for all three"
    assert "seconds" in shown[0].axes.get_xlabel()
    assert "Hz (20 mel bands)" in shown[0].axes.get_ylabel()
    words = titles(figure)
    assert "The clip as the model gets it\n“espresso”: confidence 0.95\nthe model's decision" in words
    assert "The top 10 % of frequencies alone\n“espresso”: confidence 0.61\ndecision holds" in words
    assert "All but the top 10 %\n“espresso”: confidence 0.34\ndecision lost" in words


def test_ticks_are_round_frequencies_at_their_band(artist):
    figure = spectrogram(20, 30).plot()
    axes = artist(figure, "spectrogram-0").axes
    at = dict(zip([label.get_text() for label in axes.get_yticklabels()], axes.get_yticks(), strict=True))
    step = 8000 / 21  # the filters' middles are the first to twentieth of 21 steps
    assert at == pytest.approx({f"{hertz}": hertz / step - 0.5 for hertz in (500, 1000, 2000, 4000)}, abs=0.05)


def test_without_filters_bands_are_even_on_the_mel_scale():
    centres = band_centres(spectrogram(20, 30, source={}), 20)
    mel = 1127 * np.log1p(centres / 700)
    assert np.allclose(np.diff(mel), np.diff(mel)[0])
    assert 0 < centres[0] < centres[-1] < 8000


@pytest.mark.parametrize("mel_first", [True, False])
def test_modulations_have_time_to_the_right_and_mel_upwards(artist, mel_first):
    a = spectrogram(8, 12, mel_first)
    image = artist(a.plot(fraction=0.2), "chosen")
    assert "time frequency [cycles/frame]\n(1 cycle/frame = 100 Hz)" in image.axes.get_xlabel()
    assert image.axes.get_ylabel() == "mel frequency [cycles/mel band]"
    left, right, bottom, top = image.get_extent()
    assert (left, right) == pytest.approx((-0.5 - 1 / 24, 0.5 - 1 / 24))
    assert (bottom, top) == pytest.approx((-0.5 - 1 / 16, 0.5 - 1 / 16))
    kept = a.keep_top(0.2).double().numpy()
    power = np.fft.fftshift(np.abs(np.fft.fft2(kept if mel_first else kept.T)) ** 2)
    assert np.array_equal(~np.ma.getmaskarray(image.get_array()), power > 1e-9 * power.max())


def test_a_waveform_shows_its_spectrum_in_hertz(artist):
    rate, tone = 8000, 1000
    signal = torch.sin(2 * np.pi * tone * torch.arange(800) / rate) + 0.01 * torch.randn(800)
    a = waveform(800, rate, signal=signal, played=[(0.01, 0.7, 1.0, 0.2, 0.0)])
    figure = a.plot()
    hertz, level = artist(figure, "magnitude").get_xydata().T
    assert hertz[0] == 0
    assert hertz[-1] == rate / 2
    assert hertz[level.argmax()] == tone
    assert level.max() == 0, "the strongest is 0 dB"
    marked = artist(figure, "chosen").get_xydata()[:, 0]
    assert sorted(marked) == sorted(a.layout["frequency"][a.mask(0.01)].tolist())
    assert tone in marked
    assert artist(figure, "kept").get_xydata()[-1, 0] == pytest.approx(799 / rate)
    assert np.allclose(artist(figure, "kept").get_ydata(), a.render(0.01).samples)
    image = artist(figure, "spectrogram-0")
    assert image.get_extent() == pytest.approx([0, 0.1, 0, 4000])
    row = np.asarray(image.get_array()).mean(axis=1).argmax()
    assert row * 4000 / (len(image.get_array()) - 1) == pytest.approx(tone, abs=25)


@pytest.mark.parametrize("domain", ["fourier", "fourier:axes=time", "identity"])
@pytest.mark.parametrize("make", [spectrogram, waveform])
def test_other_domains_and_silence_are_drawn(drawn, make, domain):
    a = make(domain=domain, played=PLAYED)
    drawn(a)
    a.signal = torch.zeros_like(a.signal)
    drawn(a)


@pytest.mark.parametrize("samples", [1, 2, 7])
def test_a_few_samples_are_drawn(drawn, samples):
    drawn(waveform(samples))


@pytest.mark.parametrize("sizes", [(1, 9), (9, 1), (2, 2)])
def test_odd_spectrograms_are_drawn(drawn, sizes):
    drawn(spectrogram(*sizes))


def read(path):
    from scipy.io import wavfile

    rate, samples = wavfile.read(path)
    return rate, samples.astype(float)


def test_wavs_of_a_waveform_add_up(tmp_path):
    a = waveform(800, 8000, played=PLAYED)
    a.signal = a.signal / a.signal.abs().max()
    written = save_clips(a, tmp_path / "new")
    assert list(written) == list(NAMES)
    sounds = [read(tmp_path / "new" / name) for name in NAMES]
    assert {rate for rate, _ in sounds} == {8000}
    clean, kept, removed = (samples for _, samples in sounds)
    assert np.allclose(clean, a.render().samples, atol=1e-6), "in the clip's own units"
    assert np.allclose(kept, a.render(0.1).samples, atol=1e-6)
    assert np.allclose(kept + removed, clean, atol=1e-6)


def test_loud_parts_scale_all_alike(tmp_path):
    a = waveform(800, 8000)
    a.signal = 100 * a.signal
    save_clips(a, tmp_path, 0.3)
    clean, kept, removed = (read(tmp_path / name)[1] for name in NAMES)
    assert max(np.abs(part).max() for part in (clean, kept, removed)) == pytest.approx(1)
    assert np.allclose(kept + removed, clean, atol=1e-5)


def test_wavs_of_a_spectrogram_are_the_filtered_clip(tmp_path):
    a = spectrogram(20, 50)
    a.signal = a.signal / 100  # changes of less than 2 dB, so that nothing is scaled
    save_clips(a, tmp_path, 1.0)
    clean, kept, removed = (read(tmp_path / name) for name in NAMES)
    assert clean[0] == 16000
    assert len(clean[1]) == 50 * 160
    inside = slice(400, -400)
    assert np.allclose(clean[1][inside], a.raw_input["sound"].numpy()[inside], atol=1e-5)
    assert np.allclose(kept[1], clean[1], atol=1e-4), "with all features kept nothing is filtered"
    assert np.isfinite(removed[1]).all()


def test_a_clip_that_was_cut_is_written_as_the_model_got_it(tmp_path):
    long = torch.randn(50 * 160 + 9000) / 10
    save_clips(spectrogram(20, 50, clip=long), tmp_path, 0.2)
    assert {len(read(tmp_path / name)[1]) for name in NAMES} == {50 * 160}


def test_what_cannot_be_heard(tmp_path):
    assert is_audio(waveform())
    assert is_audio(spectrogram())
    assert not is_audio(spectrogram(source={}))
    assert not is_audio(picture())
    with pytest.raises(InputError, match="not a sound"):
        save_clips(picture(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_figure_says_what_a_spectrograms_sound_is(artist):
    words = artist(spectrogram().plot(), "conclusion").get_text().replace("\n", " ")
    assert "the clip is filtered" in words
    assert "its phase stays" in words
    assert "reads as zero (-40 dB)" in words
    assert "filtered" not in artist(waveform().plot(), "conclusion").get_text()
