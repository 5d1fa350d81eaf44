"""The figure of an explained text: its tokens in reading order, coloured by what the chosen frequencies do there."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_fourier.report import wording
from hf_fourier.report.example_record import record_of
from hf_fourier.report.figures import panels, style
from hf_fourier.report.figures.fonts import TokenText, font_families, plain, right_to_left, token_texts
from hf_fourier.results import relevance

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

    from hf_fourier.domains import Layout
    from hf_fourier.results.attribution import Attribution

    Array = np.ndarray[Any, np.dtype[Any]]

SIZE, PAD, GAP = 10.0, 0.05, 0.05  # points; inches beside a token and between words
LINE, BOX, BAR = 0.52, 0.22, 0.12  # inches: a line's height, a token's, the tallest bar's
MOST = 400  # tokens in a figure
HEAD, BELOW = 0.5, 4.3  # inches of the title above the tokens, and of all but the tokens


@dataclass(frozen=True)
class Placed:
    """One token on the page, in inches from the upper left corner (y of its middle)."""

    index: int
    text: str
    x: float
    y: float
    width: float


def height(attribution: Attribution, width: float) -> float:
    """Inches that the figure takes when lines are `width` inches long."""
    return _place(attribution, window(attribution, None), width)[-1].y + LINE + BELOW


def draw(figure: FigureBase, attribution: Attribution, fraction: float, width: float) -> None:
    """Fill `figure`: the tokens above, in lines of `width` inches; power and choice by frequency and answers below."""
    found = relevance.default_relevance(attribution, fraction)
    values = by_token(found)
    shown = window(attribution, values)
    placed = _place(attribution, shown, width)
    tall = placed[-1].y + LINE
    above, below = style.stack(figure, [tall + HEAD, BELOW - HEAD])
    boxes(sheet(above, width, tall), placed, values, explanation(attribution, found, shown))
    frequencies(below, attribution, fraction)


def by_token(found: relevance.Relevance) -> Array:
    """One number per token."""
    values = np.asarray(found.values, dtype=float)
    return values.reshape(len(values), -1).sum(axis=1)


def sheet(figure: FigureBase, width: float, tall: float) -> Axes:
    """Axes in inches, for lines of tokens from the top down."""
    page = figure.add_subplot()
    page.set_axis_off()
    page.set_xlim(0, width)
    page.set_ylim(tall - LINE / 2, -LINE / 2)
    return page


_WHOLES = {"residue": "chain", "base": "sequence", "k-mer": "sequence", "gene": "ranking"}


def frequencies(figure: FigureBase, attribution: Attribution, fraction: float) -> Axes | None:
    """Fill `figure` with power and choice by frequency, and the model's answers; returns the axes of the power."""
    grid = figure.add_gridspec(2, 2, width_ratios=[1.3, 1])
    panels.model(figure.add_subplot(grid[:, 1]), record_of(attribution), fraction)
    unit = attribution.layout.signal.axes[0].name
    whole = _WHOLES.get(unit, "text")
    if attribution.layout.with_role("frequency"):
        text = (
            f"Power and top features by frequency\n(left: slow, along the whole {whole}; right: from {unit} to {unit})"
        )
    else:
        text = f"Power and top features by {_coordinate(attribution.layout)}"
    return panels.by_frequency(figure, grid, 0, attribution, fraction, text)


def _coordinate(layout: Layout) -> str:
    """The coordinate that tells features without a frequency apart."""
    if layout.with_role("level"):
        return "scale"
    if layout.with_role("component"):
        return "component"
    return " and ".join(column.name for column in layout.with_role("position")) or "feature"


def explanation(attribution: Attribution, found: relevance.Relevance, tokens: range) -> str:
    """What the colours mean, whose numbers they are, and which tokens are shown."""
    unit = attribution.layout.signal.axes[0].name
    colours = wording.colours(record_of(attribution), found, ", bar above", ", bar below")
    text = f"At each {unit}: {found.description} ({colours})"
    if len(tokens) < len(attribution.names):
        text += f"; {unit}s {tokens.start + 1} to {tokens.stop} of {len(attribution.names)}, around the strongest"
    if len(attribution.layout.signal.segments) > 1:
        text += "; one text below the other"
    return text


def window(attribution: Attribution, values: Array | None) -> range:
    """All tokens, or the most relevant stretch of a long text."""
    count = len(attribution.names)
    if count <= MOST:
        return range(count)
    weights = np.ones(count) if values is None else np.abs(values)
    sums = np.convolve(weights, np.ones(MOST), mode="valid")
    start = int(sums.argmax())
    return range(start, start + MOST)


def _place(attribution: Attribution, shown: range, width: float) -> list[Placed]:
    """Break the tokens into lines between words, and between texts; from the right where they are read that way."""
    tokens = token_texts(attribution.names)
    widths = _widths([tokens[i].text for i in shown])
    borders = (
        set(np.cumsum(attribution.layout.signal.segments[:-1]).tolist())
        if attribution.layout.signal.segments
        else set()
    )
    placed: list[Placed] = []
    x = y = 0.0
    for word in _words(tokens, shown, borders):
        long = sum(widths[i - shown.start] for i in word)
        if x > 0 and (word[0] in borders or x + GAP + long > width):
            x, y = 0.0, y + LINE * (1.5 if word[0] in borders else 1)
        x += GAP if x > 0 else 0
        for i in word:
            wide = widths[i - shown.start]
            if x > 0 and x + wide > width:
                x, y = 0.0, y + LINE
            placed.append(Placed(i, tokens[i].text, x, y, wide))
            x += wide
    if right_to_left("".join(tokens[i].text for i in shown)):
        placed = [Placed(p.index, p.text, width - p.x - p.width, p.y, p.width) for p in placed]
    return placed


def _words(tokens: Sequence[TokenText], shown: range, borders: set[int]) -> list[list[int]]:
    words: list[list[int]] = []
    for i in shown:
        if tokens[i].starts or i in borders or not words:
            words.append([])
        words[-1].append(i)
    return words


def _widths(texts: Sequence[str]) -> list[float]:
    """Each text's width in inches at `SIZE` points, with its padding."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties

    figure = Figure(dpi=100)
    renderer = FigureCanvasAgg(figure).get_renderer()
    known: dict[str, float] = {}
    for text in texts:
        if text not in known:
            font = FontProperties(family=font_families(text), size=SIZE)
            known[text] = renderer.get_text_width_height_descent(text, font, False)[0] / figure.dpi
    return [known[text] + 2 * PAD for text in texts]


def boxes(axes: Axes, placed: Sequence[Placed], values: Array, text: str) -> None:
    """Boxes with letters, coloured by relevance, and a bar above or below each for its sign and size."""
    from matplotlib.patches import Rectangle

    top = float(np.abs(values).max(initial=0.0)) or 1.0
    colours = style.diverging()
    style.label(axes, textwrap.fill(text, 135))
    for token in placed:
        strength = float(values[token.index]) / top
        corner = (token.x, token.y - BOX / 2)
        face = colours(0.5 + strength / 2)
        axes.add_patch(
            Rectangle(
                corner, token.width, BOX, facecolor=face, edgecolor="#cccccc", linewidth=0.5, gid=f"token-{token.index}"
            )
        )
        if abs(strength) > 0.01:
            start = token.y - BOX / 2 if strength > 0 else token.y + BOX / 2
            bar = Rectangle((token.x, start), token.width, -BAR * strength, facecolor=style.INK, alpha=0.75)
            axes.add_patch(bar)
        axes.text(token.x + token.width / 2, token.y, token.text, size=SIZE, ha="center", va="center_baseline",
                  color=style.INK, **plain(token.text))  # fmt: skip
