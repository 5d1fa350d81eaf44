"""R-flip: the least fraction of top features whose deletion changes predictions."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hf_fourier.errors import InputError
from hf_fourier.evaluation.metrics.base import Metric, MetricValues, register
from hf_fourier.evaluation.metrics.table import Table, curves_of
from hf_fourier.results.curve import SAME_FRACTIONS, Curve, common_replacement


def flipped(curves: Sequence[Curve]) -> dict[float, float]:
    """By fraction of top features that all curves delete: the fraction of examples whose prediction changes, 0 to 1.

    Where an example has several predictions, one that changes is enough; of a mask, a Dice below 1.

    Args:
        curves: One per example.

    Raises:
        InputError: If there is no curve, or no fraction that all of them delete, or they differ in what stood in the
            place of deleted features.
    """
    if not curves:
        raise InputError("no curves", "at least one", "pass the `curve` of perturbed results")
    common_replacement(curves)
    fractions = [point.fraction for point in curves[0].of("delete")]
    common = [fraction for fraction in fractions if all(curve.find("delete", fraction) for curve in curves)]
    if not common:
        raise InputError("curves without a deleted fraction in common", "at least one", SAME_FRACTIONS)
    return {
        fraction: sum(curve.at("delete", fraction).agreement < 1 for curve in curves) / len(curves)
        for fraction in common
    }


def r_flip(curves: Sequence[Curve], q: float = 0.5) -> float | None:
    """The least fraction of top features whose deletion changes the predictions of a fraction `q` of the examples.

    It is an upper bound: only the fractions of the curve are evaluated. It shows what changes a
    prediction, not what the prediction rested on. Deleting what a signed gradient ranks first (`freqx`,
    `gradient_input`) is a step down that gradient: on text it changes predictions at once, as an attack does. On
    natural images the strongest frequencies alone (`magnitude`) change them fast, too. Compare with the controls, and
    with what the kept features do.

    Args:
        curves: One per example.
        q: Fraction of examples, above 0 and up to 1.

    Returns:
        A fraction of features, 0 to 1; None if no fraction of the curve changes so many.

    Raises:
        InputError: If `q` is out of range, or the curves have no fraction in common.
    """
    if not 0 < q <= 1:
        raise InputError(f"q {q!r}", "a fraction above 0 and up to 1", "correct `q`")
    return next((fraction for fraction, rate in flipped(curves).items() if rate >= q), None)


def _r_flip_from_table(table: Table, *, q: float = 0.5) -> MetricValues:
    curves = curves_of(table)
    fractions = [fraction for fraction in flipped(curves) if fraction > 0]
    changed = {
        fraction: [float(curve.decisions("delete", [fraction])[0] < 1) for curve in curves] for fraction in fractions
    }
    least = r_flip(curves, q)
    named = {f"flipped_at_{fraction:g}": values for fraction, values in changed.items()}
    return {"r_flip": math.nan if least is None else least, **named}


R_FLIP = register(
    Metric(
        name="r_flip",
        description=(
            "The least fraction of top features whose deletion changes the predictions of a fraction `q` of the "
            "examples."
        ),
        reads=("deleted", "deleted_decision"),
        range=(
            "0 to 1, NaN where no fraction changes so many; `flipped_at_` a fraction is the fraction of changed "
            "predictions"
        ),
        better="lower",
        reversed=("flipped_at_",),
        needs="perturb with some deleted fractions, such as those of `metrics.PAPER_GRID`",
        limits=(
            "It shows what changes the prediction, not what it depended on: deleting what a signed gradient ranks "
            "first is a step down that gradient. It is an upper bound: only the fractions of the curve are "
            "tried. On natural images, deleting the strongest frequencies changes predictions as fast; compare with "
            "`magnitude`."
        ),
        reference="this library, for FreqX",
        per_example=_r_flip_from_table,
    )
)
