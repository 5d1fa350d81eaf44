"""The figure of a model's Fourier heat map: frequency 0 in the middle, and the mean over directions beside it."""

from __future__ import annotations

import textwrap
from itertools import combinations
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_fourier.evaluation.metrics.statistics import MeanInterval
from hf_fourier.report.figures import style
from hf_fourier.report.figures.canvas import arrange, drawn_or_into
from hf_fourier.report.figures.fonts import drawable

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
    "Bars: 95 % intervals.\n"
    "Grey line: the clean examples. A wave that changes no prediction can still affect the model."
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
    arrange(figure, HEIGHT if len(planes) < 2 else HEIGHT * 0.85)
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
    style.headline(figure, "\n".join(textwrap.fill(drawable(line, 300), 150) for line in lines))
    style.caption(figure, f"{PLACES[not planes]} {CAPTION}")


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
    bar = style.colour_bar(axes, mesh, shrink=0.75, pad=0.02)
    bar.ax.axhline(100 * found.clean_rate().mean, color=style.SOFT, linewidth=1.5)
    names = [f"{found.axes[place].name} [{found.axes[place].unit}]" for place in (first, second)]
    style.label(axes, x=names[1], y=names[0])
    rest = f", {' and '.join(found.axes[place].name for place in others)} 0" if others else ""
    style.label(axes, f"{found.quantity.capitalize()} with one wave added [%]{rest}")


def _edges(places: np.ndarray) -> np.ndarray:
    """The edges of cells around ascending places."""
    if len(places) < 2:
        return np.array([places[0] - 0.5, places[0] + 0.5])
    middles = (places[1:] + places[:-1]) / 2
    return np.concatenate([[2 * places[0] - middles[0]], middles, [2 * places[-1] - middles[-1]]])


def _line(axes: Axes, found: HeatMap) -> None:
    """The rate by the frequency along the only axis, with intervals."""
    places, rates = found.frequencies[:, 0], found.rates()
    shown = [i for i in np.argsort(places).tolist() if places[i] > 0]
    style.mean_line(axes, places[shown], [rates[i] for i in shown], color=style.KEPT, marker="o")
    style.log_scale(axes)
    _finish(axes, found, f"frequency [{found.axes[0].unit}]", "With one wave added")


def _rings(axes: Axes, found: HeatMap) -> None:
    """The mean rate by radial frequency."""
    rows = [row for row in found.by_radius().rows() if row["to"] > 0]
    places = [(row["from"] + row["to"]) / 2 for row in rows]
    rates = [MeanInterval(row["mean"], row["low"], row["high"], len(found)) for row in rows]
    style.mean_line(axes, places, rates, color=style.KEPT, marker="o")
    _finish(axes, found, f"frequency, all directions [{found.axes[0].unit}]", "By frequency")


def _finish(axes: Axes, found: HeatMap, label: str, words: str) -> None:
    axes.axhline(100 * found.clean_rate().mean, color=style.SOFT, linewidth=1.0, gid="clean")
    axes.set_ylim(0, min(104.0, 1.15 * max(axes.get_ylim()[1], 100 * found.clean_rate().mean, 1.0)))
    style.label(axes, words, x=label, y=f"{found.quantity} [%]")
