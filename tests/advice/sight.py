"""Advice about pictures, videos, volumes and series, and the models that see them."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from hf_fourier import FourierExplainer
from hf_fourier.scoring.targets import Region
from tests.advice.case import Case, reader, seer
from tests.models import test_segmentation, test_time_series, tiny_models, tiny_models_vision, tiny_tokenizers

PICTURE = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(1))
PIXELS = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(2))
FRAMES = (torch.rand(4, 32, 32, 3, generator=torch.Generator().manual_seed(3)) * 255).to(torch.uint8)


def _array(kind: str = "float32") -> np.ndarray:
    return PICTURE.movedim(0, -1).numpy().astype(kind)


def picture(name: str = "cup.png") -> Path:
    """A picture in a folder of its own."""
    path = Path(tempfile.mkdtemp()) / name
    Image.fromarray((_array() * 255).astype(np.uint8)).save(path)
    return path


def _seen(example: Any, target: Any = None) -> Any:
    return seer().explain(example, target)


def _pixels(pixels: Any, **others: Any) -> Any:
    return _seen({"pixel_values": pixels, **others})


@cache
def videos() -> FourierExplainer:
    from transformers import VideoMAEImageProcessor

    model = tiny_models_vision.build("video-classification", "videomae")
    processor = VideoMAEImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    return FourierExplainer(model, processor)


class _Decoder:
    """A video as `datasets` gives it, of torchcodec."""

    def __init__(self, frames: int) -> None:
        self.frames = torch.zeros(frames, 3, 32, 32, dtype=torch.uint8) + FRAMES[:1].movedim(-1, 1)

    def __len__(self) -> int:
        return len(self.frames)

    def get_frames_at(self, places: list[int]) -> Any:
        """Those frames."""
        from types import SimpleNamespace

        return SimpleNamespace(data=self.frames[places])


def _chosen() -> torch.Tensor:
    decoder = _Decoder(9)
    return decoder.get_frames_at(list(range(0, 9, 2))[:4]).data  # type: ignore[no-any-return]


@cache
def _texts() -> FourierExplainer:
    from types import SimpleNamespace

    from transformers import ViTImageProcessor

    model = tiny_models_vision.build("zero-shot-image-classification", "clip")
    own = SimpleNamespace(
        image_processor=ViTImageProcessor(size={"height": 32, "width": 32}), tokenizer=tiny_tokenizers.tokenizer("gpt")
    )
    return FourierExplainer(model, own)


def _volumes(volumes: torch.Tensor) -> Any:
    return test_segmentation.explainer("two channels").explain({"pixel_values": volumes})


def _region(side: int) -> Any:
    explain, pixels = test_segmentation.explainer("upernet"), zoo_masks_inputs()
    own = explain.predict({"pixel_values": pixels}).logits.shape[-2:]
    classes = torch.zeros(side, side).long() if side else torch.zeros(own).long()
    return explain.explain({"pixel_values": pixels}, Region(classes))


def zoo_masks_inputs() -> torch.Tensor:
    """One picture for a segmentation model."""
    from tests.models.tiny_models_segmentation import inputs

    return inputs("upernet")[:1]


def _series(values: Any, name: str = "PatchTSTForClassification", target: Any = None) -> Any:
    return test_time_series.explainer(name).explain(values, target)


def _missing(mended: bool) -> Any:
    x, mask = test_time_series.series(1), torch.ones(1, 24, 2)
    x[0, 3], mask[0, 3] = (0.0 if mended else torch.nan), 0.0
    return _series({"past_values": x, "past_observed_mask": mask} if mended else x[0])


def _filled(mended: bool) -> Any:
    x = test_time_series.series(1)[0]
    x[3] = (x[2] + x[4]) / 2 if mended else torch.nan
    return _series(x, "PatchTSMixerForTimeSeriesClassification")


def _distribution(target: Any) -> Any:
    import transformers

    _, options = test_time_series.MODELS["PatchTSTForPrediction"]
    config = transformers.PatchTSTConfig(**{**options, "loss": "nll", "distribution_output": "normal"})
    model = transformers.PatchTSTForPrediction(config).eval()
    return FourierExplainer(model).explain({"past_values": test_time_series.series(1)}, target)


def _boxes(target: Any) -> Any:
    """A model whose boxes are three numbers."""
    model: Any = tiny_models_vision.build("object-detection", "yolos")
    boxes = model.bbox_predictor.layers[-1]
    boxes.weight, boxes.bias = torch.nn.Parameter(boxes.weight[:3]), torch.nn.Parameter(boxes.bias[:3])
    return FourierExplainer(model, task="object-detection").explain({"pixel_values": PIXELS}, target)


def _depth(task: str, target: Any = None) -> Any:
    model = tiny_models.build("image-classification", "vit")
    return FourierExplainer(model, task=task).explain({"pixel_values": PIXELS}, target)


class _Odd:
    """A processor that refuses pictures, or makes one row of them."""

    def __init__(self, flat: bool = False) -> None:
        self.flat = flat

    def __call__(self, images: Any, return_tensors: str = "pt") -> Any:
        if not self.flat:
            raise ValueError("no")
        return {"pixel_values": torch.zeros(1, 3 * 32 * 32)}


def _odd(mended: bool, flat: bool = False) -> Any:
    explain = FourierExplainer(seer().model, _Odd(flat))
    return [explain.explain({"pixel_values": PIXELS}), _seen(PICTURE)] if mended else explain.explain(PICTURE)


CASES = [
    Case("pass one picture, or a list of them", lambda: _seen(3), lambda: [_seen(PICTURE), _seen([PICTURE, PICTURE])]),
    Case(
        "pass one picture; several go in a list",
        lambda: _seen(torch.rand(2, 3, 32, 32)),
        lambda: [_seen(PICTURE), _seen(list(torch.rand(2, 3, 32, 32)))],
    ),
    Case("correct the path", lambda: _seen("nowhere.png"), lambda: _seen(str(picture()))),
    Case("download it first, and pass its path", lambda: _seen("https://a.org/cup.png"), lambda: _seen(str(picture()))),
    Case(
        "list its files, as in sorted(pathlib.Path(folder).glob('*.png')), or use explain_dataset",
        lambda: _seen(str(picture().parent)),
        lambda: [
            _seen(sorted(picture().parent.glob("*.png"))),
            seer().explain_dataset(str(picture().parent), tempfile.mkdtemp() + "/run"),
        ],
    ),
    Case("convert it", lambda: _seen(_array("complex64")), lambda: _seen(_array("complex64").real)),
    Case(
        "divide by 255 where that is white (array / 255)",
        lambda: _seen(_array() * 255),
        lambda: _seen(_array() * 255 / 255),
    ),
    Case(
        "pass what is normalised as {'pixel_values': tensor}",
        lambda: _seen(PIXELS[0]),
        lambda: _pixels(PIXELS),
    ),
    Case(
        "pass what is normalised as {'pixel_values': tensor}",
        lambda: _seen((PIXELS[0] * 100).long()),
        lambda: _pixels(PIXELS),
    ),
    Case(
        "pass array.astype(np.uint16) where 65535 is white, or array / white",
        lambda: _seen((_array() * 65535).astype(np.int64)),
        lambda: [_seen((_array() * 65535).astype(np.int64).astype(np.uint16)), _seen((_array() * 4095) / 4095)],
    ),
    Case(
        "pass array.astype(np.uint8) where 255 is white, array / white where it is another number",
        lambda: _seen((_array() * 255).astype(np.uint32)),
        lambda: [_seen((_array() * 255).astype(np.uint32).astype(np.uint8)), _seen((_array() * 4095) / 4095)],
    ),
    Case(
        "pass (array - black) / (white - black), with what stands for black and for white",
        lambda: _seen((PIXELS[0] * 100).to(torch.int16)),
        lambda: _seen(((PIXELS[0] * 100).to(torch.int16) + 1000) / (1000 + 1000)),
    ),
    Case(
        "pass np.asarray(picture).astype(np.uint8) where 255 is white, np.asarray(picture) / white where it is another "
        "number",
        lambda: _seen(_grey()),
        lambda: [_seen(np.asarray(_grey()).astype(np.uint8)), _seen(np.asarray(_grey()) / 4095)],
    ),
    Case(
        "pass the image processor's own output",
        lambda: _pixels((PIXELS * 9).int()),
        lambda: _seen(seer().processor(picture_of(), return_tensors="pt")),
    ),
    Case(
        "pass the image processor's own output",
        lambda: _pixels(torch.rand(1, 1, 32, 32)),
        lambda: _seen(seer().processor(picture_of(), return_tensors="pt")),
    ),
    Case(
        "check the processor, or pass {'pixel_values': tensor}",
        lambda: _odd(mended=False),
        lambda: _odd(mended=True),
    ),
    Case(
        "pass the processor's own output (return_tensors='pt')",
        lambda: _odd(mended=False, flat=True),
        lambda: _odd(mended=True, flat=True),
    ),
    Case(
        "choose a task that it has a head for, or explain what there is, as by target=lambda out: out['logits'][:, 0]",
        lambda: _depth("depth-estimation"),
        lambda: [_depth("depth-estimation", lambda out: out["logits"][:, 0]), _depth("image-classification")],
    ),
    Case(
        "pass a callable target",
        lambda: _boxes(None),
        lambda: _boxes(lambda outputs: outputs.logits[:, 0, 0]),
    ),
    Case(
        "pass (picture, ['…', '…'])",
        lambda: _texts().explain(PICTURE),
        lambda: _texts().explain((PICTURE, ["w7 w8", "w9 w10"])),
    ),
    Case(
        "pass the processor's own output",
        lambda: _texts().explain({"pixel_values": PIXELS}),
        lambda: _texts().explain({"pixel_values": PIXELS, **zoo_sight_texts()}),
    ),
    Case(
        "decode it with torchcodec or PyAV, and pass the frames as one uint8 array",
        lambda: videos().explain("cup.mp4"),
        lambda: videos().explain(FRAMES),
    ),
    Case(
        "choose them: decoder.get_frames_at(list(range(0, 9, 2))[:4]).data",
        lambda: videos().explain(_Decoder(9)),
        lambda: videos().explain(_chosen()),
    ),
    Case("several videos go in a list", lambda: videos().explain(3), lambda: videos().explain([FRAMES, FRAMES])),
    Case(
        "check the processor, or pass its output as a dict",
        lambda: FourierExplainer(videos().model, _Odd()).explain(FRAMES),
        lambda: videos().explain({"pixel_values": torch.randn(1, 4, 3, 32, 32)}),
    ),
    Case(
        "pass the processor's own output",
        lambda: videos().explain({"pixel_values": FRAMES.movedim(-1, 1)[None]}),
        lambda: videos().explain(videos().processor(list(FRAMES.numpy()), return_tensors="pt")),
    ),
    Case(
        "put the channels after the batch",
        lambda: _volumes(torch.rand(1, 5, 6, 7, 2)),
        lambda: _volumes(torch.rand(1, 5, 6, 7, 2).movedim(-1, 1)),
    ),
    Case(
        "convert them",
        lambda: test_segmentation.explainer("one logit").explain(np.zeros((5, 6, 7), complex)),
        lambda: test_segmentation.explainer("one logit").explain(np.ones((5, 6, 7), complex).real),
    ),
    Case(
        "convert them, as by x.float()",
        lambda: _volumes(torch.ones(1, 2, 5, 6, 7).int()),
        lambda: _volumes(torch.ones(1, 2, 5, 6, 7).int().float()),
    ),
    Case("resize it to the model's own mask", lambda: _region(3), lambda: _region(0)),
    Case(
        "pass one series; several go in a list",
        lambda: _series(test_time_series.series(2)),
        lambda: [_series(test_time_series.series(1)[0]), _series(list(test_time_series.series(2)))],
    ),
    Case(
        "convert it",
        lambda: _series(np.array([["1", "2"]] * 24)),
        lambda: _series(np.array([["1", "2"]] * 24).astype(float)),
    ),
    Case(
        "convert them, as by x.float()",
        lambda: _series({"past_values": test_time_series.series(1).int()}),
        lambda: _series({"past_values": test_time_series.series(1).int().float()}),
    ),
    Case(
        "pass {'past_values': x, 'past_observed_mask': mask}, both 0 where a number is missing",
        lambda: _missing(mended=False),
        lambda: _missing(mended=True),
    ),
    Case(
        "fill in what is missing, as by interpolation",
        lambda: _filled(mended=False),
        lambda: _filled(mended=True),
    ),
    Case(
        "pass the channels that the model knows",
        lambda: _series(torch.rand(24, 3)),
        lambda: _series(torch.rand(24, 3)[:, :2]),
    ),
    Case(
        "pass a longer series",
        lambda: _series({"past_values": torch.zeros(1, 24, 2), "past_observed_mask": torch.zeros(1, 24, 2)}),
        lambda: _series(test_time_series.series(1)[0]),
    ),
    Case(
        "choose a task that it has a head for, or explain what there is, as by "
        "target=lambda out: out['prediction_outputs'][0][:, 0, 0]",
        lambda: _distribution(None),
        lambda: _distribution(lambda out: out["prediction_outputs"][0][:, 0, 0]),
    ),
    Case(
        "use another processor",
        lambda: _colour(_Odd(flat=True)),
        lambda: _colour(seer().processor),
    ),
    Case(
        "choose a model that reads it",
        lambda: seer().transfer(_explored(), reader()),
        lambda: seer().transfer(_explored(), seer()),
    ),
]


def _colour(processor: Any) -> Any:
    wrapper: Any = FourierExplainer(seer().model, processor).wrapper
    return wrapper._of_colour((255, 0, 0))


def _explored() -> Any:
    return seer().explain(PICTURE, method="attexplore:steps=1,copies=1")


def picture_of() -> Any:
    """A picture of Pillow."""
    return Image.open(picture())


def zoo_sight_texts() -> dict[str, torch.Tensor]:
    """The texts of the zoo."""
    given = tiny_models_vision.inputs("zero-shot-image-classification")
    return {"input_ids": given["input_ids"]}


def _grey() -> Any:
    """Grey levels of 32 bits."""
    return Image.fromarray((_array()[..., 0] * 255).astype(np.int32), "I")
