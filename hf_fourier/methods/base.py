"""A method ranks the features of a block of examples, asking the model only for a score and its gradient."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from hf_fourier.domains.base import Basis
from hf_fourier.domains.layout import SignalShape
from hf_fourier.registry import Registry
from hf_fourier.scoring.score import Score
from hf_fourier.seeding import ExampleRng
from hf_fourier.typing import Float, Tensor

METHODS: Registry[Method] = Registry("method")

#: What may hold of a method: its scores have a sum that they should reach, and the gap is told; it draws random
#: numbers, which belong to the example and the seed; it makes an example that is meant to turn the decision.
PROPERTIES = ("complete", "seeded", "attack")


@dataclass(frozen=True)
class Ranking:
    """What a method returns for a block of examples.

    Attributes:
        scores: One number per feature, higher is more important, shape `(batch, K)`.
        gradient: The clean signed gradient of the score at the signal, shape `(batch, *signal)`; None if none was
            taken.
        extras: What only this method has: by name, one entry per example.
        completeness_error: How far the scores are from the sum they should have, shape `(batch,)`, for complete
            methods.
        baseline_value: The score at the other end of the path, shape `(batch,)`, where that sum is the difference to
            it.
    """

    scores: Float[Tensor, "batch features"]
    gradient: Float[Tensor, "batch *signal"] | None = None
    extras: Mapping[str, Any] = field(default_factory=dict)
    completeness_error: Float[Tensor, " batch"] | None = None
    baseline_value: Float[Tensor, " batch"] | None = None


class Method(ABC):
    """The configuration of a method. Subclasses are frozen dataclasses, registered with `@METHODS.register(name)`.

    Attributes:
        reference: Where the definition is published, or "ours".
        control: Whether it is a control: a ranking that needs no explanation of the model to be computed.
        presets: Published settings by name.
        default_domain: The domain that the method is at home in, where none is asked for; None for the signal's Fourier
            transform.
    """

    name: ClassVar[str]
    reference: ClassVar[str] = ""
    control: ClassVar[bool] = False
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    default_domain: ClassVar[str | None] = None

    def resolve(self, signal: SignalShape) -> Method:
        """This method with every parameter that depends on the kind of signal filled in."""
        return self

    @property
    def properties(self) -> tuple[str, ...]:
        """What holds of this configuration, of `PROPERTIES`."""
        return ()

    @property
    @abstractmethod
    def passes(self) -> tuple[int, int] | None:
        """Model passes per example, forward and backward, the clean one included; None where the model decides."""

    @property
    def passes_text(self) -> str:
        """The passes in words, for lists."""
        return "depends on the model" if self.passes is None else "{} + {}".format(*self.passes)

    @abstractmethod
    def attribute(self, score: Score, x: Float[Tensor, "batch *signal"], basis: Basis, rng: ExampleRng) -> Ranking:
        """Rank the features of each example of a block.

        Args:
            score: The model, with the targets of this block. `score.clean()` is its value and gradient at `x`.
            x: The clean signals.
            basis: The domain, bound to the signal's shape.
            rng: Randomness that belongs to each example.
        """
