"""Tiny models that see, with other heads than classes: depth, boxes, masks, texts and videos."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from tests.models.tiny_models import VISION, enliven
from tests.models.tiny_models_segmentation import LABELS

_NAMED = {"id2label": LABELS, "label2id": {name: i for i, name in LABELS.items()}}
_VIT = {
    "hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 24, "image_size": 32,
    "patch_size": 8,
}  # fmt: skip
_DETR = {
    "use_timm_backbone": False, "use_pretrained_backbone": False, "d_model": 16, "encoder_layers": 1,
    "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 24,
    "decoder_ffn_dim": 24, "num_queries": 5, **_NAMED,
}  # fmt: skip
_RESNET = {"embedding_size": 8, "hidden_sizes": [8, 8, 12, 16], "depths": [1, 1, 1, 1], "layer_type": "basic"}
_MASKS = {
    "feature_size": 32, "mask_feature_size": 32, "hidden_dim": 32, "encoder_feedforward_dim": 24, "encoder_layers": 1,
    "decoder_layers": 2, "num_attention_heads": 2, "dim_feedforward": 24, "num_queries": 5, **_NAMED,
}  # fmt: skip
_SWIN = {
    "image_size": 32, "patch_size": 2, "embed_dim": 8, "depths": [1, 1, 1, 1], "num_heads": [2, 2, 2, 2],
    "window_size": 4, "out_features": ["stage1", "stage2", "stage3", "stage4"],
}  # fmt: skip
_NECK = {"reassemble_factors": [4, 2, 1, 0.5], "neck_hidden_sizes": [8, 8, 16, 16], "fusion_hidden_size": 16}
_DINO = {**_VIT, "out_features": ["stage1", "stage2", "stage3", "stage4"], "reshape_hidden_states": False}
_TEXT = {
    "vocab_size": 64, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
    "max_position_embeddings": 16, "bos_token_id": 61, "eos_token_id": 63, "pad_token_id": 62,
}  # fmt: skip
_PAIR = {"text_config": _TEXT, "vision_config": {**_VIT, "num_hidden_layers": 2}, "projection_dim": 12}
_VIDEO = {**_VIT, "num_hidden_layers": 2, "num_frames": 4, "num_labels": 3}

#: task: name: (class, config class, what its config differs in)
MODELS: dict[str, dict[str, tuple[str, str, dict[str, Any]]]] = {
    "depth-estimation": {
        "dpt": ("DPTForDepthEstimation", "DPTConfig", {**_VIT, **_NECK, "backbone_out_indices": [0, 1, 2, 3]}),
        "glpn": (
            "GLPNForDepthEstimation", "GLPNConfig",
            {"hidden_sizes": [8, 8, 12, 16], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 1, 2, 2],
             "decoder_hidden_size": 8},
        ),
        "depth-anything": (
            "DepthAnythingForDepthEstimation", "DepthAnythingConfig",
            {**_NECK, "patch_size": 8, "reassemble_hidden_size": 16, "backbone": ("Dinov2Config", _DINO)},
        ),
    },
    "object-detection": {
        "detr": ("DetrForObjectDetection", "DetrConfig", {**_DETR, "backbone": ("ResNetConfig", _RESNET)}),
        "conditional-detr": (
            "ConditionalDetrForObjectDetection", "ConditionalDetrConfig",
            {**_DETR, "backbone": ("ResNetConfig", _RESNET)},
        ),
        "yolos": (
            "YolosForObjectDetection", "YolosConfig",
            {**_VIT, "image_size": [32, 32], "num_detection_tokens": 5, **_NAMED},
        ),
    },
    "universal-segmentation": {
        "detr": (
            "DetrForSegmentation", "DetrConfig",
            {**_DETR, "d_model": 128, "encoder_attention_heads": 8, "decoder_attention_heads": 8,
             "backbone": ("ResNetConfig", _RESNET)},
        ),
        "mask2former": (
            "Mask2FormerForUniversalSegmentation", "Mask2FormerConfig", {**_MASKS, "backbone": ("SwinConfig", _SWIN)}
        ),
        "eomt": ("EomtForUniversalSegmentation", "EomtConfig", {**_VIT, "num_queries": 5, "num_blocks": 1, **_NAMED}),
    },
    "zero-shot-image-classification": {
        "clip": ("CLIPModel", "CLIPConfig", _PAIR),
        "siglip": ("SiglipModel", "SiglipConfig", _PAIR),
    },
    "video-classification": {
        "videomae": ("VideoMAEForVideoClassification", "VideoMAEConfig", {**_VIDEO, "tubelet_size": 2}),
        "timesformer": ("TimesformerForVideoClassification", "TimesformerConfig", _VIDEO),
        "vivit": ("VivitForVideoClassification", "VivitConfig", {**_VIDEO, "tubelet_size": [2, 8, 8]}),
        "vjepa2": (
            "VJEPA2ForVideoClassification", "VJEPA2Config",
            {**_VIDEO, "crop_size": 32, "frames_per_clip": 4, "tubelet_size": 2, "pred_hidden_size": 16,
             "pred_num_attention_heads": 2, "pred_num_hidden_layers": 1, "num_pooler_layers": 1},
        ),
    },
    "image-feature-extraction": {
        "vit": ("ViTModel", "ViTConfig", _VIT),
        "resnet": ("ResNetModel", "ResNetConfig", VISION["resnet"][1]),
        "segformer": (
            "SegformerModel", "SegformerConfig",
            {"hidden_sizes": [8, 8, 12, 16], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 1, 2, 2]},
        ),
    },
}  # fmt: skip
EVERYTHING = [(task, name) for task, models in MODELS.items() for name in models]


def build(task: str, name: str, seed: int = 0) -> torch.nn.Module:
    """One model in evaluation mode, its weights drawn from `seed` without touching the global generator."""
    import transformers

    made, config, options = MODELS[task][name]
    options = dict(options)
    if "backbone" in options:
        kind, inner = options.pop("backbone")
        levels = {"out_features": ["stage1", "stage2", "stage3", "stage4"]} if task != "object-detection" else {}
        options["backbone_config"] = getattr(transformers, kind)(**{**levels, **inner})
    cls: Callable[..., torch.nn.Module] = getattr(transformers, made)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = cls(getattr(transformers, config)(**options)).eval()
        enliven(model)
        for module in model.modules():  # without batch norms, convolutions are as weak as drawn
            if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
                torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    return model


def inputs(task: str, rows: int = 2) -> dict[str, torch.Tensor]:
    """Pictures or videos, and texts where they are needed."""
    numbers = torch.Generator().manual_seed(5)
    if task == "video-classification":
        return {"pixel_values": torch.randn(rows, 4, 3, 32, 32, generator=numbers)}
    pictures = {"pixel_values": torch.randn(rows, 3, 32, 32, generator=numbers)}
    if task == "zero-shot-image-classification":
        pictures["input_ids"] = torch.tensor([[5, 6, 7, 63], [8, 9, 63, 63], [10, 11, 12, 63]])
    return pictures
