"""The figure of a model's Fourier heat map: frequency 0 in the middle, and the mean over directions beside it."""

from __future__ import annotations

import textwrap
from itertools import combinations
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_fourier.report.figures import panels
from hf_fourier.report.figures.canvas import WIDTH, drawn_or_into
from hf_fourier.report.figures.fonts import drawable, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hf_fourier.evaluation.studies.heat_map import HeatMap

HEIGHT = 4.9
#: By whether waves run along one axis.
PLACES = {
    True: "Each point is one wave of that frequency, added to every example.",
    False: "Each place is one wave of that frequency and direction, added to every example; 0 is in the middle.",
}
CAPTION = (
    "Bars: 95 % intervals.\nGrey line: the clean examples. A wave that changes no answer can still affect the model."
)


def plot_heat_map(found: HeatMap, path: str | PathLike[str] | None = None, ax: Axes | None = None) -> Figure:
    """Draw the Fourier heat map of a model.

    Along two axes a map of the error rate (or the share of decisions changed) by the wave's frequency along each,
    frequency 0 in the middle; along three axes a map of each plane through frequency 0; along one axis a line. Beside
    it stands the mean over directions by frequency.

    Args:
        found: What to draw.
        path: Where to write the figure: PNG, SVG or PDF, by the ending. None only returns it.
        ax: Axes to draw the map, that of the last plane, or the line into, alone; their figure is returned.

    Returns:
        The `matplotlib.figure.Figure`, 11 inches wide.

    Raises:
        InputError: If the path has another ending, or both `path` and `ax` are given.
        MissingExtraError: If matplotlib is not installed.
    """

    def into(axes: Axes) -> None:
        if len(found.axes) == 1:
            _line(axes, found)
        else:
            _plane(axes, found, *_planes(found)[-1])

    return drawn_or_into(ax, into, lambda figure: _fill(figure, found), path)


def _fill(figure: Figure, found: HeatMap) -> None:
    planes = _planes(found)
    figure.set_size_inches(WIDTH, HEIGHT if len(planes) < 2 else HEIGHT * 0.85)
    figure.set_layout_engine("constrained")
    if not planes:
        _line(figure.subplots(), found)
    else:
        axes: Any = figure.subplots(1, len(planes) + 1, width_ratios=[*[1.0] * len(planes), 1.1])
        for place, plane in zip(axes, planes, strict=False):
            _plane(place, found, *plane)
        if found.unit is not None:
            _rings(axes[-1], found)
        else:
            axes[-1].set_visible(False)
    level = f"waves of {found.made_by.get('level', 0):g} × the signal's norm"
    lines = [f"{found.model}: {len(found)} examples, {level}", *found.summary()]
    title = "\n".join(textwrap.fill(drawable(line, 300), 150) for line in lines)
    figure.suptitle(title, x=0.012, ha="left", size=10, gid="headline", **plain(title))
    figure.supxlabel(f"{PLACES[not planes]} {CAPTION}", x=0.012, ha="left", size=9, style="italic")


def _planes(found: HeatMap) -> list[tuple[int, int]]:
    """The pairs of axes whose planes are drawn."""
    return list(combinations(range(len(found.axes)), 2))


def _plane(axes: Axes, found: HeatMap, first: int, second: int) -> None:
    """The rate of the waves that run along two of the axes, both signs of each."""
    rates = 100 * np.array([one.mean for one in found.rates()])
    others = [place for place in range(len(found.axes)) if place not in (first, second)]
    inside = (found.frequencies[:, others] == 0).all(1)
    points = found.frequencies[inside][:, [first, second]]
    both = np.concatenate([points, -points])
    rows, columns = (np.unique(both[:, place]) for place in (0, 1))
    grid = np.full((len(rows), len(columns)), np.nan)
    values = np.concatenate([rates[inside]] * 2)
    grid[np.searchsorted(rows, both[:, 0]), np.searchsorted(columns, both[:, 1])] = values
    top = float(np.nanmax(rates)) if np.isfinite(rates).any() else 0.0
    mesh = axes.pcolormesh(_edges(columns), _edges(rows), grid, cmap="magma", vmin=0, vmax=top or 1.0, gid="heat map")
    axes.invert_yaxis()
    axes.set_box_aspect(1)
    assert axes.figure is not None
    bar = axes.figure.colorbar(mesh, ax=axes, shrink=0.75, pad=0.02)
    bar.ax.axhline(100 * found.clean_rate().mean, color=panels.SOFT, linewidth=1.5)
    names = [f"{found.axes[place].name} [{found.axes[place].unit}]" for place in (first, second)]
    panels.label_axis(axes, "y", names[0])
    panels.label_axis(axes, "x", names[1])
    rest = f", {' and '.join(found.axes[place].name for place in others)} 0" if others else ""
    panels.title(axes, f"{found.quantity.capitalize()} with one wave added [%]{rest}")


def _edges(places: np.ndarray) -> np.ndarray:
    """The edges of cells around ascending places."""
    if len(places) < 2:
        return np.array([places[0] - 0.5, places[0] + 0.5])
    middles = (places[1:] + places[:-1]) / 2
    return np.concatenate([[2 * places[0] - middles[0]], middles, [2 * places[-1] - middles[-1]]])


def _line(axes: Axes, found: HeatMap) -> None:
    """The rate by the frequency along the only axis, with intervals."""
    places, rates = found.frequencies[:, 0], found.rates()
    drawn_places = [i for i in np.argsort(places).tolist() if places[i] > 0]
    _intervals(axes, places[drawn_places], [(r.mean, r.low, r.high) for r in (rates[i] for i in drawn_places)])
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(lambda value, _: "")
    _finish(axes, found, f"frequency [{found.axes[0].unit}]", "With one wave added")


def _rings(axes: Axes, found: HeatMap) -> None:
    """The mean rate by radial frequency."""
    rows = [row for row in found.by_radius().rows() if row["to"] > 0]
    places = np.array([(row["from"] + row["to"]) / 2 for row in rows])
    _intervals(axes, places, [(row["mean"], row["low"], row["high"]) for row in rows])
    _finish(axes, found, f"frequency, all directions [{found.axes[0].unit}]", "By frequency")


def _intervals(axes: Axes, places: np.ndarray, rows: list[tuple[float, float, float]]) -> None:
    means, low, high = (100 * np.array(column) for column in zip(*rows, strict=True)) if rows else [np.zeros(0)] * 3
    spread = np.nan_to_num(np.maximum([means - low, high - means], 0))
    axes.errorbar(places, means, yerr=spread, color=panels.KEPT, marker="o", markersize=4, linewidth=1.2, capsize=2)


def _finish(axes: Axes, found: HeatMap, label: str, words: str) -> None:
    axes.axhline(100 * found.clean_rate().mean, color=panels.SOFT, linewidth=1.0, gid="clean")
    axes.set_ylim(0, min(104.0, 1.15 * max(axes.get_ylim()[1], 100 * found.clean_rate().mean, 1.0)))
    panels.label_axis(axes, "x", label)
    panels.label_axis(axes, "y", f"{found.quantity} [%]")
    panels.title(axes, words)
