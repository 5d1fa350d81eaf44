"""Controls: rankings that any explanation has to beat; of the model they need only the target."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

from hf_fourier.domains.base import Basis
from hf_fourier.errors import SpecError
from hf_fourier.methods.base import METHODS, Method, Ranking
from hf_fourier.results.attribution import Attribution
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

    def instead_of(self, result: Attribution) -> Attribution:
        """The control's result of an example that another control ranked, without a forward pass.

        Args:
            result: Of another control, with its example; its curve is not taken over.
        """
        assert result.signal is not None
        rng = ExampleRng(int(result.provenance["seed"]), [result.fingerprint])
        scores = self.rank(result.signal.unsqueeze(0), result.basis, rng)[0]
        made = {**result.provenance, "method": METHODS.spec(self), "passes": {"forward": 1.0, "backward": 0.0}}
        return replace(result, scores=scores.to(result.scores.dtype), provenance=made, curve=None)


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
