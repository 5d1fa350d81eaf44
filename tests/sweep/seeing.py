"""Models that see pictures, videos and volumes, and those of series, and the plain answers to what they get."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image

from hf_fourier import FourierExplainer
from tests.models import tiny_models, tiny_models_segmentation, tiny_models_vision, tiny_tokenizers
from tests.models.test_time_series import explainer as series_explainer
from tests.sweep import forms as f
from tests.sweep import references as r
from tests.sweep.references import Plain
from tests.sweep.subject import Batch, Subject

# Pictures.

MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]


@cache
def _processor() -> Any:
    from transformers import ViTImageProcessor

    return ViTImageProcessor(size={"height": 32, "width": 32}, image_mean=MEAN, image_std=STD)


def _picture(numbers: np.random.Generator) -> np.ndarray:
    """Coarse, fine, dark, bright or two-coloured."""
    height, width = numbers.integers(5, 45, 2)
    kind = numbers.integers(0, 6)
    low, high = [(0, 256), (0, 256), (0, 2), (254, 256), (0, 40), (100, 104)][kind]
    fine = numbers.integers(low, high, (height, width, 3), dtype=np.uint8)
    if kind == 0:
        return np.asarray(Image.fromarray(fine[:5, :5]).resize((int(width), int(height))))
    return fine


def _seen(explain: FourierExplainer, picture: np.ndarray) -> torch.Tensor:
    pixels: torch.Tensor = _processor()(images=Image.fromarray(picture), return_tensors="pt")["pixel_values"][0]
    return pixels


def _sight(
    read: Callable[[Any], torch.Tensor] = lambda out: out.logits[0],
    settle: Callable[[torch.Tensor], Any] = r.best,
    score: Callable[[torch.Tensor, Any], torch.Tensor] = r.log_p,
    sure: bool = True,
) -> Callable[[FourierExplainer, Any], Plain]:
    def plain(explain: FourierExplainer, picture: Any) -> Plain:
        return Plain(
            _seen(explain, picture), lambda x: read(explain.model(pixel_values=x[None])), settle, score, sure=sure
        )

    return plain


def _found(outputs: torch.Tensor) -> Any:
    """The classes of the queries that are sure, or of the surest."""
    sure = _odds(outputs).exp()
    found = sure.max(-1)
    chosen = (found.values >= 0.5).nonzero().flatten().tolist() or [int(found.values.argmax())]
    classes = [int(found.indices[i]) for i in chosen]
    return classes[0] if len(classes) == 1 else classes


def _odds(outputs: torch.Tensor) -> torch.Tensor:
    return outputs.double().log_softmax(-1)[:, :-1]


def _found_log_p(outputs: torch.Tensor, target: Any) -> torch.Tensor:
    own = _odds(outputs).max(-1).values
    chosen = own >= np.log(0.5)
    return own[chosen].mean() if bool(chosen.any()) else own.max()


def _pictures_in(explain: FourierExplainer, contents: list[Any], how: str) -> Batch:
    pixels = torch.stack([_seen(explain, one) for one in contents])
    return {"pixel_values": _LAID[how](pixels)}


#: How tensors of pixels lie.
_LAID: dict[str, Callable[[torch.Tensor], Any]] = {
    "tensor": lambda t: t,
    "float64": lambda t: t.double(),
    "numpy": lambda t: t.numpy(),
    "channels last": lambda t: t.contiguous(memory_format=torch.channels_last) if t.ndim == 4 else t,
    "between": lambda t: t.repeat_interleave(2, dim=0)[::2],
    "gradient": lambda t: t.clone().requires_grad_(True),
}
TEXTS = ["w20 w21", "w22", "w23 w24 w25"]


def _described(explain: FourierExplainer, content: Any) -> Plain:
    picture, texts = content
    rows = explain.wrapper.tokenizer(texts, padding=True, return_tensors="pt")

    def outputs(x: torch.Tensor) -> torch.Tensor:
        out = explain.model(pixel_values=x[None], input_ids=rows["input_ids"], attention_mask=rows["attention_mask"])
        return out.logits_per_image[0]

    return Plain(_seen(explain, picture), outputs, r.best, r.log_p)


def _beside_texts(form: f.Form) -> f.Form:
    def shown(content: Any) -> f.Shown:
        one = form(content[0])
        own = None if one.content is None else (one.content, content[1])
        return f.Shown((one.example, content[1]), own, one.plainly)

    return shown


def _zero_shot() -> FourierExplainer:
    processor = SimpleNamespace(image_processor=_processor(), tokenizer=tiny_tokenizers.tokenizer("gpt"))
    return FourierExplainer(tiny_models_vision.build("zero-shot-image-classification", "clip"), processor)


@cache
def _film() -> Any:
    from transformers import VideoMAEImageProcessor

    sizes = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    return VideoMAEImageProcessor(**sizes, image_mean=MEAN, image_std=STD)


def _frames(numbers: np.random.Generator) -> np.ndarray:
    low, high = [(0, 256), (0, 2), (0, 256)][numbers.integers(0, 3)]
    return numbers.integers(low, high, (4, 36, 40, 3), dtype=np.uint8)


def _watched(explain: FourierExplainer, frames: np.ndarray) -> Plain:
    pixels = _film()(list(frames), return_tensors="pt")["pixel_values"][0]
    return Plain(pixels, lambda x: explain.model(pixel_values=x[None]).logits[0], r.best, r.log_p)


def _each_frame(form: f.Form) -> f.Form:
    def shown(frames: np.ndarray) -> f.Shown:
        own = [form(frame) for frame in frames]
        known = [one.content for one in own]
        content = None if any(one is None for one in known) else np.stack(known)
        return f.Shown(tuple(one.example for one in own), content, all(one.plainly for one in own))

    return shown


FILMS: dict[str, f.Form] = {
    **{name: _each_frame(form) for name, form in f.PICTURES.items()},
    "one array": lambda a: f.Shown(a, a),
    "one tensor": lambda a: f.Shown(torch.from_numpy(np.moveaxis(a, -1, 1).copy()), a),
    "one array of floats": lambda a: f.Shown(a / 255, a),
    "one array of uint16": lambda a: f.Shown(a.astype(np.uint16) * 257, a),
    "one array of int64": lambda a: f.Shown(a.astype(np.int64), a, plainly=False),
    "no frames": f.none_of(()),
    "no film": f.none_of(None),
}


def _volume(numbers: np.random.Generator) -> np.ndarray:
    return numbers.standard_normal((5, 7, 6)).astype(np.float32)


def _voxels(explain: FourierExplainer, volume: np.ndarray) -> Plain:
    signal = torch.from_numpy(np.array(volume))[None]
    return Plain(signal, lambda x: explain.model(pixel_values=x[None]).logits[0], r.mask, r.mask_log_p)


VOLUMES: dict[str, f.Form] = {
    **{name: f.SERIES[name] for name in ("float32", "float64", "int64", "int16", "with a gradient", *f.VIEWS)},
    "NaN": f.none_of(np.full((5, 7, 6), np.nan, np.float32)),
    "no voxels": f.none_of(np.zeros((0, 7, 6), np.float32)),
    "complex": f.none_of(np.ones((5, 7, 6), np.complex64)),
    "nothing": f.none_of(None),
    "a text": f.none_of("w10"),
}


# Series.


def _walk(numbers: np.random.Generator) -> np.ndarray:
    return numbers.standard_normal((24, 2)).cumsum(0).astype(np.float32)


def _forecast(
    read: Callable[[Any], torch.Tensor], settle: Any = r.best, score: Any = r.log_p, sure: bool = True
) -> Any:
    def plain(explain: FourierExplainer, series: np.ndarray) -> Plain:
        signal = torch.from_numpy(np.array(series))
        return Plain(signal, lambda x: read(explain.model(past_values=x[None])), settle, score, sure=sure)

    return plain


def _series_in(explain: FourierExplainer, contents: list[Any], how: str) -> Batch:
    return {"past_values": _LAID[how](torch.from_numpy(np.stack(contents)))}


def _looker(model: Callable[[], torch.nn.Module], task: str) -> Callable[[], FourierExplainer]:
    return lambda: FourierExplainer(model(), _processor(), task=task)


def _head(task: str, name: str) -> Callable[[], FourierExplainer]:
    return _looker(lambda: tiny_models_vision.build(task, name), task)


def _finder() -> torch.nn.Module:
    """Queries that differ: fresh ones are all alike."""
    model = tiny_models_vision.build("object-detection", "yolos")
    model.vit.embeddings.detection_tokens.data.normal_(generator=torch.Generator().manual_seed(0))
    return model


_SEE: dict[str, Any] = {"content": _picture, "forms": f.PICTURES, "batch": _pictures_in, "hows": tuple(_LAID)}

SUBJECTS: dict[str, Subject] = {
    "picture": Subject(
        _looker(lambda: tiny_models.build("image-classification", "vit"), "image-classification"), plain=_sight(),
        **_SEE
    ),
    "convolutions": Subject(
        _looker(lambda: tiny_models.build("image-classification", "resnet"), "image-classification"), plain=_sight(),
        **_SEE
    ),
    "detections": Subject(
        _looker(_finder, "object-detection"), plain=_sight(settle=_found, score=_found_log_p), playable=False, **_SEE
    ),
    "depth": Subject(
        _head("depth-estimation", "dpt"),
        plain=_sight(lambda out: out.predicted_depth[0], r.nothing, r.mean, sure=False),
        **_SEE,
    ),
    "masks": Subject(
        _looker(lambda: tiny_models_segmentation.build("segformer"), "image-segmentation"),
        plain=_sight(settle=r.mask, score=r.mask_log_p),
        **_SEE,
    ),
    "zero shot": Subject(
        _zero_shot,
        lambda n: (_picture(n), TEXTS[: int(n.integers(2, 4))]),
        {name: _beside_texts(form) for name, form in f.PICTURES.items()},
        _described,
    ),
    "video": Subject(
        lambda: FourierExplainer(tiny_models_vision.build("video-classification", "videomae"), _film()), _frames,
        FILMS, _watched
    ),
    "volume": Subject(
        lambda: FourierExplainer(tiny_models_segmentation.build("two classes"), task="image-segmentation"), _volume,
        VOLUMES, _voxels
    ),
    "series": Subject(
        lambda: series_explainer("PatchTSTForClassification"), _walk, f.SERIES,
        _forecast(lambda out: out.prediction_logits[0]), _series_in, tuple(_LAID),
    ),
    "forecast": Subject(
        lambda: series_explainer("PatchTSTForPrediction"), _walk, f.SERIES,
        _forecast(lambda out: out.prediction_outputs[0], r.nothing, r.mean, sure=False), _series_in, tuple(_LAID),
    ),
}  # fmt: skip
