"""μ-fidelity, infidelity and sensitivity: scores against random perturbations that `random_perturbations` evaluates."""

from __future__ import annotations

import math

import numpy as np

from hf_fourier.errors import InputError
from hf_fourier.evaluation.metrics.base import Metric, of_columns, register
from hf_fourier.evaluation.metrics.statistics import Numbers


def mu_fidelity(scores: Numbers, drops: Numbers) -> float:
    """μ-fidelity: Spearman's ρ between the scores' sums over random subsets and what deleting those costs.

    Bhatt et al. 2020 (arXiv 2005.00631), with ranks as in xplique; ρ alone (the code of WAM averages it with its
    p-value). From −1 to 1, higher is better.

    Args:
        scores: For each subset the sum of its features' scores.
        drops: For each subset `s(x) − s(x without it)`.

    Returns:
        NaN with fewer than two subsets, or where either is constant.

    Raises:
        InputError: If they are not equally many.
    """
    return _spearman(*_paired(scores, drops, "subsets"))


def infidelity(predicted: Numbers, drops: Numbers, *, scaled: bool = True) -> float:
    """Infidelity: the mean square of what the scores predict for a perturbation minus what it does to the score s.

    `mean (β Σ_k ε_k S_k − (s(x) − s(x_ε)))²` over random multiplicative perturbations ε of the features (Yeh et al.
    2019, arXiv 1901.09392, with the perturbation I = ε ⊙ F). At least 0, lower is better, in the square of s's unit.

    Args:
        predicted: For each perturbation `Σ_k ε_k S_k`.
        drops: For each perturbation `s(x) − s(x_ε)`.
        scaled: Take the β that fits best, since most scores are no contributions to s; False for β = 1.

    Returns:
        NaN without perturbations.

    Raises:
        InputError: If they are not equally many.
    """
    prediction, drop = _paired(predicted, drops, "perturbations")
    power = float(prediction @ prediction)
    factor = float(prediction @ drop) / power if scaled and power else 1.0
    return float(np.mean((factor * prediction - drop) ** 2)) if len(prediction) else math.nan


def sensitivity_max(changes: Numbers) -> float:
    """Sensitivity-max: the largest relative change of the scores under small changes of the input.

    `max_j ‖S(x + u_j) − S(x)‖₂ / ‖S(x)‖₂` (Yeh et al. 2019, arXiv 1901.09392, estimated by sampling; relative as
    arXiv 2411.18343 takes it). At least 0, lower is better.

    Args:
        changes: The relative change for each perturbed input.

    Returns:
        NaN without any, or where one is not defined (scores that are all 0).
    """
    return float(np.max(np.asarray(changes, dtype=float))) if len(changes) else math.nan


def rank_correlation(a: Numbers, b: Numbers) -> float:
    """Spearman's ρ of two rankings of the same features, from −1 to 1.

    Returns:
        NaN with fewer than two features, or where either gives all of them one score.

    Raises:
        InputError: If they are not equally many.
    """
    if len(a) != len(b):
        raise InputError(
            f"{len(a)} and {len(b)} scores", "the same features twice", "compare one example in one domain"
        )
    return _spearman(np.asarray(a, dtype=float), np.asarray(b, dtype=float))


def _spearman(a: np.ndarray, b: np.ndarray) -> float:
    first, second = _ranks(a), _ranks(b)
    power = math.sqrt(float(first @ first) * float(second @ second))
    return float(first @ second) / power if power else math.nan


def _paired(a: Numbers, b: Numbers, what: str) -> tuple[np.ndarray, np.ndarray]:
    if len(a) != len(b):
        raise InputError(
            f"{len(a)} and {len(b)} numbers",
            f"one of each for all {what}",
            "pass the columns of `random_perturbations`",
        )
    return np.asarray(a, dtype=float), np.asarray(b, dtype=float)


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks about their mean, equal values sharing the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place] - (len(values) + 1) / 2


MU_FIDELITY = register(
    Metric(
        name="mu_fidelity",
        description=(
            "Spearman's ρ between the summed scores of random subsets of features and the drop when each is deleted."
        ),
        reads=("subset_scores", "subset_drops"),
        range="−1 to 1",
        better="higher",
        needs="pass the columns of `random_perturbations.delete_random_subsets`: 200 forward passes per example",
        limits=(
            "Random subsets contain few of the top features, so it hardly tests these. It depends on the sizes of the "
            "scores, not only on their order."
        ),
        reference="Bhatt et al. 2020, arXiv 2005.00631; ρ alone, not its mean with the p-value",
        per_example=of_columns(mu_fidelity, "subset_scores", "subset_drops"),
    )
)


INFIDELITY = register(
    Metric(
        name="infidelity",
        description=(
            "The mean squared difference between predicted and actual drops of the score under random perturbations."
        ),
        reads=("noise_predicted", "noise_drops"),
        range="0 and above, in the square of the score's unit",
        better="lower",
        needs="pass the columns of `random_perturbations.add_feature_noise`: 100 forward passes per example",
        limits=(
            "Not comparable across models: it grows with the square of the score's changes. With `scaled=True` each "
            "example is scaled by its best factor, and meaningless scores are no worse than zeros."
        ),
        reference="Yeh et al. 2019, arXiv 1901.09392, with multiplicative noise on the features",
        per_example=of_columns(infidelity, "noise_predicted", "noise_drops"),
    )
)


SENSITIVITY_MAX = register(
    Metric(
        name="sensitivity_max",
        description="The largest relative change of the scores under small changes of the input.",
        reads=("score_changes",),
        range="0 and above",
        better="lower",
        needs="pass the columns of `random_perturbations.explain_perturbed_inputs`: ten explanations per example",
        limits=(
            "Stable scores need not be correct: the magnitude, which does not use the model, hardly changes at all. "
            "Across methods on planted models it is negatively correlated with correctness."
        ),
        reference=(
            "Yeh et al. 2019, arXiv 1901.09392; uniform ± 0.2 per entry, ten draws, relative, as in arXiv 2411.18343"
        ),
        per_example=of_columns(sensitivity_max, "score_changes"),
    )
)
