"""A pair that crashes, hangs or is wrong does not end the sweep, and none of them counts as a success."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from hf_fourier.errors import InputError
from hf_fourier.models.side_inputs import SideInputCheck
from hf_fourier.models.supported import summary
from hf_fourier.models.token_batches import TextBatch
from tools.coverage import checks, running
from tools.coverage.pairs import Pair, pairs
from tools.coverage.table import collected, kept, page

_LEFT = {"right": False, "left": True}
BERT = Pair("text-classification", "bert", "BertForSequenceClassification")


def acting(pair: Pair) -> dict[str, Any]:
    if pair.model_type == "crashes":
        os._exit(7)
    if pair.model_type == "hangs":
        time.sleep(60)
    return {"task": pair.task, "model_type": pair.model_type, "cls": pair.cls, "status": "works"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process of its own would not see the stand-in")
def test_a_crash_and_a_hang_are_told_and_the_rest_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "check", acting)
    kinds = ("first", "crashes", "hangs", "last")
    own = [Pair("fill-mask", kind, "X") for kind in kinds]
    found = running.sweep(own, tmp_path, limit=3)
    assert [told["status"] for told in found] == ["works", "failed", "failed", "works"]
    assert "ended with 7" in found[1]["why"]
    assert "no answer within 3 s" in found[2]["why"]
    monkeypatch.setattr(checks, "check", lambda pair: {"status": "done again"})
    assert running.sweep(own, tmp_path, limit=3) == found


def test_a_forward_that_is_not_the_models_own_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = TextBatch._signals
    monkeypatch.setattr(TextBatch, "_signals", lambda self, ids: -whole(self, ids))
    told = checks.check(BERT)
    assert told["status"] == "failed"
    assert "differs from the model's own answer" in told["why"]


def test_a_note_that_is_missing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SideInputCheck, "add_notes", lambda self, wrapper, requests, results: None)
    told = checks.check(Pair("text-classification", "bart", "BartForSequenceClassification"))
    assert told["status"] == "failed"
    assert "exchanged ids move the score" in told["why"]


def test_a_model_without_an_embedding_is_refused_in_one_line() -> None:
    told = checks.check(Pair("text-classification", "canine", "CanineForSequenceClassification"))
    assert told["status"] == "refused"
    assert "no embedding module takes the input ids" in told["why"]


def test_what_cannot_be_built_says_why() -> None:
    told = checks.check(Pair("text-classification", "layoutlmv2", "LayoutLMv2ForSequenceClassification"))
    assert told["status"] == "not built"
    assert "detectron2" in told["why"]


def test_unknown_architectures() -> None:
    with pytest.raises(InputError, match="no-such"):
        pairs(None, "no-such")


def test_the_page_counts_every_pair_once() -> None:
    made = [
        {"task": "ctc", "model_type": "a", "cls": "A", "status": "works", "second": False},
        {"task": "ctc", "model_type": "b", "cls": "B", "status": "not built", "why": "ValueError: x | y"},
        {
            "task": "fill-mask",
            "model_type": "a",
            "cls": "C",
            "status": "works",
            "second": True,
            "padding": {"left": True},
        },
        {"task": "fill-mask", "model_type": "c", "cls": "D", "status": "refused", "why": "ModelError: z"},
        {"task": "fill-mask", "model_type": "d", "cls": "E", "status": "not tried"},
    ]
    told = json.loads(json.dumps(kept(made)))
    rows = {row["head"]: row for row in summary(told["pairs"])}
    assert rows["all"] == {
        "head": "all", "pairs": 5, "tried": 4, "built": 3, "works": 2, "refused": 1, "failed": 0,
        "works of built": "66.7 %",
    }  # fmt: skip
    text = page(told)
    assert "| b | ctc | not built | ValueError: x ¦ y |" in text
    assert "| c | fill-mask | refused | ModelError: z |" in text
    assert text.count("- **fill-mask** (1): a") == 3  # works, reads its ids twice, and counts padding on the left
    assert "- **fill-mask** (1): d" in text.partition("## Not tried yet")[2]
    assert torch.__version__ in text


def test_what_no_run_has_reached_is_not_tried(tmp_path: Path) -> None:
    (tmp_path / f"{BERT.name}.json").write_text(
        json.dumps({"task": BERT.task, "model_type": "bert", "status": "works"})
    )
    other = Pair("ctc", "hubert", "HubertForCTC")
    assert [told["status"] for told in collected([BERT, other], tmp_path)] == ["works", "not tried"]
