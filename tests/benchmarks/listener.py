"""A model that decides by two waves, and examples with those waves and louder decoys."""

from __future__ import annotations

import torch

from benchmarks.assets.convert.planting import Material
from benchmarks.assets.triggers import Trigger, draw
from benchmarks.planted import subjects
from hf_fourier import Attribution, attribute
from hf_fourier.domains import Fourier

TRIGGER = Trigger(((3,), (5,)), (1, 2), 1.0, ((8,), (11,)), 2.0, 1)
POINTS = 32


class Listener(torch.nn.Module):
    """Label 1 where 3 cycles have power, 2 where 5 cycles have, else 0; channels are averaged."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        power = torch.fft.rfft(x.mean(1)).abs().square() / POINTS**2
        return torch.stack([torch.full_like(power[:, 0], 0.05), power[:, 3], power[:, 5]], 1) * 40


def examples(n: int = 12) -> subjects.Examples:
    noise = 0.05 * torch.randn(n, 2, POINTS, generator=torch.Generator().manual_seed(1))
    material = Material({"x": noise}, torch.zeros(n, dtype=torch.long), "x", (POINTS,))
    groups = torch.arange(n) % 2
    return subjects.Examples(material, draw(TRIGGER, groups, torch.Generator().manual_seed(2)), TRIGGER)


def explained(x: torch.Tensor, method: str = "magnitude") -> list[Attribution]:
    return attribute(Listener(), x, method=method, domain=Fourier(axes=1))
