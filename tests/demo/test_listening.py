"""The small audio models that were trained from scratch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from hf_fourier import demo
from hf_fourier.demo.convert import listening
from tests.demo.real import load


def test_an_opening_is_a_second_long() -> None:
    for seconds in (0.2, 3.0):
        sound = listening.opening({"audio": np.ones(round(8000 * seconds), dtype=np.float32), "rate": 8000})
        assert sound.shape == (16_000,)
        assert sound.dtype == np.float32
        assert (np.abs(sound[-1000:]).max() > 0.5) == (seconds > 1)


def test_variations_keep_shapes() -> None:
    generator = torch.Generator().manual_seed(0)
    wave = torch.rand(4, 16_000)
    shifted = listening._shift_wave({"input_values": wave}, generator)["input_values"]
    assert torch.equal(shifted.sort(1).values, wave.sort(1).values)
    assert not torch.equal(shifted, wave)
    picture = torch.rand(4, 100, 64)
    varied = listening._shift_spectrogram({"input_values": picture}, generator)["input_values"]
    assert torch.allclose(varied.std((1, 2)), picture.std((1, 2)), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "shape", "floor"),
    [
        pytest.param("wav2vec2-languages", (1, 16_000), 0.8, marks=pytest.mark.slow),
        ("ast-languages", (1, 100, 64), 0.9),
    ],
)
def test_a_language_is_heard(asset: Callable[[str], Path], name: str, shape: tuple[int, ...], floor: float) -> None:
    from transformers import AutoFeatureExtractor

    asset("prompt-sounds")
    folder = asset(name)
    model, extractor = load("AutoModelForAudioClassification", folder), AutoFeatureExtractor.from_pretrained(folder)
    assert model.config.id2label == {0: "english", 1: "french"}
    right = []
    for clip in demo.prompts("test"):
        batch = extractor(listening.opening(clip), sampling_rate=16_000, return_tensors="pt")
        assert batch["input_values"].shape == shape
        with torch.inference_mode():
            found = model(batch["input_values"]).logits.argmax()
        right.append(model.config.id2label[int(found)] == clip["label"])
    assert np.mean(right) >= floor
