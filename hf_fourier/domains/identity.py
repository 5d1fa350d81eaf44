"""The identity: every entry of the signal is its own feature, which gives the ordinary spatial methods."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch

from hf_fourier.domains.base import DOMAINS, Basis, Domain
from hf_fourier.domains.layout import Column, Layout, SignalShape
from hf_fourier.errors import SpecError
from hf_fourier.typing import Float, Inexact, Tensor


@DOMAINS.register("identity", aliases=("pixels", "positions", "input"))
@dataclass(frozen=True)
class Identity(Domain):
    """Features are the signal's own entries.

    Attributes:
        grain: "entry" ranks every entry; "position" takes all channels of a position together (a pixel, a token).
    """

    grain: str = "entry"

    def __post_init__(self) -> None:
        if self.grain not in ("entry", "position"):
            raise SpecError(f"grain {self.grain!r}", "'entry' or 'position'", "choose one of them")

    def build(self, signal: SignalShape) -> Basis:
        """The basis for one signal without segments."""
        return IdentityBasis(self, signal)


class IdentityBasis(Basis):
    """The identity on signals of one shape."""

    def __init__(self, domain: Identity, signal: SignalShape) -> None:
        self.domain, self.signal = domain, signal
        index = torch.arange(torch.Size(signal.shape).numel())
        self.bin_multiplicity = torch.ones_like(index)
        self._coordinates = list(torch.unravel_index(index, signal.shape))
        self._axes = list(range(len(signal.axes)))
        if domain.grain == "position":
            self._axes = list(signal.ordered_axes)
            sizes = [signal.shape[i] for i in self._axes]
            flat = torch.zeros_like(index)
            for i, size in zip(self._axes, sizes, strict=True):
                flat = flat * size + self._coordinates[i]
            self.feature_of_representative = self.feature_of_bin = flat
            self._coordinates = list(torch.unravel_index(torch.arange(torch.Size(sizes).numel()), tuple(sizes)))

    def forward(self, x: Float[Tensor, "batch *signal"]) -> Inexact[Tensor, "batch stored"]:
        """The entries themselves, flattened."""
        return x.flatten(1) if x.dtype == torch.float64 else x.float().flatten(1)

    def inverse(self, coefficients: Inexact[Tensor, "batch stored"]) -> Float[Tensor, "batch *signal"]:
        """The entries in the signal's shape."""
        return coefficients.reshape(-1, *self.signal.shape)

    @cached_property
    def layout(self) -> Layout:
        """The position of each feature."""
        columns = []
        for i, values in zip(self._axes, self._coordinates, strict=True):
            axis = self.signal.axes[i]
            columns.append(Column.of_axis(axis, values))
        return Layout(DOMAINS.spec(self.domain), self.signal, tuple(columns), self.multiplicity)
