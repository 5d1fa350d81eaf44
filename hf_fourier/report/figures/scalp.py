"""Scores by channel and band: maps of the scalp for electrodes of the 10–10 system, else a table of colours."""

from __future__ import annotations

import math
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_fourier.report.figures import style
from hf_fourier.report.figures.canvas import arrange, drawn
from hf_fourier.report.figures.fonts import drawable, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hf_fourier.results.channels import ChannelScores

    Array = np.ndarray[Any, np.dtype[Any]]

#: Rows of electrodes from front to back: the middle one, those from the middle to the side on the left, and the angle
#: of the row's middle from the vertex, in steps of 18° (the 10 % of the system), positive to the front.
_ROWS = {
    "Fp": ("Fpz", ("Fp1",), 4), "AF": ("AFz", ("AF1", "AF3", "AF5", "AF7"), 3),
    "F": ("Fz", ("F1", "F3", "F5", "F7"), 2), "FC": ("FCz", ("FC1", "FC3", "FC5", "FT7"), 1),
    "C": ("Cz", ("C1", "C3", "C5", "T7"), 0), "CP": ("CPz", ("CP1", "CP3", "CP5", "TP7"), -1),
    "P": ("Pz", ("P1", "P3", "P5", "P7"), -2), "PO": ("POz", ("PO1", "PO3", "PO5", "PO7"), -3),
    "O": ("Oz", ("O1",), -4),
}  # fmt: skip
#: Earlier names of four places.
_EARLIER = {"T3": "T7", "T4": "T8", "T5": "P7", "T6": "P8"}
#: Most bands of which a map of the scalp is drawn, and most channels in the table of colours.
MOST_MAPS, MOST_ROWS = 8, 64
_EDGE = math.radians(72)


def position(name: str) -> tuple[float, float] | None:
    """Where an electrode of the 10–10 system is on a disc of radius 1: right and front; None for another name.

    The electrodes of a row divide the arc from its middle to the ring that runs 10 % of the head above the ears; the
    sphere is drawn by the angle from the vertex.

    Args:
        name: Such as "Oz", "EEG Oz" or "Fpz-Cz" (where the first counts); capitals do not matter.
    """
    word = name.strip().upper().removeprefix("EEG").replace("-", " ").strip(" .").split(" ")[0].strip(".")
    place = _places().get({old: new.upper() for old, new in _EARLIER.items()}.get(word, word))
    if place is None:
        return None
    x, y, z = place
    around, radius = math.hypot(x, y), math.acos(max(-1.0, min(1.0, z))) / math.radians(90)
    return (0.0, 0.0) if around < 1e-9 else (x / around * radius, y / around * radius)


def _places() -> dict[str, Array]:
    """Each electrode on a sphere of radius 1, right, front and up, by its name in capitals."""
    found = {}
    for middle, side, steps in _ROWS.values():
        angle = math.radians(18 * steps)
        start = np.array([0.0, math.sin(angle), math.cos(angle)])
        found[middle.upper()] = start
        turn = math.radians(18 * (5 - abs(steps)))  # on the ring, from the front (or the back) towards the ear
        front = 1.0 if steps >= 0 else -1.0
        if steps == 0:
            turn = math.radians(90)
        ring = math.sin(_EDGE)
        end = np.array([-ring * math.sin(turn), front * ring * math.cos(turn), math.cos(_EDGE)])
        for number, name in enumerate(side, 1):
            part = _between(start, end, number / len(side))
            found[name.upper()] = part
            mirrored = name.rstrip("1357") + str(int(name[-1]) + 1)
            found[mirrored.upper()] = part * np.array([-1.0, 1.0, 1.0])
    return found


def _between(start: Array, end: Array, part: float) -> Array:
    """A point of the great arc between two points of the sphere."""
    angle = math.acos(float(np.clip(start @ end, -1, 1)))
    weights = math.sin((1 - part) * angle), math.sin(part * angle)
    return (weights[0] * start + weights[1] * end) / math.sin(angle)


def plot_channels(scores: ChannelScores, path: str | PathLike[str] | None = None) -> Figure:
    """Draw scores by channel and band; see `ChannelScores.plot`."""
    places = [position(name) for name in scores.channels]
    known = [place for place in places if place is not None]
    maps = len(known) == len(places) > 2 and len(scores.bands) <= MOST_MAPS and len(set(known)) == len(known)
    return drawn(lambda figure: _maps(figure, scores, known) if maps else _colours(figure, scores), path)


def _limit(scores: ChannelScores) -> float:
    return float(np.nanmax(np.abs(scores.values))) or 1.0


def _headline(figure: Figure, scores: ChannelScores) -> None:
    noun = "1 result" if scores.count == 1 else f"{scores.count} results"
    text = drawable(f"Mean scores of {scores.method} by channel and band, {noun}", 110)
    style.headline(figure, text, size=11)


def _maps(figure: Figure, scores: ChannelScores, places: list[tuple[float, float]]) -> None:
    """A head per band, its nose up, with a disc at each electrode."""
    arrange(figure, 2.6)
    axes: Any = np.atleast_1d(figure.subplots(1, len(scores.bands)))
    most, shown = _limit(scores), dict[int, Any]()
    for band, one in enumerate(axes):
        _head(one)
        x, y = zip(*places, strict=True)
        size = 1400 / math.sqrt(len(scores.channels)) / len(scores.bands) ** 0.5
        values = scores.values[:, band]
        shown[band] = one.scatter(
            x, y, s=size, c=values, cmap="PuOr_r", vmin=-most, vmax=most, edgecolors="0.4", zorder=2
        )
        for name, place in zip(scores.channels, places, strict=True):
            if len(scores.channels) <= 24:
                one.annotate(drawable(name, 6), place, ha="center", va="center", size=5.5, **plain(name))
        style.label(one, scores.bands[band].replace(" (", "\n("))
    figure.colorbar(shown[0], ax=list(axes), shrink=0.7, label="score")
    _headline(figure, scores)


def _head(axes: Axes) -> None:
    circle = np.linspace(0, 2 * np.pi, 100)
    axes.plot(np.cos(circle), np.sin(circle), color="0.6", lw=1, zorder=1)
    axes.plot([-0.1, 0, 0.1], [0.995, 1.12, 0.995], color="0.6", lw=1, zorder=1)
    axes.set_aspect("equal")
    axes.set_axis_off()


def _colours(figure: Figure, scores: ChannelScores) -> None:
    """Channels below each other, bands beside each other; of many channels those with the largest scores."""
    rows = np.arange(len(scores.channels))
    if len(rows) > MOST_ROWS:
        rows = np.sort(np.argsort(-np.nanmax(np.abs(scores.values), axis=1), kind="stable")[:MOST_ROWS])
    arrange(figure, 1.6 + 0.24 * len(rows))
    axes, most = figure.subplots(), _limit(scores)
    shown = axes.imshow(scores.values[rows], aspect="auto", cmap="PuOr_r", vmin=-most, vmax=most)
    style.ticks(axes, "y", [drawable(scores.channels[i], 24) for i in rows])
    style.ticks(axes, "x", [drawable(band, 24).replace(" (", "\n(") for band in scores.bands])
    if len(rows) <= 24 and len(scores.bands) <= 12:
        for (row, column), value in np.ndenumerate(scores.values[rows]):
            if np.isfinite(value):
                colour = "white" if abs(value) > 0.7 * most else "black"
                axes.text(column, row, f"{value:.2g}", ha="center", va="center", size=7, color=colour)
    figure.colorbar(shown, ax=axes, label="score")
    _headline(figure, scores)
