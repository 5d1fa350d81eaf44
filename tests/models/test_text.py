"""Texts: what is content, where a pair is cut, what is masked, and embeddings that are found or refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from hf_fourier import FourierExplainer
from hf_fourier.errors import InputError, ModelError, TargetError
from hf_fourier.models.text import TextWrapper
from hf_fourier.seeding import ExampleRng
from tests.models import tiny_models, tiny_tokenizers

CLASSIFY = "text-classification"


def encoded(kind: str, example: Any, name: str = "bert", task: str = CLASSIFY) -> Any:
    return TextWrapper(tiny_models.build(task, name), tiny_tokenizers.tokenizer(kind), task).encode(example)


@pytest.mark.parametrize(("kind", "name"), [("bert", "bert"), ("roberta", "roberta")])
def test_each_text_of_a_pair_is_a_segment(kind: str, name: str) -> None:
    example = encoded(kind, (tiny_tokenizers.text(10, 11, 12), tiny_tokenizers.text(20, 21)), name)
    assert example.signal.segments == (3, 2)
    assert example.inputs["input_ids"][example.content].tolist() == [10, 11, 12, 20, 21]
    assert example.names == ("w10", "w11", "w12", "w20", "w21")
    alone = encoded(kind, tiny_tokenizers.text(10, 11, 12), name)
    assert alone.signal.segments == ()


@pytest.mark.parametrize(("kind", "name"), [("bert", "bert"), ("roberta", "roberta")])
def test_a_pair_transforms_each_text_by_itself(kind: str, name: str) -> None:
    explain = FourierExplainer(tiny_models.build(CLASSIFY, name), tiny_tokenizers.tokenizer(kind))
    result = explain.explain((tiny_tokenizers.text(10, 11, 12, 13), tiny_tokenizers.text(20, 21, 22)))
    first = result.layout["segment"] == 0
    basis = result.basis
    own = basis.keep_features(result.coefficients[None], first[None])[0]
    atol = 1e-5 * result.signal.abs().max().item()
    torch.testing.assert_close(own[:4], result.signal[:4], rtol=0, atol=atol)
    assert own[4:].abs().max() == 0


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_a_fast_tokenizers_dict_knows_its_pairs(kind: str) -> None:
    tokenizer = tiny_tokenizers.tokenizer(kind)
    batch = tokenizer(
        [tiny_tokenizers.text(10, 11, 12), tiny_tokenizers.text(13)], [tiny_tokenizers.text(20, 21),
        tiny_tokenizers.text(22, 23)],
        padding=True, return_tensors="pt", return_special_tokens_mask=True,
    )  # fmt: skip
    wrapper = TextWrapper(tiny_models.build(CLASSIFY, kind), None, CLASSIFY)
    assert [example.signal.segments for example in wrapper.encode_batch(batch)] == [(3, 2), (1, 2)]


def test_a_dict_of_a_pair_is_cut_by_its_token_types() -> None:
    batch = dict(
        tiny_tokenizers.tokenizer("bert")(tiny_tokenizers.text(10, 11), tiny_tokenizers.text(20), return_tensors="pt")
    )
    wrapper = TextWrapper(tiny_models.build(CLASSIFY, "bert"), tiny_tokenizers.tokenizer("bert"), CLASSIFY)
    assert wrapper.encode_batch(batch)[0].signal.segments == (2, 1)


def test_special_tokens_in_the_text_are_no_content() -> None:
    example = encoded("bert", "w10 [SEP] w11 [PAD] [MASK] w12 [UNK]")
    ids = example.inputs["input_ids"][example.content].tolist()
    assert ids == [10, 11, 12, tiny_models.UNKNOWN]  # an unknown word is a word


def test_what_the_model_does_not_take_is_left_out() -> None:
    example = encoded("bert", tiny_tokenizers.text(10, 11), "distilbert")
    explain = FourierExplainer(tiny_models.build(CLASSIFY, "distilbert"), tiny_tokenizers.tokenizer("bert"))
    assert explain.explain(tiny_tokenizers.text(10, 11)).scores.isfinite().all()
    assert "special_tokens_mask" not in example.inputs


def test_labels_in_a_dict_leave_the_config_alone() -> None:
    model = tiny_models.build(CLASSIFY, "bert")
    (result, *_) = FourierExplainer(model).explain({**tiny_models.batch(), "labels": torch.tensor([0, 1, 2])})
    assert model.config.problem_type is None
    assert "labels" not in result.inputs


@pytest.mark.parametrize("name", ["bert", "roberta", "mpnet", "esm", "gpt2"])
def test_a_long_text_is_cut_to_what_the_model_takes_and_it_is_said(name: str) -> None:
    kind = {"bert": "bert", "gpt2": "gpt"}.get(name, "roberta")
    model = tiny_models.build(CLASSIFY, name, max_position_embeddings=16, n_positions=16, pad_token_id=1)
    result = FourierExplainer(model, tiny_tokenizers.tokenizer(kind)).explain(
        tiny_tokenizers.texts(1, lengths=(40,))[0]
    )
    counted_from_padding = {"roberta", "mpnet", "esm"}
    assert len(result.inputs["input_ids"]) == (14 if name in counted_from_padding else 16)
    assert "was cut to" in result.provenance["notes"][0]


def test_the_tokenizers_own_limit_counts_too() -> None:
    explain = FourierExplainer(
        tiny_models.build(CLASSIFY, "bert"), tiny_tokenizers.tokenizer("bert", model_max_length=10)
    )
    assert len(explain.explain(tiny_tokenizers.texts(1, lengths=(20,))[0]).inputs["input_ids"]) == 10


def test_one_token_and_many_are_explained() -> None:
    explain = FourierExplainer(tiny_models.build(CLASSIFY, "bert"), tiny_tokenizers.tokenizer("bert"))
    for length in (1, 2, 3, 7, 13, 16):
        result = explain.explain(tiny_tokenizers.texts(1, lengths=(length,))[0])
        assert result.signal.shape[0] == length
        assert result.scores.isfinite().all()


class TestMasks:
    def explainer(self, name: str = "bert") -> FourierExplainer:
        kind = "bert" if name == "bert" else "roberta"
        return FourierExplainer(tiny_models.build("fill-mask", name), tiny_tokenizers.tokenizer(kind))

    def test_rows_with_different_numbers_of_masks_stay_apart(self) -> None:
        ids = torch.tensor([[1, 10, 4, 11, 2, 0], [1, 10, 11, 2, 0, 0], [1, 4, 4, 10, 11, 2]])
        batch = {"input_ids": ids, "attention_mask": (ids != 0).long()}
        results = self.explainer().explain(batch)
        assert [len(r.target) if isinstance(r.target, list) else 1 for r in results] == [1, 2, 2]
        assert all(result.signal.shape[0] == 2 for result in results)
        self.explainer().perturb(results, fractions=[0.5])

    def test_masks_in_turn_keep_their_own_embedding(self) -> None:
        explain = self.explainer()
        example = explain.wrapper.encode(tiny_tokenizers.text(10, 11, 12))
        block = explain.wrapper.example_batch([example], ExampleRng(0, [example.key]))
        assert block.rows_per_signal == 3
        with torch.no_grad():
            ours = block.logits(block.forward(block.signal, torch.tensor([0])), torch.tensor([0]))[0]
            for place, position in enumerate(block.positions[0].tolist()):
                ids = example.inputs["input_ids"].clone()
                ids[position] = tiny_models.MASK
                theirs = explain.model(input_ids=ids[None]).logits[0, position]
                torch.testing.assert_close(ours[place], theirs, rtol=1e-5, atol=1e-5)

    def test_another_seed_asks_and_predicts_at_the_same_positions(self) -> None:
        explain = self.explainer()
        for seed in (0, 5):
            result = explain.explain(tiny_tokenizers.texts(1, lengths=(20,))[0], seed=seed)
            said = explain.predict(result, signal=result.keep_top(1.0)).logits.log_softmax(-1)
            frozen = result.frozen_target
            value = said.gather(-1, frozen[:, None]).mean().item()
            assert value == pytest.approx(result.value, abs=1e-4)

    def test_a_target_names_the_token_for_the_mask(self) -> None:
        result = self.explainer().explain("w10 [MASK] w11", "w20")
        assert (result.target, result.label) == (20, "w20")
        with pytest.raises(TargetError, match="2 tokens"):
            self.explainer().explain("w10 [MASK] w11", "w20 w21")

    def test_without_a_mask_a_target_is_refused(self) -> None:
        with pytest.raises(TargetError, match="without a mask"):
            self.explainer().explain("w10 w11", 20)

    def test_a_dict_needs_a_mask_that_something_names(self) -> None:
        with pytest.raises(InputError, match="pass the tokenizer"):
            FourierExplainer(tiny_models.build("fill-mask", "bert")).explain(tiny_models.batch(masks=True))


class TestNextToken:
    @pytest.mark.parametrize("padded", ["none", "left", "right"])
    def test_it_is_read_behind_the_last_token_that_is_attended(self, padded: str) -> None:
        model = tiny_models.build("text-generation", "llama")
        batch = tiny_models.batch(padded)
        results = FourierExplainer(model).explain(batch)
        with torch.no_grad():
            for row, result in enumerate(results):
                own = {key: batch[key][row : row + 1] for key in ("input_ids", "attention_mask")}
                last = int(own["attention_mask"][0].nonzero().max())
                p = model(**own).logits[0, last].softmax(-1)
                assert result.target == int(p.argmax())
                assert result.confidence == pytest.approx(p.max().item(), rel=1e-4)

    def test_a_token_beyond_the_tokenizer_is_named_by_its_number(self) -> None:
        model = tiny_models.build("text-generation", "gpt2", vocab_size=80)
        explain = FourierExplainer(model, tiny_tokenizers.tokenizer("gpt"))
        assert explain.explain(tiny_tokenizers.text(10, 11), 70).label == "70"


class Custom(torch.nn.Module):
    """A classifier that is no `transformers` model and says nothing of its embedding."""

    def __init__(self, asked: int = 1, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.table = torch.nn.Embedding(tiny_models.VOCABULARY, 12)
            self.dropout = torch.nn.Dropout(0.5)
            self.out = torch.nn.Linear(12, 3)
        self.asked = asked

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        heard = sum(self.table(input_ids) for _ in range(self.asked))
        if not self.asked:
            heard = self.table.weight[input_ids]
        return self.out(torch.tanh(self.dropout(heard)).mean(1))


class TinyForSequenceClassification(Custom):
    pass


class TestEmbeddings:
    def explain(self, model: torch.nn.Module) -> Any:
        from types import SimpleNamespace

        model.config = SimpleNamespace(id2label={0: "a", 1: "b", 2: "c"})
        return FourierExplainer(model).explain(tiny_models.batch())

    def test_a_custom_classifier_is_recognised_by_its_name_and_its_embedding_found(self) -> None:
        model = TinyForSequenceClassification()
        results = self.explain(model)
        assert all(result.label in "abc" and result.gradient.abs().max() > 0 for result in results)
        assert all(module.training for module in model.modules())

    def test_an_embedding_that_is_asked_twice_is_refused(self) -> None:
        with pytest.raises(ModelError, match="called 2 times"):
            self.explain(TinyForSequenceClassification(asked=2))

    def test_an_embedding_that_is_never_asked_is_refused(self) -> None:
        with pytest.raises(ModelError, match="no embedding module takes the input ids"):
            self.explain(TinyForSequenceClassification(asked=0))

    def test_a_declared_module_that_is_not_asked_is_seen_through(self) -> None:
        model = TinyForSequenceClassification()
        wrapper = torch.nn.Sequential(model.table)  # asked through its inside alone
        model.get_input_embeddings = lambda: wrapper
        results = self.explain(model)
        assert all(result.gradient.abs().max() > 0 for result in results)

    def test_a_declared_module_that_says_something_else_is_refused(self) -> None:
        model, other = TinyForSequenceClassification(), torch.nn.Embedding(tiny_models.VOCABULARY, 12)
        model.get_input_embeddings = lambda: other
        with pytest.raises(ModelError, match="is not what embeds its ids"):
            self.explain(model)

    def test_a_class_without_such_a_name_is_a_network(self) -> None:
        with pytest.raises(InputError, match="pass preprocess="):
            FourierExplainer(Custom()).explain(tiny_models.batch())


def test_a_tokenizer_that_cannot_tell_its_pairs_apart_is_taken_by_token_types() -> None:
    tokenizer: Callable[..., Any] = tiny_tokenizers.tokenizer("bert")
    batch = tokenizer(
        tiny_tokenizers.text(10, 11), tiny_tokenizers.text(20, 21), return_tensors="pt", return_special_tokens_mask=True
    )
    wrapper = TextWrapper(tiny_models.build(CLASSIFY, "bert"), None, CLASSIFY)
    assert wrapper.encode_batch(dict(batch))[0].signal.segments == (2, 2)
