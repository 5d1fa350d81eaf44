"""How few features turn decisions: a reduction of played curves."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hf_fourier.errors import InputError
from hf_fourier.evaluation.metrics.base import Metric, MetricValues, register
from hf_fourier.evaluation.metrics.table import Table, curves_of
from hf_fourier.results.curve import Curve


def flipped(curves: Sequence[Curve]) -> dict[float, float]:
    """By share of top features that all curves deleted: the share of examples whose decision did not hold, 0 to 1.

    Where an example has several decisions, all of them have to hold; of a mask, all of its Dice.

    Args:
        curves: One per example, played.

    Raises:
        InputError: If there is no curve, or no share that all of them deleted.
    """
    if not curves:
        raise InputError("no curves", "at least one", "pass the `curve` of played results")
    shares = [stop.fraction for stop in curves[0].of("delete")]
    common = [share for share in shares if all(curve.find("delete", share) for curve in curves)]
    if not common:
        raise InputError("curves without a common share deleted", "results played on one grid", "play them")
    return {share: sum(curve.at("delete", share).agreement < 1 for curve in curves) / len(curves) for share in common}


def r_flip(curves: Sequence[Curve], q: float = 0.5) -> float | None:
    """The least share of top features whose deletion turns the decisions of a share `q` of the examples.

    It is as fine as the grid that was played, an upper bound: what lies between two shares was not asked. It says what
    turns a decision, not what the decision rested on. Deleting what a signed gradient ranks first (`freqx`,
    `gradient_input`) is a step down that gradient: on text it turns decisions at once, and for sure, as an attack does.
    On natural pictures the strongest frequencies alone (`magnitude`) turn them fast, too. So it is shown beside the
    controls, and beside what the kept features do.

    Args:
        curves: One per example, played.
        q: Share of examples, above 0 and up to 1.

    Returns:
        A share of features, 0 to 1; None if no share that was played turns so many.

    Raises:
        InputError: If `q` is out of range, or the curves have no share in common.
    """
    if not 0 < q <= 1:
        raise InputError(f"q {q!r}", "a share above 0 and up to 1", "correct `q`")
    return next((share for share, turned in flipped(curves).items() if turned >= q), None)


def _r_flip_from_table(table: Table, *, q: float = 0.5) -> MetricValues:
    curves = curves_of(table)
    shares = [share for share in flipped(curves) if share > 0]
    turned = {share: [float(curve.decisions("delete", [share])[0] < 1) for curve in curves] for share in shares}
    least = r_flip(curves, q)
    named = {f"flipped_at_{share:g}": values for share, values in turned.items()}
    return {"r_flip": math.nan if least is None else least, **named}


R_FLIP = register(
    Metric(
        name="r_flip",
        description=(
            "The least share of top features whose deletion turns the decisions of a share `q` of the examples."
        ),
        reads=("deleted", "deleted_decision"),
        range="0 to 1, NaN where no played share turns so many; `flipped_at_` a share is the share of turned decisions",
        better="lower",
        needs="play a grid that deletes some shares, such as `curve.PAPER_GRID`",
        limits=(
            "what the decision rested on: it says what turns it, and deleting what a signed gradient ranks first is a "
            "step down that gradient. It is an upper bound for the shares that were played. On natural pictures the "
            "strongest frequencies alone turn decisions as fast: compare with `magnitude`."
        ),
        reference="this library, for FreqX",
        per_example=_r_flip_from_table,
    )
)
