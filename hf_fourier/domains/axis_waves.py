"""Base of the domains whose features are waves along whole axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from hf_fourier.domains.bands import Bandable, Bands, Split, directions
from hf_fourier.domains.base import DOMAINS, Basis
from hf_fourier.domains.layout import Column, Layout, axes_tuple
from hf_fourier.errors import SpecError
from hf_fourier.typing import Float, Int, Tensor


@dataclass(frozen=True)
class AxisWaves(Bandable):
    """A transform along whole axes.

    Attributes:
        axes: The axes to transform, by name or by number (negative counts from the end); None for every axis that has
            an order (pixels: height and width, tokens: along the tokens), each channel by itself.
        grain: "bin" ranks every frequency of every channel; "frequency" takes all channels of one frequency together.
        bands: Bands to take the features together in; see `Bandable`.
        directions: Directions into which each band is cut, where two or three axes are transformed; 1 for none.
        channels: "together" takes all channels of a band together; "apart" makes a band of each channel by itself
            (the alpha rhythm at each electrode).
    """

    axes: Sequence[str | int] | int | None = None
    grain: str = "bin"
    bands: Bands = None
    directions: int = 1
    channels: str = "together"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "axes", axes_tuple(self.axes))
        if self.grain not in ("bin", "frequency"):
            raise SpecError(f"grain {self.grain!r}", "'bin' or 'frequency'", "choose one of them")
        if not isinstance(self.directions, int) or self.directions < 1:
            raise SpecError(f"directions {self.directions!r}", "a whole number of at least 1", "correct `directions`")
        if self.directions > 1 and self.bands is None:
            raise SpecError(f"directions={self.directions} without bands", "bands, which they cut", "give `bands` too")
        if self.channels not in ("together", "apart"):
            raise SpecError(f"channels {self.channels!r}", "'together' or 'apart'", "choose one of them")
        if self.channels == "apart" and self.bands is None:
            raise SpecError("channels=apart without bands", "bands, which it cuts", "give `bands` too")

    def split(self, basis: Basis) -> Split:
        """The bands, cut by direction and by channel where that is asked."""
        split, layout = super().split(basis), basis.layout
        if self.directions > 1:
            split = split.crossed(*directions(layout.signal, layout.with_role("frequency"), self.directions))
        return split.by_channel(layout) if self.channels == "apart" else split


def axis_wave_layout(
    domain: AxisWaves, basis: Basis, bins: Sequence[Int[Tensor, "_"]], cycles: Mapping[int, Float[Tensor, " features"]]
) -> Layout:
    """The channel of each feature and its frequency in the axes' units.

    Args:
        domain: The domain.
        basis: Its basis.
        bins: Each feature's index along each dimension of the signal (of those that it has).
        cycles: By transformed dimension, each feature's frequency in cycles per entry.
    """
    columns, squares = [], torch.zeros(len(basis), dtype=torch.float32)
    for d, axis in enumerate(basis.signal.axes):
        if d in cycles:
            squares = squares + cycles[d].square()
            name = "frequency" if len(cycles) == 1 else f"frequency_{axis.name}"
            columns.append(Column(name, "frequency", cycles[d] * axis.rate, axis.unit, axis.name))
        elif domain.grain == "bin":
            columns.append(Column.of_axis(axis, bins[d]))
    return Layout(DOMAINS.spec(domain), basis.signal, tuple(columns), basis.multiplicity, squares.sqrt())
