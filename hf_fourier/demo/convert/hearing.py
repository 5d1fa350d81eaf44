"""Audio classifiers: Whisper's frozen encoder, cut to two seconds, and a linear head."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.signal import resample_poly
from torch import Tensor
from transformers import (
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForAudioClassification,
    WhisperForConditionalGeneration,
)

from ..sounds import read_clips
from .checkpoint import graft
from .files import readme
from .heads import cross_validated, fit_softmax, majority

SECONDS = 2
"""What the classifiers hear of a clip, from its beginning; shorter clips are followed by silence."""
RATE = 16_000
_PENALTY = 0.1
"""Weight of the squared norm in the head's loss; from 0.03 to 1, five folds of train differ by less than chance."""
_SMALL = 100
"""Below so many test clips, folds over all clips are reported too."""


def instruments(inputs: Mapping[str, Path], folder: Path) -> None:
    """Fit and save the classifier of instruments."""
    build(inputs["whisper-tiny"], inputs["instrument-sounds"], folder, "Families of instruments, heard by Whisper")


def mono(clip: Mapping[str, Any], rate: int = RATE) -> np.ndarray:
    """A clip's sound as one channel at `rate` samples per second, float32."""
    audio = clip["audio"].mean(1) if clip["audio"].ndim == 2 else clip["audio"]
    common = int(np.gcd(clip["rate"], rate))
    return resample_poly(audio, rate // common, clip["rate"] // common).astype(np.float32)


def groups(folder: Path) -> dict[str, str]:
    """Which clips of a data folder belong together, as {name: group}."""
    return {row["name"]: row["group"] for row in json.loads((folder / "clips.json").read_text(encoding="utf-8"))}


def build(recogniser: Path, sounds: Path, folder: Path, title: str, *notes: str) -> None:
    """Fit a classifier of the clips' labels and save it.

    Args:
        recogniser: The folder of the speech recogniser.
        sounds: The folder of the clips.
        folder: The folder to fill.
        title: The title of its README.
        notes: The last paragraphs of its README.
    """
    clips = {split: read_clips(sounds, split) for split in ("train", "test")}
    names = sorted({clip["label"] for clip in clips["train"]})
    labels = {split: np.array([names.index(clip["label"]) for clip in rows]) for split, rows in clips.items()}
    extractor = WhisperFeatureExtractor(feature_size=80, chunk_length=SECONDS)
    model, weights = _headless(recogniser, names)
    heard = {split: _features(model, extractor, rows) for split, rows in clips.items()}
    weight, bias = fit_softmax(heard["train"], labels["train"], _PENALTY)
    weights["classifier.weight"] = torch.tensor(weight, dtype=torch.float32)
    weights["classifier.bias"] = torch.tensor(bias, dtype=torch.float32)
    graft(WhisperForAudioClassification, model.config, weights).save_pretrained(folder)
    extractor.save_pretrained(folder)
    group = groups(sounds)
    right = {split: float(((heard[split] @ weight.T + bias).argmax(1) == labels[split]).mean()) for split in clips}
    readme(
        folder,
        title,
        f"The encoder of Whisper tiny.en, untouched but for its positions: the first {SECONDS} s. A linear head on the "
        f"mean of its output was fitted on the {len(labels['train'])} clips of the train split. "
        "Clips are mixed to one channel and resampled to 16 kHz.",
        f"Accuracy: train {right['train']:.3f}, test {right['test']:.3f} ({len(labels['test'])} clips; always the "
        f"commonest label: {majority(labels['test']):.3f}).",
        *_folds(heard, labels, [group[clip["name"]] for split in clips for clip in clips[split]]),
        *notes,
    )


def _folds(heard: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray], group: list[str]) -> list[str]:
    """What heads fitted on parts of all clips achieve, where the test split is too small to say much."""
    if len(labels["test"]) >= _SMALL:
        return []
    features, truth = np.concatenate(list(heard.values())), np.concatenate(list(labels.values()))
    right = cross_validated(features, truth, group, _PENALTY)
    return [
        f"Heads fitted separately in five folds over all {len(truth)} clips, groups of variants held out: {right:.3f} "
        f"(commonest label: {majority(truth):.3f})."
    ]


def _headless(recogniser: Path, names: list[str]) -> tuple[WhisperForAudioClassification, dict[str, Tensor]]:
    """The classifier with a head of zeros and a projector that changes nothing, and its weights."""
    source = WhisperForConditionalGeneration.from_pretrained(recogniser, local_files_only=True, use_safetensors=True)
    config = WhisperConfig.from_pretrained(
        recogniser,
        max_source_positions=SECONDS * 50,
        classifier_proj_size=source.config.d_model,
        id2label=dict(enumerate(names)),
        label2id={name: index for index, name in enumerate(names)},
    )
    config.architectures = None
    weights = {f"encoder.{key}": value for key, value in source.model.encoder.state_dict().items()}
    weights["encoder.embed_positions.weight"] = weights["encoder.embed_positions.weight"][: SECONDS * 50].clone()
    weights["projector.weight"] = torch.eye(source.config.d_model)
    weights["projector.bias"] = torch.zeros(source.config.d_model)
    weights["classifier.weight"] = torch.zeros(len(names), source.config.d_model)
    weights["classifier.bias"] = torch.zeros(len(names))
    return graft(WhisperForAudioClassification, config, weights), weights


def _features(
    model: WhisperForAudioClassification, extractor: WhisperFeatureExtractor, clips: list[dict[str, Any]]
) -> np.ndarray:
    """Mean output of the encoder for each clip, shape (clips, width), float64."""
    rows = []
    with torch.inference_mode():
        for start in range(0, len(clips), 32):
            audio = [mono(clip) for clip in clips[start : start + 32]]
            batch = extractor(audio, sampling_rate=RATE, return_tensors="pt").input_features
            rows.append(model.encoder(batch).last_hidden_state.mean(1).double().numpy())
    return np.concatenate(rows)
