"""Image classifiers: FFC at the pixel values, two-dimensional per channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from hf_fourier.adapters.base import Adapter, Block, Encoded, Task, classification_head, dtype_of
from hf_fourier.domains import Axis, LeafShape
from hf_fourier.errors import InputError, MissingExtraError
from hf_fourier.seeding import Draw
from hf_fourier.targets import Head, logits_of
from hf_fourier.typing import Tensor
from hf_fourier.views import ImageView, NoView, View


class VisionAdapter(Adapter):
    """The leaf is `pixel_values`, `(channels, height, width)`, as the model gets it."""

    tasks: ClassVar[Mapping[str, Task]] = {
        "image-classification": Task(
            "AutoModelForImageClassification",
            "MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES",
            ("ForImageClassification",),
            "AutoImageProcessor",
        )
    }
    leaf_kind: ClassVar[str] = "pixels"
    main_input: ClassVar[str] = "pixel_values"

    def encode(self, example: Any) -> Encoded:
        """One picture: a path, a `PIL.Image`, or an array `(height, width[, channels])` or `(channels, height, width)`.

        Arrays are 8-bit, or real numbers from 0 to 1, or from 0 to 255.
        """
        if self.processor is None:
            raise self.no_processor(example)
        array = as_rgb(example)
        batch = self.processor(images=array, return_tensors="pt")
        encoded = self.encode_batch({"pixel_values": batch["pixel_values"]})[0]
        encoded.view = self._view()
        return encoded

    def encode_batch(self, batch: Mapping[str, Any]) -> list[Encoded]:
        """Rows of `pixel_values`, shape `(batch, channels, height, width)`."""
        tensors = self.rows_of(batch, dimensions=4)
        pixels = tensors.pop("pixel_values")
        if not pixels.is_floating_point():
            raise InputError(f"pixel_values of {pixels.dtype}", "real numbers", "pass the image processor's own output")
        channels = getattr(self.config, "num_channels", pixels.shape[1])
        if pixels.shape[1] != channels:
            raise InputError(
                f"pixel_values of shape {tuple(pixels.shape)}",
                f"(batch, {channels}, height, width)",
                "pass the image processor's own output",
            )
        if not bool(pixels.isfinite().all()):
            raise InputError("pixel values that are NaN or infinite", "finite numbers", "mend the picture")
        view = self._view()
        examples = []
        for i, row in enumerate(pixels):
            others = {name: tensor[i] for name, tensor in tensors.items()}
            examples.append(Encoded(_shape(row), others, values=row, view=view))
        return examples

    def block(self, examples: Sequence[Encoded], draw: Draw) -> Block:
        """Pictures of one size."""
        return VisionBlock(self, examples)

    def head(self) -> Head:
        """The classifier's head."""
        return classification_head(self.config)

    def _view(self) -> View:
        """How to undo the processor's normalisation."""
        if self.processor is None:
            return NoView("no image processor says how pixels were normalised", "pass the image processor, or use keep()")
        mean, std = getattr(self.processor, "image_mean", None), getattr(self.processor, "image_std", None)
        if not getattr(self.processor, "do_normalize", True) or mean is None or std is None:
            return ImageView((0.0,), (1.0,))
        return ImageView(tuple(_several(mean)), tuple(_several(std)))


class VisionBlock(Block):
    """Pictures of one size on the model's device."""

    def __init__(self, adapter: VisionAdapter, examples: Sequence[Encoded]) -> None:
        self.model, self.dtype, self.head = adapter.model, dtype_of(adapter.model), adapter.head()
        device = adapter.device
        stacked = torch.stack([e.values for e in examples if e.values is not None]).to(device)
        self.x = stacked if stacked.dtype == torch.float64 else stacked.float()
        names = examples[0].inputs
        self.others = {name: torch.stack([e.inputs[name] for e in examples]).to(device) for name in names}

    def forward(self, x: Tensor, rows: Tensor) -> Any:
        """The model's outputs at pixel rows."""
        others = {name: tensor[rows] for name, tensor in self.others.items()}
        return self.model(pixel_values=x.to(self.dtype), **others)

    def select(self, outputs: Any, rows: Tensor) -> Tensor:
        """The class logits, `(rows, classes)`."""
        return logits_of(outputs)


def as_rgb(example: Any) -> np.ndarray:
    """A picture as 8-bit RGB, `(height, width, 3)`.

    Args:
        example: A path, a `PIL.Image` of any mode, or an array or tensor: `(height, width)`, channels last or first,
            1, 3 or 4 of them, 8-bit or real from 0 to 1 or from 0 to 255.

    Raises:
        InputError: If it is none of these, or has NaN in it.
    """
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise MissingExtraError("PIL", "vision", "pictures") from error
    if isinstance(example, (str, PathLike)):
        path = Path(example)
        if not path.is_file():
            raise InputError(f"path {str(example)!r}", "an image file that exists", "correct the path")
        try:
            with Image.open(path) as opened:
                return as_rgb(opened)
        except UnidentifiedImageError as error:
            raise InputError(f"{path.name!r}", "a picture in a format that Pillow reads", "convert it") from error
    if isinstance(example, Image.Image):
        return _flattened(example)
    if isinstance(example, Tensor):
        example = example.detach().cpu().numpy() if example.dtype != torch.bfloat16 else example.float().cpu().numpy()
    if not isinstance(example, np.ndarray):
        got = f"an example of type {type(example).__name__}"
        raise InputError(got, "a path, a PIL image, an array or a tensor", "pass one picture, or a list of them")
    return _flattened(Image.fromarray(_eight_bit(_channels_last(example))))


def _flattened(image: Any) -> np.ndarray:
    """Any PIL mode as RGB; transparency is laid on white."""
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        image = Image.fromarray(_eight_bit(np.asarray(image)))
    if "A" in image.getbands() or "transparency" in image.info:
        ground = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(ground, image.convert("RGBA"))
    return np.asarray(image.convert("RGB"))


def _channels_last(array: np.ndarray) -> np.ndarray:
    if array.ndim == 2 and array.size:
        return array
    if array.ndim == 3 and array.size and array.shape[-1] in (1, 3, 4):
        return array[..., 0] if array.shape[-1] == 1 else array
    if array.ndim == 3 and array.size and array.shape[0] in (1, 3, 4):
        return array[0] if array.shape[0] == 1 else np.moveaxis(array, 0, -1)
    raise InputError(
        f"an array of shape {array.shape}",
        "(height, width), (height, width, 1|3|4) or (1|3|4, height, width)",
        "pass one picture; several go in a list",
    )


def _eight_bit(array: np.ndarray) -> np.ndarray:
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * 255
    if not np.isfinite(array).all():
        raise InputError("a picture with NaN or infinite pixels", "finite numbers", "mend the picture")
    low, high = float(array.min()), float(array.max())
    if np.issubdtype(array.dtype, np.integer):
        scale = 1.0 if high <= 255 else 255 / 65535
        limit = 65535.0
    else:
        scale, limit = (255.0, 1.0) if high <= 1 else (1.0, 255.0)
    if low < 0 or high > limit:
        raise InputError(
            f"pixels from {low:g} to {high:g}",
            "0 to 255, 0 to 1, or 16-bit whole numbers",
            "pass what is normalised already as {'pixel_values': tensor}",
        )
    return np.ascontiguousarray(np.rint(array * scale).astype(np.uint8))


def _several(value: Any) -> list[float]:
    return [float(v) for v in value] if isinstance(value, Sequence) else [float(value)]


def _shape(row: Tensor) -> LeafShape:
    channels, height, width = row.shape
    return LeafShape(
        "pixels",
        (
            Axis("channel", channels, channel=True),
            Axis("height", height, "cycles/pixel"),
            Axis("width", width, "cycles/pixel"),
        ),
    )
