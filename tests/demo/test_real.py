"""The real models and data: they load without a warning's worth of keys, and know what they should know."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from hf_fourier import demo
from hf_fourier.demo.build import DEMO
from tests.demo.real import check_folder, load, models, right_on_antibodies, tokenizer

pytestmark = pytest.mark.assets


@pytest.mark.parametrize("name", models(DEMO))
def test_a_model_folder_holds_safetensors_alone(name: str, asset: Callable[[str], Path]) -> None:
    check_folder(asset(name), name)


def test_efficientnet_sees_espresso(asset: Callable[[str], Path]) -> None:
    from transformers import AutoImageProcessor

    folder = asset("efficientnet-lite0")
    asset("pictures")
    model = load("AutoModelForImageClassification", folder)
    processor = AutoImageProcessor.from_pretrained(folder)
    name, picture = demo.pictures(1)[0]
    with torch.no_grad():
        chances = model(**processor(picture, return_tensors="pt")).logits.softmax(-1)[0]
    assert name == "coffee"
    assert len(model.config.label2id) == 1000
    assert chances[model.config.label2id["espresso"]] > 0.8


def test_efficientnet_recognises_most_pictures(asset: Callable[[str], Path]) -> None:
    from transformers import AutoImageProcessor

    folder = asset("efficientnet-lite0")
    asset("pictures")
    model, processor = load("AutoModelForImageClassification", folder), AutoImageProcessor.from_pretrained(folder)
    plausible = {
        "coffee": "espresso",
        "camera": "tripod",
        "cat": "tiger cat|Egyptian cat|tabby",
        "motorcycle": "moped",
        "rocket": "missile",
    }
    for name, picture in demo.pictures():
        with torch.no_grad():
            best = int(model(**processor(picture, return_tensors="pt")).logits.argmax())
        if name in plausible:
            assert model.config.id2label[best] in plausible[name].split("|")


def test_pictures_are_colour_and_counted(asset: Callable[[str], Path]) -> None:
    asset("pictures")
    everything = demo.pictures()
    assert all(picture.mode == "RGB" and min(picture.size) >= 224 for _, picture in everything)
    assert [name for name, _ in demo.pictures(2)] == [name for name, _ in everything[:2]]
    assert demo.pictures(0) == []
    with pytest.raises(ValueError, match=f"between 0 and {len(everything)}"):
        demo.pictures(len(everything) + 1)


def test_minilm_puts_a_paraphrase_near(asset: Callable[[str], Path]) -> None:
    folder = asset("minilm")
    model, tokens = load("AutoModel", folder), tokenizer(folder)
    texts = ["A man is playing a guitar.", "Someone plays music on a guitar.", "The stock market fell on Monday."]
    batch = tokens(texts, padding=True, return_tensors="pt")
    assert batch.input_ids.shape[1] < 20, "the tokenizer still pads to a fixed length"
    with torch.no_grad():
        hidden = model(**batch).last_hidden_state
    mask = batch.attention_mask[..., None]
    vectors = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)
    assert vectors[0] @ vectors[1] > 0.6
    assert vectors[0] @ vectors[2] < 0.2


def test_minilm_tells_spam_from_ham(asset: Callable[[str], Path]) -> None:
    folder = asset("minilm-spam")
    model, tokens = load("AutoModelForSequenceClassification", folder), tokenizer(folder)
    assert model.config.id2label == {0: "ham", 1: "spam"}
    rows = sorted(demo.emails("test"), key=lambda row: len(row[0]))[::2]
    right = 0
    for start in range(0, len(rows), 32):
        texts, labels = zip(*rows[start : start + 32], strict=True)
        with torch.inference_mode():
            logits = model(**tokens(list(texts), padding=True, truncation=True, return_tensors="pt")).logits
        right += int((logits.argmax(-1) == torch.tensor(labels)).sum())
    assert right / len(rows) >= 0.88


def test_the_spam_encoder_is_the_shipped_one(asset: Callable[[str], Path]) -> None:
    encoder = load("AutoModel", asset("minilm"))
    theirs = load("AutoModelForSequenceClassification", asset("minilm-spam")).bert.state_dict()
    assert all(torch.equal(value, theirs[key]) for key, value in encoder.state_dict().items())


def test_emails_do_not_leak_between_splits(asset: Callable[[str], Path]) -> None:
    asset("spam-emails")
    train, test = demo.emails("train"), demo.emails()
    assert not {text for text, _ in train} & {text for text, _ in test}
    assert 0.2 < len(test) / (len(train) + len(test)) < 0.3
    for rows in (train, test):
        assert 0.35 < sum(label for _, label in rows) / len(rows) < 0.65


def test_antiberty_knows_species(asset: Callable[[str], Path]) -> None:
    assert right_on_antibodies(asset("antiberty-species"), "species") >= 4
