"""Advice about sounds, recordings, front ends and transcripts."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hf_fourier import FourierExplainer
from hf_fourier.evaluation.studies.transcript_errors import transcript_errors
from tests.advice.case import Case, read, reader
from tests.models import test_audio_heads, tiny_models_audio
from tests.models.test_log_mel import explainer as at_waveform
from tests.models.tiny_models_audio import RATE, clip

CLIP = clip(3000)


@cache
def hearer(name: str = "wav2vec2", signal: str | None = None) -> FourierExplainer:
    """A tiny model of sounds."""
    return FourierExplainer(tiny_models_audio.build(name), tiny_models_audio.extractor(name), signal=signal)


def _heard(example: Any) -> Any:
    return hearer().explain(example)


def _values(values: Any, name: str = "wav2vec2", **others: Any) -> Any:
    return hearer(name).explain({hearer(name).wrapper.main_input: values, **others})


def _processed(name: str = "wav2vec2") -> Any:
    return hearer(name).explain(hearer(name).processor(CLIP, sampling_rate=RATE, return_tensors="pt"))


def _file(name: str = "clip.wav") -> Path:
    from scipy.io import wavfile

    path = Path(tempfile.mkdtemp()) / name
    wavfile.write(path, RATE, CLIP)
    return path


def _rated(rate: Any) -> Any:
    processor = tiny_models_audio.extractor("wav2vec2")
    processor.sampling_rate = rate
    return FourierExplainer(tiny_models_audio.build("wav2vec2"), processor).explain(CLIP)


def _noise(name: str = "clip.wav") -> Path:
    path = Path(tempfile.mkdtemp()) / name
    path.write_bytes(b"no sound")
    return path


def _dithered(dither: float) -> Any:
    processor = tiny_models_audio.extractor("whisper")
    processor.dither = dither
    return FourierExplainer(tiny_models_audio.build("whisper"), processor, signal="waveform").explain(CLIP)


def _other(signal: str | None) -> Any:
    """A processor that makes other features than its class says."""
    processor = tiny_models_audio.extractor("whisper")
    processor.mel_filters = processor.mel_filters[:, ::-1].copy()
    processor._np_extract_fbank_features = lambda *args, **options: np.zeros((1, 16, 100))
    processor._torch_extract_fbank_features = lambda *args, **options: np.zeros((1, 16, 100))
    return FourierExplainer(tiny_models_audio.build("whisper"), processor, signal=signal).explain(CLIP)


def _rebuilt(sound: bool) -> Any:
    """Of a spectrogram that came with its clip, or without one."""
    found = hearer("ast").explain(CLIP)
    return (found if sound else replace(found, raw_input={})).audio(0.1)


def _recording(label: str | None) -> Any:
    found = hearer().explain_recording((clip(8000), RATE), seconds=0.25)
    return found.spectrum(next(iter(found.labels)) if label is None else label)


def _spoken(played: bool) -> Any:
    explain = test_audio_heads.explainer("ctc", "wav2vec2")
    result = explain.explain((CLIP, RATE))
    return transcript_errors(explain, explain.perturb(result, fractions=[0.5]) if played else result)


def _transcript(target: Any, whole: bool = True) -> Any:
    explain = test_audio_heads.explainer("ctc", "wav2vec2")
    if not whole:
        explain = FourierExplainer(explain.model, tiny_models_audio.extractor("wav2vec2"), task="ctc")
    return explain.explain(test_audio_heads.SOUND, target)


CASES = [
    Case("correct `sampling_rate` of the processor", lambda: _rated("fast"), lambda: _rated(RATE)),
    Case("several sounds go in a list", lambda: _heard((CLIP, CLIP, CLIP)), lambda: _heard([CLIP, CLIP, CLIP])),
    Case(
        "pass np.asarray(samples, np.float32)",
        lambda: _heard(CLIP.tolist()),
        lambda: _heard(np.asarray(CLIP.tolist(), np.float32)),
    ),
    Case("pass one sound", lambda: _heard(torch.rand(2, 40, 3000)), lambda: _heard(torch.rand(40, 3000)[0])),
    Case("pass one sound", lambda: _heard(([CLIP, CLIP[:9]], RATE)), lambda: _heard((CLIP, RATE))),
    Case(
        "convert them (16-bit PCM is int16)",
        lambda: _heard((CLIP * 32767).astype(np.int64)),
        lambda: _heard((CLIP * 32767).astype(np.int64).astype(np.int16)),
    ),
    Case(
        "correct the keys",
        lambda: _heard([{"raw": None, "sampling_rate": RATE}]),
        lambda: _heard([{"raw": CLIP, "sampling_rate": RATE}]),
    ),
    Case("correct the sampling rate", lambda: _heard((CLIP, 0)), lambda: _heard((CLIP, RATE))),
    Case("correct the path", lambda: _heard("nowhere.wav"), lambda: _heard(str(_file()))),
    Case(
        "download it first, and pass its path",
        lambda: _heard("https://a.org/clip.wav"),
        lambda: _heard(str(_file())),
    ),
    Case(
        "list its files, as in sorted(pathlib.Path(folder).glob('*.wav')), or use explain_dataset",
        lambda: _heard(str(_file().parent)),
        lambda: [
            _heard(sorted(_file().parent.glob("*.wav"))),
            hearer().explain_dataset(str(_file().parent), tempfile.mkdtemp() + "/run"),
        ],
    ),
    Case("convert it to WAV", lambda: _heard(str(_noise())), lambda: _heard(str(_file()))),
    Case("pass a longer sound", lambda: _heard(CLIP[:5]), lambda: _heard(CLIP)),
    Case("pass a longer sound", lambda: hearer("wav2vec2-bert").explain(CLIP[:5]), lambda: _processed("wav2vec2-bert")),
    Case(
        "pass a longer sound",
        lambda: _values(torch.rand(1, 3000), attention_mask=torch.zeros(1, 3000)),
        lambda: _heard(CLIP),
    ),
    Case(
        "pass the processor's own output",
        lambda: _values((torch.rand(1, 3000) * 9).short()),
        _processed,
    ),
    Case(
        "pass the processor's own output",
        lambda: _values(torch.rand(1, 3000), attention_mask=torch.ones(1, 9)),
        _processed,
    ),
    Case(
        "leave `signal` out",
        lambda: hearer(signal="spectrogram").explain(CLIP),
        lambda: hearer().explain(CLIP),
    ),
    Case(
        "leave `signal` out to explain the model's own input",
        lambda: FourierExplainer(hearer().model, hearer().processor, signal="pixels"),
        lambda: hearer().explain(CLIP),
    ),
    Case(
        "leave `signal` out to explain the model's own input",
        lambda: FourierExplainer(hearer("whisper").model, _Own(), signal="waveform"),
        lambda: FourierExplainer(hearer("whisper").model, _Own()).explain(CLIP),
    ),
    Case(
        "pass paths or arrays, or leave `signal` out",
        lambda: at_waveform("whisper").explain({"input_features": torch.rand(1, 16, 100)}),
        lambda: [
            at_waveform("whisper").explain(CLIP),
            at_waveform("whisper").explain(str(_file())),
            hearer("whisper").explain({"input_features": torch.rand(1, 16, 100)}),
        ],
    ),
    Case("set `processor.dither = 0.0`", lambda: _dithered(1.0), lambda: _dithered(0.0)),
    Case("leave `signal` out to explain the model's input", lambda: _other("waveform"), lambda: _other(None)),
    Case("explain a clip", lambda: _rebuilt(sound=False), lambda: _rebuilt(sound=True)),
    Case("choose one that was explained", lambda: _recording("nobody"), lambda: _recording(None)),
    Case(
        "correct `seconds`",
        lambda: hearer().explain_recording((clip(8000), RATE), seconds=-1),
        lambda: hearer().explain_recording((clip(8000), RATE), seconds=0.25),
    ),
    Case("pass a transcript's result", lambda: transcript_errors(reader(), read()[0]), lambda: _spoken(played=True)),
    Case("call explainer.perturb(result)", lambda: _spoken(played=False), lambda: _spoken(played=True)),
    Case("pass the whole processor", lambda: _transcript("w7 w8", whole=False), lambda: _transcript("w7 w8")),
    Case(
        "correct `sampling_rate` of the processor",
        lambda: FourierExplainer(tiny_models_audio.build("wav2vec2"), _Rated(0)).explain(CLIP),
        lambda: FourierExplainer(tiny_models_audio.build("wav2vec2"), _Rated(RATE)).explain(CLIP),
    ),
    Case("shorten it", lambda: _transcript("w7 w8 " * 900), lambda: _transcript("w7 w8")),
]


class _Own:
    """A processor whose front end nobody knows."""

    sampling_rate = RATE

    def __call__(self, samples: Any, sampling_rate: int, return_tensors: str) -> Any:
        return {"input_features": torch.as_tensor(samples)[None, :1600].reshape(1, 16, 100)}


class _Rated:
    """A processor that states a rate."""

    def __init__(self, rate: int) -> None:
        self.sampling_rate = rate

    def __call__(self, samples: Any, sampling_rate: int, return_tensors: str) -> Any:
        return {"input_values": torch.as_tensor(samples)[None].float()}
