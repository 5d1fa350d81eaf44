"""The ordinary gradient methods in any domain: the signed input gradient is averaged, then pulled back once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from hf_fourier.domains.base import Basis
from hf_fourier.domains.layout import SignalShape
from hf_fourier.errors import SpecError
from hf_fourier.methods.base import METHODS, Method, Ranking
from hf_fourier.methods.path_gradients import Path, mean_gradient_at
from hf_fourier.scoring.references import ZERO, zero
from hf_fourier.scoring.score import Score
from hf_fourier.seeding import ExampleRng
from hf_fourier.typing import Float, Tensor

#: Noise relative to the signal's range, by kind of signal: WAM's for pixels, waveforms and volumes, ours elsewhere.
NOISE_STD = {"pixels": 0.25, "waveform": 0.001, "volume": 0.0001}
SPREAD_ELSEWHERE = 0.1
#: The first point of a geometric path.
MIN_DISTANCE = 1e-7


@METHODS.register("saliency", aliases=("gradient", "gradients", "vanilla_gradient"))
@dataclass(frozen=True)
class Saliency(Method):
    """Rank by `|G_k|`, the magnitude of the gradient with respect to each coefficient."""

    reference: ClassVar[str] = "Simonyan et al. 2013 (arXiv 1312.6034), in any domain"

    @property
    def passes(self) -> tuple[int, int]:
        """One forward and one backward pass."""
        return 1, 1

    def attribute(self, score: Score, x: Float[Tensor, "batch *signal"], basis: Basis, rng: ExampleRng) -> Ranking:
        """The magnitudes of the pulled-back gradient."""
        gradient = score.clean().gradient
        return Ranking(basis.magnitude(basis.pullback(gradient)), gradient)


@METHODS.register("gradient_input", aliases=("gradient_x_input", "input_x_gradient", "input_gradient", "gxi"))
@dataclass(frozen=True)
class GradientInput(Method):
    """Rank by gradient times coefficient, `<G, F>_k`: what deleting a feature changes, to first order."""

    reference: ClassVar[str] = "Shrikumar et al. 2016 (arXiv 1605.01713), in any domain"

    @property
    def properties(self) -> tuple[str, ...]:
        """The scores sum to `<g, x>`."""
        return ("complete",)

    @property
    def passes(self) -> tuple[int, int]:
        """One forward and one backward pass."""
        return 1, 1

    def attribute(self, score: Score, x: Float[Tensor, "batch *signal"], basis: Basis, rng: ExampleRng) -> Ranking:
        """Signed contributions, with the completeness error to their sum in input space."""
        gradient = score.clean().gradient
        scores = basis.inner(basis.pullback(gradient), basis.forward(x))
        return Ranking(scores, gradient, completeness_error=scores.sum(1) - (gradient * x).flatten(1).sum(1))


@METHODS.register("integrated_gradients", aliases=("ig", "int_grad"))
@dataclass(frozen=True)
class IntegratedGradients(Method):
    """Rank by `<Ḡ, F - F0>_k`: distance from a baseline times the mean gradient on the way; sums to s(x) - s(x0).

    A straight path in the signal is a straight path in every linear domain, so the transform is applied once.

    Attributes:
        steps: Points on the path.
        path: "uniform" (midpoints), or "geometric" (from 1e-7 to 1, evenly in the logarithm, the clean example among
            them), which scores that read a logarithm near the baseline need.
        baseline: "zero"; "reference" for the first reference of contributions (for tokens the embedding of the mask or
            padding token, silence, each channel's mean); None for that of tokens, where a zero embedding is no input
            (LayerNorm jumps there), and for zero elsewhere.
    """

    steps: int = 50
    path: str = "uniform"
    baseline: str | None = None

    reference: ClassVar[str] = "Sundararajan et al. 2017 (arXiv 1703.01365), in any domain"

    def __post_init__(self) -> None:
        if self.path not in ("uniform", "geometric"):
            raise SpecError(f"path {self.path!r}", "'uniform' or 'geometric'", "choose one of them")
        if self.baseline not in (None, "zero", "reference"):
            raise SpecError(f"baseline {self.baseline!r}", "'zero', 'reference' or none", "choose one of them")
        if not isinstance(self.steps, int) or self.steps < 2:
            raise SpecError(f"steps {self.steps!r}", "a whole number of at least 2", "correct `steps`")

    @property
    def properties(self) -> tuple[str, ...]:
        """The scores sum to `s(x) - s(x0)`."""
        return ("complete",)

    @property
    def passes(self) -> tuple[int, int]:
        """A forward and a backward pass per point; one more of each at the clean example, one forward at the baseline.

        A geometric path has the clean example among its points.
        """
        extra = 0 if self.path == "geometric" else 1
        return self.steps + extra + 1, self.steps + extra

    def attribute(self, score: Score, x: Float[Tensor, "batch *signal"], basis: Basis, rng: ExampleRng) -> Ranking:
        """Signed contributions, with the completeness error to `s(x) - s(x0)`."""
        path = self.integrate(score, x)
        scores = basis.inner(basis.pullback(path.mean), basis.forward(x - path.start))
        clean = score.clean()
        error, reference = scores.sum(1) - path.difference, clean.reading.value - path.difference
        return Ranking(scores, clean.gradient, completeness_error=error, baseline_value=reference, paths=(path,))

    def integrate(self, score: Score, x: Float[Tensor, "batch *signal"]) -> Path:
        """The mean gradient along the path, in input space."""
        clean = score.clean()
        start, text = self._start(score, x)
        difference = clean.reading.value - score.value(start.expand_as(x)).value

        def point(alpha: float) -> Tensor:
            return start + alpha * (x - start)

        if self.path == "uniform":
            alphas = [(j + 0.5) / self.steps for j in range(self.steps)]
            mean = mean_gradient_at(score, lambda j: point(alphas[j]), [1 / self.steps] * self.steps)
            return Path(start, mean, difference, text, points=self.steps)
        alphas, weights = geometric_path(self.steps)
        mean = mean_gradient_at(score, lambda j: point(alphas[j]), weights[:-1]) + weights[-1] * clean.gradient
        return Path(start, mean, difference, text, points=self.steps)

    def _start(self, score: Score, x: Float[Tensor, "batch *signal"]) -> tuple[Float[Tensor, "batch ..."], str]:
        """The baseline, with length 1 along axes where it is constant, and what it is in words."""
        first = None if self.baseline == "zero" else score.references()[0]
        if self.baseline == "reference" and first is not None and first.words == ZERO:
            raise SpecError("baseline 'reference' for a signal that has none", "'zero'", "pass baseline=zero")
        if first is None or (self.baseline is None and score.baseline is None):
            return zero(x).signal, ZERO
        return first.signal.to(x), first.words


def geometric_path(points: int) -> tuple[list[float], list[float]]:
    """Points from 1e-7 to 1, evenly in their logarithm, and the trapezoid's weights for an integral over [0, 1]."""
    alphas = torch.logspace(
        torch.log10(torch.tensor(MIN_DISTANCE, dtype=torch.float64)).item(), 0, points, dtype=torch.float64
    )
    step = -torch.log(torch.tensor(MIN_DISTANCE, dtype=torch.float64)) / (points - 1)
    weights = alphas * step
    weights[0], weights[-1] = weights[0] / 2, weights[-1] / 2
    return alphas.tolist(), weights.tolist()


@METHODS.register("smoothgrad", aliases=("sg",))
@dataclass(frozen=True)
class SmoothGrad(Method):
    """Rank by the magnitude of the mean signed gradient over noisy copies.

    Attributes:
        samples: Noisy copies.
        spread: Standard deviation of the noise relative to the signal's range (max - min); None for the default of the
            kind of signal.
    """

    samples: int = 25
    spread: float | None = None

    reference: ClassVar[str] = "Smilkov et al. 2017 (arXiv 1706.03825), in any domain"

    def __post_init__(self) -> None:
        if not isinstance(self.samples, int) or self.samples < 1:
            raise SpecError(f"samples {self.samples!r}", "a whole number of at least 1", "correct `samples`")

    def resolve(self, signal: SignalShape) -> SmoothGrad:
        """With the spread filled in for the kind of signal."""
        if self.spread is not None:
            return self
        return replace(self, spread=NOISE_STD.get(signal.kind, SPREAD_ELSEWHERE))

    @property
    def properties(self) -> tuple[str, ...]:
        """The noise is random."""
        return ("seeded",)

    @property
    def passes(self) -> tuple[int, int]:
        """One forward and one backward pass per copy, and one of each at the clean example."""
        return self.samples + 1, self.samples + 1

    def attribute(self, score: Score, x: Float[Tensor, "batch *signal"], basis: Basis, rng: ExampleRng) -> Ranking:
        """The magnitudes of the mean gradient."""
        gradient = score.clean().gradient
        return Ranking(basis.magnitude(basis.pullback(self.smooth(score, x, rng))), gradient)

    def smooth(
        self, score: Score, x: Float[Tensor, "batch *signal"], rng: ExampleRng
    ) -> Float[Tensor, "batch *signal"]:
        """The mean signed gradient over the copies, in input space."""
        if self.spread is None:
            raise SpecError("spread None", "a number", "call `resolve(signal)` first")
        flat = x.flatten(1)
        sigma = self.spread * (flat.amax(1) - flat.amin(1)).view(-1, *[1] * (x.ndim - 1))
        shape: Sequence[int] = x.shape[1:]

        def copy(j: int) -> Tensor:
            return x + sigma * rng.normal(shape, "noise", j).to(x)

        return mean_gradient_at(score, copy, [1 / self.samples] * self.samples)
