"""What is typed behind `--target` is the target object of Python."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import torch

from hf_fourier import FourierExplainer
from hf_fourier.cli.targets import parse_targets
from hf_fourier.errors import InputError, TargetError
from hf_fourier.scoring.targets import AnswerSpan, Continuation, Contrast, Direction, Position, Region, Typed
from tests.models import tiny_models, tiny_tokenizers


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("3", 3),
        ("LOC", "LOC"),
        ("contrast", "contrast"),
        ("other: thing", "other: thing"),
        ("at:3", Position(3)),
        ("at:Paris=LOC", Position("Paris", "LOC")),
        ("at:2=1", Position(2, 1)),
        ("span:4-6", AnswerSpan(4, 6)),
        ("continuation: Paris", Continuation(" Paris")),
        ("contrast: Paris| London", Contrast(" Paris", " London")),
        ("contrast:0|2", Contrast(0, 2)),
    ],
)
def test_kinds(typed: str, meant: object) -> None:
    assert parse_targets(typed) == meant


def test_files(tmp_path) -> None:
    path = tmp_path / "some@place.npy"
    np.save(path, np.arange(3.0))
    one, region = parse_targets(f"direction:{path}@0.5"), parse_targets(f"region:{path}")
    assert isinstance(one, Direction)
    assert one.threshold == 0.5
    assert torch.equal(one.vector, torch.arange(3.0).double())
    assert isinstance(region, Region)


@pytest.mark.parametrize(
    "typed", ["at:", "at:3=", "at:=LOC", "span:4", "span:a-b", "continuation:", "contrast:a", "contrast:|b"]
)
def test_what_lacks_something_is_refused(typed: str) -> None:
    with pytest.raises(TargetError):
        parse_targets(typed)


@pytest.mark.parametrize("typed", ["direction:nowhere.npy", "region:nowhere.npy"])
def test_files_that_do_not_exist(typed: str) -> None:
    with pytest.raises(InputError, match=r"nowhere\.npy"):
        parse_targets(typed)


def test_a_contrast_from_the_shell_is_that_of_python(run, text_model) -> None:
    done = run("explain", text_model, "a good b", "--target", "contrast:good|bad", "--json", "--fraction", ".1")
    assert done.exit_code == 0, done.output
    (told,) = json.loads(done.stdout)["results"]
    result = FourierExplainer.from_pretrained(text_model).explain("a good b", Contrast("good", "bad"))
    assert told["value"] == pytest.approx(result.value, rel=1e-5)
    assert told["label"] == result.label == "good rather than bad"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("label:3", "3"),
        ("index:3", 3),
        ("at:label:3=index:1", Position("3", 1)),
        ("contrast:label:5|label:6", Contrast("5", "6")),
        ("contrast:index:5| 6", Contrast(5, " 6")),
        ("label:", "label:"),
        ("label:index:3", "index:3"),
    ],
)
def test_whether_a_number_is_meant_can_be_written(typed: str, meant: object) -> None:
    assert parse_targets(typed) == meant
    assert not any(
        isinstance(one, Typed) for one in (parse_targets(typed), getattr(parse_targets(typed), "this", None))
    )


def test_a_number_is_refused_where_a_label_is_written_so_too(run, text_model, tmp_path) -> None:
    """One star is class 0, so class 1 is another: which of them "1" means cannot be known."""
    from transformers import BertForSequenceClassification, BertTokenizerFast

    model = BertForSequenceClassification.from_pretrained(text_model)
    model.config.id2label, model.config.label2id = {0: "1", 1: "2"}, {"1": 0, "2": 1}
    model.save_pretrained(tmp_path / "stars")
    BertTokenizerFast.from_pretrained(text_model).save_pretrained(tmp_path / "stars")

    def told(target: str):
        return run("explain", "stars", "a good b", "--target", target, "--json", "--fraction", ".1")

    refused = told("1")
    assert refused.exit_code == 2
    assert "write index:1 or label:1" in refused.output
    found = {
        target: json.loads(told(target).stdout)["results"][0]["label"] for target in ("index:1", "label:1", "0", "2")
    }
    assert found == {"index:1": "2", "label:1": "1", "0": "1", "2": "2"}
    assert told("7").exit_code == told("index:x").exit_code == 2


def test_a_number_stays_one_on_its_way_to_another_process() -> None:
    again = pickle.loads(pickle.dumps(parse_targets("contrast:05|6")))
    assert (again.this, again.this.text, again.other.text) == (5, "05", "6")


def test_numbers_that_are_texts_are_continuations_only_by_name() -> None:
    explain = FourierExplainer(tiny_models.build("text-generation", "llama"), tiny_tokenizers.tokenizer("gpt"))
    with pytest.raises(TargetError, match="write label:15 or index:15"):
        explain.explain(tiny_tokenizers.text(10, 11), parse_targets("contrast:15|16"))
    by_index = explain.explain(tiny_tokenizers.text(10, 11), parse_targets("contrast:index:15|index:16"))
    assert by_index.value == pytest.approx(
        explain.explain(tiny_tokenizers.text(10, 11), Contrast(" w15", " w16")).value
    )


def test_a_number_as_an_answer_is_its_text() -> None:
    explain = FourierExplainer(tiny_models.build("question-answering", "bert"), tiny_tokenizers.tokenizer("bert"))
    explain.processor.add_tokens(["1990"])
    with pytest.raises(TargetError, match="the answer '1990'"):
        explain.explain((tiny_tokenizers.text(10), tiny_tokenizers.text(11, 12)), parse_targets("1990"))


def test_a_chat_from_the_shell_is_that_of_python(run, tmp_path) -> None:
    model, tokenizer = tiny_models.build("text-generation", "llama"), tiny_tokenizers.tokenizer("gpt")
    tokenizer.chat_template = "{% for m in messages %}<s> {{ m['content'] }} {% endfor %}<s> w40"
    for part in (model, tokenizer):
        part.save_pretrained(tmp_path / "lm")
    chat = [{"role": "user", "content": "w10 w11 w12"}]
    (tmp_path / "chat.json").write_text(json.dumps(chat))
    expected = FourierExplainer(model, tokenizer).explain(chat)
    for given in ("chat.json", json.dumps(chat)):
        done = run("explain", "lm", given, "--json", "--fraction", ".1")
        assert done.exit_code == 0, done.output
        (told,) = json.loads(done.stdout)["results"]
        assert (told["label"], told["value"]) == (expected.label, pytest.approx(expected.value, rel=1e-5))


def test_a_target_that_the_head_has_not_is_one_message(run, text_model) -> None:
    done = run("explain", text_model, "a good b", "--target", "span:0-1")
    assert done.exit_code == 2
    assert "Span" in done.output
    assert "Traceback" not in done.output
