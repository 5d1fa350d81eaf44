"""A method ranks the features of a batch of examples by the model's score and its gradient alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from hf_fourier.domains.base import Basis
from hf_fourier.domains.layout import SignalShape
from hf_fourier.errors import FourierError
from hf_fourier.methods.path_gradients import Path
from hf_fourier.registry import Registry
from hf_fourier.scoring.score import Score
from hf_fourier.seeding import ExampleRng
from hf_fourier.typing import Bool, Float, Int, Num, Tensor

METHODS: Registry[Method] = Registry("method")


def asks_gradient(spec: str, otherwise: bool = False) -> bool:
    """Whether a method ranks by a gradient of the model, whatever contributions ask beside it.

    Args:
        spec: The method's spec.
        otherwise: What holds for a spec that is not in the registry here, such as a ranking that was handed in.
    """
    try:
        passes = METHODS.parse(spec).passes
    except FourierError:
        return otherwise
    return passes is None or passes[1] > 0


#: Properties of methods: "complete", the scores should reach a sum, and results hold the error; "seeded", it draws
#: random numbers, which depend on the example and the seed; "attack", it makes an adversarial example.
PROPERTIES = ("complete", "seeded", "attack")


@dataclass(frozen=True, eq=False)
class Numbers:
    """One plain number or truth value for each example, among the extras of a ranking, still on an accelerator."""

    values: Num[Tensor, " batch"] | Bool[Tensor, " batch"]


def numbers(values: Num[Tensor, " batch"] | Bool[Tensor, " batch"]) -> Any:
    """One plain number or truth value for each example, for the extras of a ranking: a list, on the CPU at once."""
    return values.tolist() if values.device.type == "cpu" else Numbers(values.detach())


@dataclass(frozen=True)
class Ranking:
    """What a method returns for a batch of examples.

    Attributes:
        scores: One number per feature, higher is more important, shape `(batch, K)`.
        gradient: The clean signed gradient of the score at the signal, shape `(batch, *signal)`; None if none was
            taken.
        extras: Further output of the method: by name, one entry per example, or `Numbers`.
        completeness_error: The sum of the scores minus the sum that they should have, shape `(batch,)`, for complete
            methods.
        baseline_value: The score at the other end of the path, shape `(batch,)`, where that sum is the difference to
            it.
        notes: Remarks on the scores, one sequence per example; empty for none.
        noted: By remark, the examples that it is on, shape `(batch,)`, on whatever device.
        counted: By remark, with `{count}` in it, how many features of each example it is on, shape `(batch,)`, on
            whatever device; an example with none has no such remark.
        paths: Integrals from one reference each, where the method took them; results keep their mean contributions.
    """

    scores: Float[Tensor, "batch features"]
    gradient: Float[Tensor, "batch *signal"] | None = None
    extras: Mapping[str, Any] = field(default_factory=dict)
    completeness_error: Float[Tensor, " batch"] | None = None
    baseline_value: Float[Tensor, " batch"] | None = None
    notes: Sequence[Sequence[str]] = ()
    noted: Mapping[str, Bool[Tensor, " batch"]] = field(default_factory=dict)
    counted: Mapping[str, Int[Tensor, " batch"]] = field(default_factory=dict)
    paths: tuple[Path, ...] = ()


class Method(ABC):
    """The configuration of a method. Subclasses are frozen dataclasses, registered with `@METHODS.register(name)`.

    Attributes:
        reference: Where the definition is published, or "ours".
        control: Whether it is a control: a ranking that does not depend on the model.
        presets: Published settings by name.
        default_domain: The domain where none is given; None for the signal's Fourier transform.
        contribution_kinds: Kinds of signal whose results hold contributions from few points (`integrate_few`), beside
            the method's own passes, unless `contributions` says otherwise.
        follows_label: Whether the ranking is of the label that is asked for; else it is of the model's whole answer.
    """

    name: ClassVar[str]
    reference: ClassVar[str] = ""
    control: ClassVar[bool] = False
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    default_domain: ClassVar[str | None] = None
    contribution_kinds: ClassVar[frozenset[str]] = frozenset()
    follows_label: ClassVar[bool] = True

    def resolve(self, signal: SignalShape) -> Method:
        """This method with every parameter that depends on the kind of signal filled in."""
        return self

    @property
    def properties(self) -> tuple[str, ...]:
        """The `PROPERTIES` of this configuration."""
        return ()

    def properties_for(self, features: int) -> tuple[str, ...]:
        """The `PROPERTIES` of this configuration over so many features: some methods draw where there are many."""
        return self.properties

    @property
    @abstractmethod
    def passes(self) -> tuple[int, int] | None:
        """Model passes per example, forward and backward, the clean one included; None if the model decides.

        Those of contributions are not counted here.
        """

    @property
    def shares_clean_pass(self) -> bool:
        """Whether its pass at the clean signals is the score's own (`clean`, `clean_reading`, `known_answers`)."""
        return True

    @property
    def passes_text(self) -> str:
        """The passes in words, for lists."""
        return "depends on the model" if self.passes is None else "{} + {}".format(*self.passes)

    @abstractmethod
    def attribute(self, score: Score, x: Float[Tensor, "batch *signal"], basis: Basis, rng: ExampleRng) -> Ranking:
        """Rank the features of each example of a batch.

        Args:
            score: The model, with the targets of this batch. `score.clean()` is its value and gradient at `x`.
            x: The clean signals.
            basis: The domain, bound to the signal's shape.
            rng: The random streams of each example.
        """
