"""Sparseness, complexity and conciseness: how much an explanation holds, and how much of a kept part is made up."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from hf_fourier.errors import InputError
from hf_fourier.evaluation.metrics.base import Metric, MetricValues, of_columns, register
from hf_fourier.evaluation.metrics.table import KEEP_COLUMNS, Table, curves_of
from hf_fourier.results.curve import SAME

#: Confidences below this one count as this one, so that a ratio to them says something (ShearletX).
LEAST_CONFIDENCE = 0.05
_NEEDS = "make the table with `columns(results, content=True)`"


def sparseness(scores: Sequence[float] | np.ndarray) -> float:
    """The Gini index of the sizes of scores: 0 where all are alike, near 1 where one has it all; NaN where all are 0.

    Chalasani et al. 2020 (arXiv 1810.06583), as Quantus has it; SPS in L-MAC (arXiv 2403.13086).
    """
    sizes = np.sort(np.abs(np.asarray(scores, dtype=float)))
    count, total = len(sizes), float(sizes.sum())
    if total == 0:
        return math.nan
    return float(((2 * np.arange(1, count + 1) - count - 1) * sizes).sum() / (count * total))


def complexity(scores: Sequence[float] | np.ndarray) -> float:
    """The entropy of the shares of the sizes of scores, in nats: 0 where one has it all; NaN where all are 0.

    Bhatt et al. 2020 (arXiv 2005.00631); COMP in L-MAC (arXiv 2403.13086).
    """
    sizes = np.abs(np.asarray(scores, dtype=float))
    if not sizes.sum() > 0:  # all are 0, or one is NaN
        return math.nan
    shares = sizes[sizes > 0] / sizes.sum()
    return max(0.0, -float((shares * np.log(shares)).sum()))


def hallucination(picture: np.ndarray, part: np.ndarray, threshold: float = 0.1) -> float:
    """Edges of a kept part that are no edges of the picture, per edge of the picture; 0 is best.

    An edge is where the Sobel gradient of the mean over channels, in units of the picture's range, exceeds
    `threshold`; edges of the picture count within 3 × 3 pixels. After the hallucination score of ShearletX (arXiv
    2211.12857). Frequencies that are kept alone make such edges: they ring. Bring both into the units of the picture
    that people see: a processor's normalisation by channel changes which edges there are.

    Args:
        picture: Shape `(height, width)` or `(channels, height, width)`.
        part: What was kept of it, of the same shape, as `Attribution.keep_top` gives it.
        threshold: Above 0.

    Returns:
        NaN where the picture has no edge.

    Raises:
        InputError: If the shapes differ or are none of these.
    """
    arrays = [np.asarray(array, dtype=float) for array in (picture, part)]
    if arrays[0].shape != arrays[1].shape or arrays[0].ndim not in (2, 3):
        got = f"arrays of shapes {arrays[0].shape} and {arrays[1].shape}"
        raise InputError(got, "two of (height, width) or (channels, height, width)", "pass a picture and its part")
    grey, other = (array.mean(0) if array.ndim == 3 else array for array in arrays)
    size = float(grey.max() - grey.min()) or 1.0

    def edges(values: np.ndarray) -> np.ndarray:
        slopes = [ndimage.sobel(values / size, axis=axis, mode="nearest") / 4 for axis in (0, 1)]
        return np.asarray(np.hypot(*slopes) > threshold)

    clean = edges(grey)
    near = ndimage.binary_dilation(clean, np.ones((3, 3), dtype=bool))
    return float((edges(other) & ~near).sum() / clean.sum()) if clean.any() else math.nan


def _conciseness_from_table(table: Table, *, fraction: float = 0.04) -> MetricValues:
    values: dict[str, list[float]] = {"conciseness": [], "conciseness_in_signal": []}
    for row, curve in enumerate(curves_of(table)):
        (kept,) = curve.confidences("keep", [fraction])
        place = next(i for i, known in enumerate(table["kept"][row]) if abs(known - fraction) < SAME)
        ratio = kept / max(curve.clean, LEAST_CONFIDENCE)
        for name, column in zip(values, ("kept_l1", "kept_signal_l1"), strict=True):
            content = table[column][row][place]
            values[name].append(ratio / content if content > 0 else math.nan)
    return values


SPARSENESS = register(
    Metric(
        name="sparseness",
        description="The Gini index of the absolute scores.",
        reads=("scores",),
        range="0 to 1",
        better="neither",
        needs=_NEEDS,
        limits="A sparse explanation need not be correct: the magnitudes of most inputs are sparse",
        reference="Chalasani et al. 2020 (arXiv 1810.06583); SPS in L-MAC (arXiv 2403.13086)",
        per_example=of_columns(sparseness, "scores"),
    )
)


COMPLEXITY = register(
    Metric(
        name="complexity",
        description="The entropy of the normalised absolute scores, in nats.",
        reads=("scores",),
        range="0 and above",
        better="neither",
        needs=_NEEDS,
        limits="A simple explanation need not be correct; the value grows with the number of features",
        reference="Bhatt et al. 2020 (arXiv 2005.00631); COMP in L-MAC (arXiv 2403.13086)",
        per_example=of_columns(complexity, "scores"),
    )
)


CONCISENESS = register(
    Metric(
        name="conciseness",
        description="The relative confidence on the top features alone, divided by their share of the ℓ1 norm.",
        reads=(*KEEP_COLUMNS, "clean", "kept_l1", "kept_signal_l1"),
        range="0 and above",
        better="higher",
        needs=(
            "perturb with replacement='zero' and with 0.04 (or the `fraction` that you pass) among the kept fractions; "
            f"{_NEEDS}"
        ),
        limits=(
            "The ratio has no upper bound, so a few examples determine the mean; read the median. It rewards weak "
            "features that suffice, which a method can find without their being evidence."
        ),
        reference=(
            "the conciseness-preciseness scores of ShearletX (arXiv 2211.12857), by the ℓ1 norm of the coefficients, "
            "and with that of the signal as `conciseness_in_signal`; clean confidences below 0.05 count as 0.05"
        ),
        per_example=_conciseness_from_table,
    )
)
