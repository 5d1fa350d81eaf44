"""Models that hear, and the plain answers to sounds."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from hf_fourier import FourierExplainer
from tests.models import tiny_models_audio, tiny_tokenizers
from tests.sweep import forms as f
from tests.sweep import references as r
from tests.sweep.references import Plain
from tests.sweep.subject import MASKS, Batch, Subject

# Sounds.


def _sound(numbers: np.random.Generator) -> np.ndarray:
    samples = int(numbers.choice([400, 801, 1600, 2003]))
    quiet = numbers.choice([1.0, 1.0, 1e-3])
    return tiny_models_audio.clip(samples, int(numbers.integers(0, 10**6))) * np.float32(quiet * 0.9)


def _heard(read: Any = lambda out: out.logits[0], settle: Any = r.best, score: Any = r.log_p) -> Any:
    """A waveform, whole."""

    def plain(explain: FourierExplainer, sound: np.ndarray) -> Plain:
        values = explain.processor(sound, sampling_rate=f.RATE, return_tensors="pt")["input_values"][0]
        return Plain(values, lambda x: read(explain.model(input_values=x[None])), settle, score)

    return plain


def _spectrogram(frames: Callable[[int], int], time: int) -> Any:
    """A log-mel, whose frames behind the sound stay as they are."""

    def plain(explain: FourierExplainer, sound: np.ndarray) -> Plain:
        batch = explain.processor(sound, sampling_rate=f.RATE, return_tensors="pt")
        values = batch[explain.wrapper.main_input][0]
        own, filling = values.split([frames(len(sound)), values.shape[time] - frames(len(sound))], dim=time)

        def outputs(x: torch.Tensor) -> torch.Tensor:
            return explain.model(**{explain.wrapper.main_input: torch.cat([x, filling], dim=time)[None]}).logits[0]

        return Plain(own.clone(), outputs, r.best, r.log_p)

    return plain


def _sounds_in(explain: FourierExplainer, contents: list[Any], how: str) -> Batch:
    batch = explain.processor(
        contents, sampling_rate=f.RATE, padding=True, return_attention_mask=True, return_tensors="pt"
    )
    return {n: MASKS[how](t) if n == "attention_mask" else t for n, t in batch.items()}


#: The most that Whisper writes here.
WRITTEN = 8


def _written(explain: FourierExplainer, sound: np.ndarray) -> Plain:
    """What Whisper writes by itself, greedily, and how likely that is."""
    values = explain.processor(sound, sampling_rate=f.RATE, return_tensors="pt")["input_features"][0]
    frames = -(-len(sound) // 160)
    own, filling = values.split([frames, values.shape[1] - frames], dim=1)
    said = [explain.model.config.decoder_start_token_id]
    while len(said) < WRITTEN and (len(said) == 1 or said[-1] != explain.model.config.eos_token_id):
        with torch.no_grad():
            out = explain.model(input_features=values[None], decoder_input_ids=torch.tensor([said]), use_cache=False)
        said.append(int(out.logits[0, -1].argmax()))

    def outputs(x: torch.Tensor) -> torch.Tensor:
        ids = torch.tensor([said[:-1]])
        return explain.model(
            input_features=torch.cat([x, filling], dim=1)[None], decoder_input_ids=ids, use_cache=False
        ).logits[0]

    return Plain(own.clone(), outputs, lambda outputs: said[1:], r.log_p)


def _ears(name: str, task: str = "audio-classification") -> Callable[[], FourierExplainer]:
    def made() -> FourierExplainer:
        processor = SimpleNamespace(
            feature_extractor=tiny_models_audio.extractor(name), tokenizer=tiny_tokenizers.tokenizer("gpt")
        )
        return FourierExplainer(tiny_models_audio.build(name, task=task), processor, task=task)

    return made


def _writer() -> FourierExplainer:
    explain = _ears("whisper", "automatic-speech-recognition")()
    explain.model.config.max_target_positions = WRITTEN
    return explain


_HEAR: dict[str, Any] = {"content": _sound, "forms": f.SOUNDS}
_MASKED: dict[str, Any] = {**_HEAR, "batch": _sounds_in, "hows": tuple(MASKS)}


def _frames(outputs: Any) -> torch.Tensor:
    return outputs.logits[0]


SUBJECTS: dict[str, Subject] = {
    "waveform": Subject(_ears("wav2vec2-layer"), plain=_heard(), **_MASKED),
    "plain waveform": Subject(_ears("wav2vec2-plain"), plain=_heard(), **_HEAR),
    "group norm": Subject(_ears("wav2vec2"), plain=_heard(), **_MASKED),
    "spectrogram": Subject(_ears("ast"), plain=_spectrogram(lambda n: 1 + (n - 400) // 160, 0), **_HEAR),
    "log-mel": Subject(_ears("whisper"), plain=_spectrogram(lambda n: -(-n // 160), 1), **_HEAR),
    "transcript": Subject(_ears("wav2vec2", "ctc"), plain=_heard(_frames, r.collapsed, r.ctc), **_HEAR),
    "whisper": Subject(_writer, plain=_written, wraps=False, **_HEAR),
}
