"""Many explanations in one figure: the scores of each band over examples, as bars or as a swarm of points."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hf_fourier.errors import InputError
from hf_fourier.evaluation.metrics.statistics import mean_interval
from hf_fourier.evaluation.studies.band_readings import all_bands
from hf_fourier.report.figures import style
from hf_fourier.report.figures.canvas import arrange, drawn_or_into
from hf_fourier.report.figures.fonts import drawable
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.relevance import contributes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    Array = np.ndarray[Any, np.dtype[Any]]

Kind = Literal["bar", "beeswarm"]
#: Rows of a figure, at most, where features are no bands; inches of a row and of the rest.
MOST, ROW, REST = 20, 0.34, 1.3
#: Places along the axis that points of a swarm are sorted into, and the part of a row that the fullest takes.
PLACES, SPREAD = 60, 0.8


@dataclass(frozen=True)
class Summary:
    """Scores by example and feature.

    Attributes:
        names: The features' names, from the top of the figure down.
        scores: Shape `(examples, features)`; NaN where an example has no such band.
        power: The share of the example's power, in the same shape; NaN where it is not known.
        quantity: What the scores are.
    """

    names: tuple[str, ...]
    scores: Array
    power: Array
    quantity: str


def plot_summary(
    results: Attribution | Iterable[Attribution],
    kind: Kind | str = "bar",
    path: str | PathLike[str] | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the scores of many examples, band by band.

    "bar": the mean size of each band's scores with its 95 % interval (Student's t), and as a diamond their mean with
    its sign. "beeswarm": a point for each example, coloured by the band's share of the example's power.

    Scores that are contributions (Shapley values, gradient × input) are drawn in their unit. Those of other methods
    compare features within one example alone, so each example's are divided by the sum of their sizes. Bands stand in
    the order of frequency, those of examples of different lengths by name; other features by their mean size, at most
    20 of them.

    Args:
        results: Results by one method in one domain, such as `explain(pictures, method="shapley")`; or one result.
        kind: "bar" or "beeswarm".
        path: Where to write the figure: PNG, SVG or PDF, by the ending. None only returns it.
        ax: Axes to draw into instead; their figure is returned.

    Returns:
        The `matplotlib.figure.Figure`.

    Raises:
        InputError: If there is no result, they are by several methods or domains, features that are no bands differ
            between examples, or both `path` and `ax` are given.
        MissingExtraError: If matplotlib is not installed.
    """
    if kind not in ("bar", "beeswarm"):
        raise InputError(f"kind {kind!r}", "'bar' or 'beeswarm'", "choose one of them")
    summary = summarised([results] if isinstance(results, Attribution) else list(results))
    draw = _bars if kind == "bar" else _swarm

    def fill(figure: Figure) -> None:
        arrange(figure, REST + ROW * len(summary.names), 8)
        draw(figure.add_subplot(), summary)

    return drawn_or_into(ax, lambda axes: draw(axes, summary), fill, path)


def summarised(results: Sequence[Attribution]) -> Summary:
    """The scores that the figure shows.

    Raises:
        InputError: If there is no result, or they cannot be compared.
    """
    kinds = {(result.provenance.get("method"), result.layout.domain) for result in results}
    if len(kinds) != 1:
        got = f"results of {len(kinds)} methods and domains" if results else "no results"
        raise InputError(got, "results by one method in one domain", "pass those of one call of `explain`")
    additive = all(contributes(result) for result in results)
    rows, shares = [], []
    for result in results:
        scores = result.scores.double().numpy()
        rows.append(scores if additive else scores / (np.abs(scores).sum() or 1.0))
        power = None if result.signal is None else result.power.double().numpy()
        shares.append(np.full(len(scores), np.nan) if power is None else power / (power.sum() or 1.0))
    names, scores, power = _aligned(results, rows, shares)
    method = str(results[0].provenance.get("method", "?")).partition(":")[0]
    unit = "in units of the score" if additive else "parts of each example's sum of sizes"
    return Summary(names, scores, power, f"{method}, {unit}")


def _aligned(
    results: Sequence[Attribution], rows: Sequence[Array], shares: Sequence[Array]
) -> tuple[tuple[str, ...], Array, Array]:
    """Names and matrices of the features that are drawn."""
    if all(result.layout.bands for result in results):
        names = [band.name for band in all_bands(list(dict.fromkeys(result.layout.bands for result in results)))]
        scores, power = (np.full((len(results), len(names)), np.nan) for _ in range(2))
        for number, result in enumerate(results):
            places = [names.index(band.name) for band in result.layout.bands]
            scores[number, places], power[number, places] = rows[number], shares[number]
        return tuple(names), scores, power
    if len({(result.layout.signal, len(result.layout)) for result in results}) > 1:
        got = "features of signals of several shapes"
        raise InputError(got, "bands, which have names", "explain in domain='fourier:bands=octave'")
    scores, power = np.stack(rows), np.stack(shares)
    best = np.argsort(-np.abs(scores).mean(0), kind="stable")[:MOST]
    layout = results[0].layout
    texts = [", ".join(f"{column.name} {_short(column.value(int(i)))}" for column in layout.columns) for i in best]
    return tuple(texts), scores[:, best], power[:, best]


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _bars(axes: Axes, summary: Summary) -> None:
    """Mean sizes with intervals, and signed means."""
    sizes = [mean_interval(np.abs(column)) for column in summary.scores.T]
    signed = [mean_interval(column).mean for column in summary.scores.T]
    rows = np.arange(len(sizes))
    mean, low, high = np.array([(one.mean, one.low, one.high) for one in sizes]).T
    axes.barh(rows, mean, color=style.KEPT, height=0.7, xerr=style.spread(mean, low, high), gid="sizes",
              label="mean size", error_kw={"ecolor": style.INK, "elinewidth": 0.9, "capsize": 2})  # fmt: skip
    axes.plot(signed, rows, "D", color=style.DELETED, markersize=5, label="mean with sign", gid="signed means")
    style.legend(axes, loc="lower right")
    _finish(axes, summary)


def _swarm(axes: Axes, summary: Summary) -> None:
    """A point per example in each row, moved up and down so that points of one value lie beside each other."""
    from matplotlib import colormaps

    low, high = float(np.nanmin(summary.scores)), float(np.nanmax(summary.scores))
    known = np.isfinite(summary.power) & (summary.power > 0)
    levels = np.log10(np.where(known, summary.power, 1.0))
    shared: dict[str, Any] = {"s": 14, "linewidths": 0.2, "edgecolors": "white"}
    points = None
    for row, values in enumerate(summary.scores.T):
        there = np.isfinite(values)
        if not there.any():
            continue
        heights = row + _offsets(values[there], low, high)
        if known[:, row][there].all():
            ranks = levels[:, row][there].argsort().argsort() / max(1, there.sum() - 1)
            points = axes.scatter(
                values[there], heights, c=ranks, cmap=colormaps["cividis"], vmin=0, vmax=1, gid=f"row {row}", **shared
            )
        else:
            axes.scatter(values[there], heights, color=style.SOFT, gid=f"row {row}", **shared)
    if points is not None:
        bar = style.colour_bar(axes, points, ticks=[0, 1], pad=0.02, aspect=30)
        bar.ax.set_yticklabels(["least", "most"], fontsize=8)
        bar.set_label("power of the band among examples", fontsize=8)
    _finish(axes, summary)


def _offsets(values: Array, low: float, high: float) -> Array:
    """Heights within a row, −0.5 to 0.5: points of one place along the axis are stacked around its middle."""
    place = np.floor((values - low) / ((high - low) or 1.0) * (PLACES - 1e-9)).astype(int)
    counts = np.bincount(place, minlength=PLACES)
    step = min(0.12, SPREAD / max(1, int(counts.max())))
    offsets = np.zeros(len(values))
    for one in np.flatnonzero(counts):
        members = np.flatnonzero(place == one)
        members = members[np.argsort(values[members], kind="stable")]
        sides = np.array([(i + 1) // 2 * (-1) ** i for i in range(len(members))])
        offsets[members] = step * (sides - (0.25 if len(members) % 2 == 0 else 0.0))
    return offsets


def _finish(axes: Axes, summary: Summary) -> None:
    """Names, the line at 0 and the titles."""
    style.ticks(axes, "y", [drawable(name, 40) for name in summary.names], fontsize=8)
    axes.set_ylim(len(summary.names) - 0.4, -0.6)
    axes.axvline(0, color=style.SOFT, linewidth=0.8, zorder=0)
    axes.spines[["top", "right"]].set_visible(False)
    style.label(axes, f"{len(summary.scores)} examples", x=drawable(summary.quantity, 90))
