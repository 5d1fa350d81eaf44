"""The axes of a signal and the coordinates of a domain's features, which plots, tables and metrics read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import torch

from hf_fourier.errors import ORDERED, SpecError
from hf_fourier.typing import Float, Int, Shaped, Tensor

Role = Literal["segment", "channel", "frequency", "position", "level", "orientation", "band", "component"]

#: What a signal can be; "tensor" where nothing is known about it.
KINDS = ("tokens", "waveform", "spectrogram", "pixels", "volume", "video", "series", "tensor")


@dataclass(frozen=True)
class Axis:
    """One axis of a signal.

    Attributes:
        name: What lies along it ("height", "token", "channel").
        length: How many entries it has.
        unit: The unit of a frequency along it.
        rate: Entries per unit, so that cycles per entry × `rate` is a frequency in `unit`.
        channel: Whether it only counts things that lie side by side (colours, hidden dimensions) and has no order.
        names: What the entries of a channel axis are called (electrodes, sensors); empty where they have no names.
    """

    name: str
    length: int
    unit: str = "cycles/sample"
    rate: float = 1.0
    channel: bool = False
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class SignalShape:
    """The shape of one example's signal (the real tensor that is attributed), with the meaning of its axes.

    Attributes:
        kind: One of `KINDS`.
        axes: One `Axis` per dimension, the batch left out.
        segments: Where the first axis holds several pieces that are transformed apart (a pair of texts), their
            lengths; otherwise empty.
    """

    kind: str
    axes: tuple[Axis, ...]
    segments: tuple[int, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """The signal's sizes, without a batch."""
        return tuple(axis.length for axis in self.axes)

    @property
    def ordered_axes(self) -> tuple[int, ...]:
        """The dimensions that have an order (every one that is not a channel)."""
        return tuple(i for i, axis in enumerate(self.axes) if not axis.channel)

    def resolve_axes(self, axes: Sequence[str | int] | int | None) -> tuple[int, ...]:
        """The numbers of the axes in `axes` (names or numbers, negative ones from the end), in order.

        Args:
            axes: The axes to transform; None for every axis that has an order.

        Raises:
            SpecError: If an axis is unknown or named twice, or if there is none.
        """
        if axes is None:
            if self.ordered_axes:
                return self.ordered_axes
            raise SpecError("a signal with channels only", ORDERED, "name the axes to transform")
        names = [axis.name for axis in self.axes]
        chosen = []
        for axis in axes_tuple(axes) or ():
            if isinstance(axis, str) and axis in names:
                chosen.append(names.index(axis))
            elif isinstance(axis, int) and -len(names) <= axis < len(names):
                chosen.append(axis % len(names))
            else:
                raise SpecError(
                    f"axis {axis!r}", f"names among {names} or numbers below {len(names)}", "correct `axes`"
                )
        if len(set(chosen)) != len(chosen) or not chosen:
            raise SpecError(f"axes {axes!r}", "each axis once, at least one", "correct `axes`")
        return tuple(sorted(chosen))

    def segment(self, length: int) -> SignalShape:
        """The shape of one segment, `length` entries of the first axis."""
        return SignalShape(self.kind, (replace(self.axes[0], length=length, names=()), *self.axes[1:]))


def axes_tuple(axes: Sequence[str | int] | str | int | None) -> tuple[str | int, ...] | None:
    """Axes as a hashable tuple, also a single one; None stays None."""
    if axes is None:
        return None
    return (axes,) if isinstance(axes, (str, int)) else tuple(axes)


@dataclass(frozen=True, eq=False)
class Column:
    """One coordinate of every feature.

    Attributes:
        name: Its title in tables.
        role: What kind of coordinate it is.
        values: One number per feature, shape `(K,)`.
        unit: The unit of the values, empty for a count.
        axis: The signal's axis that it belongs to, if any.
        names: The meanings of the values, where these are codes: value v is `names[v]`.
    """

    name: str
    role: Role
    values: Shaped[Tensor, " features"]
    unit: str = ""
    axis: str = ""
    names: tuple[str, ...] = ()

    @classmethod
    def of_axis(cls, axis: Axis, values: Shaped[Tensor, " features"]) -> Column:
        """Where each feature lies along an axis that is not transformed."""
        return cls(axis.name, "channel" if axis.channel else "position", values, axis=axis.name, names=axis.names)

    def value(self, feature: int) -> Any:
        """The coordinate of one feature for display: a number, or its name; positions are counted from 1.

        `values`, like all tensors, count them from 0; so do channels, which are indices.
        """
        number = self.values[feature].item()
        if self.names:
            return self.names[int(number)]
        return number + 1 if self.role in ("position", "segment") else number


@dataclass(frozen=True)
class Band:
    """A range of frequencies.

    Attributes:
        name: The band in words ("125–250 Hz", "mean (frequency 0)").
        low: The lower edge, which belongs to the band.
        high: The upper edge, or the highest frequency that there is; equal to `low` for a single frequency.
        unit: The unit of both.
    """

    name: str
    low: float
    high: float
    unit: str

    @property
    def centre(self) -> float:
        """The middle on a logarithmic axis, or half the upper edge where the band begins at 0."""
        return math.sqrt(self.low * self.high) if self.low > 0 else self.high / 2


@dataclass(frozen=True, eq=False)
class Layout:
    """The coordinates of a basis' K features.

    Attributes:
        domain: The spec of the domain ("fourier").
        signal: The signal's shape.
        columns: The features' coordinates.
        multiplicity: How many real degrees of freedom each feature stands for, shape `(K,)`: 2 for a conjugate pair,
            1 for a self-conjugate bin, their number for a coarser grain.
        radius: The radial frequency in cycles per sample, shape `(K,)`; None where a feature has no frequency.
        redundancy: Coefficients per sample; 1 for a basis.
        notes: Remarks on the columns.
        bands: Where the features are bands of frequencies, their names and edges.
    """

    domain: str
    signal: SignalShape
    columns: tuple[Column, ...]
    multiplicity: Int[Tensor, " features"]
    radius: Float[Tensor, " features"] | None = None
    redundancy: float = 1.0
    notes: tuple[str, ...] = field(default=())
    bands: tuple[Band, ...] = ()

    def __len__(self) -> int:
        return self.multiplicity.numel()

    @cached_property
    def total(self) -> int:
        """The sum of all multiplicities."""
        return int(self.multiplicity.sum())

    @cached_property
    def counts(self) -> Int[Tensor, " features"]:
        """How much each feature counts in a fraction of features: its multiplicity, and of bands each alike, 1."""
        return torch.ones_like(self.multiplicity) if self.bands else self.multiplicity

    @property
    def by_place(self) -> bool:
        """Whether the features are the signal's own entries or positions."""
        return not any(column.role in ("frequency", "level", "orientation", "component") for column in self.columns)

    def __getitem__(self, name: str) -> Tensor:
        """The values of the column called `name`."""
        for column in self.columns:
            if column.name == name:
                return column.values
        raise KeyError(f"no column {name!r}; there are {[column.name for column in self.columns]}")

    def with_role(self, role: Role) -> tuple[Column, ...]:
        """The columns of one kind, in the order of the signal's axes."""
        return tuple(column for column in self.columns if column.role == role)

    def describe(self, feature: int) -> dict[str, Any]:
        """The coordinates of one feature, by column name."""
        return {column.name: column.value(feature) for column in self.columns}

    def label(self, feature: int) -> str:
        """One feature in words, such as `"channel 0, height 0.125, width -0.25 cycles/pixel"`; a band by its name."""
        if self.bands:
            return self.bands[feature].name
        parts = []
        for column in self.columns:
            value = column.value(feature)
            whole = isinstance(value, float) and math.isfinite(value)
            parts.append(f"{column.name} {f'{value:.4g}' if whole else value} {column.unit}".rstrip())
        return ", ".join(parts)
