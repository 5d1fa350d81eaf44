"""Rankings that might be sufficient and selective at once; tried in `benchmarks selectivity`, in no release.

All start from FFC's formula, so that each shows what one idea alone changes, at a step that is large enough to persuade
(`STEP`; the published one is larger).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from hf_fourier.domains.base import Basis
from hf_fourier.domains.layout import SignalShape
from hf_fourier.methods.base import METHODS, Method, Ranking
from hf_fourier.methods.closed_loop import top_mask
from hf_fourier.methods.ffc import correlation_scores, scale_to_length
from hf_fourier.methods.path_gradients import mean_gradient_at
from hf_fourier.methods.tracking import Tracking
from hf_fourier.scoring.score import Score
from hf_fourier.seeding import ExampleRng
from hf_fourier.typing import Tensor

KEEPS = (0.5, 0.25, 0.12, 0.06)
#: κ by kind of signal.
STEP = {"pixels": 0.1, "waveform": 0.03, "spectrogram": 0.03, "tokens": 0.01}


@dataclass(frozen=True)
class Candidate(Method):
    """What the candidates share: κ by the kind of signal.

    Attributes:
        kappa: As for FFC.
    """

    kappa: float | None = None

    reference: ClassVar[str] = "a candidate of this benchmark"

    def resolve(self, signal: SignalShape) -> Candidate:
        """With κ filled in for the kind of signal."""
        return self if self.kappa is not None else replace(self, kappa=STEP.get(signal.kind, 0.03))

    @property
    def passes(self) -> tuple[int, int]:
        """One forward and one backward pass."""
        return 1, 1

    def length(self, x: Tensor) -> Tensor:
        """`κ ‖x‖`."""
        assert self.kappa is not None
        return self.kappa * x.flatten(1).norm(dim=1).view(-1, *[1] * (x.ndim - 1))

    def second(self, basis: Basis, x: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
        """The magnitudes, and FFC's second term for a unit direction."""
        coefficients = basis.forward(x)
        moved = basis.forward(self.length(x) * direction)
        return basis.magnitude(coefficients), correlation_scores(basis, coefficients, moved, 0.0)


@METHODS.register("insertion_path")
@dataclass(frozen=True)
class InsertionPath(Candidate):
    """Contributions along the path that puts features in, the strongest first; they sum to `s(x) - s(0)`.

    The path does not depend on the label; only the gradients on it do.
    """

    @property
    def passes(self) -> tuple[int, int]:
        """A clean pass, and one of each kind per stretch of the path."""
        return len(KEEPS) + 2, len(KEEPS) + 2

    def attribute(self, score: Score, x: Tensor, basis: Basis, draw: ExampleRng) -> Ranking:
        """`<G(middle of the stretch), F>_k` for the features that each stretch puts in."""
        gradient, coefficients = score.clean().gradient, basis.forward(x)
        magnitude, scores = basis.magnitude(coefficients), torch.zeros(len(x), len(basis)).to(x)
        before = torch.zeros_like(magnitude, dtype=torch.bool)
        for keep in (*KEEPS[::-1], 1.0):
            now = top_mask(magnitude, basis, draw, keep)
            middle = (basis.keep_features(coefficients, before) + basis.keep_features(coefficients, now)) / 2
            there = score.value_and_gradient(middle).gradient
            scores = scores + (now & ~before) * basis.inner(basis.pullback(there), coefficients)
            before = now
        return Ranking(scores, gradient)


@METHODS.register("never_raised")
@dataclass(frozen=True)
class NeverRaised(Candidate):
    """FFC whose step can lower a feature below its power, and never raise it above."""

    def attribute(self, score: Score, x: Tensor, basis: Basis, draw: ExampleRng) -> Ranking:
        """`|F|_k + min(0, second term)`."""
        clean = score.clean()
        magnitude, second = self.second(basis, x, scale_to_length(clean.margin_gradient))
        return Ranking(magnitude + second.clamp(max=0), clean.gradient)


@METHODS.register("tracking_never_raised")
@dataclass(frozen=True)
class TrackingNeverRaised(Tracking):
    """Tracking whose step can lower a feature below its base, and never raise it above."""

    reference: ClassVar[str] = Candidate.reference

    def _second_term(self, basis: Basis, coefficients: Tensor, step: Tensor) -> Tensor:
        """At most 0."""
        return super()._second_term(basis, coefficients, step).clamp(max=0)


@METHODS.register("stage_agreement")
@dataclass(frozen=True)
class StageAgreement(Candidate):
    """The closed loop, whose second term counts as far as its sign is the same at all stages."""

    @property
    def passes(self) -> tuple[int, int]:
        """One of each kind per stage."""
        return len(KEEPS) + 1, len(KEEPS) + 1

    def attribute(self, score: Score, x: Tensor, basis: Basis, draw: ExampleRng) -> Ranking:
        """`|F|_k +` the mean second term × |mean of its signs|."""
        clean, coefficients = score.clean(), basis.forward(x)
        magnitude, second = self.second(basis, x, scale_to_length(clean.margin_gradient))
        terms = [second]
        for keep in KEEPS:
            there = basis.keep_features(
                coefficients, top_mask(magnitude + torch.stack(terms).mean(0), basis, draw, keep)
            )
            terms.append(self.second(basis, x, scale_to_length(score.value_and_gradient(there).margin_gradient))[1])
        stacked = torch.stack(terms)
        return Ranking(magnitude + stacked.mean(0) * stacked.sign().mean(0).abs(), clean.gradient)


@METHODS.register("noise_agreement")
@dataclass(frozen=True)
class NoiseAgreement(Candidate):
    """FFC with the gradient averaged over noisy copies, of a tenth of the example's own size."""

    copies: int = 4

    @property
    def properties(self) -> tuple[str, ...]:
        """The noise is drawn."""
        return ("seeded",)

    @property
    def passes(self) -> tuple[int, int]:
        """One of each kind per copy, and the clean one."""
        return self.copies + 1, self.copies + 1

    def attribute(self, score: Score, x: Tensor, basis: Basis, draw: ExampleRng) -> Ranking:
        """FFC along the mean gradient."""
        gradient = score.clean().gradient
        size = 0.1 * self.length(x) / (self.kappa or 1) / math.sqrt(x[0].numel())
        mean = mean_gradient_at(
            score, lambda j: x + size * draw.normal(x.shape[1:], "noise", j).to(x), [1 / self.copies] * self.copies
        )
        magnitude, second = self.second(basis, x, scale_to_length(mean))
        return Ranking(magnitude + second, gradient)


@METHODS.register("coarse_correction")
@dataclass(frozen=True)
class CoarseCorrection(Candidate):
    """FFC whose second term is one for all channels of a frequency: far fewer numbers to follow a label with."""

    def attribute(self, score: Score, x: Tensor, basis: Basis, draw: ExampleRng) -> Ranking:
        """The second term as a share of the magnitude, averaged over the features of one frequency by power."""
        clean = score.clean()
        magnitude, second = self.second(basis, x, scale_to_length(clean.margin_gradient))
        group = _frequencies(basis).to(x.device)
        power = magnitude.square()

        def pooled(values: Tensor) -> Tensor:
            return values.new_zeros(len(values), int(group.max()) + 1).index_add_(1, group, values)

        share = pooled(second * magnitude) / pooled(power).clamp(min=torch.finfo(power.dtype).tiny)
        return Ranking(magnitude * (1 + share[:, group]), clean.gradient)


@METHODS.register("against_others")
@dataclass(frozen=True)
class AgainstOthers(Candidate):
    """FFC for the label less what it gives for likely other labels: evidence that is this label's own.

    Attributes:
        others: How many of the likeliest other labels are asked.
    """

    others: int = 3

    @property
    def passes(self) -> tuple[int, int]:
        """One of each kind per label, at most."""
        return self.others + 1, self.others + 1

    def attribute(self, score: Score, x: Tensor, basis: Basis, draw: ExampleRng) -> Ranking:
        """`|F|_k +` half of the second term less the others' mean."""
        clean = score.clean()
        magnitude, own = self.second(basis, x, scale_to_length(clean.margin_gradient))
        likely = [self._likely(score, i) for i in range(len(x))]
        rest = torch.zeros_like(own)
        for labels in zip(*likely, strict=True):
            asked = score.for_targets(list(labels))
            rest = rest + self.second(basis, x, scale_to_length(asked.clean().margin_gradient))[1] / len(likely[0])
        return Ranking(magnitude + (own - rest) / 2, clean.gradient)

    def _likely(self, score: Score, example: int) -> list[int]:
        """The likeliest labels but the explained one."""
        explained = score.head.name_target(score.frozen_targets[example])[1]
        names = [name for name, _ in score.top_predictions[example] if name != explained][: self.others]
        return [int(score.head.check(name)) for name in names]  # type: ignore[arg-type]


@METHODS.register("any_label")
@dataclass(frozen=True)
class AnyLabel(AgainstOthers):
    """The magnitude and the size of the second term for any likely label: what the model listens to at all.

    It hardly depends on the label that is asked for, so selectivity cannot find it persuasive; it says how much of the
    model's ear can be used without following one label.
    """

    def attribute(self, score: Score, x: Tensor, basis: Basis, draw: ExampleRng) -> Ranking:
        """`|F|_k +` the mean size of the second term over the label and likely other ones."""
        clean = score.clean()
        magnitude, own = self.second(basis, x, scale_to_length(clean.margin_gradient))
        sizes = [own.abs()]
        for labels in zip(*(self._likely(score, i) for i in range(len(x))), strict=True):
            asked = score.for_targets(list(labels))
            sizes.append(self.second(basis, x, scale_to_length(asked.clean().margin_gradient))[1].abs())
        return Ranking(magnitude + torch.stack(sizes).mean(0), clean.gradient)


def _frequencies(basis: Basis) -> Tensor:
    """A number per feature that all channels of one frequency share."""
    columns = [column.values.double() for column in basis.layout.with_role("frequency")]
    return torch.unique(torch.stack(columns, 1), dim=0, return_inverse=True)[1]
