"""FreqX's part of a figure: layer by layer, which frequencies carry energy, and how far neurons agree on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hf_fourier.methods.freqx import CHANCE_LEVEL
from hf_fourier.report.figures import style
from hf_fourier.report.figures.fonts import drawable, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

    from hf_fourier.domains import Layout
    from hf_fourier.results.attribution import Attribution

    Array = np.ndarray[Any, np.dtype[Any]]

#: Bands with less of a layer's energy have no colour: of next to nothing, bits mean nothing.
LEAST = 1e-4
LINE, MOST, LETTERS = 0.2, 40, 30  # inches of a layer, labels at most, letters of a label at most


def height(attribution: Attribution) -> float:
    """Inches that the layers take; 0 where the method has none."""
    layers = attribution.extras.get("layers", [])
    return 1.8 + LINE * min(max(len(layers), 4), MOST) if "information" in attribution.extras else 0.0


def draw(figure: FigureBase, attribution: Attribution) -> None:
    """Fill `figure`: the layers from the input downwards; their energy by frequency, their bits, their spread."""
    extras = attribution.extras
    energy, bits = (np.asarray(extras[name], dtype=float) for name in ("energy", "information"))
    radius, unit = frequencies(attribution.layout, np.asarray(extras["band_radius"], dtype=float))
    grid = figure.add_gridspec(1, 3, width_ratios=[1, 1, 0.45])
    left = figure.add_subplot(grid[0])
    middle, right = figure.add_subplot(grid[1], sharey=left), figure.add_subplot(grid[2], sharey=left)
    _energy(left, energy)
    _bits(middle, energy, bits)
    _spread(right, np.asarray(extras["effective"], dtype=float))
    for axes in (left, middle):
        _ticks(axes, radius, unit)
    step = -(-len(extras["layers"]) // MOST)
    words = labels(extras["layers"], extras["is_cut"])
    left.set_yticks(range(0, len(words), step), words[::step], fontsize=7.5, parse_math=False)
    left.set_ylim(len(words) - 0.5, -0.5)
    for axes in (middle, right):
        axes.tick_params(labelleft=False)
    error = max(extras["standard_error"])
    note = "All of the score goes through each of these layers."
    if not all(extras["is_cut"]):
        note = "“Branch”: only a part of the score goes through this layer."
    note += f" The energy of a single frequency has a standard error of {100 * error:.0f} %." if error else ""
    style.caption(figure, note, size=8)


def labels(names: list[str], cuts: list[bool]) -> list[str]:
    """Layers' names without what all of them begin with; those that are no cut are marked."""
    parts = [name.split(".") for name in names[1:]]
    shared = 0
    while parts and all(len(own) > shared + 2 and own[shared] == parts[0][shared] for own in parts):
        shared += 1
    short = [names[0], *(".".join(own[shared:]) for own in parts)]
    short = [name if len(name) <= LETTERS else f"…{name[1 - LETTERS :]}" for name in short]
    return [drawable(name if cut else f"{name} (branch)", 60) for name, cut in zip(short, cuts, strict=True)]


def frequencies(layout: Layout, radius: Array) -> tuple[Array, str]:
    """Bands in the unit of the signal's axes, where all that have frequencies share one."""
    named = {column.axis for column in layout.with_role("frequency")}
    scales = {(axis.rate, axis.unit) for axis in layout.signal.axes if axis.name in named}
    if len(scales) != 1:
        return radius, "cycles/sample"
    ((rate, unit),) = scales
    return radius * rate, unit


def _energy(axes: Axes, energy: Array) -> None:
    """Shares of a layer's energy in grey, on a logarithmic scale."""
    from matplotlib.colors import LogNorm

    shown = np.ma.masked_less(100 * energy, 100 * LEAST)
    top = float(shown.max()) if shown.count() else 100.0
    low = min(max(0.1, float(shown.min()) if shown.count() else 0.1), top / 10)
    image = axes.imshow(shown, cmap="Greys", norm=LogNorm(low, top), aspect="auto", gid="layer-energy")
    _bar(axes, image, [low, (low * top) ** 0.5, top], "% of its energy")
    style.label(axes, "Layer by layer, the input on top:\nwhich frequencies carry its energy")


def _bits(axes: Axes, energy: Array, bits: Array) -> None:
    """Bits around those of chance."""
    from matplotlib.colors import TwoSlopeNorm

    shades = style.diverging().with_extremes(bad="#d9d9d9")
    top = max(2 * CHANCE_LEVEL, float(bits[energy >= LEAST].max(initial=0.0)))
    shown = np.ma.masked_where(energy < LEAST, bits)
    image = axes.imshow(shown, cmap=shades, norm=TwoSlopeNorm(CHANCE_LEVEL, 0, top), aspect="auto", gid="layer-bits")
    _bar(axes, image, [0, CHANCE_LEVEL, top], "bits (by chance 0.385)")
    style.label(axes, "How far its neurons agree on them\n(orange: more than by chance, blue: they cancel)")


def _bar(axes: Axes, image: Any, ticks: list[float], text: str) -> None:
    bar = style.colour_bar(axes, image, pad=0.02, aspect=30)
    bar.ax.minorticks_off()
    bar.set_ticks(ticks, labels=[f"{tick:.3g}" for tick in ticks])
    bar.set_label(text, fontsize=8, **plain(text))


def _spread(axes: Axes, effective: Array) -> None:
    """The effective number of frequencies of each layer."""
    axes.barh(range(len(effective)), effective, height=0.7, color=style.SOFT, gid="layer-spread")
    axes.set_xlim(0, 1.05 * max(1.0, float(effective.max())))
    axes.locator_params(axis="x", nbins=4)
    style.label(axes, "How many frequencies\nit spreads over", x="2^entropy")


def _ticks(axes: Axes, radius: Array, unit: str) -> None:
    """A few bands by their mean frequency."""
    step = max(1, -(-len(radius) // 6))
    places = range(0, len(radius), step)
    axes.set_xticks(places, [f"{radius[place]:.3g}" for place in places])
    style.label(axes, x=f"mean frequency of the band [{unit}]" if len(radius) > 1 else "all features")
