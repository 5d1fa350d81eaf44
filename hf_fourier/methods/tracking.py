"""Tracking: FFC's control loop with the model's own answer as its reference, in place of a label."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch

from hf_fourier.domains.base import Basis
from hf_fourier.errors import SpecError
from hf_fourier.methods.base import METHODS, Method, Ranking
from hf_fourier.methods.closed_loop import checked_keeps
from hf_fourier.methods.ffc import correlation_scores, scale_to_length
from hf_fourier.methods.response import squared_gain
from hf_fourier.results.ordering import SHORT, descending_rows, sorted_shuffled
from hf_fourier.scoring.representation import OUTPUT, RepresentationPass
from hf_fourier.scoring.score import Score
from hf_fourier.seeding import ExampleRng
from hf_fourier.typing import Float, Tensor

#: Note on an example whose answer does not move.
UNMOVED = "the model's output does not change when features are missing: the ranking is that of the magnitudes"
BASES = ("response", "probes", "magnitude")


@METHODS.register("tracking")
@dataclass(frozen=True)
class Tracking(Method):
    """Look for the features that, alone, keep the output closest to that on the whole input (repeated FFC steps).

    FFC follows a label down its loss. Here the goal is the clean model's own output y(x), whatever it says:

        x_S     = the top fraction r of the present ranking, for r = .5, .2, .06 (first by magnitude)
        g      += -∇ D(y(x_S), y(x)),      G²_k += |W ∇ D|²_k
        base_k  = |F|_k G_k, scaled to the norm of |F|
        S_k     = base_k + 2 <W d, F>_k / (m_k |F|_k),    d = kappa ||x|| g / ||g||

    D is the Kullback-Leibler divergence of softmaxes and sigmoids, else the squared difference. The base is the
    response, the amplitude times the gain that the model showed where features were missing; the second term is FFC's
    own, with another goal. The ranking asks which features are used. It follows no label: evidence for or against
    one is another quantity (`contributions`).

    Attributes:
        keeps: The fractions that are kept, stage by stage.
        kappa: Length of the displacement relative to the signal's: the one for all kinds of input that kept more
            decisions than the magnitude and reached another example's answer hardly ever, on the halves for tuning.
        goal: What is tracked: "output", or a representation by name as for `response`, whose squared distance is
            taken. A label has no representation: where another label is the goal, this one stays the example's own.
        base: "response" as above; "probes" for the gain at the clean example by four random probes, as `response`
            takes it; "magnitude" for |F| as in FFC.
    """

    keeps: tuple[float, ...] = (0.5, 0.2, 0.06)
    kappa: float = 0.03
    goal: str = OUTPUT
    base: str = "response"

    reference: ClassVar[str] = "ours; the scores are FFC's (arXiv 2411.18343)"
    presets: ClassVar[dict[str, dict[str, object]]] = {"fast": {"keeps": (0.25,)}}
    follows_label: ClassVar[bool] = False
    #: Words, residues and genes are coloured by evidence for or against the target.
    contribution_kinds: ClassVar[frozenset[str]] = frozenset({"tokens"})

    #: Random probes of the gain at the clean example, for `base="probes"`.
    PROBES: ClassVar[int] = 4

    def __post_init__(self) -> None:
        object.__setattr__(self, "keeps", checked_keeps(self.keeps))
        object.__setattr__(self, "goal", str(self.goal))  # a module's name may be a number
        if self.base not in BASES:
            raise SpecError(f"base {self.base!r}", f"one of {', '.join(BASES)}", "choose one of them")
        if not 0 <= self.kappa < math.inf:
            raise SpecError(f"kappa {self.kappa!r}", "a number of at least 0", "correct `kappa`")

    @property
    def properties(self) -> tuple[str, ...]:
        """Random probes are drawn for one of the bases."""
        return ("seeded",) if self.base == "probes" else ()

    @property
    def passes(self) -> tuple[int, int]:
        """One forward and one backward pass at the clean example and per stage, and a backward pass per probe."""
        return len(self.keeps) + 1, len(self.keeps) + 1 + (self.PROBES if self.base == "probes" else 0)

    @property
    def shares_clean_pass(self) -> bool:
        """Representations and probes take a pass of their own."""
        return self.goal == OUTPUT and self.base != "probes"

    def attribute(self, score: Score, x: Float[Tensor, "batch *signal"], basis: Basis, rng: ExampleRng) -> Ranking:
        """S_k; the extras name the goal."""
        coefficients = score.coefficients(basis)
        magnitude = basis.magnitude(coefficients)
        gradient_there: Tensor | None = None
        squared = magnitude.new_zeros(magnitude.shape)
        goal = score.known_answers() if self.shares_clean_pass else None
        if goal is None:
            clean = score.represent(x, lambda part: self._clean(part, basis, rng), self.goal)
            goal, squared, gradient_there = (torch.cat(parts) for parts in zip(*clean, strict=True))
        goal = score.goal(goal) if self.goal == OUTPUT else goal
        length = self.kappa * x.flatten(1).norm(dim=1).view(-1, *[1] * (x.ndim - 1))
        scores, total = magnitude, torch.zeros_like(x)
        for keep in self.keeps:
            weigh = partial(top_weights, scores, basis, rng, keep)
            weights = score.once(basis, f"magnitude, {keep}, {rng.seed}", weigh) if scores is magnitude else weigh()
            kept = basis.inverse(basis.scale_features(coefficients, weights))
            gradients = score.represent(kept, lambda part: part.gradient(self._loss(score, goal, part)), self.goal)
            gradient = torch.cat(gradients)
            total = total - gradient
            if self.base == "response":
                squared = squared + basis.magnitude(basis.pullback(gradient)).square()
            base = magnitude if self.base == "magnitude" else scaled_like(magnitude * squared.sqrt(), magnitude)
            step = basis.forward(length * scale_to_length(total))
            moved = total.flatten(1).abs().amax(1, keepdim=True) != 0  # also where it is not finite
            scores = torch.where(moved, base + self._second_term(basis, coefficients, step), magnitude)
        described = score.representation(self.goal).description
        noted = {UNMOVED: ~moved.squeeze(1)}
        return Ranking(scores, gradient_there, extras={"goal": [described] * len(x)}, noted=noted)

    def _clean(self, part: RepresentationPass, basis: Basis, rng: ExampleRng) -> tuple[Tensor, Tensor, Tensor]:
        """The goal, the squared gain at the clean example (0 where the base takes none), and the score's gradient."""
        if self.base == "probes":
            gain = squared_gain(part, basis, rng, self.PROBES)
        else:
            gain = part.values.new_zeros((len(part.values), len(basis)))
        return part.values, gain, part.gradient_of_value()

    def _second_term(self, basis: Basis, coefficients: Tensor, step: Tensor) -> Tensor:
        """What the step adds to the base."""
        return correlation_scores(basis, coefficients, step, 0.0)

    def _loss(self, score: Score, goal: Tensor, part: RepresentationPass) -> Callable[[Tensor], Tensor]:
        """The distance of the rows of a pass to their goal."""
        own = goal[part.rows]
        if self.goal == OUTPUT:
            frozen = score.frozen_targets[part.rows]
            return lambda answers: score.head.divergence(answers, own, frozen)
        return lambda h: (h - own).square().flatten(1).sum(1)


def top_weights(
    scores: Float[Tensor, "batch features"], basis: Basis, rng: ExampleRng, keep: float
) -> Float[Tensor, "batch features"]:
    """How much of each feature is kept: all of the first ones, none of the last, half at the fraction `keep`.

    The weight falls linearly with the place, from half of that fraction to half as much again: a set with an edge
    would change with the rounding of the scores, and the model's gradient with it.

    Args:
        scores: The present ranking.
        basis: The domain.
        rng: The random streams of the examples, for ties.
        keep: The fraction of all degrees of freedom.
    """
    if scores.device.type != "cpu":
        order = sorted_shuffled(scores)
        counts = basis.multiplicity_on(scores.device)[order].to(scores.dtype)
        place = (counts.cumsum(1) - counts / 2) / counts.sum(1, keepdim=True)
        return torch.zeros_like(scores).scatter_(1, order, ((1.5 * keep - place) / keep).clamp(0, 1))
    orders = descending_rows(scores, [partial(rng.generator, i, "ties") for i in range(len(scores))])
    rows = [torch.stack(orders)] if scores.shape[1] <= SHORT else [order.unsqueeze(0) for order in orders]
    weights, multiplicity = torch.zeros_like(scores), basis.multiplicity.to(scores.dtype)
    total = multiplicity.sum()
    weighed = math.ceil(1.5 * keep * float(total)) + 1  # the others are past the fraction
    for some, whole in zip(weights.split([len(row) for row in rows]), rows, strict=True):
        order = whole[:, :weighed]
        counts = multiplicity.index_select(0, order.flatten()).view(order.shape)
        place = (counts.cumsum(1) - counts / 2) / total
        some.scatter_(1, order, ((1.5 * keep - place) / keep).clamp(0, 1))
    return weights


def scaled_like(
    values: Float[Tensor, "batch features"], like: Float[Tensor, "batch features"]
) -> Float[Tensor, "batch features"]:
    """Rows scaled to the norms of others; rows of zeros stay zero."""
    unit = scale_to_length(values)
    return unit * like.norm(dim=1, keepdim=True)
