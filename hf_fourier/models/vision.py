"""Models that see a picture: FFC at the pixel values, two-dimensional per channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any, ClassVar

import numpy as np
import torch
from torch.nn.functional import interpolate

from hf_fourier.domains import Axis, SignalShape
from hf_fourier.errors import InputError
from hf_fourier.models.base import ModelWrapper, Task, check_numbers
from hf_fourier.models.inputs.images import as_rgb, range_notes
from hf_fourier.models.inspection import classification_head, dtype_of, is_convolutional, labels_of
from hf_fourier.models.padding import PIXEL_MASK, in_pixels
from hf_fourier.results.views import ImageView, NoView, View
from hf_fourier.scoring.example_batch import EncodedExample, ExampleBatch
from hf_fourier.scoring.heads import (
    Head,
    Regression,
    Similarity,
    by_class,
    logits_of,
    misnamed,
    part_of,
    with_named_parts,
)
from hf_fourier.scoring.heads.detection import Detections, boxes_of
from hf_fourier.scoring.pending import to_device
from hf_fourier.scoring.references import Reference, blurred, border, mean
from hf_fourier.seeding import ExampleRng
from hf_fourier.typing import Tensor


class VisionWrapper(ModelWrapper):
    """The signal is `pixel_values`, `(channels, height, width)`, as the model gets it."""

    tasks: ClassVar[Mapping[str, Task]] = {
        "image-classification": Task(
            "AutoModelForImageClassification",
            "MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES",
            ("ForImageClassification",),
            "AutoImageProcessor",
        ),
        "depth-estimation": Task(
            "AutoModelForDepthEstimation",
            "MODEL_FOR_DEPTH_ESTIMATION_MAPPING_NAMES",
            ("ForDepthEstimation",),
            "AutoImageProcessor",
        ),
        "object-detection": Task(
            "AutoModelForObjectDetection",
            "MODEL_FOR_OBJECT_DETECTION_MAPPING_NAMES",
            ("ForObjectDetection",),
            "AutoImageProcessor",
        ),
        "universal-segmentation": Task(
            "AutoModelForUniversalSegmentation",
            "MODEL_FOR_UNIVERSAL_SEGMENTATION_MAPPING_NAMES",
            ("ForUniversalSegmentation", "ForInstanceSegmentation"),
            "AutoImageProcessor",
        ),
        # Only on request, as with texts.
        "image-feature-extraction": Task("AutoModel", "", (), "AutoImageProcessor"),
    }
    signal_kinds: ClassVar[tuple[str, ...]] = ("pixels",)
    main_input: ClassVar[str] = "pixel_values"
    #: None until it is tried.
    takes_channels_last: bool | None = None

    def layout(self, pixels: Tensor) -> torch.memory_format:
        """How pictures go to the model: with the channels last in memory, where that is faster and the model takes it.

        Convolutions on a CPU are a fifth faster so. Code that counts on the usual layout (`view`) is found out by a
        forward and a backward pass of a corner of one picture, once for each model.

        Args:
            pixels: A batch, `(rows, channels, height, width)` or of other dimensions.
        """
        if pixels.ndim != 4 or pixels.device.type != "cpu":
            return torch.contiguous_format
        return torch.channels_last if self._tried(pixels[:1, :, :CORNER, :CORNER]) else torch.contiguous_format

    def _tried(self, pixels: Tensor) -> bool:
        """Whether the model takes pictures with their channels last; asked once."""
        if self.takes_channels_last is None:
            self.takes_channels_last = is_convolutional(self.model) and self._takes(pixels)
        return self.takes_channels_last

    def _takes(self, pixels: Tensor) -> bool:
        with torch.inference_mode(False), torch.enable_grad():
            signal = pixels.to(dtype_of(self.model), copy=True, memory_format=torch.channels_last).requires_grad_(True)
            try:
                answer = self.read(self.call_model(**{self.main_input: signal.clone()}))  # a copy, as in `VisionBatch`
                torch.autograd.grad(answer.sum(), signal)
            except Exception:  # for whatever reason, the usual layout is always right
                return False
        return True

    def encode(self, example: Any) -> EncodedExample:
        """One picture: a path, a `PIL.Image`, or an array `(height, width[, channels])` or `(channels, height, width)`.

        Arrays are of `uint8` (0 to 255), `uint16` (0 to 65535), `bool`, `int64` (0 to 255) or real from 0 to 1: white
        follows from the type, and is said where it is not 8 bits. What is encoded (`bytes`) is decoded.
        """
        if self.processor is None:
            raise self.missing_processor_error(example)
        rgb, taken = as_rgb(example)
        encoded = self.encode_batch(self._batch_of(rgb))[0]
        encoded.range, encoded.notes = str(taken), (*encoded.notes, *range_notes([taken]))
        return encoded

    def encode_together(self, examples: Sequence[Any]) -> list[EncodedExample] | None:
        """Pictures of one size in one call of the processor, if that gives what it makes of the first and the last."""
        if self.processor is None or len(examples) < FEWEST or type(self).encode is not VisionWrapper.encode:
            return None
        pictures, ranges = zip(*map(as_rgb, examples), strict=True)
        if len({picture.shape for picture in pictures}) > 1:
            return None
        batch = self._batch_of(*pictures)
        pixels = batch["pixel_values"]
        alone = [self._processed(pictures[0]), self._processed(pictures[-1])]
        ends = [pixels[:1], pixels[-1:]]
        if len(pixels) != len(pictures) or not all(map(torch.equal, ends, alone)):
            return None
        encoded = self.encode_batch(batch)
        for example, taken in zip(encoded, ranges, strict=True):
            example.range, example.notes = str(taken), (*example.notes, *range_notes([taken]))
        return encoded

    def encode_batch(self, batch: Mapping[str, Any]) -> list[EncodedExample]:
        """Rows of `pixel_values`, shape `(batch, channels, height, width)`."""
        tensors = self.checked_batch(batch, dimensions=4)
        pixels = tensors.pop("pixel_values")
        channels = getattr(self.config, "num_channels", pixels.shape[1])
        if pixels.shape[1] != channels:
            raise InputError(
                f"pixel_values of shape {tuple(pixels.shape)}",
                f"(batch, {channels}, height, width)",
                "pass the image processor's own output",
            )
        check_numbers("pixel_values", pixels, "pass the image processor's own output", "repair the picture")
        examples = []
        for i, row in enumerate(pixels.cpu()):
            others = {name: tensor[i].cpu() for name, tensor in tensors.items()}
            examples.append(EncodedExample(_shape(*row.shape), others, values=row, view=self._view))
        return examples

    def encode_signal(self, signal: Tensor, view: View) -> EncodedExample:
        """Another model's pixels: its normalisation undone and ours done, in real numbers all the way.

        Where our processor makes pictures of another size they are resized to it whole (bilinear, antialiased).
        """
        if not (isinstance(view, ImageView) and self.processor is not None and isinstance(self._view, ImageView)):
            return super().encode_signal(signal, view)
        pixels = view.pixels(signal)
        height, width = pixels.shape[1:]
        size = self._processed(np.zeros((height, width, 3), np.uint8)).shape[-2:]
        if size != (height, width):
            pixels = interpolate(pixels[None], size, mode="bilinear", antialias=True)[0]
        return self.encode_batch({"pixel_values": self._view.signal(pixels)[None]})[0]

    def without_padding(self, example: EncodedExample) -> EncodedExample | None:
        """The picture without what its `pixel_mask` leaves out at the sides."""
        return in_pixels(example)

    def example_batch(self, examples: Sequence[EncodedExample], rng: ExampleRng) -> ExampleBatch:
        """Pictures of one size."""
        return VisionBatch(self, examples)

    def head(self) -> Head:
        """What reads the model's outputs, by its task."""
        match self.task:
            case "depth-estimation":
                return Regression()
            case "object-detection" | "universal-segmentation":
                labels = labels_of(self.config)
                return Detections(labels, 1 + max(labels, default=-1), self.task == "object-detection")
            case "image-feature-extraction":
                return Similarity()
        return classification_head(self.config)

    def read(self, outputs: Any) -> Tensor:
        """What the head reads of the model's outputs, a row per picture.

        Raises:
            ModelError: If they are not those of such a head.
        """
        match self.task:
            case "depth-estimation":
                return part_of(outputs, "predicted_depth")
            case "object-detection":
                boxes = boxes_of(part_of(outputs, "pred_boxes").float())
                return torch.cat([part_of(outputs, "logits").float(), boxes], dim=-1)
            case "universal-segmentation":
                logits = part_of(outputs, "class_queries_logits", "logits")
                masks = part_of(outputs, "masks_queries_logits", "pred_masks")
                classes = 1 + max(labels_of(self.config), default=-1)
                if classes and logits.shape[-1] != classes + 1:  # a class for "nothing" comes last
                    raise misnamed(f"{classes} classes", logits.shape[-1] - 1)
                return torch.cat([logits.float(), masks.flatten(2).float()], -1)
            case "image-feature-extraction":
                pooled = part_of(outputs, "pooler_output", "last_hidden_state")
                states = getattr(with_named_parts(outputs), "last_hidden_state", None)
                over = 1 if pooled.ndim == 3 else (2, 3)  # tokens, or places of maps with the channels first
                return (pooled.mean(over) if pooled is states and pooled.ndim > 2 else pooled).flatten(1)
            case "image-segmentation":
                return logits_of(outputs)
        states = getattr(with_named_parts(outputs), "last_hidden_state", None)
        if (
            getattr(with_named_parts(outputs), "logits", None) is None
            and isinstance(states, Tensor)
            and states.ndim == 2
        ):
            return states  # PP-LCNet's name for its logits
        return by_class(logits_of(outputs))

    def _processed(self, *arrays: np.ndarray) -> Tensor:
        """The pixels that the processor makes of 8-bit RGB pictures of one size, `(pictures, channels, …)`."""
        return self._batch_of(*arrays)["pixel_values"]

    def _batch_of(self, *arrays: np.ndarray) -> dict[str, Tensor]:
        """What the processor makes of 8-bit RGB pictures of one size: pixels, and a mask where it pads them."""
        from PIL import Image

        # As a PIL image: of an array one or three pixels high the processor guesses the channels' place, and in
        # transformers 5.0 of such an image too.
        height, width = arrays[0].shape[:2]
        place = {"input_data_format": "channels_last"} if min(height, width) in (1, 3) else {}
        images = [Image.fromarray(array) for array in arrays]
        try:
            given = images if len(images) > 1 else images[0]
            made = self.processor(images=given, return_tensors="pt", **place)
            pixels: Tensor = made["pixel_values"]
            batch = {"pixel_values": pixels if pixels.is_floating_point() else pixels.float()}
            mask = made[PIXEL_MASK] if PIXEL_MASK in made and self.accepts(PIXEL_MASK) else None
            return batch if mask is None or bool((mask != 0).all()) else {**batch, PIXEL_MASK: mask}
        except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RuntimeError) as error:
            reason = f"{type(error).__name__}: {error}".strip().splitlines()[0]
            raise InputError(
                f"a picture of {width} × {height} pixels, which {type(self.processor).__name__} refuses ({reason})",
                "a picture that the model's own image processor takes",
                "check the processor, or pass {'pixel_values': tensor}",
            ) from error

    @cached_property
    def _view(self) -> View:
        """How to undo what the processor does to colours, read off what it makes of plain ones."""
        if self.processor is None:
            return NoView(
                "no image processor says how pixels were normalised", "pass the image processor, or use keep()"
            )
        strange = NoView("the image processor does more than scale colours", "use keep()")
        try:
            black, red, green, blue, grey = (self._of_colour(colour) for colour in _COLOURS)
        except InputError:
            return strange
        gain = torch.stack([red - black, green - black, blue - black])  # (colour, channel)
        order = gain.abs().argmax(1)
        if gain.shape != (3, 3) or order.unique().numel() < 3:
            return strange
        own = gain.gather(1, order.unsqueeze(1)).squeeze(1)
        expected = black + gain.sum(0) * 128 / 255
        tolerance = 0.01 * own.abs().max()  # a grey level is 0.004, and resizing may round
        if not bool(
            ((gain.abs().sum(1) - own.abs()) < tolerance).all() and ((grey - expected).abs() < tolerance).all()
        ):
            return strange
        std = torch.empty(3, dtype=torch.float32).index_copy(0, order, 1 / own)
        mean = -black * std
        natural = order.tolist() == [0, 1, 2]
        return ImageView(tuple(mean.tolist()), tuple(std.tolist()), () if natural else tuple(order.tolist()))

    def _of_colour(self, colour: tuple[int, int, int]) -> Tensor:
        """What the processor makes of the middle of a picture of one colour, by channel."""
        pixels = self._processed(np.full((64, 64, 3), colour, dtype=np.uint8))
        if pixels.ndim != 4:
            raise InputError(f"pixel_values of shape {tuple(pixels.shape)}", "four dimensions", "use another processor")
        return pixels[0, :, pixels.shape[2] // 2, pixels.shape[3] // 2].float()


#: Pictures for which one call of the processor, checked by two, takes less time than a call for each.
FEWEST = 4
#: Pixels along each side of what a layout is tried on.
CORNER = 64
#: Black, red, green, blue and grey.
_COLOURS = ((0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128))


class VisionBatch(ExampleBatch):
    """Pictures of one size on the model's device."""

    def __init__(self, wrapper: VisionWrapper, examples: Sequence[EncodedExample]) -> None:
        self.wrapper, self.dtype, self.head = wrapper, dtype_of(wrapper.model), wrapper.head()
        self.model = wrapper.model
        device = wrapper.device
        self.place(torch.stack([e.values for e in examples if e.values is not None]), device)
        self.shape, names = examples[0].signal, examples[0].inputs
        self.others = {name: to_device(torch.stack([e.inputs[name] for e in examples]), device) for name in names}
        self.bounds = examples[0].view.bounds
        self.layout = wrapper.layout(self.signal)

    @property
    def references(self) -> Sequence[Reference]:
        """A picture in one colour, and blurred; each channel's mean of a video; of a volume its background."""
        if self.shape.kind == "volume":
            return (border(self.signal, self.shape, "the background (the median of the outermost voxels)"),)
        average = mean(self.signal, self.shape, "each channel's mean")
        return (average, blurred(self.signal, "the blurred picture")) if self.shape.kind == "pixels" else (average,)

    def forward(self, x: Tensor, rows: Tensor) -> Any:
        """The model's outputs at pixel rows."""
        return self._run(x, {name: tensor[rows] for name, tensor in self.others.items()})

    def _run(self, x: Tensor, others: Mapping[str, Any]) -> Any:
        """The model's outputs, from pixels that lie in memory as it reads them fastest."""
        if self.layout is torch.channels_last:
            pixels = x.to(self.dtype, copy=True, memory_format=torch.channels_last)
        else:
            pixels = x.to(self.dtype, copy=True)  # which a model may work on in place
        outputs = self.wrapper.call_model(**{self.wrapper.main_input: pixels}, **others)
        return outputs if self.layout is torch.contiguous_format else _usual(outputs)

    def logits(self, outputs: Any, rows: Tensor) -> Tensor:
        """What the head reads, such as class logits, `(rows, classes)`."""
        return self.wrapper.read(outputs)


def _usual(outputs: Any) -> Any:
    """Outputs whose maps lie in memory as a callable of the user's expects them."""
    if isinstance(outputs, Tensor):
        return outputs.contiguous()
    if isinstance(outputs, dict):  # as all of transformers' are
        for name, value in outputs.items():
            if isinstance(value, Tensor) and not value.is_contiguous():
                outputs[name] = value.contiguous()
    return outputs


@lru_cache(maxsize=256)  # the same object for all pictures of a size: examples are grouped by it
def _shape(channels: int, height: int, width: int) -> SignalShape:
    return SignalShape(
        "pixels",
        (
            Axis("channel", channels, channel=True),
            Axis("height", height, "cycles/pixel"),
            Axis("width", width, "cycles/pixel"),
        ),
    )
