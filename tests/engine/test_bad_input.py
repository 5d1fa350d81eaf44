"""Whatever cannot be explained is refused with what was got, what was expected and what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from hf_fourier import FourierExplainer
from hf_fourier.errors import FourierError, InputError, ModelError, SpecError, TargetError
from tests.models import tiny_models, tiny_tokenizers

pytestmark = pytest.mark.usefixtures("unchecked")
TEXT = tiny_tokenizers.text(10, 11, 12)
LABELS = {0: "ham", 1: "spam", 2: "neither"}


@pytest.fixture(scope="module")
def explain() -> FourierExplainer:
    model = tiny_models.build("text-classification", "bert", id2label=LABELS)
    return FourierExplainer(model, tiny_tokenizers.tokenizer("bert"))


def refused(kind: type[FourierError], do: Callable[[], Any], *said: str) -> FourierError:
    with pytest.raises(FourierError) as caught:
        do()
    assert isinstance(caught.value, kind), repr(caught.value)
    text = str(caught.value)
    assert "got " in text
    assert "; expected " in text
    assert text.count(";") >= 2
    assert len(text) < 500
    for word in said:
        assert word in text, text
    return caught.value


IDS = torch.tensor([[1, 10, 11, 2]])
EXAMPLES: dict[str, tuple[Any, tuple[str, ...]]] = {
    "an empty list": ([], ("an empty list", "at least one example")),
    "an empty text": ("", ("without content tokens",)),
    "special tokens alone": ("[SEP] [PAD] [MASK]", ("without content tokens",)),
    "white space": ("  \n ", ("without content tokens",)),
    "bytes": (b"w10", ("type bytes", "a str")),
    "a number": (3, ("type int", "a str")),
    "nothing": (None, ("type NoneType", "a str")),
    "three texts": (("w10", "w11", "w12"), ("a tuple of two",)),
    "a set": ({"w10"}, ("type set", "a list")),
    "a list in a list": ([["w10", "w11"]], ("example 0", "type list")),
    "a list of dicts": ([{"input_ids": IDS}], ("example 0", "a dict in a list", "the dict itself")),
    "one bad among good": ([TEXT, "", TEXT], ("example 1", "without content tokens")),
    "an empty dict": ({}, ("input_ids",)),
    "no ids": ({"attention_mask": torch.ones(1, 4)}, ("input_ids",)),
    "ids without a batch": ({"input_ids": IDS[0]}, ("(4,)", "2 dimensions")),
    "ids of no text": ({"input_ids": torch.zeros(0, 4, dtype=torch.long)}, ("none empty",)),
    "ids of no length": ({"input_ids": torch.zeros(1, 0, dtype=torch.long)}, ("none empty",)),
    "real ids": ({"input_ids": IDS.float()}, ("torch.float32", "whole numbers")),
    "truth values as ids": ({"input_ids": IDS.bool()}, ("torch.bool", "whole numbers")),
    "ragged ids": ({"input_ids": [[1, 10], [1]]}, ("input_ids", "return_tensors")),
    "ids out of vocabulary": ({"input_ids": IDS + 60}, ("61 to 71", "0 to 63", "tokenizer")),
    "negative ids": ({"input_ids": IDS - 5}, ("-4 to 6", "0 to 63")),
    "padding alone": ({"input_ids": IDS, "attention_mask": IDS * 0}, ("without content tokens",)),
    "a mask of another length": (
        {"input_ids": IDS, "attention_mask": torch.ones(1, 5)},
        ("'attention_mask' of 5 tokens", "4"),
    ),
    "another special tokens mask": (
        {"input_ids": IDS, "special_tokens_mask": torch.ones(1, 3)},
        ("'special_tokens_mask' of 3 tokens",),
    ),
    "a mask for more texts": ({"input_ids": IDS, "attention_mask": torch.ones(2, 4)}, ("1 rows",)),
    "more tokens than the model takes": ({"input_ids": IDS.repeat(1, 20)}, ("input_ids (1, 80)", "refuses")),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_bad_examples(explain: FourierExplainer, name: str) -> None:
    example, said = EXAMPLES[name]
    kind = ModelError if "takes" in name else InputError
    refused(kind, lambda: explain.explain(example), *said)
    refused(kind, lambda: explain.predict(example), *said)


OPTIONS: dict[str, tuple[type[FourierError], dict[str, Any], tuple[str, ...]]] = {
    "an unknown label": (TargetError, {"target": "spma"}, ("'spma'", "'ham'", "did you mean 'spam'?")),
    "a label unlike any": (TargetError, {"target": "xyzzy"}, ("'xyzzy'", "'neither'", "class index")),
    "an index out of range": (TargetError, {"target": 3}, ("3", "0 to 2", "ham")),
    "a negative index": (TargetError, {"target": -1}, ("-1", "0 to 2")),
    "half a class": (TargetError, {"target": 1.5}, ("1.5", "class index")),
    "yes as a class": (TargetError, {"target": True}, ("True", "class index")),
    "several classes": (TargetError, {"target": [0, 1]}, ("2 targets", "one")),
    "an unknown label among targets": (TargetError, {"targets": ["egg"]}, ("'egg'", "'ham'")),
    "too many targets": (InputError, {"targets": [0, 1]}, ("2 targets for 1 examples", "one per example")),
    "targets that are one": (InputError, {"targets": "spam"}, ("'spam'", "`target`")),
    "targets that are a number": (InputError, {"targets": 1}, ("1", "`target`")),
    "both": (InputError, {"target": 1, "targets": [1]}, ("target and targets", "one of the two")),
    "an unknown method": (SpecError, {"method": "fcf"}, ("'fcf'", "did you mean 'ffc'?")),
    "an unknown parameter": (SpecError, {"method": "ffc:kapa=.1"}, ("kapa=.1", "kappa")),
    "a value out of range": (SpecError, {"method": "ffc:steps=0"}, ("steps", "at least 1")),
    "an unknown preset": (SpecError, {"method": "ffc:preset=mine"}, ("'mine'", "imagenet")),
    "no method": (SpecError, {"method": 3}, ("3", "method")),
    "an unknown domain": (SpecError, {"domain": "furier"}, ("'furier'", "did you mean 'fourier'?")),
    "an unknown axis": (SpecError, {"domain": "fourier:axes=height"}, ("'height'", "token")),
    "batches of nothing": (InputError, {"batch_size": 0}, ("batch_size 0", "at least 1", "'auto'")),
    "batches of half a row": (InputError, {"batch_size": 0.5}, ("batch_size 0.5",)),
    "batches by name": (InputError, {"batch_size": "big"}, ("'big'", "'auto'")),
    "a target that is no row": (TargetError, {"target": lambda outputs: outputs.logits}, ("(rows,)",)),
    "a target for another batch": (TargetError, {"target": lambda outputs: torch.ones(5)}, ("one per row",)),
    "a target apart from the input": (ModelError, {"target": lambda outputs: torch.ones(1)}, ("differentiable",)),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_bad_options(explain: FourierExplainer, name: str) -> None:
    kind, options, said = OPTIONS[name]
    refused(kind, lambda: explain.explain(TEXT, **options), *said)


def test_whole_numbers_of_any_kind_are_class_indices(explain: FourierExplainer) -> None:
    for one in (1, np.int64(1), torch.tensor(1), "SPAM"):
        assert explain.explain(TEXT, one).label == "spam"
    assert [r.target for r in explain.explain([TEXT] * 3, targets=torch.tensor([2, 0, 1]))] == [2, 0, 1]
    first, _ = explain.explain([TEXT] * 2, targets=(2, None))
    assert first.target == 2


def test_a_raw_example_without_a_processor(explain: FourierExplainer) -> None:
    bare = FourierExplainer(explain.model)
    refused(InputError, lambda: bare.explain(TEXT), "without a processor", "'input_ids'")
    vision = FourierExplainer(tiny_models.build("image-classification", "vit"))
    refused(InputError, lambda: vision.explain(np.zeros((8, 8, 3), np.uint8)), "without a processor", "'pixel_values'")


def test_a_signal_that_does_not_fit(explain: FourierExplainer) -> None:
    result = explain.explain(TEXT)
    for signal, said in (
        (result.signal[:2], "(2, 32)"),
        (result.signal[None], "(1, 3, 32)"),
        (result.signal.numpy(), "ndarray"),
        (0.04, "float"),
    ):
        refused(InputError, lambda signal=signal: explain.predict(TEXT, signal=signal), said, "(3, 32)", "a.keep")
    refused(InputError, lambda: explain.predict([TEXT, TEXT]), "2 examples", "one")


def test_results_of_another_kind_of_model(explain: FourierExplainer) -> None:
    vision = FourierExplainer(tiny_models.build("image-classification", "vit"))
    (picture,) = vision.explain({"pixel_values": torch.rand(1, 3, 32, 32)})
    refused(InputError, lambda: explain.perturb(picture), "pixels", "tokens", "own model")
    refused(InputError, lambda: vision.perturb(explain.explain(TEXT)), "tokens", "pixels")
    masked = FourierExplainer(tiny_models.build("fill-mask", "bert"), tiny_tokenizers.tokenizer("bert"))
    refused(InputError, lambda: masked.predict(explain.explain(TEXT)), "text-classification", "fill-mask")


def test_shares_that_cannot_be_played(explain: FourierExplainer) -> None:
    result = explain.explain(TEXT)
    for kept in ([], [1.5], [-0.1], [float("nan")], ["a"]):
        refused(InputError, lambda kept=kept: explain.perturb(result, kept), "fractions from 0 to 1")
    refused(InputError, lambda: result.keep_top(2.0), "0 to 1", "k=")
    refused(InputError, lambda: result.keep_top(), "one of the two")
    refused(InputError, lambda: result.render(0.1), "input_relevance")


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_model_that_answers_nonsense(value: float) -> None:
    model = tiny_models.build("text-classification", "bert")
    with torch.no_grad():
        model.classifier.bias[0] = value
    refused(
        ModelError, lambda: FourierExplainer(model, tiny_tokenizers.tokenizer("bert")).explain(TEXT), "finite", "dtype"
    )


def test_what_was_computed_is_in_the_error(explain: FourierExplainer) -> None:
    texts = [tiny_tokenizers.text(10, 11), tiny_tokenizers.text(12, 13, 14), tiny_tokenizers.text(15, 16)]
    alone = [explain.explain(text) for text in texts]

    def fail(module: torch.nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
        if kwargs["input_ids"].shape[1] > 4:
            raise ValueError("too long for me")

    handle = explain.model.register_forward_pre_hook(fail, with_kwargs=True)
    try:
        error = refused(ModelError, lambda: explain.explain(texts), "too long for me")
    finally:
        handle.remove()
    assert sorted(error.completed) == [0, 2]
    for index, result in error.completed.items():
        torch.testing.assert_close(result.scores, alone[index].scores)
    assert any("2 of 3" in note for note in error.__notes__)
    error = refused(TargetError, lambda: explain.explain([*texts[:1], texts[1]], targets=[0, 9]), "9")
    assert sorted(error.completed) == [0]


def test_a_processor_of_another_kind() -> None:
    vision = FourierExplainer(tiny_models.build("image-classification", "vit"), tiny_tokenizers.tokenizer("bert"))
    refused(InputError, lambda: vision.explain(np.zeros((8, 8, 3), np.uint8)), "refuses", "processor")
