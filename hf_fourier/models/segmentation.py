"""Semantic segmentation: FFC at the pixels or voxels, with a mask as the thing that is explained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch

from hf_fourier.domains import Axis, SignalShape
from hf_fourier.errors import InputError
from hf_fourier.models.base import Task, check_numbers
from hf_fourier.models.inputs.tensors import check_dense
from hf_fourier.models.inspection import labels_of
from hf_fourier.models.vision import VisionWrapper
from hf_fourier.results.views import VolumeView
from hf_fourier.scoring.example_batch import EncodedExample
from hf_fourier.scoring.heads import Head
from hf_fourier.scoring.heads.segmentation import Mask
from hf_fourier.typing import Tensor


class SegmentationWrapper(VisionWrapper):
    """The signal is `pixel_values`: `(channels, height, width)`, of volumes `(channels, depth, height, width)`."""

    tasks: ClassVar[Mapping[str, Task]] = {
        "image-segmentation": Task(
            "AutoModelForSemanticSegmentation",
            "MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING_NAMES",
            ("ForSemanticSegmentation",),
            "AutoImageProcessor",
        )
    }

    signal_kinds: ClassVar[tuple[str, ...]] = ("pixels", "volume")

    def head(self) -> Head:
        """A mask over the config's classes; a lone one is what a sigmoid finds, beside what it is not."""
        labels = labels_of(self.config)
        if len(labels) == 1:
            (name,) = labels.values()
            labels = {0: f"not {name}", 1: name}
        return Mask(labels)

    def encode(self, example: Any) -> EncodedExample:
        """A picture as for classifiers, or a volume: an array `(depth, height, width)` or with channels before it.

        A volume without a processor is taken in the model's own units.
        """
        volume = isinstance(example, (np.ndarray, Tensor)) and example.ndim in (3, 4) and self._reads_volumes(example)
        if not volume:
            return super().encode(example)
        voxels, kind = _voxels(example), str(example.dtype).removeprefix("torch.")
        if self.processor is None:
            encoded = self.encode_batch({self.main_input: voxels.unsqueeze(0)})[0]
            encoded.notes = (*encoded.notes, "no processor: the volume was taken in the model's own units")
        else:
            batch = self.processor(images=voxels.numpy(), return_tensors="pt")
            encoded = self.encode_batch({self.main_input: batch[self.main_input]})[0]
        encoded.range = f"{kind} voxels, as they are"
        return encoded

    def encode_batch(self, batch: Mapping[str, Any]) -> list[EncodedExample]:
        """Rows of `pixel_values`, four dimensions for pictures, five for volumes."""
        given: Any = batch.get(self.main_input)
        if not isinstance(given, (np.ndarray, Tensor)) or (given.ndim != 5 and not self._volumes_alone):
            return super().encode_batch(batch)
        tensors = self.checked_batch(batch, dimensions=5)
        volumes = tensors.pop(self.main_input).cpu()
        channels = getattr(self.config, "num_channels", volumes.shape[1])
        if volumes.shape[1] != channels:
            got, expected = f"volumes of shape {tuple(volumes.shape)}", f"(batch, {channels}, depth, height, width)"
            raise InputError(got, expected, "put the channels after the batch")
        check_numbers("voxels", volumes, "convert them, as by x.float()", "repair the volume")
        view = VolumeView()
        return [
            EncodedExample(
                _shape(row), {name: tensor[i].cpu() for name, tensor in tensors.items()}, values=row, view=view
            )
            for i, row in enumerate(volumes)
        ]

    def _reads_volumes(self, example: Any) -> bool:
        """Whether an array is a volume: it has four dimensions, or three for a model with 3-D convolutions."""
        return example.ndim == 4 or torch.nn.Conv3d in self._convolutions

    @property
    def _volumes_alone(self) -> bool:
        """Whether the model has 3-D convolutions and no others: they take a volume without its batch for a batch."""
        return torch.nn.Conv3d in self._convolutions and torch.nn.Conv2d not in self._convolutions

    @cached_property
    def _convolutions(self) -> set[type]:
        return {type(module) for module in self.model.modules()} & {torch.nn.Conv2d, torch.nn.Conv3d}


def _voxels(example: Any) -> Tensor:
    """A volume with its channels before it, float32 (float64 stays), whatever its bytes' order and its strides."""
    check_dense("a volume", example)
    array = example.detach().cpu() if isinstance(example, Tensor) else example
    array = np.asarray(array.float() if isinstance(array, Tensor) and array.dtype == torch.bfloat16 else array)
    if array.dtype.kind not in "biuf":
        raise InputError(f"voxels of {array.dtype}", "real numbers", "convert them")
    wide = np.float64 if array.dtype.kind == "f" and array.dtype.itemsize == 8 else np.float32
    voxels = torch.from_numpy(np.array(array, dtype=wide, order="C"))
    return voxels if voxels.ndim == 4 else voxels.unsqueeze(0)


def _shape(row: Tensor) -> SignalShape:
    names: Sequence[str] = ("depth", "height", "width")
    sizes = zip(names, row.shape[1:], strict=True)
    spatial = tuple(Axis(name, size, "cycles/voxel") for name, size in sizes)
    return SignalShape("volume", (Axis("channel", row.shape[0], channel=True), *spatial))
