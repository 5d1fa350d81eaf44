"""Small models of a text, a picture, a sound and a tensor, with fresh weights, for cases that need one."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c", "good", "bad")
RATE = 16_000


def save_text_model(folder: Path) -> Path:
    """A folder with a text classifier of two classes and its tokenizer."""
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(WORDS), encoding="utf-8")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=32, id2label={0: "bad", 1: "good"}, label2id={"bad": 0, "good": 1},
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


def save_picture_model(folder: Path) -> Path:
    """A folder with a picture classifier of two classes and its processor."""
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=16, patch_size=4,
        id2label={0: "cat", 1: "dog"}, label2id={"cat": 0, "dog": 1},
    )  # fmt: skip
    ViTForImageClassification(config).save_pretrained(folder)
    ViTImageProcessor(size={"height": 16, "width": 16}).save_pretrained(folder)
    return folder


def save_sound_model(folder: Path) -> Path:
    """A folder with a classifier of waveforms and its feature extractor."""
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForSequenceClassification

    torch.manual_seed(0)
    config = Wav2Vec2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, conv_dim=(8, 8),
        conv_kernel=(8, 4), conv_stride=(8, 4), num_feat_extract_layers=2, num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2, classifier_proj_size=8, id2label={0: "loud", 1: "low"},
        label2id={"loud": 0, "low": 1},
    )  # fmt: skip
    Wav2Vec2ForSequenceClassification(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(sampling_rate=RATE).save_pretrained(folder)
    return folder


@cache
def explainer(kind: str, folder: Path) -> Any:
    """An explainer of one of the models, which is written into a folder."""
    from hf_fourier import FourierExplainer

    save = {"text": save_text_model, "picture": save_picture_model, "sound": save_sound_model}[kind]
    return FourierExplainer.from_pretrained(save(folder / f"{kind}-model"))


@cache
def net() -> torch.nn.Module:
    """A classifier of tensors of 12 numbers."""
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(12, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3)).eval()


@cache
def example(kind: str) -> Any:
    """One example of each kind."""
    noise = np.random.default_rng(0)
    if kind == "text":
        return "a good b"
    if kind == "picture":
        return noise.integers(0, 255, (16, 16, 3), dtype=np.uint8)
    return (noise.normal(size=4000) * 0.1).astype(np.float32)
