"""The short-time Fourier domain: features have a frequency and a time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import ClassVar

import torch

from hf_fourier.domains import limits
from hf_fourier.domains.bands import Bandable, Bands, Split
from hf_fourier.domains.base import DOMAINS, Basis
from hf_fourier.domains.filterbank import overlap_add
from hf_fourier.domains.layout import Column, Layout, SignalShape
from hf_fourier.errors import SpecError
from hf_fourier.typing import Float, Inexact, Tensor


@DOMAINS.register("stft", aliases=("spectrogram",))
@dataclass(frozen=True)
class Stft(Bandable):
    """The short-time Fourier transform along one axis, as a tight frame: synthesis is the adjoint of analysis.

    It has `window / hop` times as many coefficients as entries, and a few more at the ends: a deletion is made once,
    from the clean coefficients, and the result's own analysis does not show zeros there.

    Attributes:
        window: Entries per frame; at most the signal's own length.
        hop: Entries from one frame to the next; None for half a window. At most `limits.REDUNDANCY` hops make a window.
        axis: The axis to transform, by name or by number; None for the axis in Hz, or else the last that has an order.
        bands: Bands to take the features of all frames together in; see `Bandable`.
        times: Equal parts of the signal into which each band is cut.
    """

    reference: ClassVar[str] = "Allen and Rabiner 1977; Griffin and Lim 1984"

    window: int = 512
    hop: int | None = None
    axis: str | int | None = None
    bands: Bands = None
    times: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.times, int) or self.times < 1:
            raise SpecError(f"times {self.times!r}", "a whole number of at least 1", "correct `times`")
        if self.times > 1 and self.bands is None:
            raise SpecError(f"times={self.times} without bands", "bands, which they cut", "give `bands` too")
        hop = self.hop if self.hop is not None else 1
        if not (isinstance(self.window, int) and isinstance(hop, int) and 1 <= hop <= self.window):
            raise SpecError(
                f"window {self.window!r} and hop {self.hop!r}",
                "whole numbers, the hop from 1 up to the window",
                "correct `window` or `hop`",
            )

    def split(self, basis: Basis) -> Split:
        """The bands, cut by time where that is asked; a frame belongs where its middle lies."""
        split, signal = super().split(basis), basis.signal
        if self.times == 1:
            return split
        frequency = basis.layout.with_role("frequency")[0]
        middle = next(c for c in basis.layout.with_role("position") if c.axis == frequency.axis).values
        axis = next(axis for axis in signal.axes if axis.name == frequency.axis)
        part = (middle / axis.length * self.times).floor().clamp(0, self.times - 1).long()
        ends = [axis.length * i / self.times for i in range(self.times + 1)]
        if axis.unit == "Hz":
            names = [f"{a / axis.rate:.3g}–{b / axis.rate:.3g} s" for a, b in pairwise(ends)]
        else:
            names = [f"{axis.name} {a:.4g}–{b:.4g}" for a, b in pairwise(ends)]
        return split.crossed(part, names)

    def incompatibility(self, signal: SignalShape) -> str | None:
        """The reason against pictures and volumes, none of whose axes stands out; a video has its time."""
        if signal.kind in ("pixels", "volume"):
            return "none of its axes is time; use 'wavelet' for frequencies with a place"
        if signal.kind == "video" and self.axis is None and not any(axis.unit == "Hz" for axis in signal.axes):
            return "no axis of this video is in Hz; name its time axis with `axis`"
        return None

    def build(self, signal: SignalShape) -> Basis:
        """The basis for one signal without segments."""
        dims = signal.resolve_axes(None if self.axis is None else (self.axis,))
        return StftBasis(self, signal, next((d for d in dims if signal.axes[d].unit == "Hz"), dims[-1]))


class StftBasis(Basis):
    """Half spectra of windows along one dimension of signals of one shape.

    Frames start at `hop − window`, so that every entry lies in as many frames as any other, with nothing beyond the
    ends. The window is half a sine wave, divided by the root of the sum of its squares over all frames.
    """

    def __init__(self, domain: Stft, signal: SignalShape, dim: int) -> None:
        self.domain, self.signal, self.dim = domain, signal, dim
        self.length = signal.shape[dim]
        self.size = min(domain.window, self.length)
        self.hop = max(1, self.size // 2) if domain.hop is None else min(domain.hop, self.size)
        if self.size > limits.REDUNDANCY * self.hop:
            got = f"a window of {self.size} and a hop of {self.hop}, {self.size / self.hop:g} coefficients per entry"
            do = f"raise `hop` to {-(-self.size // limits.REDUNDANCY)} or more"
            raise SpecError(got, f"at most {limits.REDUNDANCY} coefficients per entry", do)
        self.frames = -(-(self.length + self.size - self.hop) // self.hop)
        self.bins = self.size // 2 + 1
        self._stored = (*signal.shape[:dim], self.frames, self.bins, *signal.shape[dim + 1 :])
        self._places = torch.unravel_index(torch.arange(math.prod(self._stored)), self._stored)
        bins = self._places[dim + 1]
        self.bin_multiplicity = torch.where((bins == 0) | (2 * bins == self.size), 1, 2)
        shape = torch.sin(math.pi * (torch.arange(self.size, dtype=torch.float64) + 0.5) / self.size)
        rounds = torch.nn.functional.pad(shape.square(), (0, -self.size % self.hop)).view(-1, self.hop)
        self._window = shape / rounds.sum(0).sqrt().repeat(len(rounds))[: self.size]

    def forward(self, x: Float[Tensor, "batch *signal"]) -> Inexact[Tensor, "batch stored"]:
        """The half spectra of all frames, flattened."""
        real = (x if x.dtype == torch.float64 else x.float()).movedim(self.dim + 1, -1)
        before = self.size - self.hop
        after = (self.frames - 1) * self.hop + self.size - before - self.length
        frames = torch.nn.functional.pad(real, (before, after)).unfold(-1, self.size, self.hop)
        spectrum = torch.fft.rfft(frames * self._window.to(real), norm="ortho")
        return spectrum.movedim((-2, -1), (self.dim + 1, self.dim + 2)).flatten(1)

    def inverse(self, coefficients: Inexact[Tensor, "batch stored"]) -> Float[Tensor, "batch *signal"]:
        """The sum of the frames, windowed once more."""
        spectrum = coefficients.reshape(-1, *self._stored).movedim((self.dim + 1, self.dim + 2), (-2, -1))
        frames = torch.fft.irfft(spectrum, n=self.size, norm="ortho")
        before = self.size - self.hop
        x = overlap_add(frames * self._window.to(frames), self.hop)[..., before : before + self.length]
        return x.movedim(-1, self.dim + 1)

    @cached_property
    def layout(self) -> Layout:
        """Frequency in the axis' unit, and the middle of the frame, in entries; at the ends it may lie outside."""
        columns = []
        for d, axis in enumerate(self.signal.axes):
            if d == self.dim:
                cycles = self._places[d + 1].float() / self.size
                middle = (self._places[d] * self.hop + (self.hop - self.size)).float() + (self.size - 1) / 2
                columns.append(Column("frequency", "frequency", cycles * axis.rate, axis.unit, axis.name))
                columns.append(Column(axis.name, "position", middle, axis=axis.name))
            else:
                place = self._places[d if d < self.dim else d + 1]
                columns.append(Column.of_axis(axis, place))
        spec = DOMAINS.spec(self.domain)
        return Layout(spec, self.signal, tuple(columns), self.multiplicity, cycles, self.redundancy)
