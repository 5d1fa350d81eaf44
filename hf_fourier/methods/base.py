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
        gradient: The clean signed gradient of the score at the leaf, shape `(batch, *leaf)`; None if none was taken.
        extras: What only this method has: by name, one entry per example.
        gap: How far the scores are from the sum they should have, shape `(batch,)`, for complete methods.
        reference: The score at the other end of the path, shape `(batch,)`, where that sum is the difference to it.
    """

    scores: Float[Tensor, "batch features"]
    gradient: Float[Tensor, "batch *leaf"] | None = None
    extras: Mapping[str, Any] = field(default_factory=dict)
    gap: Float[Tensor, " batch"] | None = None
    reference: Float[Tensor, " batch"] | None = None


class Method(ABC):
    """The configuration of a method. Subclasses are frozen dataclasses, registered with `@METHODS.register(name)`.

    Attributes:
        source: Where the definition is published, or "ours".
        control: Whether it is a control: a ranking that needs no explanation of the model to be computed.
        presets: Published settings by name.
        home: The domain that the method is at home in, where none is asked for; None for the leaf's Fourier transform.
    """

    name: ClassVar[str]
    source: ClassVar[str] = ""
    control: ClassVar[bool] = False
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    home: ClassVar[str | None] = None

    def settle(self, leaf: SignalShape) -> Method:
        """This method with every parameter that depends on the kind of leaf filled in."""
        return self

    @property
    def traits(self) -> tuple[str, ...]:
        """What holds of this configuration, of `PROPERTIES`."""
        return ()

    @property
    @abstractmethod
    def passes(self) -> tuple[int, int] | None:
        """Model passes per example, forward and backward, the clean one included; None where the model decides."""

    @property
    def told_passes(self) -> str:
        """The passes in words, for lists."""
        return "depends on the model" if self.passes is None else "{} + {}".format(*self.passes)

    @abstractmethod
    def attribute(self, score: Score, x: Float[Tensor, "batch *leaf"], basis: Basis, draw: ExampleRng) -> Ranking:
        """Rank the features of each example of a block.

        Args:
            score: The model, with the targets of this block. `score.clean()` is its value and gradient at `x`.
            x: The clean leaves.
            basis: The domain, bound to the leaf's shape.
            draw: Randomness that belongs to each example.
        """
