"""The identity: every entry of the leaf is its own feature, which gives the ordinary spatial methods."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch

from hf_fourier.domains.base import DOMAINS, Basis, Domain
from hf_fourier.domains.layout import Column, Layout, SignalShape
from hf_fourier.errors import SpecError
from hf_fourier.typing import Float, Inexact, Tensor


@DOMAINS.register("identity")
@dataclass(frozen=True)
class Identity(Domain):
    """Features are the leaf's own entries.

    Attributes:
        grain: "entry" ranks every entry; "position" takes all channels of a position together (a pixel, a token).
    """

    grain: str = "entry"

    def __post_init__(self) -> None:
        if self.grain not in ("entry", "position"):
            raise SpecError(f"grain {self.grain!r}", "'entry' or 'position'", "choose one of them")

    def build(self, leaf: SignalShape) -> Basis:
        """The basis for one leaf without segments."""
        return IdentityBasis(self, leaf)


class IdentityBasis(Basis):
    """The identity on leaves of one shape."""

    def __init__(self, domain: Identity, leaf: SignalShape) -> None:
        self.domain, self.leaf = domain, leaf
        index = torch.arange(torch.Size(leaf.shape).numel())
        self.weights = torch.ones_like(index)
        self._coordinates = list(torch.unravel_index(index, leaf.shape))
        self._axes = list(range(len(leaf.axes)))
        if domain.grain == "position":
            self._axes = list(leaf.positions)
            sizes = [leaf.shape[i] for i in self._axes]
            flat = torch.zeros_like(index)
            for i, size in zip(self._axes, sizes, strict=True):
                flat = flat * size + self._coordinates[i]
            self.groups = self.owners = flat
            self._coordinates = list(torch.unravel_index(torch.arange(torch.Size(sizes).numel()), tuple(sizes)))

    def forward(self, x: Float[Tensor, "batch *leaf"]) -> Inexact[Tensor, "batch stored"]:
        """The entries themselves, flattened."""
        return x.flatten(1) if x.dtype == torch.float64 else x.float().flatten(1)

    def inverse(self, coefficients: Inexact[Tensor, "batch stored"]) -> Float[Tensor, "batch *leaf"]:
        """The entries in the leaf's shape."""
        return coefficients.reshape(-1, *self.leaf.shape)

    @cached_property
    def layout(self) -> Layout:
        """Where each feature lies."""
        columns = []
        for i, values in zip(self._axes, self._coordinates, strict=True):
            axis = self.leaf.axes[i]
            columns.append(Column(axis.name, "channel" if axis.channel else "position", values, axis=axis.name))
        return Layout(DOMAINS.spec(self.domain), self.leaf, tuple(columns), self.multiplicity)
