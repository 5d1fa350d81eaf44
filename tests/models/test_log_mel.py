"""Log-mel models at the waveform: front ends that equal the processors', their gradients, and what is held constant."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from hf_fourier import FourierExplainer
from hf_fourier.errors import InputError, ModelError
from hf_fourier.models.log_mel import FRONT_ENDS, front_end
from hf_fourier.results.audio import AudioClip
from tests.models import laws, tiny_models_audio
from tests.models.test_audio import heard, processed
from tests.models.test_planted import TWO, FeatureReader, WaveformReader
from tests.models.tiny_models_audio import RATE, clip

MODELS = ("whisper", "ast", "wav2vec2-bert")
#: The processors as their models ship them, but for Whisper's window.
PROCESSORS: dict[str, Any] = {
    "whisper": lambda: transformers.WhisperFeatureExtractor(chunk_length=3),
    "whisper-v3": lambda: transformers.WhisperFeatureExtractor(feature_size=128, chunk_length=2),
    "ast": transformers.ASTFeatureExtractor,
    "ast-plain": lambda: transformers.ASTFeatureExtractor(do_normalize=False, num_mel_bins=40, max_length=100),
    "seamless": transformers.SeamlessM4TFeatureExtractor,
    "seamless-one": lambda: transformers.SeamlessM4TFeatureExtractor(stride=1, num_mel_bins=40),
    "seamless-three": lambda: transformers.SeamlessM4TFeatureExtractor(stride=3, num_mel_bins=40),
    "speech-to-text": lambda: transformers.Speech2TextFeatureExtractor(num_mel_bins=40),
    "speech-to-text-plain": lambda: transformers.Speech2TextFeatureExtractor(do_ceptral_normalize=False),
}


@cache
def explainer(name: str, task: str = "audio-classification") -> FourierExplainer:
    return FourierExplainer(
        tiny_models_audio.build(name, task=task), tiny_models_audio.extractor(name), task=task, signal="waveform"
    )


def theirs(processor: Any, samples: np.ndarray) -> torch.Tensor:
    with np.errstate(all="ignore"):
        batch = processor(samples, sampling_rate=RATE, return_tensors="pt")
    return next(batch[key][0] for key in ("input_features", "input_values") if key in batch)


@pytest.mark.filterwarnings("ignore:At least one mel filter")
@pytest.mark.parametrize("samples", [1009, 8009, 16_000, 31_999, 32_000])
@pytest.mark.parametrize("name", PROCESSORS)
def test_a_front_end_equals_its_processor(name: str, samples: int) -> None:
    processor = PROCESSORS[name]()
    front, loudness = front_end(processor), 0.1 if "plain" in name else 1.0
    sound = loudness * clip(samples, samples)[: front.window]
    sound[len(sound) // 2 :] *= 1e-3  # entries at every floor
    features = theirs(processor, sound)
    ours = front(torch.from_numpy(sound).unsqueeze(0))[0]
    assert ours.dtype == torch.float32
    # Of a band that is normalised the processor's own float32 rounding is a few 1e-4.
    torch.testing.assert_close(ours, features.float(), rtol=0, atol=4e-4 if name.startswith("speech") else 1e-4)
    front.check(torch.from_numpy(sound), features)


@pytest.mark.parametrize("sound", ["silence", "quiet", "tone"])
@pytest.mark.parametrize("name", ["whisper", "ast"])
def test_also_of_sounds_without_much_in_them(name: str, sound: str) -> None:
    samples = {
        "silence": np.zeros(9001, np.float32),
        "quiet": 1e-6 * clip(9001),
        "tone": np.sin(0.39 * np.arange(9001)).astype(np.float32),
    }[sound]
    processor = PROCESSORS[name]()
    ours = front_end(processor)(torch.from_numpy(samples).unsqueeze(0))[0]
    torch.testing.assert_close(ours, theirs(processor, samples).float(), rtol=0, atol=1e-4)


SMALL: dict[str, Any] = {
    "whisper": lambda: transformers.WhisperFeatureExtractor(feature_size=8, chunk_length=1, sampling_rate=1600),
    "ast": lambda: transformers.ASTFeatureExtractor(num_mel_bins=8, max_length=6),
    "seamless": lambda: transformers.SeamlessM4TFeatureExtractor(num_mel_bins=8),
    "speech-to-text": lambda: transformers.Speech2TextFeatureExtractor(num_mel_bins=8),
}


@pytest.mark.filterwarnings("ignore:At least one mel filter")
@pytest.mark.parametrize("name", SMALL)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    front = front_end(SMALL[name]())
    sound = torch.from_numpy(clip(900)).double().unsqueeze(0).requires_grad_(True)
    assert torch.autograd.gradcheck(front, (sound,), eps=1e-7, atol=1e-4, rtol=1e-3, fast_mode=True)
    weights = torch.randn_like(front(sound))
    (gradient,) = torch.autograd.grad((front(sound) * weights).sum(), sound)
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 0


def test_below_whispers_floor_a_gradient_goes_to_the_loudest_entry() -> None:
    front = front_end(transformers.WhisperFeatureExtractor(feature_size=8, chunk_length=1))
    time = torch.arange(8000, dtype=torch.float64) / RATE
    sound = (torch.sin(2 * torch.pi * 1000 * time) * (time < 0.2)).unsqueeze(0).requires_grad_(True)
    features = front(sound)
    low = (features <= features.amax() - 2 + 1e-9).nonzero()  # 8 powers of ten are 2 units
    assert len(low) > 100
    (at_floor,) = torch.autograd.grad(features[tuple(low[-1])], sound, retain_graph=True)
    (at_top,) = torch.autograd.grad(features.amax(), sound)
    torch.testing.assert_close(at_floor, at_top)  # and nothing of its own


def test_below_kaldis_floor_there_is_no_gradient() -> None:
    front = front_end(transformers.ASTFeatureExtractor(num_mel_bins=8, max_length=20))
    sound = torch.zeros(1, 2000, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(front(sound).sum(), sound)
    assert not gradient.any()


@pytest.mark.parametrize("name", MODELS)
def test_the_clean_forward_is_the_models_own(name: str) -> None:
    explain = explainer(name)
    for i, samples in enumerate((8009, 4001, 12_007)):
        sound = clip(samples, i)
        with torch.no_grad():
            own = explain.model(**processed(explain, sound)).logits
        ours = laws.own_forward(explain, explain.wrapper.encode((sound, RATE)))
        torch.testing.assert_close(ours, own, rtol=1e-4, atol=1e-4 * own.abs().max().item())


@pytest.mark.parametrize("name", MODELS)
def test_a_result_is_the_clip_in_hertz(name: str, tmp_path: Path) -> None:
    explain, sound = explainer(name), clip(8009)
    result = explain.explain((sound, RATE))
    (axis,) = result.layout.signal.axes
    assert (result.layout.signal.kind, axis.length, axis.unit, axis.rate) == ("waveform", 8009, "Hz", RATE)
    assert result.provenance["signal"] == "waveform"
    assert [note for note in result.provenance["notes"] if type(explain.processor).__name__ in note]
    assert result.gradient.abs().max() > 0
    np.testing.assert_array_equal(result.signal.numpy(), sound)
    clean, kept, left = result.audio(), result.audio(0.1), result.audio(0.1, delete=True)
    assert isinstance(clean, AudioClip)
    np.testing.assert_allclose(kept.samples + left.samples, clean.samples, atol=1e-5)
    laws.whole(result)
    laws.comes_back(explain, result, tmp_path)


@pytest.mark.parametrize("name", MODELS)
def test_batch_order_and_state(name: str) -> None:
    explain = explainer(name)
    sounds = [(clip(samples, i), RATE) for i, samples in enumerate((8009, 4001, 8009))]
    laws.batch_and_order_are_no_matter(explain, sounds)
    laws.one_pass_each_way(explain, sounds)
    laws.nothing_is_changed(explain, sounds[1])


@pytest.mark.parametrize("name", MODELS)
def test_bfloat16(name: str) -> None:
    halved = FourierExplainer(
        tiny_models_audio.build(name).bfloat16(), tiny_models_audio.extractor(name), signal="waveform"
    )
    laws.half_precision_works(explainer(name), halved, (clip(4001), RATE))


@pytest.mark.parametrize("samples", [400, 5003, 15_900, 16_000])
@pytest.mark.parametrize("name", ["whisper", "ast"])
def test_frames_that_only_fill_the_window_never_move(name: str, samples: int) -> None:
    explain, sound = explainer(name), clip(samples)
    time = 1 if name == "whisper" else 0
    encoded = explain.wrapper.encode((sound, RATE))
    clean = heard(explain, encoded)
    frames = min(100, -(-(samples + 200) // 160)) if name == "whisper" else min(98, 1 + (samples - 400) // 160)
    for signal in (0.1 * torch.randn(samples), torch.zeros(samples)):
        other = heard(explain, encoded, signal)
        filling = (slice(None),) * time + (slice(frames, None),)
        assert torch.equal(other[filling], clean[filling])
        full = theirs(explain.processor, signal.numpy())
        inside = (slice(None),) * time + (slice(None, frames),)
        torch.testing.assert_close(other[inside], full[inside].float(), rtol=0, atol=1e-4)


def test_a_saved_result_needs_no_signal_to_be_played(tmp_path: Path) -> None:
    """The plain explainer of the same model knows a waveform of the clip from its own spectrograms."""
    result = explainer("whisper").explain((clip(5003), RATE))
    plain = FourierExplainer(explainer("whisper").model, explainer("whisper").processor)
    ours, theirs = explainer("whisper").predict(result), plain.predict(result)
    assert torch.equal(ours.logits, theirs.logits)
    assert plain.explain((clip(5003), RATE)).provenance["signal"] == "spectrogram"


def test_what_a_model_writes_is_explained_at_the_waveform() -> None:
    explain = explainer("whisper", "automatic-speech-recognition")
    plain = FourierExplainer(explain.model, explain.processor, task="automatic-speech-recognition")
    ours, theirs = explain.explain((clip(9001), RATE)), plain.explain((clip(9001), RATE))
    assert ours.target == theirs.target
    assert ours.value == pytest.approx(theirs.value, rel=1e-3)
    explain.perturb(ours, fractions=[0.1])


@pytest.mark.parametrize("method", ["ffc", "ffc:lam=0"])
@pytest.mark.parametrize("kind", ["whisper", "ast"])
def test_a_planted_tone_comes_first_in_hertz(kind: str, method: str) -> None:
    """A model that reads the mel band of 1 kHz; by the magnitude alone another tone would come first."""
    time = np.arange(2 * RATE) / RATE
    loud = 0.4 if method == "ffc" else 1.6
    sound = 0.5 * np.sin(2 * np.pi * 1000 * time) + 0.5 * loud * np.sin(2 * np.pi * 3700 * time)
    sound = (sound + 1e-3 * np.random.default_rng(0).standard_normal(len(time))).astype(np.float32)
    if kind == "whisper":
        extractor: Any = transformers.WhisperFeatureExtractor(chunk_length=2)
    else:
        extractor = transformers.ASTFeatureExtractor(max_length=198)
    values = theirs(extractor, sound)
    band = int(np.abs(_centres(extractor.mel_filters) - 1000).argmin())
    mask = torch.zeros_like(values)
    mask[(band,) if kind == "whisper" else (slice(None), band)] = 1
    make, config = (
        (FeatureReader, transformers.WhisperConfig) if kind == "whisper" else (WaveformReader, transformers.ASTConfig)
    )
    model = make(config(**TWO), mask.unsqueeze(0), gain=0.01)
    explain = FourierExplainer(model, extractor, task="audio-classification", signal="waveform", method=method)
    result = explain.explain((sound, RATE), target="there")
    assert result.top_features(1)["frequency [Hz]"] == pytest.approx([1000])
    if loud > 1:
        assert explain.explain((sound, RATE), target="there", method="magnitude").top_features(1)[
            "frequency [Hz]"
        ] == pytest.approx([3700], abs=0.3)


def _centres(filters: np.ndarray) -> np.ndarray:
    return filters.argmax(0) * RATE / 2 / (len(filters) - 1)


@pytest.mark.parametrize("name", ["whisper", "ast"])
def test_from_silence_a_geometric_path_is_complete(name: str) -> None:
    explain, sound = explainer(name), (clip(4001), RATE)
    gaps = {}
    for path in ("geometric", "uniform"):
        result = explain.explain(sound, method=f"integrated_gradients:steps=400,path={path},baseline=zero")
        gaps[path] = abs(result.completeness_error)
        contributed = float(result.scores.abs().sum())
    assert gaps["geometric"] < 0.01 * contributed
    assert gaps["geometric"] < gaps["uniform"] / 10


def test_wavelets_from_silence_are_complete_on_a_geometric_path() -> None:
    explain, sound, gaps = explainer("ast"), (clip(4001), RATE), {}
    for path in ("geometric", "uniform"):
        result = explain.explain(sound, method=f"wam:kind=ig,samples=25,path={path}")
        gaps[path] = abs(result.completeness_error)
        total = float(result.scores.sum())
        assert float(result.extras["scale_maps"].sum()) == pytest.approx(total, rel=1e-3, abs=1e-3)
    assert gaps["geometric"] < gaps["uniform"] / 10


def test_what_there_is_no_front_end_for() -> None:
    clap = transformers.ClapFeatureExtractor()
    with pytest.raises(ModelError, match=r"ClapFeatureExtractor.*WhisperFeatureExtractor.*leave `signal` out"):
        front_end(clap)
    model = tiny_models_audio.build("whisper")
    with pytest.raises(ModelError, match=r"'tokens'.*'waveform', 'spectrogram'"):
        FourierExplainer(model, tiny_models_audio.extractor("whisper"), signal="tokens")
    noisy = transformers.WhisperFeatureExtractor(feature_size=16, chunk_length=1, dither=0.1)
    with pytest.raises(ModelError, match=r"dither=0\.1"):
        FourierExplainer(model, noisy, signal="waveform")
    with pytest.raises(InputError, match="holds no samples"):
        explainer("whisper").explain(processed(explainer("whisper"), clip(4001)))
    wave = FourierExplainer(
        tiny_models_audio.build("wav2vec2"), tiny_models_audio.extractor("wav2vec2"), signal="spectrogram"
    )
    with pytest.raises(ModelError, match="reads a waveform"):
        wave.explain((clip(4001), RATE))


def test_a_waveform_model_is_its_own_front() -> None:
    plain = FourierExplainer(tiny_models_audio.build("wav2vec2"), tiny_models_audio.extractor("wav2vec2"))
    asked = FourierExplainer(plain.model, plain.processor, signal="waveform")
    laws.same(asked.explain((clip(4001), RATE)), plain.explain((clip(4001), RATE)))


class Louder(transformers.WhisperFeatureExtractor):
    """A processor of a user's, which does more than its base."""

    def _torch_extract_fbank_features(self, waveform: Any, device: str = "cpu") -> Any:
        return super()._torch_extract_fbank_features(waveform, device) + 0.1


def test_a_processor_that_does_something_else_is_found_out() -> None:
    explain = FourierExplainer(
        tiny_models_audio.build("whisper"), Louder(feature_size=16, chunk_length=1), signal="waveform"
    )  # its base is known
    with pytest.raises(InputError, match=r"off by 0\.1"):
        explain.explain((clip(4001), RATE))


def test_all_front_ends_are_of_processors_that_there_are() -> None:
    assert all(hasattr(transformers, name) for name in FRONT_ENDS)
