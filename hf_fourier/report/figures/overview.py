"""Figures of a report as a whole, light and dark: curves with their intervals, bands and classes, the evaluation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_fourier.report import example_record, serialization, wording
from hf_fourier.report.figures import canvas, panels
from hf_fourier.report.figures.fonts import drawable, plain
from hf_fourier.report.mean_curves import CHARTS, Average, averages

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hf_fourier.evaluation.results import Evaluation
    from hf_fourier.report.class_summary import ClassSummary
    from hf_fourier.report.content import ReportContent
    from hf_fourier.report.example_record import ExampleRecord

    Draw = Callable[[Figure], None]

COLOURS = (panels.KEPT, panels.DELETED, "#22785a", "#7a3e9d", panels.SOFT)
MARKERS = ("o", "s", "D", "^", "X")
#: Classes in a figure, at most, and inches of a line of one.
CLASSES, LINE = 24, 0.28


def save_figures(
    report: ReportContent,
    folder: str | PathLike[str],
    include_inputs: bool,
    examples: bool = False,
    endings: Sequence[str] = (".png", ".svg"),
) -> dict[str, Path]:
    """Write the figures, light and dark, and return their paths by name ("curves-dark.svg").

    Args:
        report: The report.
        folder: Made if it does not exist.
        include_inputs: Name what is withheld otherwise; see `Report.save`.
        examples: Write the figure of each example too, which shows it.
        endings: Formats.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    from hf_fourier.report.figures.plot import plot

    where, written = Path(folder), {}
    for name, size, draw in _overviews(report, include_inputs):
        written.update(_light_and_dark(canvas.drawn(partial(_fill, size=size, draw=draw)), where, name, endings))
    spectrum = report._spectrum(shared=not include_inputs)
    if spectrum is not None:
        written.update(_light_and_dark(spectrum.plot(), where, "spectrum", endings))
    for number, result in enumerate(report.results if examples and include_inputs else (), 1):
        written.update(_light_and_dark(plot(result), where, f"{number:04d}", endings))
    return written


def _fill(figure: Figure, size: tuple[float, float], draw: Draw) -> None:
    figure.set_size_inches(*size)
    figure.set_layout_engine("constrained")
    draw(figure)


def _light_and_dark(figure: Figure, where: Path, name: str, endings: Sequence[str]) -> dict[str, Path]:
    """Write one figure in both looks; returns the paths by file name."""
    from matplotlib import rc_context

    from hf_fourier.report.figures.dark_mode import darken

    paths = {}
    with rc_context(canvas.looks()):
        for look in ("", "-dark"):
            if look:
                darken(figure)
            for ending in endings:
                file = f"{name}{look}{ending}"
                paths[file] = where / file
                canvas.write(figure, paths[file])
                figure.set_layout_engine("none")  # all has its place now
    return paths


def _overviews(report: ReportContent, include_inputs: bool) -> Iterator[tuple[str, tuple[float, float], Draw]]:
    """Names of figures, their sizes in inches, and what draws them; only those that have something to show."""
    records = report._records(shared=not include_inputs)
    if any(averages(records, part, quantity) for part, quantity, *_ in CHARTS):
        yield "curves", (9.0, 7.2), lambda figure: _curves(figure, records)
    labels = _by_class(records)
    if labels:
        yield "bands", (9.0, max(2.6, 1.6 + LINE * len(labels))), lambda figure: _bands(figure, labels)
    classes = [one for one in report._classes(records) if one.concentration is not None][:CLASSES]
    if classes:
        yield "classes", (9.0, max(2.6, 1.5 + LINE * len(classes))), lambda figure: _structure(figure, classes)
    evaluation, _ = serialization.as_shared(report, not include_inputs)
    metrics = [] if evaluation is None else [m for m in wording.HEADLINES if m in evaluation.better]
    if evaluation is not None and metrics:
        size = (9.0, 0.6 + (0.75 + LINE * len(evaluation.cells)) * -(-len(metrics) // 2))
        yield "evaluation", size, lambda figure: _evaluation(figure, evaluation, metrics)


def _curves(figure: Figure, records: Sequence[ExampleRecord]) -> None:
    """Decisions kept (M) and confidence (L) by fraction, kept and removed, with the controls and intervals."""
    grid: Any = figure.subplots(2, 2)
    named: dict[str, Any] = {}
    for axes, (part, quantity, title, up) in zip(grid.ravel(), CHARTS, strict=True):
        for i, one in enumerate(averages(records, part, quantity)):
            named[one.name] = _average(axes, one, i)
        axes.set_xscale("log")
        fractions = sorted({fraction for one in averages(records, part, quantity) for fraction in one.fractions})
        axes.set_xticks([100 * fraction for fraction in fractions], [f"{100 * fraction:.3g}" for fraction in fractions])
        axes.set_xticks([], minor=True)
        axes.set_ylim(-0.03, 1.03)
        panels.title(axes, title)
        panels.label_axis(axes, "x", f"% of features {'kept' if part == 'keep' else 'removed'}")
        panels.label_axis(axes, "y", up)
    names = [drawable(name, 70) for name in named]
    legend = figure.legend(list(named.values()), names, loc="outside lower center", ncols=2, frameon=False)
    for text in legend.get_texts():
        text.set(**plain(text.get_text()))


def _average(axes: Axes, one: Average, number: int) -> Any:
    """One method's line and band; controls dashed."""
    x = [100 * fraction for fraction in one.fractions]
    colour = COLOURS[number % len(COLOURS)]
    style = "--" if example_record.is_control(one.method) else "-"
    (line,) = axes.plot(x, one.means, color=colour, linestyle=style, marker=MARKERS[number % len(MARKERS)],
                        gid=f"{one.part}-{one.quantity}-{number}")  # fmt: skip
    if not math.isnan(one.low[0]):
        axes.fill_between(x, one.low, one.high, color=colour, alpha=0.15, linewidth=0)
    return line


def _by_class(records: Sequence[ExampleRecord]) -> dict[str, list[ExampleRecord]]:
    """Examples with bands by method and label, where all have the same bands."""
    groups: dict[str, list[ExampleRecord]] = {}
    for one in records:
        if one.bands is not None:
            groups.setdefault(f"{one.label.strip() or '␣'} ({one.method})", []).append(one)
    bands = {(one.bands.title, tuple(one.bands.centres)) for own in groups.values() for one in own if one.bands}
    return dict(list(groups.items())[:CLASSES]) if len(bands) == 1 else {}


def _bands(figure: Figure, groups: dict[str, list[ExampleRecord]]) -> None:
    """Power and chosen features by band, a row per label and method."""
    left, right = figure.subplots(1, 2, sharey=True)
    first = next(iter(groups.values()))[0].bands
    assert first is not None
    power = np.array([np.mean([one.bands.power for one in own if one.bands], axis=0) for own in groups.values()])
    chosen = np.array([np.mean([one.bands.chosen for one in own if one.bands], axis=0) for own in groups.values()])
    shown = ((left, power, "Share of power, %\n(mean over examples)", "Greys"),
             (right, chosen,
              "Of each band’s features, % that are on top\n(at the least fraction that keeps the decision)",
              "cividis"))  # fmt: skip
    for axes, values, title, shades in shown:
        image = axes.imshow(100 * values, aspect="auto", cmap=shades, vmin=0)
        figure.colorbar(image, ax=axes, pad=0.02)
        places = range(0, len(first.centres), 3)
        axes.set_xticks(places, [f"{first.centres[i]:.3g}" for i in places])
        panels.label_axis(axes, "x", first.title)
        panels.title(axes, title)
    _names(left, [f"{name}, n = {len(own)}" for name, own in groups.items()])


def _structure(figure: Figure, classes: Sequence[ClassSummary]) -> None:
    """How alike the top features of each class are, and how much they are its own."""
    left, right = figure.subplots(1, 2, sharey=True)
    places = np.arange(len(classes))
    left.barh(places, [one.concentration or 0 for one in classes], color=panels.KEPT, height=0.6)
    left.plot([one.chance or 0 for one in classes], places, linestyle="", marker="|", markersize=14,
              markeredgewidth=2, color=panels.DELETED, label="by chance")  # fmt: skip
    left.legend(frameon=False, loc="lower right")
    panels.title(left, "Concentration of the top 4 % within a class\n(more: its examples agree)")
    panels.label_axis(left, "x", "kurtosis of counts")
    right.barh(places, [100 * (one.specificity or 0) for one in classes], color=panels.KEPT, height=0.6)
    right.set_xlim(0, 100)
    panels.title(right, "Specificity: usual features that are\nusual for no other class, %")
    _names(left, [f"{one.label.strip() or '␣'} ({one.method}), n = {one.examples}" for one in classes])
    left.invert_yaxis()


def _evaluation(figure: Figure, evaluation: Evaluation, metrics: Sequence[str]) -> None:
    """A panel per metric: each method's mean with its interval, the controls hollow."""
    rows = list(evaluation.table().rows())
    grid = np.atleast_1d(figure.subplots(-(-len(metrics) // 2), min(2, len(metrics)))).ravel()
    for axes, metric in zip(grid, metrics, strict=False):
        own = [row for row in rows if row["metric"] == metric]
        for place, row in enumerate(own):
            control = example_record.is_control(row["method"])
            colour = panels.DELETED if control else panels.KEPT
            if not math.isnan(row["low"]):
                axes.plot([row["low"], row["high"]], [place, place], color=colour)
            axes.plot(row["mean"], place, marker="s" if control else "o", color=colour, markersize=7,
                      markerfacecolor="white" if control else colour)  # fmt: skip
        better = {1: "more is better", -1: "less is better"}.get(evaluation.better[metric], "")
        panels.title(axes, f"{metric} ({better})" if better else metric)
        axes.set_ylim(len(own) - 0.4, -0.6)
        axes.grid(axis="x", alpha=0.3)
        _names(axes, [f"{row['method']} in {row['domain']}" for row in own])
    for axes in grid[len(metrics) :]:
        axes.set_visible(False)
    groups = len(set(evaluation.groups))
    note = f"n = {len(evaluation.groups)} examples of {groups} groups; 95 % intervals; hollow: controls"
    figure.supxlabel(note, fontsize=8)


def _names(axes: Axes, names: Sequence[str]) -> None:
    """Labels of rows, as they stand."""
    shown = [drawable(name, 44) for name in names]
    axes.set_yticks(range(len(shown)), shown)
    for text, name in zip(axes.get_yticklabels(), shown, strict=True):
        text.set(**plain(name))
