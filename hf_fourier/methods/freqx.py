"""FreqX: frequencies layer by layer, by how far a layer's neurons agree on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from hf_fourier.domains.base import Basis
from hf_fourier.errors import SpecError
from hf_fourier.methods.base import METHODS, Method, Ranking
from hf_fourier.scoring.layer_gradients import LayerOutput, LayerPass, matches
from hf_fourier.scoring.pending import to_device
from hf_fourier.scoring.score import Score
from hf_fourier.seeding import ExampleRng
from hf_fourier.torch_state import in_float64
from hf_fourier.typing import Float, Int, Tensor

#: Patterns of module names: one, several, or None; a spec reads a bare number as one.
Names = str | int | tuple[str | int, ...] | None
#: Layers of at most so many neurons are computed neuron by neuron.
EXACT_NEURONS = 64
#: The bits of a feature whose contributions have signs as if by chance: the mean of ½ log2(1 + r²), r standard normal.
CHANCE_LEVEL = 0.385


@METHODS.register("freqx")
@dataclass(frozen=True)
class FreqX(Method):
    """Rank by gradient × coefficient; by layer, measure in bits how far the neurons agree on each frequency.

    The paper's equations were not available (arXiv 2411.18343, first version); these are ours. With z the output of
    layer l, `a = ds/dz` and `w_j = dz_j/dx`, feature k contributes `c_j(k) = a_j <W₊ w_j, F>_k` through neuron j. Then

        S_l(k) = Σ_j c_j(k)            the layer's signal: one gradient, pulled back from a
        Q_l(k) = Σ_j c_j(k)²           its energy: the mean square of Σ_j r_j c_j(k) over random signs r
        SNR_l(k) = S_l(k)² / Q_l(k)    from 0 to the number of neurons
        I_l(k) = ½ log2(1 + SNR_l(k))  bits

    The scores are the signed gradient × input, `S(k)` of the whole model. Where every path from the signal to the score
    goes through z (the layer is a *cut*: a plain net's layer, a residual stream between blocks), `S_l = S`, and only
    the energy tells layers apart; elsewhere (a branch, a U-Net's inside) `S_l` is the branch's part. The signal itself
    is the first layer, and the only one of a callable that is not a module. Contributions with random signs have
    0.385 bits on average: with more the neurons agree on a frequency, with less they cancel each other.

    Q is estimated with a relative standard error of √(2/samples), its inverse corrected by (samples − 2)/samples, and
    what is not linear in it (entropy, divergence) by comparison with the two halves of the draws. Layers of at most 64
    neurons, or no more than `samples`, are exact.

    `extras`, per example (L layers in the order of their calls, B bands of radial frequency, the constant term by
    itself): "layers", "neurons", "is_cut" and "standard_error" (of Q, relative; 0 where exact), lists of L;
    "band_radius", the mean radius of each band in cycles per sample, shape `(B,)`; "energy", each band's fraction of a
    layer's energy, and "information", its mean bits weighted by energy, shape `(L, B)`; "signal", the sum of S_l in
    units of the score, "entropy" of Q_l over features in bits and "effective", the number of frequencies 2^entropy,
    shape `(L,)`;
    "divergence", the Jensen–Shannon divergence of two layers' energies in bits, shape `(L, L)`; and with `detail`,
    "detail_layers" and "detail", I_l(k) of each feature there, shape `(layers, K)`.

    Attributes:
        layers: Names of modules, `*` for any part between dots, from the end ("layer.*", "encoder.layer.3.output");
            None for the blocks that the model is stacked of.
        samples: Random signs per layer, an even number: each costs a backward pass.
        bands: Bands of radial frequency, at most.
        detail: The layers, by names as above, for which the bits of every feature are returned.
    """

    layers: Names = None
    samples: int = 16
    bands: int = 16
    detail: Names = None

    reference: ClassVar[str] = "ours, after arXiv 2411.18343 version 1"

    def __post_init__(self) -> None:
        if not isinstance(self.samples, int) or self.samples < 4 or self.samples % 2:
            raise SpecError(f"samples {self.samples!r}", "an even number of at least 4", "correct `samples`")
        if not isinstance(self.bands, int) or self.bands < 1:
            raise SpecError(f"bands {self.bands!r}", "a whole number of at least 1", "correct `bands`")

    @property
    def properties(self) -> tuple[str, ...]:
        """The scores are complete and not random; only extras are."""
        return ("complete",)

    @property
    def passes(self) -> None:
        """None: they depend on the model's layers; see `cost`."""
        return None

    @property
    def passes_text(self) -> str:
        """The passes in words, for layers that are not exact."""
        return f"1 + 1, and {1 + self.samples} per layer"

    def cost(self, neurons: Sequence[int]) -> tuple[int, int]:
        """Passes per example, forward and backward, for layers of so many neurons, the signal left out."""
        return 1, 1 + sum(1 + self._pulls(own) for own in neurons)

    def _pulls(self, neurons: int) -> int:
        """Backward passes for the energy of a layer."""
        return neurons if self._exact(neurons) else self.samples

    def _exact(self, neurons: int) -> bool:
        return neurons <= max(EXACT_NEURONS, self.samples)

    def attribute(self, score: Score, x: Float[Tensor, "batch *signal"], basis: Basis, rng: ExampleRng) -> Ranking:
        """Gradient × input, with the layers' profiles as extras.

        Raises:
            SpecError: If there are no such layers.
        """
        band, radius = bands(basis, self.bands)
        parts = score.with_layers(_patterns(self.layers), lambda opened: self._profile(opened, basis, band, rng))
        gradient = score.clean().gradient
        scores = basis.inner(basis.pullback(gradient), basis.forward(x))
        error = scores.sum(1) - (gradient * x).flatten(1).sum(1)
        extras = {name: [row for part in parts for row in part[name]] for name in parts[0]}
        return Ranking(scores, gradient, {**extras, "band_radius": [radius.to(x.dtype)] * len(x)}, error)

    def _profile(
        self, opened: LayerPass, basis: Basis, band: Int[Tensor, " features"], rng: ExampleRng
    ) -> dict[str, Any]:
        """The profiles of some examples: by name, one entry per example."""
        coefficients = basis.forward(opened.signal)
        rows, dtype = len(opened.signal), opened.signal.dtype

        def contribution(layer: LayerOutput, seed: Tensor) -> Float[Tensor, "rows features"]:
            """`<W₊ Jᵀ seed, F>_k` in float64, so that its square neither overflows nor vanishes."""
            return in_float64(basis.inner(basis.pullback(opened.vjp(layer, seed)), coefficients))

        patterns = _patterns(self.detail)
        halves, layers, details = [], [], []
        for layer, upstream in zip(opened.layers, opened.upstream, strict=True):
            signal = contribution(layer, upstream)
            energy = signal.new_zeros(2, *signal.shape)
            for number in range(self._pulls(layer.size)):
                seed = self._seed(opened, layer, number, rng)
                seed = to_device(seed, upstream.device).to(upstream.dtype)
                energy[number % 2] += contribution(layer, seed * upstream).square_()
            exact = self._exact(layer.size)
            if exact:
                energy[:] = energy.sum(0) / 2
            else:
                energy /= self.samples
            bits = mutual_information(signal, energy.sum(0), layer.size, None if exact else self.samples)
            share = normalised(energy, (0, 2))
            slope = opened.dvalue_dmargin.to(signal.device)
            layers.append((signal.sum(1) * slope, *by_band(share.sum(0), bits, band)))
            halves.append(share.to(dtype))
            if patterns is not None and matches(layer.name.partition("#")[0], patterns):
                details.append((layer.name, bits.to(dtype)))
        signals, shares, informations = (torch.stack(own, 1).to(dtype) for own in zip(*layers, strict=True))
        names = [layer.name for layer in opened.layers]
        entropies, divergences = spread(halves)
        same = {
            "layers": names,
            "neurons": [layer.size for layer in opened.layers],
            "is_cut": [opened.is_bottleneck(layer) for layer in opened.layers],
            "standard_error": [0.0 if self._exact(t.size) else math.sqrt(2 / self.samples) for t in opened.layers],
        }
        found: dict[str, Any] = {name: [value] * rows for name, value in same.items()}
        found |= {"signal": signals, "energy": shares, "information": informations, "entropy": entropies}
        found |= {"effective": 2**entropies, "divergence": divergences}
        if patterns is not None:
            if not details:
                raise SpecError(f"detail {' + '.join(patterns)}", f"one of {', '.join(names)}", "correct `detail`")
            found["detail_layers"] = [[name for name, _ in details]] * rows
            found["detail"] = torch.stack([bits for _, bits in details], 1)
        return found

    def _seed(self, opened: LayerPass, layer: LayerOutput, number: int, rng: ExampleRng) -> Tensor:
        """One neuron of each example, or one draw of signs, in the layer's shape."""
        rows, neurons = len(opened.signal), layer.size
        if self._exact(neurons):
            neuron = torch.zeros(rows, neurons, dtype=torch.float32)
            neuron[:, number] = 1
            return layer.to_layer_shape(neuron)
        signs = torch.empty(rows, neurons, dtype=torch.int8)
        for i, row in enumerate(signs):
            row.random_(0, 2, generator=rng.generator(opened.first + i, f"signs at {layer.name}", number))
        return layer.to_layer_shape(signs.mul_(2).sub_(1))


def _patterns(names: Names) -> tuple[str, ...] | None:
    if names is None:
        return None
    return tuple(map(str, names)) if isinstance(names, (tuple, list)) else (str(names),)


def mutual_information(
    signal: Float[Tensor, "rows features"], energy: Float[Tensor, "rows features"], neurons: int, samples: int | None
) -> Float[Tensor, "rows features"]:
    """`½ log2(1 + S²/Q)` bits, the ratio held in [0, neurons]; 0 where there is no energy.

    Args:
        signal: S.
        energy: Q.
        neurons: The layer's.
        samples: Random signs behind Q, whose inverse is then corrected by (samples − 2)/samples; None if it is exact.
    """
    has_energy = energy > 0
    ratio = torch.where(has_energy, signal.square() / torch.where(has_energy, energy, 1), 0)
    correction = 1.0 if samples is None else (samples - 2) / samples
    return (ratio * correction).clamp(0, neurons).log1p() / (2 * math.log(2))


def spread(
    halves: Sequence[Float[Tensor, "2 rows features"]],
) -> tuple[Float[Tensor, "rows layers"], Float[Tensor, "rows layers layers"]]:
    """The entropy of each layer's energy over features, and the Jensen–Shannon divergence of each two, both in bits.

    An entropy of estimates is too small, by an amount that doubles when half the draws are used; so the
    difference to the halves is added (2 H − the mean of the halves' H). Two equal halves change nothing.

    Args:
        halves: By layer, the energy of either half of the draws, summing to 1 over both; 0 where there is none.
    """
    entropies = torch.stack([_entropy(_whole_and_halves(own)) for own in halves], 1)
    has_energy = torch.stack([own.sum((0, 2)) > 0 for own in halves], 1)
    divergences = entropies.new_zeros(*entropies.shape, len(halves))
    for i, one in enumerate(halves):
        for j, other in enumerate(halves[:i]):
            mixed = _entropy((_whole_and_halves(one) + _whole_and_halves(other)) / 2)
            found = (mixed - (entropies[:, i] + entropies[:, j]) / 2).clamp(0, 1)
            divergences[:, i, j] = divergences[:, j, i] = found * (has_energy[:, i] & has_energy[:, j])
    return entropies.clamp(0, math.log2(halves[0].shape[2])), divergences


def _whole_and_halves(halves: Float[Tensor, "2 rows features"]) -> Float[Tensor, "3 rows features"]:
    """The whole energy and that of either half, each summing to 1."""
    return normalised(torch.cat([halves.sum(0, keepdim=True), halves]), 2)


def _entropy(parts: Float[Tensor, "3 rows features"]) -> Float[Tensor, " rows"]:
    """In bits, corrected for the number of draws."""
    whole, one, other = torch.special.entr(parts).sum(2) / math.log(2)
    return 2 * whole - (one + other) / 2


def normalised(values: Float[Tensor, "..."], axes: int | tuple[int, ...]) -> Float[Tensor, "..."]:
    """Divided by their sum over `axes`; zeros where it is zero."""
    total = values.sum(axes, keepdim=True)
    return values / torch.where(total > 0, total, 1)


def by_band(
    share: Float[Tensor, "rows features"], bits: Float[Tensor, "rows features"], band: Int[Tensor, " features"]
) -> tuple[Float[Tensor, "rows bands"], Float[Tensor, "rows bands"]]:
    """The energy of each band, and its mean bits weighted by energy (0 where there is none)."""
    zeros = share.new_zeros(len(share), int(band.max()) + 1)
    band = to_device(band, share.device)
    energy = zeros.index_add(1, band, share)
    return energy, zeros.index_add(1, band, share * bits) / torch.where(energy > 0, energy, 1)


def bands(basis: Basis, most: int) -> tuple[Int[Tensor, " features"], Float[Tensor, " bands"]]:
    """The band of each feature, and the mean radius of each band in cycles per sample.

    The constant term is a band by itself, the others are equally wide; bands without features are left out. Where
    features have no frequency there is one band, of radius 0.
    """
    radius = basis.layout.radius
    if radius is None:
        return torch.zeros(len(basis), dtype=torch.long), torch.zeros(1)
    top = float(radius.max()) or 1.0
    number = torch.where(radius > 0, (radius / top * most).ceil().clamp(1, most), 0).long()
    _, band, counts = number.unique(return_inverse=True, return_counts=True)
    return band, radius.new_zeros(len(counts)).index_add(0, band, radius) / counts
