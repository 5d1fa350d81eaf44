"""The figure of a model's spectrum: which frequencies it needs, which suffice, and what each is worth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_fourier.evaluation.studies.spectrum_means import ALL
from hf_fourier.report.figures import style
from hf_fourier.report.figures.canvas import arrange, drawn_or_into
from hf_fourier.report.figures.fonts import drawable, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hf_fourier.evaluation.metrics.statistics import MeanInterval
    from hf_fourier.evaluation.studies.spectrum_means import SpectrumMeans

HEIGHT = 7.6
#: Lines that one panel shows apart.
MOST_GROUPS = 10
#: Pixels of a grating, and the cycles of the shown square that a band's middle may have at most.
GRATING, MOST_CYCLES = 64, 20
CAPTION = (
    "Bars: 95 % intervals; grey: the clean examples, and dashed with no band left. The model was not trained on "
    "filtered inputs: a\nband without which accuracy drops need not suffice alone, and the results hold for these data "
    "only."
)


def plot_spectrum(spectrum: SpectrumMeans, path: str | PathLike[str] | None = None, ax: Axes | None = None) -> Figure:
    """Draw the spectrum of a model.

    Four panels: the accuracy (or the share of decisions kept) as frequencies are cut off from above and from below;
    with one band deleted, and with one band alone; with noise in one band; and the mean Shapley value of each band, a
    line for each group. Below pictures' bands stand gratings of their frequency.

    Args:
        spectrum: What to draw.
        path: Where to write the figure: PNG, SVG or PDF, by the ending. None only returns it.
        ax: Axes to draw the Shapley values into instead, alone; their figure is returned.

    Returns:
        The `matplotlib.figure.Figure`, 11 inches wide.

    Raises:
        InputError: If the path has another ending, or both `path` and `ax` are given.
        MissingExtraError: If matplotlib is not installed.
    """
    return drawn_or_into(ax, lambda axes: _values(axes, spectrum), lambda figure: _fill(figure, spectrum), path)


def _fill(figure: Figure, spectrum: SpectrumMeans) -> None:
    arrange(figure, HEIGHT)
    axes: Any = figure.subplots(2, 2)
    _cuts(axes[0, 0], spectrum)
    _single(axes[0, 1], spectrum)
    _noise(axes[1, 0], spectrum)
    _values(axes[1, 1], spectrum)
    lines = [f"{spectrum.model}: {len(spectrum)} examples", *spectrum.summary()]
    style.headline(figure, "\n".join(drawable(line, 150) for line in lines))
    style.caption(figure, CAPTION)


def _cuts(axes: Axes, spectrum: SpectrumMeans) -> None:
    """The accuracy by the cut-off of a low-pass and a high-pass filter, with the points where half is lost."""
    words = {"low-pass": "only below the cut-off", "high-pass": "only above the cut-off"}
    for number, name in enumerate(words):
        edges = [band.high if name == "low-pass" else band.low for band in spectrum.bands]
        points = [(edge, one) for edge, one in zip(edges, spectrum.accuracy(name), strict=True) if edge > 0]
        _means(axes, number, [one for _, one in points], words[name], [edge for edge, _ in points])
        half = spectrum.half_point(name)
        if math.isfinite(half.mean):
            axes.axvline(half.mean, color=style.COLOURS[number], linewidth=0.8, linestyle=":", gid=f"half {name}")
    _ends(axes, spectrum)
    style.log_scale(axes)
    style.label(
        axes, "How far can the spectrum be cut?", x=f"cut-off [{spectrum.bands[-1].unit}]; dotted: half is lost"
    )
    _percent_axis(axes, spectrum)


def _single(axes: Axes, spectrum: SpectrumMeans) -> None:
    """The accuracy without one band, and with it alone."""
    for number, (name, words) in enumerate([("band-stop", "without this band"), ("band-pass", "this band alone")]):
        _means(axes, number, spectrum.accuracy(name), words)
    _ends(axes, spectrum)
    style.label(axes, "Which bands are needed, which suffice?")
    _percent_axis(axes, spectrum)
    _band_axis(axes, spectrum)


def _noise(axes: Axes, spectrum: SpectrumMeans) -> None:
    """The accuracy with noise in one band."""
    levels = [name for name in spectrum.filters if name.startswith("noise")]
    for number, name in enumerate(levels):
        words = f"noise of {name.removeprefix('noise ')} × the signal's norm"
        _means(axes, number, spectrum.accuracy(name), words, first_colour=2)
    if not levels:
        style.empty(axes, "no noise was added")
    _ends(axes, spectrum)
    style.label(axes, "In which bands does noise hurt?")
    _percent_axis(axes, spectrum)
    _band_axis(axes, spectrum)


def _values(axes: Axes, spectrum: SpectrumMeans) -> None:
    """The mean Shapley value of each band, a line for each group."""
    groups = spectrum.groups
    shown = groups if 1 < len(groups) <= MOST_GROUPS else [ALL]
    for number, group in enumerate(shown):
        name = None if group == ALL else style.entry(group, 24)
        _means(axes, number, spectrum.shapley_values(group), name, scale=1.0)
    axes.axhline(0, color=style.SOFT, linewidth=0.8)
    style.label(axes, "What is each band worth for the explained label?", y="mean Shapley value [score]")
    if len(shown) > 1:
        _legend_above(axes)
    _band_axis(axes, spectrum)


def _legend_above(axes: Axes) -> None:
    """A legend within the panel, above all lines."""
    names = axes.get_legend_handles_labels()[1]
    columns = min(5, len(names), max(1, 92 // (max(map(len, names)) + 6)))
    low, high = axes.get_ylim()
    taken = 0.04 + 0.09 * -(-len(names) // columns)
    axes.set_ylim(low, low + (high - low) / (1 - min(taken, 0.6)))
    style.legend(axes, fontsize=7, ncols=columns, loc="upper left", columnspacing=1.2, borderaxespad=0.2)


def _means(
    axes: Axes, number: int, intervals: Sequence[MeanInterval], label: str | None, x: Sequence[float] | None = None,
    scale: float = 100.0, first_colour: int = 0,
) -> None:  # fmt: skip
    """One line of means with their intervals, at each band unless `x` says where; the second of a colour is dashed."""
    style.mean_line(
        axes, range(len(intervals)) if x is None else x, intervals, scale, label=label, elinewidth=0.9,
        marker=style.MARKERS[number % len(style.MARKERS)], linestyle=("-", "--", ":")[number // len(style.COLOURS) % 3],
        color=style.COLOURS[(number + first_colour) % len(style.COLOURS)],
    )  # fmt: skip


def _ends(axes: Axes, spectrum: SpectrumMeans) -> None:
    """Lines for the accuracy of the clean examples and, dashed, for that with no band left."""
    axes.axhline(100 * spectrum.clean_accuracy().mean, color=style.SOFT, linewidth=0.8)
    axes.axhline(100 * spectrum.empty_accuracy().mean, color=style.SOFT, linewidth=0.8, linestyle=(0, (4, 4)))


def _percent_axis(axes: Axes, spectrum: SpectrumMeans) -> None:
    axes.set_ylim(0, 104)
    style.label(axes, y=f"{spectrum.quantity} [%]")
    if axes.get_legend_handles_labels()[0]:  # between the panel and its title
        style.legend(axes, loc="lower left", bbox_to_anchor=(0.0, 0.99), ncols=2, borderaxespad=0)
        name = axes.get_title(loc="left")
        axes.set_title(name, loc="left", color=style.INK, pad=22, **plain(name))


def _band_axis(axes: Axes, spectrum: SpectrumMeans) -> None:
    """The bands by name, those of pictures with a grating above the name."""
    units = {band.unit for band in spectrum.bands}
    names = [_short(band.name, band.unit) for band in spectrum.bands]
    style.ticks(axes, "x", names, fontsize=8, rotation=30, ha="right")
    axes.set_xlim(-0.5, len(names) - 0.5)
    style.label(axes, x=", ".join(sorted(units)))
    if units <= {"cycles/picture"}:
        low, high = axes.get_ylim()
        ticks = [tick for tick in axes.get_yticks() if low <= tick <= high]
        axes.set_ylim(low - 0.18 * (high - low), high)  # room for the gratings below all numbers
        axes.set_yticks(ticks)
        for place, band in enumerate(spectrum.bands):
            inset = axes.inset_axes((place - 0.32, 0.01, 0.64, 0.12), transform=axes.get_xaxis_transform())
            inset.imshow(_grating(band.centre), cmap="gray", vmin=-1, vmax=1, aspect="auto", gid="grating")
            inset.set_axis_off()


def _short(name: str, unit: str) -> str:
    """A band's name without the unit that stands below the axis."""
    return drawable(name.removesuffix(unit).replace("(frequency 0)", "").strip(), 28)


def _grating(cycles: float) -> np.ndarray:
    """Stripes of so many cycles across the shown square, at most `MOST_CYCLES`."""
    x = np.linspace(0, 2 * math.pi * min(cycles, MOST_CYCLES), GRATING)
    return np.tile(np.sin(x) if cycles else np.zeros(GRATING), (GRATING // 2, 1))
