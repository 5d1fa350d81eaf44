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
#: The marks of lines, which differ without colour too: how each is drawn from its middle on.
SHAPES = (
    "m-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0",  # a circle
    "m-3 -3h6v6h-6z",
    "m0 -4.5l4.5 4.5l-4.5 4.5l-4.5 -4.5z",
    "m0 -4.5l4.2 7.5h-8.4z",
    "m-3.5 -3.5l7 7m0 -7l-7 7",
)
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
    parts = [*_grid(low, high, y_of), *_ticks(xs, x_of), *_titles(right, up)]
    parts += [_line(one, i, x_of, y_of) for i, one in enumerate(drawn)]
    return _chart(title, parts, [_key(one, i) for i, one in enumerate(drawn)])


def bars(centres: Sequence[float], power: Sequence[float], chosen: Sequence[float], title: str, right: str) -> Markup:
    """Shares of power upwards and fractions of chosen features downwards, by frequency."""
    if not centres:
        return Markup("")
    middle, half = TOP + (TALL - TOP - BOTTOM) / 2, (TALL - TOP - BOTTOM) / 2 - 4
    step = (WIDE - LEFT - RIGHT) / len(centres)
    tops = max(max(power), 1e-9), max(max(chosen), 1e-9)
    parts = [_svg("line", "axis", x1=LEFT, x2=WIDE - RIGHT, y1=middle, y2=middle)]
    for i, (p, c) in enumerate(zip(power, chosen, strict=True)):
        text = f"{right} {_tick(centres[i])}: {100 * p:.3g} % of power, {100 * c:.3g} % of these features on top"
        x, up, down = LEFT + i * step + 0.1 * step, half * p / tops[0], half * c / tops[1]
        both = (("power", middle - up, up), ("on", middle, down))
        boxes = [_svg("rect", kind, x=x, y=y, width=0.8 * step, height=height) for kind, y, height in both]
        parts.append(_svg("g", "", _svg("title", "", text), *boxes))
    ends = sorted({0, len(centres) // 2, len(centres) - 1})
    parts += [_tick_text("middle", LEFT + (i + 0.5) * step, TALL - BOTTOM + 14, _tick(centres[i])) for i in ends]
    above, below = f"{100 * tops[0]:.3g} %", f"{100 * tops[1]:.3g} %"
    for text, y in ((above, middle - half + 4), ("0", middle + 3), (below, middle + half)):
        parts.append(_tick_text("end", LEFT - 5, y, text))
    legend = {"power": "share of power (up)", "on": "fraction on top (down)"}
    swatch = Markup('<li><span class="swatch {}"></span>{}</li>')
    return _chart(title, [*parts, *_titles(right, "")], [swatch.format(*one) for one in legend.items()])


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
    parts = _columns(low, high, step, x_of, deep)
    for place, name in enumerate(names):
        for number, one in enumerate(series):
            parts.append(_bar(one, number, place, name, TOP + place * row + NAME + BAR * number, x_of))
    marks = [(x_of(value), f"{words}: {value:.3g}", words, kind) for value, words, kind in chart.marks
             if math.isfinite(value)]  # fmt: skip
    for x, text, _, kind in marks:
        parts.append(_svg("line", kind, _svg("title", "", text), x1=x, x2=x, y1=TOP, y2=deep))
    for place, name in enumerate(names):  # over the lines
        shown = name if len(name) <= NAME_CHARS else f"{name[: NAME_CHARS - 1]}…"
        parts.append(_svg("text", "band", shown, x=SIDE, y=TOP + place * row + 11))
    parts.append(_svg("text", "label", right, text_anchor="middle", x=WIDE / 2, y=deep + 30))
    legend = [_key(one, number) for number, one in enumerate(series) if len(series) > 1]
    legend += [_entry(_svg("line", kind, x1=15, x2=15, y1=0, y2=12), words) for _, _, words, kind in marks]
    return _chart(title, parts, legend, deep + 36)


def _columns(low: float, high: float, step: float, x_of: Place, deep: float) -> list[Markup]:
    """Lines down with their numbers below."""
    parts = []
    for i in range(round((high - low) / step) + 1):
        x, value = x_of(low + i * step), low + i * step
        kind = "axis" if abs(value) < step / 1e6 else "grid"
        text = _tick_text("middle", x, deep + 14, f"{0.0 if kind == 'axis' else value:.3g}")
        parts += [_svg("line", kind, x1=x, x2=x, y1=TOP, y2=deep), text]
    return parts


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
    parts = [_svg("rect", "bar-of", x=min(zero, end), y=y + 0.5, width=abs(end - zero), height=BAR - 1)]
    if known:
        parts.append(_svg("line", "whisker", x1=x_of(low), x2=x_of(high), y1=middle, y2=middle))
    return _svg("g", f"series-{number % len(SHAPES)}", *parts, _point(number, end, middle, text))


def _tick(value: float) -> str:
    """A number without an exponent, as far as one can read it."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _svg(tag: str, kind: str, *content: str, **attributes: float | str) -> Markup:
    """An element of the class `kind`; real numbers get one decimal, and "_" in a name stands for "-"."""
    given: dict[str, float | str] = {"class": kind} if kind else {}
    given |= {name.replace("_", "-"): value for name, value in attributes.items()}
    texts = [f"{value:.1f}" if isinstance(value, float) else value for value in given.values()]
    pairs = Markup("").join(Markup(' {}="{}"').format(*pair) for pair in zip(given, texts, strict=True))
    if not content:
        return Markup("<{}{}/>").format(tag, pairs)
    return Markup("<{0}{1}>{2}</{0}>").format(tag, pairs, Markup("").join(content))


def _chart(title: str, parts: Sequence[Markup], legend: Sequence[Markup], tall: float = TALL) -> Markup:
    drawing = _svg("svg", "", *parts, viewBox=f"0 0 {WIDE} {tall}", role="img", aria_label=title)
    caption, entries = _svg("figcaption", "", title), _svg("ul", "legend", *legend, "")
    return _svg("figure", "chart", caption, drawing, entries)


def _tick_text(anchor: str, x: float, y: float, text: str) -> Markup:
    return _svg("text", "tick", text, text_anchor=anchor, x=float(x), y=float(y))


def _log(xs: Sequence[float]) -> Place:
    low, high = math.log(max(xs[0], 1e-6)), math.log(max(xs[-1], 1e-6))
    span = (high - low) or 1.0
    start = LEFT + 10

    def place(x: float) -> float:
        at = (math.log(max(x, 1e-6)) - low) / span if high > low else 0.5
        return start + at * (WIDE - RIGHT - 10 - start)

    return place


def _linear(low: float, high: float) -> Place:
    return lambda y: TALL - BOTTOM - (y - low) / ((high - low) or 1) * (TALL - TOP - BOTTOM)


def _ends(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values, default=0.0), max(values, default=1.0)
    pad = 0.05 * (high - low) or 1.0
    return low - pad, high + pad


def _grid(low: float, high: float, y_of: Place) -> list[Markup]:
    """Four lines across with their numbers."""
    parts = []
    for value in (low + i * (high - low) / 4 for i in range(5)):
        y = y_of(value)
        line = _svg("line", "grid", x1=LEFT, x2=WIDE - RIGHT, y1=y, y2=y)
        parts += [line, _tick_text("end", LEFT - 5, y + 3.5, f"{value:.3g}")]
    return parts


def _ticks(xs: Sequence[float], x_of: Place) -> list[Markup]:
    """The fractions below the axis, as many as there is room for."""
    parts, taken = [], -math.inf
    for x in xs:
        text, middle = f"{100 * x:.3g} %", x_of(x)
        half = len(text) * CHARACTER / 2
        if middle - half - CHARACTER >= taken:
            taken = middle + half
            parts.append(_tick_text("middle", middle, TALL - BOTTOM + 14, text))
    return parts


def _titles(right: str, up: str) -> list[Markup]:
    """What runs to the right and, if anything, upwards."""
    parts = [_svg("text", "label", right, text_anchor="middle", x=(LEFT + WIDE - RIGHT) / 2, y=TALL - 6)]
    turned = f"translate(11 {(TOP + TALL - BOTTOM) / 2}) rotate(-90)"
    return [*parts, _svg("text", "label", up, text_anchor="middle", transform=turned)] if up else parts


def _line(one: Series, number: int, x_of: Place, y_of: Place) -> Markup:
    """A line with its interval and points."""

    def path(values: Sequence[float]) -> list[str]:
        return [f"{x_of(x):.1f},{y_of(y):.1f}" for x, y in zip(one.x, values, strict=True)]

    parts = []
    if one.low and len(one.x) > 1:
        parts.append(_svg("polygon", "range", points=" ".join([*path(one.high), *reversed(path(one.low))])))
    elif one.low:
        x = x_of(one.x[0])
        parts.append(_svg("line", "line", x1=x, x2=x, y1=y_of(one.low[0]), y2=y_of(one.high[0])))
    parts.append(_svg("polyline", "line", points=" ".join(path(one.y))))
    for i, (x, y) in enumerate(zip(one.x, one.y, strict=True)):
        text = f"{one.name}, {100 * x:.3g} %: {y:.3g}"
        text += f" [{one.low[i]:.3g}, {one.high[i]:.3g}]" if one.low else ""
        parts.append(_point(number, x_of(x), y_of(y), text, bool(one.hollow) and one.hollow[i]))
    return _svg("g", _look(one, number), *parts)


def _look(one: Series, number: int) -> str:
    """The classes of a line in the style sheet."""
    return f"series-{number % len(SHAPES)}{' control' if one.control else ''}"


def _point(number: int, x: float, y: float, text: str, hollow: bool = False) -> Markup:
    """A mark with what is read where the pointer rests on it."""
    path = f"M{x:.1f} {y:.1f}{SHAPES[number % len(SHAPES)]}"
    return _svg("path", "point hollow" if hollow else "point", _svg("title", "", text), d=path)


def _key(one: Series, number: int) -> Markup:
    """A line of the legend: the mark, and the name."""
    mark = _svg("g", _look(one, number), _svg("line", "line", x1=0, x2=30, y1=6, y2=6), _point(number, 15, 6, ""))
    return _entry(mark, _svg("bdi", "", one.name))


def _entry(mark: Markup, words: str) -> Markup:
    """A line of the legend."""
    return _svg("li", "", _svg("svg", "", mark, viewBox="0 0 30 12", aria_hidden="true"), words)
