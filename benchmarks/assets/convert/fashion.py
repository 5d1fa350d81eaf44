"""Fashion-MNIST: the pictures, and a small vision transformer trained on them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import ViTConfig, ViTForImageClassification

from benchmarks.assets.data import TRAINED_ON, read_fashion
from hf_fourier.demo.convert.files import readme
from hf_fourier.demo.convert.training import answers, train

_MEAN = _STD = 0.5


def build(inputs: Mapping[str, Path], folder: Path) -> None:
    """Copy the four files as they are."""
    source = inputs["dataset-fashion-mnist"] / "usr/share/datasets/fashion-mnist"
    for path in sorted(source.glob("*.gz")):
        shutil.copyfile(path, folder / path.name)
    readme(
        folder,
        "Fashion-MNIST",
        "Grey pictures of clothes, 28 × 28, ten classes: 60,000 for training and 10,000 for testing, in the files of "
        "Zalando's release.",
    )


def transformer(inputs: Mapping[str, Path], folder: Path) -> None:
    """Train a small vision transformer and write it with its image processor."""
    pictures, labels = {}, {}
    for split, n in (("train", TRAINED_ON), ("test", None)):
        raw, numbers, names = read_fashion(inputs["fashion-mnist"], split, n)
        pictures[split], labels[split] = {"pixel_values": to_pixels(raw)}, torch.tensor(numbers).long()
    config = _config(names)
    model = train(
        lambda: ViTForImageClassification(config), pictures["train"], labels["train"],
        epochs=6, rate=2e-3, batch=64, vary=mirror,
    )  # fmt: skip
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(_PROCESSOR, indent=2) + "\n", encoding="utf-8")
    right = float((answers(model, pictures["test"], 500) == labels["test"].numpy()).mean())
    readme(
        folder,
        "A small vision transformer for Fashion-MNIST",
        f"Trained here on the first {TRAINED_ON:,} pictures of the train split. Grey pictures are given as three "
        "equal channels; nothing is resized that is 28 × 28.",
        f"Accuracy on the 10,000 pictures of the test split: {right:.3f} (always the same label: 0.100).",
    )


def to_pixels(raw: np.ndarray) -> Tensor:
    """Grey bytes, shape (pictures, 28, 28), as the processor gives them: three channels, −1 to 1."""
    scaled = (torch.from_numpy(raw.astype(np.float32)) / 255 - _MEAN) / _STD
    return scaled[:, None].expand(-1, 3, -1, -1)


def mirror(batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    """Mirror half of the pictures left to right."""
    pixels = batch["pixel_values"]
    chosen = torch.rand(len(pixels), 1, 1, 1, generator=generator) < 0.5
    return {"pixel_values": torch.where(chosen, pixels.flip(-1), pixels)}


def _config(names: list[str]) -> ViTConfig:
    return ViTConfig(
        image_size=28,
        patch_size=4,
        num_channels=3,
        hidden_size=64,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=128,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        id2label=dict(enumerate(names)),
        label2id={name: index for index, name in enumerate(names)},
    )


_PROCESSOR: dict[str, Any] = {
    "image_processor_type": "ViTImageProcessor",
    "do_resize": True,
    "size": {"height": 28, "width": 28},
    "resample": 2,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [_MEAN] * 3,
    "image_std": [_STD] * 3,
}
