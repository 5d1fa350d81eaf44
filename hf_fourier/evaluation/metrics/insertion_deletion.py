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
            "The area under the confidence as the most important features are put back into an example without power."
        ),
        reads=(*KEEP_COLUMNS, "clean"),
        range="0 to 1",
        better="higher",
        needs="perturb with `metrics.PAPER_GRID`: 19 forward passes per example",
        limits=(
            "how far a small area is the ranking's fault: it is bounded by the clean confidence. An input that is "
            "partly put back is none of the kind that the model was trained on. On the tenths a true ranking and the "
            "magnitude have one area, where a model's decisive features are planted."
        ),
        reference="Petsiuk et al. 2018, arXiv 1806.07421, with a substrate without power",
        per_example=of_curves(insertion),
    )
)


DELETION = register(
    Metric(
        name="deletion",
        description="The area under the confidence as the most important features lose their power.",
        reads=(*DELETE_COLUMNS, "clean"),
        range="0 to 1",
        better="lower",
        needs="perturb with `metrics.PAPER_GRID`: 19 forward passes per example",
        limits=(
            "whether the features were needed or the damaged input is merely out of distribution: most rankings of "
            "strong features reach the floor at once, and a true one no sooner than the magnitude, where a model's "
            "decisive features are planted."
        ),
        reference="Petsiuk et al. 2018, arXiv 1806.07421, with a substrate without power",
        per_example=of_curves(deletion),
    )
)
