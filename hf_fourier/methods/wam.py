"""The wavelet attribution method: gradients of wavelet coefficients, with the importance and map of each scale."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from hf_fourier.domains.base import Basis
from hf_fourier.domains.layout import SignalShape
from hf_fourier.errors import SpecError
from hf_fourier.methods.base import METHODS, Method, Ranking
from hf_fourier.methods.gradients import IntegratedGradients, SmoothGrad
from hf_fourier.scoring.score import Score
from hf_fourier.seeding import ExampleRng
from hf_fourier.typing import Float, Int, Tensor


@METHODS.register("wam")
@dataclass(frozen=True)
class WAM(Method):
    """Wavelet attribution (arXiv 2410.01482): SmoothGrad or integrated gradients of wavelet coefficients, by scale.

    The signed input gradient is averaged over noisy copies (`kind="sg"`) or along the path from zero (`kind="ig"`) and
    pulled back to coefficients once. Scales are the smooth part, then the details from the coarsest level to the
    finest. `extras["scale_importance"]` is the sum of |scores| over each scale, not normalised per band, shape
    `(scales,)`. For "ig", `extras["scale_maps"]`, shape `(scales, positions …)`, splits the attribution by scale and
    position exactly: `A_j(p) = Σ_c (W⁻¹ P_j F)(p, c) ḡ(p, c)` sums over positions to the scale's total, and over
    everything to `s(x) - s(0)`.

    Attributes:
        kind: "sg" or "ig".
        samples: Noisy copies for "sg", points on the path for "ig".
        spread: Noise of "sg" relative to the signal's range; None for WAM's, by kind of signal.
        path: Of "ig": "uniform", or "geometric", which a logarithm near silence needs (a log-mel front end).
    """

    kind: str = "sg"
    samples: int = 25
    spread: float | None = None
    path: str = "uniform"

    reference: ClassVar[str] = "arXiv 2410.01482; gradients are averaged with their sign, and kind=ig has a known sum"
    default_domain: ClassVar[str | None] = "wavelet"

    def __post_init__(self) -> None:
        if self.kind not in ("sg", "ig"):
            raise SpecError(f"kind {self.kind!r}", "'sg' or 'ig'", "choose one of them")
        if not isinstance(self.samples, int) or self.samples < 2:
            raise SpecError(f"samples {self.samples!r}", "a whole number of at least 2", "correct `samples`")
        _ = self._path  # which refuses other paths

    @property
    def _smooth(self) -> SmoothGrad:
        return SmoothGrad(self.samples, self.spread)

    @property
    def _path(self) -> IntegratedGradients:
        return IntegratedGradients(self.samples, self.path, baseline="zero")

    def resolve(self, signal: SignalShape) -> WAM:
        """With the spread filled in for the kind of signal."""
        return self if self.kind == "ig" else replace(self, spread=self._smooth.resolve(signal).spread)

    @property
    def properties(self) -> tuple[str, ...]:
        """Those of SmoothGrad or of integrated gradients."""
        return self._smooth.properties if self.kind == "sg" else self._path.properties

    @property
    def passes(self) -> tuple[int, int]:
        """Those of SmoothGrad or of integrated gradients."""
        return self._smooth.passes if self.kind == "sg" else self._path.passes

    def attribute(self, score: Score, x: Float[Tensor, "batch *signal"], basis: Basis, rng: ExampleRng) -> Ranking:
        """Magnitudes of the mean gradient, or signed contributions, with the importance of each scale.

        Raises:
            SpecError: If the domain has no levels.
        """
        scale = feature_scales(basis)
        gradient = score.clean().gradient
        if self.kind == "sg":
            scores = basis.magnitude(basis.pullback(self._smooth.smooth(score, x, rng)))
            return Ranking(scores, gradient, {"scale_importance": scale_importance(scores, scale)})
        path = self._path.integrate(score, x)
        coefficients = basis.forward(x)
        scores = basis.inner(basis.pullback(path.mean), coefficients)
        channels = [i + 1 for i, axis in enumerate(basis.signal.axes) if axis.channel]
        maps = []
        for j in range(int(scale.max()) + 1):
            part = basis.keep_features(coefficients, (scale == j).to(x.device).expand(len(x), -1)) * path.mean
            maps.append(part.sum(channels) if channels else part)
        extras = {"scale_importance": scale_importance(scores, scale), "scale_maps": torch.stack(maps, 1)}
        error, reference = scores.sum(1) - path.difference, score.clean().reading.value - path.difference
        return Ranking(scores, gradient, extras, error, reference)


def feature_scales(basis: Basis) -> Int[Tensor, " features"]:
    """The scale of each feature: 0 for the smooth part, then 1, 2, … from the coarsest details to the finest.

    Raises:
        SpecError: If the domain has no levels.
    """
    level, band = basis.layout.with_role("level"), basis.layout.with_role("orientation")
    if not level or not band:
        raise SpecError(f"wam in domain {basis.layout.domain!r}", "a domain with levels", "use domain='wavelet'")
    smooth = torch.tensor([set(name) == {"a"} for name in band[0].names])[band[0].values.long()]
    values = level[0].values.long()
    return torch.where(smooth, 0, int(values.max()) - values + 1)


def scale_importance(
    scores: Float[Tensor, "batch features"], scale: Int[Tensor, " features"]
) -> Float[Tensor, "batch scales"]:
    """The sum of |scores| over each scale."""
    total = scores.new_zeros(len(scores), int(scale.max()) + 1)
    return total.index_add_(1, scale.to(scores.device), scores.abs())
