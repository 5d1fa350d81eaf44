"""Outputs in every form: what the head reads is found by its name, or by its place where there are no names."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch

from hf_fourier import FourierExplainer, attribute
from hf_fourier.errors import ModelError
from hf_fourier.scoring.targets import Direction
from tests.models import (
    laws,
    tiny_models,
    tiny_models_audio,
    tiny_models_segmentation,
    tiny_models_vision,
    tiny_tokenizers,
)
from tests.models.test_time_series import explainer as series_explainer
from tests.models.test_time_series import series
from tests.toy_scores import Linear, noise


class Scored(NamedTuple):
    loss: Any
    logits: torch.Tensor


FORMS: dict[str, Callable[[torch.Tensor], Any]] = {
    "dict": lambda z: {"logits": z},
    "ordered, with a loss": lambda z: OrderedDict(loss=z.sum(), logits=z),
    "a mapping": lambda z: MappingProxyType({"loss": None, "logits": z}),
    "a tuple": lambda z: (z, z * 2),
    "a loss first": lambda z: (z.sum(), z, z * 2),
    "None first": lambda z: (None, z),
    "a list": lambda z: [z.sum(), z],
    "a named tuple": lambda z: Scored(z.sum(), z),
    "an object": lambda z: SimpleNamespace(logits=z, states=z * 2),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_callables_logits_are_found(form: str) -> None:
    x, model = noise(2, 6), Linear(3, 6)
    for one, other in zip(attribute(lambda v: FORMS[form](model(v)), x), attribute(model, x), strict=True):
        laws.same(one, other)


@pytest.mark.parametrize("outputs", [lambda z: {"a": z}, lambda z: (z.sum(), None), lambda z: (), lambda z: {}])
def test_what_holds_no_logits_is_refused(outputs: Callable[[torch.Tensor], Any]) -> None:
    with pytest.raises(ModelError, match="without logits"):
        attribute(lambda v: outputs(Linear(3, 6)(v)), noise(2, 6))


@contextmanager
def wrapped(model: torch.nn.Module, form: Callable[[Any], Any]) -> Iterator[None]:
    """Inside, a model's outputs come in another form."""
    handle = model.register_forward_hook(lambda module, args, out: form(out))
    try:
        yield
    finally:
        handle.remove()


def reader(task: str, name: str = "bert") -> tuple[FourierExplainer, Any]:
    example: Any = tiny_tokenizers.text(10, 11, 12)
    example = (tiny_tokenizers.text(20, 21), example) if task == "question-answering" else example
    return FourierExplainer(tiny_models.build(task, name), tiny_tokenizers.tokenizer("bert"), task=task), example


def looker(task: str, name: str) -> tuple[FourierExplainer, Any]:
    return FourierExplainer(tiny_models_vision.build(task, name), task=task), tiny_models_vision.inputs(task)


def hearer(task: str) -> tuple[FourierExplainer, Any]:
    explain = FourierExplainer(
        tiny_models_audio.build("wav2vec2", task=task), tiny_models_audio.extractor("wav2vec2"), task=task
    )
    return explain, (tiny_models_audio.clip(2001), tiny_models_audio.RATE)


MODELS: dict[str, Callable[[], tuple[FourierExplainer, Any]]] = {
    "text-classification": lambda: reader("text-classification"),
    "token-classification": lambda: reader("token-classification"),
    "question-answering": lambda: reader("question-answering"),
    "feature-extraction": lambda: reader("feature-extraction"),
    **{
        task: lambda task=task, names=names: looker(task, next(iter(names)))
        for task, names in tiny_models_vision.MODELS.items()
    },
    "image-segmentation": lambda: (
        FourierExplainer(tiny_models_segmentation.build("segformer"), task="image-segmentation"),
        {"pixel_values": tiny_models_segmentation.inputs("segformer")},
    ),
    "ctc": lambda: hearer("ctc"),
    "audio-xvector": lambda: hearer("audio-xvector"),
    "audio-feature-extraction": lambda: hearer("audio-feature-extraction"),
    "classes of series": lambda: (series_explainer("PatchTSTForClassification"), series(1)[0]),
    "forecasts": lambda: (series_explainer("PatchTSTForPrediction"), series(1)[0]),
}


@pytest.mark.parametrize("task", MODELS)
def test_every_head_reads_plain_mappings(task: str) -> None:
    explain, example = MODELS[task]()
    target = None
    if "feature" in task or "xvector" in task:
        one = {name: tensor[:1] for name, tensor in example.items()} if isinstance(example, dict) else example
        width = explain.predict(one).logits.numel()
        target = Direction(noise(width, dtype=torch.float32))
    plain = explain.explain(example, target)
    with wrapped(explain.model, lambda out: dict(out.items())):
        again = explain.explain(example, target)
    for one, other in zip(*(r if isinstance(r, list) else [r] for r in (plain, again)), strict=True):
        laws.same(one, other)


@pytest.mark.parametrize("task", ["question-answering", "zero-shot-image-classification", "audio-xvector"])
def test_parts_that_have_no_name_are_refused(task: str) -> None:
    explain, example = MODELS[task]()
    target = Direction(noise(12, dtype=torch.float32)) if task == "audio-xvector" else None
    with (
        wrapped(explain.model, lambda out: list(out.to_tuple())),
        pytest.raises(ModelError, match=r"without .*return_dict"),
    ):
        explain.explain(example, target)
