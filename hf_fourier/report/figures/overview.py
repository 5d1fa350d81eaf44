"""Figures of a report as a whole, light and dark: curves with their intervals, bands and classes, the evaluation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_fourier.report import wording
from hf_fourier.report.example_record import is_control
from hf_fourier.report.figures import canvas, style
from hf_fourier.report.figures.fonts import drawable
from hf_fourier.report.mean_curves import CHARTS, Average, averages

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hf_fourier.evaluation.results import Evaluation
    from hf_fourier.report.class_summary import ClassSummary
    from hf_fourier.report.content import ReportContent
    from hf_fourier.report.example_record import ExampleRecord

#: Classes in a figure, and characters of a name, at most; inches of a figure's width, and of a line of one class.
CLASSES, NAME, WIDE, LINE = 24, 44, 9.0, 0.28


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
    content = report.written(include_inputs)
    for name, draw in _overviews(content):
        written.update(_light_and_dark(canvas.drawn(draw), where, name, endings))
    if content.spectrum is not None:
        written.update(_light_and_dark(content.spectrum.plot(), where, "spectrum", endings))
    for number, result in enumerate(report.results if examples and include_inputs else (), 1):
        written.update(_light_and_dark(plot(result), where, f"{number:04d}", endings))
    return written


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


def _overviews(report: ReportContent) -> Iterator[tuple[str, Callable[[Figure], None]]]:
    """Names of figures and what draws them; only those that have something to show."""
    records, evaluation = report.records, report.evaluation
    if any(averages(records, part, quantity) for part, quantity, *_ in CHARTS):
        yield "curves", lambda figure: _curves(figure, records)
    labels = _by_class(records)
    if labels:
        yield "bands", lambda figure: _bands(figure, labels)
    classes = [one for one in report.classes if one.concentration is not None][:CLASSES]
    if classes:
        yield "classes", lambda figure: _structure(figure, classes)
    metrics = [] if evaluation is None else [m for m in wording.HEADLINES if m in evaluation.better]
    if evaluation is not None and metrics:
        yield "evaluation", lambda figure: _evaluation(figure, evaluation, metrics)


def _curves(figure: Figure, records: Sequence[ExampleRecord]) -> None:
    """Decisions kept and confidence by fraction, kept and removed, with the controls and intervals."""
    canvas.arrange(figure, 7.2, WIDE)
    grid: Any = figure.subplots(2, 2)
    named: dict[str, Any] = {}
    for axes, (part, quantity, title, up) in zip(grid.ravel(), CHARTS, strict=True):
        for i, one in enumerate(averages(records, part, quantity)):
            named[one.name] = _average(axes, one, i)
        fractions = {fraction for one in averages(records, part, quantity) for fraction in one.fractions}
        style.percents(axes, [100 * fraction for fraction in sorted(fractions)])
        axes.set_ylim(-0.03, 1.03)
        style.label(axes, title, x=f"% of features {'kept' if part == 'keep' else 'removed'}", y=up)
    names = [drawable(name, 70) for name in named]
    style.legend(figure, handles=[*named.values()], labels=names, loc="outside lower center", ncols=2, fontsize=None)


def _average(axes: Axes, one: Average, number: int) -> Any:
    """One method's line and band; controls dashed."""
    x, look = [100 * fraction for fraction in one.fractions], style.look(number, is_control(one.method))
    (line,) = axes.plot(x, one.means, gid=f"{one.part}-{one.quantity}-{number}", **look)
    if not math.isnan(one.low[0]):
        axes.fill_between(x, one.low, one.high, color=look["color"], alpha=0.15, linewidth=0)
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
    canvas.arrange(figure, max(2.6, 1.6 + LINE * len(groups)), WIDE)
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
        style.colour_bar(axes, axes.imshow(100 * values, aspect="auto", cmap=shades, vmin=0), pad=0.02)
        places = range(0, len(first.centres), 3)
        axes.set_xticks(places, [f"{first.centres[i]:.3g}" for i in places])
        style.label(axes, title, x=first.title)
    style.ticks(left, "y", [drawable(f"{name}, n = {len(own)}", NAME) for name, own in groups.items()])


def _structure(figure: Figure, classes: Sequence[ClassSummary]) -> None:
    """How alike the top features of each class are, and how much they are its own."""
    canvas.arrange(figure, max(2.6, 1.5 + LINE * len(classes)), WIDE)
    left, right = figure.subplots(1, 2, sharey=True)
    places = np.arange(len(classes))
    left.barh(places, [one.concentration or 0 for one in classes], color=style.KEPT, height=0.6)
    left.plot([one.chance or 0 for one in classes], places, linestyle="", marker="|", markersize=14,
              markeredgewidth=2, color=style.DELETED, label="by chance")  # fmt: skip
    style.legend(left, loc="lower right", fontsize=None)
    style.label(left, "Concentration of the top 4 % within a class\n(more: its examples agree)", x="kurtosis of counts")
    right.barh(places, [100 * (one.specificity or 0) for one in classes], color=style.KEPT, height=0.6)
    right.set_xlim(0, 100)
    style.label(right, "Specificity: usual features that are\nusual for no other class, %")
    names = [f"{one.label.strip() or '␣'} ({one.method}), n = {one.examples}" for one in classes]
    style.ticks(left, "y", [drawable(name, NAME) for name in names])
    left.invert_yaxis()


def _evaluation(figure: Figure, evaluation: Evaluation, metrics: Sequence[str]) -> None:
    """A panel per metric: each method's mean with its interval, the controls hollow."""
    canvas.arrange(figure, 0.6 + (0.75 + LINE * len(evaluation.cells)) * -(-len(metrics) // 2), WIDE)
    rows = list(evaluation.table().rows())
    grid = np.atleast_1d(figure.subplots(-(-len(metrics) // 2), min(2, len(metrics)))).ravel()
    for axes, metric in zip(grid, metrics, strict=False):
        own = [row for row in rows if row["metric"] == metric]
        for place, row in enumerate(own):
            control = is_control(row["method"])
            colour = style.DELETED if control else style.KEPT
            if not math.isnan(row["low"]):
                axes.plot([row["low"], row["high"]], [place, place], color=colour)
            axes.plot(row["mean"], place, marker="s" if control else "o", color=colour, markersize=7,
                      markerfacecolor="white" if control else colour)  # fmt: skip
        better = {1: "more is better", -1: "less is better"}.get(evaluation.better[metric], "")
        style.label(axes, f"{metric} ({better})" if better else metric)
        axes.set_ylim(len(own) - 0.4, -0.6)
        axes.grid(axis="x", alpha=0.3)
        style.ticks(axes, "y", [drawable(f"{row['method']} in {row['domain']}", NAME) for row in own])
    for axes in grid[len(metrics) :]:
        axes.set_visible(False)
    groups = len(set(evaluation.groups))
    note = f"n = {len(evaluation.groups)} examples of {groups} groups; 95 % intervals; hollow: controls"
    figure.supxlabel(note, fontsize=8)
