"""The panels that figures are put together from. They draw on axes that they are given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hf_fourier.report import wording
from hf_fourier.report.example_record import SAME_MASK, record_of
from hf_fourier.report.figures import style
from hf_fourier.report.figures.fonts import PLAIN
from hf_fourier.report.figures.spectrum import Plane, Profile, decibels, profile
from hf_fourier.results.relevance import default_relevance

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase
    from matplotlib.gridspec import GridSpec

    from hf_fourier.report.example_record import ExampleRecord
    from hf_fourier.results.attribution import Attribution
    from hf_fourier.results.curve import Mode

    Array = np.ndarray[Any, np.dtype[Any]]

#: How low and how tall a map or a plane is drawn, as a fraction of its width, whatever its rows and columns.
SQUAT = (0.3, 1.6)
#: Bands whose scores are drawn one by one, at most.
MOST_BANDS = 32


def renders(attribution: Attribution, fraction: float) -> list[Any]:
    """The example in its natural form: whole, its top features alone, and without them."""
    return [attribution.render(), attribution.render(fraction), attribution.render(fraction, delete=True)]


def show_image(axes: Axes, image: Any, text: str) -> None:
    """An image without ticks."""
    pixels = np.asarray(image)
    grey: dict[str, Any] = {"cmap": "gray", "vmin": 0, "vmax": 255} if pixels.ndim == 2 else {}
    axes.imshow(pixels, interpolation="nearest" if max(pixels.shape[:2]) < 64 else "antialiased", **grey)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    style.label(axes, text)


def spectrum(axes: Axes, plane: Plane, text: str, upward: bool = False) -> None:
    """Power in grey, the chosen places in yellow on top (an artist called "chosen", masked elsewhere).

    `text`: the title, where the plane has none of its own. `upward`: whether rows ascend from the bottom, as where the
    first axis of the signal is drawn so.
    """
    from matplotlib.colors import ListedColormap

    low, high = _ends(plane.rows)
    extent = (*_ends(plane.columns), *((low, high) if upward else (high, low)))
    level = decibels(plane.power)
    floor, top = np.percentile(level, [2, 99.8]) if level.max() > level.min() else (-80.0, 0.0)
    shared: dict[str, Any] = {"extent": extent, "interpolation": "nearest", "aspect": "auto"}
    shared["origin"] = "lower" if upward else "upper"
    # The grey stays in the darker two thirds, so that the marks stand out in a greyscale print too.
    greys = ListedColormap([(v, v, v) for v in np.linspace(0.03, 0.62, 256)])
    axes.imshow(level, cmap=greys, vmin=floor, vmax=max(top, floor + 1), gid="power", **shared)
    marks = np.ma.masked_equal(np.where(plane.chosen > 0, 1.0, 0.0), 0.0)
    axes.imshow(marks, cmap=ListedColormap([style.CHOSEN]), vmin=0, vmax=1, gid="chosen", **shared)
    axes.set_box_aspect(np.clip(len(plane.rows) / len(plane.columns), 0.5, 1.6))
    axes.set_anchor("W")  # so that the layout leaves the room that the label on the left really takes
    axes.locator_params(nbins=6, integer=len(plane.rows) > 1 and plane.rows[1] - plane.rows[0] >= 1)
    style.label(axes, plane.legend or text, x=plane.titles[1], y=plane.titles[0])


def power(axes: Axes, profile: Profile) -> None:
    """Share of power by frequency, on a logarithmic scale where it spans decades."""
    shown = 100 * profile.power
    top = shown.max(initial=0.0)
    axes.bar(profile.centres, shown, width=0.9 * profile.width, color=style.SOFT, gid="power-bars")
    if top > 0:
        smallest = shown[shown > top * 1e-6].min()
        if top > 30 * smallest:
            style.log_scale(axes, "y")
            axes.set_ylim(smallest / 2, top * 2)
    else:
        axes.set_ylim(0, 1)
    _limits(axes, profile)
    style.label(axes, y="% of power")


def show_chosen(axes: Axes, profile: Profile) -> None:
    """The fraction of each frequency's features that was chosen."""
    chosen_bars(axes, profile.centres, profile.chosen, 0.9 * profile.width)
    _limits(axes, profile)
    style.label(axes, x=profile.title, y="% in the top")


def chosen_bars(axes: Axes, centres: Array, chosen: Array, width: float) -> None:
    """Fractions of chosen features as bars in per cent."""
    look: dict[str, Any] = {"color": style.CHOSEN, "edgecolor": style.INK, "linewidth": 0.4, "gid": "chosen-bars"}
    axes.bar(centres, 100 * chosen, width=width, **look)
    axes.set_ylim(0, max(1.0, 110 * float(chosen.max(initial=0.0))))


def profiles(upper: Axes, lower: Axes, profile: Profile, text: str) -> None:
    """Power above and choice below, over one frequency axis."""
    power(upper, profile)
    style.label(upper, text)
    show_chosen(lower, profile)
    lower.sharex(upper)
    upper.tick_params(labelbottom=False)


def features(
    figure: FigureBase, attribution: Attribution, fraction: float, plane: Plane | None, text: str,
    upward: bool = False, power_text: str = "", grid: GridSpec | None = None, row: int = 0,
) -> None:  # fmt: skip
    """Fill two rows of `figure`: the plane, if there is one, power and choice by frequency, and the predictions.

    Args:
        figure: Where to draw.
        attribution: The result.
        fraction: The fraction of features that is shown as chosen.
        plane: Of the features; None where no plane shows them.
        text: The plane's title, where it has none of its own.
        upward: Whether the plane's rows ascend from the bottom.
        power_text: The title of the power by frequency; "" for the one of pictures.
        grid: Three columns of the figure; None for a new grid.
        row: The first of the two rows.
    """
    record, grid = record_of(attribution), figure.add_gridspec(2, 3) if grid is None else grid
    rows = slice(row, row + 2)
    if plane is not None:
        spectrum(figure.add_subplot(grid[rows, 0]), plane, text, upward)
    detail = " by frequency\n(left: coarse shapes, right: fine detail)" if record.noun == "frequencies" else ""
    wide = slice(0, 2) if plane is None else slice(1, 2)
    by_frequency(figure, grid, wide, attribution, fraction, power_text or f"Power and top features{detail}", row)
    model(figure.add_subplot(grid[rows, 2]), record, fraction)


def by_frequency(
    figure: FigureBase, grid: GridSpec, columns: slice | int, attribution: Attribution, fraction: float, text: str,
    row: int = 0,
) -> Axes | None:  # fmt: skip
    """Fill two rows of a grid with power and choice by frequency, or with the score of each band.

    Returns:
        The upper axes; None where features have no coordinate, and nothing is drawn.
    """
    if 0 < len(attribution.layout.bands) <= MOST_BANDS:
        axes = figure.add_subplot(grid[row : row + 2, columns])
        band_scores(axes, attribution, fraction)
        return axes
    line = profile(attribution, attribution.mask(fraction).numpy())
    if line is None:
        return None
    upper = figure.add_subplot(grid[row, columns])
    profiles(upper, figure.add_subplot(grid[row + 1, columns]), line, text)
    return upper


def band_scores(axes: Axes, attribution: Attribution, fraction: float) -> None:
    """The score of each band with its standard error, if there is one; the chosen bands in yellow."""
    bands, scores = attribution.layout.bands, attribution.scores.double().numpy()
    chosen, power = attribution.mask(fraction).numpy(), attribution.power.double().numpy()
    spread = attribution.extras.get("standard_error")
    axes.barh(
        range(len(bands)), scores, color=[style.CHOSEN if one else style.SOFT for one in chosen],
        edgecolor=style.INK, linewidth=0.4, gid="band-scores",
        xerr=None if spread is None else 1.96 * spread.double().numpy(),
    )  # fmt: skip
    share = 100 * power / max(power.sum(), np.finfo(float).tiny)
    names = [f"{band.name}\n{part:.2g} % of power" for band, part in zip(bands, share, strict=True)]
    style.ticks(axes, "y", names, fontsize=7.5 if len(bands) <= 12 else 6)
    axes.axvline(0, color=style.SOFT, linewidth=0.8)
    style.label(axes, "The score of each band\n(yellow: kept or deleted here)", x="score")


def model(axes: Axes, record: ExampleRecord, fraction: float) -> None:
    """The prediction on parts: a curve where it has several fractions, else bars."""
    fractions = {point.fraction for point in record.curve.points} if record.curve else set()
    (curve if len(fractions) > 1 else show_points)(axes, record, fraction)


def curve(axes: Axes, record: ExampleRecord, fraction: float) -> None:
    """The model's confidence against the fraction kept, and against the fraction deleted."""
    from matplotlib.ticker import MaxNLocator

    assert record.curve is not None
    fractions = {point.fraction for point in record.curve.points}
    looks: dict[Mode, dict[str, Any]] = {
        "keep": {"color": style.KEPT, "linestyle": "-", "marker": "o", "label": f"top {record.noun} alone"},
        "delete": {"color": style.DELETED, "linestyle": "--", "marker": "s", "label": "without them"},
    }
    places = {one: record.count(one) if record.noun == "bands" else 100 * one for one in {*fractions, fraction}}
    for mode, look in looks.items():
        points = record.points(mode)
        if not points:
            continue
        x = np.array([places[point.fraction] for point in points])
        y = np.array([wording.plotted_value(record, point) for point in points])
        axes.plot(x, y, gid=mode, **look)
        lost = [not record.holds(point) for point in points]
        axes.plot(x[lost], y[lost], linestyle="", marker=look["marker"], color=look["color"], markerfacecolor="white",
                  gid=f"{mode}-lost")  # fmt: skip
    axes.axhline(1.0 if record.is_mask else record.curve.clean, color=style.SOFT, linestyle=":", label="whole input")
    axes.axvline(places[fraction], color=style.SOFT, linewidth=0.8, label="shown here")
    if record.noun == "bands":
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    else:
        _fraction_ticks(axes, sorted(100 * one for one in fractions))
    if record.is_mask or record.confidence is not None:
        axes.set_ylim(-0.04, 1.04)
    hollow = f"Dice below {SAME_MASK:g}" if record.is_mask else "decision lost"
    across = "number of bands" if record.noun == "bands" else f"% of {record.noun}"
    style.label(axes, f"The model's prediction\n(hollow: {hollow})", x=across, y=wording.plotted_quantity(record))
    style.legend(axes, loc="upper center", bbox_to_anchor=(0.45, -0.16), ncols=2)


def show_points(axes: Axes, record: ExampleRecord, fraction: float) -> None:
    """Three bars: the model's confidence in the whole input, in the top features alone, and without them."""
    clean = 1.0 if record.is_mask else record.value if record.confidence is None else record.confidence
    bars = [("whole input", clean, wording.format_point(record), style.SOFT)]
    parts: tuple[tuple[Mode, str, str], ...] = (
        ("keep", f"{record.top(fraction).partition(' of ')[0]} alone", style.KEPT),
        ("delete", "without them", style.DELETED),
    )
    for mode, name, colour in parts:
        point = record.find(mode, fraction)
        if point is not None:
            text = f"{wording.format_point(point)}, {wording.verdict(record, point)}"
            bars.append((name, wording.plotted_value(record, point), text, colour))
    names, lengths, texts, colours = zip(*bars, strict=True)
    axes.barh(range(len(bars)), lengths, color=colours, height=0.6, gid="answers")
    for i, (name, text) in enumerate(zip(names, texts, strict=True)):
        axes.text(0.01, i - 0.34, f"{name}: {text}", transform=axes.get_yaxis_transform(), va="bottom", color=style.INK,
                  **PLAIN)  # fmt: skip
    axes.set_ylim(2.5, -0.9)
    axes.set_yticks([])
    if record.is_mask or record.confidence is not None:
        axes.set_xlim(0, 1)
    style.label(axes, x=wording.plotted_quantity(record))
    missing = "" if len(bars) > 1 else f"\n(it was not shown parts of the {record.noun})"
    style.label(axes, f"The model's prediction{missing}")


def relevance(axes: Axes, attribution: Attribution, fraction: float, turn: bool = False, extent: Any = None) -> None:
    """The relevance (`relevance.shown`) in input space: a line for one axis, a map for more.

    Args:
        axes: Where to draw.
        attribution: The result.
        fraction: The fraction of features.
        turn: Whether a map's first axis runs to the right.
        extent: A map's left, right, lower and upper end, the first row below; None for pixels, the first row above.
    """
    found = default_relevance(attribution, fraction)
    values = np.asarray(found.values, dtype=float)
    signed = found.signed or bool((values < 0).any())
    names = list(found.axes)
    while values.ndim > 2:
        values, names = values.sum(axis=0), names[1:]
    sense = found.sense
    if values.ndim < 2:
        line = np.atleast_1d(values)
        places = np.arange(1, len(line) + 1)
        axes.fill_between(places, line, 0, where=line >= 0, color=style.SUPPORTING, step="mid")
        axes.fill_between(places, line, 0, where=line <= 0, color=style.OPPOSING, step="mid")
        axes.step(places, line, where="mid", color=style.INK, linewidth=0.8, gid="relevance")
        axes.axhline(0, color=style.SOFT, linewidth=0.6)
        axes.locator_params(axis="x", integer=True)
        style.label(axes, x=names[0] if names else "entry")
    else:
        top = float(np.abs(values).max(initial=0.0)) or 1.0
        shades, low = (style.diverging(), -top) if signed else ("Greys", 0.0)
        values, names = (values.T, names[::-1]) if turn else (values, names)
        origin: Any = "upper" if extent is None else "lower"
        beside: dict[str, Any] = {"ax": axes, "shrink": 0.8}
        if extent is None:  # places are counted from 1; as wide and tall as the map is, within reason
            beside = {"cax": axes.inset_axes((1.02, 0.1, 0.02, 0.8))}
            extent = (0.5, values.shape[1] + 0.5, values.shape[0] + 0.5, 0.5)
            axes.set_box_aspect(np.clip(values.shape[0] / values.shape[1], *SQUAT))
            axes.set_anchor("W")
        image = axes.imshow(values, cmap=shades, vmin=low, vmax=top, aspect="auto", origin=origin, extent=extent,
                            gid="relevance")  # fmt: skip
        assert axes.figure is not None
        axes.figure.colorbar(image, **beside)
        axes.locator_params(integer=True)
        style.label(axes, x=names[1], y=names[0])
        sense = "orange: for the decision, blue: against" if found.signed else sense
        sense += f"; summed over {', '.join(found.axes[:-2])}" if len(found.axes) > 2 else ""
    text = f"{found.description[0].upper()}{found.description[1:]}"
    for start in (", not", ", in sum", " that the example"):
        text = text.replace(start, f"\n{start.lstrip(', ')}")
    style.label(axes, f"{text}\n({sense})")


def _limits(axes: Axes, profile: Profile) -> None:
    low, high = profile.centres.min(), profile.centres.max()
    axes.set_xlim(low - profile.width, max(high + profile.width, low + 20 * profile.width * (low == high)))


def _ends(centres: Any) -> tuple[float, float]:
    half = float(centres[1] - centres[0]) / 2 if len(centres) > 1 else 0.5
    return float(centres[0]) - half, float(centres[-1]) + half


def _fraction_ticks(axes: Axes, shares: list[float]) -> None:
    """Ticks at the fractions of the curve, the scale logarithmic where they are spread out."""
    ticks = shares
    if len(shares) > 7:
        ticks = [v for i, v in enumerate(shares) if i == 0 or v / max(shares[i - 1], 1e-9) > 1.3]
    style.percents(axes, ticks, log=shares[0] > 0 and shares[-1] / shares[0] > 5)
