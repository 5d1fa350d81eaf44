"""Spoken words, and the classifiers of languages that the demo does not use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks import assets
from benchmarks.assets.convert import sounds
from hf_fourier import demo
from hf_fourier.demo.convert import hearing
from tests.demo.real import load, right_on_clips, right_on_prompts


def test_varied_spectrograms_keep_their_spread() -> None:
    picture = torch.rand(4, 100, 64)
    varied = sounds.shift_spectrogram({"input_values": picture}, torch.Generator().manual_seed(0))["input_values"]
    assert torch.allclose(varied.std((1, 2)), picture.std((1, 2)), atol=1e-5)


def test_whisper_writes_down_what_is_said(asset: Callable[[str], Path]) -> None:
    from transformers import AutoProcessor

    folder = asset("whisper-tiny")
    asset("spoken-words")
    model, processor = load("AutoModelForSpeechSeq2Seq", folder), AutoProcessor.from_pretrained(folder)
    assert model.dtype == torch.float32
    clips = assets.words()
    assert len(clips) == 8
    right = 0
    for clip in clips:
        assert clip["rate"] == 48_000
        assert clip["audio"].ndim == 1
        features = processor(hearing.mono(clip), sampling_rate=16_000, return_tensors="pt").input_features
        said = processor.batch_decode(model.generate(features, max_new_tokens=8), skip_special_tokens=True)[0]
        right += said.strip().lower().rstrip(".!,").replace(",", "") == clip["label"]
    assert right >= 6


def test_whisper_tells_languages_apart(asset: Callable[[str], Path]) -> None:
    asset("prompt-sounds")
    assert right_on_clips(asset("whisper-languages"), demo.prompts("test"), ["english", "french"], 8_000) >= 0.95


def test_a_language_is_heard_in_the_spectrogram(asset: Callable[[str], Path]) -> None:
    assert right_on_prompts(asset, "ast-languages", (1, 100, 64)) >= 0.9
