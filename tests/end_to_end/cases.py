"""What the tests of real models of sound, cells, proteins and volumes share: the laws of `tests.models.laws`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import torch

from hf_fourier import Attribution, FourierExplainer
from tests.models import laws

Asset = Callable[[str], Path]


@dataclass
class Case:
    """A model, examples, and those that are hard in their own way; `own` asks the model itself for its logits."""

    explain: FourierExplainer
    examples: Sequence[Any]
    hard: Sequence[Any]
    own: Callable[[Any], torch.Tensor]

    @cached_property
    def alone(self) -> list[Attribution]:
        """The examples explained one by one, once."""
        return [self.explain.explain(example) for example in self.examples]

    def answers_as_without_us(self) -> None:
        for example in (*self.examples, *self.hard):
            with torch.no_grad():
                theirs = self.own(example)
            laws.close(laws.own_forward(self.explain, self.explain.wrapper.encode(example)), theirs)

    def is_whole(self) -> None:
        for result in self.alone:
            laws.whole(result)
            assert result.gradient.abs().max() > 0
        for example in self.hard:
            laws.whole(self.explain.explain(example))

    def comes_in_any_batch(self) -> None:
        for size in ("auto", 2):
            turned = self.explain.explain(list(self.examples)[::-1], batch_size=size)
            for one, other in zip(self.alone[::-1], turned, strict=True):
                laws.same(one, other)
        by_ffc = [self.explain.explain(example, method="ffc") for example in self.examples]
        for one, other in zip(by_ffc, self.explain.explain(list(self.examples), method="ffc"), strict=True):
            laws.same(one, other)

    def costs_one_pass_each_way(self) -> None:
        laws.one_pass_each_way(self.explain, self.examples)

    def signals_the_model_alone(self) -> None:
        laws.nothing_is_changed(self.explain, self.examples[0])

    def comes_back(self, folder: Path) -> None:
        laws.comes_back(self.explain, self.explain.explain(self.examples[0]), folder)


LAWS = [
    Case.answers_as_without_us, Case.is_whole, Case.comes_in_any_batch, Case.costs_one_pass_each_way,
    Case.signals_the_model_alone,
]  # fmt: skip
every_law = pytest.mark.parametrize("law", LAWS, ids=[law.__name__ for law in LAWS])
