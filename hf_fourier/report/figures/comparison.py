"""Several rankings of one example side by side: which frequencies each chooses, and whether the decision is kept."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

from hf_fourier.errors import InputError
from hf_fourier.report import example_record, wording
from hf_fourier.report.example_record import DEFAULT_FRACTION, bands_of, record_of
from hf_fourier.report.figures import panels
from hf_fourier.report.figures.canvas import WIDTH, drawn
from hf_fourier.report.figures.fonts import drawable, plain
from hf_fourier.report.figures.overview import COLOURS, MARKERS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hf_fourier.results.attribution import Attribution

HEIGHT = 4.6
EXPLANATION = (
    "A ranking determined by the input's magnitudes selects the same features for any model. "
    "Dashed: controls, which do not use the model."
)


def plot_comparison(results: Mapping[str, Attribution], path: str | PathLike[str] | None = None) -> Figure:
    """Draw several rankings of one example beside each other.

    From the left: the part of each frequency band that is on top (4 % of all features); how much of that top the
    strongest features of the input share; and the confidence on the top features alone, where the results were
    perturbed.

    Args:
        results: By name, results of one example in one domain.
        path: Where to write the figure: PNG, SVG or PDF, by the ending. None only returns it.

    Returns:
        The `matplotlib.figure.Figure`, 11 inches wide.

    Raises:
        InputError: If there is no result, or they are of several examples or domains.
        MissingExtraError: If matplotlib is not installed.
    """
    keys = {(result.key, result.layout.domain) for result in results.values()}
    if len(keys) != 1:
        got = f"results of {len(keys)} examples and domains"
        raise InputError(got, "one example in one domain", "pass `{name: result}` of one example")
    return drawn(lambda figure: _fill(figure, results), path)


def _fill(figure: Figure, results: Mapping[str, Attribution]) -> None:
    first = record_of(next(iter(results.values())))
    figure.set_size_inches(WIDTH, HEIGHT)
    figure.set_layout_engine("constrained")
    axes: Any = figure.subplots(1, 3, width_ratios=[1.25, 0.8, 1.1])
    _bands(axes[0], results)
    _overlaps(axes[1], results)
    _curves(axes[2], results)
    title = drawable(wording.describe_clean(first), 110)
    figure.suptitle(title, x=0.012, ha="left", size=11, gid="headline", **plain(title))
    figure.supxlabel(EXPLANATION, x=0.012, ha="left", size=9, style="italic")


def _style(name: str, results: Mapping[str, Attribution]) -> dict[str, Any]:
    number = list(results).index(name)
    control = example_record.is_control(str(results[name].provenance.get("method", "")))
    return {"color": COLOURS[number % len(COLOURS)], "linestyle": "--" if control else "-"}


def _bands(axes: Axes, results: Mapping[str, Attribution]) -> None:
    """The part of each band that is on top, a line per ranking."""
    for name, result in results.items():
        bands = bands_of(result, DEFAULT_FRACTION)
        if bands is None:
            axes.text(0.5, 0.5, "these features have no frequency", ha="center", transform=axes.transAxes)
            break
        share = [100 * part for part in bands.chosen]
        axes.plot(bands.centres, share, marker=".", label=drawable(name, 30), **_style(name, results))
        panels.label_axis(axes, "x", bands.title)
    panels.title(axes, "Which frequencies are on top")
    panels.label_axis(axes, "y", f"% of a band that is in the top {100 * DEFAULT_FRACTION:g} %")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=8)


def _overlaps(axes: Axes, results: Mapping[str, Attribution]) -> None:
    """How much of each top the strongest features share."""
    names = list(results)
    values = [100 * result.magnitude_overlap(DEFAULT_FRACTION) for result in results.values()]
    bars = axes.barh(range(len(names)), values, color=[_style(name, results)["color"] for name in names])
    axes.bar_label(bars, fmt="%.0f %%", padding=3, fontsize=8)
    axes.set_yticks(range(len(names)), [drawable(name, 20) for name in names], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 118)
    panels.title(axes, "Shared with the magnitude ranking")
    panels.label_axis(axes, "x", "% of the magnitude ranking's top")


def _curves(axes: Axes, results: Mapping[str, Attribution]) -> None:
    """The confidence on the top features alone, a line per ranking."""
    records = {name: record_of(result) for name, result in results.items()}
    drawn_any = False
    for number, (name, record) in enumerate(records.items()):
        points = record.points("keep")
        if points:
            x, y = [100 * point.fraction for point in points], [wording.plotted_value(record, p) for p in points]
            axes.plot(x, y, marker=MARKERS[number % len(MARKERS)], markersize=4, **_style(name, results))
            axes.set_xscale("log")
            axes.set_xticks(x, [f"{value:.3g}" for value in x])
            axes.set_xticks([], minor=True)
            panels.label_axis(axes, "y", wording.plotted_quantity(record))
            drawn_any = True
    if not drawn_any:
        axes.text(0.5, 0.5, "not perturbed", ha="center", transform=axes.transAxes)
    in_place = list(
        dict.fromkeys(record.in_place or "deleted features replaced by zero" for record in records.values())
    )
    words = "" if in_place in ([], ["deleted features replaced by zero"]) else f"\n({'; '.join(in_place)})"
    panels.title(axes, f"The top features alone{words}")
    panels.label_axis(axes, "x", "% of features kept")
