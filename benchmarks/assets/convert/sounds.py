"""Spoken words, and two more classifiers of spoken languages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

from hf_fourier.demo.convert import hearing, listening
from hf_fourier.demo.convert.files import readme
from hf_fourier.demo.convert.listening import SECONDS
from hf_fourier.demo.convert.sounds import write


def words(inputs: Mapping[str, Path], folder: Path) -> None:
    """Copy the eight spoken words; each is labelled with its text."""
    clips = []
    for path in sorted((inputs["alsa-utils"] / "usr/share/sounds/alsa").glob("*_*.wav")):
        text = path.stem.replace("_", " ").lower()
        clips.append({"name": path.stem, "file": str(path), "label": text, "group": path.stem, "split": "test"})
    write(clips, folder)
    readme(
        folder,
        "Names of loudspeakers",
        "From alsa-utils, as shipped: WAV, 48 kHz, mono. The label is what is said.",
    )


def languages(inputs: Mapping[str, Path], folder: Path) -> None:
    """Fit and save the classifier of languages."""
    hearing.build(
        inputs["whisper-tiny"], inputs["prompt-sounds"], folder, "English or French, heard by Whisper",
        "There is one speaker per language, so this may tell speakers apart. The recordings hold nothing above 4 kHz.",
    )  # fmt: skip


def spectrograms(inputs: Mapping[str, Path], folder: Path) -> None:
    """Train and save a classifier of the languages' spectrograms."""
    extractor = ASTFeatureExtractor(num_mel_bins=64, max_length=round(100 * SECONDS), mean=-6.8, std=2.85)
    listening.build(
        inputs["prompt-sounds"], folder, extractor,
        lambda names: ASTForAudioClassification(_spectrogram_config(names)), shift_spectrogram, epochs=20, rate=5e-4,
    )  # fmt: skip


def shift_spectrogram(batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    """Turn the sounds around by up to a tenth of a second, and make each louder or softer."""
    by = int(torch.randint(0, 10, (1,), generator=generator))
    values = batch["input_values"].roll(by, 1)
    return {"input_values": values + 0.3 * torch.randn(len(values), 1, 1, generator=generator)}


def _spectrogram_config(names: Mapping[str, Any]) -> ASTConfig:
    """AST's own overlapping patches and proportions, a sixth of its width and a third of its layers."""
    return ASTConfig(
        hidden_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=512,
        max_length=round(100 * SECONDS),
        num_mel_bins=64,
        **names,
    )
