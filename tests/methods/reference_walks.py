"""Walks on pictures whose range and normalisation are known, without an adapter."""

from __future__ import annotations

from typing import Any

import torch

from hf_fourier.domains import DOMAINS, Axis, Basis, SignalShape
from hf_fourier.methods import METHODS, Ranking
from hf_fourier.methods.exploration import Exploration
from hf_fourier.scoring.batching import MicroBatcher
from hf_fourier.scoring.heads import Categorical, Head
from hf_fourier.scoring.score import Score
from hf_fourier.seeding import ExampleRng
from tests.toy_scores import Logits

#: ImageNet's, and one that leaves pictures as they are.
NORMAL = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
PLAIN = torch.zeros(3), torch.ones(3)
Normalisation = tuple[torch.Tensor, torch.Tensor]


def normalised(pictures: torch.Tensor, how: Normalisation) -> torch.Tensor:
    mean, std = (v.to(pictures).view(-1, 1, 1) for v in how)
    return (pictures - mean) / std


def undone(signals: torch.Tensor, how: Normalisation) -> torch.Tensor:
    mean, std = (v.to(signals).view(-1, 1, 1) for v in how)
    return signals * std + mean


def walk(
    spec: str | Exploration,
    forward: Logits,
    pictures: torch.Tensor,
    how: Normalisation = PLAIN,
    domain: str = "identity",
    head: Head | None = None,
    seed: int = 0,
    keys: Any = None,
) -> tuple[Ranking, Basis, Score]:
    """Pictures `(batch, channels, height, width)` from 0 to 1 in front of a model that reads them normalised.

    `forward` is given the pictures themselves: it is the same model under every normalisation.
    """
    x = normalised(pictures, how)
    names = ("channel", "height", "width")
    axes = (Axis(name, n, channel=name == "channel") for name, n in zip(names, x.shape[1:], strict=True))
    shape = SignalShape("pixels", tuple(axes))
    ends = torch.zeros(x.shape[1], 1, 1, dtype=x.dtype), torch.ones(x.shape[1], 1, 1, dtype=x.dtype)
    bounds = normalised(ends[0], how), normalised(ends[1], how)
    score = Score(
        x,
        lambda signal, rows: forward(undone(signal, how)),
        lambda outputs, rows: outputs,
        head or Categorical(),
        [None] * len(x),
        MicroBatcher(64),
        bounds=bounds,
    )
    basis = DOMAINS.parse(domain).bind(shape)
    method = METHODS.parse(spec).resolve(shape)
    ranking = method.attribute(score, x, basis, ExampleRng(seed, list(range(len(x))) if keys is None else keys))
    return ranking, basis, score


def pictures(*sizes: int, seed: int = 0, low: float = 0.3, high: float = 0.7) -> torch.Tensor:
    """Uniform noise, by default so far from black and white that no bound is met."""
    numbers = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(sizes, generator=numbers, dtype=torch.float64)
