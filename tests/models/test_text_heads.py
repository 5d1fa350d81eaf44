"""Every head of text models: the model's own outputs, known scores, targets of each kind, results that return."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from hf_fourier import FourierExplainer
from hf_fourier.errors import InputError, TargetError
from hf_fourier.models.masked_lm_batches import SelectedPositions
from hf_fourier.models.multiple_choice import BARE
from hf_fourier.models.token_batches import CONTINUATIONS, OUTPUT
from hf_fourier.scoring.targets import AnswerSpan, Continuation, Contrast, Direction, Position
from tests.models import laws, tiny_models, tiny_tokenizers

HEADS = ("token-classification", "question-answering", "text2text-generation", "feature-extraction", "multiple-choice")
ALL = [
    *tiny_models.everything(*HEADS),
    *[("continuation", name) for name in tiny_models.CAUSAL],
    *[("contrast", n) for n in tiny_models.CAUSAL],
]
KINDS = {"bert": "bert", "distilbert": "bert", "deberta-v2": "bert"}
TEXTS = [
    tiny_tokenizers.text(10, 11, 12, 13, 14),
    tiny_tokenizers.text(20, 11, 22, 23, 24, 25, 26),
    tiny_tokenizers.text(30, 31, 32, 33, 35),
]


@cache
def explainer(task: str, name: str) -> FourierExplainer:
    own = "text-generation" if task in ("continuation", "contrast") else task
    kind = "gpt" if own == "text-generation" else KINDS.get(name, "roberta")
    return FourierExplainer(tiny_models.build(own, name), tiny_tokenizers.tokenizer(kind), task=own)


def examples(task: str) -> list[Any]:
    if task == "multiple-choice":
        return [
            (text, [tiny_tokenizers.text(40, 41, 42), tiny_tokenizers.text(50), tiny_tokenizers.text(51, 52)])
            for text in TEXTS
        ]
    return [(tiny_tokenizers.text(40, 41), text) for text in TEXTS] if task == "question-answering" else TEXTS


@cache
def target(task: str, name: str) -> Any:
    if task == "feature-extraction":
        return Direction(explainer(task, name).predict(tiny_tokenizers.text(50, 51, 52)).logits)
    return {"continuation": Continuation(" w15 w16"), "contrast": Contrast(" w15 w16", " w17")}.get(task)


def own(explain: FourierExplainer, inputs: dict[str, torch.Tensor]) -> Any:
    rows = {n: t.unsqueeze(0) for n, t in inputs.items() if n not in (*CONTINUATIONS, OUTPUT, BARE)}
    with torch.no_grad():
        if BARE in inputs:  # each choice by itself
            parts = enumerate(inputs[BARE].tolist())
            alone = [explain.model(**{n: t[:, i : i + 1, a:b] for n, t in rows.items()}).logits for i, (a, b) in parts]
            return SelectedPositions(torch.cat(alone, 1))
        return explain.model(**rows)


def logits(outputs: Any, task: str) -> torch.Tensor:
    if task == "question-answering":
        return torch.stack([outputs.start_logits, outputs.end_logits])
    return outputs.last_hidden_state if task == "feature-extraction" else outputs.logits


@pytest.mark.parametrize(("task", "name"), tiny_models.everything(*HEADS))
def test_the_clean_forward_is_the_models_own(task: str, name: str) -> None:
    explain = explainer(task, name)
    for example in examples(task):
        encoded, _ = explain.wrapper.prepare_target(
            explain.wrapper.encode(example), None if task != "feature-extraction" else len
        )
        theirs = logits(own(explain, encoded.inputs), task)
        laws.close(logits(laws.own_outputs(explain, encoded), task), theirs)


@pytest.mark.parametrize(("task", "name"), ALL)
def test_results_are_whole_and_come_back(task: str, name: str, tmp_path: Path) -> None:
    explain = explainer(task, name)
    result = explain.explain(examples(task)[0], target(task, name))
    laws.whole(result)
    assert result.gradient.abs().max() > 0
    said = task in ("contrast", "text2text-generation")  # of two tokens and one; an output that finds no end
    assert len(result.provenance["notes"]) == (said or (name in ("bart", "t5") and task == "question-answering"))
    laws.comes_back(explain, result, tmp_path)


@pytest.mark.parametrize(("task", "name"), ALL)
def test_batch_and_state(task: str, name: str) -> None:
    explain, aim = explainer(task, name), target(task, name)
    alone = [explain.explain(example, aim) for example in examples(task)]
    for one, other in zip(alone, explain.explain(examples(task)[::-1], aim, batch_size=2)[::-1], strict=True):
        laws.same(one, other)
    if aim is None:
        laws.nothing_is_changed(explain, examples(task)[0])


@pytest.mark.parametrize(("task", "name"), [pair for pair in ALL if pair[1] in ("bert", "llama", "t5")])
def test_bfloat16_and_gradient_checkpointing_in_training_mode(task: str, name: str) -> None:
    explain, aim = explainer(task, name), target(task, name)
    wide = explain.explain(examples(task)[0], aim)
    model = tiny_models.build(explain.wrapper.task, name).bfloat16().train()
    if model.supports_gradient_checkpointing:
        model.gradient_checkpointing_enable()
    halved = FourierExplainer(torch.compile(model, backend="eager"), explain.processor, task=explain.wrapper.task)
    given = None if task != "text2text-generation" else wide.target
    result = halved.explain(examples(task)[0], aim if given is None else given)
    laws.whole(result)
    assert result.scores.dtype == torch.float32
    assert abs(result.confidence - wide.confidence) < 0.1
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize("name", tiny_models.TAGGERS)
def test_tags(name: str) -> None:
    explain = explainer("token-classification", name)
    result = explain.explain(TEXTS[1])
    encoded = explain.wrapper.encode(TEXTS[1])
    log_p = own(explain, encoded.inputs).logits[0].log_softmax(-1)[encoded.content]
    assert result.target == log_p.argmax(-1).tolist()
    assert result.value == pytest.approx(float(log_p.max(-1).values.mean()), rel=1e-4)
    for one in (Position(3), Position("w23")):
        alone = explain.explain(TEXTS[1], one)
        assert alone.value == pytest.approx(float(log_p[3].max()), rel=1e-4)
        assert alone.target == int(log_p[3].argmax())
    tagged = explain.explain(TEXTS[1], Position("w23", "LABEL_2"))
    assert (tagged.target, tagged.label) == (2, "LABEL_2")
    assert tagged.value == pytest.approx(float(log_p[3, 2]), rel=1e-4)
    assert explain.explain(TEXTS[1], "LABEL_1").value == pytest.approx(float(log_p[:, 1].mean()), rel=1e-4)
    for wrong in (
        Position("w99"),
        Position(7),
        Position(0, "LABEL_9"),
        Position(0, 3),
        AnswerSpan(0, 1),
        Contrast(0, 1),
    ):
        with pytest.raises(TargetError):
            explain.explain(TEXTS[1], wrong)


@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_an_answer_needs_something_to_choose_from(name: str) -> None:
    explain, question = explainer("question-answering", name), tiny_tokenizers.text(40, 41)
    with pytest.raises(TargetError, match=r"context of one token.*a longer context"):
        explain.explain((question, tiny_tokenizers.text(10)))
    assert explain.explain((question, tiny_tokenizers.text(10, 11))).gradient.abs().max() > 0


@pytest.mark.parametrize("name", tiny_models.ANSWERERS)
def test_answers(name: str) -> None:
    explain = explainer("question-answering", name)
    question, context = examples("question-answering")[1]
    encoded = explain.wrapper.encode((question, context))
    outputs = own(explain, encoded.inputs)
    where = encoded.content[2:]
    start, end = (z[0, where].log_softmax(-1) for z in (outputs.start_logits, outputs.end_logits))
    result = explain.explain((question, context))
    first, last = result.target
    best = max(float(start[a] + end[b]) for a in range(7) for b in range(a, 7))
    assert result.value == pytest.approx(float(start[first - 2] + end[last - 2])) == pytest.approx(best)
    for given in ("w22 w23", AnswerSpan(4, 5)):
        told = explain.explain((question, context), given)
        assert told.target == [4, 5]
        assert told.value == pytest.approx(float(start[2] + end[3]), rel=1e-4)
    for wrong in ("w40 w41", "w23 w22", AnswerSpan(0, 1), AnswerSpan(5, 4), AnswerSpan(5, 30), 3, Position(3)):
        with pytest.raises(TargetError):
            explain.explain((question, context), wrong)


@pytest.mark.parametrize("name", tiny_models.CAUSAL)
def test_continuations(name: str) -> None:
    """Against the model asked for the whole text."""
    explain = explainer("continuation", name)
    ids = torch.tensor([[10, 11, 12, 13, 14, 15, 16]])
    log_p = own(explain, {"input_ids": ids[0]}).logits[0].log_softmax(-1)
    both = float((log_p[4, 15] + log_p[5, 16]) / 2)
    for given in (Continuation(" w15 w16"), Continuation((15, 16))):
        result = explain.explain(TEXTS[0], given)
        assert result.value == pytest.approx(both, rel=1e-4)
        assert (result.target, result.signal.shape[0]) == ([15, 16], 5)
    contrast = explain.explain(TEXTS[0], Contrast(" w15 w16", " w17"))
    assert contrast.value == pytest.approx(float(2 * both - log_p[4, 17]), rel=1e-4, abs=1e-5)
    assert contrast.label == "w15 w16 rather than w17"
    assert contrast.confidence == pytest.approx(1 / (1 + 2.718281828**-contrast.value), rel=1e-4)
    turned = explain.explain(TEXTS[0], Contrast([17], [15, 16]))
    assert turned.value == pytest.approx(-contrast.value, rel=1e-4)
    torch.testing.assert_close(turned.gradient, -contrast.gradient, rtol=1e-3, atol=1e-5)
    (again,) = explain.re_explain([contrast], [None])
    laws.same(again, explain.explain(TEXTS[0]))
    single = explain.explain(TEXTS[0], Continuation("w15"))
    named = explain.explain(TEXTS[0], "w15")
    assert single.value == pytest.approx(named.value, rel=1e-4)


def test_a_continuation_comes_before_the_filling() -> None:
    explain = explainer("continuation", "llama")
    ids = torch.tensor([[10, 11, 12, 13, 14, 0, 0], [0, 0, 10, 11, 12, 13, 14]])
    batch = {"input_ids": ids, "attention_mask": (ids != 0).long()}
    right, _ = explain.explain(batch, Continuation(" w15 w16"))
    assert right.value == pytest.approx(explain.explain(TEXTS[0], Continuation(" w15 w16")).value, rel=1e-4)
    for wrong in (Continuation(""), Continuation([99]), Continuation(" w15" * 60), AnswerSpan(0, 1), Direction([1.0])):
        with pytest.raises((TargetError, InputError)):
            explain.explain(TEXTS[0], wrong)


@pytest.mark.parametrize("name", tiny_models.WRITERS)
def test_outputs(name: str) -> None:
    """A given output's score is the negative of the loss that the model itself computes of it as labels."""
    explain = explainer("text2text-generation", name)
    inputs = explain.processor(TEXTS[0], return_tensors="pt")
    given = explain.explain(TEXTS[0], "w15 w16 w17")
    labels = torch.tensor([given.target])
    assert labels[0].tolist() == explain.processor("w15 w16 w17")["input_ids"]
    with torch.no_grad():
        loss = explain.model(**inputs, labels=labels).loss
        said = explain.model.generate(**inputs, max_length=64 if "t5" in name else 48, do_sample=False, num_beams=1)[0]
    assert given.value == pytest.approx(-float(loss), rel=1e-4)
    result = explain.explain(TEXTS[0])
    assert result.target == said[1:].tolist()
    assert result.agreement == 1.0
    assert explain.predict(TEXTS[0]).label == result.label
    laws.same(explain.explain(TEXTS[0], result.target), result)
    for wrong in (3, Position(0), Contrast("a", "b"), []):
        with pytest.raises(TargetError):
            explain.explain(TEXTS[0], wrong)


@pytest.mark.parametrize("name", tiny_models.EMBEDDERS)
def test_embeddings(name: str) -> None:
    explain, aim = explainer("feature-extraction", name), target("feature-extraction", name)
    states = own(explain, explain.wrapper.encode(TEXTS[0]).inputs).last_hidden_state[0].mean(0)
    result = explain.explain(TEXTS[0], aim)
    assert result.value == pytest.approx(float(torch.cosine_similarity(states, aim.vector, dim=0)), rel=1e-3)
    assert explain.predict(TEXTS[0]).logits.shape == states.shape
    for wrong in (None, 3, Direction(states), Direction(states[:3])):
        with pytest.raises(TargetError):
            explain.explain(TEXTS[0], wrong)


@pytest.mark.parametrize("name", tiny_models.CHOOSERS)
def test_choices(name: str) -> None:
    explain = explainer("multiple-choice", name)
    prompt, texts = examples("multiple-choice")[0]
    z = own(explain, explain.wrapper.encode((prompt, texts)).inputs).logits[0]
    result = explain.explain((prompt, texts))
    assert result.target == int(z.argmax())
    assert result.value == pytest.approx(float(z.log_softmax(0).max()), rel=1e-4)
    assert result.layout.signal.segments == (5, 3, 5, 1, 5, 2)
    assert explain.explain((prompt, texts), 1).value == pytest.approx(float(z.log_softmax(0)[1]), rel=1e-4)
    assert explain.explain((prompt, texts), Contrast(0, 2)).value == pytest.approx(float(z[0] - z[2]), rel=1e-3)
    for wrong in (prompt, (prompt, "abc"), (prompt, ["one"]), (prompt, [1, 2])):
        with pytest.raises(InputError):
            explain.explain(wrong)
    with pytest.raises(TargetError):
        explain.explain((prompt, texts), 3)


def test_a_contrast_of_classes() -> None:
    explain = FourierExplainer(tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer("bert"))
    z = explain.predict(TEXTS[0]).logits
    result = explain.explain(TEXTS[0], Contrast("LABEL_2", "label_0"))
    assert result.value == pytest.approx(float(z[2] - z[0]), rel=1e-4)
    assert result.label == "LABEL_2 rather than LABEL_0"
    explain.perturb(result, fractions=[0.2])
    assert 0 < result.curve.at("keep", 0.2).confidence < 1
    masked = FourierExplainer(tiny_models.build("fill-mask", "bert"), tiny_tokenizers.tokenizer("bert"))
    assert masked.explain("w10 [MASK] w12", Contrast("w20", "w21")).label == "w20 rather than w21"


@pytest.mark.parametrize("name", ["bert", "xlnet"])
def test_choices_of_several_lengths_are_read_without_padding(name: str, tmp_path: Path) -> None:
    """XLNet reads the last place of a row, whatever fills it."""
    explain = explainer("multiple-choice", name)
    prompt, choices = "w10 w11 w12", ["w13", "w14 w15 w16", "w17 w18"]
    encoded = explain.wrapper.encode((prompt, choices))
    with torch.no_grad():
        alone = []
        for choice in choices:
            row = explain.processor(prompt, choice, return_tensors="pt")
            accepted = {n: t.unsqueeze(1) for n, t in row.items() if explain.wrapper.accepts(n)}
            alone.append(explain.model(**accepted).logits)
    laws.close(laws.own_forward(explain, encoded), torch.cat(alone, 1))
    result = explain.explain((prompt, choices))
    assert result.provenance["notes"] == []
    laws.whole(result)
    laws.comes_back(explain, result, tmp_path)
    laws.batch_and_order_are_no_matter(explain, [(prompt, choices), (prompt, choices[::-1]), ("w20 w21", choices)])


@pytest.mark.parametrize(("name", "notes"), [("bert", 0), ("xlnet", 1)])
def test_choices_that_arrive_padded_are_explained_as_given(name: str, notes: int) -> None:
    explain = explainer("multiple-choice", name)
    rows = explain.processor(
        ["w10 w11"] * 2, ["w13", "w14 w15 w16"], padding=True, padding_side="right", return_tensors="pt"
    )
    batch = {n: t.unsqueeze(0) for n, t in rows.items() if explain.wrapper.accepts(n)}
    result = FourierExplainer(explain.model, explain.processor).explain(batch)[0]
    with torch.no_grad():
        own = explain.model(**batch).logits[0]
    assert result.confidence == pytest.approx(float(own.softmax(-1).max()), rel=1e-5)
    assert ["padding changes the output" in note for note in result.provenance["notes"]] == [True] * notes
