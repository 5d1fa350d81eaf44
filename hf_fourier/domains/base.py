"""A domain is a linear, invertible map; bound to a signal's shape it is a basis of features."""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch

from hf_fourier.domains import limits
from hf_fourier.domains.layout import Column, Layout, SignalShape
from hf_fourier.errors import InputError, SpecError
from hf_fourier.registry import Registry
from hf_fourier.torch_state import exact, exact_class, set_exact
from hf_fourier.typing import Bool, Float, Inexact, Int, Shaped, Tensor

DOMAINS: Registry[Domain] = Registry("domain")


class Domain(ABC):
    """The configuration of a linear map, before it meets a shape. Subclasses are registered frozen dataclasses."""

    name: ClassVar[str]
    reference: ClassVar[str] = ""

    def bind(self, signal: SignalShape) -> Basis:
        """The basis for signals of this shape, one transform per segment. Bases are cached and hold no data.

        Raises:
            SpecError: If the domain does not suit the signal, or has more coefficients for each of its entries than
                `limits.REDUNDANCY`.
            InputError: If the signal has more entries than `limits.SIGNAL_ENTRIES`.
        """
        entries = math.prod(signal.shape)
        if entries > limits.SIGNAL_ENTRIES:
            do = "shorten or resize the example"
            raise InputError(f"a signal of {entries} entries", f"at most {limits.SIGNAL_ENTRIES} entries", do)
        reason = self.incompatibility(signal)
        if reason is not None:
            raise SpecError(f"domain {self.name!r} for {signal.kind}", "a domain that suits them", reason)
        return _bind(self, signal)

    def incompatibility(self, signal: SignalShape) -> str | None:
        """None if the domain suits the signal; else the reason, and what to use instead."""
        return None

    @abstractmethod
    def build(self, signal: SignalShape) -> Basis:
        """The basis for a signal without segments."""

    def coarsen(self, basis: Basis) -> Basis:
        """The basis with its features taken together, where the domain asks for that; else the given one."""
        return basis


@exact
def _built(domain: Domain, signal: SignalShape) -> Basis:
    if len(signal.segments) > 1:
        fine: Basis = DirectSum([domain.build(signal.segment(length)) for length in signal.segments], signal)
    else:
        fine = domain.build(signal)
    basis = domain.coarsen(fine)
    for name in _INDICES:
        index = getattr(basis, name)
        if index is not None and basis.bin_multiplicity.numel() < 2**31:
            setattr(basis, name, index.int())
    return basis


#: The tensors of a basis that hold places.
_INDICES = ("representative_bins", "feature_of_representative", "feature_of_bin")
#: Bytes of tensors, on all devices, that bases may keep while they are not in use.
CACHE_BYTES = 2**27


class _Bases:
    """The bases that were asked for last, as many as have `CACHE_BYTES`; the last one in any case."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[Domain, SignalShape], Basis] = OrderedDict()
        self._sizes: dict[tuple[Domain, SignalShape], int] = {}
        self._used: set[tuple[Domain, SignalShape]] = set()
        self._lock = threading.Lock()

    def __call__(self, domain: Domain, signal: SignalShape) -> Basis:
        key = domain, signal
        with self._lock:
            basis = self._known.get(key)
            if basis is not None:
                self._known.move_to_end(key)
                self._used.add(key)
                return basis
        basis = _built(domain, signal)
        with self._lock:
            self._known[key] = basis
            self._sizes.update((one, _bytes(self._known[one], set())) for one in (*self._used, key))
            self._used = {key}  # the only ones that grow (by their layout, on a device) before they are measured again
            while sum(self._sizes.values()) > CACHE_BYTES and len(self._known) > 1:
                oldest, _ = self._known.popitem(last=False)
                self._sizes.pop(oldest, None)
                self._used.discard(oldest)
        return basis

    def cache_clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._known.clear()
            self._sizes.clear()
            self._used.clear()


def _bytes(value: Any, seen: set[int]) -> int:
    """Bytes of the tensors that an object of ours holds, each once."""
    if isinstance(value, Tensor):
        new = id(value) not in seen
        seen.add(id(value))
        return value.numel() * value.element_size() * new
    if isinstance(value, (Basis, Layout, Column)):
        return _bytes(vars(value).copy(), seen)
    if isinstance(value, (dict, list, tuple)):
        # A copy, taken in one step: other threads may be using the basis, and adding to it.
        return sum(_bytes(one, seen) for one in (value.copy().values() if isinstance(value, dict) else value))
    return 0


_bind = _Bases()


@exact_class
class Basis(ABC):
    """A domain bound to a signal's shape: analysis, synthesis, and features.

    Coefficients are one tensor `(batch, M)`, real or complex, of the M stored bins. Features are the K things that are
    ranked and deleted; a feature may have several stored bins. All that concerns features is derived from four index
    tensors, which a subclass provides:

    Attributes:
        signal: The signal's shape.
        parseval: Whether analysis and the adjoint of the synthesis are the same map.
        representative_bins: The stored bins that stand for something, shape `(R,)`; None for all of them.
        bin_multiplicity: How many bins of the full spectrum each of those stands for, shape `(R,)`.
        feature_of_representative: The feature of each representative, shape `(R,)`; None where R = K, in order.
        feature_of_bin: The feature of each stored bin, shape `(M,)`; None where M = K, in order.
    """

    signal: SignalShape
    parseval: bool = True
    representative_bins: Int[Tensor, " bins"] | None = None
    feature_of_representative: Int[Tensor, " bins"] | None = None
    feature_of_bin: Int[Tensor, " stored"] | None = None
    bin_multiplicity: Int[Tensor, " bins"]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Transforms are the same in any ambient mode (autocast would run their products in half precision)."""
        super().__init_subclass__(**kwargs)
        for name in ("forward", "inverse", "pullback", "layout"):
            if name in vars(cls):
                set_exact(cls, name, vars(cls)[name])

    @abstractmethod
    def forward(self, x: Float[Tensor, "batch *signal"]) -> Inexact[Tensor, "batch stored"]:
        """Analysis, `F = W x`, in float32 or better."""

    @abstractmethod
    def inverse(self, coefficients: Inexact[Tensor, "batch stored"]) -> Float[Tensor, "batch *signal"]:
        """Synthesis: real by construction, and `inverse(forward(x)) = x`."""

    def pullback(self, gradient: Float[Tensor, "batch *signal"]) -> Inexact[Tensor, "batch stored"]:
        """The adjoint of the synthesis, which maps an input gradient to the gradient over coefficients."""
        if not self.parseval:
            raise NotImplementedError(f"{type(self).__name__} is not Parseval and must define its pullback")
        return self.forward(gradient)

    @property
    @abstractmethod
    def layout(self) -> Layout:
        """The coordinates of each feature."""

    @cached_property
    def multiplicity(self) -> Int[Tensor, " features"]:
        """How many bins of the full spectrum each feature stands for."""
        if self.feature_of_representative is None:
            return self.bin_multiplicity
        return torch.zeros(int(self.feature_of_representative.max()) + 1, dtype=torch.long).index_add_(
            0, self.feature_of_representative, self.bin_multiplicity
        )

    def multiplicity_on(self, device: torch.device) -> Int[Tensor, " features"]:
        """The multiplicities on a device."""
        return self._placed("multiplicity", device)

    @property
    def redundancy(self) -> float:
        """Coefficients per sample; 1 for a basis."""
        return float(self.multiplicity.sum()) / math.prod(self.signal.shape)

    def __len__(self) -> int:
        return self.multiplicity.numel()

    def inner(
        self, a: Inexact[Tensor, "batch stored"], b: Inexact[Tensor, "batch stored"]
    ) -> Float[Tensor, "batch features"]:
        """`<a, b>_k = Σ Re(conj(a) b)` over the full-spectrum bins of each feature."""
        return self._pool(_product(a, b))

    def inner_mean(
        self, a: Inexact[Tensor, "batch stored"], b: Inexact[Tensor, "batch stored"]
    ) -> Float[Tensor, "batch features"]:
        """`<a, b>_k / m_k`, the mean over the bins of each feature."""
        if self.feature_of_representative is None:
            return self._chosen(_product(a, b))
        return self.inner(a, b) / self._on(a, "multiplicity")

    def magnitude(self, a: Inexact[Tensor, "batch stored"]) -> Float[Tensor, "batch features"]:
        """`|a|_k = sqrt(<a, a>_k / m_k)`: the modulus of the bin, or the root mean square over a feature's bins."""
        if self.feature_of_representative is None:
            return self._chosen(_modulus(a))
        return self.inner_mean(a, a).sqrt()

    def scale_features(
        self, coefficients: Inexact[Tensor, "batch stored"], weights: Float[Tensor, "batch features"]
    ) -> Inexact[Tensor, "batch stored"]:
        """Multiply each feature by a real weight, all its stored bins alike (a pair ±k is never split)."""
        return coefficients * self.expand_to_bins(weights)

    def expand_to_bins(self, values: Shaped[Tensor, "batch features"]) -> Shaped[Tensor, "batch stored"]:
        """Each feature's value at all of its stored bins."""
        return values if self.feature_of_bin is None else values.index_select(1, self._on(values, "feature_of_bin"))

    def keep_features(
        self, coefficients: Inexact[Tensor, "batch stored"], mask: Bool[Tensor, "batch features"]
    ) -> Float[Tensor, "batch *signal"]:
        """Synthesis from the features in `mask` alone; all others have zero power."""
        real = coefficients.real if coefficients.is_complex() else coefficients
        return self.inverse(self.scale_features(coefficients, mask.to(real.dtype)))

    def _chosen(self, values: Float[Tensor, "batch stored"]) -> Float[Tensor, "batch bins"]:
        """The values of the bins that stand for something."""
        if self.representative_bins is None:
            return values
        return values.index_select(1, self._on(values, "representative_bins"))

    def _pool(self, values: Float[Tensor, "batch stored"]) -> Float[Tensor, "batch features"]:
        values = self._chosen(values) * self._on(values, "bin_multiplicity").to(values.dtype)
        if self.feature_of_representative is None:
            return values
        return values.new_zeros(len(values), len(self)).index_add_(
            1, self._on(values, "feature_of_representative"), values
        )

    def _on(self, like: Tensor, name: str) -> Tensor:
        """The index tensor `name` on the device of `like`."""
        return self._placed(name, like.device)

    def _placed(self, name: str, device: torch.device) -> Tensor:
        """The index tensor `name` on a device, which it is copied to once, as int32 where that holds it."""
        value: Tensor = getattr(self, name)
        if device.type == "cpu":
            return value
        copies: dict[tuple[str, torch.device], Tensor] = vars(self).setdefault("_copies", {})
        if (name, device) not in copies:
            copies[name, device] = (value.int() if self.bin_multiplicity.numel() < 2**31 else value).to(device)
        return copies[name, device]


def _product(a: Inexact[Tensor, "..."], b: Inexact[Tensor, "..."]) -> Float[Tensor, "..."]:
    """`Re(conj(a) b)`, entry by entry."""
    return (a.conj() * b).real if a.is_complex() else a * b


def _modulus(a: Inexact[Tensor, "..."]) -> Float[Tensor, "..."]:
    """`a.abs()`; of complex numbers on the CPU numpy's is many times faster."""
    if a.is_complex() and a.device.type == "cpu" and not a.requires_grad:
        return torch.from_numpy(np.abs(a.resolve_conj().numpy()))
    return a.abs()


class DirectSum(Basis):
    """Several bases side by side along the signal's first axis: one transform per segment."""

    def __init__(self, parts: list[Basis], signal: SignalShape) -> None:
        self.parts, self.signal = parts, signal
        self.parseval = all(part.parseval for part in parts)
        self._stored = [
            part.forward(torch.zeros(1, *part.signal.shape, dtype=torch.float32)).shape[1] for part in parts
        ]
        self.bin_multiplicity = torch.cat([part.bin_multiplicity for part in parts])
        starts = [sum(self._stored[:i]) for i in range(len(parts))]
        features = [sum(len(p) for p in parts[:i]) for i in range(len(parts))]
        if any(part.representative_bins is not None for part in parts):
            self.representative_bins = torch.cat(
                [
                    start + _or_all(p.representative_bins, n)
                    for start, p, n in zip(starts, parts, self._stored, strict=True)
                ]
            )
        if any(part.feature_of_representative is not None for part in parts):
            self.feature_of_representative = torch.cat(
                [
                    first + _or_all(p.feature_of_representative, p.bin_multiplicity.numel())
                    for first, p in zip(features, parts, strict=True)
                ]
            )
        if any(part.feature_of_bin is not None for part in parts):
            self.feature_of_bin = torch.cat(
                [
                    first + _or_all(p.feature_of_bin, n)
                    for first, p, n in zip(features, parts, self._stored, strict=True)
                ]
            )

    def forward(self, x: Float[Tensor, "batch *signal"]) -> Inexact[Tensor, "batch stored"]:
        """Analysis of each segment, one after another."""
        pieces = x.split(list(self.signal.segments), dim=1)
        return torch.cat([part.forward(piece) for part, piece in zip(self.parts, pieces, strict=True)], dim=1)

    def inverse(self, coefficients: Inexact[Tensor, "batch stored"]) -> Float[Tensor, "batch *signal"]:
        """Synthesis of each segment, put back in order."""
        pieces = coefficients.split(self._stored, dim=1)
        return torch.cat([part.inverse(piece) for part, piece in zip(self.parts, pieces, strict=True)], dim=1)

    def pullback(self, gradient: Float[Tensor, "batch *signal"]) -> Inexact[Tensor, "batch stored"]:
        """The pullback of each segment."""
        pieces = gradient.split(list(self.signal.segments), dim=1)
        return torch.cat([part.pullback(piece) for part, piece in zip(self.parts, pieces, strict=True)], dim=1)

    @cached_property
    def layout(self) -> Layout:
        """The parts' layouts, one after another, with a column for the segment of each feature."""
        layouts = [part.layout for part in self.parts]
        segment = torch.cat([torch.full((len(layout),), i) for i, layout in enumerate(layouts)])
        columns = [Column("segment", "segment", segment)]
        for same in zip(*(layout.columns for layout in layouts), strict=True):
            values = torch.cat([column.values for column in same])
            columns.append(replace(same[0], values=values))
        radii = [layout.radius for layout in layouts]
        radius = None if any(r is None for r in radii) else torch.cat([r for r in radii if r is not None])
        notes = tuple(dict.fromkeys(note for layout in layouts for note in layout.notes))
        spec = layouts[0].domain
        return Layout(spec, self.signal, tuple(columns), self.multiplicity, radius, self.redundancy, notes)


def _or_all(index: Tensor | None, length: int) -> Tensor:
    return torch.arange(length) if index is None else index
