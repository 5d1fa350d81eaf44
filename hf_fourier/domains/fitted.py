"""Fitted domains: directions that were computed from examples (principal, independent, relevant), and the rest."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch

from hf_fourier.domains.base import DOMAINS, Basis, Domain
from hf_fourier.domains.layout import Column, Layout, SignalShape, axes_tuple
from hf_fourier.errors import SpecError
from hf_fourier.typing import Float, Inexact, Tensor

#: Kinds of directions; those of "ica" are of length 1 but not orthogonal.
FITTED_KINDS = ("pca", "ica", "prca")
#: Entries that directions mix, at most: the basis has their square many numbers.
MOST_MIXED = 4096
#: How far scalar products of directions may be from 0 or 1; and of independent ones, the least eigenvalue of the matrix
#: of these products, relative to the largest.
EXACT, INDEPENDENT = 1e-4, 1e-12


@dataclass(frozen=True, eq=False)
class Directions:
    """Directions that were fitted to examples.

    Attributes:
        kind: One of `FITTED_KINDS`.
        vectors: The directions as columns, of length 1, shape `(entries, components)`, float32.
        weights: A number for each: of "pca" and "ica" the fraction of the examples' variance, of "prca" the mean of
            gradient × input.
    """

    kind: str
    vectors: Float[Tensor, "entries components"]
    weights: Float[Tensor, " components"]

    @cached_property
    def name(self) -> str:
        """The kind and a digest of vectors and weights, so that different fits have different names."""
        both = [part.detach().cpu().contiguous().numpy().astype("<f4") for part in (self.vectors, self.weights)]
        text = f"{self.kind}{[part.shape for part in both]}".encode()
        data = b"".join([text, *(part.tobytes() for part in both)])
        return f"{self.kind}-{hashlib.blake2b(data, digest_size=8).hexdigest()}"


_KNOWN: dict[str, Directions] = {}


def remember(directions: Directions) -> str:
    """Keep directions for this process, and return their name, which `Fitted` takes.

    Raises:
        SpecError: If they are of no known kind, not one to `MOST_MIXED` columns of finite numbers with a finite weight
            each, not of length 1 and orthogonal ("pca", "prca"), or not of length 1 and independent ("ica").
    """
    if (name := directions.name) in _KNOWN:
        return name
    kind, vectors, shape = directions.kind, directions.vectors, tuple(directions.vectors.shape)
    do = "fit them with `fit_domain`"
    fits = len(shape) == 2 and 1 <= shape[1] <= shape[0] <= MOST_MIXED
    numbers = vectors.is_floating_point() and bool(vectors.isfinite().all())
    if kind not in FITTED_KINDS or not fits or not numbers:
        got = f"directions of kind {kind!r} and shape {shape}{'' if numbers else ', not all finite numbers'}"
        expected = f"{', '.join(FITTED_KINDS)}, at most {MOST_MIXED} entries, no more directions than those"
        raise SpecError(got, expected, do)
    weights = directions.weights
    if tuple(weights.shape) != shape[1:] or not bool(weights.isfinite().all()):
        got = f"weights of shape {tuple(weights.shape)} for {shape[1]} directions, {int((~weights.isfinite()).sum())}"
        raise SpecError(f"{got} of them not finite", "a finite number for each", do)
    products = vectors.double().T @ vectors.double()
    if kind == "ica":
        sizes = torch.linalg.eigvalsh(products)
        right = float((products.diagonal() - 1).abs().max()) <= EXACT and float(sizes[0]) > INDEPENDENT * sizes[-1]
    else:
        right = float((products - torch.eye(shape[1]).to(products)).abs().max()) <= EXACT
    if not right:
        got = f"directions of kind {kind!r} that are not {'independent' if kind == 'ica' else 'orthogonal'}"
        raise SpecError(f"{got}, or not of length 1", "columns of length 1 that are", do)
    return _KNOWN.setdefault(name, directions).name


@DOMAINS.register("fitted")
@dataclass(frozen=True)
class Fitted(Domain):
    """Components that were fitted to examples by `fit_domain`, and what is orthogonal to all of them as one feature.

    The transform is linear, without centring: deleting a component sets its coefficient to zero, not to its mean.
    Principal and relevant components are orthonormal, so that powers add up to that of the signal. Independent
    components are not orthogonal: they rebuild the signal exactly, but their powers do not add up.

    Attributes:
        basis: The name of the directions, as `fit_domain` gives it.
        axes: The axes that they mix, by name; None for all.
        grain: "bin" ranks each component at each position along the other axes; "component" all positions together.
    """

    reference: ClassVar[str] = "Hotelling 1933; Hyvärinen 1999; Chormai et al. 2024 (arXiv 2212.14855)"

    basis: str = ""
    axes: Sequence[str | int] | int | None = None
    grain: str = "bin"

    def __post_init__(self) -> None:
        object.__setattr__(self, "axes", axes_tuple(self.axes))
        if self.grain not in ("bin", "component"):
            raise SpecError(f"grain {self.grain!r}", "'bin' or 'component'", "choose one of them")

    @property
    def directions(self) -> Directions:
        """The directions.

        Raises:
            SpecError: If this process does not know them.
        """
        if self.basis not in _KNOWN:
            got, do = f"the fitted basis {self.basis!r}", "call `fit_domain`, or load a result that was made with it"
            raise SpecError(got, "one that this process has fitted or loaded", do)
        return _KNOWN[self.basis]

    def mixed(self, signal: SignalShape) -> tuple[int, ...]:
        """The dimensions that the directions mix."""
        return tuple(range(len(signal.axes))) if self.axes is None else signal.resolve_axes(self.axes)

    def incompatibility(self, signal: SignalShape) -> str | None:
        """None if the directions are known and have as many entries as the axes that they mix."""
        if not self.basis:
            return "fit it to examples first: `fit_domain(explainer, examples)`"
        entries = len(self.directions.vectors)
        part = signal.segment(min(signal.segments)) if len(signal.segments) > 1 else signal
        there = math.prod(part.shape[d] for d in self.mixed(signal))
        if entries != there or (len(signal.segments) > 1 and 0 in self.mixed(signal)):
            return f"its directions have {entries} entries, these axes {there}: fit it to examples of this shape"
        return None

    def build(self, signal: SignalShape) -> Basis:
        """The basis for one signal without segments."""
        return FittedBasis(self, signal)


class FittedBasis(Basis):
    """Coefficients along fitted directions at each position of the other axes, then those of the rest."""

    def __init__(self, domain: Fitted, signal: SignalShape) -> None:
        self.domain, self.signal, self._directions = domain, signal, domain.directions
        self._mixed = domain.mixed(signal)
        self._others = tuple(d for d in range(len(signal.axes)) if d not in self._mixed)
        vectors = self._directions.vectors.double()
        entries, self._count = vectors.shape
        q, r = torch.linalg.qr(vectors, mode="complete")
        rest = q[:, self._count :]
        if self._directions.kind == "ica":
            self.parseval = False
            front, dual = vectors, torch.linalg.pinv(vectors).T
        else:
            front = dual = q[:, : self._count] * r.diagonal().sign()
        self._synthesis, self._analysis = torch.cat([front, rest], 1), torch.cat([dual, rest], 1)
        self._has_rest = entries > self._count
        positions = math.prod(signal.shape[d] for d in self._others)
        self.bin_multiplicity = torch.ones(positions * entries, dtype=torch.long)
        each = torch.arange(entries).clamp(max=self._count)
        place = torch.arange(positions)[:, None] * (self._count + self._has_rest)
        if domain.grain == "component":
            place = torch.zeros_like(place)
        self.feature_of_representative = self.feature_of_bin = (place + each).flatten()

    def forward(self, x: Float[Tensor, "batch *signal"]) -> Inexact[Tensor, "batch stored"]:
        """The coefficients of all positions, one after another."""
        return self._turned(x, self._analysis)

    def pullback(self, gradient: Float[Tensor, "batch *signal"]) -> Inexact[Tensor, "batch stored"]:
        """The adjoint of the synthesis."""
        return self._turned(gradient, self._synthesis)

    def _turned(self, x: Tensor, matrix: Tensor) -> Tensor:
        wide = x if x.dtype == torch.float64 else x.float()
        last = wide.permute(0, *(d + 1 for d in self._others), *(d + 1 for d in self._mixed))
        return (last.reshape(len(x), -1, len(matrix)) @ matrix.to(wide)).flatten(1)

    def inverse(self, coefficients: Inexact[Tensor, "batch stored"]) -> Float[Tensor, "batch *signal"]:
        """The signal of these coefficients."""
        matrix = self._synthesis.to(coefficients)
        flat = coefficients.reshape(len(coefficients), -1, len(matrix)) @ matrix.T
        order = (*self._others, *self._mixed)
        out = flat.reshape(-1, *(self.signal.shape[d] for d in order))
        return out.permute(0, *(order.index(d) + 1 for d in range(len(order)))).contiguous()

    @cached_property
    def layout(self) -> Layout:
        """The component of each feature, and its position along the axes that are not mixed."""
        count = self._count + self._has_rest
        names = (*(str(k + 1) for k in range(self._count)), *(["rest"] if self._has_rest else []))
        features = torch.arange(len(self))
        columns = [Column("component", "component", features % count, names=names)]
        if self.domain.grain == "bin" and self._others:
            sizes = tuple(self.signal.shape[d] for d in self._others)
            for d, values in zip(self._others, torch.unravel_index(features // count, sizes), strict=True):
                columns.append(Column.of_axis(self.signal.axes[d], values))
        return Layout(DOMAINS.spec(self.domain), self.signal, tuple(columns), self.multiplicity, notes=self._notes())

    def _notes(self) -> tuple[str, ...]:
        weights, kind = self._directions.weights, self._directions.kind
        best = ", ".join(f"{k + 1}: {w:.3g}" for k, w in enumerate(weights[:5].tolist()))
        what = "mean of gradient × input" if kind == "prca" else "fraction of the examples' variance"
        return (f"components by {kind}, {what} of each: {best}{', …' if len(weights) > 5 else ''}",)
