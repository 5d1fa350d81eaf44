"""Controls: rankings that any explanation has to beat; of the model they need only the target."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from hf_fourier.domains.base import Basis
from hf_fourier.errors import SpecError
from hf_fourier.methods.base import METHODS, Method, Ranking
from hf_fourier.results.attribution import Attribution
from hf_fourier.scoring.example_batch import grouped
from hf_fourier.scoring.score import Score
from hf_fourier.seeding import ExampleRng
from hf_fourier.typing import Float, Tensor

#: The controls of every comparison.
CONTROLS = ("magnitude", "low_frequency", "random")


class Control(Method):
    """A ranking that does not depend on the model; one forward pass resolves the target."""

    control: ClassVar[bool] = True

    @property
    def passes(self) -> tuple[int, int]:
        """One forward pass, for the target and its confidence."""
        return 1, 0

    @abstractmethod
    def rank(self, x: Float[Tensor, "batch *signal"], basis: Basis, rng: ExampleRng) -> Float[Tensor, "batch features"]:
        """The scores, which need no model."""

    def attribute(self, score: Score, x: Float[Tensor, "batch *signal"], basis: Basis, rng: ExampleRng) -> Ranking:
        """`rank`, as a method returns it."""
        return Ranking(self.rank(x, basis, rng))

    def instead_of(self, results: Sequence[Attribution]) -> list[Attribution]:
        """The control's results of examples that another control ranked, without a forward pass.

        Args:
            results: Of another control, with their examples, by one seed; their curves are not taken over.
        """
        made: dict[int, Attribution] = {}
        for members in grouped(results, lambda result: (result.layout.domain, result.layout.signal)):
            some = [results[i] for i in members]
            rng = ExampleRng(int(some[0].provenance["seed"]), [result.fingerprint for result in some])
            signals = torch.stack([result.signal for result in some if result.signal is not None])
            rows = self.rank(signals, some[0].basis, rng)
            for i, result, scores in zip(members, some, rows, strict=True):
                own = {**result.provenance, "method": METHODS.spec(self), "passes": {"forward": 1.0, "backward": 0.0}}
                scores = scores.to(result.scores.dtype, copy=True)  # so that a result does not keep its whole batch
                made[i] = replace(result, scores=scores, provenance=own, curve=None)
        return [made[i] for i in range(len(results))]


@METHODS.register("magnitude")
@dataclass(frozen=True)
class Magnitude(Control):
    """Rank by `|F|_k`: the strongest features first (the FFC paper's "energy")."""

    reference: ClassVar[str] = 'arXiv 2411.18343, baseline "energy"'

    def rank(self, x: Float[Tensor, "batch *signal"], basis: Basis, rng: ExampleRng) -> Float[Tensor, "batch features"]:
        """The features' magnitudes."""
        return basis.magnitude(basis.forward(x))


@METHODS.register("low_frequency", aliases=("low_freq",))
@dataclass(frozen=True)
class LowFrequency(Control):
    """Rank by radial frequency, lowest first (the FFC paper's "sorted freq")."""

    reference: ClassVar[str] = 'arXiv 2411.18343, baseline "sorted freq"'

    def rank(self, x: Float[Tensor, "batch *signal"], basis: Basis, rng: ExampleRng) -> Float[Tensor, "batch features"]:
        """Minus the radial frequency in cycles per sample, the same for every example."""
        radius = basis.layout.radius
        if radius is None:
            domain = basis.layout.domain
            raise SpecError(f"low_frequency in domain {domain!r}", "features with a frequency", "use another domain")
        return (-radius).to(x).expand(len(x), -1)


@METHODS.register("random")
@dataclass(frozen=True)
class Random(Control):
    """Rank at random, seeded per example; a pair ±k is drawn once."""

    reference: ClassVar[str] = "control"

    @property
    def properties(self) -> tuple[str, ...]:
        """The scores are random."""
        return ("seeded",)

    def rank(self, x: Float[Tensor, "batch *signal"], basis: Basis, rng: ExampleRng) -> Float[Tensor, "batch features"]:
        """Uniform numbers."""
        return rng.uniform((len(basis),), "random").to(x)
