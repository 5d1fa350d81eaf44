"""Models with adapters of PEFT are explained with their adapters, and are afterwards as they were."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch

from hf_fourier import FourierExplainer
from tests.engine.test_untouched import same, state_of
from tests.models import laws, tiny_models, tiny_models_audio, tiny_tokenizers

TEXTS = tiny_tokenizers.texts(2)
KINDS = {"bert": ("text-classification", "SEQ_CLS", "bert"), "llama": ("text-generation", "CAUSAL_LM", "gpt")}


def adapted(name: str, how: str) -> tuple[Any, torch.nn.Module]:
    """A model with an adapter whose weights are not zero, and the model without it."""
    task, kind, _ = KINDS[name]
    plain = tiny_models.build(task, name)
    targets = ["query", "value"] if name == "bert" else ["q_proj", "v_proj"]
    config = {
        "lora": lambda: peft.LoraConfig(task_type=kind, target_modules=targets, r=4),
        "ia3": lambda: peft.IA3Config(task_type=kind, target_modules=targets, feedforward_modules=[]),
        "prompt": lambda: peft.PromptTuningConfig(task_type=kind, num_virtual_tokens=3),
        "prefix": lambda: peft.PrefixTuningConfig(task_type=kind, num_virtual_tokens=3),
    }[how]()
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = peft.get_peft_model(copy.deepcopy(plain), config)
        for name, parameter in model.named_parameters():
            if "lora_B" in name or "ia3" in name:
                torch.nn.init.normal_(parameter, std=0.3)
    return model.eval(), plain


def test_what_a_tuned_model_writes_signals_no_marks_on_it() -> None:
    """PEFT's own `generate` sets attributes on the model below."""
    plain = tiny_models.build("text2text-generation", "t5")
    model = peft.get_peft_model(plain, peft.LoraConfig(task_type="SEQ_2_SEQ_LM", target_modules=["q", "v"], r=4)).eval()
    before = state_of(model)
    explain = FourierExplainer(model, tiny_tokenizers.tokenizer("roberta"))
    result = explain.explain(TEXTS[0])
    assert same(before, state_of(model))
    merged = FourierExplainer(copy.deepcopy(model).merge_and_unload(), tiny_tokenizers.tokenizer("roberta"))
    assert result.target == merged.explain(TEXTS[0]).target


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("how", ["lora", "ia3"])
def test_an_adapter_counts_and_is_left_attached(name: str, how: str) -> None:
    model, plain = adapted(name, how)
    tokenizer = tiny_tokenizers.tokenizer(KINDS[name][2])
    before = state_of(model)
    explain = FourierExplainer(model, tokenizer)
    results = explain.explain(TEXTS)
    explain.perturb(results, fractions=[0.1])
    assert same(before, state_of(model))
    assert explain.model is model
    merged = FourierExplainer(copy.deepcopy(model).merge_and_unload(), tokenizer).explain(TEXTS)
    bare = FourierExplainer(plain, tokenizer).explain(TEXTS)
    for own, other, without in zip(results, merged, bare, strict=True):
        laws.same(own, other)
        assert (own.scores - without.scores).abs().max() > 1e-3 * without.scores.abs().max()
        assert not own.provenance["notes"]


@pytest.mark.parametrize("name", KINDS)
def test_an_adapter_that_is_switched_off_does_not_count(name: str) -> None:
    model, plain = adapted(name, "lora")
    tokenizer = tiny_tokenizers.tokenizer(KINDS[name][2])
    with model.disable_adapter():
        off = FourierExplainer(model, tokenizer).explain(TEXTS[0])
    laws.same(off, FourierExplainer(plain, tokenizer).explain(TEXTS[0]))


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("how", ["prompt", "prefix"])
def test_virtual_tokens_are_no_features(name: str, how: str) -> None:
    model, _ = adapted(name, how)
    explain = FourierExplainer(model, tiny_tokenizers.tokenizer(KINDS[name][2]))
    before = state_of(model)
    encoded = explain.wrapper.encode(TEXTS[0])
    with torch.no_grad():
        theirs = model(**{n: tensor.unsqueeze(0) for n, tensor in encoded.inputs.items()}).logits
    ours = laws.own_forward(explain, encoded)
    laws.close(ours, theirs[:, -ours.shape[1] :] if ours.ndim == 3 else theirs)
    result = explain.explain(TEXTS[0])
    laws.whole(result)
    said = theirs[0, -1] if ours.ndim == 3 else theirs[0]
    assert result.target == int(said.argmax())
    assert result.value == pytest.approx(float(said.log_softmax(-1).amax()), rel=1e-4)
    assert result.signal.shape[0] == len(TEXTS[0].split())
    assert result.gradient.abs().max() > 0
    assert same(before, state_of(model))


def test_an_adapter_that_transformers_attached() -> None:
    model, plain = tiny_models.build("text-classification", "bert"), tiny_models.build("text-classification", "bert")
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model.add_adapter(peft.LoraConfig(target_modules=["query", "value"], r=4, init_lora_weights=False))
    model.eval()
    tokenizer = tiny_tokenizers.tokenizer("bert")
    own, bare = (FourierExplainer(one, tokenizer).explain(TEXTS[0]) for one in (model, plain))
    with torch.no_grad():
        logits = model(**tokenizer(TEXTS[0], return_tensors="pt")).logits[0]
    assert own.value == pytest.approx(float(logits.log_softmax(-1)[own.target]), rel=1e-4)
    assert own.value != pytest.approx(bare.value, rel=1e-3)


def test_an_adapter_in_its_own_folder(tmp_path: Path) -> None:
    model, plain = adapted("bert", "lora")
    plain.save_pretrained(tmp_path / "base")
    tiny_tokenizers.tokenizer("bert").save_pretrained(tmp_path / "base")
    model.save_pretrained(tmp_path / "adapter")
    base = type(plain).from_pretrained(tmp_path / "base")
    loaded = peft.PeftModel.from_pretrained(base, tmp_path / "adapter")
    laws.same(
        FourierExplainer(loaded, tiny_tokenizers.tokenizer("bert")).explain(TEXTS[0]),
        FourierExplainer(model, tiny_tokenizers.tokenizer("bert")).explain(TEXTS[0]),
    )


@pytest.mark.parametrize("name", ["whisper", "wav2vec2"])
def test_an_adapter_without_a_task_hides_nothing_of_what_the_model_takes(name: str) -> None:
    plain = tiny_models_audio.build(name)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        config = peft.LoraConfig(target_modules=["q_proj", "v_proj"], r=4, init_lora_weights=False)
        model = peft.get_peft_model(copy.deepcopy(plain), config).eval()
    sound = np.random.default_rng(0).normal(size=8000).astype(np.float32)
    own, merged = (
        FourierExplainer(one, tiny_models_audio.extractor(name), task="audio-classification").explain(sound)
        for one in (model, copy.deepcopy(model).merge_and_unload())
    )
    laws.same(own, merged)
    assert FourierExplainer(model, tiny_models_audio.extractor(name)).wrapper.task == "audio-classification"


def test_of_an_adapted_language_model_only_the_last_place_is_read() -> None:
    model, _ = adapted("llama", "lora")
    heard: list[torch.Tensor] = []
    model.get_output_embeddings().register_forward_hook(lambda module, given, said: heard.append(said))
    FourierExplainer(model, tiny_tokenizers.tokenizer("gpt")).explain(TEXTS[0])
    assert {said.shape[1] for said in heard} == {1}


def test_tags_are_those_of_the_texts_own_tokens() -> None:
    plain = tiny_models.build("token-classification", "bert")
    with torch.random.fork_rng():
        torch.manual_seed(3)
        config = peft.PromptTuningConfig(task_type="TOKEN_CLS", num_virtual_tokens=3)
        model = peft.get_peft_model(copy.deepcopy(plain), config).eval()
    tokenizer = tiny_tokenizers.tokenizer("bert")
    given = tokenizer(TEXTS[0], return_tensors="pt")
    with torch.no_grad():
        said = model(**given).logits[0, 3 + 1 : -1]  # behind the virtual tokens, between [CLS] and [SEP]
    result = FourierExplainer(model, tokenizer).explain(TEXTS[0])
    assert len(said) == len(TEXTS[0].split())
    assert result.target == said.argmax(-1).tolist()
    assert result.value == pytest.approx(float(said.log_softmax(-1).amax(-1).mean()), rel=1e-4)
