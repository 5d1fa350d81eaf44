"""The figure of an explained picture: what was seen, what is left of it, and which frequencies that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hf_fourier.report import wording
from hf_fourier.report.example_record import record_of
from hf_fourier.report.figures import mask_contours, panels, style
from hf_fourier.report.figures.feature_map import features

if TYPE_CHECKING:
    from matplotlib.figure import FigureBase

    from hf_fourier.results.attribution import Attribution


def draw(figure: FigureBase, attribution: Attribution, fraction: float) -> None:
    """Fill `figure`: three pictures above; the spectrum, choice by frequency and the curve below.

    Where a mask was explained, the model's mask of each picture is outlined on it.
    """
    above, below = style.stack(figure, [1.12, 1.0])
    masks = mask_contours.predicted(attribution, fraction)
    classes = mask_contours.classes_of(masks[0])
    titles = wording.panel_titles(record_of(attribution), fraction)
    for i, (image, text) in enumerate(zip(panels.renders(attribution, fraction), titles, strict=True)):
        axes = above.add_subplot(1, 3, i + 1)
        panels.show_image(axes, image, text)
        size = np.asarray(image).shape[:2]
        mask_contours.trace(axes, masks[i], size, f"mask-{i}", classes)
        if i and masks[i] is not None:
            mask_contours.trace(axes, masks[0], size, f"clean-mask-{i}", classes, dashed=True)
    text = "Where the features lie:\npower in grey, top features in yellow"
    if attribution.layout.with_role("frequency"):
        text = "Power: grey; top features in any channel: yellow\n(middle: coarse shapes, edge: fine detail)"
    flat = features(attribution, attribution.mask(fraction).numpy())
    panels.features(below, attribution, fraction, flat, text)
