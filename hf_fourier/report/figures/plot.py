"""`plot`: one figure per explanation, from the result alone, with what may be concluded."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING

from hf_fourier.report import wording
from hf_fourier.report.example_record import record_of
from hf_fourier.report.figures.canvas import WIDTH, arrange, drawn

if TYPE_CHECKING:
    from matplotlib.figure import Figure, FigureBase

    from hf_fourier.results.attribution import Attribution


def plot(attribution: Attribution, path: str | PathLike[str] | None = None, fraction: float | None = None) -> Figure:
    """Draw an explanation.

    A picture, a volume, a spectrogram and a waveform are shown whole, rebuilt from their top frequencies, and without
    them, with the model's masks where it draws some; a text by its tokens, a protein by its residues, a cell by its
    strongest genes; anything else by its relevance. Beside it stand the spectrum with what was chosen, and the
    predictions on the parts that `FourierExplainer.perturb` evaluated; below, FreqX's layers and WAM's scales.
    `pyplot` is not used, and matplotlib's settings are as before afterwards.

    Args:
        attribution: What to draw; it needs its example (not a compact save).
        path: Where to write the figure: PNG, SVG or PDF, by the ending. None only returns it.
        fraction: The fraction of features to show as chosen, 0 to 1; None for the least one of the curve whose top
            features alone keep the decision, or 0.04.

    Returns:
        The `matplotlib.figure.Figure`, 11 inches wide.

    Raises:
        InputError: If the path has another ending, the fraction is out of range, or the result is compact.
        MissingExtraError: If matplotlib is not installed.
    """
    shown = record_of(attribution).displayed_fraction if fraction is None else fraction
    return drawn(lambda figure: _fill(figure, attribution, shown), path)


def _fill(figure: Figure, attribution: Attribution, fraction: float) -> None:
    """Title, body by the kind of view, layers and scales where the method has them, and conclusion."""
    from hf_fourier.report.figures import audio, layers, style, wavelet_scales

    record = record_of(attribution)
    height, draw, titled = _body(attribution)
    head_lines = wording.header_lines(record, None if titled else fraction)
    head = "\n".join(textwrap.fill(line, 115) for line in head_lines)
    foot = textwrap.fill(wording.figure_conclusion(record, fraction, audio.remark(attribution)), 165)
    top, bottom = 0.15 + 0.2 * len(head.splitlines()), max(0.45, 0.13 + 0.16 * len(foot.splitlines()))
    extras = [(tall, part.draw) for part in (layers, wavelet_scales) if (tall := part.height(attribution))]
    deep = [tall for tall, _ in extras]
    arrange(figure, height + top + sum(deep) + bottom)
    upper, middle, *more, lower = style.stack(figure, [top, height, *deep, bottom])
    style.head(upper, head)
    draw(middle, attribution, fraction)
    for part, draw_part in zip(more, (draw for _, draw in extras), strict=True):
        draw_part(part, attribution)
    style.foot(lower, foot)


def _body(attribution: Attribution) -> tuple[float, Callable[[FigureBase, Attribution, float], None], bool]:
    """By the kind of view: the body's height in inches, what draws it, and whether answers stand above its parts."""
    from hf_fourier.report.figures import audio, genes, image, sequence, series, tokens, volume

    line = WIDTH - 0.4  # inches of a line of tokens
    if attribution.view.kind in ("none", "genes", "residues", "bases") and attribution.names:
        page = {"residue": sequence, "base": sequence, "gene": genes}.get(
            attribution.layout.signal.axes[0].name, tokens
        )
        return page.height(attribution, line), partial(page.draw, width=line), False
    known: dict[str, tuple[float, Callable[[FigureBase, Attribution, float], None], bool]] = {
        "image": (7.4, image.draw, True),
        "spectrogram": (7.4, audio.draw_spectrogram, True),
        "sound": (8.6, audio.draw_waveform, True),
        "volume": (10.2, volume.draw, True),
    }
    return known.get(attribution.view.kind, (6.6, series.draw, False))
