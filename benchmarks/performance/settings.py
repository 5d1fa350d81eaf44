"""What makes models faster or is said to, measured at the model and checked on rankings.

Each setting is tried on the bare forward pass with the input gradient, in turn with the one that is used; and its
ranking of the same examples is held against that one's: what of the top 4 % is shared, and whether the answers are the
same.
"""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import torch

from benchmarks.cost import bare, laid_out, packed, timed
from benchmarks.real import MODELS
from hf_fourier import FourierExplainer
from hf_fourier.models import inspection
from hf_fourier.models.inspection import eval_mode


@contextlib.contextmanager
def channels_first(explainer: FourierExplainer) -> Iterator[None]:
    """Pictures as they come, in place of the channels last in memory."""
    with (
        mock.patch.object(inspection, "is_convolutional", return_value=False),
        mock.patch.object(explainer.wrapper, "takes_channels_last", False),
    ):
        yield


@contextlib.contextmanager
def bf16(explainer: FourierExplainer) -> Iterator[None]:
    """Autocast to bfloat16."""
    with torch.autocast("cpu", torch.bfloat16):
        yield


@contextlib.contextmanager
def eager_attention(explainer: FourierExplainer) -> Iterator[None]:
    """Attention written out, in place of the fused kernel that is the default."""
    model: Any = explainer.model
    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(before)


SETTINGS: dict[str, tuple[Callable[[FourierExplainer], Any], tuple[str, ...]]] = {
    "channels first": (channels_first, ("efficientnet-lite0",)),
    "bf16 autocast": (bf16, ("efficientnet-lite0", "fashion-vit", "minilm-spam")),
    "eager attention": (eager_attention, ("fashion-vit", "minilm-spam")),
}


def row(setting: str, name: str, n: int, runs: int) -> dict[str, Any]:
    """One setting on one model."""
    explainer, enter = MODELS[name].explainer(), SETTINGS[setting][0]
    examples = MODELS[name].examples(n)
    batches = packed([explainer.wrapper.encode(example) for example in examples])
    plain = explainer.explain(examples, method="ffc")
    with enter(explainer):
        changed = explainer.explain(examples, method="ffc")

    def passes() -> None:
        for batch in batches:
            bare(explainer.model, batch)

    pairs = []
    with eval_mode(explainer.model):
        for _ in range(runs):
            before = timed(passes)
            with enter(explainer):
                pairs.append((before, timed(passes)))
    shared = [
        float((a.mask(0.04) & b.mask(0.04)).sum() / a.mask(0.04).sum()) for a, b in zip(plain, changed, strict=True)
    ]
    return {
        "setting": setting,
        "model": name,
        "examples": n,
        "time ÷ plain": statistics.median(b.wall / a.wall for a, b in pairs),
        "by CPU time": statistics.median(b.cpu / a.cpu for a, b in pairs),
        "top 4 % shared, mean": statistics.mean(shared),
        "least": min(shared),
        "same labels": statistics.mean(a.label == b.label for a, b in zip(plain, changed, strict=True)),
    }


def games(name: str, n: int, runs: int) -> dict[str, Any]:
    """Forward passes without a gradient, as games take them: `inference_mode` beside `no_grad`."""
    explainer = MODELS[name].explainer()
    batches = packed([explainer.wrapper.encode(example) for example in MODELS[name].examples(n)])

    def passes(mode: Callable[[], Any]) -> list[torch.Tensor]:
        with mode():
            return [forward(signal) for signal, forward in (laid_out(explainer.model, batch) for batch in batches)]

    with eval_mode(explainer.model):
        pairs = [
            (timed(lambda: passes(torch.no_grad)), timed(lambda: passes(torch.inference_mode))) for _ in range(runs)
        ]
        said = [torch.cat([one.flatten(1) for one in passes(mode)]) for mode in (torch.no_grad, torch.inference_mode)]
    return {
        "setting": "inference_mode for curves",
        "model": name,
        "examples": n,
        "time ÷ plain": statistics.median(b.wall / a.wall for a, b in pairs),
        "by CPU time": statistics.median(b.cpu / a.cpu for a, b in pairs),
        "top 4 % shared, mean": "",  # nothing is ranked
        "least": "",
        "same labels": float((said[0].argmax(1) == said[1].argmax(1)).float().mean()),
    }
