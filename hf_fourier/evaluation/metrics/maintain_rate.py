"""Which decisions survive on few features. All are reductions of played curves and ask no model."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from hf_fourier.errors import InputError
from hf_fourier.evaluation.metrics.statistics import Summary, summarise
from hf_fourier.results.curve import Curve
from hf_fourier.scoring.perturbation import SMALL, TENTHS


def maintained(curve: Curve, share: float, least: float = 1.0) -> float:
    """Whether the decision survives when the top features alone are kept: 1 or 0.

    Args:
        curve: One example's, played by keeping `share`.
        share: Kept share of the features, 0 to 1.
        least: From which share of the example's decisions on it counts as kept: 1 for all of them; for a mask the
            least Dice.

    Raises:
        InputError: If the share was not played.
    """
    return float(curve.decisions("keep", [share])[0] >= least)


def maintain_rate(
    curves: Sequence[Curve], share: float, least: float = 1.0, groups: Sequence[str | None] | None = None
) -> Summary:
    """The maintain rate: the share of examples whose decision survives; its mean is from 0 to 1, higher is better.

    arXiv 2411.18343, where it is counted by deleted shares. Arguments as for `maintained`, for many examples; `groups`
    are their sources.
    """
    return summarise([maintained(curve, share, least) for curve in curves], groups)


def least_kept(curves: Sequence[Curve], rate: float = 0.8, least: float = 1.0) -> float:
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
    for share in kept_by_all(curves):
        if math.fsum(maintained(curve, share, least) for curve in curves) >= rate * len(curves) - 1e-9:
            return share
    return math.nan


def kept_by_all(curves: Sequence[Curve]) -> list[float]:
    """The shares that were kept in every curve, in growing order."""
    if not curves:
        return []
    first = [stop.asked for stop in curves[0].of("keep")]
    return [share for share in first if all(curve.found("keep", share) is not None for curve in curves)]


def dice_retention(curve: Curve, shares: Sequence[float] = TENTHS, *, paper: bool = False) -> float:
    """How much of the predicted mask the kept features keep: the mean over kept shares of the Dice with the clean mask.

    By the trapezoid, divided by the shares' width; from 0 to 1, higher is better; two empty masks have a Dice of 1.

    Args:
        curve: One mask's, played by keeping these shares.
        shares: Kept shares, in growing order.
        paper: The plain sum over these shares instead (arXiv 2411.18343 takes 0.05, 0.1, …, 1: at most 20).

    Raises:
        InputError: If a share was not played.
    """
    kept = curve.decisions("keep", shares)
    if paper:
        return math.fsum(kept)
    return float(np.trapezoid(kept, list(shares))) / (shares[-1] - shares[0])


def input_fidelity(curve: Curve, share: float = 0.5) -> float:
    """Whether the kept part alone is decided like the whole: 1 or 0; the mean over examples is the metric.

    Paissan et al. (PIQ), as the code of WAM (arXiv 2410.01482) takes it, at half of the features. Higher is better.
    Arguments and errors as for `maintained`.
    """
    return maintained(curve, share)


def faithfulness_of_spectra(curve: Curve, share: float = 0.5) -> float:
    """The confidence that is lost with the top features: `p(x) − p(x without them)`; higher is better.

    Parekh et al. 2022 (Listen to Interpret), who report the median over examples; at half of the features as in the
    code of WAM (arXiv 2410.01482). From −1 to 1.

    Args:
        curve: One example's, played by deleting `share`.
        share: Deleted share of the features, 0 to 1.

    Raises:
        InputError: If the share was not played, or the head has no confidence.
    """
    whole, without = curve.confidences("delete", [0, share])
    return whole - without


def reached(curves: Sequence[Curve], share: float) -> float:
    """The share of wrong labels that the model says when their own rankings' top features alone are kept, 0 to 1."""
    return math.fsum(maintained(curve, share) for curve in curves) / len(curves)


def selectivity_at(own: Curve, wrong: Sequence[Curve], share: float) -> float:
    """Own decision kept minus wrong labels reached, at one kept share; from −1 to 1, higher is better. Ours.

    Args:
        own: One example's curve for its own label.
        wrong: Its curves for one or more wrong labels, each from the same method asked for that label.
        share: Kept share of the features, 0 to 1.

    Raises:
        InputError: If the share was not played.
    """
    return maintained(own, share) - reached(wrong, share)


def selectivity(own: Curve, wrong: Sequence[Curve], shares: Sequence[float] = SMALL) -> float:
    """The area of `selectivity_at` over log r, divided by the grid's width; from −1 to 1, higher is better. Ours.

    Args:
        own: As for `selectivity_at`.
        wrong: As for `selectivity_at`.
        shares: Kept shares above 0, at least two, in growing order.

    Raises:
        InputError: If a share was not played.
    """
    return log_area([selectivity_at(own, wrong, share) for share in shares], shares)


def log_area(heights: Sequence[float], shares: Sequence[float]) -> float:
    """The mean height over log r, by the trapezoid.

    Args:
        heights: One per share.
        shares: At least two shares above 0, in growing order.

    Raises:
        InputError: If there are fewer shares, or one is 0.
    """
    if len(shares) < 2 or min(shares) <= 0:
        raise InputError(f"shares {list(shares)}", "at least two, all above 0", "choose others")
    places = np.log(list(shares))
    return float(np.trapezoid(heights, places) / (places[-1] - places[0]))
