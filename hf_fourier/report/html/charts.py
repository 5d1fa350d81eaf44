"""Charts of a page: small SVG drawings whose colours are the page's own, so that they are dark where it is dark."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

WIDE, TALL = 360, 230
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 12, 40
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


def _tick(value: float) -> str:
    """A number without an exponent, as far as one can read it."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _chart(title: str, parts: Sequence[Markup], legend: Markup) -> Markup:
    return Markup(
        '<figure class="chart"><figcaption>{}</figcaption><svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
        '<ul class="legend">{}</ul></figure>'
    ).format(title, WIDE, TALL, title, Markup("").join(parts), legend)


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
    parts, last = [], -math.inf
    for x in xs:
        if x_of(x) - last >= 34:
            last = x_of(x)
            parts.append(_tick_text("middle", last, TALL - BOTTOM + 14, f"{100 * x:.3g} %"))
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
