"""The figure of an explained volume: slices with the model's mask, whole, kept and removed, and the spectrum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hf_fourier.report import wording
from hf_fourier.report.example_record import record_of
from hf_fourier.report.figures import mask_contours, panels, style
from hf_fourier.report.figures.feature_map import features

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

    from hf_fourier.results.attribution import Attribution

    Array = np.ndarray[Any, np.dtype[Any]]


def draw(figure: FigureBase, attribution: Attribution, fraction: float) -> None:
    """Fill `figure`: whole, kept and removed side by side, in one large slice and two across it; below the spectrum."""
    volumes = [one if one.ndim == 3 else one[0] for one in panels.renders(attribution, fraction)]
    masks = mask_contours.predicted(attribution, fraction)
    places = middles(masks[0], volumes[0].shape)
    first = _largest(masks[0], volumes[0].shape)
    above, below = style.stack(figure, [2.0, 1.0])
    grid = above.add_gridspec(2, 6, height_ratios=[2.1, 1])
    names = [axis.name for axis in attribution.layout.signal.axes if not axis.channel]
    rest = [axis for axis in range(3) if axis != first]
    for i, text in enumerate(wording.panel_titles(record_of(attribution), fraction, "The volume")):
        large = above.add_subplot(grid[0, 2 * i : 2 * i + 2])
        small = [above.add_subplot(grid[1, 2 * i + j]) for j in (0, 1)]
        for axes, axis in zip((large, *small), (first, *rest), strict=True):
            where = f"{names[axis]} {places[axis] + 1} of {volumes[0].shape[axis]}"
            _slice(axes, volumes[i], axis, places[axis], text if axis == first else where, volumes[0])
            _masks(axes, masks, i, axis, places[axis], volumes[0].shape)
            if axis == first:
                style.label(axes, x=f"{where}; {names[rest[0]]} to the right, {names[rest[1]]} upwards")
    _features(below, attribution, fraction, names[first])


def _slice(axes: Axes, volume: Array, axis: int, place: int, text: str, clean: Array) -> None:
    """One slice in grey, with the clean volume's contrast around the volume's own middle grey.

    The first of its two axes runs to the right and the second upwards, as a volume in canonical orientation (from
    left to right, back to front, bottom to top) is looked at.
    """
    low, high = np.percentile(clean, [1, 99.5])
    shift = float(np.median(volume) - np.median(clean))
    pixels = np.take(volume, place, axis=axis)
    axes.imshow(pixels.T, cmap="gray", vmin=low + shift, vmax=max(high, low + 1e-6) + shift, interpolation="nearest",
                gid=f"slice-{axis}")  # fmt: skip
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    style.label(axes, text)


def _masks(axes: Axes, masks: list[Array | None], which: int, axis: int, place: int, shape: tuple[int, ...]) -> None:
    """The mask of this part, and under it the clean one, dashed."""
    size = tuple(length for i, length in enumerate(shape) if i != axis)
    for i in sorted({0, which}):
        mask = masks[i]
        if mask is not None and masks[which] is not None:
            cut = np.take(mask, min(mask.shape[axis] - 1, place * mask.shape[axis] // shape[axis]), axis=axis)
            name = f"mask-{which}-{axis}" if i == which else f"clean-mask-{which}-{axis}"
            mask_contours.trace(axes, cut.T, size[::-1], name, mask_contours.classes_of(masks[0]), dashed=i != which)
    axes.set_ylim(-0.5, size[1] - 0.5)


def middles(mask: Array | None, shape: tuple[int, ...]) -> list[int]:
    """Along each axis the slice with the largest mask; without one, the middle."""
    if mask is None or not (mask > 0).any():
        return [length // 2 for length in shape]
    inside = mask > 0
    areas = [inside.sum(axis=tuple(j for j in range(3) if j != i)) for i in range(3)]
    return [int(area.argmax()) * length // len(area) for area, length in zip(areas, shape, strict=True)]


def _largest(mask: Array | None, shape: tuple[int, ...]) -> int:
    """The axis across which a slice shows most of the mask."""
    if mask is None or not (mask > 0).any():
        return 0
    inside = mask > 0
    return int(np.argmax([inside.sum(axis=tuple(j for j in range(3) if j != i)).max() for i in range(3)]))


def _features(figure: FigureBase, attribution: Attribution, fraction: float, across: str) -> None:
    """A central slice of the spectrum, choice by frequency, and the model's predictions."""
    three = len(attribution.layout.with_role("frequency")) == 3
    text = "Power in grey, top features in yellow" + (f"\n(those that are constant along {across})" if three else "")
    flat = features(attribution, attribution.mask(fraction).numpy(), across if three else None)
    panels.features(figure, attribution, fraction, flat.turned() if flat else None, text, upward=True)
