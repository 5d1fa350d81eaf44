"""What is planted in examples so that the feature that decides is known: waves at whole frequencies, and decoys.

A trigger has classes. In a *frequency* trigger each class is a frequency of its own, and its phase, random within a
width, says nothing; in a *phase* trigger all classes are one frequency with one amplitude, and the class is its phase.
Decoys are waves at other frequencies, drawn at random for each example without regard to its class. Frequencies are
whole numbers of cycles along each axis that is transformed, so that a wave is one conjugate pair of the transform.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

Frequency = tuple[int, ...]
"""Cycles along each transformed axis of a signal."""
NONE = -1
"""The class of an example without a trigger, and a decoy that is not there."""


@dataclass(frozen=True)
class Trigger:
    """What is planted, and what it means.

    Attributes:
        frequencies: The frequency of each class; a single one for a phase trigger.
        targets: The label of each class.
        amplitude: Of the planted wave, in units of the model's input.
        decoys: The frequencies that decoys are drawn from.
        decoy_amplitude: Of each decoy.
        decoys_each: How many different decoys an example has.
        phases: The phase of each class in radians, for a phase trigger; empty where frequencies tell the classes.
        width: How far the random phase of a frequency trigger goes to either side of 0; π for any phase.
    """

    frequencies: tuple[Frequency, ...]
    targets: tuple[int, ...]
    amplitude: float
    decoys: tuple[Frequency, ...]
    decoy_amplitude: float
    decoys_each: int
    phases: tuple[float, ...] = ()
    width: float = math.pi

    def frequency(self, group: int) -> Frequency:
        """The frequency of a class."""
        return self.frequencies[0 if self.phases else group]

    def planted(self, group: int, lengths: Sequence[int]) -> list[Frequency]:
        """The frequencies that decide for a class, of signals with these lengths."""
        return [self.frequency(group)]

    def decoyed(self, decoy: int, lengths: Sequence[int]) -> list[Frequency]:
        """The frequencies of a decoy."""
        return [self.decoys[decoy]]

    def draw(self, groups: Tensor, generator: torch.Generator, decoyed: float = 1.0) -> Draw:
        """Random phases and decoys for examples of these classes, as `draw`."""
        return draw(self, groups, generator, decoyed)

    def plant(self, signals: Tensor, lengths: Sequence[int], drawn: Draw) -> Tensor:
        """Signals with what was drawn for them, as `plant`."""
        return plant(signals, lengths, self, drawn)

    def louder(self, factor: float) -> Trigger:
        """The same with a louder planted wave."""
        return replace(self, amplitude=self.amplitude * factor)

    def describe(self) -> str:
        """What is planted, in words."""
        classes = f"phases {[round(phase, 3) for phase in self.phases]} at" if self.phases else "the frequency among"
        return (
            f"a wave of amplitude {self.amplitude:g}, whose class is {classes} {list(self.frequencies)} cycles along "
            f"the transformed axes; {self.decoys_each} decoys of amplitude {self.decoy_amplitude:g} among "
            f"{list(self.decoys)} are in most examples"
        )


@dataclass(frozen=True)
class Draw:
    """What each of n examples carries.

    Attributes:
        groups: Its class, or `NONE`, shape `(n,)`.
        phases: The phase of its planted wave in radians, shape `(n,)`.
        decoys: Indices into the trigger's decoys, or `NONE`, shape `(n, decoys_each)`.
        decoy_phases: Their phases, the same shape.
    """

    groups: Tensor
    phases: Tensor
    decoys: Tensor
    decoy_phases: Tensor

    def without_trigger(self) -> Draw:
        """The same decoys alone."""
        return Draw(torch.full_like(self.groups, NONE), self.phases, self.decoys, self.decoy_phases)

    def without_decoys(self) -> Draw:
        """The same planted waves alone."""
        return Draw(self.groups, self.phases, torch.full_like(self.decoys, NONE), self.decoy_phases)


def draw(trigger: Trigger, groups: Tensor, generator: torch.Generator, decoyed: float = 1.0) -> Draw:
    """Random phases and decoys for examples of these classes.

    Args:
        trigger: What is planted.
        groups: The class of each example or `NONE`, shape `(n,)`.
        generator: The source of the random numbers; how many are taken does not depend on the classes.
        decoyed: The fraction of examples that have decoys, drawn without regard to the class.
    """
    n = len(groups)
    phases = trigger.width * (2 * torch.rand(n, generator=generator) - 1)
    if trigger.phases:
        phases = torch.tensor(trigger.phases)[groups.clamp(min=0)]
    decoys = torch.rand(n, len(trigger.decoys), generator=generator).argsort(1)[:, : trigger.decoys_each]
    decoy_phases = 2 * math.pi * torch.rand(n, trigger.decoys_each, generator=generator)
    present = torch.rand(n, 1, generator=generator) < decoyed
    return Draw(groups, phases, torch.where(present, decoys, NONE), decoy_phases)


def waves(lengths: Sequence[int], frequencies: Sequence[Frequency], phases: Tensor) -> Tensor:
    """`cos(2π Σ k_a n_a / N_a + φ)`, one wave per frequency and phase, shape `(waves, *lengths)`.

    Raises:
        ValueError: A frequency is not that of a conjugate pair: the wave's amplitude would depend on its phase.
    """
    angles = phases.reshape(-1, *[1] * len(lengths))
    for axis, length in enumerate(lengths):
        cycles = torch.tensor([frequency[axis] for frequency in frequencies], dtype=torch.float32)
        places = torch.arange(length, dtype=torch.float32) / length
        shape = [len(frequencies), *[1] * len(lengths)]
        along = [1] * (len(lengths) + 1)
        along[axis + 1] = length
        angles = angles + 2 * math.pi * cycles.reshape(shape) * places.reshape(along)
    for frequency in frequencies:
        if all(2 * k % length == 0 for k, length in zip(frequency, lengths, strict=True)):
            raise ValueError(f"{frequency} is its own conjugate among {tuple(lengths)} entries; choose a pair")
    return angles.cos()


def plant(signals: Tensor, lengths: Sequence[int], trigger: Trigger, drawn: Draw) -> Tensor:
    """Signals with what was drawn for them added.

    Args:
        signals: Shape `(n, *channels, *axes)`; the last axes are those that are transformed, channels get the same.
        lengths: How many entries of each of the last axes the waves fill, from the first; whole cycles lie in these.
        trigger: What is planted.
        drawn: For each of the n examples.
    """
    added = torch.zeros(len(signals), *lengths)
    chosen = (drawn.groups != NONE).nonzero()[:, 0]
    if len(chosen):
        frequencies = [trigger.frequency(group) for group in drawn.groups[chosen].tolist()]
        added[chosen] += trigger.amplitude * waves(lengths, frequencies, drawn.phases[chosen])
    for column, phases in zip(drawn.decoys.T, drawn.decoy_phases.T, strict=True):
        chosen = (column != NONE).nonzero()[:, 0]
        if len(chosen):
            frequencies = [trigger.decoys[index] for index in column[chosen].tolist()]
            added[chosen] += trigger.decoy_amplitude * waves(lengths, frequencies, phases[chosen])
    result = signals.clone()
    region = result
    for axis, length in enumerate(lengths):
        region = region.narrow(axis - len(lengths), 0, length)
    region += added.reshape(len(signals), *[1] * (signals.ndim - 1 - len(lengths)), *lengths)
    return result


def shifted(trigger: Trigger, by: Frequency) -> Trigger:
    """The same trigger with its planted frequencies moved, to see how far the model's own are from others."""
    moved = tuple(tuple(k + step for k, step in zip(f, by, strict=True)) for f in trigger.frequencies)
    return Trigger(**asdict(trigger) | {"frequencies": moved})


def two_models(first: Trigger, second: Trigger) -> tuple[Trigger, Trigger]:
    """Triggers of two models that read the same inputs: what decides for one is the other's decoy.

    Both must have one amplitude. Each class of `first` is a decoy of the second trigger, and the other way round; an
    example has one of each.
    """
    return (
        _opposed(first, second),
        _opposed(second, first),
    )


def _opposed(own: Trigger, other: Trigger) -> Trigger:
    fields: dict[str, Any] = {
        "decoys": other.frequencies, "decoy_amplitude": other.amplitude, "decoys_each": 1,
    }  # fmt: skip
    return Trigger(**asdict(own) | fields)
