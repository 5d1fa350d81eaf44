"""Language models are asked what generation asks them: prompts without a closing mark, chats, settings, padding."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hf_fourier import FourierExplainer
from hf_fourier.errors import InputError, TargetError
from hf_fourier.models.prompts import written_out
from hf_fourier.scoring.targets import Continuation, Contrast
from tests.models import laws, tiny_models, tiny_tokenizers

GENERATE = "text-generation"
TEXT = tiny_tokenizers.text(10, 11, 12, 13)
TEMPLATE = (
    "{% for m in messages %}{% if loop.first and m['role'] != 'system' %}w50 w51 {% endif %}"
    "<s> {{ m['role'] }} {{ m['content'] }}{% if not loop.last or add_generation_prompt %} </s> {% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<s> w40{% endif %}"
)
CHAT = [{"role": "w41", "content": "w10 w11 w12"}, {"role": "assistant", "content": "w13"}, {"role": "w41", "content": "w14 w15"}]  # fmt: skip  # noqa: E501


def explainer(kind: str = "gpt", name: str = "llama", **changes: Any) -> FourierExplainer:
    return FourierExplainer(tiny_models.build(GENERATE, name, **changes), tiny_tokenizers.tokenizer(kind))


def generated(explain: FourierExplainer, ids: list[int], **options: Any) -> tuple[int, torch.Tensor]:
    """The token that `generate` says next, greedily, and the probabilities that it chooses by."""
    rows = torch.tensor([ids])
    said = explain.model.generate(
        input_ids=rows, attention_mask=torch.ones_like(rows), do_sample=False, max_new_tokens=1, output_scores=True,
        return_dict_in_generate=True, **options,
    )  # fmt: skip
    return int(said.sequences[0, -1]), said.scores[0][0].softmax(-1)


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_what_a_template_sets_behind_a_prompt_is_left_off_and_it_is_said(kind: str) -> None:
    explain = explainer(kind)
    ids = explain.processor(TEXT)["input_ids"]
    assert ids[-1] == tiny_models.END
    token, p = generated(explain, ids[:-1])
    result = explain.explain(TEXT)
    assert result.inputs["input_ids"].tolist() == ids[:-1]
    assert (result.target, result.confidence) == (token, pytest.approx(float(p[token]), rel=1e-4))
    mark = "[SEP]" if kind == "bert" else "</s>"
    (note,) = result.provenance["notes"]
    assert note.startswith(f"{mark}, which the tokenizer adds after a text, was removed")
    assert explain.predict(TEXT).label == result.label
    log_p = generated(explain, [*ids[:-1], 20])[1].log()[21] + p.log()[20]
    assert explain.explain(TEXT, Continuation(" w20 w21")).value == pytest.approx(float(log_p) / 2, rel=1e-3)
    masked = FourierExplainer(tiny_models.build("fill-mask", kind), tiny_tokenizers.tokenizer(kind))
    text = f"w10 {masked.processor.mask_token} w11"
    assert masked.explain(text).inputs["input_ids"][-1] == tiny_models.END


def test_ids_are_explained_as_they_are_and_a_closing_mark_is_said() -> None:
    explain = explainer("roberta")
    batch = explain.processor(TEXT, return_tensors="pt")
    (result,) = explain.explain(batch)
    assert result.target == generated(explain, batch["input_ids"][0].tolist())[0]
    (note,) = result.provenance["notes"]
    assert note.startswith("the ids end with </s>")
    (open_,) = explain.explain({name: tensor[:, :-1] for name, tensor in batch.items()})
    assert open_.provenance["notes"] == []
    assert open_.target == explain.explain(TEXT).target


def test_ids_without_the_mark_that_begins_a_text_are_said() -> None:
    explain = explainer("roberta")
    explain.processor.bos_token = "<s>"
    ids = torch.tensor([explain.processor(TEXT)["input_ids"][:-1]])
    (whole,), (bare,) = explain.explain({"input_ids": ids}), explain.explain({"input_ids": ids[:, 1:]})
    assert whole.provenance["notes"] == []
    assert bare.provenance["notes"] == ["the ids do not begin with <s>, which the tokenizer puts before a text"]
    assert bare.target == generated(explain, ids[0, 1:].tolist())[0]


def test_of_a_long_prompt_the_end_is_kept() -> None:
    explain = explainer("roberta", max_position_embeddings=16)
    ids = torch.randint(5, 64, (40,), generator=torch.Generator().manual_seed(4)).tolist()
    result = explain.explain(tiny_tokenizers.text(*ids))
    assert result.inputs["input_ids"].tolist() == [tiny_models.BEGIN, *ids[-15:]]
    assert result.target == generated(explain, [tiny_models.BEGIN, *ids[-15:]])[0]
    assert any("was cut to the model's 16: its end was kept" in note for note in result.provenance["notes"])
    fits = explain.explain(tiny_tokenizers.text(*ids[:15]))
    assert not any("cut" in note for note in fits.provenance["notes"])


def test_a_mark_that_begins_a_prompt_twice_is_said() -> None:
    explain = explainer("roberta")
    explain.processor.bos_token = "<s>"
    notes = explain.explain(f"<s> {TEXT}").provenance["notes"]
    assert any(note.startswith("the prompt begins with <s> twice") for note in notes)
    assert not any("twice" in note for note in explain.explain(TEXT).provenance["notes"])


@pytest.mark.parametrize("name", ["gpt2", "llama"])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("mask", [True, False])
def test_padded_prompts_are_those_of_generation(name: str, side: str, mask: bool) -> None:
    explain = explainer(name=name)
    batch = dict(
        explain.processor([TEXT, tiny_tokenizers.text(20, 21)], padding=True, padding_side=side, return_tensors="pt")
    )
    if not mask:
        del batch["attention_mask"]
    results = explain.explain(batch)
    for text, result in zip((TEXT, tiny_tokenizers.text(20, 21)), results, strict=True):
        token, p = generated(explain, explain.processor(text)["input_ids"])
        assert (result.target, result.confidence) == (token, pytest.approx(float(p[token]), rel=1e-4))
        laws.same(result, explain.explain(text))


def test_tokens_that_generation_signals_out_are_not_what_is_explained() -> None:
    explain = explainer()
    ids = explain.processor(TEXT)["input_ids"]
    order = generated(explain, ids)[1].argsort(descending=True).tolist()
    own = explain.model.generation_config
    own.suppress_tokens, own.begin_suppress_tokens, own.bad_words_ids = order[:1], order[1:2], [order[2:3]]
    token, p = generated(explain, ids)
    assert token == order[3]
    result = explain.explain(TEXT)
    assert (result.target, result.confidence) == (token, pytest.approx(float(p[token]), rel=1e-4))
    assert result.top_predictions[0] == (explain.processor.decode(token), pytest.approx(float(p[token]), rel=1e-4))
    assert explain.predict(TEXT).label == result.label
    assert explain.predict(TEXT).confidence == pytest.approx(result.confidence, rel=1e-5)
    laws.whole(result)
    given = explain.explain(TEXT, order[0])  # which is asked for in spite of that
    assert given.value == pytest.approx(float(explain.predict(TEXT).logits.index_fill(
        0, torch.tensor(order[1:3]), -torch.inf).log_softmax(-1)[order[0]]), rel=1e-4)  # fmt: skip
    assert given.gradient.isfinite().all()
    explain.perturb(result, fractions=[1.0], overwrite=True)
    assert result.curve.at("keep", 1.0).agreement == 1.0


def test_an_end_that_comes_too_early_for_generation_is_none() -> None:
    explain = explainer()
    ids = explain.processor(TEXT)["input_ids"]
    explain.model.generation_config.eos_token_id = end = generated(explain, ids)[0]
    assert explain.explain(TEXT).target == end
    explain.model.generation_config.min_new_tokens = 1
    other = explain.explain(TEXT)
    assert other.target == generated(explain, ids, min_new_tokens=1)[0] != end


def test_settings_that_are_not_imitated_are_said() -> None:
    explain = explainer()
    explain.model.generation_config.repetition_penalty = 1.2
    for target in (None, 20, Continuation(" w20")):
        (note,) = explain.explain(TEXT, target).provenance["notes"]
        assert "repetition_penalty = 1.2" in note
    writer = FourierExplainer(tiny_models.build("text2text-generation", "t5"), tiny_tokenizers.tokenizer("roberta"))
    writer.model.generation_config.no_repeat_ngram_size = 2
    assert "no_repeat_ngram_size = 2" in writer.explain(TEXT).provenance["notes"][0]


def test_a_written_output_is_the_likeliest_under_the_rules_of_generation() -> None:
    explain = FourierExplainer(tiny_models.build("text2text-generation", "bart"), tiny_tokenizers.tokenizer("roberta"))
    free = explain.explain(TEXT).target
    own = explain.model.generation_config
    own.suppress_tokens, own.min_length, own.forced_bos_token_id = free[:1], 5, tiny_models.BEGIN
    result = explain.explain(TEXT)
    assert free[0] not in result.target
    assert result.agreement == 1.0
    assert result.inputs["decoder_input_ids"][:2].tolist() == [tiny_models.END, tiny_models.BEGIN]
    given = explain.explain(TEXT, "w15 w16")  # its own beginning is that of generation, which is no choice
    assert given.inputs["decoder_input_ids"][:2].tolist() == [tiny_models.END, tiny_models.BEGIN]
    assert given.target[:2] == [15, 16]


@pytest.mark.parametrize("stem", ["XLNet", "XLM"])
def test_a_model_whose_generation_asks_otherwise_is_told_once_asked(stem: str) -> None:
    import transformers

    sizes = {
        "XLNet": {"d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 48},
        "XLM": {"emb_dim": 32, "n_layers": 2, "n_heads": 4, "max_position_embeddings": 48},
    }
    config = getattr(transformers, f"{stem}Config")(vocab_size=64, **sizes[stem])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = getattr(transformers, stem + ("LMHeadModel" if stem == "XLNet" else "WithLMHeadModel"))(config).eval()
        tiny_models.enliven(model)
    prompts = [TEXT, *(tiny_tokenizers.text(i, i + 1, i + 2) for i in range(20, 44, 4))]  # one may happen to agree
    results = FourierExplainer(model, tiny_tokenizers.tokenizer("gpt"), task=GENERATE).explain(prompts)
    notes = [note for result in results for note in result.provenance["notes"]]
    assert any(note.startswith("generate() reads the prompt differently") for note in notes)
    explain = explainer()
    first, second = explain.explain([TEXT, tiny_tokenizers.text(20, 21, 22)])
    assert first.provenance["notes"] == second.provenance["notes"] == []
    assert [r.provenance.get("checks") for r in (first, second)] == [
        {"forward": 4},
        None,
    ]  # two rows at once, the ids, generate()


def test_a_generate_that_fails_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    explain, tries = explainer(), []

    def generate(**options: object) -> None:
        tries.append(options)
        raise RuntimeError("no cache")

    monkeypatch.setattr(explain.model, "generate", generate)
    for text in (TEXT, tiny_tokenizers.text(20, 21, 22)):
        assert explain.explain(text).provenance["notes"] == []
    assert len(tries) == 1


def test_a_continuation_needs_a_model_that_does_not_look_ahead() -> None:
    from transformers import BertConfig, BertLMHeadModel

    sizes = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    for decoder in (False, True):
        model = BertLMHeadModel(BertConfig(**sizes, intermediate_size=48, is_decoder=decoder)).eval()
        tiny_models.enliven(model)
        explain = FourierExplainer(model, tiny_tokenizers.tokenizer("bert"), task=GENERATE)
        if decoder:
            laws.whole(explain.explain(TEXT, Continuation(" w20 w21")))
            continue
        assert explain.explain(TEXT).target == generated(explain, explain.processor(TEXT)["input_ids"][:-1])[0]
        for target in (Continuation(" w20 w21"), Contrast(" w20", " w21")):
            with pytest.raises(TargetError, match="load it with is_decoder=True"):
                explain.explain(TEXT, target)


class TestChats:
    def explainer(self, template: str | None = TEMPLATE) -> FourierExplainer:
        explain = explainer("roberta")
        explain.processor.chat_template = template
        return explain

    def test_a_chat_is_one_example_as_the_template_writes_it(self) -> None:
        explain = self.explainer()
        ids = explain.processor.apply_chat_template(CHAT, add_generation_prompt=True)["input_ids"]
        result = explain.explain(CHAT)
        assert result.inputs["input_ids"].tolist() == ids
        token, p = generated(explain, ids)
        assert (result.target, result.confidence) == (token, pytest.approx(float(p[token]), rel=1e-4))
        assert result.names == ("w10", "w11", "w12", "w13", "w14", "w15")  # what the template adds is no content
        assert result.layout.signal.segments == (3, 1, 2)
        assert "chat template; the text that it adds is held constant" in result.provenance["notes"][0]
        laws.whole(result)
        for same in ({"messages": CHAT}, [CHAT], [{"messages": CHAT}]):
            again = explain.explain(same)
            laws.same(again[0] if isinstance(again, list) else again, result)
        assert explain.predict(CHAT).label == result.label

    @pytest.mark.parametrize("said", ["user", "You are", "a", "<|im_start|>", " Paris ", "assistant"])
    @pytest.mark.parametrize("trims", [False, True])
    def test_a_message_whose_words_the_template_has_too_is_found_in_its_place(self, said: str, trims: bool) -> None:
        tokenizer = tiny_tokenizers.spaced("bytes")
        content = "m['content'] | trim" if trims else "m['content']"
        tokenizer.chat_template = (
            "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% for m in messages %}"
            f"<|im_start|>{{{{m['role']}}}}\n{{{{{content}}}}}<|im_end|>\n{{% endfor %}}"
            "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
        )
        for chat in (
            [{"role": "user", "content": said}],
            [
                {"role": "user", "content": "is"},
                {"role": "assistant", "content": said},
                {"role": "user", "content": said},
            ],
            [{"role": "user", "content": said}, {"role": "assistant", "content": said}],
        ):
            encoding, added, message, notes = written_out(tokenizer, chat)
            assert "held constant" in notes[0]
            assert message is not None
            for number, one in enumerate(chat):
                ids = [i for i, of in zip(encoding["input_ids"], message.tolist(), strict=True) if of == number]
                start = message.tolist().index(number)
                assert tokenizer.decode(ids).strip() == one["content"].strip()
                assert (
                    tokenizer.decode(encoding["input_ids"][:start]).rstrip(" ").endswith(f"<|im_start|>{one['role']}\n")
                )
            assert torch.equal(added, message < 0)

    def test_of_a_message_that_is_written_twice_the_place_is_not_known(self) -> None:
        tokenizer = tiny_tokenizers.spaced("bytes")
        tokenizer.chat_template = "{{messages[0]['content']}} is {{messages[0]['content']}}"
        _, added, message, notes = written_out(tokenizer, [{"role": "user", "content": "Paris"}])
        assert message is None
        assert not added.any()
        assert "was transformed, too" in notes[0]

    def test_an_assistants_last_message_goes_on(self) -> None:
        explain = self.explainer()
        ids = explain.processor.apply_chat_template(CHAT[:2], continue_final_message=True)["input_ids"]
        assert ids[-1] == 13
        assert explain.explain(CHAT[:2]).inputs["input_ids"].tolist() == ids

    def test_chats_are_evaluated_and_run_like_texts(self, tmp_path: Any) -> None:
        explain, chats = self.explainer(), [CHAT, CHAT[:1]]
        results = explain.explain(chats)
        assert len(explain.evaluate(chats, methods=["magnitude"], metrics=["maintain_rate"]).groups) == 2
        run = explain.explain_dataset(chats, tmp_path / "run", progress=False)
        assert [run[i].target for i in range(2)] == [result.target for result in results]
        with pytest.raises(InputError, match="one chat"):
            explain.evaluate(CHAT, methods=["magnitude"])

    def test_chats_of_data_sets_are_read_by_their_column(self, tmp_path: Any) -> None:
        import json

        from datasets import Dataset

        explain, rows = self.explainer(), [{"messages": CHAT, "id": "a"}, {"messages": CHAT[:1], "id": "b"}]
        targets = [explain.explain(row["messages"]).target for row in rows]
        (tmp_path / "chats.jsonl").write_text("\n".join(map(json.dumps, rows)))
        data = Dataset.from_list(rows)
        assert [result.target for result in explain.explain(data)] == targets
        assert [result.target for result in explain.explain(data["messages"])] == targets
        for i, (source, options) in enumerate(
            [(data, {}), (data, {"column": "messages"}), (str(tmp_path / "chats.jsonl"), {})]
        ):
            run = explain.explain_dataset(source, tmp_path / f"run{i}", progress=False, **options)
            assert [run[k].target for k in range(2)] == targets

    def test_a_chat_that_cannot_be_written_out_is_refused_with_advice(self) -> None:
        with pytest.raises(InputError, match="without a chat template"):
            self.explainer(None).explain(CHAT)
        with pytest.raises(InputError, match="roles must alternate"):
            self.explainer("{{ raise_exception('roles must alternate') }}").explain(CHAT)
        classifier = FourierExplainer(
            tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer("bert")
        )
        with pytest.raises(InputError, match="a chat for text-classification"):
            classifier.explain(CHAT)
        assert classifier.explain(CHAT[-1]["content"]).names == ("w14", "w15")


@pytest.mark.parametrize(("dtype", "told"), [(torch.float32, True), (torch.bfloat16, False)])
def test_roundings_of_half_types_are_no_other_way_to_read(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, told: bool
) -> None:
    explain = FourierExplainer(tiny_models.build(GENERATE, "llama").to(dtype), tiny_tokenizers.tokenizer("gpt"))
    value = explain.explain(TEXT).value
    again = FourierExplainer(explain.model, tiny_tokenizers.tokenizer("gpt"))
    monkeypatch.setattr(again.wrapper, "generated", lambda example, token: (value - 0.2, "w5"))
    assert any("generate() reads" in note for note in again.explain(TEXT).provenance["notes"]) == told
