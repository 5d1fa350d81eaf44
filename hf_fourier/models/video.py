"""Video classifiers: FFC at the pixels of all frames, three-dimensional per channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, ClassVar

import numpy as np

from hf_fourier.domains import Axis, SignalShape
from hf_fourier.errors import InputError
from hf_fourier.models.base import Task, check_numbers
from hf_fourier.models.inputs.images import as_rgb, range_notes
from hf_fourier.models.vision import VisionWrapper
from hf_fourier.results.views import NoView
from hf_fourier.scoring.example_batch import EncodedExample
from hf_fourier.typing import Tensor


class VideoWrapper(VisionWrapper):
    """The signal is `pixel_values`, `(frames, channels, height, width)`."""

    tasks: ClassVar[Mapping[str, Task]] = {
        "video-classification": Task(
            "AutoModelForVideoClassification",
            "MODEL_FOR_VIDEO_CLASSIFICATION_MAPPING_NAMES",
            ("ForVideoClassification",),
            "AutoImageProcessor",
        )
    }
    signal_kinds: ClassVar[tuple[str, ...]] = ("video",)

    @property
    def main_input(self) -> str:  # type: ignore[override]
        """The name of the argument that takes the frames."""
        return "pixel_values_videos" if self.accepts("pixel_values_videos") else "pixel_values"

    def encode(self, example: Any) -> EncodedExample:
        """A tuple of pictures, each as for image classifiers, or one array with the frames first."""
        if self.processor is None:
            raise self.missing_processor_error(example)
        read = [as_rgb(frame) for frame in self._frames(example)]
        frames = [rgb for rgb, _ in read]
        try:
            batch = self.processor(frames, return_tensors="pt")
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            said = f"{type(error).__name__}: {error}".strip().splitlines()[0]
            got = f"{len(frames)} frames, which {type(self.processor).__name__} refuses ({said})"
            raise InputError(got, "frames of one size", "check the processor, or pass its output as a dict") from error
        encoded, ranges = self.encode_batch({self.main_input: batch[self.main_input]})[0], [taken for _, taken in read]
        encoded.range, encoded.notes = str(ranges[0]), (*encoded.notes, *range_notes(ranges))
        return encoded

    def _frames(self, example: Any) -> Any:
        """The frames one by one, of a decoder all that there are."""
        expected = "a tuple of pictures or an array, frames first"
        if hasattr(example, "get_frames_at"):  # of torchcodec, as `datasets` gives it
            own = getattr(self.config, "num_frames", None)
            if own is not None and len(example) != own:
                step = max(1, len(example) // own)
                do = f"choose them: decoder.get_frames_at(list(range(0, {len(example)}, {step}))[:{own}]).data"
                raise InputError(f"a video of {len(example)} frames", f"{own}, as the model was trained on", do)
            return example.get_frames_at(list(range(len(example)))).data
        if isinstance(example, (str, bytes, PathLike, Mapping)):
            got, do = f"an example of type {type(example).__name__}", "decode it with torchcodec or PyAV"
            raise InputError(got, expected, f"{do}, and pass the frames as one uint8 array")
        if not isinstance(example, (Sequence, np.ndarray, Tensor)) or len(example) == 0:
            got = f"an example of type {type(example).__name__}"
            raise InputError(got, expected, "several videos go in a list")
        return example

    def encode_batch(self, batch: Mapping[str, Any]) -> list[EncodedExample]:
        """Rows of `pixel_values`, shape `(batch, frames, channels, height, width)`."""
        tensors = self.checked_batch(batch, dimensions=5)
        pixels = tensors.pop(self.main_input).cpu()
        check_numbers("pixel_values", pixels, "pass the processor's own output", "repair the video")
        view = NoView("a video is not a picture", "use keep(), or call input_relevance()")
        return [
            EncodedExample(
                _shape(row), {name: tensor[i].cpu() for name, tensor in tensors.items()}, values=row, view=view
            )
            for i, row in enumerate(pixels)
        ]


def _shape(row: Tensor) -> SignalShape:
    frames, channels, height, width = row.shape
    sides = (Axis("height", height, "cycles/pixel"), Axis("width", width, "cycles/pixel"))
    return SignalShape("video", (Axis("time", frames, "cycles/frame"), Axis("channel", channels, channel=True), *sides))
