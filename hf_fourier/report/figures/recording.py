"""The figure of a recording: predictions over time, the merged spectrum of one label, and decisions kept."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING

import numpy as np

from hf_fourier.report import wording
from hf_fourier.report.example_record import DEFAULT_FRACTION, record_of
from hf_fourier.report.figures import panels, style
from hf_fourier.report.figures.canvas import arrange, drawn
from hf_fourier.report.figures.fonts import drawable, plain
from hf_fourier.report.figures.spectrum import decibels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hf_fourier.results.spectrum import Spectrum
    from hf_fourier.runs.recording import Recording

HEIGHT = 8.4  # inches
#: Labels that have a colour of their own; the rest share the last.
COLOURS = ("#0b559f", "#d0691c", "#2a9d6f", "#9b3f9b", "#8c6d1f", "#8a8a8a")
BANDS = 60
NOTHING = "Top features are ranked within each segment; levels are not compared across segments."


def plot_recording(
    recording: Recording, path: str | PathLike[str] | None = None, fraction: float = DEFAULT_FRACTION
) -> Figure:
    """Draw a recording.

    Args:
        recording: What `FourierExplainer.explain_recording` returned.
        path: Where to write the figure: PNG, SVG or PDF, by the ending. None only returns it.
        fraction: The fraction of features that counts as chosen in each segment.

    Returns:
        The `matplotlib.figure.Figure`, 11 inches wide.

    Raises:
        InputError: If the path has another ending.
        MissingExtraError: If matplotlib is not installed.
    """
    return drawn(lambda figure: _fill(figure, recording, fraction), path)


def _fill(figure: Figure, recording: Recording, fraction: float) -> None:
    arrange(figure, HEIGHT)
    head, over, below, foot = style.stack(figure, [0.5, 3.1, 3.6, 0.5])
    label, seconds = recording.label, recording.labels[recording.label]
    text = f"“{drawable(label, 40)}” for {seconds:.1f} of {recording.seconds:.1f} s"
    if recording.confidence is not None:
        text += f", mean confidence there {wording.format_confidence(recording.confidence)}"
    text += f"\n{wording.method_line(record_of(recording[0]))}"
    style.head(head, text)
    times = over.add_gridspec(2, 1, height_ratios=[1.1, 2.0])  # in one grid, so that their seconds are in line
    wave = over.add_subplot(times[0])
    _wave(wave, recording)
    _time(over.add_subplot(times[1], sharex=wave), recording)
    grid = below.add_gridspec(2, 3)
    spectrum = recording.spectrum(label, fraction)
    upper, lower = below.add_subplot(grid[0, :2]), below.add_subplot(grid[1, :2])
    _spectrum(upper, lower, spectrum, f"“{drawable(label, 24)}”", fraction)
    _answers(below.add_subplot(grid[:, 2]), recording)
    style.foot(foot, f"{len(recording)} segments; overlaps count once. {NOTHING}")


def _wave(axes: Axes, recording: Recording) -> None:
    """The largest amplitudes, up and down."""
    places, peaks = [], []
    for segment in recording.segments:
        count = len(segment.peaks)
        places += [segment.start + (i + 0.5) * (segment.end - segment.start) / count for i in range(count)]
        peaks += list(segment.peaks)
    order = np.argsort(places, kind="stable")
    at, high = np.array(places)[order], np.array(peaks)[order]
    axes.fill_between(at, -high, high, color=style.SOFT, linewidth=0, gid="wave")
    axes.set_xlim(0, recording.seconds)
    axes.tick_params(labelbottom=False)
    style.label(axes, "The recording (largest amplitudes)", y="amplitude")


def _time(axes: Axes, recording: Recording) -> None:
    """Each segment as a bar as high as the model is sure, coloured by its label."""
    names = list(recording.labels)
    colour = {name: COLOURS[min(i, len(COLOURS) - 1)] for i, name in enumerate(names)}
    sure = [segment.value if segment.confidence is None else segment.confidence for segment in recording.segments]
    known = recording.segments[0].confidence is not None
    meets = [(a.end + b.start) / 2 for a, b in zip(recording.segments, recording.segments[1:], strict=False)]
    edges = [0.0, *meets, recording.seconds]
    for i, (segment, height) in enumerate(zip(recording.segments, sure, strict=True)):
        axes.bar(edges[i], height, width=edges[i + 1] - edges[i], align="edge", color=colour[segment.label],
                 linewidth=0, gid="segment")  # fmt: skip
    for i, name in enumerate(names[: len(COLOURS)]):
        rest = " and others" if i == len(COLOURS) - 1 < len(names) - 1 else ""
        axes.bar(0, 0, color=colour[name], label=f"{style.entry(name, 24)}{rest}: {recording.labels[name]:.1f} s")
    axes.set_xlim(0, recording.seconds)
    if known:
        axes.set_ylim(0, 1)
    style.legend(axes, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=len(COLOURS))
    style.label(
        axes, "The prediction in each segment, and its confidence", x="seconds", y="confidence" if known else "value"
    )


def _spectrum(upper: Axes, lower: Axes, spectrum: Spectrum, label: str, fraction: float) -> None:
    """Power above, below the fraction of seconds in which each frequency was chosen, by the finest coordinate."""
    title, values = max(spectrum.coordinates.items(), key=lambda one: ("frequency" in one[0], len(np.unique(one[1]))))
    kinds, place = np.unique(values, return_inverse=True)
    if len(kinds) > BANDS and np.issubdtype(kinds.dtype, np.number):
        edges = np.linspace(kinds[0], kinds[-1], BANDS + 1)
        place, centres = np.clip(np.digitize(values, edges) - 1, 0, BANDS - 1), (edges[1:] + edges[:-1]) / 2
    else:
        numbers = np.issubdtype(kinds.dtype, np.number)
        centres = np.asarray(kinds if numbers else np.arange(len(kinds)), dtype=float)
    count = np.maximum(np.bincount(place, minlength=len(centres)), 1)
    power = np.bincount(place, spectrum.power, len(centres))
    chosen = np.bincount(place, spectrum.chosen, len(centres)) / count
    width = 0.9 * (float(np.diff(centres).min()) if len(centres) > 1 else 1.0)
    level = decibels(power)
    upper.bar(centres, level - level.min(), width=width, bottom=level.min(), color=style.SOFT, gid="power-bars")
    upper.tick_params(labelbottom=False)
    style.label(
        upper,
        f"The segments of {label} together, {spectrum.weight:.1f} s: power,\n"
        f"and how often a frequency is among a segment's top {wording.format_fraction(fraction)}",
        y="power [dB]",
    )
    panels.chosen_bars(lower, centres, chosen, width)
    lower.sharex(upper)
    style.label(lower, x=title, y="% of seconds")


def _answers(axes: Axes, recording: Recording) -> None:
    """The fraction of seconds whose decision holds, for each fraction of the curve."""
    table = recording.points()
    if not len(table):
        axes.set_axis_off()
        text = "(no fraction of the features\nwas shown to the model)"
        axes.text(0.5, 0.5, text, ha="center", va="center", color=style.SOFT, **plain(text))
        return
    places = np.arange(len(table))
    for part, colour, marker, words in (
        ("kept", style.KEPT, "o", "top features alone"),
        ("deleted", style.DELETED, "s", "without them"),
    ):
        axes.plot(places, [100 * value for value in table[part]], marker=marker, color=colour, label=words, gid=part)
    axes.set_xticks(places, [f"{100 * share:.3g}" for share in table["top fraction"]])
    axes.set_ylim(-4, 104)
    style.legend(axes, loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2)
    style.label(axes, "Where the decision holds", x="% of features", y="% of seconds")
