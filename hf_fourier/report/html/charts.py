"""Charts of a page: small SVG drawings whose colours are the page's own, so that they are dark where it is dark."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

WIDE, TALL = 360, 230
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 12, 40
#: Of a chart by band: the space beside it, and the heights of a name and of a bar; letters of a name, at most.
SIDE, NAME, BAR, NAME_CHARS = 14, 14, 9, 60
#: The width of a character of a tick's label, at most on average.
CHARACTER = 7
#: Looks that differ without colour too: class names of the page's style sheet, and the shape of the points.
SHAPES = ("circle", "square", "diamond", "triangle", "cross")
#: From a number to a place on the drawing.
Place = Callable[[float], float]


@dataclass(frozen=True)
class Series:
    """One line.

    Attributes:
        name: In the legend.
        x: Ascending.
        y: One for each.
        low: The interval's lower ends, or empty.
        high: Its upper ends, or empty.
        control: Drawn thin and dashed.
        hollow: Which points are drawn hollow; empty for none.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    control: bool = False
    hollow: Sequence[bool] = ()


@dataclass(frozen=True)
class BandAxis:
    """What runs to the right in a chart by band.

    Attributes:
        top: The upper end, the lower being 0; None for what the values take, 0 among them.
        marks: Values with lines across all rows, each with its words and its class in the style sheet.
    """

    top: float | None = None
    marks: Sequence[tuple[float, str, str]] = ()


def lines(series: Sequence[Series], title: str, right: str, up: str, top: float | None = 1.0) -> Markup:
    """Lines over fractions in per cent on a logarithmic axis, with their intervals; and a legend below.

    Args:
        series: What to draw; those without points are left out.
        title: Read out by screen readers, and shown above.
        right: What runs to the right.
        up: What runs upwards.
        top: The upper end, the lower being 0; None for what the values take.
    """
    drawn = [one for one in series if one.x]
    if not drawn:
        return Markup("")
    xs = sorted({x for one in drawn for x in one.x})
    values = [y for one in drawn for y in (*one.y, *one.low, *one.high) if math.isfinite(y)]
    low, high = (0.0, top) if top is not None else _ends(values)
    x_of, y_of = _log(xs), _linear(low, high)
    parts = [_grid(low, high, y_of), _ticks(xs, x_of), _titles(right, up)]
    for i, one in enumerate(drawn):
        parts.append(_line(one, i, x_of, y_of))
    legend = Markup("").join(_key(one, i) for i, one in enumerate(drawn))
    return _chart(title, parts, legend)


def bars(centres: Sequence[float], power: Sequence[float], chosen: Sequence[float], title: str, right: str) -> Markup:
    """Shares of power upwards and fractions of chosen features downwards, by frequency."""
    if not centres:
        return Markup("")
    middle, half = TOP + (TALL - TOP - BOTTOM) / 2, (TALL - TOP - BOTTOM) / 2 - 4
    step = (WIDE - LEFT - RIGHT) / len(centres)
    tops = max(max(power), 1e-9), max(max(chosen), 1e-9)
    parts = [Markup('<line class="axis" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(LEFT, WIDE - RIGHT, middle, middle)]
    for i, (p, c) in enumerate(zip(power, chosen, strict=True)):
        x, wide = LEFT + i * step + 0.1 * step, 0.8 * step
        text = f"{right} {_tick(centres[i])}: {100 * p:.3g} % of power, {100 * c:.3g} % of these features on top"
        parts.append(
            Markup(
                '<g><title>{}</title><rect class="power" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>'
                '<rect class="on" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/></g>'
            ).format(
                text, x, middle - half * p / tops[0], wide, half * p / tops[0], x, middle, wide, half * c / tops[1]
            )
        )
    parts += [
        _tick_text("middle", LEFT + (i + 0.5) * step, TALL - BOTTOM + 14, _tick(centres[i]))
        for i in sorted({0, len(centres) // 2, len(centres) - 1})
    ]
    labels = (
        (f"{100 * tops[0]:.3g} %", middle - half + 4),
        ("0", middle + 3),
        (f"{100 * tops[1]:.3g} %", middle + half),
    )
    parts += [_tick_text("end", LEFT - 5, y, text) for text, y in labels]
    parts.append(_titles(right, ""))
    key = Markup('<li><span class="swatch power"></span>share of power (up)</li>'
                 '<li><span class="swatch on"></span>fraction on top (down)</li>')  # fmt: skip
    return _chart(title, parts, key)


def by_band(names: Sequence[str], series: Sequence[Series], title: str, right: str, chart: BandAxis) -> Markup:
    """Bars to the right, a row for each band with its name above; and a legend below.

    Args:
        names: The bands in words.
        series: The bars of each row, at most as many as there are `SHAPES`: `y` has a number for each band, NaN for
            none; `low` and `high` are the ends of its interval. `x` is not read.
        title: Read out by screen readers, and shown above.
        right: What runs to the right, with its unit.
        chart: The ends of the axis, and lines across all rows.
    """
    values = [v for one in series for v in (*one.y, *one.low, *one.high) if math.isfinite(v)]
    if not names or not values:
        return Markup("")
    step = _step(min(0.0, *values), max(0.0, *values)) if chart.top is None else chart.top / 4
    low = math.floor(min(0.0, *values) / step + 1e-9) * step if chart.top is None else 0.0
    high = math.ceil(max(0.0, *values) / step - 1e-9) * step if chart.top is None else chart.top

    def x_of(value: float) -> float:
        return SIDE + (min(max(value, low), high) - low) / ((high - low) or 1) * (WIDE - 2 * SIDE)

    row = NAME + BAR * len(series) + 5
    deep = TOP + row * len(names)
    parts = [_columns(low, high, step, x_of, deep)]
    for place, name in enumerate(names):
        for number, one in enumerate(series):
            parts.append(_bar(one, number, place, name, TOP + place * row + NAME + BAR * number, x_of))
    line = Markup('<line class="{}" x1="{:.1f}" x2="{:.1f}" y1="{}" y2="{}"><title>{}</title></line>')
    for value, words, kind in chart.marks:
        if math.isfinite(value):
            parts.append(line.format(kind, x_of(value), x_of(value), TOP, deep, f"{words}: {value:.3g}"))
    for place, name in enumerate(names):  # over the lines
        shown = name if len(name) <= NAME_CHARS else f"{name[: NAME_CHARS - 1]}…"
        parts.append(Markup('<text class="band" x="{}" y="{}">{}</text>').format(SIDE, TOP + place * row + 11, shown))
    parts.append(
        Markup('<text class="label" text-anchor="middle" x="{}" y="{}">{}</text>').format(WIDE / 2, deep + 30, right)
    )
    legend = [_key(one, number) for number, one in enumerate(series) if len(series) > 1]
    marks = Markup('<li><svg viewBox="0 0 30 12" aria-hidden="true"><line class="{}" x1="15" x2="15" y1="0" y2="12"/>'
                   '</svg>{}</li>')  # fmt: skip
    legend += [marks.format(kind, words) for value, words, kind in chart.marks if math.isfinite(value)]
    return _chart(title, parts, Markup("").join(legend), deep + 36)


def _columns(low: float, high: float, step: float, x_of: Place, deep: float) -> Markup:
    """Lines down with their numbers below."""
    parts = []
    for i in range(round((high - low) / step) + 1):
        x, value = x_of(low + i * step), low + i * step
        kind = "axis" if abs(value) < step / 1e6 else "grid"
        line = Markup('<line class="{}" x1="{:.1f}" x2="{:.1f}" y1="{}" y2="{}"/>').format(kind, x, x, TOP, deep)
        parts += [line, _tick_text("middle", x, deep + 14, f"{0.0 if kind == 'axis' else value:.3g}")]
    return Markup("").join(parts)


def _step(low: float, high: float) -> float:
    """A round distance of lines, of which three to seven fit."""
    rough = max(high - low, 1e-9) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    return next(times * power for times in (1, 2, 5, 10) if times * power >= rough * (1 - 1e-9))


def _bar(one: Series, number: int, place: int, name: str, y: float, x_of: Place) -> Markup:
    """A bar from 0 to a number, its interval, and a mark at its end that differs without colour."""
    value = one.y[place]
    if not math.isfinite(value):
        return Markup("")
    low, high = (one.low[place], one.high[place]) if one.low else (math.nan, math.nan)
    known = math.isfinite(low) and math.isfinite(high)
    text = f"{one.name}, {name}: {value:.3g}" + (f" [{low:.3g}, {high:.3g}]" if known else "")
    zero, end, middle = x_of(0.0), x_of(value), y + BAR / 2
    parts = [
        Markup('<rect class="bar-of" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{}"/>').format(
            min(zero, end), y + 0.5, abs(end - zero), BAR - 1
        )
    ]
    if known:
        whisker = Markup('<line class="whisker" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>')
        parts.append(whisker.format(x_of(low), x_of(high), middle, middle))
    parts.append(_point(number, end, middle, text, False))
    return Markup('<g class="series-{}">{}</g>').format(number % len(SHAPES), Markup("").join(parts))


def _tick(value: float) -> str:
    """A number without an exponent, as far as one can read it."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _chart(title: str, parts: Sequence[Markup], legend: Markup, tall: float = TALL) -> Markup:
    return Markup(
        '<figure class="chart"><figcaption>{}</figcaption><svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
        '<ul class="legend">{}</ul></figure>'
    ).format(title, WIDE, tall, title, Markup("").join(parts), legend)


def _tick_text(anchor: str, x: float, y: float, text: str) -> Markup:
    return Markup('<text class="tick" text-anchor="{}" x="{:.1f}" y="{:.1f}">{}</text>').format(anchor, x, y, text)


def _log(xs: Sequence[float]) -> Place:
    low, high = math.log(max(xs[0], 1e-6)), math.log(max(xs[-1], 1e-6))
    span = (high - low) or 1.0
    start = LEFT + 10

    def place(x: float) -> float:
        at = (math.log(max(x, 1e-6)) - low) / span if high > low else 0.5
        return start + at * (WIDE - RIGHT - 10 - start)

    return place


def _linear(low: float, high: float) -> Place:
    def place(y: float) -> float:
        return TALL - BOTTOM - (y - low) / ((high - low) or 1) * (TALL - TOP - BOTTOM)

    return place


def _ends(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values, default=0.0), max(values, default=1.0)
    pad = 0.05 * (high - low) or 1.0
    return low - pad, high + pad


def _grid(low: float, high: float, y_of: Place) -> Markup:
    """Four lines across with their numbers."""
    parts = []
    for i in range(5):
        value = low + i * (high - low) / 4
        y = y_of(value)
        line = Markup('<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>')
        parts += [line.format(LEFT, WIDE - RIGHT, y, y), _tick_text("end", LEFT - 5, y + 3.5, f"{value:.3g}")]
    return Markup("").join(parts)


def _ticks(xs: Sequence[float], x_of: Place) -> Markup:
    """The fractions below the axis, as many as there is room for."""
    parts, taken = [], -math.inf
    for x in xs:
        text, middle = f"{100 * x:.3g} %", x_of(x)
        half = len(text) * CHARACTER / 2
        if middle - half - CHARACTER >= taken:
            taken = middle + half
            parts.append(_tick_text("middle", middle, TALL - BOTTOM + 14, text))
    return Markup("").join(parts)


def _titles(right: str, up: str) -> Markup:
    """What runs to the right and upwards."""
    across = Markup('<text class="label" text-anchor="middle" x="{}" y="{}">{}</text>').format(
        (LEFT + WIDE - RIGHT) / 2, TALL - 6, right
    )
    turned = Markup(
        '<text class="label" text-anchor="middle" transform="translate(11 {}) rotate(-90)">{}</text>'
    ).format((TOP + TALL - BOTTOM) / 2, up)
    return across + (turned if up else Markup(""))


def _line(one: Series, number: int, x_of: Place, y_of: Place) -> Markup:
    """A line with its interval and points."""
    look = f"series-{number % len(SHAPES)}{' control' if one.control else ''}"
    points = [(x_of(x), y_of(y)) for x, y in zip(one.x, one.y, strict=True)]
    parts = []
    if one.low and len(points) > 1:
        upper = [f"{x_of(x):.1f},{y_of(y):.1f}" for x, y in zip(one.x, one.high, strict=True)]
        lower = [f"{x_of(x):.1f},{y_of(y):.1f}" for x, y in zip(one.x, one.low, strict=True)]
        parts.append(Markup('<polygon class="range" points="{}"/>').format(" ".join([*upper, *reversed(lower)])))
    elif one.low:
        (x, _), low, high = points[0], y_of(one.low[0]), y_of(one.high[0])
        parts.append(
            Markup('<line class="line" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>').format(x, x, low, high)
        )
    parts.append(Markup('<polyline class="line" points="{}"/>').format(" ".join(f"{x:.1f},{y:.1f}" for x, y in points)))
    for i, (x, y) in enumerate(points):
        text = f"{one.name}, {100 * one.x[i]:.3g} %: {one.y[i]:.3g}"
        text += f" [{one.low[i]:.3g}, {one.high[i]:.3g}]" if one.low else ""
        hollow = bool(one.hollow) and one.hollow[i]
        parts.append(_point(number, x, y, text, hollow))
    return Markup('<g class="{}">{}</g>').format(look, Markup("").join(parts))


def _point(number: int, x: float, y: float, text: str, hollow: bool) -> Markup:
    shapes = {
        "circle": "M{0} {1}m-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0",
        "square": "M{0} {1}m-3 -3h6v6h-6z",
        "diamond": "M{0} {1}m0 -4.5l4.5 4.5l-4.5 4.5l-4.5 -4.5z",
        "triangle": "M{0} {1}m0 -4.5l4.2 7.5h-8.4z",
        "cross": "M{0} {1}m-3.5 -3.5l7 7m0 -7l-7 7",
    }
    path = shapes[SHAPES[number % len(SHAPES)]].format(f"{x:.1f}", f"{y:.1f}")
    kind = "point hollow" if hollow else "point"
    return Markup('<path class="{}" d="{}"><title>{}</title></path>').format(kind, path, text)


def _key(one: Series, number: int) -> Markup:
    """A legend's line: the mark, and the name."""
    look = f"series-{number % len(SHAPES)}{' control' if one.control else ''}"
    mark = Markup('<svg viewBox="0 0 30 12" aria-hidden="true"><g class="{}"><line class="line" x1="0" x2="30" y1="6" '
                  'y2="6"/>{}</g></svg>').format(look, _point(number, 15, 6, "", False))  # fmt: skip
    return Markup("<li>{}<bdi>{}</bdi></li>").format(mark, one.name)
