"""A spam classifier: the frozen sentence encoder and a logistic head fitted on e-mails."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import expit
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from ..data import read_emails
from .checkpoint import graft
from .files import readme

LABELS = ("ham", "spam")
_TOKENS = 128
"""Tokens that the classifier reads: what MiniLM was trained with."""
_PENALTY = 1e-2
"""Weight of the squared norm in the head's loss, against the mean loss per e-mail; chosen by 5 folds of train."""


def build(inputs: Mapping[str, Path], folder: Path) -> None:
    """Fit a logistic head on the encoder's pooled output and save both as one classifier."""
    tokenizer = AutoTokenizer.from_pretrained(inputs["minilm"], local_files_only=True, model_max_length=_TOKENS)
    encoder = BertModel.from_pretrained(inputs["minilm"], local_files_only=True, use_safetensors=True).eval()
    sets = {split: read_emails(inputs["spam-emails"], split) for split in ("train", "test")}
    labels = {split: np.array([label for _, label in emails]) for split, emails in sets.items()}
    pooled = {split: _pooled(encoder, tokenizer, [text for text, _ in emails]) for split, emails in sets.items()}
    weight, bias = fit_logistic(pooled["train"], labels["train"], _PENALTY)
    config = BertConfig.from_pretrained(
        inputs["minilm"], id2label=dict(enumerate(LABELS)), label2id={name: i for i, name in enumerate(LABELS)}
    )
    weights = {f"bert.{key}": value for key, value in encoder.state_dict().items()}
    # The two rows are each other's negative: their softmax is the fitted sigmoid.
    weights["classifier.weight"] = torch.tensor(np.stack([-weight, weight]) / 2, dtype=torch.float32)
    weights["classifier.bias"] = torch.tensor([-bias / 2, bias / 2], dtype=torch.float32)
    graft(BertForSequenceClassification, config, weights).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    right = {split: float(((pooled[split] @ weight + bias > 0) == labels[split]).mean()) for split in sets}
    share = float(labels["test"].mean())
    readme(
        folder,
        "MiniLM with a spam head",
        f"The encoder is untouched; a logistic head was fitted on the train split alone, at {_TOKENS} tokens.",
        f"Accuracy: train {right['train']:.3f}, test {right['test']:.3f} (always the commoner label: "
        f"{max(share, 1 - share):.3f}).",
    )


def _pooled(encoder: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> np.ndarray:
    """Pooled output of each text, shape (texts, width), float64; longest texts first to pad little."""
    order = sorted(range(len(texts)), key=lambda index: -len(texts[index]))
    rows = np.empty((len(texts), encoder.config.hidden_size))
    with torch.inference_mode():
        for start in range(0, len(order), 32):
            chosen = order[start : start + 32]
            batch = tokenizer([texts[i] for i in chosen], padding=True, truncation=True, return_tensors="pt")
            rows[chosen] = encoder(**batch).pooler_output.double().numpy()
    return rows


def fit_logistic(features: np.ndarray, labels: np.ndarray, penalty: float) -> tuple[np.ndarray, float]:
    """Logistic regression on standardised features with a squared penalty, by L-BFGS in float64.

    Args:
        features: shape (examples, width).
        labels: 0 or 1, shape (examples,).
        penalty: times the squared norm of the weights of the standardised features, added to the mean loss.

    Returns:
        Weights of the features as they came, shape (width,), and the bias.
    """
    mean, spread = features.mean(0), features.std(0) + 1e-6
    scaled = (features - mean) / spread
    sign = 2.0 * labels - 1.0

    def loss(point: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (scaled @ point[:-1] + point[-1])
        pull = -sign * expit(-margin) / len(labels)
        slope = np.append(scaled.T @ pull + 2 * penalty * point[:-1], pull.sum())
        return float(np.logaddexp(0, -margin).mean() + penalty * point[:-1] @ point[:-1]), slope

    found = minimize(loss, np.zeros(scaled.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": 2000})
    weight = found.x[:-1] / spread
    return weight, float(found.x[-1] - weight @ mean)
