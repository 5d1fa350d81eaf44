"""Several rankings of one example side by side: which frequencies each chooses, and whether the decision is kept."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

from hf_fourier.errors import InputError
from hf_fourier.report import wording
from hf_fourier.report.example_record import DEFAULT_FRACTION, bands_of, is_control, record_of
from hf_fourier.report.figures import style
from hf_fourier.report.figures.canvas import arrange, drawn
from hf_fourier.report.figures.fonts import drawable

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
    arrange(figure, HEIGHT)
    axes: Any = figure.subplots(1, 3, width_ratios=[1.25, 0.8, 1.1])
    _bands(axes[0], results)
    _overlaps(axes[1], results)
    _curves(axes[2], results)
    style.headline(figure, drawable(wording.describe_clean(first), 110), size=11)
    style.caption(figure, EXPLANATION)


def _look(name: str, results: Mapping[str, Attribution]) -> dict[str, Any]:
    method = str(results[name].provenance.get("method", ""))
    return style.look(list(results).index(name), is_control(method))


def _bands(axes: Axes, results: Mapping[str, Attribution]) -> None:
    """The part of each band that is on top, a line per ranking."""
    for name, result in results.items():
        bands = bands_of(result, DEFAULT_FRACTION)
        if bands is None:
            style.empty(axes, "these features have no frequency")
            break
        share = [100 * part for part in bands.chosen]
        axes.plot(bands.centres, share, label=style.entry(name, 30), **_look(name, results) | {"marker": "."})
        style.label(axes, x=bands.title)
    style.label(axes, "Which frequencies are on top", y=f"% of a band that is in the top {100 * DEFAULT_FRACTION:g} %")
    if axes.get_legend_handles_labels()[0]:
        style.legend(axes)


def _overlaps(axes: Axes, results: Mapping[str, Attribution]) -> None:
    """How much of each top the strongest features share."""
    names = list(results)
    values = [100 * result.magnitude_overlap(DEFAULT_FRACTION) for result in results.values()]
    bars = axes.barh(range(len(names)), values, color=[_look(name, results)["color"] for name in names])
    axes.bar_label(bars, fmt="%.0f %%", padding=3, fontsize=8)
    style.ticks(axes, "y", [drawable(name, 20) for name in names], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 118)
    style.label(axes, "Shared with the magnitude ranking", x="% of the magnitude ranking's top")


def _curves(axes: Axes, results: Mapping[str, Attribution]) -> None:
    """The confidence on the top features alone, a line per ranking."""
    records = {name: record_of(result) for name, result in results.items()}
    for name, record in records.items():
        points = record.points("keep")
        if points:
            x, y = [100 * point.fraction for point in points], [wording.plotted_value(record, p) for p in points]
            axes.plot(x, y, markersize=4, **_look(name, results))
            style.percents(axes, x)
            style.label(axes, y=wording.plotted_quantity(record))
    if not axes.lines:
        style.empty(axes, "not perturbed")
    zero = "deleted features replaced by zero"
    in_place = list(dict.fromkeys(record.in_place or zero for record in records.values()))
    words = "" if in_place == [zero] else f"\n({'; '.join(in_place)})"
    style.label(axes, f"The top features alone{words}", x="% of features kept")
