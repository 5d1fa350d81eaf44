"""The figure of anything that is neither a picture nor a text: its spectrum and where the chosen features act."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hf_fourier.report.example_record import record_of
from hf_fourier.report.figures import panels
from hf_fourier.report.figures.feature_map import features

if TYPE_CHECKING:
    from matplotlib.figure import FigureBase

    from hf_fourier.results.attribution import Attribution


def draw(figure: FigureBase, attribution: Attribution, fraction: float) -> None:
    """Fill `figure`: the relevance above; below it the spectrum and the model's predictions."""
    flat = features(attribution, attribution.mask(fraction).numpy())
    grid = figure.add_gridspec(4, 3)
    panels.relevance(figure.add_subplot(grid[:2, :]), attribution, fraction)
    panels.features(
        figure, attribution, fraction, flat, "Power in grey,\ntop features in yellow", grid=grid, row=2,
        power_text=f"Power of the {record_of(attribution).noun},\nand the fraction in the top",
    )  # fmt: skip
