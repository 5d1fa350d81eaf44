"""The cosine domain: the real transform whose waves meet the ends of a signal without a jump."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import ClassVar

import torch

from hf_fourier.domains.axis_waves import AxisWaves, axis_wave_layout
from hf_fourier.domains.base import DOMAINS, Basis
from hf_fourier.domains.filterbank import SHORT, along
from hf_fourier.domains.layout import Layout, SignalShape
from hf_fourier.typing import Float, Inexact, Tensor


@DOMAINS.register("cosine", aliases=("dct",))
@dataclass(frozen=True)
class Cosine(AxisWaves):
    """The orthonormal discrete cosine transform (DCT-II) over any axes.

    `axes` and `grain` are those of `AxisWaves`.
    """

    reference: ClassVar[str] = "Ahmed et al. 1974; Makhoul 1980 (by FFT)"

    def build(self, signal: SignalShape) -> Basis:
        """The basis for one signal without segments."""
        return CosineBasis(self, signal, signal.resolve_axes(self.axes))


class CosineBasis(Basis):
    """DCT-II over some dimensions of signals of one shape: feature k along N entries has frequency k / 2N."""

    def __init__(self, domain: Cosine, signal: SignalShape, dims: tuple[int, ...]) -> None:
        self.domain, self.signal, self.dims = domain, signal, dims
        index = torch.arange(math.prod(signal.shape))
        self.bin_multiplicity = torch.ones_like(index)
        self._bins = torch.unravel_index(index, signal.shape)
        if domain.grain == "frequency":
            flat = torch.zeros_like(index)
            for d in dims:
                flat = flat * signal.shape[d] + self._bins[d]
            self.feature_of_representative = self.feature_of_bin = flat
            sizes = tuple(signal.shape[d] for d in dims)
            bins = torch.unravel_index(torch.arange(math.prod(sizes)), sizes)
            self._bins = tuple(bins[dims.index(d)] if d in dims else index[:0] for d in range(len(signal.shape)))

    def forward(self, x: Float[Tensor, "batch *signal"]) -> Inexact[Tensor, "batch stored"]:
        """The cosine coefficients, flattened."""
        out = x if x.dtype == torch.float64 else x.float()
        for d in reversed(self.dims):
            short = self.signal.shape[d] <= SHORT
            out = (
                along(_placed(_matrix, self.signal.shape[d], out.device, out.dtype), out, d + 1)
                if short
                else _dct(out, d + 1)
            )
        return out.flatten(1)

    def inverse(self, coefficients: Inexact[Tensor, "batch stored"]) -> Float[Tensor, "batch *signal"]:
        """The signal of these coefficients."""
        out = coefficients.reshape(-1, *self.signal.shape)
        for d in self.dims:
            short = self.signal.shape[d] <= SHORT
            out = (
                along(_placed(_matrix, self.signal.shape[d], out.device, out.dtype).T, out, d + 1)
                if short
                else _idct(out, d + 1)
            )
        return out

    @cached_property
    def layout(self) -> Layout:
        """The channel and the frequency of each feature, never negative, in the axes' units."""
        cycles = {d: self._bins[d].float() / (2 * self.signal.shape[d]) for d in self.dims}
        return axis_wave_layout(self.domain, self, self._bins, cycles)


@lru_cache(maxsize=64)
def _matrix(n: int) -> Float[Tensor, "n n"]:
    """The transform written out, row k the wave of frequency k / 2n: faster than an FFT for a short axis."""
    k, i = torch.arange(n, dtype=torch.float64)[:, None], torch.arange(n, dtype=torch.float64)
    scale = _scale(n, k)[:, None]
    return torch.cos(math.pi / n * (i + 0.5) * k) * scale


def _dct(x: Float[Tensor, "..."], dim: int) -> Float[Tensor, "..."]:
    """DCT-II along `dim` by a real FFT of the same length: even entries forwards, then odd ones backwards."""
    n, x = x.shape[dim], x.movedim(dim, -1)
    spectrum = torch.fft.rfft(torch.cat([x[..., ::2], x[..., 1::2].flip(-1)], -1)) * _turn(n, x)
    upper = -spectrum.imag[..., 1 : (n + 1) // 2].flip(-1)
    return (torch.cat([spectrum.real, upper], -1) * _scale(n, x)).movedim(-1, dim)


def _idct(x: Float[Tensor, "..."], dim: int) -> Float[Tensor, "..."]:
    """The inverse of `_dct`."""
    n, y = x.shape[dim], x.movedim(dim, -1)
    y = y / _scale(n, y)
    half = n // 2 + 1
    imaginary = torch.cat([torch.zeros_like(y[..., :1]), -y[..., n - half + 1 :].flip(-1)], -1)
    spectrum = torch.complex(y[..., :half].contiguous(), imaginary) * _turn(n, y).conj()
    v = torch.fft.irfft(spectrum, n=n)
    out = torch.empty_like(v)
    out[..., ::2], out[..., 1::2] = v[..., : (n + 1) // 2], v[..., (n + 1) // 2 :].flip(-1)
    return out.movedim(-1, dim)


@lru_cache(maxsize=256)
def _placed(table: Callable[[int], Tensor], n: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """A table for length n on a device, where it is copied to once, in a real type or its complex counterpart."""
    values = table(n)
    return values.to(device, dtype.to_complex() if values.is_complex() else dtype)


def _turn(n: int, like: Tensor) -> Tensor:
    """`exp(−iπk / 2n)` for the stored bins of a real FFT of length n."""
    return _placed(_turns, n, like.device, like.dtype)


def _turns(n: int) -> Tensor:
    angle = torch.arange(n // 2 + 1, dtype=torch.float64) * (-math.pi / (2 * n))
    return torch.polar(torch.ones_like(angle), angle)


def _scale(n: int, like: Tensor) -> Tensor:
    """The factors that make the transform orthonormal."""
    return _placed(_scales, n, like.device, like.dtype)


def _scales(n: int) -> Tensor:
    scale = torch.full((n,), (2 / n) ** 0.5, dtype=torch.float64)
    scale[0] = n**-0.5
    return scale
