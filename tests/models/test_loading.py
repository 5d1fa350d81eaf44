"""What is loaded from a folder, and what is refused with a reason before anything runs or asks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from hf_fourier import FourierExplainer
from hf_fourier.errors import FourierError, InputError
from hf_fourier.models import loading
from tests.models import tiny_models, tiny_tokenizers

TEXT = tiny_tokenizers.text(10, 11, 12)
Load = Callable[..., FourierExplainer]
load: Load = FourierExplainer.from_pretrained


@pytest.fixture(autouse=True)
def no_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody sits there to answer."""

    def ask(*args: Any) -> str:
        raise AssertionError("a prompt appeared")

    monkeypatch.setattr("builtins.input", ask)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "tiny-bert"
    tiny_models.build("text-classification", "bert").save_pretrained(place)
    tiny_tokenizers.tokenizer("bert").save_pretrained(place)
    return place


def test_a_folder_is_loaded_whole(folder: Path) -> None:
    explain = load(str(folder), task=None)
    assert explain.name == "tiny-bert"
    assert not explain.model.training
    own = FourierExplainer(tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer("bert"))
    torch.testing.assert_close(explain.explain(TEXT).scores, own.explain(TEXT).scores)
    assert str(folder.parent) not in json.dumps(explain.explain(TEXT).provenance)


def test_a_subfolder_is_loaded(folder: Path) -> None:
    explain = load(str(folder.parent), subfolder=folder.name)
    assert explain.processor is not None
    assert explain.explain(TEXT).scores.isfinite().all()


@pytest.mark.parametrize("dtype", [None, torch.bfloat16, "float16"])
def test_half_weights_are_widened_unless_asked_for(folder: Path, dtype: Any) -> None:
    tiny_models.build("text-classification", "bert").to(torch.bfloat16).save_pretrained(folder)
    explain = load(str(folder), dtype=dtype)
    wanted = {None: torch.float32, torch.bfloat16: torch.bfloat16, "float16": torch.float16}[dtype]
    assert explain.model.dtype == wanted
    notes = explain.explain(TEXT).provenance["notes"]
    assert any("widened" in note for note in notes) == (dtype is None)


def test_the_former_name_of_dtype_counts(folder: Path) -> None:
    assert load(str(folder), torch_dtype=torch.bfloat16).model.dtype == torch.bfloat16


def test_a_config_of_ones_own_counts(folder: Path) -> None:
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder, id2label={0: "x", 1: "y", 2: "z"})
    assert load(str(folder), config=config).explain(TEXT).label in "xyz"


def test_a_folder_without_a_tokenizer_takes_dicts_and_says_so(folder: Path) -> None:
    for file in folder.glob("tokenizer*"):
        file.unlink()
    explain = load(str(folder))
    assert explain.processor is None  # and no tokenizer that knows no words
    with pytest.raises(InputError, match="without a processor"):
        explain.explain(TEXT)
    assert "no processor" in explain.explain(tiny_models.batch())[0].provenance["notes"][0]


def refused(do: Callable[[], Any], *words: str) -> None:
    with pytest.raises(FourierError) as caught:
        do()
    text = str(caught.value)
    assert text.startswith("got ")
    assert "expected " in text
    assert "\n" not in text
    for word in words:
        assert word in text


def test_a_name_that_leads_nowhere(tmp_path: Path) -> None:
    refused(lambda: load(str(tmp_path / "nothing")), "does not exist", "checkpoint folder")
    refused(lambda: load("./nothing/here"), "does not exist")
    refused(lambda: load("a/b/c"), "does not exist")
    refused(lambda: load("somebody/some-model-that-is-not-cached"), "could not be loaded", "check the name")
    file = tmp_path / "model.gguf"
    file.touch()
    refused(lambda: load(str(file)), "the file 'model.gguf'", "pass the folder")


def test_a_folder_without_config(folder: Path) -> None:
    (folder / "config.json").unlink()
    refused(lambda: load(str(folder)), "'tiny-bert' without config.json", "correct the path")


def test_a_config_that_is_no_json(folder: Path) -> None:
    (folder / "config.json").write_text("{")
    refused(lambda: load(str(folder)), "tiny-bert", "could not be loaded")


def test_a_folder_without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    refused(lambda: load(str(folder)), "'tiny-bert' without weights", "model.safetensors")


def test_weights_that_are_cut_off(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:500])
    refused(lambda: load(str(folder)), "tiny-bert", "could not be loaded")


def test_pickles_need_consent(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save(tiny_models.build("text-classification", "bert").state_dict(), folder / "pytorch_model.bin")
    refused(lambda: load(str(folder)), "pickle", "safetensors", "use_safetensors=False")
    assert load(str(folder), use_safetensors=False).explain(TEXT).scores.isfinite().all()


@pytest.mark.parametrize("consent", [False, True])
def test_code_from_the_repository_needs_consent(folder: Path, tmp_path: Path, consent: bool) -> None:
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "of-their-own", "auto_map": {"AutoConfig": "theirs.C", "AutoModel": "theirs.M"}}
    (folder / "config.json").write_text(json.dumps(config))
    trace = tmp_path / "ran"
    (folder / "theirs.py").write_text(f"open({str(trace)!r}, 'w').close()\nraise ValueError('broken code')\n")
    if consent:
        refused(lambda: load(str(folder), trust_remote_code=True), "broken code")
        return
    refused(lambda: load(str(folder)), "runs code from its repository", "trust_remote_code=True", "revision=")
    assert not trace.exists()


def test_a_headless_checkpoint_is_asked_for_a_label(tmp_path: Path) -> None:
    from transformers import BertModel

    whole = tiny_models.build("text-classification", "bert")
    BertModel(whole.config).save_pretrained(tmp_path / "headless")
    place = str(tmp_path / "headless")
    refused(lambda: load(place), "a BertModel", "a model with a head", "fine-tuned")
    refused(lambda: load(place, task="text-classification"), "no weights for classifier", "trained head")
    refused(lambda: load(place, task="fill-mask"), "no weights for cls")
    refused(lambda: FourierExplainer(BertModel(whole.config)), "BertModel", "a model with a head")
    forced = FourierExplainer(BertModel(whole.config), task="text-classification")
    refused(lambda: forced.explain(tiny_models.batch(), "LABEL_1"), "without logits", "a model with a head")


def test_an_unknown_task_names_the_known_ones(folder: Path) -> None:
    refused(lambda: load(str(folder), task="poetry"), "'poetry'", "text-classification")
    model = tiny_models.build("text-classification", "bert")
    refused(lambda: FourierExplainer(model, task="poetry"), "'poetry'", "text-classification")


def test_a_name_instead_of_a_model(unchecked: None) -> None:
    refused(lambda: FourierExplainer("some/name"), "of type str", "from_pretrained")


def test_a_quantised_model_stays_where_and_what_it_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import BertForSequenceClassification

    def moved(*args: Any, **kwargs: Any) -> None:
        raise ValueError("`.to` is not supported for quantised models")

    monkeypatch.setattr(BertForSequenceClassification, "is_quantized", True, raising=False)
    monkeypatch.setattr(BertForSequenceClassification, "to", moved)
    monkeypatch.setattr(BertForSequenceClassification, "float", moved)
    model = loading.load(str(folder), dtype=None, device="cpu").model
    assert not model.training


def test_a_registered_class_of_any_name_has_its_head(tmp_path: Path) -> None:
    """What a user registered with an Auto class is loaded by it, whatever it is called."""
    from transformers import AutoConfig, AutoModelForSemanticSegmentation

    from tests.models.tiny_models_segmentation import VolumesConfig, VolumesForSemanticSegmentation

    class SliceNet(VolumesForSemanticSegmentation):
        pass

    AutoConfig.register(VolumesConfig.model_type, VolumesConfig, exist_ok=True)
    AutoModelForSemanticSegmentation.register(VolumesConfig, SliceNet, exist_ok=True)
    SliceNet(VolumesConfig()).save_pretrained(tmp_path)
    explain = FourierExplainer.from_pretrained(str(tmp_path), device="cpu")
    assert type(explain.model) is SliceNet
    assert explain.wrapper.task == "image-segmentation"
    assert FourierExplainer(explain.model).wrapper.task == "image-segmentation"
