"""Sounds in every form, at every rate, there and back, and clips that are filtered by a change of their log-mel."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from hf_fourier.errors import InputError
from hf_fourier.models.inputs.audio import AudioStream, read_audio
from hf_fourier.results.audio import LOUDER, AudioClip, filtered

RATE = 16_000


def tone(hertz: float, samples: int = RATE, rate: int = RATE, loud: float = 0.5) -> np.ndarray:
    return (loud * np.sin(2 * np.pi * hertz * np.arange(samples) / rate)).astype(np.float32)


def pitch(sound: AudioClip) -> float:
    spectrum = np.abs(np.fft.rfft(sound.samples * np.hanning(len(sound.samples))))
    return float(spectrum.argmax() * sound.rate / len(sound.samples))


A, B = tone(440), tone(1000)


class Decoder:
    """What `datasets` gives for a column of sounds."""

    def get_all_samples(self) -> Any:
        return SimpleNamespace(data=torch.from_numpy(np.stack([A, B])), sample_rate=RATE)


MONO = {
    "array": A,
    "float64": A.astype(np.float64),
    "tensor": torch.from_numpy(A),
    "tensor with a gradient": torch.from_numpy(A).requires_grad_(True),
    "pair": (A, RATE),
    "pair of numpy's numbers": (A, np.int64(RATE)),
    "pair with a real rate": (A, 16_000.0),
    "pair with a tensor's rate": (A, torch.tensor(RATE)),
    "pair with a tensor of one": (A, torch.tensor([RATE])),
    "pair with an array of one": (A, np.array([RATE], np.int32)),
    "pair with a real tensor": (A, torch.tensor(16_000.0)),
    "mapping of tensors": {"array": torch.from_numpy(A), "sampling_rate": torch.tensor(RATE)},
    "mapping": {"array": A, "sampling_rate": RATE},
    "mapping as pipelines take it": {"raw": A, "sampling_rate": RATE},
    "mapping with a path": {"path": "a.wav", "array": A.tolist(), "sampling_rate": RATE},
    "one channel first": A[None],
    "one channel last": A[:, None],
    "backwards in memory": A[::-1].copy()[::-1],
}
STEREO = {
    "channels first": np.stack([A, B]),
    "channels last": np.stack([A, B], axis=1),
    "tensor": torch.from_numpy(np.stack([A, B])),
    "mapping": {"array": np.stack([A, B]), "sampling_rate": RATE},
    "decoder": Decoder(),
}


@pytest.mark.parametrize("name", MONO)
def test_mono_in_every_form(name: str) -> None:
    sound, notes = read_audio(MONO[name], RATE)
    np.testing.assert_allclose(sound.samples, A, atol=1e-7)
    assert (sound.samples.dtype, sound.rate, sound.seconds) == (np.float32, RATE, 1.0)
    given = isinstance(MONO[name], (tuple, dict))
    assert notes == () if given else "taken as 16000 Hz" in notes[0]


@pytest.mark.parametrize("name", STEREO)
def test_channels_are_averaged_and_that_is_said(name: str) -> None:
    sound, notes = read_audio(STEREO[name], RATE)
    np.testing.assert_allclose(sound.samples, (A + B) / 2, atol=1e-6)
    assert "2 channels were averaged into one" in notes


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [("int8", -128, 127), ("int16", -32768, 32767), ("int32", -(2**31), 2**31 - 1), ("uint8", 0, 255)],
)
def test_pcm_fills_the_range(dtype: str, low: int, high: int) -> None:
    middle = (low + high + 1) // 2
    sound, _ = read_audio((np.array([low, middle, high], dtype=dtype), RATE), RATE)
    assert sound.samples[0] == -1.0
    assert sound.samples[1] == 0.0
    assert 0.99 <= sound.samples[2] <= 1.0


@pytest.mark.parametrize("ending", ["wav", "flac"])
@pytest.mark.parametrize("channels", [1, 2, 10])
def test_files(tmp_path: Path, ending: str, channels: int) -> None:
    import soundfile

    path = tmp_path / f"clip.{ending}"
    if ending == "flac" and channels > 8:
        channels = 8
    soundfile.write(path, np.repeat(A[:, None], channels, axis=1), RATE)
    for form in (path, str(path)):
        sound, notes = read_audio(form, RATE)
        np.testing.assert_allclose(sound.samples, A, atol=2**-15)
        assert notes == (() if channels == 1 else (f"{channels} channels were averaged into one",))
    # two samples of two channels could be either way around; a file says which
    soundfile.write(tmp_path / "short.wav", np.array([[0.5, 0.0], [0.5, 0.0], [0.5, 0.0]])[:1], RATE)
    np.testing.assert_allclose(read_audio(tmp_path / "short.wav", RATE)[0].samples, [0.25], atol=2**-15)


@pytest.mark.parametrize("own", [8_000, 11_025, 22_050, 44_100, 48_000, 16_001])
def test_another_rate_keeps_the_pitch_and_is_said(own: int) -> None:
    sound, notes = read_audio((tone(1000, own, own), own), RATE)
    assert len(sound.samples) == RATE
    assert pitch(sound) == pytest.approx(1000, abs=1.5)
    assert notes == (f"resampled from {own} Hz to the model's {RATE} Hz",)
    middle = sound.samples[1000:-1000]
    np.testing.assert_allclose(middle, tone(1000)[1000:-1000], atol=2e-3)


def test_a_tone_above_the_models_reach_is_gone() -> None:
    sound, _ = read_audio((tone(15_000, 48_000, 48_000), 48_000), RATE)
    assert np.abs(sound.samples[1000:-1000]).max() < 0.01


@pytest.mark.parametrize("peak", [1.0001, 1.5, 2.5, 32768.0])
def test_samples_of_another_scale_are_said(peak: float) -> None:
    loud = (A / np.abs(A).max() * np.float32(peak)).astype(np.float32)
    sound, notes = read_audio((loud, RATE), RATE)
    assert np.array_equal(sound.samples, loud)
    assert any("beyond the ±1" in note for note in notes)
    assert read_audio((loud / np.float32(peak * 1.0001), RATE), RATE)[1] == ()
    stream = AudioStream(loud, RATE)
    assert any("beyond the ±1" in note for note in stream.notes)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "uint16", "int32"])
def test_the_scale_of_whole_numbers_is_their_types_and_is_said(dtype: str) -> None:
    quiet = np.array([0, 100, 50], dtype=dtype) + np.array(0, dtype=dtype)
    sound, notes = read_audio((quiet, RATE), RATE)
    louder, _ = read_audio((np.array([0, 100, 127], dtype=dtype), RATE), RATE)
    assert np.array_equal(sound.samples[:2], louder.samples[:2])  # the loudest sample decides nothing
    assert any(f"{dtype} samples were read as PCM" in note for note in notes)
    assert read_audio((np.array([0, 100], np.int16), RATE), RATE)[1] == ()


@pytest.mark.parametrize("form", ["bytes", "stored", "stored by its path"])
def test_encoded_sounds_are_read(form: str, tmp_path: Path) -> None:
    path = AudioClip(A, RATE).save(tmp_path / "clip.wav")
    forms: dict[str, Any] = {
        "bytes": path.read_bytes(),
        "stored": {"bytes": path.read_bytes(), "path": None},
        "stored by its path": {"bytes": None, "path": str(path)},
    }
    sound, notes = read_audio(forms[form], RATE)
    np.testing.assert_allclose(sound.samples, A, atol=1e-7)
    assert notes == ()


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_files_of_every_depth_are_as_loud(subtype: str, tmp_path: Path) -> None:
    import soundfile

    soundfile.write(tmp_path / "clip.wav", A, RATE, subtype=subtype)
    sound, _ = read_audio(tmp_path / "clip.wav", RATE)
    np.testing.assert_allclose(sound.samples, A, atol=2**-7)


class Torn:
    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise ValueError("torn")


BAD: dict[str, tuple[Any, str]] = {
    "nothing": (np.zeros(0, np.float32), "shape (0,)"),
    "no channels": (np.zeros((0, 5), np.float32), "shape (0, 5)"),
    "a number": (3, "type int"),
    "none": (None, "type NoneType"),
    "bytes": (b"RIFF", "libsndfile"),
    "several in a tuple": ((A, A), "go in a list"),
    "three in a tuple": ((A, A, A), "go in a list"),
    "two rates": ((A, [16_000, 8_000]), "go in a list"),
    "an address": ("https://example.org/a.wav", "download it first"),
    "NaN": (np.array([0.0, np.nan]), "NaN"),
    "infinity": (np.array([0.0, np.inf]), "NaN or infinite"),
    "too large for float32": (np.array([0.0, 1e300]), "NaN or infinite"),
    "three dimensions": (np.zeros((2, 3, 4), np.float32), "shape (2, 3, 4)"),
    "many channels": (np.zeros((20, 30), np.float32), "shape (20, 30)"),
    "words": (np.array(["a", "b"]), "samples of <U1"),
    "complex": (np.ones(4, complex), "complex128"),
    "64-bit whole numbers": (np.arange(9), "int64"),
    "truth values": (np.ones(4, bool), "bool"),
    "uneven": ({"array": [[1.0], [1.0, 2.0]], "sampling_rate": RATE}, "uneven length"),
    "yes as a rate": ((A, True), "a rate of True"),
    "yes of numpy as a rate": ((A, np.bool_(True)), "a rate of True"),
    "an imaginary rate": ((A, 16_000j), "a rate of 16000j"),
    "no array": ({"sampling_rate": RATE}, "['sampling_rate']"),
    "rate of zero": ((A, 0), "a rate of 0 Hz"),
    "negative rate": ((A, -16_000), "a rate of -16000 Hz"),
    "half a rate": ((A, 22_050.5), "22050.5"),
    "rate that is none": ((A, float("nan")), "nan"),
    "rate in words": ({"array": A, "sampling_rate": "16k"}, "16k"),
    "a missing file": ("nowhere/clip.wav", "nowhere/clip.wav"),
    "a text": ("la " * 3000, "a sound file that exists"),
    "torn": (Torn(), "torn"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_sound_is_refused(name: str) -> None:
    example, said = BAD[name]
    with pytest.raises(InputError) as caught:
        read_audio(example, RATE)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_file_that_is_no_sound(tmp_path: Path) -> None:
    (tmp_path / "clip.wav").write_text("no sound")
    with pytest.raises(InputError, match="libsndfile") as caught:
        read_audio(tmp_path / "clip.wav", RATE)
    assert str(tmp_path) not in str(caught.value)
    with pytest.raises(InputError, match=r"the folder .*glob"):
        read_audio(tmp_path, RATE)


@pytest.mark.parametrize("samples", [1, 2, 12_347])
def test_a_wav_file_there_and_back(tmp_path: Path, samples: int) -> None:
    sound = AudioClip(0.9 * np.random.default_rng(0).uniform(-1, 1, samples).astype(np.float32), 22_050)
    back, notes = read_audio(sound.save(tmp_path / "clip.wav"), 22_050)
    assert np.array_equal(back.samples, sound.samples)
    assert notes == ()


def test_what_is_too_loud_for_a_file_is_scaled_whole(tmp_path: Path) -> None:
    back, _ = read_audio(AudioClip(4 * A, RATE).save(tmp_path / "clip.wav"), RATE)
    np.testing.assert_allclose(back.samples, A / np.abs(A).max(), atol=1e-6)


def kinds() -> dict[str, tuple[torch.Tensor, int, int, int]]:
    """Mel filters, transform, hop and middle of the first frame, of the processors that we can undo."""
    from transformers import ASTFeatureExtractor, WhisperFeatureExtractor

    whisper, ast = WhisperFeatureExtractor(), ASTFeatureExtractor()
    return {
        "whisper": (torch.as_tensor(whisper.mel_filters).float(), 400, 160, 0),
        "ast": (torch.as_tensor(ast.mel_filters).float(), 512, 160, 200),
    }


def noisy(samples: int) -> torch.Tensor:
    """A clip with everything in it, a constant and the highest frequency included."""
    numbers = torch.Generator().manual_seed(0)
    signs = 1 - 2 * (torch.arange(samples) % 2)
    return 0.3 * torch.randn(samples, generator=numbers) + 0.2 + 0.1 * signs


@pytest.mark.parametrize("samples", [1, 7, 159, 160, 200, 401, 12_347, 16_000])
@pytest.mark.parametrize("kind", ["whisper", "ast"])
def test_without_a_change_a_clip_comes_back(kind: str, samples: int) -> None:
    filters, fft, hop, first = kinds()[kind]
    clip = noisy(samples)
    frames = max(1, -(-samples // hop) if kind == "whisper" else 1 + (samples - 400) // hop)
    back = filtered(clip, filters, torch.zeros(filters.shape[1], frames), RATE, fft, hop, first)
    assert back.rate == RATE
    torch.testing.assert_close(torch.from_numpy(back.samples), clip, rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", ["whisper", "ast"])
def test_changes_are_decibels(kind: str) -> None:
    filters, fft, hop, first = kinds()[kind]
    clip = noisy(8000)
    for change, gain in ((-20.0, 0.1), (6.0, 10**0.3), (-torch.inf, 0.0), (torch.inf, 10 ** (LOUDER / 20))):
        all_over = torch.full((filters.shape[1], 50), change)
        back = filtered(clip, filters, all_over, RATE, fft, hop, first)
        torch.testing.assert_close(torch.from_numpy(back.samples), clip * gain, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["whisper", "ast"])
def test_one_band_is_taken_out(kind: str) -> None:
    """Of two tones the one whose bands are silenced goes, the other stays."""
    filters, fft, hop, first = kinds()[kind]
    clip = torch.from_numpy(tone(500) + tone(3000))
    hertz = torch.linspace(0, RATE / 2, len(filters))
    change = torch.zeros(filters.shape[1], 100)
    change[(filters * ((hertz > 2500) & (hertz < 3500)).unsqueeze(1)).sum(0) > 0] = -torch.inf
    back = filtered(clip, filters, change, RATE, fft, hop, first).samples
    inside = slice(1000, -1000)
    np.testing.assert_allclose(back[inside], tone(500)[inside], atol=0.01)


@pytest.mark.parametrize("kind", ["whisper", "ast"])
def test_one_moment_is_taken_out(kind: str) -> None:
    """Frames 30 to 50 lie where the model's frames lie."""
    filters, fft, hop, first = kinds()[kind]
    clip = torch.ones(16_000) * 0.1 + torch.from_numpy(tone(1000))
    change = torch.zeros(filters.shape[1], 98)
    change[:, 30:50] = -torch.inf
    back = filtered(clip, filters, change, RATE, fft, hop, first).samples
    loud = np.abs(back).reshape(-1, 80).max(1)
    gone = np.flatnonzero(loud < 1e-3) * 80
    middle = first + 39.5 * hop
    assert abs((gone[0] + gone[-1] + 80) / 2 - middle) <= hop
    assert gone[-1] - gone[0] > 10 * hop
    np.testing.assert_allclose(back[: 20 * hop], clip[: 20 * hop], atol=1e-4)


@pytest.mark.parametrize("kind", ["OGG", "MP3"])
def test_what_decoders_overshoot_is_no_matter(kind: str) -> None:
    soundfile = pytest.importorskip("soundfile")
    loud, file = np.sign(np.sin(np.arange(RATE) / 20)) * 0.99, io.BytesIO()
    soundfile.write(file, loud, RATE, format=kind)
    sound, notes = read_audio(file.getvalue(), RATE)
    assert np.abs(sound.samples).max() > 1
    assert notes == read_audio({"array": sound.samples, "sampling_rate": RATE}, RATE)[1] == ()
    assert read_audio((sound.samples, RATE), RATE)[1]  # an array that a user has scaled


@pytest.mark.parametrize("form", ["array", "file", "stream", "stream of an array"])
def test_channels_that_cancel_each_other_are_said(form: str, tmp_path: Path) -> None:
    import soundfile

    left, other = np.random.default_rng(0).normal(0, 0.1, (2, 16000)).astype(np.float32)
    for right, said in ((-left, True), (-0.9 * left, True), (0 * left, False), (other, False), (left, False)):
        both = np.stack([left, right], 1)
        soundfile.write(tmp_path / "a.wav", both, 16000, subtype="FLOAT")
        given = tmp_path / "a.wav" if form in ("file", "stream") else (both, 16000)
        if form.startswith("stream"):
            stream = AudioStream(given, 16000)
            for start in range(0, 16000, 999):
                stream.read(start, min(start + 999, 16000))
            notes = tuple(dict.fromkeys((*stream.notes, *stream.cancelled)))
            stream.close()
        else:
            notes = read_audio(given, 16000)[1]
        found = [note for note in notes if note.startswith("the channels cancel each other")]
        assert len(found) == said, (form, notes)
