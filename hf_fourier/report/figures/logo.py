"""The figure of in-silico mutagenesis: letters as high as what they do, above a map of all substitutions."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_fourier.report.figures import style
from hf_fourier.report.figures.canvas import arrange, drawn_or_into
from hf_fourier.report.figures.fonts import BASE, drawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hf_fourier.evaluation.studies.mutations import Mutations

#: Letters in a row of the figure, at most.
ROW = 60
#: Colours of letters: bases, and residues by their chemistry (acidic, basic, polar, aromatic or aliphatic).
BASES = {"A": "#2a9d3f", "C": "#2b65b8", "G": "#e09b10", "T": "#c93333", "U": "#c93333"}
CHEMISTRY = {"DE": "#c93333", "KRH": "#2b65b8", "STNQCGY": "#2a9d3f"}


def plot_mutations(found: Mutations, path: str | PathLike[str] | None = None, ax: Axes | None = None) -> Figure:
    """See `Mutations.plot`; the figure is 11 inches wide and has a row for every 60 letters that were asked."""
    return drawn_or_into(ax, lambda axes: _letters(axes, found, 0, len(found)), lambda one: _fill(one, found), path)


def draw_letter(axes: Axes, letter: str, place: float, height: float, colour: str) -> None:
    """Draw one letter on the line at 0, as wide as its place and as high as its number; below 0 upside down."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.patches import PathPatch
    from matplotlib.textpath import TextPath
    from matplotlib.transforms import Affine2D

    outline = TextPath((0, 0), letter, size=1, prop=FontProperties(family=BASE, weight="bold"))
    box = outline.get_extents()
    scaled = Affine2D().translate(-box.x0, -box.y0).scale(0.92 / max(box.width, 1e-9), height / max(box.height, 1e-9))
    shape = outline.transformed(scaled.translate(place - 0.46, 0))
    axes.add_patch(PathPatch(shape, facecolor=colour, edgecolor="none", gid=f"letter-{place:g}"))


def _fill(figure: Figure, found: Mutations) -> None:
    asked = np.flatnonzero((~np.isnan(found.effects)).any(1))
    first, end = (int(asked[0]), int(asked[-1]) + 1) if len(asked) else (0, len(found))
    rows = [(start, min(end, start + ROW)) for start in range(first, end, ROW)]
    tall = 0.13 * len(found.alphabet) + 0.35
    arrange(figure, 0.9 + len(rows) * (1.7 + tall))
    axes: Any = figure.subplots(2 * len(rows), 1, squeeze=False, height_ratios=[1.4, tall] * len(rows))[:, 0]
    largest = float(np.nanmax(np.abs(found.effects), initial=0.0)) or 1.0
    for number, (start, stop) in enumerate(rows):
        above, below = axes[2 * number], axes[2 * number + 1]
        _letters(above, found, start, stop)
        image = _map(below, found, start, stop, largest)
        for one in (above, below):
            one.set_xlim(start + 0.5, start + min(ROW, end - first) + 0.5)
    figure.colorbar(image, ax=axes[1::2].tolist(), shrink=0.8, pad=0.01, label=f"change of the {found.quantity}")
    title = f"{found.model}: {found.label}, {found.quantity} {found.value:.4g}"
    style.headline(figure, "\n".join(textwrap.wrap(drawable(title, 200), 120)))


def _letters(axes: Axes, found: Mutations, start: int, stop: int) -> None:
    """The letters of some places, as high as the log-odds minus their mean over the substitutions there."""
    values = found.track().values
    for place in range(start, stop):
        letter, value = found.letters[place], values[place]
        if len(letter) == 1 and np.isfinite(value) and value:
            draw_letter(axes, drawable(letter), place + 1, float(value), _colour(found, letter))
    low, high = (float(edge(values, initial=0.0)) for edge in (np.nanmin, np.nanmax))
    room = 0.05 * ((high - low) or 1.0)
    axes.set_ylim(low - room, high + room)
    axes.set_xlim(start + 0.5, stop + 0.5)
    axes.axhline(0, color=style.INK, linewidth=0.6)
    style.label(axes, y="for the label")


def _map(axes: Axes, found: Mutations, start: int, stop: int, largest: float) -> Any:
    """The effects of some places: a row for each letter of the alphabet, a dot at the sequence's own."""
    effects = found.effects[start:stop].T
    extent = (start + 0.5, stop + 0.5, len(found.alphabet) - 0.5, -0.5)
    axes.set_facecolor("#eeeeee")
    image = axes.imshow(
        effects, cmap="RdBu_r", vmin=-largest, vmax=largest, extent=extent, aspect="auto", interpolation="nearest",
        gid="effects",
    )  # fmt: skip
    own = np.argwhere(found.one_hot()[start:stop])
    axes.plot(own[:, 0] + start + 1, own[:, 1], ".", color=style.INK, markersize=2.5, gid="own letters")
    axes.set_yticks(range(len(found.alphabet)), found.alphabet, fontsize=6 if len(found.alphabet) > 8 else 8)
    axes.set_xticks(_ticks(start, stop))
    style.label(axes, x=found.unit)
    return image


def _ticks(start: int, stop: int) -> Sequence[int]:
    """Places with a tick: every fifth or tenth of those shown."""
    step = 5 if stop - start <= 30 else 10
    return [place for place in range(start + 1, stop + 1) if place % step == 0 or place == start + 1]


def _colour(found: Mutations, letter: str) -> str:
    if found.unit == "base":
        return BASES.get(letter, style.SOFT)
    return next((colour for kinds, colour in CHEMISTRY.items() if letter in kinds), "#333333")
