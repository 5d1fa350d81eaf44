"""Which decisions survive on few features. All are reductions of played curves and ask no model."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hf_fourier.evaluation.metrics.statistics import Summary, summarise
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
