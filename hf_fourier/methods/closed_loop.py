"""Closed-loop FFC: the gradient is taken where features have been deleted, in stages."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import torch

from hf_fourier.domains.base import Basis
from hf_fourier.domains.layout import SignalShape
from hf_fourier.errors import SpecError
from hf_fourier.methods.base import METHODS, Method, Ranking
from hf_fourier.methods.ffc import DEFAULT_KAPPA, KAPPA, correlation_scores, scale_to_length
from hf_fourier.results.ordering import cut, descending, sorted_shuffled
from hf_fourier.scoring.score import Score
from hf_fourier.seeding import ExampleRng
from hf_fourier.typing import Bool, Float, Tensor


@METHODS.register("closed_loop")
@dataclass(frozen=True)
class ClosedLoop(Method):
    """FFC whose gradient is computed again, several times, with the least important features deleted.

    FFC takes its gradient at the clean example, where nothing has been deleted yet. Here the top fraction r of the
    present ranking is kept, the gradient taken there, its unit direction u added to the sum, and the features ranked
    again by FFC's formula with `d = kappa ||x|| Σu / ||Σu||`; then r is lowered. It finds much smaller sets of features
    that suffice for a label; with a large `kappa` it finds them for wrong labels too.

    Attributes:
        keeps: The fractions that are kept, stage by stage; the first stage, at the clean example, comes before them.
        kappa: Length of the displacement relative to the signal's; None for the default of the kind of signal.
        lam: Weight of the magnitude, as in FFC.
    """

    keeps: tuple[float, ...] = (0.5, 0.25, 0.12, 0.06)
    kappa: float | None = None
    lam: float = 1.0

    reference: ClassVar[str] = "ours, unpublished"
    presets: ClassVar[dict[str, dict[str, object]]] = {
        "long": {"keeps": (0.5, 0.35, 0.25, 0.18, 0.12, 0.08, 0.05, 0.03)}
    }

    def __post_init__(self) -> None:
        object.__setattr__(self, "keeps", checked_keeps(self.keeps))

    def resolve(self, signal: SignalShape) -> ClosedLoop:
        """With κ filled in for the kind of signal."""
        return self if self.kappa is not None else replace(self, kappa=KAPPA.get(signal.kind, DEFAULT_KAPPA))

    @property
    def passes(self) -> tuple[int, int]:
        """One forward and one backward pass per stage, the clean one included."""
        return len(self.keeps) + 1, len(self.keeps) + 1

    def attribute(self, score: Score, x: Float[Tensor, "batch *signal"], basis: Basis, rng: ExampleRng) -> Ranking:
        """FFC's scores with the direction summed over the stages."""
        if self.kappa is None:
            raise SpecError("kappa None", "a number", "call `resolve(signal)` first")
        clean = score.clean()
        coefficients = basis.forward(x)
        length = self.kappa * x.flatten(1).norm(dim=1).view(-1, *[1] * (x.ndim - 1))
        direction = scale_to_length(clean.margin_gradient)
        scores = correlation_scores(basis, coefficients, basis.forward(length * direction), self.lam)
        for keep in self.keeps:
            filtered = basis.keep_features(coefficients, top_mask(scores, basis, rng, keep))
            direction = direction + scale_to_length(score.value_and_gradient(filtered).margin_gradient)
            scores = correlation_scores(
                basis, coefficients, basis.forward(length * scale_to_length(direction)), self.lam
            )
        return Ranking(scores, clean.gradient)


def checked_keeps(keeps: tuple[float, ...] | float) -> tuple[float, ...]:
    """The fractions that stages keep; one number is one stage.

    Raises:
        SpecError: If one is no fraction, or there is none.
    """
    several = (float(keeps),) if isinstance(keeps, (int, float)) else tuple(keeps)
    if not several or not all(0 < keep <= 1 for keep in several):
        raise SpecError(f"keeps {keeps!r}", "fractions above 0 and up to 1", "correct `keeps`")
    return several


def top_mask(
    scores: Float[Tensor, "batch features"], basis: Basis, rng: ExampleRng, keep: float
) -> Bool[Tensor, "batch features"]:
    """The top features of each example's present ranking."""
    mask = torch.zeros_like(scores, dtype=torch.bool)
    if scores.device.type != "cpu":
        order, counts = sorted_shuffled(scores), basis.multiplicity_on(scores.device)
        first = counts[order].cumsum(1) <= round(keep * int(basis.multiplicity.sum()))
        first[:, 0] = True
        return mask.scatter_(1, order, first)
    for i, row in enumerate(scores):
        order = descending(row, partial(rng.generator, i, "ties"))
        first = order[: cut(basis.multiplicity[order], keep)]
        mask[i, first.to(mask.device)] = True
    return mask
