"""What targets become: spaces and capitals of tokens, words that the tokenizer does not know, lists, contrasts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from hf_fourier import FourierExplainer
from hf_fourier.errors import TargetError
from hf_fourier.models.tokenization import compared_spellings, spellings
from hf_fourier.scoring.targets import AnswerSpan, Continuation, Contrast, Direction, Position, Typed, checked_index
from tests.models import tiny_models, tiny_tokenizers

GENERATE = "text-generation"
PROMPT = "the capital of France is"


def expecting(kind: str, token: str) -> FourierExplainer:
    """A language model that expects a token behind the prompt."""
    tokenizer = tiny_tokenizers.spaced(kind)
    model = tiny_models.build(GENERATE, "llama", vocab_size=len(tokenizer))
    with torch.no_grad():
        ids = tokenizer(PROMPT, return_tensors="pt")["input_ids"]
        state = model.model(ids).last_hidden_state[0, -1]
        model.lm_head.weight[tokenizer.convert_tokens_to_ids(token)] = 9 * state / state.square().sum()
    return FourierExplainer(model, tokenizer)


class TestSpaces:
    @pytest.mark.parametrize(("kind", "mark"), [("bytes", "Ġ"), ("sentencepiece", "▁")])
    def test_the_likelier_spelling_is_said_with_both_probabilities(self, kind: str, mark: str) -> None:
        explain = expecting(kind, f"{mark}Paris")
        said, forms = explain.explain(PROMPT), spellings(explain.processor, [explain.explain(PROMPT).target])
        assert explain.processor.convert_ids_to_tokens(said.target) == f"{mark}Paris"
        assert (said.confidence > 0.9, said.provenance["notes"]) == (True, [])
        assert {"Paris"} <= set(explain.processor.convert_ids_to_tokens(list(forms))) if kind == "bytes" else True

    def test_a_target_without_its_space_is_taken_exactly_and_the_likelier_one_is_offered(self) -> None:
        explain = expecting("bytes", "ĠParis")
        (note,) = explain.explain(PROMPT, "Paris").provenance["notes"]
        bare, spaced = explain.explain(PROMPT, "Paris"), explain.explain(PROMPT, " Paris")
        assert bare.target == explain.processor.get_vocab()["Paris"]
        assert spaced.target == explain.processor.get_vocab()["ĠParis"]
        assert bare.confidence < 0.05 < 0.5 < spaced.confidence
        said = f"the target begins with 'Paris' (p = {bare.confidence:.2g}); ' Paris' is far likelier here"
        assert note == f"{said} (p = {spaced.confidence:.2g}): pass that to explain it"
        assert spaced.provenance["notes"] == []
        assert explain.explain(PROMPT, bare.target).provenance["notes"] == []  # an id is meant as it is

    @pytest.mark.parametrize(
        "target", [Continuation("Paris"), Continuation("Paris is"), Contrast("Paris", " is"), Contrast(" is", "Paris")]
    )
    def test_continuations_and_contrasts_likewise(self, target: Any) -> None:
        notes = expecting("bytes", "ĠParis").explain(PROMPT, target).provenance["notes"]
        assert any("' Paris' is far likelier here" in note for note in notes)

    @pytest.mark.parametrize("target", [Continuation(" Paris"), Continuation(" Paris is"), Contrast(" Paris", " is")])
    def test_with_its_space_nothing_is_said_of_it(self, target: Any) -> None:
        notes = expecting("bytes", "ĠParis").explain(PROMPT, target).provenance["notes"]
        assert not any("likelier" in note for note in notes)

    def test_capitals_count_too(self) -> None:
        notes = expecting("bytes", "ĠParis").explain(PROMPT, " paris").provenance["notes"]
        assert any("begins with ' paris'" in note and "' Paris' is far likelier" in note for note in notes)

    def test_a_space_that_the_tokenizer_puts_in_front_is_said(self) -> None:
        explain = expecting("sentencepiece", "▁Paris")
        result = explain.explain(PROMPT, "Paris")
        assert result.target == explain.processor.get_vocab()["▁Paris"]
        (note,) = result.provenance["notes"]
        assert note.startswith("the target 'Paris' was taken as ' Paris'")

    def test_a_continuation_begins_with_one_space_alone(self) -> None:
        explain = expecting("sentencepiece", "▁Paris")
        result = explain.explain(PROMPT, Continuation(" Paris"))
        assert result.target == [explain.processor.get_vocab()["▁Paris"]]
        assert result.confidence > 0.5

    def test_several_tokens_are_refused_with_advice_that_works(self) -> None:
        explain = expecting("bytes", "ĠParis")
        with pytest.raises(TargetError, match="pass Continuation"):
            explain.explain(PROMPT, " Paris is")
        assert len(explain.explain(PROMPT, Continuation(" Paris is")).target) == 2


class TestUnknownWords:
    @pytest.mark.parametrize(
        ("task", "example"),
        [
            ("text-classification", "w10 zebra w11 okapi zebra"),
            ("text-classification", ("w10 zebra", "w11 okapi")),
            ("fill-mask", "w10 [MASK] zebra okapi"),
            ("text-generation", "w10 zebra okapi"),
            ("token-classification", "zebra w10 okapi"),
            ("question-answering", ("w10 zebra", "w11 okapi w12")),
            ("multiple-choice", ("w10 zebra", ["w11", "okapi w12"])),
        ],
    )
    def test_a_note_names_them(self, task: str, example: Any) -> None:
        name = "llama" if task == GENERATE else "bert"
        explain = FourierExplainer(tiny_models.build(task, name), tiny_tokenizers.tokenizer("bert"))
        assert any(
            note == "not in the vocabulary, read as [UNK]: 'zebra', 'okapi'"
            for note in explain.explain(example).provenance["notes"]
        )

    def test_the_mark_itself_and_known_words_need_none(self) -> None:
        explain = FourierExplainer(tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer("bert"))
        for text in ("w10 w11", "w10 [UNK] w11"):
            assert explain.explain(text).provenance["notes"] == []

    def test_of_ids_their_number_is_said(self) -> None:
        explain = FourierExplainer(tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer("bert"))
        (result,) = explain.explain(explain.processor("w10 zebra okapi", return_tensors="pt"))
        assert result.provenance["notes"][0].startswith("2 of 5 tokens stand for words that are not in the vocabulary")

    @pytest.mark.parametrize(
        ("task", "name", "example", "target"),
        [
            ("fill-mask", "bert", "w10 [MASK]", "zebra"),
            ("fill-mask", "bert", "w10 [MASK]", Contrast("w11", "zebra")),
            ("text-generation", "llama", "w10 w11", "zebra"),
            ("text-generation", "llama", "w10 w11", Continuation(" w12 zebra")),
            ("text-generation", "llama", "w10 w11", Contrast(" zebra", " w12")),
            ("text2text-generation", "t5", "w10 w11", "w12 zebra"),
            ("question-answering", "bert", ("w10", "w11 okapi w12"), "zebra"),
        ],
    )
    def test_a_target_that_holds_them_is_refused(self, task: str, name: str, example: Any, target: Any) -> None:
        explain = FourierExplainer(tiny_models.build(task, name), tiny_tokenizers.tokenizer("bert"))
        with pytest.raises(TargetError, match="the tokenizer reads 'zebra' as"):
            explain.explain(example, target)

    def test_the_advice_works(self) -> None:
        explain = FourierExplainer(tiny_models.build("fill-mask", "bert"), tiny_tokenizers.tokenizer("bert"))
        with pytest.raises(TargetError, match="pass 3 to explain that token itself"):
            explain.explain("w10 [MASK]", "zebra")
        assert explain.explain("w10 [MASK]", 3).label == explain.explain("w10 [MASK]", "[UNK]").label == "[UNK]"


class TestKinds:
    def test_a_contrast_of_continuations_is_that_of_their_texts(self) -> None:
        explain = FourierExplainer(tiny_models.build(GENERATE, "llama"), tiny_tokenizers.tokenizer("gpt"))
        text, target = tiny_tokenizers.text(10, 11), Contrast(" w15 w16", " w17 w18")
        known = explain.explain(text, target)
        given = [
            Contrast(Continuation(" w15 w16"), Continuation(" w17 w18")),
            Contrast(Continuation([15, 16]), " w17 w18"),
            Contrast(np.array([15, 16]), torch.tensor([17, 18])),
        ]
        for one in given:
            result = explain.explain(text, one)
            assert (result.value, result.label) == (known.value, known.label)
        single = explain.explain(text, Contrast(np.int64(15), torch.tensor(17)))
        assert single.value == pytest.approx(explain.explain(text, Contrast(" w15", " w17")).value, rel=1e-5)

    @pytest.mark.parametrize(
        "one",
        [
            Position(0),
            AnswerSpan(0, 1),
            Contrast(" w15", " w16"),
            Direction([1.0]),
            None,
            len,
            1.5,
            True,
            {"a": 1},
            [" w15"],
            "",
        ],
    )
    def test_a_contrast_of_anything_else_is_refused(self, one: Any) -> None:
        explain = FourierExplainer(tiny_models.build(GENERATE, "llama"), tiny_tokenizers.tokenizer("gpt"))
        for target in (Contrast(one, " w17"), Contrast(" w17", one), Contrast(" w17", " w17")):
            with pytest.raises(TargetError):
                explain.explain(tiny_tokenizers.text(10, 11), target)
        classes = FourierExplainer(tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer("bert"))
        with pytest.raises(TargetError):
            classes.explain(tiny_tokenizers.text(10, 11), Contrast(one, 1))

    @pytest.mark.parametrize("text", [None, 1.5, {"a": 1}, Position(0), [" w15"], True])
    def test_a_continuation_of_anything_else_is_refused(self, text: Any) -> None:
        explain = FourierExplainer(tiny_models.build(GENERATE, "llama"), tiny_tokenizers.tokenizer("gpt"))
        with pytest.raises(TargetError):
            explain.explain(tiny_tokenizers.text(10, 11), Continuation(text))

    def test_whole_numbers_of_any_kind_are_meant_alike(self) -> None:
        explain = FourierExplainer(tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer("bert"))
        for one in (1, np.int64(1), torch.tensor(1), torch.tensor([1]), np.array([1]), Typed("1")):
            assert explain.explain(tiny_tokenizers.text(10, 11), one).target == 1
        for wrong in ([1], [0, 1], "1", True, torch.tensor(True), torch.tensor(1.0)):
            with pytest.raises(TargetError):
                explain.explain(tiny_tokenizers.text(10, 11), wrong)
        for wrong in (np.True_, 1.0, {0: 1}, {1}, b"LABEL_1"):  # which no type checker lets pass
            with pytest.raises(TargetError):
                explain.wrapper.head().check(wrong)
        with pytest.raises(TargetError, match="pass targets="):
            explain.explain(tiny_tokenizers.text(10, 11), ["LABEL_0", "LABEL_1"])
        with pytest.raises(TargetError, match="pass 1, a number"):
            explain.explain(tiny_tokenizers.text(10, 11), "1")
        with pytest.raises(TargetError):
            checked_index(1.5, 3, {})

    def test_of_an_answer_that_stands_twice_the_first_is_explained_and_it_is_said(self) -> None:
        explain = FourierExplainer(tiny_models.build("question-answering", "bert"), tiny_tokenizers.tokenizer("bert"))
        twice = explain.explain(("w10", "w11 w12 w13 w11 w12"), "w11 w12")
        assert (twice.target, len(twice.provenance["notes"])) == ([1, 2], 1)
        assert "occurs 2 times" in twice.provenance["notes"][0]
        once = explain.explain(("w10", "w11 w12 w13 w11 w12"), "w12 w13")
        assert (once.target, once.provenance["notes"]) == ([2, 3], [])

    def test_each_mask_is_compared_at_its_own_place(self) -> None:
        """The first place expects capitals, the second small letters."""
        tokenizer = tiny_tokenizers.spaced("bytes")
        vocabulary = tokenizer.get_vocab()
        capital, small = vocabulary["ĠParis"], vocabulary["Ġparis"]
        logits = torch.zeros(2, len(tokenizer))
        logits[0, capital] = logits[1, small] = 9
        forms = [spellings(tokenizer, [one]) for one in (capital, small)]
        assert compared_spellings(tokenizer, forms, logits, torch.tensor([capital, small]), False) == ()
        turned = compared_spellings(tokenizer, forms, logits, torch.tensor([small, capital]), False)
        assert ["' Paris'" in turned[0], "' paris'" in turned[1], len(turned)] == [True, True, 2]

    def test_masks_take_a_token_each_by_its_name(self) -> None:
        explain = FourierExplainer(tiny_models.build("fill-mask", "bert"), tiny_tokenizers.tokenizer("bert"))
        text = "w10 [MASK] w11 [MASK]"
        assert explain.explain(text, ["w20", "w21"]).target == [20, 21]
        assert explain.explain(text, np.array([20, 21])).value == explain.explain(text, ["w20", "w21"]).value
        with pytest.raises(TargetError, match="pass their tokens in a list"):
            explain.explain(text, "w20 w21")
