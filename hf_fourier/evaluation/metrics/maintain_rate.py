"""Which decisions survive on few features. All are reductions of played curves and ask no model."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hf_fourier.errors import InputError
from hf_fourier.evaluation.metrics.base import Metric, MetricValues, register
from hf_fourier.evaluation.metrics.statistics import Summary, summarise
from hf_fourier.evaluation.metrics.table import Table, curves_of
from hf_fourier.results.curve import Curve, common_fractions, maintained


def maintain_rate(
    curves: Sequence[Curve], share: float, least: float = 1.0, groups: Sequence[str | None] | None = None
) -> Summary:
    """The maintain rate: the share of examples whose decision survives; its mean is from 0 to 1, higher is better.

    arXiv 2411.18343, where it is counted by deleted shares. Arguments as for `maintained`, for many examples; `groups`
    are their groups.
    """
    return summarise([maintained(curve, share, least) for curve in curves], groups)


def least_kept_fraction(curves: Sequence[Curve], rate: float = 0.8, least: float = 1.0) -> float:
    """The least played share whose top features keep the decisions of a share `rate` of the examples.

    A decision that is kept is not monotone in the share: a smaller share between those that were played may do as well,
    and a larger one may not. This is an upper bound for the grid that was played, and no more.

    Args:
        curves: Played by keeping the same shares.
        rate: Share of examples, 0 to 1.
        least: As for `maintained`.

    Returns:
        A share from 0 to 1; NaN where none does.
    """
    for share in common_fractions(curves):
        if math.fsum(maintained(curve, share, least) for curve in curves) >= rate * len(curves) - 1e-9:
            return share
    return math.nan


def _maintain_rate_from_table(
    table: Table, *, shares: Sequence[float] | None = None, rate: float = 0.8, least: float = 1.0
) -> MetricValues:
    curves = curves_of(table)
    chosen = common_fractions(curves) if shares is None else list(shares)
    inner = [share for share in chosen if 0 < share < 1 or shares is not None]
    if not inner:
        raise InputError("curves without a kept share in common", "at least one between 0 and 1", "play one grid")
    by_share = {share: [maintained(curve, share, least) for curve in curves] for share in inner}
    mean = [math.fsum(row) / len(row) for row in zip(*by_share.values(), strict=True)]
    named = {f"maintain_rate_at_{share:g}": values for share, values in by_share.items()}
    return {"maintain_rate": mean, **named, "least_kept": least_kept_fraction(curves, rate, least)}


MAINTAIN_RATE = register(
    Metric(
        name="maintain_rate",
        description="The share of decisions that survive when the top features alone are kept, at each played share.",
        reads=("kept", "kept_decision"),
        range="0 to 1; `maintain_rate` is the mean over the kept shares, `least_kept` a share of the features",
        better="higher",
        needs="play a grid that keeps some shares, such as `curve.DEFAULT_GRID`",
        limits=(
            "that a smaller share would not do: a kept decision is not monotone, so `least_kept` is an upper bound for "
            "the shares that were played. Nor that the features are evidence: a ranking asked for a wrong label may do "
            "as well (see `selectivity`)."
        ),
        reference="arXiv 2411.18343",
        per_example=_maintain_rate_from_table,
    )
)
