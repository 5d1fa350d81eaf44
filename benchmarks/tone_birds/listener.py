"""A small network that names tone birds, trained in less than a minute."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from benchmarks.tone_birds.sounds import CLASSES, RATE, training_batch

FILTERS, WINDOW, HOP = 64, 256, 32


class Listener(torch.nn.Module):
    """Filters that begin as windowed waves of 30 to 1970 Hz, the logarithm of their power, and convolutions."""

    def __init__(self) -> None:
        super().__init__()
        hertz = torch.linspace(30, 1970, FILTERS)
        time = torch.arange(WINDOW) / RATE
        angle = 2 * math.pi * hertz[:, None] * time
        waves = torch.stack([angle.cos(), angle.sin()], 1).flatten(0, 1) * torch.hann_window(WINDOW)
        self.filters = torch.nn.Conv1d(1, 2 * FILTERS, WINDOW, stride=HOP, bias=False)
        self.filters.weight = torch.nn.Parameter(waves[:, None] / WINDOW**0.5)
        self.first = torch.nn.Conv1d(FILTERS, 64, 7, stride=2)
        self.second = torch.nn.Conv1d(64, 96, 7, stride=2)
        self.third = torch.nn.Conv1d(96, 96, 5)
        self.last = torch.nn.Linear(2 * 96, CLASSES)

    def forward(self, sounds: Tensor) -> Tensor:
        """Sounds of shape `(n, samples)` to logits."""
        power = self.filters(sounds[:, None]).unflatten(1, (FILTERS, 2)).square().sum(2)
        hidden = (1 + 30 * power).log() - 1
        for layer in (self.first, self.second, self.third):
            hidden = torch.relu(layer(hidden))
        return self.last(torch.cat([hidden.mean(-1), hidden.amax(-1)], 1))


def trained(steps: int = 400, rows: int = 96, seed: int = 0) -> Listener:
    """The network, trained on sounds that are drawn anew in each step."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Listener()
        optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, steps)
        for step in range(steps):
            sounds, labels = training_batch(rows, 10**6 * seed + 2 * step)
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(model(sounds), labels).backward()
            optimiser.step()
            schedule.step()
    return model.eval()
