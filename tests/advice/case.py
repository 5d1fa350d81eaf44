"""A call that is refused, what the refusal advises, and the call that follows the advice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from hf_fourier import Attribution, FourierExplainer, attribute
from tests.models import tiny_models, tiny_tokenizers

PICTURES = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@dataclass(frozen=True)
class Case:
    """One piece of advice, followed.

    Attributes:
        do: What the error advises, whole.
        wrong: Is refused with this advice.
        right: The same with the advice followed; a call that works.
    """

    do: str
    wrong: Callable[[], Any]
    right: Callable[[], Any]


@cache
def net() -> torch.nn.Module:
    """A small picture classifier of three classes."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return torch.nn.Sequential(
            torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.Linear(256, 3)
        ).eval()


def explained(method: str = "ffc", domain: str | None = None, x: torch.Tensor = PICTURES, **options: Any) -> Any:
    """Results of the small classifier."""
    return attribute(net(), x, method=method, domain=domain, **options)


@cache
def reader(labels: tuple[str, ...] = ("ham", "spam", "neither")) -> FourierExplainer:
    """A tiny text classifier."""
    names = dict(enumerate(labels))
    return FourierExplainer(
        tiny_models.build("text-classification", "bert", id2label=names), tiny_tokenizers.tokenizer("bert")
    )


@cache
def read(count: int = 4) -> list[Attribution]:
    """Texts that it explained."""
    found: list[Attribution] = reader().explain(tiny_tokenizers.texts(count, lengths=(7,)))
    return found


@cache
def played(count: int = 4) -> list[Attribution]:
    """Texts that it explained, and what it says of parts of them."""
    from hf_fourier.results.curve import DEFAULT_GRID

    found: list[Attribution] = reader().explain(tiny_tokenizers.texts(count, lengths=(7,)))
    reader().perturb(found, DEFAULT_GRID)
    return found


@cache
def seer() -> FourierExplainer:
    """A tiny picture classifier of transformers."""
    from transformers import ViTImageProcessor

    model = tiny_models.build("image-classification", "resnet")
    return FourierExplainer(model, ViTImageProcessor(size={"height": 32, "width": 32}))
