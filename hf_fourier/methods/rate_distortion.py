"""Rate-distortion masks: how little of each feature is enough for the answer, as the price of features rises."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch

from hf_fourier.domains.base import Basis
from hf_fourier.errors import SpecError
from hf_fourier.methods.base import METHODS, Method, Ranking
from hf_fourier.methods.subset_method import check_whole
from hf_fourier.scoring.heads import Reading
from hf_fourier.scoring.replacements import DRAWN, checked_replacement, replacement_coefficients
from hf_fourier.scoring.score import Score
from hf_fourier.seeding import ExampleRng
from hf_fourier.torch_state import in_float64
from hf_fourier.typing import Bool, Float, Inexact, Tensor

#: What a mask is of.
OF = ("features", "amplitude", "phase")
#: The advice where the replacement has no phase.
USE_PHASE = "use replacement='phase'"
#: Adam's decay rates and the smallest divisor of its step.
BETAS, EPSILON = (0.9, 0.99), 1e-8
#: The step of Adam: a mask entry without effect falls from 1 to 0 in ten of them.
STEP = 0.1


@METHODS.register("rate_distortion", aliases=("rde", "cartoonx", "waveletx", "shearletx"))
@dataclass(frozen=True)
class RateDistortion(Method):
    """Fit soft masks that preserve the probability with few features, at increasing sparsity penalties.

    Of masks m from 0 to 1, one entry a feature, with d = s(x(m, v)) - s(x) and r_k the feature's share of all bins,

        E_v (1 - exp(d))² + λ Σ_k r_k m_k + μ ‖x(m, 0)‖₁ / ‖x‖₁,      x(m, v) = W⁻¹ (m F + (1 - m) V)

    is made small by projected Adam from m = 1, at one rate λ after another, from the lowest to the highest, each from
    the last one's mask. The first term is the squared loss of probability relative to p(x) (a gain counts up to twice
    p(x)); where s(x) is not the logarithm of the confidence (regression, `Contrast`, `Similarity`) it is (d / s(x))².
    A feature's score is its mean mask over all steps: how
    long it stays as the price rises. μ is the spatial term of ShearletX, which keeps the part that is left small
    where the features overlap in space. Noise, phases and bands are drawn anew at each step; other examples once.

    `extras`, per example: "mask", the mask before the last step at each rate, shape `(rates, K)`; "distortion" and
    "kept", the first term and Σ r m at that mask, each `(rates,)`.

    Attributes:
        rates: The rates λ, in ascending order.
        spatial: μ.
        steps: Steps of Adam at each rate.
        replacement: What stands in a deleted feature's place, see `replacement_coefficients`.
        draws: Draws of a random replacement at each step.
        of: "features"; "amplitude", where the mask leads from the replacement's amplitudes to the example's and the
            phases stay the example's; or "phase", the other way round, along the shorter arc.
    """

    rates: tuple[float, ...] | list[float] | float = (0.3, 1.0, 3.0, 10.0)
    spatial: float = 0.0
    steps: int = 20
    replacement: str = "noise"
    draws: int = 2
    of: str = "features"

    reference: ClassVar[str] = "after RDE (arXiv 1905.11092), CartoonX (2110.03485) and ShearletX (2211.12857)"

    def __post_init__(self) -> None:
        given = tuple(self.rates) if isinstance(self.rates, (tuple, list)) else (self.rates,)
        numbers = all(isinstance(rate, (int, float)) and 0 < rate < math.inf for rate in given)
        if not given or not numbers or any(a >= b for a, b in pairwise(given)):
            raise SpecError(f"rates {self.rates!r}", "numbers above 0 in ascending order", "correct `rates`")
        object.__setattr__(self, "rates", tuple(map(float, given)))
        if not isinstance(self.spatial, (int, float)) or not 0 <= self.spatial < math.inf:
            raise SpecError(f"spatial {self.spatial!r}", "a number of at least 0", "correct `spatial`")
        check_whole("steps", self.steps)
        check_whole("draws", self.draws)
        checked_replacement(self.replacement)
        if self.of not in OF:
            raise SpecError(f"of {self.of!r}", f"one of {', '.join(OF)}", "choose one of them")
        if self.of == "phase" and self.replacement == "zero":
            raise SpecError("of='phase' with replacement 'zero', which has no phase", "another replacement", USE_PHASE)

    @property
    def levels(self) -> tuple[float, ...]:
        """The rates."""
        assert isinstance(self.rates, tuple)
        return self.rates

    @property
    def properties(self) -> tuple[str, ...]:
        """Whether the replacement is random."""
        return ("seeded",) if self.replacement in DRAWN else ()

    @property
    def passes(self) -> tuple[int, int] | None:
        """One of each at the clean example, and one of each for every step and draw; None where references decide."""
        if self.replacement == "reference":
            return None
        rows = len(self.levels) * self.steps * (self.draws if self.replacement in DRAWN else 1)
        return 1 + rows, 1 + rows

    def attribute(self, score: Score, x: Float[Tensor, "batch *signal"], basis: Basis, rng: ExampleRng) -> Ranking:
        """The mean masks over the steps.

        Raises:
            SpecError: If masks of phases are asked for in a domain whose coefficients are real.
        """
        clean = score.clean()
        coefficients = basis.forward(x)
        if self.of == "phase" and not coefficients.is_complex():
            got = f"masks of phases in domain {basis.layout.domain!r}, whose coefficients are real"
            raise SpecError(got, "a domain with complex coefficients", "use domain='fourier', or of='amplitude'")
        share = in_float64(basis.multiplicity_on(x.device))
        share = share / share.sum()
        mask = share.new_ones(len(x), len(basis))
        path = ProjectedAdam(mask)
        total, levels = torch.zeros_like(mask), list[tuple[Tensor, Tensor, Tensor]]()
        others = self._replacements(score, basis, rng)
        for rate in self.levels:
            for _ in range(self.steps):
                loss, slope = self._distortion(score, basis, coefficients, next(others), path.mask)
                slope = slope + rate * share
                if self.spatial:
                    slope = slope + self.spatial * spatial_slope(basis, coefficients, path.mask, x)
                mask = path.mask
                path.step(slope)
                total = total + path.mask
            levels.append((mask, loss, mask @ share))
        masks, losses, kept = (torch.stack(parts, 1).to(x) for parts in zip(*levels, strict=True))
        scores = (total / (self.steps * len(self.levels))).to(x)
        return Ranking(scores, clean.gradient, {"mask": masks, "distortion": losses, "kept": kept})

    def _replacements(
        self, score: Score, basis: Basis, rng: ExampleRng
    ) -> Iterator[Inexact[Tensor, "batch draws stored"] | None]:
        """What stands in a deleted feature's place, step by step: new draws of noise, phases and bands."""
        step = 0
        while True:
            made = replacement_coefficients(self.replacement, score, basis, rng, self.draws, f"step {step}")
            while self.replacement not in DRAWN or self.replacement == "example":
                yield made
            yield made
            step += 1

    def _distortion(
        self,
        score: Score,
        basis: Basis,
        coefficients: Inexact[Tensor, "batch stored"],
        other: Inexact[Tensor, "batch draws stored"] | None,
        mask: Float[Tensor, "batch features"],
    ) -> tuple[Float[Tensor, " batch"], Float[Tensor, "batch features"]]:
        """The first term of each example, and its gradient at the mask."""
        batch = len(coefficients)
        draws = 1 if other is None else other.shape[1]
        rows = torch.arange(batch, device=coefficients.device).repeat_interleave(draws)
        own = coefficients[rows]
        replaced = torch.zeros_like(own) if other is None else other.flatten(0, 1)
        weights = basis.expand_to_bins(mask.to(score.signal))[rows]
        mixed, change = MIXTURES[self.of](own, replaced, weights)
        answer = score.value_and_gradient(basis.inverse(mixed), rows)
        clean = score.clean_reading()
        loss, slope = relative_loss(answer.reading.value, clean.value[rows], logarithmic(clean)[rows])
        pulled = in_float64(basis.inner(basis.pullback(answer.gradient), change)) * slope.unsqueeze(1)
        return loss.view(batch, draws).mean(1), pulled.view(batch, draws, -1).mean(1)


class ProjectedAdam:
    """Projected Adam on masks: after each step they are cut to 0 and 1.

    Attributes:
        mask: The present masks, shape `(batch, K)`, float64; on the CPU where the device has none.
    """

    def __init__(self, mask: Float[Tensor, "batch features"]) -> None:
        self.mask, self._count = mask, 0
        self._mean, self._square = torch.zeros_like(mask), torch.zeros_like(mask)

    def step(self, slope: Float[Tensor, "batch features"]) -> None:
        """One step down the slope."""
        self._count += 1
        first, second = BETAS
        self._mean = first * self._mean + (1 - first) * slope
        self._square = second * self._square + (1 - second) * slope.square()
        mean = self._mean / (1 - first**self._count)
        size = (self._square / (1 - second**self._count)).sqrt()
        self.mask = (self.mask - STEP * mean / (size + EPSILON)).clamp(0, 1)


def logarithmic(reading: Reading) -> Bool[Tensor, " rows"]:
    """Whether each row's score is the logarithm of its confidence."""
    if reading.confidence is None:
        return torch.zeros_like(reading.value, dtype=torch.bool)
    return torch.isclose(reading.value.exp(), reading.confidence, rtol=1e-5, atol=0)


def relative_loss(
    value: Float[Tensor, " rows"], clean: Float[Tensor, " rows"], of_logarithms: Bool[Tensor, " rows"]
) -> tuple[Float[Tensor, " rows"], Float[Tensor, " rows"]]:
    """The squared loss relative to the clean value, and its derivative by the value, in float64.

    Args:
        value: The score at the masked signals.
        clean: The clean score.
        of_logarithms: Where scores are logarithms of probabilities.
    """
    change, size = in_float64(value) - in_float64(clean), in_float64(torch.where(clean == 0, 1, clean))
    ratio = change.clamp(max=math.log(2)).exp()
    of_logarithms = of_logarithms.to(change.device)
    loss = torch.where(of_logarithms, (1 - ratio).square(), (change / size).square())
    falling = torch.where(change < math.log(2), 2 * (ratio - 1) * ratio, 0)
    return loss, torch.where(of_logarithms, falling, 2 * change / size.square())


def spatial_slope(
    basis: Basis,
    coefficients: Inexact[Tensor, "batch stored"],
    mask: Float[Tensor, "batch features"],
    x: Float[Tensor, "batch *signal"],
) -> Float[Tensor, "batch features"]:
    """The gradient of `‖W⁻¹ m F‖₁ / ‖x‖₁` at the mask; 0 where x is 0.

    Args:
        basis: The domain.
        coefficients: Those of the signals.
        mask: The masks m.
        x: The signals.
    """
    part = basis.inverse(basis.scale_features(coefficients, mask.to(x)))
    size = in_float64(x.flatten(1).abs().sum(1, keepdim=True))
    return in_float64(basis.inner(basis.pullback(part.sign()), coefficients)) / torch.where(size == 0, 1, size)


def _features(own: Tensor, other: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Coefficients between another's (0) and the example's own (1), and their derivative by the weight."""
    return other + weights * (own - other), own - other


def _amplitude(own: Tensor, other: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The own phases (or signs) with amplitudes between the two."""
    size = own.abs()
    change = torch.where(size > 0, own / torch.where(size > 0, size, 1), 1) * (size - other.abs())
    return own - (1 - weights) * change, change


def _phase(own: Tensor, other: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The own amplitudes with phases between the two, along the shorter arc."""
    arc = torch.angle(own * other.conj())
    mixed = own * torch.polar(torch.ones_like(arc), (weights - 1) * arc)
    return mixed, 1j * arc * mixed


#: By what a mask is of: `(own coefficients, others, weights) -> (the mixture, its derivative by the weights)`.
MIXTURES: dict[str, Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]] = {
    "features": _features,
    "amplitude": _amplitude,
    "phase": _phase,
}
