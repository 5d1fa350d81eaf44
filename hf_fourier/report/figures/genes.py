"""The figure of an explained cell: the genes of the largest relevance, and its spectrum."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_fourier.report import wording
from hf_fourier.report.example_record import record_of
from hf_fourier.report.figures import style, tokens
from hf_fourier.report.figures.fonts import drawable, font_families
from hf_fourier.results import relevance

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

    from hf_fourier.results.attribution import Attribution

MOST = 20  # genes with a bar
#: Width of a letter of a name, as a fraction of the axes.
CHARACTER = 0.014


def height(attribution: Attribution, width: float) -> float:
    """Inches that the figure takes."""
    return 1.4 + 0.17 * min(MOST, len(attribution.names)) + tokens.BELOW


def draw(figure: FigureBase, attribution: Attribution, fraction: float, width: float) -> None:
    """Fill `figure`: the top genes and where they stand in the cell above; the spectrum and the answers below."""
    found = relevance.default_relevance(attribution, fraction)
    values = tokens.by_token(found)
    best = np.argsort(-np.abs(values), kind="stable")[:MOST]
    tall = height(attribution, width) - tokens.BELOW + tokens.HEAD
    above, below = style.stack(figure, [tall, tokens.BELOW - tokens.HEAD])
    left, right = above.subplots(1, 2, width_ratios=[1, 1.15])
    names = [drawable(attribution.names[i], 16) for i in best]
    _bars(left, names, values[best], best, found)
    text = textwrap.fill(f"The {len(best)} strongest genes: {found.description}", 68)
    style.label(left, f"{text}\n({wording.colours(record_of(attribution), found)})")
    _ranking(right, values, best, names, found.measure)
    tokens.frequencies(below, attribution, fraction)


def _bars(axes: Axes, names: list[str], values: Any, ranks: Any, found: relevance.Relevance) -> None:
    """One bar per gene, the strongest on top, with its rank in the cell."""
    places = np.arange(len(values))
    colours = [style.SUPPORTING if value >= 0 else style.OPPOSING for value in values]
    axes.barh(places, values, color=colours, edgecolor=style.INK, linewidth=0.4, gid="genes")
    labels = [f"{name}  (rank {rank + 1})" for name, rank in zip(names, ranks, strict=True)]
    style.ticks(axes, "y", labels, fontsize=8)
    axes.set_ylim(len(values) - 0.4, -0.6)
    axes.axvline(0, color=style.INK, linewidth=0.6)
    axes.locator_params(axis="x", nbins=5)
    style.label(axes, x=f"{found.measure} (rank: place among the {len(found.values)} genes that were read)")


def _ranking(axes: Axes, values: Any, best: Any, names: list[str], measure: str) -> None:
    """All genes in the cell's order, the strongest few named."""
    ranks = np.arange(1, len(values) + 1)
    colours = [style.SUPPORTING if value >= 0 else style.OPPOSING for value in values]
    axes.vlines(ranks, 0, values, colors=colours, linewidth=1.2, gid="ranking")
    axes.axhline(0, color=style.SOFT, linewidth=0.6)
    free: list[tuple[float, float]] = []
    reach = float(np.abs(values).max(initial=0.0)) or 1.0
    for i, name in zip(best[:12], names, strict=False):
        side = "left" if i < 0.05 * len(values) else "right" if i > 0.95 * len(values) else "center"
        wide = CHARACTER * len(name) * len(values)
        before = {"left": 0.0, "right": wide, "center": wide / 2}[side]
        below = values[max(0, math.floor(i - before)) : math.ceil(i - before + wide) + 1]
        tip = float(below.max() if values[i] >= 0 else below.min())  # beyond every line that the name would cross
        near = any(abs(i - x) < 0.09 * len(values) and abs(tip - y) < 0.09 * reach for x, y in free)
        if not near and abs(tip - values[i]) < 0.05 * reach:
            free.append((float(i), tip))
            axes.annotate(name, (i + 1, tip), xytext=(0, 3 if values[i] >= 0 else -3), fontsize=7,
                          textcoords="offset points", ha=side, va="bottom" if values[i] >= 0 else "top",
                          parse_math=False, fontfamily=font_families(name))  # fmt: skip
    axes.set_xlim(0, len(values) + 1)
    axes.margins(y=0.12)
    place = "rank in the cell (left: most above its usual level)"
    style.label(axes, "The same numbers for all genes, in the order that the model reads them", x=place, y=measure)
