"""Base of the domains whose features are waves along whole axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from hf_fourier.domains.base import DOMAINS, Basis, Domain
from hf_fourier.domains.layout import Column, Layout, axes_tuple
from hf_fourier.errors import SpecError
from hf_fourier.typing import Float, Int, Tensor


@dataclass(frozen=True)
class AxisWaves(Domain):
    """A transform along whole axes.

    Attributes:
        axes: The axes to transform, by name or by number (negative counts from the end); None for every axis that has
            an order (pixels: height and width, tokens: along the tokens), each channel by itself.
        grain: "bin" ranks every frequency of every channel; "frequency" takes all channels of one frequency together.
    """

    axes: Sequence[str | int] | int | None = None
    grain: str = "bin"

    def __post_init__(self) -> None:
        object.__setattr__(self, "axes", axes_tuple(self.axes))
        if self.grain not in ("bin", "frequency"):
            raise SpecError(f"grain {self.grain!r}", "'bin' or 'frequency'", "choose one of them")


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
            columns.append(Column(axis.name, "channel" if axis.channel else "position", bins[d], axis=axis.name))
    return Layout(DOMAINS.spec(domain), basis.signal, tuple(columns), basis.multiplicity, squares.sqrt())
