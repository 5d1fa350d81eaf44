"""Semantic segmentation: FFC at the pixels or voxels, with a mask as the thing that is explained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch

from hf_fourier.adapters.base import Encoded, Task
from hf_fourier.adapters.vision import VisionAdapter
from hf_fourier.domains import Axis, LeafShape
from hf_fourier.errors import InputError
from hf_fourier.masks import Mask
from hf_fourier.targets import Head
from hf_fourier.typing import Tensor
from hf_fourier.views import VolumeView


class SegmentationAdapter(VisionAdapter):
    """The leaf is `pixel_values`: pictures `(channels, height, width)`, or volumes `(channels, depth, height, width)`."""

    tasks: ClassVar[Mapping[str, Task]] = {
        "image-segmentation": Task(
            "AutoModelForSemanticSegmentation",
            "MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING_NAMES",
            ("ForSemanticSegmentation",),
            "AutoImageProcessor",
        )
    }

    leaf_kinds: ClassVar[tuple[str, ...]] = ("pixels", "volume")

    def head(self) -> Head:
        """A mask over the config's classes."""
        return Mask({int(i): str(n) for i, n in (getattr(self.config, "id2label", None) or {}).items()})

    def encode(self, example: Any) -> Encoded:
        """A picture as for classifiers, or a volume: an array `(depth, height, width)` or with channels before it.

        A volume without a processor is taken in the model's own units.
        """
        volume = isinstance(example, (np.ndarray, Tensor)) and example.ndim in (3, 4) and self._reads_volumes(example)
        if not volume:
            return super().encode(example)
        tensor = torch.as_tensor(example)
        tensor = tensor if tensor.ndim == 4 else tensor.unsqueeze(0)
        if self.processor is None:
            encoded = self.encode_batch({self.main_input: tensor.unsqueeze(0).float()})[0]
            encoded.notes = (*encoded.notes, "no processor: the volume was taken in the model's own units")
            return encoded
        batch = self.processor(images=tensor.numpy(), return_tensors="pt")
        return self.encode_batch({self.main_input: batch[self.main_input]})[0]

    def encode_batch(self, batch: Mapping[str, Any]) -> list[Encoded]:
        """Rows of `pixel_values`, four dimensions for pictures, five for volumes."""
        pixels = batch.get(self.main_input)
        if not isinstance(pixels, Tensor) or pixels.ndim != 5:
            return super().encode_batch(batch)
        tensors = self.rows_of(batch, dimensions=5)
        volumes = tensors.pop(self.main_input).cpu()
        if not volumes.is_floating_point() or not bool(volumes.isfinite().all()):
            raise InputError("voxels that are not finite real numbers", "finite numbers", "mend the volume")
        view = VolumeView()
        return [
            Encoded(_shape(row), {name: tensor[i].cpu() for name, tensor in tensors.items()}, values=row, view=view)
            for i, row in enumerate(volumes)
        ]

    def _reads_volumes(self, example: Any) -> bool:
        """Whether an array is a volume: it has four dimensions, or three for a model with 3-D convolutions."""
        if example.ndim == 4:
            return True
        return any(isinstance(module, torch.nn.Conv3d) for module in self.model.modules())


def _shape(row: Tensor) -> LeafShape:
    names: Sequence[str] = ("depth", "height", "width")
    sizes = zip(names, row.shape[1:], strict=True)
    spatial = tuple(Axis(name, size, "cycles/voxel") for name, size in sizes)
    return LeafShape("volume", (Axis("channel", row.shape[0], channel=True), *spatial))
