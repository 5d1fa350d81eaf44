"""Long recordings: streams that equal the whole, segments that count once, known answers over time, flat memory."""

from __future__ import annotations

import gc
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor

from hf_fourier import Attribution, FourierExplainer
from hf_fourier.errors import DamagedFile, FourierError, InputError
from hf_fourier.models.inputs.audio import AudioStream, read_audio
from hf_fourier.results.spectrum import merged
from hf_fourier.runs.recording import SEGMENTS_PER_BATCH, Recording, sample_weights, segment_starts
from tests.damage import changed_bytes, malformed
from tests.models import tiny_models_audio
from tests.models.test_planted import TWO, WaveformReader, waves

RATE, TONE, LENGTH = 16_000, 1_000, 4_000


def listener(method: str = "ffc:lam=0") -> FourierExplainer:
    """Says "there" where a quarter of a second holds 1 kHz, and reads nothing else."""
    model = WaveformReader(Wav2Vec2Config(**TWO), waves(LENGTH, TONE * LENGTH / RATE), gain=1e-2)
    processor = Wav2Vec2FeatureExtractor(do_normalize=False)
    return FourierExplainer(model, processor, task="audio-classification", method=method)


def scene(seconds: float = 3.0, loud: float = 0.5) -> np.ndarray:
    """A low tone all the time, and 1 kHz in the second third."""
    time = np.arange(round(seconds * RATE)) / RATE
    inside = (time >= seconds / 3) & (time < 2 * seconds / 3)
    sound = 0.2 * np.sin(2 * np.pi * 300 * time) + loud * inside * np.sin(2 * np.pi * TONE * time)
    return (sound + 1e-3 * np.random.default_rng(0).standard_normal(len(time))).astype(np.float32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "scene.wav", scene(), RATE, subtype="FLOAT")
    return tmp_path / "scene.wav"


@pytest.mark.parametrize("own", [8_000, 11_025, 16_000, 16_001, 22_050, 44_100, 48_000])
def test_segments_of_a_stream_are_those_of_the_whole(own: int, tmp_path: Path) -> None:
    noise = 0.2 * np.random.default_rng(0).standard_normal((3 * own + 13, 2)).astype(np.float32)
    soundfile.write(tmp_path / "noise.wav", noise, own, subtype="FLOAT")
    whole = read_audio(tmp_path / "noise.wav", RATE)[0].samples
    for example in (tmp_path / "noise.wav", (noise, own)):
        stream, held = AudioStream(example, RATE), 0
        assert stream.samples == len(whole)
        for start in range(0, stream.samples, 3210):
            piece = stream.read(start, min(start + 5000, stream.samples))
            np.testing.assert_allclose(piece, whole[start : start + 5000], atol=1e-6)
            held = max(held, len(stream._buffer))
        stream.close()
        assert held < 0.5 * len(noise) or own == 16_001  # whose period alone is a second
        assert stream.notes[0] == "2 channels were averaged into one"


@pytest.mark.parametrize(
    ("samples", "length", "overlap"),
    [(10_000, 1000, 0), (10_001, 1000, 0.25), (9_999, 1000, 0.5), (5_432, 1000, 0.9), (1000, 1000, 0.5), (7, 9, 0.5)],
)
def test_every_sample_counts_once(samples: int, length: int, overlap: float) -> None:
    starts = segment_starts(samples, length, overlap)
    length = min(length, samples)
    total = np.zeros(samples)
    for i, start in enumerate(starts):
        total[start : start + length] += sample_weights(starts, length, i)
    np.testing.assert_allclose(total, 1, atol=1e-12)
    assert starts == sorted(set(starts))
    assert starts[-1] + length == samples


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5])
def test_the_decision_over_time_is_the_models(path: Path, overlap: float) -> None:
    explain, sound = listener(), scene()
    found = explain.explain_recording(path, seconds=LENGTH / RATE, overlap=overlap)
    for segment, result in zip(found.segments, found, strict=True):
        piece = sound[round(segment.start * RATE) : round(segment.end * RATE)]
        assert (segment.label, segment.confidence) == (result.label, result.confidence)
        assert explain.predict((piece, RATE)).label == segment.label
        if segment.end <= 1 or segment.start >= 2:
            assert segment.label == "absent"
        elif segment.start >= 1 and segment.end <= 2:
            assert segment.label == "there"
    assert sum(found.labels.values()) == pytest.approx(3.0)
    assert found.label == "absent"
    assert found.labels["there"] == pytest.approx(1.0, abs=2 * LENGTH / RATE)


def test_the_merged_spectrum_names_the_tone(path: Path) -> None:
    found = listener().explain_recording(path, seconds=LENGTH / RATE, fractions=[0.01])
    there = found.spectrum("there")
    assert there.top(1)["frequency [Hz]"] == [TONE]
    assert there.top(1)["chosen"] == [1.0]
    assert there.table(slice(None))["power"][int(300 * LENGTH / RATE)] > 0.05
    assert float(there.contribution.argmax()) == TONE * LENGTH / RATE
    assert there.weight == pytest.approx(found.labels["there"])
    assert found.points("there")["kept"] == [1.0]
    assert found.points("there")["deleted"] == [0.0]
    with pytest.raises(InputError, match="'flute'"):
        found.spectrum("flute")


def test_a_target_is_explained_everywhere(path: Path) -> None:
    found = listener().explain_recording(path, "there", seconds=LENGTH / RATE)
    assert found.labels == {"there": pytest.approx(3.0)}
    sure = [segment.confidence for segment in found.segments]
    assert min(sure) < 0.5 < max(sure)


def test_merging_weighs_by_seconds_and_not_by_loudness() -> None:
    explain = listener("gradient_input")
    time = np.arange(LENGTH) / RATE
    high = (0.5 * np.sin(2 * np.pi * TONE * time)).astype(np.float32)
    low = high + (0.4 * np.sin(2 * np.pi * 300 * time)).astype(np.float32)
    one, other, quiet = explain.explain([(high, RATE), (low, RATE), (0.5 * high, RATE)], "there")
    alone = merged([(one, 2.0)], 0.04)
    np.testing.assert_allclose(alone.score, one.scores / one.scores.abs().sum(), atol=1e-6)
    np.testing.assert_allclose(merged([(quiet, 1.0)], 0.04).score, alone.score, atol=1e-3)
    both = merged([(one, 3.0), (other, 1.0)], 0.04)
    expected = (3 * alone.score + merged([(other, 1.0)], 0.04).score) / 4
    np.testing.assert_allclose(both.score, expected, atol=1e-9)
    np.testing.assert_allclose(both.power, (3 * one.power + other.power) / 4, rtol=1e-6)
    again = merged([(one, 1.5), (one, 1.5), (other, 1.0)], 0.04)
    np.testing.assert_allclose(again.score, both.score, atol=1e-9)
    with pytest.raises(InputError, match="different domains or input shapes"):
        merged([(one, 1.0), (explain_other_length(explain), 1.0)], 0.04)
    with pytest.raises(InputError, match="no examples"):
        merged([], 0.04)


def explain_other_length(explain: FourierExplainer) -> Attribution:
    from hf_fourier import attribute

    return attribute(lambda x: torch.stack([x.sum(1), -x.sum(1)], 1), torch.randn(1, 10))[0]


def test_places_are_merged_away(path: Path) -> None:
    for domain in ("wavelet", "stft"):
        found = listener().explain_recording(path, seconds=LENGTH / RATE, domain=domain)
        spectrum = found.spectrum()
        assert len(spectrum) < len(found[0].scores)
        assert spectrum.chosen.max() <= 1 + 1e-9
        found.plot()


def test_a_recording_comes_back_and_is_drawn(path: Path, tmp_path: Path) -> None:
    found = listener().explain_recording(path, seconds=LENGTH / RATE, fractions=[0.01, 0.1])
    back = Recording.load(found.save(tmp_path / "saved"))
    assert back.segments == found.segments
    assert (back.label, back.confidence, back.seconds, back.notes) == (
        found.label, found.confidence, found.seconds, found.notes,
    )  # fmt: skip
    assert torch.equal(back[-1].scores, found[-1].scores)
    np.testing.assert_array_equal(back.spectrum().score, found.spectrum().score)
    figure = back.plot(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000
    gids = [artist.get_gid() for artist in figure.findobj()]
    assert gids.count("segment") == len(back)
    with pytest.raises(InputError, match=r"recording\.json"):
        Recording.load(tmp_path)
    with pytest.raises(IndexError):
        back[len(back)]


def test_a_damaged_recording_is_not_believed(path: Path, tmp_path: Path) -> None:
    folder = listener().explain_recording(path, seconds=LENGTH / RATE, fractions=[0.1]).save(tmp_path / "saved")
    for place in changed_bytes(folder / "recording.json", 300):
        with pytest.raises(DamagedFile, match=r"recording\.json") as caught:
            Recording.load(folder)
        assert caught.value.path.parent == folder, place
    first, second = folder / "segments" / "00000", folder / "segments" / "00001"
    first.rename(folder / "first")
    second.rename(first)
    (folder / "first").rename(second)
    found = Recording.load(folder)
    assert found[2].label
    with pytest.raises(DamagedFile, match="of segment 1"):
        found[1]
    values = json.loads((folder / "recording.json").read_text())
    values = {name: value for name, value in values.items() if not name.startswith("digest")}
    refused = 0
    for other in malformed(values, random.Random(0), 200):
        (folder / "recording.json").write_text(json.dumps(other))
        try:
            found = Recording.load(folder)
        except FourierError:
            refused += 1
        else:
            if found.segments:
                str(found.decisions()), found.points(), found.label
    assert refused > 80


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.7])
def test_parts_of_a_recording_add_up_to_it(path: Path, tmp_path: Path, overlap: float) -> None:
    found = listener().explain_recording(path, seconds=LENGTH / RATE, overlap=overlap)
    paths = found.sounds(tmp_path / "parts", 0.02)
    clean, kept, removed = (soundfile.read(one, dtype="float32")[0] for one in paths.values())
    np.testing.assert_allclose(clean, scene(), atol=1e-6)
    np.testing.assert_allclose(kept + removed, clean, atol=1e-5)
    assert np.abs(removed).max() > 0.01


def test_a_log_mel_model_and_a_clip_that_is_short() -> None:
    explain = FourierExplainer(
        tiny_models_audio.build("whisper"), tiny_models_audio.extractor("whisper"), signal="waveform"
    )
    plain = FourierExplainer(explain.model, explain.processor)
    long = (tiny_models_audio.clip(40_001), RATE)
    found, other = explain.explain_recording(long), plain.explain_recording(long)
    assert [segment.end - segment.start for segment in found.segments] == pytest.approx([1.0] * len(found))
    assert [s.label for s in found.segments] == [s.label for s in other.segments]
    assert "frequency [Hz]" in found.spectrum().coordinates
    assert "frequency_mel [cycles/mel band]" in other.spectrum().coordinates
    other.plot()
    short = explain.explain_recording((tiny_models_audio.clip(5000), RATE))
    assert len(short) == 1
    assert torch.equal(short[0].scores, explain.explain((tiny_models_audio.clip(5000), RATE)).scores)
    with pytest.raises(InputError, match=r"up to the model's window of 1\.00"):
        explain.explain_recording(long, seconds=1.5)


def test_batches_are_no_matter(path: Path) -> None:
    one, other = (listener().explain_recording(path, seconds=LENGTH / RATE, batch_size=n) for n in (1, 5))
    for a, b in zip(one, other, strict=True):
        assert (a.scores - b.scores).abs().max() <= 1e-4 * a.scores.abs().max()


def test_what_was_done_is_not_lost(path: Path, tmp_path: Path) -> None:
    sound = scene()
    sound[40_000] = np.nan
    soundfile.write(path, sound, RATE, subtype="FLOAT")
    with pytest.raises(InputError, match="NaN") as caught:
        listener().explain_recording(path, seconds=LENGTH / RATE, batch_size=2, output_dir=tmp_path / "kept")
    done: Any = caught.value.completed  # type: ignore[attr-defined]
    assert 0 < len(done) < 13
    assert Recording.load(tmp_path / "kept").segments == done.segments


def test_channels_of_a_recording_that_cancel_each_other_are_said(tmp_path: Path) -> None:
    sound = scene()
    soundfile.write(tmp_path / "a.wav", np.stack([sound, -sound], 1), RATE, subtype="FLOAT")
    found = listener().explain_recording(tmp_path / "a.wav", seconds=LENGTH / RATE, output_dir=tmp_path / "kept")
    assert "the channels cancel each other: their average has 0.0% of their power" in found.notes[-1]
    assert Recording.load(tmp_path / "kept").notes == found.notes


def test_a_file_that_is_cut_off_says_so(tmp_path: Path) -> None:
    """A FLAC file's header says how long it is."""
    soundfile.write(tmp_path / "whole.flac", scene(12.0), RATE)
    whole = (tmp_path / "whole.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(whole[: len(whole) * 2 // 3])
    assert AudioStream(tmp_path / "cut.flac", RATE).seconds == 12.0
    found = listener().explain_recording(tmp_path / "cut.flac", seconds=LENGTH / RATE, output_dir=tmp_path / "kept")
    assert "cut off" in found.notes[-1]
    assert 4 < found.seconds < 12
    kept = Recording.load(tmp_path / "kept")
    assert (kept.notes, kept.seconds, kept.segments) == (found.notes, found.seconds, found.segments)
    assert sum(found.labels.values()) == pytest.approx(found.seconds, abs=LENGTH / RATE)
    (tmp_path / "stub.flac").write_bytes(whole[:9000])
    with pytest.raises(InputError, match="cut off in its first segment"):
        listener().explain_recording(tmp_path / "stub.flac", seconds=4.0)


def test_bad_questions(path: Path) -> None:
    explain = listener()
    for options, said in (
        ({"overlap": 1.0}, "overlap 1.0"),
        ({"overlap": -0.1}, "overlap -0.1"),
        ({"seconds": 0}, "segments of 0 s"),
    ):
        with pytest.raises(InputError, match=said):
            explain.explain_recording(path, **options)
    with pytest.raises(InputError, match="a sound file that exists"):
        explain.explain_recording("nowhere.wav")


def test_memory_does_not_grow_with_the_recording(tmp_path: Path) -> None:
    """No more results are alive than are explained at once, and resident memory stays while files grow."""
    pages = Path("/proc/self/statm")
    with soundfile.SoundFile(tmp_path / "long.wav", "w", RATE, 1, "FLOAT") as file:
        for _ in range(16):
            file.write(scene())
    alive: list[int] = []
    resident: list[int] = []

    def look(done: int, total: int) -> None:
        if done % (5 * SEGMENTS_PER_BATCH) == 0:
            alive.append(sum(type(thing) is Attribution for thing in gc.get_objects()))
            resident.append(int(pages.read_text().split()[1]) * 4096 if pages.exists() else 0)

    before = sum(type(thing) is Attribution for thing in gc.get_objects())
    found = listener().explain_recording(
        tmp_path / "long.wav", seconds=LENGTH / RATE, overlap=0.5, output_dir=tmp_path / "out", progress=look
    )
    assert len(found) > 350
    assert max(alive) - before <= 2 * SEGMENTS_PER_BATCH
    written = sum(one.stat().st_size for one in (tmp_path / "out").rglob("*.safetensors"))
    assert written > 12e6
    assert resident[-1] - resident[0] < written / 3
