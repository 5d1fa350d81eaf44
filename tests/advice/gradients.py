"""Advice about callables, gradients, and what methods and domains need."""

from __future__ import annotations

import re
from typing import Any

import torch

from hf_fourier import FourierExplainer, attribute
from hf_fourier.domains import DOMAINS
from hf_fourier.domains.layout import Axis, SignalShape
from hf_fourier.evaluation.randomized_model import randomize
from hf_fourier.methods import METHODS
from hf_fourier.methods.precomputed import Precomputed
from hf_fourier.results.remarks import FURTHER_HINT, NOT_FINITE_HINT, WITHOUT_GRADIENTS
from hf_fourier.seeding import ExampleRng
from tests import toy_scores
from tests.advice.case import PICTURES, Case, net, reader
from tests.advice.heads import Once, attributed
from tests.advice.texts import TEXT, ids
from tests.models import tiny_models

#: The methods and the domain that the advice names.
FORWARD_ONLY = re.split(r", | or ", re.search(r"\((.*)\)", WITHOUT_GRADIENTS)[1])
OCTAVES = re.search("domain='(.*)'", WITHOUT_GRADIENTS)[1]


class Fixed(Once):
    """One that its config alone does not build."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)


class Frozen(torch.autograd.Function):
    """Cannot be differentiated."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        """As it is."""
        return x * 1.0

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        """Fails."""
        raise NotImplementedError("no backward pass")


def _undone(method: str, forward: Any = None, **options: Any) -> Any:
    return attributed(forward or (lambda x: net()(Frozen.apply(x))), method=method, **options)


def _half(dtype: torch.dtype) -> Any:
    """Logits beyond what float16 holds."""
    return attribute(lambda x: x.to(dtype).flatten(1)[:, :3] * 60_000 * 4, PICTURES + 1)


class _Steep(torch.nn.Module):
    """Gradients beyond what float16 holds."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(300.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1)[:, :3] * self.scale * self.scale


def _steep(dtype: torch.dtype, **options: Any) -> Any:
    return attribute(_Steep().to(dtype), (PICTURES * 1e-3).to(dtype), **{"method": "ffc", **options})


class _Divided(Once):
    """Directions of embeddings, some of which are zero."""

    def __init__(self, floor: float) -> None:
        super().__init__()
        self.floor = floor
        self.table.weight.data[:, 0] = 0

    def forward(self, input_ids: torch.Tensor) -> Any:
        from transformers.modeling_outputs import SequenceClassifierOutput

        states = self.table(input_ids)
        return SequenceClassifierOutput(logits=self.out((states / (states.abs() + self.floor)).mean(1)))


def _divided(floor: float = 0.0, **options: Any) -> Any:
    explain = FourierExplainer(_Divided(floor), task="text-classification", **options)
    return explain.predict(ids(7, 8, 9))


def _silent() -> torch.Tensor:
    """Pictures that are black in a corner."""
    x = PICTURES.clone()
    x[:, :, 0, :2] = 0
    return x


def _rooted(floor: float = 0.0, **options: Any) -> Any:
    return attribute(lambda x: net()((x.square() + floor).sqrt()), _silent(), **{"method": "ffc", **options})


def _inverse(floor: float = 0.0, **options: Any) -> Any:
    return attribute(lambda x: net()(1 / (x.abs() + floor)), _silent(), **{"method": "ffc", **options})


def _settled(spec: str, settle: bool) -> Any:
    method, signal = METHODS.parse(spec), toy_scores.signal(6)
    score = toy_scores.score_of(toy_scores.Smooth(3, 6).eval(), toy_scores.noise(2, 6))
    basis = DOMAINS.parse("fourier").bind(signal)
    return (method.resolve(signal) if settle else method).attribute(score, score.signal, basis, ExampleRng(0, [1, 2]))


def _given() -> Any:
    signal, score = toy_scores.signal(6), toy_scores.score_of(toy_scores.Smooth(3, 6).eval(), toy_scores.noise(2, 6))
    return Precomputed().attribute(score, score.signal, DOMAINS.parse("identity").bind(signal), ExampleRng(0, [1, 2]))


def _needs_settling(spec: str) -> Case:
    return Case(
        "call `resolve(signal)` first", lambda: _settled(spec, settle=False), lambda: _settled(spec, settle=True)
    )


def _bands(domain: str) -> Any:
    method: Any = METHODS.parse("fampe")
    return method.bands(DOMAINS.parse(domain).bind(toy_scores.signal(6)), toy_scores.noise(2, 6))


def _video(spec: str) -> Any:
    axes = (Axis("frame", 8, "cycles/frame"), Axis("y", 6, "cycles/px"), Axis("x", 6, "cycles/px"))
    return DOMAINS.parse(spec).bind(SignalShape("video", axes))


def _pixels(spec: str) -> Any:
    return DOMAINS.parse(spec).bind(SignalShape("pixels", (Axis("y", 8, "cycles/px"), Axis("x", 8, "cycles/px"))))


def _channels(spec: str) -> Any:
    return DOMAINS.parse(spec).bind(toy_scores.signal(4, channels=(0,)))


def _twin(model: torch.nn.Module) -> Any:
    return randomize(FourierExplainer(model, task="text-classification"), [])


def _maps(maps: Any) -> Any:
    return reader().from_maps([TEXT], maps)


CASES = [
    Case(
        "convert `x` to the type of the weights, as by x.float()",
        lambda: attribute(_doubled(), PICTURES.double()),
        lambda: attribute(_doubled(), PICTURES.double().float()),
    ),
    Case(
        f"{WITHOUT_GRADIENTS}, or another implementation of the model",
        lambda: _undone("ffc"),
        lambda: [_undone(name, domain=OCTAVES) for name in FORWARD_ONLY] + [_undone("ffc", net())],
    ),
    Case(
        f"load the model in float32 or bfloat16; if it still is not finite, {NOT_FINITE_HINT}",
        lambda: _steep(torch.float16),
        lambda: [_steep(torch.float32), _steep(torch.bfloat16)],
    ),
    Case(
        f"load the model in float32 or bfloat16; if it still is not finite, {FURTHER_HINT}",
        lambda: _steep(torch.float16, dither=1e-6),
        lambda: [_steep(torch.float32, dither=1e-6), _steep(torch.bfloat16, dither=1e-6)],
    ),
    Case("correct `dither`", lambda: attributed(dither=-1.0), lambda: attributed(dither=0.0)),
    Case(NOT_FINITE_HINT, lambda: _rooted(), lambda: [_rooted(dither=1e-6), _rooted(floor=1e-12)]),
    Case(
        FURTHER_HINT,
        lambda: _rooted(dither=1e-30),
        lambda: [
            _rooted(dither=1e-6),
            _rooted(dither=1e-30, floor=1e-12),
            *[_rooted(dither=1e-30, method=name, domain=OCTAVES) for name in FORWARD_ONLY],
        ],
    ),
    Case(
        "check the input and the model's dtype (half precision overflows on some models; use bfloat16); where a "
        f"logarithm or a division meets zeros, {NOT_FINITE_HINT}",
        lambda: _half(torch.float16),
        lambda: _half(torch.bfloat16),
    ),
    Case(
        "check the input and the model's dtype (half precision overflows on some models; use bfloat16); where a "
        f"logarithm or a division meets zeros, {NOT_FINITE_HINT}",
        lambda: _inverse(),
        lambda: [_inverse(dither=1e-6), _inverse(floor=1e-6)],
    ),
    Case(
        f"check the input and the model's dtype; or {NOT_FINITE_HINT}",
        lambda: _divided(),
        lambda: [_divided(dither=1e-6), _divided(floor=1e-6)],
    ),
    Case(
        "check the target, and that the model does not detach its input or run on integers, as some quantised ones do; "
        f"or {WITHOUT_GRADIENTS}",
        lambda: attributed(lambda x: net()(x.detach())),
        lambda: [
            attributed(),
            *(attributed(lambda x: net()(x.detach()), method=method, domain=OCTAVES) for method in FORWARD_ONLY),
        ],
    ),
    Case(
        "check the target, and that the model does not detach its input or run on integers, as some quantised ones do; "
        f"or {WITHOUT_GRADIENTS}",
        lambda: attributed(target=lambda logits: torch.zeros(len(logits))),
        lambda: attributed(target=lambda logits: logits[:, 0]),
    ),
    Case(
        "let type(model)(model.config) build it, or pass a model of transformers",
        lambda: _twin(Fixed()),
        lambda: [_twin(Once()), reader().sanity_check([TEXT])],
    ),
    *map(_needs_settling, ("ffc", "closed_loop", "smoothgrad", "attexplore")),
    Case("use another explorer", lambda: _bands("identity"), lambda: _bands("fourier")),
    Case(
        "correct `detail`", lambda: attributed(method="freqx:samples=4,detail=no"), lambda: attributed(method=_DETAIL)
    ),
    Case("call `explainer.from_maps`", _given, lambda: _maps([torch.rand(3)])),
    Case("correct `maps`", lambda: _maps([]), lambda: _maps([torch.rand(3)])),
    Case("name at least one", lambda: attributed(axes=[]), lambda: attributed(axes=[2])),
    Case("name the axes to transform", lambda: _channels("fourier"), lambda: _channels("fourier:axes=0")),
    Case(
        "none of its axes is time; use 'wavelet' for frequencies with a place",
        lambda: _pixels("stft"),
        lambda: _pixels("wavelet"),
    ),
    Case(
        "no axis of this video is in Hz; name its time axis with `axis`",
        lambda: _video("stft:window=4"),
        lambda: _video("stft:window=4,axis=frame"),
    ),
    Case(
        "choose one of them, or explain with domain='identity'",
        lambda: reader().explain(TEXT).input_relevance(kind="scores"),
        lambda: [
            *[reader().explain(TEXT).input_relevance(kind=kind) for kind in ("gradient", "power")],
            reader().explain(TEXT, domain="identity").input_relevance(kind="scores"),
        ],
    ),
]


_DETAIL = "freqx:samples=4,layers=0,detail=0"


def _doubled() -> Any:
    weights = tiny_models.build("image-classification", "resnet").state_dict()["classifier.1.weight"]
    return lambda x: torch.nn.functional.linear(x.flatten(1)[:, : weights.shape[1]], weights)
