"""Features on one plane: a spectrum, wavelet bands side by side, the frames of a short-time spectrum."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_fourier.report.figures.spectrum import Plane, plane

if TYPE_CHECKING:
    from hf_fourier.domains import Layout
    from hf_fourier.results.attribution import Attribution

    Array = np.ndarray[Any, np.dtype[Any]]

MOST_COLUMNS = 256
COLOURS = "power in grey, top features in yellow"


def features(attribution: Attribution, chosen: Array, across: str | None = None) -> Plane | None:
    """The features of a result on the plane that its domain has.

    Args:
        attribution: The result, with its signal.
        chosen: Which features are shown as chosen, shape `(K,)`.
        across: The axis along which only the constant features are shown, where a spectrum has three.

    Returns:
        None where no plane shows them.
    """
    layout = attribution.layout
    if layout.with_role("level"):
        return scales(attribution, chosen)
    if layout.with_role("frequency") and layout.with_role("position"):
        return frames(attribution, chosen)
    return plane(attribution, chosen, across)


def frames(attribution: Attribution, chosen: Array) -> Plane | None:
    """Short-time features by frequency and place, all channels together.

    Returns:
        None where there is more than one frequency or place, or several segments.
    """
    layout = attribution.layout
    frequency, place = layout.with_role("frequency"), layout.with_role("position")
    if len(frequency) != 1 or len(place) != 1 or len(layout.signal.segments) > 1:
        return None
    rows, row = np.unique(frequency[0].values.double().numpy(), return_inverse=True)
    columns, column = np.unique(place[0].values.double().numpy(), return_inverse=True)
    power = attribution.power.double().numpy()
    both = _pile(row * len(columns) + column, (power, chosen.astype(float)), (len(rows), len(columns)))
    titles = (f"{frequency[0].name} [{frequency[0].unit}]", f"{place[0].name} [entry]")
    return Plane(both[0], both[1], rows, columns + 1, titles, "Features by frequency and place:\n" + COLOURS)


def scales(attribution: Attribution, chosen: Array) -> Plane | None:
    """The wavelet features of a result on one plane, all channels together.

    With two transformed axes, the bands side by side: the smooth part in the corner, each level's details around it.
    With one, a row per scale, the smooth part first and then from coarse to fine, and places along it.

    Args:
        attribution: The result, with its signal.
        chosen: Which features are shown as chosen, shape `(K,)`.

    Returns:
        None where the features have no levels, lie in several segments, or along more than two transformed axes.
    """
    layout = attribution.layout
    if not layout.with_role("level") or len(layout.signal.segments) > 1:
        return None
    letters = len(layout.with_role("orientation")[0].names[0])
    places = layout.with_role("position")
    if letters != len(places) or letters > 2:
        return None
    power, count = attribution.power.double().numpy(), chosen.astype(float)
    return _scalogram(layout, power, count) if letters == 1 else _mosaic(layout, power, count)


def _members(layout: Layout) -> dict[tuple[int, str], Array]:
    """The features of each band, by level and orientation."""
    level, turn = layout.with_role("level")[0].values.numpy(), layout.with_role("orientation")[0]
    codes = turn.values.numpy()
    pairs = sorted(set(zip(level.tolist(), codes.tolist(), strict=True)), reverse=True)
    return {(n, turn.names[code]): np.flatnonzero((level == n) & (codes == code)) for n, code in pairs}


def _mosaic(layout: Layout, power: Array, count: Array) -> Plane:
    down, across = layout.with_role("position")
    rows, columns = down.values.double().numpy(), across.values.double().numpy()
    tiles: dict[tuple[int, str], Array] = {}
    for band, own in _members(layout).items():
        row, column = (np.unique(values[own], return_inverse=True)[1] for values in (rows, columns))
        shape = (int(row.max()) + 1, int(column.max()) + 1)
        tiles[band] = _pile(row * shape[1] + column, (power[own], count[own]), shape)
    whole = tiles[_smooth(tiles)]
    for level in sorted({level for level, _ in tiles}, reverse=True):
        whole = _joined([[whole, tiles.get((level, "ad"))], [tiles.get((level, "da")), tiles.get((level, "dd"))]])
    titles = (f"{down.name}, coarse to fine", f"{across.name}, coarse to fine")
    rows, columns = (np.arange(size) + 0.5 for size in whole.shape[1:])
    return Plane(whole[0], whole[1], rows, columns, titles, "Wavelet bands, the coarsest in the corner:\n" + COLOURS)


def _pile(place: Array, values: tuple[Array, Array], shape: tuple[int, ...]) -> Array:
    """Power and count summed at each place, shape `(2, *shape)`."""
    size = int(np.prod(shape))
    return np.stack([np.bincount(place, weights=one, minlength=size).reshape(shape) for one in values])


def _joined(quarter: list[list[Array | None]]) -> Array:
    """Two by two bands in one array; where their sizes differ, the smaller ones are filled up with nothing."""
    tiles = [[np.zeros((2, 0, 0)) if tile is None else tile for tile in line] for line in quarter]
    heights = [max(tile.shape[1] for tile in line) for line in tiles]
    widths = [max(line[i].shape[2] for line in tiles) for i in range(2)]
    whole = np.zeros((2, sum(heights), sum(widths)))
    for i, line in enumerate(tiles):
        for j, tile in enumerate(line):
            top, left = sum(heights[:i]), sum(widths[:j])
            whole[:, top : top + tile.shape[1], left : left + tile.shape[2]] = tile
    return whole


def _scalogram(layout: Layout, power: Array, count: Array) -> Plane:
    place = layout.with_role("position")[0]
    values, length = place.values.double().numpy(), next(a.length for a in layout.signal.axes if a.name == place.axis)
    members = _members(layout)
    first = _smooth(members)
    ordered = [first, *(band for band in members if band != first)]
    columns = min(length, MOST_COLUMNS)
    both = np.zeros((2, len(ordered), columns))
    for row, band in enumerate(ordered):
        own, reach = members[band], 2 ** band[0] * columns / length  # a coarse feature stands for many entries
        middle = (values[own] + 0.5) * columns / length
        low = np.clip(np.floor(middle - reach / 2 + 1e-9), 0, columns - 1).astype(int)
        wide = np.clip(np.ceil(middle + reach / 2 - 1e-9).astype(int) - low, 1, columns - low)
        owner = np.repeat(np.arange(len(own)), wide)
        column = np.arange(len(owner)) - np.repeat(np.cumsum(wide) - wide - low, wide)
        both[:, row] = _pile(column, ((power[own] / wide)[owner], count[own][owner]), (columns,))
    centres = (np.arange(columns) + 0.5) * length / columns + 0.5
    titles = ("scale, coarse to fine", f"{place.name} [entry]")
    rows = np.arange(len(ordered), dtype=float)
    return Plane(both[0], both[1], rows, centres, titles, "Features by scale and place:\n" + COLOURS)


def _smooth(bands: Iterable[tuple[int, str]]) -> tuple[int, str]:
    return next(band for band in bands if set(band[1]) == {"a"})
