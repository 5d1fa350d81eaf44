"""Masks on pictures: which the model predicted of the whole, of the kept part and of what is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hf_fourier.report.example_record import record_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hf_fourier.results.attribution import Attribution

    Array = np.ndarray[Any, np.dtype[Any]]

COLOURS = ("#ffd21f", "#35c9c1", "#ff6f91", "#8fd14f", "#b79cff", "#ff9f43")
MOST = len(COLOURS)


def predicted(attribution: Attribution, fraction: float) -> list[Array | None]:
    """The clean mask, that of the kept part and that of what is left; None where there is none or it is not known.

    Places hold their class where it counts for the clean mask's classes, and −1 elsewhere.
    """
    if not record_of(attribution).is_mask or attribution.frozen_target is None:
        return [None, None, None]
    clean = attribution.frozen_target.numpy()
    classes = classes_of(clean)
    masks: list[Array | None] = [clean]
    for part in ("keep", "delete"):
        stored = attribution.extras.get(f"mask {part} {fraction:g}")
        mask = None if stored is None else np.asarray(stored)
        masks.append(None if mask is None else np.where(np.isin(mask, classes), mask, -1))
    return masks


def classes_of(clean: Array | None) -> Array:
    """The classes of a clean mask, the largest first."""
    if clean is None:
        return np.zeros(0, dtype=int)
    classes, counts = np.unique(clean[clean >= 0], return_counts=True)
    return np.asarray(classes[np.argsort(-counts, kind="stable")])


def trace(
    axes: Axes, mask: Array | None, size: tuple[int, ...], name: str, classes: Array, dashed: bool = False
) -> None:
    """The outlines of a mask's classes over a picture of `size`, each class in a colour of its own.

    Args:
        axes: Where the picture lies, its first pixel's middle at (0, 0).
        mask: A class per place, −1 where none counts; in any resolution. None draws nothing.
        size: Height and width of the picture.
        name: What the outlines' gids begin with; the class ends them.
        classes: Those that the clean mask has, in the order of their colours.
        dashed: Thin and dashed, for comparison.
    """
    if mask is None:
        return
    (height, width), (rows, columns) = size, mask.shape
    y = (np.arange(-1, rows + 1) + 0.5) * height / rows - 0.5
    x = (np.arange(-1, columns + 1) + 0.5) * width / columns - 0.5
    for rank, one in enumerate(classes[:MOST]):
        inside = np.pad((mask == one).astype(float), 1)
        if not inside.any():
            continue
        look: Any = {"colors": "white", "linewidths": 0.8, "linestyles": "--"} if dashed else \
            {"colors": COLOURS[rank], "linewidths": 1.4}  # fmt: skip
        axes.contour(x, y, inside, levels=[0.5], **look).set_gid(f"{name}-{one}")
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(height - 0.5, -0.5)
