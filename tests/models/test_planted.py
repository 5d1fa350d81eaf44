"""Known answers through the adapters: models that read one frequency of their signal and nothing else."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    ASTConfig,
    ASTFeatureExtractor,
    BertConfig,
    ViTConfig,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    WhisperConfig,
    WhisperFeatureExtractor,
)

from hf_fourier import FourierExplainer

RATE, TONE = 16_000, 1_000
TWO = {"id2label": {0: "absent", 1: "there"}, "label2id": {"absent": 0, "there": 1}}


class Reader(torch.nn.Module):
    """Logits from the squared length of the signal's part along some waves, and from nothing else."""

    main = "pixel_values"

    def __init__(self, config: Any, waves: torch.Tensor, gain: float = 1.0) -> None:
        super().__init__()
        self.config, self.gain = config, gain
        self.register_buffer("waves", waves)
        self.scale = torch.nn.Parameter(torch.ones(()))

    def read(self, signal: torch.Tensor) -> torch.Tensor:
        waves = self.waves / self.waves.flatten(1).norm(dim=1).view(-1, *[1] * (self.waves.ndim - 1))
        heard = torch.einsum("bi,wi->bw", signal.flatten(1), waves.flatten(1)).square().sum(1)
        return torch.stack([torch.zeros_like(heard), self.scale * self.gain * heard - 1], dim=1)


class WaveformReader(Reader):
    def forward(self, input_values: torch.Tensor) -> torch.Tensor:
        return self.read(input_values)


class FeatureReader(Reader):
    def forward(self, input_features: torch.Tensor) -> torch.Tensor:
        return self.read(input_features)


class PixelReader(Reader):
    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        return self.read(pixel_values)


class TokenReader(Reader):
    def __init__(self, config: Any, waves: torch.Tensor, vocabulary: int, hidden: int) -> None:
        super().__init__(config, waves)
        torch.manual_seed(0)
        self.embedding = torch.nn.Embedding(vocabulary, hidden)

    def get_input_embeddings(self) -> torch.nn.Module:
        return self.embedding

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return self.read(self.embedding(input_ids))


def waves(length: int, cycles: float) -> torch.Tensor:
    """A cosine and a sine, shape (2, length)."""
    angle = 2 * math.pi * cycles * torch.arange(length) / length
    return torch.stack([angle.cos(), angle.sin()])


@pytest.mark.parametrize(("method", "loud"), [("ffc", 0.3), ("ffc:lam=0", 3.0)])
def test_a_tone_in_a_waveform(method: str, loud: float) -> None:
    """1 kHz comes first; without the magnitude even where another tone is three times as loud."""
    time = np.arange(RATE) / RATE
    noise = 0.1 * np.random.default_rng(0).standard_normal(RATE)
    sound = np.sin(2 * np.pi * TONE * time + 0.3) + loud * np.sin(2 * np.pi * 317 * time) + noise
    model = WaveformReader(Wav2Vec2Config(**TWO), waves(RATE, TONE), gain=1e-4)
    explainer = FourierExplainer(model, Wav2Vec2FeatureExtractor(), task="audio-classification", method=method)
    table = explainer.explain((sound.astype(np.float32), RATE), target="there").top_features(1)
    assert table["frequency [Hz]"] == [TONE]


@pytest.mark.parametrize("kind", ["whisper", "ast"])
def test_a_tone_in_a_spectrogram(kind: str) -> None:
    """A steady tone does not change from frame to frame, and comes back to the mel band that holds 1 kHz."""
    time = np.arange(2 * RATE) / RATE
    sound = (np.sin(2 * np.pi * TONE * time) * 0.5).astype(np.float32)
    if kind == "whisper":
        extractor = WhisperFeatureExtractor(chunk_length=2)
        values = torch.as_tensor(extractor(sound, sampling_rate=RATE, return_tensors="pt")["input_features"][0])
        band = int(values.mean(1).argmax())
        mask = torch.zeros_like(values)
        mask[band] = 1
        model: Reader = FeatureReader(WhisperConfig(**TWO), mask.unsqueeze(0), gain=0.01)
        time_axis = 1
    else:
        extractor = ASTFeatureExtractor(max_length=198)
        values = torch.as_tensor(extractor(sound, sampling_rate=RATE, return_tensors="pt")["input_values"][0])
        band = int(values.mean(0).argmax())
        mask = torch.zeros_like(values)
        mask[:, band] = 1
        model = WaveformReader(ASTConfig(**TWO), mask.unsqueeze(0), gain=0.01)
        time_axis = 0
    centre = extractor.mel_filters[:, band].argmax() * RATE / 2 / (len(extractor.mel_filters) - 1)
    assert abs(centre - TONE) < 100  # the band that the model reads is the tone's
    explainer = FourierExplainer(model, extractor, task="audio-classification", method="ffc:lam=0")
    result = explainer.explain((sound, RATE), target="there")
    assert set(result.top_features(8)["frequency_time [cycles/frame]"]) == {0.0}
    by_band = np.abs(result.input_relevance(0.5).values).sum(axis=time_axis)
    assert int(by_band.argmax()) == band


def test_a_period_in_tokens() -> None:
    """A period of four tokens comes first, in the hidden dimension that is read."""
    length, hidden = 24, 6
    along = waves(length, length / 4)
    wave = torch.zeros(2, length, hidden)
    wave[:, :, 2] = along
    model = TokenReader(BertConfig(hidden_size=hidden, vocab_size=11, **TWO), wave, 11, hidden)
    explainer = FourierExplainer(model, task="text-classification", method="ffc:lam=0")
    ids = torch.randint(0, 11, (1, length), generator=torch.Generator().manual_seed(1))
    (result,) = explainer.explain({"input_ids": ids}, target="there")
    table = result.top_features(1)
    assert table["frequency [cycles/token]"] == [0.25]
    assert table["hidden"] == [2]


@pytest.mark.parametrize(("rows", "columns"), [(0, 9), (7, 0), (5, -3)])
def test_a_stripe_in_pixels(rows: int, columns: int) -> None:
    """Stripes of one direction and width come first, in the colour that is read."""
    size = 48
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    angle = 2 * math.pi * (rows * y + columns * x) / size
    wave = torch.zeros(2, 3, size, size)
    wave[0, 1], wave[1, 1] = angle.cos(), angle.sin()
    model = PixelReader(ViTConfig(image_size=size, **TWO), wave)
    pixels = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    explainer = FourierExplainer(model, task="image-classification", method="ffc:lam=0")
    (result,) = explainer.explain({"pixel_values": pixels}, target="there")
    first = result.layout.describe(int(result.order[0]))
    sign = -1 if columns < 0 else 1  # a pair is named by its partner with columns of at least 0
    assert first["channel"] == 1
    assert first["frequency_height"] == pytest.approx(sign * rows / size)
    assert first["frequency_width"] == pytest.approx(sign * columns / size)
