"""Response: how much of each feature the model reads, the feature's amplitude times the model's gain at it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch

from hf_fourier.domains.base import Basis
from hf_fourier.errors import SpecError
from hf_fourier.methods.base import METHODS, Method, Ranking
from hf_fourier.scoring.representation import LAST_LINEAR, OUTPUT, RepresentationPass
from hf_fourier.scoring.score import Score
from hf_fourier.seeding import ExampleRng
from hf_fourier.typing import Float, Tensor


@METHODS.register("response")
@dataclass(frozen=True)
class Response(Method):
    """Rank by amplitude times gain: how strongly the model's output, or a layer, responds to each feature.

    With h(x) the representation that the model's answer is computed from and v random signs, one of each number of h,

        R_k = |F|_k sqrt( E_v |W ∇ <v, h(x)>|²_k ),

    the root mean square over v of the gradient's coefficients, times the feature's own amplitude. No label enters: R is
    0 where the model does not respond, and it does not say for which label a feature is evidence. The gain is that at
    the clean example.

    Attributes:
        representation: h: "auto" for the input of the last linear layer at the positions that the head reads, "logits"
            for the logits (without their mean over the classes), or the name of a module for its output.
        probes: Random vectors v: each costs a backward pass.
    """

    representation: str = LAST_LINEAR
    probes: int = 8

    reference: ClassVar[str] = "ours; random probes: Hutchinson 1990 (doi 10.1080/03610919008812866)"
    follows_label: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not isinstance(self.probes, int) or isinstance(self.probes, bool) or self.probes < 1:
            raise SpecError(f"probes {self.probes!r}", "a whole number of at least 1", "correct `probes`")
        object.__setattr__(self, "representation", str(self.representation))  # a module's name may be a number
        if self.representation == OUTPUT:
            raise SpecError("representation 'output'", "'auto', 'logits' or the name of a module", "choose another")

    @property
    def properties(self) -> tuple[str, ...]:
        """The probes are random."""
        return ("seeded",)

    @property
    def passes(self) -> tuple[int, int]:
        """One forward and one backward pass at the clean example, and a backward pass per probe."""
        return 1, self.probes + 1

    @property
    def shares_clean_pass(self) -> bool:
        """The pass that gives the representation is its own."""
        return False

    def attribute(self, score: Score, x: Float[Tensor, "batch *signal"], basis: Basis, rng: ExampleRng) -> Ranking:
        """R_k; the extras name the representation."""

        def visit(part: RepresentationPass) -> tuple[Tensor, Tensor]:
            return squared_gain(part, basis, rng, self.probes), part.gradient_of_value()

        gains, gradients = zip(*score.represent(x, visit, self.representation), strict=True)
        scores = basis.magnitude(basis.forward(x)) * (torch.cat(gains) / self.probes).sqrt()
        described = score.representation(self.representation).description
        return Ranking(scores, torch.cat(gradients), extras={"representation": [described] * len(x)})


def squared_gain(
    part: RepresentationPass, basis: Basis, rng: ExampleRng, probes: int
) -> Float[Tensor, "rows features"]:
    """The sum over random signs v of `|W ∇ <v, h>|²_k`: one backward pass each; the graph is kept.

    Args:
        part: A pass at signals of which each row is one example, in order.
        basis: The domain.
        rng: The random streams of all examples.
        probes: How many v.
    """
    total = torch.zeros(0)
    for probe in range(probes):
        noise = rng.normal(part.values.shape[1:], "probe", probe)[part.rows]
        signs = torch.where(noise > 0, 1.0, -1.0).to(part.values)
        gradient = part.gradient(partial(_along, signs), last=False)
        gain = basis.magnitude(basis.pullback(gradient)).square()
        total = gain if probe == 0 else total + gain
    return total


def _along(signs: Float[Tensor, "rows ..."], h: Float[Tensor, "rows ..."]) -> Float[Tensor, " rows"]:
    return (signs * h).flatten(1).sum(1)
