"""FAMPE: AttEXplore with noise that is weighted by band, on the Fourier spectrum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hf_fourier.domains import Fourier
from hf_fourier.domains.base import Basis
from hf_fourier.domains.layout import SignalShape
from hf_fourier.errors import SpecError
from hf_fourier.methods.base import METHODS
from hf_fourier.methods.exploration import BandWeights, Exploration, check_range
from hf_fourier.scoring.pending import to_device
from hf_fourier.torch_state import in_float64
from hf_fourier.typing import Float, Tensor


@METHODS.register("fampe")
@dataclass(frozen=True)
class FAMPE(Exploration):
    """As attexplore, with low and high frequencies of the copies changed by different amounts (weight alpha).

    The low band of an example are the frequencies up to its cutoff, the smallest radius (in cycles per sample) that
    holds a fraction `tau` of its power without the constant; the constant itself is low. With F the Fourier
    coefficients of the present point, Ξ those of the noise, `w = 2 alpha` on the low band and `2 (1 - alpha)` on the
    high one, and U uniform on ±1 and drawn once for a pair ±k, copies are

        z = W⁻¹ ((F + w Ξ) (1 + min(rho w, 1) U)),    E[z] = x.

    `alpha=.5` weights nothing: it is AttEXplore on the Fourier spectrum. The best alpha depends on the data, so it
    must never be chosen example by example with the metric that is reported. The walk, the measures and the other
    parameters are those of `Exploration`.

    Extras beside those: `cutoff`, in cycles per sample; `band_maps`, shape `(2, positions …)`, the low and the high
    band of the displacement times the same gradients in the signal, which add up to the identity domain's scores summed
    over channels; `band_scores`, shape `(2,)`, their sums; and `noise_power`, the noise's expected power relative to
    `alpha=.5`.

    Attributes:
        alpha: Weight of the low band, 0 to 1; the high one has 1 - alpha.
        tau: Fraction of the power without the constant in the low band, 0 to 1.
    """

    alpha: float = 0.1
    tau: float = 0.9

    reference: ClassVar[str] = "after FAMPE (arXiv 2510.03245), whose formula was not available: the definition is ours"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("alpha", self.alpha, 1)
        check_range("tau", self.tau, 1)

    def exploration_basis(self, signal: SignalShape) -> Basis:
        """The Fourier transform along the ordered axes."""
        return Fourier().bind(signal)

    def bands(self, explorer: Basis, x: Float[Tensor, "batch *signal"]) -> BandWeights:
        """The bands of the clean examples."""
        radius = explorer.layout.radius
        if radius is None:
            raise SpecError("bands of features without a frequency", "a Fourier basis", "use another explorer")
        cutoff = cutoffs(explorer, x, radius, self.tau)
        # Radii of the same circle differ by rounding.
        low = (radius.to(cutoff.device) <= cutoff.unsqueeze(1) * (1 + 1e-6)).to(x.device)
        weights = torch.where(low, x.new_full((), 2 * self.alpha), 2 * (1 - self.alpha))
        return BandWeights(cutoff, low, weights)


def cutoffs(
    explorer: Basis, x: Float[Tensor, "batch *signal"], radius: Float[Tensor, " features"], tau: float
) -> Float[Tensor, " batch"]:
    """The least radius that holds a fraction `tau` of each example's power without its constant; 0 if it has none.

    With the constant, one feature can hold most of a picture's power, and the cutoff would be 0. Power at rounding
    level does not count.
    """
    coefficients = explorer.forward(x)
    magnitude = explorer.magnitude(coefficients)
    above_floor = magnitude > 8 * torch.finfo(magnitude.dtype).eps * magnitude.amax(1, keepdim=True)
    power = in_float64(torch.where(above_floor, magnitude / magnitude.amax(1, keepdim=True), 0)).square()
    radius = to_device(radius, power.device)
    power = power * explorer.multiplicity.to(power.device) * (radius > 0)
    order = radius.argsort(stable=True)
    cumulative = power[:, order].cumsum(1)
    first = (cumulative >= tau * cumulative[:, -1:]).int().argmax(1)
    return torch.where(cumulative[:, -1] > 0, radius[order][first], 0)
