"""Insertion and deletion: areas under perturbation curves."""

from __future__ import annotations

from collections.abc import Sequence

from hf_fourier.evaluation.metrics.base import Metric, of_curves, register
from hf_fourier.evaluation.metrics.table import DELETE_COLUMNS, KEEP_COLUMNS
from hf_fourier.results.curve import TENTHS, Curve, trapezoid


def insertion(curve: Curve, fractions: Sequence[float] = TENTHS) -> float:
    """The area under the confidence as the most important features are put back first; higher is better.

    The substrate is the example with no power in any feature (Petsiuk et al. 2018, arXiv 1806.07421, whose substrate is
    a blurred image). From 0 to 1.

    Args:
        curve: One example's, perturbed by keeping these fractions.
        fractions: Kept fractions, in growing order.

    Raises:
        InputError: If the curve has no point at a fraction, or the head has no confidence.
    """
    return trapezoid(curve.confidences("keep", fractions), fractions)


def deletion(curve: Curve, fractions: Sequence[float] = TENTHS) -> float:
    """The area under the confidence as the most important features lose their power; lower is better; from 0 to 1.

    Petsiuk et al. 2018, arXiv 1806.07421. Arguments as for `insertion`, for deleted fractions.
    """
    return trapezoid(curve.confidences("delete", fractions), fractions)


INSERTION = register(
    Metric(
        name="insertion",
        description=(
            "The area under the curve of confidence as the most important features are inserted into a zero signal."
        ),
        reads=(*KEEP_COLUMNS, "clean"),
        range="0 to 1",
        better="higher",
        needs="perturb with `metrics.PAPER_GRID`: 19 forward passes per example",
        limits=(
            "The clean confidence bounds the area, so a small area need not be due to the ranking. The model was not "
            "trained on partial inputs. On a grid of tenths, the true ranking and the magnitude have the same area on "
            "planted models."
        ),
        reference="Petsiuk et al. 2018, arXiv 1806.07421, with zero as the substrate",
        per_example=of_curves(insertion),
    )
)


DELETION = register(
    Metric(
        name="deletion",
        description="The area under the curve of confidence as the most important features are deleted.",
        reads=(*DELETE_COLUMNS, "clean"),
        range="0 to 1",
        better="lower",
        needs="perturb with `metrics.PAPER_GRID`: 19 forward passes per example",
        limits=(
            "A drop can also come from an input that is out of distribution. Most rankings of strong features reach "
            "the floor at once, and on planted models the magnitude as soon as the true ranking."
        ),
        reference="Petsiuk et al. 2018, arXiv 1806.07421, with zero as the substrate",
        per_example=of_curves(deletion),
    )
)
