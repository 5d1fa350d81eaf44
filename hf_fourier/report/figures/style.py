"""What all figures share: colours, titles, axes, and means with their intervals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_fourier.report.figures.fonts import drawable, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, FigureBase, SubFigure
    from matplotlib.text import Text

    from hf_fourier.evaluation.metrics.statistics import MeanInterval

    Array = np.ndarray[Any, np.dtype[Any]]

# Safe for colour-blind readers, and apart in lightness as well.
KEPT, DELETED, CHOSEN = "#0b559f", "#d0691c", "#ffd21f"
SUPPORTING, OPPOSING = "#f4a03a", "#7fb8e6"
INK, SOFT = "#222222", "#8a8a8a"
#: Colours and markers of lines that are told apart.
COLOURS = (KEPT, DELETED, "#22785a", "#7a3e9d", SOFT)
MARKERS = ("o", "s", "D", "^", "X")


def look(number: int, control: bool = False) -> dict[str, Any]:
    """How the line of this number is drawn; controls are dashed."""
    colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
    return {"color": colour, "marker": marker, "linestyle": "--" if control else "-"}


def stack(figure: FigureBase, heights: Sequence[float]) -> list[SubFigure]:
    """Parts of a figure, one below the other."""
    grid = figure.add_gridspec(len(heights), 1, height_ratios=list(heights))
    return [figure.add_subfigure(grid[i]) for i in range(len(heights))]


def head(part: SubFigure, text: str) -> None:
    """The headline, in a part of the figure."""
    part.text(0.012, 0.5, text, ha="left", va="center", size=11, gid="headline", **plain(text))


def foot(part: SubFigure, text: str) -> None:
    """What may be concluded, in a part of the figure."""
    part.text(0.012, 0.55, text, ha="left", va="center", size=9, style="italic", gid="conclusion", **plain(text))


def headline(figure: Figure, text: str, size: float = 10) -> None:
    """The headline above all axes."""
    figure.suptitle(text, x=0.012, ha="left", size=size, gid="headline", **plain(text))


def caption(figure: FigureBase, text: str, size: float = 9) -> None:
    """A remark below all axes."""
    figure.supxlabel(text, x=0.012, ha="left", size=size, style="italic", **plain(text))


def label(axes: Axes, title: str = "", x: str = "", y: str = "") -> None:
    """A title above the left edge and labels of the axes, drawn as they stand; "" leaves one as it is."""
    if title:
        axes.set_title(title, loc="left", color=INK, **plain(title))
    if x:
        axes.set_xlabel(x, **plain(x))
    if y:
        axes.set_ylabel(y, **plain(y))


def log_scale(axes: Axes, which: str = "x") -> None:
    """A logarithmic axis whose numbers have no exponents."""
    getattr(axes, f"set_{which}scale")("log")
    axis = getattr(axes, f"{which}axis")
    axis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_minor_formatter(lambda value, _: "")


def percents(axes: Axes, values: Sequence[float], log: bool = True) -> None:
    """Ticks at numbers in per cent, on a logarithmic scale."""
    if log:
        axes.set_xscale("log")
    axes.set_xticks(values, [f"{value:.3g}" for value in values])
    axes.set_xticks([], minor=True)


def ticks(axes: Axes, which: str, names: Sequence[str], **look: Any) -> None:
    """Names at 0, 1, 2, … of an axis, drawn as they stand; `which` is "x" or "y"."""
    getattr(axes, f"set_{which}ticks")(range(len(names)), names, **look)
    _as_they_stand(getattr(axes, f"get_{which}ticklabels")())


def entry(text: str, most: int) -> str:
    """A text as a legend's entry: matplotlib leaves out those that begin with "_"."""
    shown = drawable(text, most)
    return f" {shown}" if shown.startswith("_") else shown


def legend(part: Axes | Figure, **look: Any) -> None:
    """A legend without a frame, its entries drawn as they stand."""
    options: dict[str, Any] = {"frameon": False, "fontsize": 8, **look}
    _as_they_stand(part.legend(**options).get_texts())


def _as_they_stand(texts: Iterable[Text]) -> None:
    for text in texts:
        text.set(**plain(text.get_text()))


def empty(axes: Axes, text: str) -> None:
    """What stands in axes that show nothing else."""
    axes.text(0.5, 0.5, text, ha="center", transform=axes.transAxes)


def colour_bar(axes: Axes, image: Any, **options: Any) -> Any:
    """The colours of an image, beside its axes."""
    assert axes.figure is not None
    return axes.figure.colorbar(image, ax=axes, **options)


def spread(mean: Array, low: Array, high: Array) -> Array:
    """How far intervals reach below and above their means, shape `(2, n)`; 0 where there is none."""
    return np.nan_to_num(np.maximum([mean - low, high - mean], 0))


def mean_line(axes: Axes, x: Any, intervals: Sequence[MeanInterval], scale: float = 100.0, **look: Any) -> None:
    """Means with their 95 % intervals, joined by a line."""
    numbers = [(one.mean, one.low, one.high) for one in intervals]
    mean, low, high = scale * np.array(numbers, dtype=float).reshape(-1, 3).T
    shared: dict[str, Any] = {"markersize": 4, "linewidth": 1.2, "capsize": 2}
    axes.errorbar(x, mean, yerr=spread(mean, low, high), **shared, **look)


def diverging() -> Any:
    """Blue for against, white for nothing, orange for: light enough everywhere for dark letters on it."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("for-against", [OPPOSING, "#ffffff", SUPPORTING])
