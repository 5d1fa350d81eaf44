"""Models that listen: their own answers, signals without what only fills a window, and sounds of every kind."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hf_fourier import FourierExplainer
from hf_fourier.errors import InputError
from hf_fourier.results.audio import AudioClip
from hf_fourier.results.remarks import PADDED
from tests.models import laws, tiny_models_audio
from tests.models.tiny_models_audio import MODELS, RATE, WAVEFORMS, WINDOWS, clip

LENGTHS = (8009, 4001)


@cache
def explainer(name: str) -> FourierExplainer:
    return FourierExplainer(tiny_models_audio.build(name), tiny_models_audio.extractor(name))


def processed(explain: FourierExplainer, sounds: Any, **options: Any) -> dict[str, torch.Tensor]:
    batch = explain.processor(sounds, sampling_rate=RATE, return_tensors="pt", **options)
    return dict(batch.items())


def heard(explain: FourierExplainer, encoded: Any, signal: torch.Tensor | None = None) -> torch.Tensor:
    """What the model gets for an example, one row."""
    inputs: list[torch.Tensor] = []
    name = explain.wrapper.main_input
    keep = lambda module, args, kwargs: inputs.append(kwargs[name].detach().clone())  # noqa: E731
    handle = explain.model.register_forward_pre_hook(keep, with_kwargs=True)
    laws.own_forward(explain, encoded, signal)
    handle.remove()
    return inputs[0][0]


@pytest.mark.parametrize("name", MODELS)
def test_the_clean_forward_is_the_models_own(name: str) -> None:
    explain = explainer(name)
    for i, samples in enumerate((*LENGTHS, 12_007)):
        sound = clip(samples, i)
        with torch.no_grad():
            theirs = explain.model(**processed(explain, sound)).logits
        laws.close(laws.own_forward(explain, explain.wrapper.encode((sound, RATE))), theirs)


@pytest.mark.parametrize("name", MODELS)
def test_results_are_whole_and_come_back(name: str, tmp_path: Path) -> None:
    explain = explainer(name)
    result = explain.explain((clip(8009), RATE))
    laws.whole(result)
    assert result.gradient.abs().max() > 0
    assert not result.provenance["notes"]
    laws.comes_back(explain, result, tmp_path)


@pytest.mark.parametrize("name", MODELS)
def test_batch_order_passes_and_state(name: str) -> None:
    explain = explainer(name)
    sounds = [(clip(samples, i), RATE) for i, samples in enumerate((8009, 4001, 8009, 8009))]
    laws.batch_and_order_are_no_matter(explain, sounds)
    laws.one_pass_each_way(explain, sounds)
    laws.nothing_is_changed(explain, sounds[1])


@pytest.mark.parametrize("name", MODELS)
def test_bfloat16(name: str) -> None:
    halved = FourierExplainer(tiny_models_audio.build(name).bfloat16(), tiny_models_audio.extractor(name))
    laws.half_precision_works(explainer(name), halved, (clip(4001), RATE))


@pytest.mark.parametrize("name", WAVEFORMS)
@pytest.mark.parametrize("samples", [1009, 1010, 2003])
def test_a_waveform_is_its_own_signal(name: str, samples: int) -> None:
    explain, sound = explainer(name), clip(samples)
    result = explain.explain((sound, RATE))
    (axis,) = result.layout.signal.axes
    assert (axis.name, axis.length, axis.unit, axis.rate) == ("time", samples, "Hz", RATE)
    assert torch.equal(result.signal, processed(explain, sound)["input_values"][0])
    hertz = result.layout.with_role("frequency")[0].values
    torch.testing.assert_close(
        hertz.double(), torch.arange(samples // 2 + 1).double() * RATE / samples, rtol=1e-6, atol=0
    )
    back = result.render(1.0)
    assert isinstance(back, AudioClip)
    assert back.rate == RATE
    np.testing.assert_allclose(back.samples, sound, atol=1e-5)
    assert np.array_equal(result.audio().samples, result.render().samples)


@pytest.mark.parametrize("samples", [1, 100, 160, 161, 5003, 16_000])
@pytest.mark.parametrize("name", WINDOWS)
def test_what_only_fills_the_window_never_moves(name: str, samples: int) -> None:
    explain, sound = explainer(name), clip(max(samples, 400 if name == "ast" else 1))
    samples = len(sound)
    frames = -(-samples // 160) if name == "whisper" else 1 + (samples - 400) // 160
    result = explain.explain((sound, RATE))
    bands = {axis.name: axis.length for axis in result.layout.signal.axes}
    assert bands == {"mel": 16, "time": frames}
    time = [axis.name for axis in result.layout.signal.axes].index("time")
    encoded = explain.wrapper.encode((sound, RATE))
    clean = processed(explain, sound)[explain.wrapper.main_input][0]
    inside, outside = (slice(None, frames), slice(frames, None))
    at = lambda part: (part, slice(None)) if time == 0 else (slice(None), part)  # noqa: E731
    assert torch.equal(result.signal, clean[at(inside)])
    for signal in (result.keep_top(0.2), result.delete_top(0.2), torch.randn_like(result.signal)):
        other = heard(explain, encoded, signal)
        assert torch.equal(other[at(outside)], clean[at(outside)])
        assert torch.equal(other[at(inside)], signal)
    laws.whole(result)


@pytest.mark.parametrize("name", ["wav2vec2-layer", "hubert", "sew", "wav2vec2-bert"])
def test_padding_in_a_dict_never_moves(name: str) -> None:
    """Rows of several lengths in one batch of the processor's: each signal is its own clip."""
    explain = explainer(name)
    sounds = [clip(4003), clip(2400, 1), clip(3001, 2)]
    batch = processed(explain, sounds, padding=True)
    main = batch[explain.wrapper.main_input]
    results = explain.explain(batch)
    for i, (encoded, result) in enumerate(zip(explain.wrapper.encode_batch(batch), results, strict=True)):
        content = int(batch["attention_mask"][i].sum())
        assert content < main.shape[1] or i == 0
        assert torch.equal(result.signal, main[i, :content])
        for signal in (result.keep_top(0.2), result.delete_top(0.2)):
            other = heard(explain, encoded, signal)
            assert torch.equal(other[content:], main[i, content:])
            assert torch.equal(other[:content], signal)
        with torch.no_grad():
            theirs = explain.model(**{key: value[i : i + 1] for key, value in batch.items()}).logits
        laws.close(laws.own_forward(explain, encoded), theirs)
        laws.whole(result)
        assert all(note.startswith(PADDED) for note in result.provenance["notes"])  # of group norms, see test_padding


@pytest.mark.parametrize("name", ["wav2vec2", "whisper", "ast"])
def test_a_dict_without_a_mask_is_said_to_be_taken_whole(name: str) -> None:
    explain = FourierExplainer(explainer(name).model)
    batch = processed(explainer(name), [clip(5003), clip(5003, 1)])
    results = explain.explain(batch)
    for i, result in enumerate(results):
        assert torch.equal(result.signal, batch[explain.wrapper.main_input][i])
        assert any("no attention_mask" in note for note in result.provenance["notes"])
        laws.whole(result)
    theirs = explain.model(**batch).logits.softmax(-1).amax(-1)
    assert [r.confidence for r in results] == pytest.approx(theirs.tolist(), rel=1e-4)


def test_a_mask_on_the_left() -> None:
    explain = explainer("hubert")
    batch = processed(explain, [clip(3000), clip(2000, 1)], padding=True)
    batch = {key: value.flip(1) for key, value in batch.items()}
    result = explain.explain(batch)[1]
    assert torch.equal(result.signal, batch["input_values"][1, 1000:])


@pytest.mark.parametrize("name", MODELS)
def test_silence(name: str) -> None:
    explain = explainer(name)
    for sound in (np.zeros(4001, np.float32), np.full(4001, 0.25, np.float32), np.zeros(4001, np.int16)):
        result = explain.explain((sound, RATE))
        laws.whole(result)
        explain.perturb(result, fractions=[0.1])
        if name != "wav2vec2-bert":
            assert np.isfinite(result.audio(0.1).samples).all()


@pytest.mark.parametrize("name", ["wav2vec2", "whisper", "ast", "wav2vec2-bert"])
def test_forms_rates_and_channels_come_to_the_same(name: str, tmp_path: Path) -> None:
    import soundfile

    explain, sound = explainer(name), clip(8009)
    result = explain.explain((sound, RATE))
    soundfile.write(tmp_path / "clip.wav", sound, RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "clip.flac", sound, RATE)
    exact = [sound, np.stack([sound, sound]), {"array": sound, "sampling_rate": RATE}, tmp_path / "clip.wav"]
    for example in exact:
        laws.same(explain.explain(example), result)
    near = [(np.rint(sound * 32768).astype(np.int16), RATE), str(tmp_path / "clip.flac")]
    for example in near:
        other = explain.explain(example)
        assert other.label == result.label
        assert other.confidence == pytest.approx(result.confidence, abs=0.01)
    notes = explain.explain((clip(12_007, rate=44_100), 44_100)).provenance["notes"]
    assert notes == [f"resampled from 44100 Hz to the model's {RATE} Hz"]
    assert explain.explain(np.stack([sound, sound])).provenance["notes"] == [
        "an array without a rate was taken as 16000 Hz, the model's",
        "2 channels were averaged into one",
    ]


def test_sounds_as_mappings_go_in_lists() -> None:
    explain = explainer("wav2vec2")
    one = {"array": clip(2000), "sampling_rate": RATE}
    several = explain.explain([one, one, (clip(2000), RATE)])
    for result in several:
        laws.same(result, explain.explain(one))
    assert explain.predict(one).confidence == pytest.approx(several[0].confidence)


@pytest.mark.parametrize("name", WINDOWS)
def test_a_long_clip_is_cut_and_that_is_said(name: str) -> None:
    explain, sound = explainer(name), clip(24_001)
    result = explain.explain((sound, RATE))
    (note,) = result.provenance["notes"]
    window = "1.00" if name == "whisper" else "0.99"
    assert note == f"a sound of 1.50 s was cut to the model's window of {window} s"
    heard_samples = 16_000 if name == "whisper" else 97 * 160 + 400
    np.testing.assert_allclose(result.audio().samples, sound[:heard_samples], atol=1e-4)
    laws.whole(result)
    assert not explain.explain((sound[:heard_samples], RATE)).provenance["notes"]


@pytest.mark.parametrize("samples", [1000, 8009, 16_000])
@pytest.mark.parametrize("name", WINDOWS)
def test_a_spectrogram_is_heard_as_its_clip(name: str, samples: int) -> None:
    explain, sound = explainer(name), clip(samples)
    result = explain.explain((sound, RATE))
    sound = sound[: 97 * 160 + 400] if name == "ast" else sound  # all frames of its window are full
    np.testing.assert_allclose(result.audio().samples, sound, atol=1e-4)
    np.testing.assert_allclose(result.audio(1.0).samples, sound, atol=1e-3)
    decibels = result.render(1.0)
    frames = {axis.name: axis.length for axis in result.layout.signal.axes}["time"]
    assert decibels.shape == (16, frames)
    for share in (0.05, 0.5):
        for delete in (False, True):
            assert np.isfinite(result.audio(share, delete=delete).samples).all()


def test_a_spectrogram_that_cannot_be_undone_says_so() -> None:
    result = explainer("wav2vec2-bert").explain((clip(8009), RATE))
    for ask in (lambda: result.audio(0.1), lambda: result.render(0.1), result.render):
        with pytest.raises(InputError, match="SeamlessM4TFeatureExtractor normalises") as caught:
            ask()
        assert "input_relevance" in str(caught.value)
    assert result.input_relevance(0.1).values.shape == tuple(axis.length for axis in result.layout.signal.axes)


def test_decibels_of_a_spectrogram_are_right() -> None:
    """Ten times the amplitude is 20 dB."""
    explain = explainer("ast")
    quiet, loud = (explain.explain((loudness * clip(8009), RATE)).render() for loudness in (0.1, 1.0))
    np.testing.assert_allclose((loud - quiet)[:, 5:-5].mean(), 20, atol=0.1)


@pytest.mark.parametrize("name", WAVEFORMS)
def test_the_least_length_is_the_convolutions(name: str) -> None:
    explain = explainer(name)
    least = 60 if name == "sew" else 30
    laws.whole(explain.explain((clip(least), RATE)))
    with pytest.raises(InputError, match=f"at least {least}; pass a longer sound"):
        explain.explain((clip(least - 1), RATE))


@pytest.mark.parametrize(("name", "samples"), [("ast", 399), ("ast", 5), ("ast", 1), ("wav2vec2-bert", 401)])
def test_a_clip_shorter_than_a_frame_is_refused(name: str, samples: int) -> None:
    with pytest.raises(InputError, match="pass a longer sound"):
        explainer(name).explain((clip(samples), RATE))


BATCHES: dict[str, tuple[dict[str, Any], str]] = {
    "another key": ({"input_features": torch.zeros(1, 100)}, "'input_values'"),
    "no batch": ({"input_values": torch.zeros(100)}, "2 dimensions"),
    "NaN": ({"input_values": torch.full((1, 100), torch.nan)}, "finite"),
    "whole numbers": ({"input_values": torch.ones(1, 100, dtype=torch.long)}, "real numbers"),
    "empty": ({"input_values": torch.zeros(1, 0)}, "none empty"),
    "another mask": ({"input_values": torch.zeros(1, 99), "attention_mask": torch.ones(1, 98)}, "(1, 98)"),
    "padding alone": ({"input_values": torch.zeros(1, 99), "attention_mask": torch.zeros(1, 99)}, "padding"),
    "too short": ({"input_values": torch.zeros(1, 20)}, "at least 30"),
}


@pytest.mark.parametrize("name", BATCHES)
def test_bad_batches(name: str) -> None:
    batch, said = BATCHES[name]
    with pytest.raises(InputError) as caught:
        explainer("wav2vec2").explain(batch)
    assert said in str(caught.value)


@pytest.mark.usefixtures("unchecked")
def test_bad_sounds_and_no_processor() -> None:
    explain = explainer("wav2vec2")
    for example in (np.full(4001, np.nan), "nowhere.wav", 3, None, [[1, 2]], (clip(4001), 0), {"path": "a.wav"}):
        with pytest.raises(InputError):
            explain.explain(example)
    with pytest.raises(InputError, match="without a processor"):
        FourierExplainer(explain.model).explain((clip(4001), RATE))


def test_a_processor_that_holds_an_extractor() -> None:
    from types import SimpleNamespace

    explain = explainer("whisper")
    both = FourierExplainer(explain.model, SimpleNamespace(feature_extractor=explain.processor, tokenizer=None))
    laws.same(both.explain((clip(4001), RATE)), explain.explain((clip(4001), RATE)))


def test_a_label_is_a_target() -> None:
    explain = explainer("whisper")
    assert explain.explain((clip(4001), RATE), "flute").target == 1
    assert [r.label for r in explain.explain([(clip(4001), RATE)] * 2, targets=["drum", 2])] == ["drum", "voice"]
