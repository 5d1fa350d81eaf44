"""A checkpoint that PEFT wrote is loaded by its own name: base model, adapter, head and tokenizer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForSequenceClassification

from hf_fourier import FourierExplainer
from hf_fourier.errors import FourierError, MissingExtraError
from hf_fourier.models import peft as tuning
from tests.hub.fake_hub.requests import python
from tests.hub.fake_hub.server import serving
from tests.models import laws, tiny_models, tiny_tokenizers

TEXT = tiny_tokenizers.text(10, 11, 12)
load = FourierExplainer.from_pretrained


def trained(model: torch.nn.Module, **config: Any) -> Any:
    """A model with an adapter whose weights and whose head are not those that it began with."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        tuned = peft.get_peft_model(model, peft.LoraConfig(r=4, **config))
        for name, parameter in tuned.named_parameters():
            if "lora_B" in name or "modules_to_save" in name:
                torch.nn.init.normal_(parameter, std=0.3)
    return tuned.eval()


def headless(place: Path) -> None:
    """A base model as it was pretrained: no head for anything."""
    tiny_models.build("text-classification", "bert").bert.save_pretrained(place)
    tiny_tokenizers.tokenizer("bert").save_pretrained(place)


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """A base model without a head, and the folder of an adapter that tells four classes apart."""
    base, own = tmp_path / "base", tmp_path / "adapter"
    headless(base)
    model = BertForSequenceClassification.from_pretrained(base, num_labels=4)
    trained(model, task_type="SEQ_CLS", target_modules=["query", "value"]).save_pretrained(own)
    return base, own


def by_hand(base: Path, own: Path) -> FourierExplainer:
    """What a user of PEFT would write."""
    model = BertForSequenceClassification.from_pretrained(base, num_labels=4)
    return FourierExplainer(peft.PeftModel.from_pretrained(model, own).eval(), tiny_tokenizers.tokenizer("bert"))


def test_an_adapter_is_loaded_with_its_base_its_head_and_its_tokenizer(places: tuple[Path, Path]) -> None:
    explain = load(str(places[1]))
    assert explain.name == "adapter"
    assert explain.wrapper.task == "text-classification"
    assert not explain.model.training
    laws.same(explain.explain(TEXT), by_hand(*places).explain(TEXT))
    assert len(explain.predict(TEXT).ranked) == 4
    told = explain.explain(TEXT).provenance["notes"]
    assert any("on top of 'base'" in note for note in told)
    assert any("'adapter' does not name its classes" in note and "pass id2label=" in note for note in told)


def test_its_classes_can_be_named(places: tuple[Path, Path]) -> None:
    names = {0: "low", 1: "middle", 2: "high", 3: "very high"}
    explain = load(str(places[1]), id2label=names)
    assert explain.explain(TEXT, target="middle").label == "middle"
    assert not any("id2label" in note for note in explain.explain(TEXT).provenance["notes"])
    for other in (list(names.values()), {str(number): name for number, name in names.items()}):
        assert load(str(places[1]), id2label=other).explain(TEXT, target="middle").label == "middle"
    by_name = {name: number for number, name in names.items()}
    assert load(str(places[1]), label2id=by_name).explain(TEXT, target="middle").label == "middle"


def test_an_adapter_in_a_subfolder_with_its_own_tokenizer(places: tuple[Path, Path]) -> None:
    base, own = places
    for file in base.glob("tokenizer*"):
        file.rename(own / file.name)
    explain = load(str(own.parent), subfolder=own.name)
    laws.same(explain.explain(TEXT), by_hand(base, own).explain(TEXT))


def test_the_base_models_head_of_another_size_is_replaced(places: tuple[Path, Path]) -> None:
    expected = by_hand(*places).explain(TEXT)
    tiny_models.build("text-classification", "bert").save_pretrained(places[0])  # of three classes
    laws.same(load(str(places[1])).explain(TEXT), expected)
    names = dict(enumerate("abcd"))
    laws.close(load(str(places[1]), id2label=names).explain(TEXT).scores, expected.scores)


def test_an_adapter_without_a_task_is_read_by_the_class_that_it_tunes(tmp_path: Path) -> None:
    base, own = tmp_path / "base", tmp_path / "adapter"
    plain = tiny_models.build("image-classification", "vit")
    plain.save_pretrained(base)
    model = type(plain).from_pretrained(base)
    tuned = trained(model, target_modules=["q_proj", "v_proj"], modules_to_save=["classifier"])
    tuned.save_pretrained(own)
    explain = load(str(own))
    assert explain.wrapper.task == "image-classification"
    pixels = {"pixel_values": torch.rand(1, 3, plain.config.image_size, plain.config.image_size)}
    laws.same(explain.explain(pixels)[0], FourierExplainer(tuned).explain(pixels)[0])


def test_a_language_models_adapter(tmp_path: Path) -> None:
    base, own = tmp_path / "base", tmp_path / "adapter"
    tiny_models.build("text-generation", "llama").save_pretrained(base)
    tiny_tokenizers.tokenizer("gpt").save_pretrained(base)
    model = type(tiny_models.build("text-generation", "llama")).from_pretrained(base)
    tuned = trained(model, task_type="CAUSAL_LM", target_modules=["q_proj", "v_proj"])
    tuned.save_pretrained(own)
    explain = load(str(own))
    laws.same(explain.explain(TEXT), FourierExplainer(tuned, tiny_tokenizers.tokenizer("gpt")).explain(TEXT))


#: A process of its own, because `HF_ENDPOINT` is read at import.
ASK = """
import json, sys
from hf_fourier import FourierExplainer
explainer = FourierExplainer.from_pretrained("somebody/adapter", revision=sys.argv[1] or None, device="cpu")
result = explainer.explain(sys.argv[2])
print(json.dumps({"name": explainer.name, "value": result.value, "revision": result.provenance["revision"]}))
"""


def test_an_adapter_on_the_hub_of_a_base_on_the_hub(places: tuple[Path, Path], tmp_path: Path) -> None:
    base, own = places
    expected = by_hand(base, own).explain(TEXT).value
    told = json.loads((own / "adapter_config.json").read_text())
    (own / "adapter_config.json").write_text(json.dumps({**told, "base_model_name_or_path": "somebody/base"}))
    with serving({"somebody/base": base, "somebody/adapter": own}) as hub:
        commit = hub.repo("somebody/adapter").head
        for revision in ("", commit):
            done = python(ASK, revision, TEXT, address=hub.address, home=tmp_path, token=None)
            assert done.returncode == 0, done.stderr
            found = json.loads(done.stdout.strip().splitlines()[-1])
            assert found == {"name": "somebody/adapter", "value": pytest.approx(expected), "revision": commit}
            assert "newly initialized" not in done.stderr


def refused(do: Callable[[], Any], *told: str) -> None:
    with pytest.raises(FourierError) as caught:
        do()
    for one in told:
        assert one in str(caught.value)


def test_what_is_refused(places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    base, own = places
    config = json.loads((own / "adapter_config.json").read_text())

    def changed(**entries: Any) -> str:
        (own / "adapter_config.json").write_text(json.dumps({**config, **entries}))
        return str(own)

    refused(lambda: load(changed(base_model_name_or_path=None)), "does not name its base model")
    gone = str(base / "gone")
    refused(lambda: load(changed(base_model_name_or_path=gone)), "for 'gone', which does not exist", "write it there")
    refused(lambda: load(changed(task_type="CAUSAL_LM")), "no weights for cls")
    refused(lambda: load(changed(peft_type="of tomorrow")), "'adapter'", "could not be loaded")
    (own / "adapter_config.json").write_text("{")
    refused(lambda: load(str(own)), "'adapter'", "could not be loaded")
    changed(task_type=None, auto_mapping={"base_model_class": "BertModel"})
    refused(lambda: load(str(own)), "an adapter of a BertModel", "pass task=")
    changed(base_model_name_or_path="")
    refused(lambda: load(str(own)), "does not name its base model")
    changed()
    for labels in ({"id2label": ["a", "b"]}, {"num_labels": 3}):
        refused(lambda labels=labels: load(str(own), **labels), "'adapter', whose head has 4", "id2label=")
    for labels in ({"id2label": 7}, {"num_labels": "4"}, {"label2id": ["a"]}):
        refused(lambda labels=labels: load(str(own), **labels), "id2label={0: 'a name', …}")
    weights = own / "adapter_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:500])
    refused(lambda: load(str(own)), "'adapter'", "could not be loaded")
    weights.unlink()
    refused(lambda: load(str(own)), "'adapter' without weights")
    weights.write_bytes(whole)
    tensors = load_file(weights)
    weights.unlink()
    torch.save(tensors, own / "adapter_model.bin")
    refused(lambda: load(str(own)), "'adapter'", "pickle (adapter_model.bin)", "use_safetensors=False")
    laws.same(load(str(own), use_safetensors=False).explain(TEXT), by_hand(base, own).explain(TEXT))
    weights.write_bytes(whole)
    monkeypatch.setitem(__import__("sys").modules, "peft", None)
    with pytest.raises(MissingExtraError, match=r"hf_fourier\[peft\]"):
        load(str(own))


def test_half_an_adapter_is_refused(places: tuple[Path, Path]) -> None:
    weights = places[1] / "adapter_model.safetensors"
    tensors = load_file(weights)
    save_file({name: tensor for name, tensor in tensors.items() if "layer.0" not in name}, weights)
    refused(lambda: load(str(places[1])), "the adapter 'adapter'", "weights are not", "layer.0")


def test_an_adapter_that_fits_nowhere_is_refused(tmp_path: Path) -> None:
    """It was trained on the encoder alone, whose layers have other names in the base that is written down."""
    base, own = tmp_path / "base", tmp_path / "adapter"
    whole = tiny_models.build("fill-mask", "bert")
    whole.save_pretrained(base)
    model = trained(type(whole.bert)(whole.config), target_modules=["query", "value"])
    model.save_pretrained(own)
    told = json.loads((own / "adapter_config.json").read_text())
    (own / "adapter_config.json").write_text(json.dumps({**told, "base_model_name_or_path": str(base)}))
    refused(lambda: load(str(own)), "an adapter of a BertModel", "pass task=")
    refused(lambda: load(str(own), task="fill-mask"), "weights are not", "BertForMaskedLM")


def test_a_config_beside_an_adapter_is_no_model(places: tuple[Path, Path]) -> None:
    base, own = places
    (own / "config.json").write_bytes((base / "config.json").read_bytes())
    laws.same(load(str(own)).explain(TEXT), by_hand(base, own).explain(TEXT))


def test_a_whole_model_with_an_adapter_beside_it_says_so(tmp_path: Path) -> None:
    plain = tiny_models.build("text-classification", "bert")
    plain.save_pretrained(tmp_path / "both")
    tiny_tokenizers.tokenizer("bert").save_pretrained(tmp_path / "both")
    model = type(plain).from_pretrained(tmp_path / "both")
    tuned = trained(model, task_type="SEQ_CLS", target_modules=["query", "value"])
    tuned.save_pretrained(tmp_path / "both")
    assert tuning.read_peft_config(str(tmp_path / "both"), {"subfolder": ""}) is None
    explain = load(str(tmp_path / "both"))  # and transformers loads the adapter as well
    result = explain.explain(TEXT)
    laws.close(result.scores, FourierExplainer(tuned, tiny_tokenizers.tokenizer("bert")).explain(TEXT).scores)
    assert any("attached the adapter" in note for note in result.provenance["notes"])


@pytest.mark.parametrize("consent", [False, True])
def test_a_base_with_code_of_its_own_needs_consent(places: tuple[Path, Path], consent: bool) -> None:
    base, own = places
    config = json.loads((base / "config.json").read_text())
    told = {"AutoConfig": "theirs.C", "AutoModelForSequenceClassification": "theirs.M"}
    (base / "config.json").write_text(json.dumps({**config, "model_type": "of-their-own", "auto_map": told}))
    (base / "theirs.py").write_text(THEIRS)
    if not consent:
        refused(lambda: load(str(own)), "runs code from its repository", "trust_remote_code=True")
        return
    explain = load(str(own), trust_remote_code=True)
    assert explain.explain(TEXT).scores.isfinite().all()


#: Code of a repository: BERT under another name.
THEIRS = """
from transformers import BertConfig, BertForSequenceClassification


class C(BertConfig):
    model_type = "of-their-own"


class M(BertForSequenceClassification):
    config_class = C
"""


def test_a_head_of_the_expected_size_is_not_read_as_another() -> None:
    blank = BertForSequenceClassification(BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=2))
    of = tuning.PeftConfig(Path("nowhere"), None)
    for shapes, found in (
        ({"classifier.weight": (5, 8), "classifier.bias": (5,)}, 5),
        ({"classifier.weight": (2, 8)}, 2),
        ({"classifier.weight": (5, 9)}, None),  # of another model: said when it is attached
        ({"bert.encoder.layer.0.attention.self.query.lora_A.weight": (4, 8)}, None),
    ):
        vars(of)["shapes"] = shapes
        assert of.classes(blank, 2) == found
