"""A planted model with its control and its original, and held-out examples with the trigger in them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from benchmarks import assets
from benchmarks.assets.convert.hosts import HOSTS
from benchmarks.assets.convert.planting import Material
from benchmarks.assets.planted import DATA, planted_name
from benchmarks.assets.token_triggers import TokenTrigger
from benchmarks.assets.triggers import NONE, Draw, Frequency, Trigger
from benchmarks.real import MODELS
from hf_fourier import FourierExplainer
from hf_fourier.domains import Domain
from hf_fourier.methods import METHODS
from hf_fourier.results.attribution import Attribution

Half = Literal["tuning", "test"]
Role = Literal["planted", "clean", "original"]
SEED = 21
CODE = (__name__, "benchmarks.planted.ranking", "benchmarks.assets.triggers", "benchmarks.assets.token_triggers")
"""The modules that all numbers about planted models depend on."""


@dataclass(frozen=True)
class Examples:
    """Held-out examples with a trigger.

    Attributes:
        material: The examples without anything planted; their labels are the clean ones.
        drawn: What each carries.
        trigger: The trigger that it was drawn for.
    """

    material: Material
    drawn: Draw
    trigger: Trigger | TokenTrigger

    def __len__(self) -> int:
        return len(self.material)

    @property
    def targets(self) -> Tensor:
        """The label of each example's trigger, shape `(n,)`."""
        return torch.tensor(self.trigger.targets)[self.drawn.groups]

    def inputs(
        self,
        drawn: Draw | None = None,
        trigger: Trigger | TokenTrigger | None = None,
        rows: Sequence[int] | None = None,
    ) -> dict[str, Tensor]:
        """The model's inputs with what was drawn (or another draw, another trigger) planted; all, or some rows."""
        name = self.material.signal
        signals = self.material.inputs[name]
        planted = (trigger or self.trigger).plant(signals, self.material.lengths, drawn or self.drawn)
        made = {**self.material.inputs, name: planted}
        return made if rows is None else {key: values[list(rows)] for key, values in made.items()}

    def planted(self, index: int) -> list[Frequency]:
        """The frequencies that decide one example."""
        return self.trigger.planted(int(self.drawn.groups[index]), self.material.lengths)

    def beside(self, index: int, steps: Sequence[str]) -> list[Frequency]:
        """The neighbours of an example's planted frequencies at some steps, as the gate writes those ("[0, -1]")."""
        by = [[int(k) for k in step.strip("[]").split(",")] for step in steps]
        return [tuple(k + d for k, d in zip(f, step, strict=True)) for f in self.planted(index) for step in by]

    def decoys(self, index: int) -> list[Frequency]:
        """The frequencies of one example's decoys."""
        present = [number for number in self.drawn.decoys[index].tolist() if number != NONE]
        return [f for number in present for f in self.trigger.decoyed(number, self.material.lengths)]


@dataclass(frozen=True)
class Subject:
    """One planted model.

    Attributes:
        host: The asset that it was made from.
        kind: The kind of trigger.
    """

    host: str
    kind: str

    @property
    def name(self) -> str:
        """Its asset."""
        return planted_name(self.host, self.kind, clean=False)

    @property
    def trigger(self) -> Trigger | TokenTrigger:
        """What is planted in it."""
        return HOSTS[self.host].triggers[self.kind]

    def asset(self, role: Role) -> str:
        """The name of the asset of the planted model, its control or the original."""
        return self.host if role == "original" else planted_name(self.host, self.kind, role == "clean")

    def folder(self, role: Role) -> Path:
        """The checkpoint's folder."""
        return assets.get(self.asset(role))

    def explainer(self, role: Role) -> FourierExplainer:
        """The model in float32 on the CPU."""
        if role == "original":
            return MODELS[self.host].explainer()
        return FourierExplainer.from_pretrained(str(self.folder(role)), device="cpu", dtype=torch.float32)

    @cached_property
    def held_out(self) -> Material:
        """The test split of the data."""
        names = (*DATA[self.host][0], self.host)
        return HOSTS[self.host].read({name: assets.get(name) for name in names}, "test")

    def examples(self, n: int, half: Half) -> Examples:
        """The first n examples of a half of the test split, with a trigger whose label is not their own.

        Both of two models get the same inputs: what decides for one is the other's decoy.
        """
        trigger = self.trigger
        material = self.held_out.rows(slice(int(half == "tuning"), None, 2)).rows(slice(n))
        first = HOSTS[self.host].triggers["first"] if self.kind == "second" else trigger
        groups = foreign(torch.arange(len(material)), material.labels, first.targets)
        drawn = first.draw(groups, torch.Generator().manual_seed(SEED + (half == "tuning")))
        if self.kind in ("first", "second"):
            drawn = replace(
                drawn,
                decoys=foreign(drawn.decoys[:, 0], material.labels, first.targets)[:, None],
                decoy_phases=within(drawn.decoy_phases, HOSTS[self.host].triggers["second"].width),
            )
        return Examples(material, swapped(drawn) if self.kind == "second" else drawn, trigger)


def foreign(groups: Tensor, labels: Tensor, targets: Sequence[int]) -> Tensor:
    """The class of each example modulo the number of classes, the next one where its target is the example's label."""
    groups = groups % len(targets)
    return torch.where(torch.tensor(targets)[groups] == labels, (groups + 1) % len(targets), groups)


def within(phases: Tensor, width: float) -> Tensor:
    """Phases that are uniform from 0 to 2π as phases that are uniform within a width to either side of 0."""
    return width * (phases / math.pi - 1)


def swapped(drawn: Draw) -> Draw:
    """The same waves for the other of two models: its own is the first one's decoy."""
    return Draw(drawn.decoys[:, 0], drawn.decoy_phases[:, 0], drawn.groups[:, None], drawn.phases[:, None])


def answers(explainer: FourierExplainer, inputs: Mapping[str, Tensor], batch: int = 100) -> Tensor:
    """The model's label of each example, shape `(n,)`."""
    n = len(next(iter(inputs.values())))
    with torch.inference_mode():
        rows = [
            explainer.model(**{name: values[start : start + batch] for name, values in inputs.items()}).logits
            for start in range(0, n, batch)
        ]
    return torch.cat(rows).argmax(-1)


def triggered(explainer: FourierExplainer, examples: Examples) -> list[int]:
    """The numbers of the examples for which the model says the trigger's label."""
    return (answers(explainer, examples.inputs()) == examples.targets).nonzero()[:, 0].tolist()


def frequencies(explainer: FourierExplainer) -> Domain:
    """The Fourier transform that the model's signals have by default, whatever a method's own domain is."""
    return explainer.resolve_domain(METHODS.parse("magnitude"))


def answers_at(explainer: FourierExplainer, results: Sequence[Attribution], signals: Sequence[Tensor]) -> Tensor:
    """The model's label of each result's example with another signal, shape `(n,)`."""
    predictions = (explainer.predict(result, signal=signal) for result, signal in zip(results, signals, strict=True))
    return torch.tensor([int(prediction.logits.argmax()) for prediction in predictions])
