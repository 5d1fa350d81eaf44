"""Single waves of fixed size that are added to signals: their frequencies, and the model's readings with each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby, product

import numpy as np
import torch

from hf_fourier.domains import SignalShape
from hf_fourier.domains.bands import WHOLE
from hf_fourier.errors import ORDERED, InputError, SpecError, real_number, whole_number
from hf_fourier.evaluation.studies.heat_map import WaveAxis
from hf_fourier.methods.filters import MEASURES, measures
from hf_fourier.scoring.batching import MicroBatcher
from hf_fourier.scoring.score import Score
from hf_fourier.scoring.subsets import ENTRIES
from hf_fourier.seeding import ExampleRng
from hf_fourier.typing import Float, Shaped, Tensor

#: Frequencies along each axis by the number of axes, where none is given.
SIZES = {1: 25, 2: 15, 3: 5}
#: How the phase of a wave is drawn in each channel: 0 or half a turn, as published, or any.
PHASES = ("sign", "any")
#: Waves at most.
MOST = 20_000


@dataclass(frozen=True)
class Waves:
    """Which waves are added, and how large they are; see `FourierExplainer.heat_map`.

    Attributes:
        level: The wave's norm, a fraction of the norm of the signal around its mean.
        size: Frequencies along each axis, at most and from 3: along several axes both signs and 0, so that an even
            number is rounded down; along a single axis from 0. None for `SIZES`.
        highest: The highest frequency along each axis, in its unit; None for the highest that there is.
        phases: "sign" or "any".

    Raises:
        InputError: If a number is out of range.
        SpecError: If the phases are unknown.
    """

    level: float = 0.5
    size: int | None = None
    highest: float | None = None
    phases: str = "sign"

    def __post_init__(self) -> None:
        expected = "a number above 0"
        for name in ("level", "highest"):
            value = getattr(self, name)
            if value is None and name == "highest":
                continue
            if not 0 < real_number(name, value, expected, f"correct `{name}`") < math.inf:
                raise InputError(f"{name} {value!r}", expected, f"correct `{name}`")
        if self.size is not None:
            whole_number("size", self.size, 3, "a whole number of at least 3")
        if self.phases not in PHASES:
            raise SpecError(f"phases {self.phases!r}", "'sign' or 'any'", "correct `phases`")

    def grid(self, signal: SignalShape) -> Shaped[np.ndarray, "waves axes"]:
        """The frequencies of the waves along each axis of a signal, in the axes' units, one of each pair ±k.

        Several axes are sampled evenly from -highest to highest, a single one evenly on a logarithmic scale. The bin at
        half the sampling rate, whose waves have two phases only, is left out.

        Raises:
            SpecError: If the signal has no axis along which waves run.
            InputError: If there are more than `MOST` waves.
        """
        axes = wave_axes(signal)
        if not axes:
            raise SpecError("a signal with channels only", ORDERED, "explain another signal")
        size = self.size or SIZES.get(len(axes), 5)
        numbers = [self._numbers(signal.shape[dim], rate, size, len(axes)) for dim, rate, _ in axes]
        signed = numbers if len(axes) == 1 else [sorted({-k for k in own} | set(own)) for own in numbers]
        if math.prod(map(len, signed)) > 2 * MOST:
            got = f"{size} frequencies along each of {len(axes)} axes"
            raise InputError(got, f"at most {MOST} waves", "take fewer")
        waves = [k for k in product(*signed) if next((part for part in k if part), 1) > 0]
        rates = [rate / signal.shape[dim] for dim, rate, _ in axes]
        return np.array(waves, dtype=float) * np.array(rates)

    def _numbers(self, length: int, rate: float, size: int, axes: int) -> list[int]:
        """The numbers of cycles along one axis, from 0."""
        top = (length - 1) // 2
        if self.highest is not None:
            top = min(top, math.floor(self.highest * length / rate + 1e-9))
        if top < 1:
            return [0]
        if axes == 1:
            return [0, *np.unique(np.geomspace(1, top, max(1, size - 1)).round().astype(int)).tolist()]
        return sorted(set(np.linspace(0, top, (size + 1) // 2).round().astype(int).tolist()))


def wave_axes(signal: SignalShape) -> list[tuple[int, float, WaveAxis]]:
    """The axes of a signal that have an order: the dimension, entries per unit, and name and unit.

    Frequencies of pictures and volumes count cycles along the shorter side.
    """
    ordered = [(dim, signal.axes[dim]) for dim in signal.ordered_axes]
    found = []
    for dim, axis in ordered:
        unit, rate = axis.unit, axis.rate
        if unit in WHOLE:
            rate *= min(other.length for _, other in ordered if other.unit == unit)
            unit = WHOLE[unit]
        found.append((dim, rate, WaveAxis(axis.name, unit)))
    return found


def cycles_of(frequencies: Shaped[np.ndarray, "waves axes"], signal: SignalShape) -> Shaped[np.ndarray, "waves axes"]:
    """The nearest whole numbers of cycles along each axis of a signal; NaN where it has no such frequency.

    Args:
        frequencies: In the units of `wave_axes`, perhaps of signals of another size.
        signal: The signal's shape.
    """
    axes = wave_axes(signal)
    lengths = np.array([signal.shape[dim] for dim, _, _ in axes], dtype=float)
    cycles = np.round(frequencies * lengths / np.array([rate for _, rate, _ in axes]))
    missing = (np.abs(cycles) > (lengths - 1) // 2).any(1) | ((cycles == 0).all(1) & (frequencies != 0).any(1))
    return np.where(missing[:, None], math.nan, cycles)


def wave_readings(
    score: Score, signal: SignalShape, frequencies: Shaped[np.ndarray, "waves axes"], waves: Waves, rng: ExampleRng
) -> Float[Tensor, "batch waves measures"]:
    """The readings of each example with each wave added, float64 on the CPU; NaN where it has no such frequency.

        x + r v U        U = cos(2π Σ_d k_d n_d / N_d + θ), scaled to norm 1

    In each channel r is a random sign (and with `phases="any"` θ a random phase), each example's own. The norm v is
    `level` times that of the example around its mean, over all channels together, divided by the root of their number.

    Args:
        score: A batch whose targets are resolved.
        signal: Its signals' shape.
        frequencies: As `Waves.grid` makes them.
        waves: The size and the phases.
        rng: The random streams of the examples.
    """
    x, cycles = score.signal, cycles_of(frequencies, signal)
    known = np.flatnonzero(np.isfinite(cycles).all(1))
    channels = [axis.length for axis in signal.axes if axis.channel]
    angles = _angles(rng.uniform((len(frequencies), *channels), "heat map").double(), waves.phases)
    spread = (x - x.mean(dim=tuple(range(1, x.ndim)), keepdim=True)).flatten(1).norm(dim=1)
    norms = waves.level * spread / math.sqrt(math.prod(channels))
    pairs = [(wave, example) for wave in known.tolist() for example in range(len(x))]
    table = torch.full((len(x), len(frequencies), len(MEASURES)), math.nan, dtype=torch.float64)

    def run(chunk: slice) -> None:
        made = x.new_empty((len(pairs[chunk]), *x.shape[1:]))
        start = 0
        for wave, members in groupby(pairs[chunk], key=lambda pair: pair[0]):
            examples = [example for _, example in members]
            own = slice(start, start := start + len(examples))
            added = unit_waves(signal, cycles[wave], angles[examples, wave], x)
            made[own] = x[examples] + added * norms[examples].view(-1, *[1] * (x.ndim - 1))
        places, rows = (torch.tensor(column) for column in zip(*pairs[chunk], strict=True))
        table[rows, places] = measures(score.value(made, rows.to(x.device)))

    rows_per_batch = max(1, score.batcher.size)
    batcher = MicroBatcher(rows_per_batch * max(1, ENTRIES // (rows_per_batch * x[0].numel())))
    batcher.run(run, len(pairs))
    score.batcher.splits += batcher.splits
    return table


def _angles(uniform: Shaped[Tensor, "..."], phases: str) -> Shaped[Tensor, "..."]:
    """Phases from uniform numbers: 0 or π, or any."""
    return (uniform < 0.5).to(uniform) * math.pi if phases == "sign" else uniform * 2 * math.pi


def unit_waves(
    signal: SignalShape, cycles: Shaped[np.ndarray, " axes"], angles: Float[Tensor, "rows *channels"], like: Tensor
) -> Float[Tensor, "rows *signal"]:
    """Waves of norm 1 in each channel, shape `(rows, *signal)`, of the type and on the device of `like`.

    Args:
        signal: The signals' shape.
        cycles: The number of cycles along each axis that has an order.
        angles: The phase of each row in each channel, in radians, float64; of frequency 0 only its sign counts.
        like: Any tensor of that type.
    """
    ordered = signal.ordered_axes
    phase = torch.zeros((), dtype=torch.float64)
    for dim, k in zip(ordered, cycles.tolist(), strict=True):
        shape, length = [1] * len(signal.shape), signal.shape[dim]
        shape[dim] = length
        steps = torch.arange(length, dtype=torch.float64)
        phase = phase + (2 * math.pi / length * ((k * steps) % length)).view(shape)
    angles = angles.view(len(angles), *[axis.length if axis.channel else 1 for axis in signal.axes])
    size = math.sqrt((2 if cycles.any() else 1) / math.prod(signal.shape[dim] for dim in ordered))
    if not cycles.any():
        return (angles.cos().sign() * size).to(like).expand(len(angles), *signal.shape)
    cosine, sine = phase.cos().to(like), phase.sin().to(like)
    return (size * angles.cos()).to(like) * cosine - (size * angles.sin()).to(like) * sine
