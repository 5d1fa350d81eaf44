"""Localisation: whether an explanation points at the features that are known to decide."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from hf_fourier.errors import InputError
from hf_fourier.evaluation.metrics.base import Metric, of_columns, register

Indices = Sequence[int] | np.ndarray
_NEEDS = (
    "make the table with `columns(results, content=True, truth=…)`, with a mask of the true features for each result"
)
_LIMITS = "It takes the truth as given. Plant it, or test that its deletion changes the decision"


def pointing_game(scores: Sequence[float] | np.ndarray, truth: Indices) -> float:
    """Whether the first feature is a true one, 1 or 0; among ties the fraction that is. Zhang et al. 2016.

    Args:
        scores: One number per feature.
        truth: The features that are known to decide, by index.

    Returns:
        NaN where there is no truth.

    Raises:
        InputError: If one of them is out of range.
    """
    values, true = _checked(scores, truth)
    return float(true[values == values.max()].mean()) if true.any() else math.nan


def relevance_mass(scores: Sequence[float] | np.ndarray, truth: Indices) -> float:
    """The part of the positive scores that the true features have, 0 to 1; NaN where none is positive.

    Arras et al. 2022 (arXiv 2003.07258). Arguments and errors as for `pointing_game`.
    """
    values, true = _checked(scores, truth)
    positive = values.clip(min=0)
    return float(positive[true].sum() / positive.sum()) if true.any() and positive.any() else math.nan


def relevance_rank(scores: Sequence[float] | np.ndarray, truth: Indices) -> float:
    """The part of the first features, as many as are true, that is true, 0 to 1; ties count by what is expected.

    Arras et al. 2022 (arXiv 2003.07258); for frequencies FreqRISE (arXiv 2406.13584). Arguments as for
    `pointing_game`.
    """
    values, true = _checked(scores, truth)
    count = int(true.sum())
    if not count:
        return math.nan
    least = np.sort(values)[-count]
    above, tied = values > least, values == least
    return float((true[above].sum() + (count - above.sum()) * true[tied].mean()) / count)


def _checked(scores: Sequence[float] | np.ndarray, truth: Indices) -> tuple[np.ndarray, np.ndarray]:
    """The scores, and which features are true."""
    values, index = np.asarray(scores, dtype=float), np.asarray(truth, dtype=int)
    if len(index) and (index.min() < 0 or index.max() >= len(values)):
        raise InputError("true features out of range", f"some of 0 to {len(values) - 1}", "correct `truth`")
    true = np.zeros(len(values), dtype=bool)
    true[index] = True
    return values, true


POINTING_GAME = register(
    Metric(
        name="pointing_game",
        description="The fraction of examples whose top feature is a true one.",
        reads=("scores", "truth"),
        range="0 to 1",
        better="higher",
        needs=_NEEDS,
        limits=_LIMITS,
        reference="Zhang et al. 2016 (arXiv 1608.00507), for features instead of pixels",
        per_example=of_columns(pointing_game, "scores", "truth"),
    )
)


RELEVANCE_MASS = register(
    Metric(
        name="relevance_mass",
        description="The share of the positive scores that the true features have.",
        reads=("scores", "truth"),
        range="0 to 1",
        better="higher",
        needs=_NEEDS,
        limits=_LIMITS,
        reference="Arras et al. 2022 (arXiv 2003.07258)",
        per_example=of_columns(relevance_mass, "scores", "truth"),
    )
)


RELEVANCE_RANK = register(
    Metric(
        name="relevance_rank",
        description="The precision of the top n features, with n the number of true features.",
        reads=("scores", "truth"),
        range="0 to 1",
        better="higher",
        needs=_NEEDS,
        limits=_LIMITS,
        reference="Arras et al. 2022 (arXiv 2003.07258); for frequencies FreqRISE (arXiv 2406.13584)",
        per_example=of_columns(relevance_rank, "scores", "truth"),
    )
)
