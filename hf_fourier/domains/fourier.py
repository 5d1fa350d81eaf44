"""The Fourier domain on real signals: a feature is a conjugate pair ±k of the orthonormal transform."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch

from hf_fourier.domains.axis_waves import AxisWaves, axis_wave_layout
from hf_fourier.domains.base import DOMAINS, Basis
from hf_fourier.domains.layout import Layout, SignalShape
from hf_fourier.typing import Float, Inexact, Int, Tensor


@DOMAINS.register("fourier", aliases=("fft", "dft", "rfft"))
@dataclass(frozen=True)
class Fourier(AxisWaves):
    """The real discrete Fourier transform over any axes, `norm="ortho"`.

    `axes` and `grain` are those of `AxisWaves`.
    """

    reference: ClassVar[str] = "Cooley and Tukey 1965 (FFT)"

    def build(self, signal: SignalShape) -> Basis:
        """The basis for one signal without segments."""
        return FourierBasis(self, signal, signal.resolve_axes(self.axes))


class FourierBasis(Basis):
    """`rfftn` over some dimensions of signals of one shape.

    The last transformed dimension is stored by half. Where its index is 0 or the Nyquist bin, both partners of a pair
    are stored: the one with the smaller flat index stands for the pair, and whatever is done to a feature is done to
    both.
    """

    def __init__(self, domain: Fourier, signal: SignalShape, dims: tuple[int, ...]) -> None:
        self.domain, self.signal, self.dims = domain, signal, dims
        self._sizes = tuple(signal.shape[d] for d in dims)
        half = self._sizes[-1] // 2 + 1
        self._stored = tuple(half if d == dims[-1] else n for d, n in enumerate(signal.shape))
        self._places: tuple[Tensor, ...] | None = None
        if len(dims) == 1 and domain.grain == "bin":  # every stored bin is a feature: no pair is stored twice
            counts = torch.full((half,), 2)
            counts[0] = 1
            counts[half - 1 :] = 1 if self._sizes[-1] % 2 == 0 else counts[-1]
            along = [half if d == dims[-1] else 1 for d in range(len(self._stored))]
            self.bin_multiplicity = counts.view(along).expand(self._stored).reshape(-1)
            return
        index = torch.arange(torch.Size(self._stored).numel()).view(self._stored)
        partner = self._partners(index)
        own = (partner < 0) | (index <= partner)
        self.representative_bins = index[own]
        self.bin_multiplicity = torch.where((partner == index)[own], 1, 2)
        number = torch.cumsum(own.flatten(), 0) - 1
        self.feature_of_bin = torch.where(own, index, partner).flatten()
        self.feature_of_bin = number[self.feature_of_bin]
        self._places = torch.unravel_index(self.representative_bins, self._stored)
        if domain.grain == "frequency":
            self._merge_channels()
        if self.representative_bins.numel() == index.numel():
            self.representative_bins = None
            self.feature_of_bin = None if self.feature_of_representative is None else self.feature_of_bin

    @property
    def _bins(self) -> tuple[Int[Tensor, " features"], ...]:
        """Each feature's index along each dimension of the half spectrum."""
        if self._places is not None:
            return self._places
        along = [[n if i == d else 1 for i in range(len(self._stored))] for d, n in enumerate(self._stored)]
        steps = [torch.arange(n).view(view) for n, view in zip(self._stored, along, strict=True)]
        return tuple(step.expand(self._stored).reshape(-1) for step in steps)

    def _partners(self, index: Int[Tensor, "..."]) -> Int[Tensor, "..."]:
        """For each stored bin the flat index of its conjugate, or −1 where that is not stored."""
        last, size = self.dims[-1], self._sizes[-1]
        mirrored = index
        for d, n in zip(self.dims[:-1], self._sizes[:-1], strict=True):
            mirrored = mirrored.index_select(d, -torch.arange(n) % n)
        partner = torch.full_like(index, -1)
        both = torch.tensor([0] + ([size // 2] if size % 2 == 0 else []))
        return partner.index_copy(last, both, mirrored.index_select(last, both))

    def _merge_channels(self) -> None:
        """Merge all features of one frequency over the dimensions that are not transformed."""
        flat = torch.zeros_like(self._bins[0])
        for d in self.dims:
            flat = flat * self._stored[d] + self._bins[d]
        values, groups = torch.unique(flat, return_inverse=True)
        self.feature_of_representative = groups
        assert self.feature_of_bin is not None
        self.feature_of_bin = groups[self.feature_of_bin]
        first = torch.zeros(values.numel(), dtype=torch.long).scatter_(0, groups.flip(0), _descending(groups.numel()))
        self._places = tuple(b[first] for b in self._bins)

    def forward(self, x: Float[Tensor, "batch *signal"]) -> Inexact[Tensor, "batch stored"]:
        """The half spectrum, flattened."""
        real = (x if x.dtype == torch.float64 else x.float()).contiguous()  # torch 2.6 fails on expanded rows
        return torch.fft.rfftn(real, dim=[d + 1 for d in self.dims], norm="ortho").flatten(1)

    def inverse(self, coefficients: Inexact[Tensor, "batch stored"]) -> Float[Tensor, "batch *signal"]:
        """The real signal of a half spectrum."""
        spectrum, dims = coefficients.reshape(-1, *self._stored), [d + 1 for d in self.dims]
        if self._scipy_inverts and spectrum.device.type == "cpu" and not spectrum.requires_grad:
            from scipy.fft import irfftn

            values = spectrum.numpy(force=True)  # also where a conjugation is still to be done
            return torch.from_numpy(irfftn(values, self._sizes, dims, "ortho", workers=torch.get_num_threads()))
        return torch.fft.irfftn(spectrum, s=self._sizes, dim=dims, norm="ortho")

    @cached_property
    def _scipy_inverts(self) -> bool:
        """Of several axes with no prime factor above 5, scipy's inverse is up to a third faster than torch's."""
        if len(self.dims) == 1:
            return False
        from scipy.fft import next_fast_len

        return all(next_fast_len(n, real=True) == n for n in self._sizes)

    @cached_property
    def layout(self) -> Layout:
        """The channel and the frequency of each feature, signed on all axes but the last, in the axes' units."""
        cycles = {}
        for d, n in zip(self.dims, self._sizes, strict=True):
            bins = self._bins[d]
            signed = bins if d == self.dims[-1] else torch.where(bins > n // 2, bins - n, bins)
            cycles[d] = signed.float() / n
        return axis_wave_layout(self.domain, self, self._bins, cycles)


def _descending(length: int) -> Int[Tensor, " length"]:
    return torch.arange(length - 1, -1, -1)
