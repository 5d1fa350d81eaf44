"""LinkNet for volumes: an encoder, and a decoder that adds the encoder's outputs back in.

Call `register()` before `AutoModelForSemanticSegmentation.from_pretrained(folder)`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForSemanticSegmentation, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SemanticSegmenterOutput


class LinkNet3DConfig(PreTrainedConfig):
    """Sizes of a LinkNet for volumes.

    Args:
        num_channels: of the input.
        width: channels of the first stage; each of the other three has twice as many as the one before.
        **others: what every configuration takes.
    """

    model_type = "linknet3d"

    def __init__(self, num_channels: int = 1, width: int = 16, **others: Any) -> None:
        self.num_channels = num_channels
        self.width = width
        super().__init__(**others)


class LinkNet3D(PreTrainedModel):
    """Segments a volume; gives logits of shape (batch, labels, depth, height, width).

    Inside, each edge is a multiple of 32: volumes of other edges are continued by their last voxels, and the logits
    are cut to the volume again.
    """

    config_class = LinkNet3DConfig
    main_input_name = "pixel_values"

    def __init__(self, config: LinkNet3DConfig) -> None:
        super().__init__(config)
        width = config.width
        self.init = nn.Sequential(
            nn.Conv3d(config.num_channels, width, 7, 2, 3, bias=False), *_end(width), nn.MaxPool3d(3, 2, 1)
        )
        self.down0 = _Down(width, width, 1)
        self.down1 = _Down(width, 2 * width, 2)
        self.down2 = _Down(2 * width, 4 * width, 2)
        self.down3 = _Down(4 * width, 8 * width, 2)
        self.up0 = _Up(8 * width, 4 * width, 2)
        self.up1 = _Up(4 * width, 2 * width, 2)
        self.up2 = _Up(2 * width, width, 2)
        self.up3 = _Up(width, width, 1)
        half = width // 2
        self.tp_conv1 = nn.Sequential(nn.ConvTranspose3d(width, half, 3, 2, 1, 1), *_end(half))
        self.conv = nn.Sequential(nn.Conv3d(half, half, 3, 1, 1), *_end(half))
        self.tp_conv2 = nn.ConvTranspose3d(half, config.num_labels, 2, 2)
        self.post_init()

    def forward(
        self, pixel_values: Tensor, labels: Tensor | None = None, return_dict: bool = True, **_: Any
    ) -> SemanticSegmenterOutput | tuple[Tensor, ...]:
        """Segment volumes.

        Args:
            pixel_values: shape (batch, channels, depth, height, width).
            labels: the class of each voxel, shape (batch, depth, height, width), for the loss.
            return_dict: whether to return more than a bare tuple.
        """
        depth, height, width = pixel_values.shape[2:]
        room = (0, -width % 32, 0, -height % 32, 0, -depth % 32)
        first = self.init(nn.functional.pad(pixel_values, room, "replicate"))
        second = self.down0(first)
        third = self.down1(second)
        fourth = self.down2(third)
        hidden = self.up0(self.down3(fourth)) + fourth
        hidden = self.up1(hidden) + third
        hidden = self.up2(hidden) + second
        hidden = self.up3(hidden) + first
        logits = self.tp_conv2(self.conv(self.tp_conv1(hidden)))[:, :, :depth, :height, :width]
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        if not return_dict:
            return (logits,) if loss is None else (loss, logits)
        return SemanticSegmenterOutput(loss=loss, logits=logits)


class _Block(nn.Module):
    """Two convolutions and a way around them."""

    def __init__(self, into: int, out: int, stride: int) -> None:
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.Conv3d(into, out, 3, stride, 1, bias=False), *_end(out),
            nn.Conv3d(out, out, 3, 1, 1, bias=False), nn.InstanceNorm3d(out),
        )  # fmt: skip
        self.downsample = nn.Sequential()  # which changes nothing
        if into != out:
            self.downsample = nn.Sequential(nn.Conv3d(into, out, 1, stride, bias=False), nn.InstanceNorm3d(out))

    def forward(self, hidden: Tensor) -> Tensor:
        return torch.relu(self.double_conv(hidden) + self.downsample(hidden))


class _Down(nn.Module):
    """Two blocks; the first may halve the edges."""

    def __init__(self, into: int, out: int, stride: int) -> None:
        super().__init__()
        self.block1 = _Block(into, out, stride)
        self.block2 = _Block(out, out, 1)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.block2(self.block1(hidden))


class _Up(nn.Module):
    """A transposed convolution between two that change the number of channels."""

    def __init__(self, into: int, out: int, stride: int) -> None:
        super().__init__()
        inner = into // 4
        self.conv1 = nn.Sequential(nn.Conv3d(into, inner, 1, bias=False), *_end(inner))
        self.tp_conv = nn.Sequential(
            nn.ConvTranspose3d(inner, inner, 3, stride, 1, stride - 1, bias=False), *_end(inner)
        )
        self.conv2 = nn.Sequential(nn.Conv3d(inner, out, 1, bias=False), *_end(out))

    def forward(self, hidden: Tensor) -> Tensor:
        return self.conv2(self.tp_conv(self.conv1(hidden)))


def _end(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.InstanceNorm3d(channels), nn.ReLU()


def register() -> None:
    """Make the Auto classes of transformers know this architecture; calling it again does nothing."""
    AutoConfig.register("linknet3d", LinkNet3DConfig, exist_ok=True)
    AutoModelForSemanticSegmentation.register(LinkNet3DConfig, LinkNet3D, exist_ok=True)
