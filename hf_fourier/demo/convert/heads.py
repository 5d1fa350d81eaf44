"""Linear heads on frozen features."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax


def fit_softmax(features: np.ndarray, labels: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    """Softmax regression on standardised features with a squared penalty, by L-BFGS in float64; all labels weigh alike.

    Args:
        features: shape (examples, width).
        labels: 0, 1, …, shape (examples,).
        penalty: times the squared norm of the weights of the standardised features, added to the mean loss.

    Returns:
        Weights of the features as they came, shape (labels, width), and biases, shape (labels,).
    """
    mean, spread = features.mean(0), features.std(0) + 1e-6
    scaled = (features - mean) / spread
    counts = np.bincount(labels)
    share = 1.0 / (len(counts) * counts[labels])
    wanted = np.eye(len(counts))[labels]

    def loss(point: np.ndarray) -> tuple[float, np.ndarray]:
        table = point.reshape(len(counts), -1)
        weight, bias = table[:, :-1], table[:, -1]
        logs = log_softmax(scaled @ weight.T + bias, axis=1)
        pull = share[:, None] * (np.exp(logs) - wanted)
        slope = np.column_stack([pull.T @ scaled + 2 * penalty * weight, pull.sum(0)])
        return float(-(share * logs[np.arange(len(labels)), labels]).sum() + penalty * (weight**2).sum()), slope.ravel()

    start = np.zeros(len(counts) * (scaled.shape[1] + 1))
    table = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 2000}).x.reshape(len(counts), -1)
    weight = table[:, :-1] / spread
    return weight, table[:, -1] - weight @ mean


def cross_validated(
    features: np.ndarray, labels: np.ndarray, groups: Sequence[str], penalty: float, folds: int = 5
) -> float:
    """Accuracy of `fit_softmax` where whole groups are held out, in turn; the groups' names decide the folds."""
    fold = np.array([int(hashlib.sha256(group.encode()).hexdigest()[-6:], 16) % folds for group in groups])
    right = 0
    for held in range(folds):
        weight, bias = fit_softmax(features[fold != held], labels[fold != held], penalty)
        right += int(((features[fold == held] @ weight.T + bias).argmax(1) == labels[fold == held]).sum())
    return right / len(labels)


def majority(labels: np.ndarray) -> float:
    """Accuracy of always answering the commonest label."""
    return float(np.bincount(labels).max() / len(labels))
