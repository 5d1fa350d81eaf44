"""A result's power and its chosen features over frequency, read off the layout alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from hf_fourier.domains import Axis, Column
    from hf_fourier.results.attribution import Attribution

    Array = np.ndarray[Any, np.dtype[Any]]

MOST_BARS = 64


@dataclass(frozen=True, eq=False)
class Plane:
    """Features over two coordinates, all channels together.

    Attributes:
        power: Power per place, shape `(rows, columns)`; both partners of a pair ±k have half of theirs.
        chosen: How many chosen features lie at each place, the same shape; both partners count.
        rows: The first coordinate of each row, ascending.
        columns: The second coordinate of each column, ascending.
        titles: What the two coordinates are, with their units.
        legend: What is shown, where it is no spectrum over whole axes and no map.
    """

    power: Array
    chosen: Array
    rows: Array
    columns: Array
    titles: tuple[str, str]
    legend: str = ""

    def turned(self) -> Plane:
        """Rows and columns exchanged."""
        return Plane(self.power.T, self.chosen.T, self.columns, self.rows, self.titles[::-1], self.legend)


@dataclass(frozen=True, eq=False)
class Profile:
    """Features over one coordinate.

    Attributes:
        centres: The coordinate of each bar, ascending.
        width: The width of a bar.
        power: Each bar's share of all power, 0 to 1.
        chosen: The fraction of each bar's degrees of freedom that was chosen, 0 to 1.
        title: What the coordinate is, with its unit.
    """

    centres: Array
    width: float
    power: Array
    chosen: Array
    title: str


def plane(attribution: Attribution, chosen: Array, across: str | None = None) -> Plane | None:
    """The two-dimensional spectrum, zero frequency in the middle; for features with two places instead, their map.

    Args:
        attribution: The result, with its signal.
        chosen: Which features are shown as chosen, shape `(K,)`.
        across: The axis along which only the constant features are shown, where there are three.

    Returns:
        None where the features do not have exactly two such coordinates, or lie in several segments.
    """
    layout = attribution.layout
    coordinates = layout.with_role("frequency") or layout.with_role("position")
    axes = {axis.name: axis for axis in layout.signal.axes}
    power, count = attribution.power.double().numpy(), chosen.astype(float)
    if across is not None:
        there = next(column.values == 0 for column in coordinates if column.axis == across)
        coordinates = tuple(replace(c, values=c.values[there]) for c in coordinates if c.axis != across)
        power, count = power[there.numpy()], count[there.numpy()]
    if len(coordinates) != 2 or len(layout.signal.segments) > 1 or any(c.axis not in axes for c in coordinates):
        return None
    pair = [axes[column.axis] for column in coordinates]
    steps = [_steps(column, axis) for column, axis in zip(coordinates, pair, strict=True)]
    if coordinates[0].role == "frequency" and _places(steps) < pair[0].length * pair[1].length:
        mirrored = [_fold(-values, axis) for values, axis in zip(steps, pair, strict=True)]
        other = (mirrored[0] != steps[0]) | (mirrored[1] != steps[1])
        power = np.concatenate([np.where(other, power / 2, power), power[other] / 2])
        count = np.concatenate([count, count[other]])
        steps = [np.concatenate([own, mirror[other]]) for own, mirror in zip(steps, mirrored, strict=True)]
    (rows, row), (columns, column) = _numbered(steps[0]), _numbered(steps[1])
    place, shape = row * len(columns) + column, (len(rows), len(columns))
    return Plane(
        _sum(place, power, shape),
        _sum(place, count, shape),
        _unstep(rows, coordinates[0], pair[0]),
        _unstep(columns, coordinates[1], pair[1]),
        (_title(coordinates[0]), _title(coordinates[1])),
    )


def profile(attribution: Attribution, chosen: Array) -> Profile | None:
    """Power and chosen fraction by frequency (radial where there are several axes), or by the first coordinate.

    Returns:
        None where the features have no coordinate but their channel.
    """
    return binned(attribution, chosen, MOST_BARS)


def binned(attribution: Attribution, chosen: Array, most: int) -> Profile | None:
    """`profile` with at most `most` bars."""
    values, title = _coordinate(attribution)
    if values is None:
        return None
    weight = attribution.layout.multiplicity.double().numpy()
    places: Array
    places, owner = np.unique(np.round(values, 6), return_inverse=True)
    span = float(places[-1] - places[0])
    width = min(float(np.diff(places).min()), span / 12) if len(places) > 1 else 0.025
    regular = len(places) < 3 or bool(np.diff(places).max() < 1.5 * np.diff(places).min())
    if not regular or len(places) > most:
        bars = min(most, max(2, len(places) // 2))
        edges = np.linspace(places[0], places[-1], bars + 1)
        owner = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, bars - 1)
        places, width = np.add(edges[1:], edges[:-1]) / 2, float(edges[1] - edges[0])
    shape = (len(places),)
    power, total = _sum(owner, attribution.power.double().numpy(), shape), _sum(owner, weight, shape)
    picked = _sum(owner, weight * chosen, shape)
    there = total > 0
    power = power / max(power.sum(), np.finfo(float).tiny)
    return Profile(places[there], width, power[there], picked[there] / total[there], title)


def decibels(power: Array, depth: float = 80.0) -> Array:
    """Power on a logarithmic scale, 0 for the strongest, cut off at `-depth`; all `-depth` where there is none."""
    top = power.max(initial=0.0)
    if top <= 0:
        return np.full(power.shape, -depth)
    return 10 * np.log10(np.maximum(power / top, 10 ** (-depth / 10)))


def _coordinate(attribution: Attribution) -> tuple[Array | None, str]:
    layout = attribution.layout
    frequencies, axes = layout.with_role("frequency"), {axis.name: axis for axis in layout.signal.axes}
    if len(frequencies) == 1:
        return frequencies[0].values.double().numpy(), _title(frequencies[0])
    if layout.radius is not None:
        kinds = {(column.unit, axes[column.axis].rate if column.axis in axes else None) for column in frequencies}
        unit, rate = kinds.pop() if len(kinds) == 1 else ("cycles/sample", 1.0)
        if rate is None:
            unit, rate = "cycles/sample", 1.0
        return layout.radius.double().numpy() * rate, f"frequency in any direction [{unit}]"
    for role in ("component", "level", "position"):
        for column in layout.with_role(role):
            return column.values.double().numpy() + (0 if role == "level" else 1), _title(column)
    return None, ""


def _title(column: Column) -> str:
    words = column.name.replace("_", " ")
    if column.role == "frequency" and column.axis:
        words = f"{column.axis} frequency" if words != "frequency" else "frequency"
    return f"{words} [{column.unit}]" if column.unit else words


def _steps(column: Column, axis: Axis) -> Array:
    """A coordinate in whole steps: places, or halves of one cycle per signal."""
    values = column.values.double().numpy()
    if column.role != "frequency":
        return values.astype(np.int64)
    return _fold(np.rint(values / axis.rate * 2 * axis.length).astype(np.int64), axis)


def _fold(steps: Array, axis: Axis) -> Array:
    """Half a cycle per sample, which is its own mirror image, counts as negative."""
    return np.where(steps == axis.length, -axis.length, steps) if axis.length % 2 == 0 else steps


def _unstep(steps: Array, column: Column, axis: Axis) -> Array:
    return steps + 1.0 if column.role != "frequency" else steps * axis.rate / (2 * axis.length)


def _numbered(steps: Array) -> tuple[Array, Array]:
    """`np.unique` of whole numbers with its inverse, without sorting them."""
    low = int(steps.min())
    there = np.bincount(steps - low) > 0
    return np.flatnonzero(there) + low, (np.cumsum(there) - 1)[steps - low]


def _places(steps: list[Array]) -> int:
    """How many different pairs there are."""
    (rows, row), (columns, column) = map(_numbered, steps)
    return int(np.count_nonzero(np.bincount(row * len(columns) + column, minlength=len(rows) * len(columns))))


def _sum(place: Array, values: Array, shape: tuple[int, ...]) -> Array:
    return np.bincount(place.ravel(), weights=values, minlength=int(np.prod(shape))).reshape(shape)
