"""Amplitude and phase gradients: how the score changes as a component gets stronger, and as its crests move.

A coefficient is `c_k = A_k exp(i φ_k)`, with the amplitude `A_k = |c|_k` of `basis.magnitude` and the phase φ_k in
radians. With `G = basis.pullback(ds/dx)` and J the rotation of each coefficient by 90°, `(Re, Im) -> (-Im, Re)`,

    ds/dA_k = <c, G>_k / A_k        ds/dφ_k = <J c, G>_k

Both partners of a pair ±k move together, and so do all bins of a merged feature. `A_k ds/dA_k` is `gradient_input`; the
phase derivative is the half of the gradient that it leaves out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hf_fourier.domains.base import Basis
from hf_fourier.errors import SpecError
from hf_fourier.methods.base import METHODS, Method, Ranking
from hf_fourier.scoring.score import Score
from hf_fourier.seeding import ExampleRng
from hf_fourier.torch_state import has_float64
from hf_fourier.typing import Bool, Float, Inexact, Tensor

#: Amplitudes and derivatives up to this share of their root mean square over an example's features count as zero: what
#: is that small may be rounding.
NEGLIGIBLE = 1e-6


class PolarGradient(Method):
    """A gradient in polar coordinates: one pass each way, two transforms."""

    reference: ClassVar[str] = "braindecode, compute_amplitude_gradients (BSD-3), in any domain"

    @property
    def passes(self) -> tuple[int, int]:
        """One forward and one backward pass."""
        return 1, 1


@METHODS.register("amplitude_gradient")
@dataclass(frozen=True)
class AmplitudeGradient(PolarGradient):
    """Rank by `|ds/dA_k|`, the change of the score per unit of a feature's amplitude, its phase kept.

    The scores are sizes, as those of `saliency`: a component that speaks against the label when it gets stronger ranks
    as high as one that speaks for it. The sign is in `extras["amplitude_gradient"]`, shape `(K,)`, above 0 where more
    amplitude raises the score. These are braindecode's numbers but for its unnormalised transform, whose derivatives
    are smaller by the root of the number of entries transformed. A feature with (nearly) no amplitude has no phase to
    keep and no derivative: it gets 0, and a note counts such features.

    Where the domain has phases (fourier, stft), `extras["phase_share"]`, shape `(K,)`, and `extras["mean_phase_share"]`
    say how much of the first-order change is a matter of phase: see `PolarGradients`. In a real domain an amplitude is
    the size of a coefficient, and these two are missing.
    """

    def attribute(self, score: Score, x: Float[Tensor, "batch *signal"], basis: Basis, rng: ExampleRng) -> Ranking:
        """The sizes of the amplitude derivatives."""
        gradient = score.clean().gradient
        polar = polar_gradients(basis, basis.forward(x), basis.pullback(gradient))
        extras = {"amplitude_gradient": polar.by_amplitude, **_shares(polar)}
        return Ranking(
            polar.by_amplitude.abs(), gradient, extras, counted={_on_absent(len(basis)): polar.absent.sum(1)}
        )


@METHODS.register("phase_gradient")
@dataclass(frozen=True)
class PhaseGradient(PolarGradient):
    """Rank by `|ds/dφ_k|`, the change of the score per radian by which a feature's phase is turned, its amplitude kept.

    Turning by +1 rad moves the crests towards the beginning by 1/(2π) of a period. The sign is in
    `extras["phase_gradient"]`, shape `(K,)`. Features without a phase (the mean, the Nyquist frequency) get 0.
    `extras["phase_share"]`, shape `(K,)`, and `extras["mean_phase_share"]` are those of `PolarGradients`.
    """

    reference: ClassVar[str] = "ours; the counterpart of braindecode's compute_amplitude_gradients"

    def attribute(self, score: Score, x: Float[Tensor, "batch *signal"], basis: Basis, rng: ExampleRng) -> Ranking:
        """The sizes of the phase derivatives.

        Raises:
            SpecError: If the domain's coefficients are real, so that they have a sign and no phase.
        """
        coefficients = basis.forward(x)
        if not coefficients.is_complex():
            raise SpecError(
                f"phase_gradient in domain {basis.layout.domain!r}, whose coefficients are real and have no phase",
                "a domain with complex coefficients",
                "use domain='fourier', or method='amplitude_gradient'",
            )
        gradient = score.clean().gradient
        polar = polar_gradients(basis, coefficients, basis.pullback(gradient))
        return Ranking(polar.by_phase.abs(), gradient, {"phase_gradient": polar.by_phase, **_shares(polar)})


@dataclass(frozen=True)
class PolarGradients:
    """The gradient of a batch in polar coordinates.

    The phase share of a feature is `π_k = |ds/dφ_k| / (|ds/dφ_k| + |A_k ds/dA_k|)`: how much of what the model reads of
    it, to first order, is its phase. Its mean weights features by their power; those without a phase, those that are
    absent, and those that the model does not read are left out. Near 0 the model reads how strong components are; near
    1, only where or when their crests lie; a gradient in no particular direction gives 0.5. (Share and mean are ours.)

    Attributes:
        by_amplitude: `ds/dA_k`, 0 where a feature is absent, shape `(batch, K)`.
        absent: Whether the amplitude is at most `NEGLIGIBLE` of the root mean square, shape `(batch, K)`.
        by_phase: `ds/dφ_k` per radian, 0 where a feature has no phase, shape `(batch, K)`.
        share: `π_k`, 0 where a feature is left out of the mean, shape `(batch, K)`; None where the domain is real.
        mean_share: Shape `(batch,)`, NaN where no feature counts; None where the domain is real.
    """

    by_amplitude: Float[Tensor, "batch features"]
    absent: Bool[Tensor, "batch features"]
    by_phase: Float[Tensor, "batch features"]
    share: Float[Tensor, "batch features"] | None = None
    mean_share: Float[Tensor, " batch"] | None = None


def polar_gradients(
    basis: Basis, coefficients: Inexact[Tensor, "batch stored"], pulled: Inexact[Tensor, "batch stored"]
) -> PolarGradients:
    """The derivatives of the score with respect to the amplitude and the phase of each feature.

    Args:
        basis: The domain.
        coefficients: Those of the signals, `basis.forward(x)`.
        pulled: The gradient over coefficients, `basis.pullback(ds/dx)`.
    """
    if not has_float64(coefficients.device):
        coefficients, pulled = coefficients.cpu(), pulled.cpu()
    amplitude = basis.magnitude(coefficients)
    absent = _negligible(basis, amplitude)
    radial = basis.inner(coefficients, pulled)
    by_amplitude = torch.where(absent, 0.0, radial / torch.where(absent, 1.0, amplitude))
    if not coefficients.is_complex():
        return PolarGradients(by_amplitude, absent, torch.zeros_like(radial))
    phased = features_with_phase(basis, coefficients.shape[1]).to(amplitude.device)
    by_phase = torch.where(phased, basis.inner(1j * coefficients, pulled), 0.0)
    turned, grown = by_phase.double().abs(), radial.double().abs()
    unread = _negligible(basis, basis.magnitude(pulled)) | (turned + grown == 0)
    counted = phased & ~absent & ~unread
    share = torch.where(counted, turned / torch.where(counted, turned + grown, 1.0), 0.0)
    weights = counted * _power(basis, amplitude)
    mean_share = (share * weights).sum(1) / weights.sum(1)
    return PolarGradients(by_amplitude, absent, by_phase, share.to(radial.dtype), mean_share.to(radial.dtype))


def _power(basis: Basis, magnitude: Float[Tensor, "batch features"]) -> Float[Tensor, "batch features"]:
    """The power of each feature, all of its bins together, in float64: squares of small float32 numbers underflow."""
    return magnitude.double().square() * basis.multiplicity.to(magnitude.device)


def _negligible(basis: Basis, magnitude: Float[Tensor, "batch features"]) -> Bool[Tensor, "batch features"]:
    """Which magnitudes are at most `NEGLIGIBLE` of their root mean square over all bins."""
    mean_square = _power(basis, magnitude).sum(1, keepdim=True) / float(basis.multiplicity.sum())
    return magnitude.double() <= NEGLIGIBLE * mean_square.sqrt()


def features_with_phase(basis: Basis, stored: int) -> Bool[Tensor, " features"]:
    """Which features have a phase: all but those whose bins are their own conjugates (the mean, Nyquist frequencies).

    Args:
        basis: A domain with complex coefficients of real signals.
        stored: How many coefficients it has, M.
    """
    paired, bins = torch.zeros(1, stored, dtype=torch.float64), basis.representative_bins
    paired[0, slice(None) if bins is None else bins] = (basis.bin_multiplicity > 1).double()
    return basis.inner(paired, paired)[0] > 0


def _shares(polar: PolarGradients) -> dict[str, Tensor]:
    """The phase shares by name; none in a real domain."""
    named = {"phase_share": polar.share, "mean_phase_share": polar.mean_share}
    return {name: values for name, values in named.items() if values is not None}


def _on_absent(features: int) -> str:
    """The remark on an example with features that have no amplitude to differentiate by, without their count."""
    return (
        f"amplitude: {{count}} of {features} features have (nearly) none, below {NEGLIGIBLE:g} of the root mean "
        "square, and so no derivative: their score is 0"
    )
