"""The wavelet domain: features have a scale, an orientation and a position."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import ClassVar

import torch

from hf_fourier.domains.bands import Bandable, Bands, Split, band_name, number_text, scale_of
from hf_fourier.domains.base import DOMAINS, Basis
from hf_fourier.domains.filterbank import MODES, Step, atom, filters, pywt, step
from hf_fourier.domains.layout import Band, Column, Layout, SignalShape, axes_tuple
from hf_fourier.errors import SpecError
from hf_fourier.typing import Bool, Float, Inexact, Tensor


@DOMAINS.register("wavelet", aliases=("dwt", "wavelets"))
@dataclass(frozen=True)
class Wavelet(Bandable):
    """The discrete wavelet transform in one, two or three dimensions, at any size.

    Orthogonal families (haar, db, sym, coif, dmey) are orthonormal: as many coefficients as entries, and deleting one
    changes no other. Others (bior, rbio), and any family with a `mode`, have the padded form of `pywt.wavedecn`, which
    has more coefficients than entries and whose pullback is the adjoint of its synthesis, not its analysis.

    Attributes:
        family: A discrete family of PyWavelets.
        level: How often the smooth part is taken apart, at most as often as the filter fits the shortest transformed
            axis, but once; None for just as often as that. 3 is what WAM uses.
        axes: The axes to transform, by name or by number; None for every axis that has an order.
        mode: None for the orthonormal form where the family has one and "symmetric" where not; or the padded form with
            "symmetric", "reflect", "zero", "constant" or "periodic" ends.
        bands: "level" takes the features of each level together; others by the mean frequency of the features' waves
            (see `Bandable`), the smooth part in a band from 0.
        directions: Whether each level is cut by its orientations.
    """

    reference: ClassVar[str] = "Mallat 1989; Lee et al. 2019 (PyWavelets)"
    families: ClassVar[tuple[str, ...]] = ("level", "octave", "third-octave", "mel")  # type: ignore[misc]

    family: str = "haar"
    level: int | None = 3
    axes: Sequence[str | int] | int | None = None
    mode: str | None = None
    bands: Bands = None
    directions: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "axes", axes_tuple(self.axes))
        if self.level is not None and (not isinstance(self.level, int) or self.level < 1):
            raise SpecError(f"level {self.level!r}", "a whole number from 1, or None", "correct `level`")
        if self.mode is not None and self.mode not in MODES:
            raise SpecError(f"mode {self.mode!r}", f"None or one of {', '.join(MODES)}", "choose one of them")
        if self.directions and self.bands != "level":
            raise SpecError(f"directions with bands={self.bands}", "bands='level'", "leave `directions` out")
        filters(self.family)

    def split(self, basis: Basis) -> Split:
        """The levels, the smooth part first, or bands of frequency."""
        if self.bands == "level":
            return levels(basis.layout, self.directions)
        return with_smooth_part(super().split(basis), basis.layout)

    def build(self, signal: SignalShape) -> Basis:
        """The basis for one signal without segments."""
        return WaveletBasis(self, signal, signal.resolve_axes(self.axes))


def with_smooth_part(split: Split, layout: Layout) -> Split:
    """Bands of frequency with the smooth part in a band that reaches down to 0, as the smooth part does.

    That is the band that begins at 0 and holds all of it, if there is one, or else a band of its own in front.

    Args:
        split: The features by the mean frequencies of their waves.
        layout: The features of a wavelet basis.
    """
    smooth, scale = _is_smooth(layout), scale_of(layout)
    edge = scale.limit / 2 ** int(layout.with_role("level")[0].values.max())
    fitting = [i for i, band in enumerate(split.bands) if band.low == 0 and band.high >= edge * (1 - 1e-6)]
    if fitting:
        code, bands = torch.where(smooth, fitting[0], split.band_of_feature), split.bands
    else:
        code = torch.where(smooth, 0, split.band_of_feature + 1)
        bands = (Band(band_name(0.0, edge, scale.unit), 0.0, edge, scale.unit), *split.bands)
    present, band_of_feature = code.unique(return_inverse=True)
    return Split(band_of_feature, tuple(bands[i] for i in present.tolist()))


def _is_smooth(layout: Layout) -> Bool[Tensor, " features"]:
    """The features of the smooth part."""
    orientation = layout.with_role("orientation")[0]
    return torch.tensor([set(name) <= {"a"} for name in orientation.names])[orientation.values.long()]


def levels(layout: Layout, orientations: bool) -> Split:
    """Features by level: the smooth part first, then the details from the coarsest to the finest.

    Args:
        layout: The features of a wavelet basis.
        orientations: Whether each level is cut by its orientations.
    """
    level, orientation = layout.with_role("level")[0].values.long(), layout.with_role("orientation")[0]
    smooth = _is_smooth(layout)
    deepest, scale = int(level.max()), scale_of(layout)
    code = torch.where(smooth, 0, deepest - level + 1)
    bands = [Band("smooth part", 0.0, scale.limit / 2**deepest, scale.unit)]
    for number in range(deepest, 0, -1):
        low, high = scale.limit / 2**number, scale.limit / 2 ** (number - 1)
        bands.append(
            Band(f"level {number} (about {number_text(low)}–{number_text(high)} {scale.unit})", low, high, scale.unit)
        )
    present, band_of_feature = code.unique(return_inverse=True)
    split = Split(band_of_feature, tuple(bands[i] for i in present.tolist()))
    if not orientations:
        return split
    return split.crossed(orientation.values.long(), ["" if set(name) <= {"a"} else name for name in orientation.names])


class WaveletBasis(Basis):
    """The bands of signals of one shape: the smooth part first, then details from the coarsest level to the finest.

    An axis of one entry is left unchanged.
    """

    def __init__(self, domain: Wavelet, signal: SignalShape, dims: tuple[int, ...]) -> None:
        self.domain, self.signal, self._asked = domain, signal, dims
        self.dims = tuple(d for d in dims if signal.shape[d] > 1)
        bank = filters(domain.family)
        self.mode = domain.mode or (None if bank.orthogonal else "symmetric")
        self.parseval = self.mode is None or not self.dims
        self._fits = self._deepest(bank.taps)
        self.levels = self._fits if domain.level is None else min(domain.level, self._fits)
        self._steps: list[list[Step]] = []
        shape, self._shapes = list(signal.shape), [tuple(signal.shape)]
        for _ in range(self.levels):
            self._steps.append([step(domain.family, self.mode, shape[d]) for d in self.dims])
            for d, one in zip(self.dims, self._steps[-1], strict=True):
                shape[d] = one.analysis.lows
            self._shapes.append(tuple(shape))
        self._bands = self._order()
        self._sizes = [prod(shape) for _, _, shape in self._bands]
        self.bin_multiplicity = torch.ones(sum(self._sizes), dtype=torch.long)

    def _deepest(self, taps: int) -> int:
        if not self.dims:
            return 0
        shortest = min(self.signal.shape[d] for d in self.dims)
        return max(1, int(pywt().dwt_max_level(shortest, taps)))

    def _order(self) -> list[tuple[int, tuple[int, ...], tuple[int, ...]]]:
        """Level, detail (1) or smooth (0) along each transformed axis, and shape of each band."""
        smooth = (0,) * len(self.dims)
        bands = [(self.levels, smooth, self._shapes[-1])]
        for level in range(self.levels, 0, -1):
            for letters in itertools.product((0, 1), repeat=len(self.dims)):
                shape = list(self._shapes[level])
                for d, one, letter in zip(self.dims, self._steps[level - 1], letters, strict=True):
                    shape[d] = one.analysis.highs if letter else one.analysis.lows
                if letters != smooth:
                    bands.append((level, letters, tuple(shape)))
        return bands

    def forward(self, x: Float[Tensor, "batch *signal"]) -> Inexact[Tensor, "batch stored"]:
        """The bands, each flattened, one after another."""
        return self._split(x, adjoint=False)

    def pullback(self, gradient: Float[Tensor, "batch *signal"]) -> Inexact[Tensor, "batch stored"]:
        """The adjoint of the synthesis: like the analysis, by the filters of the synthesis."""
        return self._split(gradient, adjoint=True)

    def _split(self, x: Tensor, adjoint: bool) -> Tensor:
        rest = x if x.dtype == torch.float64 else x.float()
        if not self.levels:
            return rest.flatten(1)
        out = rest.new_empty(len(x), len(self))
        bands = self._views(out)
        for level, steps in enumerate(self._steps, 1):
            for d, one in zip(reversed(self.dims), reversed(steps), strict=True):
                rest = (one.synthesis if adjoint else one.analysis).apply(rest, d + 1)
            smooth, *details = self._places(level)
            for place in reversed(details):
                bands.pop().copy_(rest[place])
            rest = rest[smooth]
        bands.pop().copy_(rest)
        return out

    def inverse(self, coefficients: Inexact[Tensor, "batch stored"]) -> Float[Tensor, "batch *signal"]:
        """The signal whose bands these are."""
        rest, *bands = self._views(coefficients)
        for level in range(self.levels, 0, -1):
            steps, places = self._steps[level - 1], self._places(level)
            shape = list(self._shapes[level])
            for d, one in zip(self.dims, steps, strict=True):
                shape[d] = one.synthesis.lows + one.synthesis.highs
            whole = coefficients.new_empty(len(coefficients), *shape)
            whole[places[0]] = rest
            for place in places[1:]:
                whole[place] = bands.pop(0)
            rest = whole
            for d, one in zip(self.dims, steps, strict=True):
                rest = one.synthesis.transpose(rest, d + 1)
        return rest

    def _views(self, coefficients: Tensor) -> list[Tensor]:
        """The bands in their shapes, without a copy."""
        pieces = coefficients.split(self._sizes, 1)
        return [piece.unflatten(1, shape) for piece, (_, _, shape) in zip(pieces, self._bands, strict=True)]

    def _places(self, level: int) -> list[tuple[slice, ...]]:
        """The slices of each orientation in a level that is one tensor; the smooth part first."""
        places = []
        for letters in itertools.product((0, 1), repeat=len(self.dims)):
            place = [slice(None)] * (1 + len(self.signal.shape))
            for d, one, letter in zip(self.dims, self._steps[level - 1], letters, strict=True):
                place[d + 1] = slice(one.analysis.lows, None) if letter else slice(0, one.analysis.lows)
            places.append(tuple(place))
        return places

    @cached_property
    def layout(self) -> Layout:
        """Channel, level, orientation and position of each feature, and the mean frequency of its wave.

        The place is where the energy of the feature's wave is centred, in entries of the signal; in the padded form it
        may lie outside. The orientation has a letter per transformed axis: "d" for detail along it, "a" for smooth;
        only the smooth part has no "d".
        """
        names = tuple("".join(word) for word in itertools.product("ad", repeat=len(self._asked)))
        grids: list[list[Tensor]] = [[] for _ in self.signal.shape]
        levels, orientations, radii = [], [], []
        for (level, letters, shape), size in zip(self._bands, self._sizes, strict=True):
            bins = torch.unravel_index(torch.arange(size), shape)
            squares, word = (
                0.0,
                "".join("ad"[dict(zip(self.dims, letters, strict=True)).get(d, 0)] for d in self._asked),
            )
            for d, values in enumerate(bins):
                if d in self.dims:
                    centre, cycles = atom(self.domain.family, self.mode, level, bool(letters[self.dims.index(d)]))
                    place = values.double() * 2**level + centre
                    grids[d].append(place % self.signal.shape[d] if self.mode is None else place)
                    squares += cycles**2
                else:
                    grids[d].append(values)
            levels.append(torch.full((size,), level))
            orientations.append(torch.full((size,), names.index(word)))
            radii.append(torch.full((size,), squares**0.5, dtype=torch.float32))
        columns = [
            Column("level", "level", torch.cat(levels)),
            Column("orientation", "orientation", torch.cat(orientations), names=names),
        ]
        for axis, grid in zip(self.signal.axes, grids, strict=True):
            column = Column.of_axis(axis, torch.cat(grid))
            columns.insert(0, column) if axis.channel else columns.append(column)
        return Layout(
            DOMAINS.spec(self.domain),
            self.signal,
            tuple(columns),
            self.multiplicity,
            torch.cat(radii),
            self.redundancy,
            self._notes(),
        )

    def _notes(self) -> tuple[str, ...]:
        axes = ", ".join(self.signal.axes[d].name for d in self._asked)
        notes = [f"orientation: a letter per axis ({axes}), d for detail along it, a for smooth"]
        if self.domain.level is not None and self.levels < self.domain.level:
            notes.append(f"{self.levels} of {self.domain.level} levels: the filter does not fit more often")
        return tuple(notes)
