"""A small audio classifier of waveforms, trained from scratch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import (
    PreTrainedModel,
    SequenceFeatureExtractor,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForSequenceClassification,
)

from ..sounds import read_clips
from .files import readme
from .heads import majority
from .hearing import RATE, mono
from .training import answers, names_of, train

SECONDS = 1.0
"""What the models hear of a clip, from its beginning; shorter clips are followed by silence."""


def waves(inputs: Mapping[str, Path], folder: Path) -> None:
    """Train and save a classifier of the languages' waveforms."""
    extractor = Wav2Vec2FeatureExtractor(feature_size=1, sampling_rate=RATE, do_normalize=True)
    build(
        inputs["prompt-sounds"], folder, extractor,
        lambda names: Wav2Vec2ForSequenceClassification(_wave_config(names)), _shift_wave, epochs=16, rate=2e-3,
    )  # fmt: skip


def opening(clip: Mapping[str, Any]) -> np.ndarray:
    """The first `SECONDS` of a clip, mono at 16 kHz, filled up with silence."""
    audio = mono(clip)[: round(SECONDS * RATE)]
    return np.pad(audio, (0, round(SECONDS * RATE) - len(audio)))


def build(
    sounds: Path,
    folder: Path,
    extractor: SequenceFeatureExtractor,
    make: Callable[[Mapping[str, Any]], PreTrainedModel],
    vary: Callable[[dict[str, Tensor], torch.Generator], dict[str, Tensor]],
    **settings: Any,
) -> None:
    """Train a classifier of the clips' labels and save it.

    Args:
        sounds: The folder of the clips.
        folder: The folder to fill.
        extractor: Turns openings into the model's inputs.
        make: Makes the model, of the names of its classes as a configuration takes them.
        vary: Changes a batch at random before the model sees it.
        settings: Of `train`.
    """
    clips = {split: read_clips(sounds, split) for split in ("train", "test")}
    names = names_of([clip["label"] for clip in clips["train"]])
    labels = {split: torch.tensor([names["label2id"][clip["label"]] for clip in rows]) for split, rows in clips.items()}
    heard = {
        split: dict(extractor([opening(clip) for clip in rows], sampling_rate=RATE, return_tensors="pt"))
        for split, rows in clips.items()
    }
    model = train(lambda: make(names), heard["train"], labels["train"], vary=vary, **settings)
    model.save_pretrained(folder)
    extractor.save_pretrained(folder)
    truth = {split: values.numpy() for split, values in labels.items()}
    right = {split: float((answers(model, heard[split]) == truth[split]).mean()) for split in clips}
    readme(
        folder,
        f"{' or '.join(sorted(names['label2id']))}: a small {type(model).__name__}",
        f"Trained here from random weights on the first {SECONDS:g} s of the {len(truth['train'])} prompts of the "
        "train split of `prompt-sounds`, resampled to 16 kHz; shorter ones are followed by silence "
        "(`hf_fourier.demo.convert.listening.opening`).",
        f"Accuracy: train {right['train']:.3f}, test {right['test']:.3f} ({len(truth['test'])} prompts; always the "
        f"commonest label: {majority(truth['test']):.3f}).",
        "There is one speaker per language, so this may tell speakers apart. The recordings hold nothing above 4 kHz.",
    )


def _shift_wave(batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    """Turn the sounds around by up to a tenth of a second."""
    by = int(torch.randint(0, RATE // 10, (1,), generator=generator))
    return {"input_values": batch["input_values"].roll(by, 1)}


def _wave_config(names: Mapping[str, Any]) -> Wav2Vec2Config:
    return Wav2Vec2Config(
        vocab_size=32,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        conv_dim=(32, 64, 64, 64),
        conv_kernel=(10, 8, 4, 4),
        conv_stride=(5, 8, 4, 2),
        conv_bias=True,
        feat_extract_norm="layer",
        do_stable_layer_norm=True,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
        classifier_proj_size=64,
        apply_spec_augment=False,
        layerdrop=0.0,
        **names,
    )
