"""A learned filter bank: which few bands, mixed in which shares, keep the score highest."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from hf_fourier.domains.base import Basis
from hf_fourier.errors import SpecError
from hf_fourier.methods.base import METHODS, Method, Ranking, numbers
from hf_fourier.methods.subset_method import check_whole
from hf_fourier.scoring.replacements import DRAWN, checked_replacement, replacement_coefficients
from hf_fourier.scoring.score import Score
from hf_fourier.seeding import ExampleRng
from hf_fourier.torch_state import in_float64
from hf_fourier.typing import Float, Tensor

#: The length of a step, the momentum, and the budget at the first step.
STEP, MOMENTUM, FIRST_BUDGET = 0.05, 0.9, 0.5


@METHODS.register("band_mask", aliases=("flextime", "dynamask"))
@dataclass(frozen=True)
class BandMask(Method):
    """Fit one soft mask that keeps the score high with a given share of the bands.

    Of masks m from 0 to 1, one entry for each of K features, in their order,

        -s(x(m)) + τ mean |m_(k+1) - m_k|      is made small where      mean(m) <= keep

    by projected gradient descent with momentum from m = 1/2; s is the log-probability. The budget falls from 1/2 to
    `keep` over the first half of the steps, and each gradient is divided by its largest entry, so that no unit matters.
    A feature's score is its mean mask over the steps: high for what soon goes to 1 and stays. `extras`: "mask", the
    one before the last step, shape `(K,)` (within the budget from two steps on), and "value", the score there.

    Attributes:
        keep: The budget, the mean of the mask.
        smooth: τ, for features in the order of frequency, as bands of one channel are.
        steps: Steps of the descent.
        replacement: What stands in a deleted feature's place, see `replacement_coefficients`; noise, phases and bands
            are drawn anew at each step, another example once.
    """

    keep: float = 0.1
    smooth: float = 0.0
    steps: int = 100
    replacement: str = "zero"

    reference: ClassVar[str] = "after FLEXtime (arXiv 2411.05841)"
    default_domain: ClassVar[str | None] = "fourier:bands=octave"

    def __post_init__(self) -> None:
        if not isinstance(self.keep, (int, float)) or not 0 < self.keep < 1:
            raise SpecError(f"keep {self.keep!r}", "a fraction between 0 and 1", "correct `keep`")
        if not isinstance(self.smooth, (int, float)) or not 0 <= self.smooth < math.inf:
            raise SpecError(f"smooth {self.smooth!r}", "a number of at least 0", "correct `smooth`")
        check_whole("steps", self.steps)
        checked_replacement(self.replacement)

    @property
    def properties(self) -> tuple[str, ...]:
        """Whether the replacement is random."""
        return ("seeded",) if self.replacement in DRAWN else ()

    @property
    def passes(self) -> tuple[int, int]:
        """One of each at the clean example, and one of each a step."""
        return 1 + self.steps, 1 + self.steps

    def attribute(self, score: Score, x: Float[Tensor, "batch *signal"], basis: Basis, rng: ExampleRng) -> Ranking:
        """The mean masks over the steps."""
        clean, coefficients, features = score.clean(), basis.forward(x), len(basis)
        mask = in_float64(x.new_full((len(x), features), FIRST_BUDGET))
        total, velocity, value = torch.zeros_like(mask), torch.zeros_like(mask), clean.reading.value
        evaluated = mask
        for step in range(self.steps):
            made = replacement_coefficients(self.replacement, score, basis, rng, 1, f"step {step}")
            other = torch.zeros_like(coefficients) if made is None else made[:, 0]
            mixed = other + basis.expand_to_bins(mask.to(x)) * (coefficients - other)
            answer = score.value_and_gradient(basis.inverse(mixed))
            value, evaluated = answer.reading.value, mask
            slope = -in_float64(basis.inner(basis.pullback(answer.gradient), coefficients - other))
            if self.smooth and features > 1:
                slope = slope + self.smooth * neighbour_slope(mask)
            size = slope.abs().amax(1, keepdim=True)
            velocity = MOMENTUM * velocity + slope / torch.where(size > 0, size, 1)
            share = min(1.0, 2 * (step + 1) / self.steps)
            mask = within_budget(mask - STEP * velocity, FIRST_BUDGET + share * (self.keep - FIRST_BUDGET))
            total = total + mask
        return Ranking((total / self.steps).to(x), clean.gradient, {"mask": evaluated.to(x), "value": numbers(value)})


def neighbour_slope(mask: Float[Tensor, "batch features"]) -> Float[Tensor, "batch features"]:
    """The gradient of the mean size of the differences between neighbours."""
    sign = mask.diff().sign() / (mask.shape[1] - 1)
    none = sign.new_zeros(len(sign), 1)
    return torch.cat([none, sign], 1) - torch.cat([sign, none], 1)


def within_budget(mask: Float[Tensor, "batch features"], budget: float) -> Float[Tensor, "batch features"]:
    """The nearest masks from 0 to 1 whose mean is at most `budget`: a shift of all entries, found by bisection."""
    low = torch.zeros_like(mask[:, :1])
    high = mask.amax(1, keepdim=True).clamp(min=0)
    high = torch.where(mask.clamp(0, 1).mean(1, keepdim=True) <= budget, 0, high)
    for _ in range(50):
        middle = (low + high) / 2
        over = (mask - middle).clamp(0, 1).mean(1, keepdim=True) > budget
        low, high = torch.where(over, middle, low), torch.where(over, high, middle)
    return (mask - high).clamp(0, 1)
