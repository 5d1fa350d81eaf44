"""The figure of an explained protein or DNA: its residues or bases in numbered blocks of ten, and its spectrum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hf_fourier.report.figures import style, tokens
from hf_fourier.report.figures.fonts import drawable
from hf_fourier.results import relevance

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

    from hf_fourier.results.attribution import Attribution

BLOCK, WIDE, SPACE = 10, 0.155, 0.14  # residues in a block; inches of a residue, and between blocks
MARGIN = 0.45  # inches for the number at the start of a line
ABOVE = 0.1  # inches for the numbers above the first line
LINE = 1.35 * tokens.LINE  # a line has numbers above it
#: Periods in residues, and in bases, that are ticked for orientation, with what often has them.
PERIODS = {
    "residue": ((10.0, "10"), (5.0, "5"), (3.6, "3.6 (turn of an α-helix)"), (2.0, "2 (β-strand)")),
    "base": ((10.5, "10.5 (turn of B-DNA)"), (5.0, "5"), (3.0, "3 (codon)"), (2.0, "2")),
}


def height(attribution: Attribution, width: float) -> float:
    """Inches that the figure takes when lines are `width` inches long."""
    return _place(attribution, tokens.window(attribution, None), width)[-1].y + LINE + tokens.BELOW


def draw(figure: FigureBase, attribution: Attribution, fraction: float, width: float) -> None:
    """Fill `figure`: the residues above; power and choice by frequency, with periods, and the answers below."""
    found = relevance.default_relevance(attribution, fraction)
    values = tokens.by_token(found)
    shown = tokens.window(attribution, values)
    placed = _place(attribution, shown, width)
    tall = placed[-1].y + LINE
    above, below = style.stack(figure, [tall + tokens.HEAD, tokens.BELOW - tokens.HEAD])
    page = tokens.sheet(above, width, tall)
    tokens.boxes(page, placed, values, tokens.explanation(attribution, found, shown))
    _numbers(page, placed)
    power = tokens.frequencies(below, attribution, fraction)
    if power is not None and attribution.layout.with_role("frequency"):
        _periods(power, attribution.layout.signal.axes[0].name)


def _place(attribution: Attribution, shown: range, width: float) -> list[tokens.Placed]:
    """Whole blocks of ten in each line."""
    block = BLOCK * WIDE + SPACE
    blocks = max(1, int((width - MARGIN + SPACE) // block))
    placed = []
    for i in shown:
        number, within = divmod(i - shown.start, BLOCK)
        line, column = divmod(number, blocks)
        x, y = MARGIN + column * block + within * WIDE, line * LINE + ABOVE
        placed.append(tokens.Placed(i, drawable(attribution.names[i], 3), x, y, WIDE))
    return placed


def _numbers(axes: Axes, placed: list[tokens.Placed]) -> None:
    """The number of each line's first residue on its left, and of each block's last above it."""
    for before, token in zip([None, *placed], placed, strict=False):
        place: dict[str, Any] = {"size": 7, "color": style.SOFT, "gid": f"number-{token.index + 1}"}
        if before is None or before.y != token.y:
            axes.text(token.x - 0.06, token.y, f"{token.index + 1}", ha="right", va="center_baseline", **place)
        elif (token.index + 1) % BLOCK == 0:
            axes.text(token.x + token.width / 2, token.y - 0.6 * tokens.LINE, f"{token.index + 1}", ha="center",
                      va="center", **place)  # fmt: skip


def _periods(axes: Axes, unit: str) -> None:
    """The residues or bases of one cycle, on top."""
    top = axes.secondary_xaxis("top")
    low, high = axes.get_xlim()
    shown = [(1 / period, words) for period, words in PERIODS[unit] if low < 1 / period < high]
    top.set_xticks([at for at, _ in shown], [words for _, words in shown], fontsize=7)
    top.set_xlabel(f"{unit}s per cycle (structures in brackets: for orientation only)", fontsize=7, loc="left")
    top.tick_params(length=3, pad=1)
