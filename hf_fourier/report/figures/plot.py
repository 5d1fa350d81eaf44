"""One figure per explanation, from the result alone: what a person needs to see and what may be concluded."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_fourier.errors import InputError, MissingExtraError
from hf_fourier.report import wording
from hf_fourier.report.figures.fonts import plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure, FigureBase

    from hf_fourier.results.attribution import Attribution

WIDTH = 11.0  # inches
FORMATS = (".png", ".svg", ".pdf")
STYLE: dict[str, Any] = {
    "font.size": 9.0,
    "font.family": ["DejaVu Sans"],
    "axes.titlesize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "lines.linewidth": 1.6,
    "lines.markersize": 5.0,
    "text.usetex": False,
}


def plot(attribution: Attribution, path: str | PathLike[str] | None = None, fraction: float | None = None) -> Figure:
    """Draw an explanation.

    A picture, a volume, a spectrogram and a waveform are shown whole, rebuilt from their top frequencies, and without
    them, with the model's masks where it draws some; a text by its tokens, a protein by its residues, a cell by its
    strongest genes; anything else by its relevance. Beside it stand the spectrum with what was chosen, and what the
    model says to each part as far as `FourierExplainer.play` has asked it; below, FreqX's layers and WAM's scales.
    `pyplot` is not used, and matplotlib's settings are as before afterwards.

    Args:
        attribution: What to draw; it needs its example (not a compact save).
        path: Where to write the figure: PNG, SVG or PDF, by the ending. None only returns it.
        fraction: The share of features to show as chosen, 0 to 1; None for the least played share whose top features
            alone keep the decision, or 0.04.

    Returns:
        The `matplotlib.figure.Figure`, 11 inches wide.

    Raises:
        InputError: If the path has another ending, the fraction is out of range, or the result is compact.
        MissingExtraError: If matplotlib is not installed.
    """
    share = wording.shown_fraction(attribution) if fraction is None else fraction
    return drawn(lambda figure: _fill(figure, attribution, share), path)


def drawn(fill: Callable[[Figure], None], path: str | PathLike[str] | None = None) -> Figure:
    """A figure in the looks of this package, filled and, with a path, written.

    Raises:
        InputError: If the path has another ending than `FORMATS`.
        MissingExtraError: If matplotlib is not installed.
    """
    target = None if path is None else _checked(Path(path))
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", "report", "figures") from error
    with rc_context(looks()):
        figure = Figure(dpi=130, facecolor="white")
        fill(figure)
        if target is not None:
            write(figure, target)
    return figure


def looks() -> Any:
    """Matplotlib's own settings of how things look, so that a user's style sheet does not take a figure apart."""
    from matplotlib import rcParamsDefault as defaults

    groups = ("axes", "figure", "font", "hatch", "image", "legend", "lines", "patch", "path", "savefig", "svg", "text",
              "xtick", "ytick")  # fmt: skip
    return {name: value for name, value in defaults.items() if name.partition(".")[0] in groups} | STYLE


def _fill(figure: Figure, attribution: Attribution, fraction: float) -> None:
    """Title, body by the kind of view, layers where the method tells of them, and conclusion."""
    from hf_fourier.report.figures import layers, panels, wavelet_scales

    height, draw, titled = _body(attribution)
    head_lines = wording.headline(attribution, None if titled else fraction)
    head = "\n".join(textwrap.fill(line, 115) for line in head_lines)
    foot = textwrap.fill(wording.conclusion(attribution, fraction), 165)
    top, bottom = 0.15 + 0.2 * len(head.splitlines()), max(0.45, 0.13 + 0.16 * len(foot.splitlines()))
    told = [(part.height(attribution), part.draw) for part in (layers, wavelet_scales)]
    deep = [tall for tall, _ in told if tall]
    figure.set_size_inches(WIDTH, height + top + sum(deep) + bottom)
    figure.set_layout_engine("constrained")
    upper, middle, *more, lower = panels.rows(figure, [top, height, *deep, bottom])
    upper.text(0.012, 0.5, head, ha="left", va="center", size=11, gid="headline", **plain(head))
    draw(middle, attribution, fraction)
    for part, draw_part in zip(more, (own for tall, own in told if tall), strict=True):
        draw_part(part, attribution)
    lower.text(0.012, 0.55, foot, ha="left", va="center", size=9, style="italic", gid="conclusion", **plain(foot))


def _body(attribution: Attribution) -> tuple[float, Callable[[FigureBase, Attribution, float], None], bool]:
    """By the kind of view: the body's height in inches, what draws it, and whether answers stand above its parts."""
    from hf_fourier.report.figures import audio, genes, image, sequence, series, tokens, volume

    line = WIDTH - 0.4  # inches of a line of tokens
    if attribution.view.kind in ("none", "genes", "bases") and attribution.names:
        page = {"residue": sequence, "base": sequence, "gene": genes}.get(attribution.layout.leaf.axes[0].name, tokens)
        return page.height(attribution, line), partial(page.draw, width=line), False
    known: dict[str, tuple[float, Callable[[FigureBase, Attribution, float], None], bool]] = {
        "image": (7.4, image.draw, True),
        "spectrogram": (7.4, audio.draw_spectrogram, True),
        "sound": (8.6, audio.draw_waveform, True),
        "volume": (10.2, volume.draw, True),
    }
    return known.get(attribution.view.kind, (6.6, series.draw, False))


def _checked(path: Path) -> Path:
    if path.suffix.lower() not in FORMATS:
        raise InputError(
            f"the figure's path {path.name!r}",
            f"one that ends in {', '.join(FORMATS)}",
            "choose the format by the ending",
        )
    return path


def write(figure: Figure, path: Path) -> None:
    """Write the file without the time of day in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dates = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}, ".png": None}
    figure.savefig(path, format=path.suffix.lower()[1:], metadata=dates[path.suffix.lower()])
