"""Rendered sounds of five parts, each of which can be left out: what is left is a sound like those of the training.

After FunnyBirds (Hesse, Schaub-Meyer and Roth 2023, arXiv 2308.06248), whose pictures of birds are rendered without a
beak or a wing. A class is one of four variants of each part; every part has frequencies of its own:

| part | variants | Hz |
|---|---|---|
| hum | a tone and its octave, from 80, 120, 160 or 200 Hz | 80–400 |
| formant | two tones around 520, 600, 680 or 760 Hz | 510–770 |
| trill | 1000 Hz with its amplitude going up and down 4, 8, 16 or 32 times | 960–1040 |
| sweep | up, down, up and down, down and up | 1200–1400 |
| burst | noise at .1, .35, .6 or .85 of the time | 1600–1880 |

What says nothing about the class: a *distractor*, a tone at 430 to 480 Hz, and *noise* at all frequencies. Phases,
loudness and the distractor's frequency are drawn anew for each sound.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field

import torch
from torch import Tensor

RATE = 4000
"""Samples in a second, and in a sound."""
PARTS = ("hum", "formant", "trill", "sweep", "burst")
REST = ("distractor", "noise")
VARIANTS, CLASSES = 4, 50
HUM, FORMANT, TRILL, BURST = (80, 120, 160, 200), (520, 600, 680, 760), (4, 8, 16, 32), (0.1, 0.35, 0.6, 0.85)
SWEEP = (1200.0, 1400.0)
NOISE = 0.05
"""Standard deviation of the noise; a part's tone has an amplitude of .5 to 1."""


def classes(seed: int = 0) -> Tensor:
    """The variant of each part by class, shape `(50, 5)`: different rows, drawn at random."""
    draw = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(VARIANTS ** len(PARTS), generator=draw)[:CLASSES]
    powers = VARIANTS ** torch.arange(len(PARTS))
    return chosen[:, None] // powers % VARIANTS


@dataclass(frozen=True)
class Birds:
    """Sounds by what they are made of; a part can be left out of all of them, and the rest stays as it is.

    Attributes:
        labels: The class of each, shape `(n,)`.
        seed: Of phases, loudness and noise.
        table: The variant of each part by class.
    """

    labels: Tensor
    seed: int
    table: Tensor = field(default_factory=classes)

    def components(self) -> dict[str, Tensor]:
        """What the sounds are made of, by name, shape `(n, samples)` each; their sum are the sounds."""
        n, draw = len(self.labels), torch.Generator().manual_seed(self.seed)
        variant = dict(zip(PARTS, self.table[self.labels].T, strict=True))

        def drawn(low: float, high: float) -> Tensor:
            return low + (high - low) * torch.rand(n, 1, generator=draw)

        def tone(cycles: Tensor, loudness: Tensor) -> Tensor:
            """`cycles` in Hz, of shape `(n, 1)` for a steady tone, or `(n, samples)` for one that changes."""
            phase = 2 * math.pi * (cycles.expand(n, RATE).cumsum(1) / RATE + drawn(0, 1))
            return loudness * phase.sin()

        def of(values: tuple[float, ...], part: str) -> Tensor:
            return torch.tensor(values, dtype=torch.float32)[variant[part]][:, None]

        loud = {part: drawn(0.5, 1) for part in PARTS}
        time = (torch.arange(RATE) / RATE).expand(n, RATE)
        rising = torch.stack([time[0], 1 - time[0], 1 - (2 * time[0] - 1).abs(), (2 * time[0] - 1).abs()])
        hiss = torch.randn(2, n, RATE, generator=draw)
        begun = time - of(BURST, "burst")
        return {
            "hum": tone(of(HUM, "hum"), loud["hum"]) + tone(2 * of(HUM, "hum"), loud["hum"] / 2),
            "formant": sum(
                (tone(of(FORMANT, "formant") + step, loud["formant"] / 2) for step in (-10, 10)), torch.zeros(())
            ),
            "trill": tone(torch.full((n, 1), 1000.0), loud["trill"])
            * (0.5 + 0.5 * (2 * math.pi * (of(TRILL, "trill") * time + drawn(0, 1))).sin()),
            "sweep": tone(SWEEP[0] + (SWEEP[1] - SWEEP[0]) * rising[variant["sweep"]], loud["sweep"]),
            "burst": loud["burst"] * 3 * between(hiss[0], 1600, 1880) * torch.exp(-((begun / 0.03) ** 2)),
            "distractor": tone(drawn(430, 480), drawn(0.5, 1)),
            "noise": NOISE * hiss[1],
        }

    def without(self, parts: Collection[str] = ()) -> Tensor:
        """The sounds without some parts, shape `(n, samples)`."""
        return torch.stack([sound for name, sound in self.components().items() if name not in parts]).sum(0)


def between(noise: Tensor, low: float, high: float) -> Tensor:
    """Noise with the frequencies from `low` to `high` Hz alone."""
    spectrum = torch.fft.rfft(noise)
    hertz = torch.fft.rfftfreq(noise.shape[-1], 1 / RATE)
    return torch.fft.irfft(spectrum * ((hertz >= low) & (hertz <= high)), n=noise.shape[-1])


def training_batch(n: int, seed: int, left_out: float = 0.2) -> tuple[Tensor, Tensor]:
    """Sounds with their labels, each part left out of a fifth of them, so that a sound without parts is a usual one."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.randint(CLASSES, (n,), generator=draw)
    made = Birds(labels, seed + 1).components()
    for name in PARTS:
        made[name] = made[name] * (torch.rand(n, 1, generator=draw) > left_out)
    return torch.stack(list(made.values())).sum(0), labels
