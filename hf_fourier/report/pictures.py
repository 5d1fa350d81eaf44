"""The figure of an explained picture: what was seen, what is left of it, and which frequencies that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hf_fourier.report import captions, panels
from hf_fourier.report.spectra import plane, profile

if TYPE_CHECKING:
    from matplotlib.figure import FigureBase

    from hf_fourier.attribution import Attribution

LABEL = 24  # characters of a label above a picture


def draw(figure: FigureBase, attribution: Attribution, fraction: float) -> None:
    """Fill `figure`: three pictures above; the spectrum, the shares by frequency and the curve below."""
    kind, share = captions.noun(attribution), captions.share(fraction)
    above, below = panels.rows(figure, [1.12, 1.0])
    original, kept, deleted = (above.add_subplot(1, 3, i) for i in (1, 2, 3))
    whose = "not the model's decision" if captions.contested(attribution) else "the model's decision"
    clean = captions.clean_answer(attribution, LABEL)
    panels.picture(original, attribution.original(), f"The input\n{clean}\n{whose}")
    parts = (
        (kept, "keep", f"The top {share} of {kind} alone"),
        (deleted, "delete", f"All but the top {share}"),
    )
    for axes, part, text in parts:
        stop = captions.stop_at(attribution, part, fraction)  # type: ignore[arg-type]
        image = attribution.rebuild(fraction, delete=part == "delete")
        panels.picture(axes, image, f"{text}\n{captions.answer(attribution, stop, LABEL)}")
    _features(below, attribution, fraction)


def _features(figure: FigureBase, attribution: Attribution, fraction: float) -> None:
    """The spectrum (for features without frequency their map), the shares by frequency and the model's answers."""
    mask = attribution.mask(fraction).numpy()
    flat, line = plane(attribution, mask), profile(attribution, mask)
    has_frequencies = bool(attribution.layout.with_role("frequency"))
    grid = figure.add_gridspec(2, 3)
    if flat is not None:
        text = "Power: grey, chosen in any channel: yellow\n(middle: coarse shapes, edge: fine detail)"
        text = text if has_frequencies else "Where the features lie:\npower in grey, chosen in yellow"
        panels.spectrum(figure.add_subplot(grid[:, 0]), flat, text)
    if line is not None:
        wide = slice(0, 2) if flat is None else slice(1, 2)
        upper = figure.add_subplot(grid[0, wide])
        panels.power(upper, line)
        text = "Power and choice by frequency\n(left: coarse shapes, right: fine detail)"
        panels.title(upper, text if has_frequencies else "Power and choice")
        panels.chosen(figure.add_subplot(grid[1, wide], sharex=upper), line)
        upper.tick_params(labelbottom=False)
    panels.model(figure.add_subplot(grid[:, 2]), attribution, fraction)
