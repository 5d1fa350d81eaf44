"""The figure of WAM's scales: how much each is worth, and where it speaks for the decision or against it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hf_fourier.report.figures import style

if TYPE_CHECKING:
    from matplotlib.figure import FigureBase

    from hf_fourier.results.attribution import Attribution

    Array = np.ndarray[Any, np.dtype[Any]]

TALL = 2.9  # inches


def height(attribution: Attribution) -> float:
    """Inches that the scales take; 0 where the method has no maps of them."""
    return TALL if {"scale_maps", "scale_importance"} <= set(attribution.extras) else 0.0


def maps(attribution: Attribution) -> tuple[Array, list[str], list[str]]:
    """A map of two dimensions per scale (one row where the signal has one axis), their names, and what each is worth.

    Further axes in front are summed.
    """
    found = np.asarray(attribution.extras["scale_maps"], dtype=float)
    importance = np.asarray(attribution.extras["scale_importance"], dtype=float)
    while found.ndim > 3:
        found = found.sum(axis=1)
    found = found[:, None] if found.ndim == 2 else found
    total = float(importance.sum()) or 1.0
    return found, names(len(found)), [f"{100 * value / total:.3g} % of all importance" for value in importance]


def names(count: int) -> list[str]:
    """Of a wavelet's scales, the smooth part first, then from coarse to fine."""
    return ["smooth part", *(f"details {2**level} entries wide" for level in range(count - 1, 0, -1))]


def draw(figure: FigureBase, attribution: Attribution) -> None:
    """Fill `figure`: the scales side by side, or of one axis one below the other, on one colour scale."""
    found, titles, worth = maps(attribution)
    top = float(np.abs(found).max(initial=0.0)) or 1.0
    flat = found.shape[1] == 1
    grid = np.atleast_1d(figure.subplots(*((len(found), 1) if flat else (1, len(found))), sharex=flat)).ravel()
    for i, (axes, values) in enumerate(zip(grid, found, strict=True)):
        # The strongest places of each stay visible where a map is small on paper.
        image = axes.imshow(values, cmap=style.diverging(), vmin=-top, vmax=top, interpolation="nearest",
                            aspect="auto" if flat else "equal", gid=f"scale-{i}")  # fmt: skip
        axes.set_yticks([])
        if not flat:
            axes.set_xticks([])
        style.label(axes, f"{titles[i]}: {worth[i]}" if flat else f"{titles[i]}:\n{worth[i]}")
    bar = figure.colorbar(image, ax=list(grid), pad=0.01, aspect=20)
    bar.set_label("orange: for, blue: against")
