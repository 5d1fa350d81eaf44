"""Tiny segmentation models with fresh weights, of pictures from transformers and of volumes of our own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SemanticSegmenterOutput

from tests.models.tiny_models import enliven

LABELS = {0: "ground", 1: "cup", 2: "saucer"}
_NAMED = {"id2label": LABELS, "label2id": {name: i for i, name in LABELS.items()}}
_VIT = {
    "image_size": 32, "patch_size": 8, "hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2,
    "intermediate_size": 24, "use_auxiliary_head": False, **_NAMED,
}  # fmt: skip
#: name: (class stem, what its config differs in, height and width it takes)
PICTURES: dict[str, tuple[str, dict[str, Any], tuple[int, int]]] = {
    "segformer": (
        "Segformer",
        {"num_encoder_blocks": 2, "depths": [1, 1], "sr_ratios": [2, 1], "hidden_sizes": [8, 16],
         "patch_sizes": [7, 3], "strides": [4, 2], "num_attention_heads": [1, 2], "mlp_ratios": [2, 2],
         "decoder_hidden_size": 16, **_NAMED},
        (47, 33),
    ),
    "beit": ("Beit", {**_VIT, "out_indices": [1, 2, 3, 4], "pool_scales": [1, 2]}, (47, 33)),
    "mobilevit": (
        "MobileViT",
        {"image_size": 64, "hidden_sizes": [8, 12, 16], "neck_hidden_sizes": [4, 8, 8, 8, 12, 16, 16],
         "num_attention_heads": 2, "expand_ratio": 1.0, "aspp_out_channels": 16, "atrous_rates": [1, 2, 3], **_NAMED},
        (64, 64),
    ),
    "mobilenet-v2": ("MobileNetV2", {"depth_multiplier": 0.25, "image_size": 32, **_NAMED}, (64, 50)),
    "dpt": (
        "DPT",
        {**_VIT, "backbone_out_indices": [0, 1, 2, 3], "neck_hidden_sizes": [8, 8, 16, 16], "fusion_hidden_size": 16,
         "reassemble_factors": [4, 2, 1, 0.5]},
        (32, 32),
    ),
    "upernet": ("UperNet", {"hidden_size": 16, "pool_scales": [1, 2], "use_auxiliary_head": False, **_NAMED}, (47, 33)),
}  # fmt: skip


class VolumesConfig(PreTrainedConfig):
    model_type = "tiny-volumes"

    def __init__(self, num_channels: int = 1, outputs: int = 2, **others: Any) -> None:
        self.num_channels, self.outputs = num_channels, outputs
        super().__init__(**others)


class VolumesForSemanticSegmentation(PreTrainedModel):
    """Two convolutions of volumes of any size, with one logit for each voxel or one for each class."""

    config_class = VolumesConfig
    main_input_name = "pixel_values"

    def __init__(self, config: VolumesConfig) -> None:
        super().__init__(config)
        self.into = torch.nn.Conv3d(config.num_channels, 6, 3, padding=1)
        self.out = torch.nn.Conv3d(6, config.outputs, 3, padding=1)
        self.post_init()

    def forward(self, pixel_values: torch.Tensor) -> SemanticSegmenterOutput:
        return SemanticSegmenterOutput(logits=self.out(torch.tanh(self.into(pixel_values))))


#: name: (channels, logits for each voxel, labels)
VOLUMES: dict[str, tuple[int, int, dict[int, str]]] = {
    "one logit": (1, 1, {0: "brain"}),
    "two classes": (1, 2, {0: "background", 1: "brain"}),
    "two channels": (2, 3, LABELS),
}


def build(name: str, seed: int = 0) -> torch.nn.Module:
    """One model in evaluation mode, its weights drawn from `seed` without touching the global generator."""
    import transformers

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if name in VOLUMES:
            channels, outputs, labels = VOLUMES[name]
            config = VolumesConfig(channels, outputs, id2label=labels, label2id={n: i for i, n in labels.items()})
            model = VolumesForSemanticSegmentation(config).eval()
            for parameter in model.parameters():
                torch.nn.init.normal_(parameter, std=0.3)
            return model
        stem, options, _ = PICTURES[name]
        if name == "upernet":
            stages = {"hidden_sizes": [8, 16, 16, 16], "depths": [1, 1, 1, 1]}
            backbone = transformers.ConvNextConfig(**stages, out_features=["stage1", "stage2", "stage3", "stage4"])
            options = {**options, "backbone_config": backbone}
        made: Callable[..., torch.nn.Module] = getattr(transformers, stem + "ForSemanticSegmentation")
        model = made(getattr(transformers, stem + "Config")(**options)).eval()
        enliven(model)
        for module in model.modules():  # without batch norms, convolutions are as weak as drawn
            if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
                torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    return model


def inputs(name: str, rows: int = 3) -> torch.Tensor:
    """Pictures or volumes of odd and unequal edges."""
    numbers = torch.Generator().manual_seed(5)
    if name in VOLUMES:
        return torch.randn(rows, VOLUMES[name][0], 5, 7, 6, generator=numbers)
    return torch.randn(rows, 3, *PICTURES[name][2], generator=numbers)
