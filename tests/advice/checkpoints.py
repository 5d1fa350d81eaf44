"""Advice about checkpoints: folders, names, heads, weights, code of others, and adapters on top of another model."""

from __future__ import annotations

import json
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from hf_fourier import FourierExplainer
from tests.advice.case import Case
from tests.models import tiny_models, tiny_tokenizers
from tests.models.test_peft import headless, trained

TEXT = tiny_tokenizers.text(10, 11, 12)
#: A model's own code, as a repository ships it.
THEIRS = """
from transformers import BertConfig, BertForSequenceClassification

class C(BertConfig):
    model_type = "of-their-own"

class M(BertForSequenceClassification):
    config_class = C
"""


def _new() -> Path:
    return Path(tempfile.mkdtemp())


@cache
def _saved() -> Path:
    place = _new() / "tiny-bert"
    tiny_models.build("text-classification", "bert").save_pretrained(place)
    tiny_tokenizers.tokenizer("bert").save_pretrained(place)
    return place


@cache
def _base() -> Path:
    """A model without a head."""
    place = _new() / "base"
    headless(place)
    return place


@cache
def _adapter() -> Path:
    """An adapter of a classifier on top of it."""
    from transformers import BertForSequenceClassification

    place = _new() / "adapter"
    model = BertForSequenceClassification.from_pretrained(_base(), num_labels=4)
    trained(model, task_type="SEQ_CLS", target_modules=["query", "value"]).save_pretrained(place)
    return place


def _folder(of: Path | None = None) -> Path:
    """A copy of a checkpoint that a case may spoil."""
    return Path(shutil.copytree(_saved() if of is None else of, _new() / "copy"))


def _load(place: Any, **options: Any) -> Any:
    return FourierExplainer.from_pretrained(str(place), **options).explain(TEXT)


def _without(name: str) -> Path:
    folder = _folder()
    (folder / name).unlink()
    return folder


def _mended(name: str) -> Path:
    folder = _without(name)
    tiny_models.build("text-classification", "bert").save_pretrained(folder)
    return folder


def _pickled() -> Path:
    folder = _without("model.safetensors")
    torch.save(tiny_models.build("text-classification", "bert").state_dict(), folder / "pytorch_model.bin")
    return folder


def _converted() -> Path:
    """The pickle, loaded with consent and saved again."""
    folder, place = _pickled(), _new() / "again"
    explain = FourierExplainer.from_pretrained(str(folder), use_safetensors=False)
    explain.model.save_pretrained(place)  # type: ignore[operator]
    explain.processor.save_pretrained(place)
    return place


def _theirs(**options: Any) -> Any:
    folder = _folder()
    config = json.loads((folder / "config.json").read_text())
    auto = {"AutoConfig": "theirs.C", "AutoModelForSequenceClassification": "theirs.M"}
    config |= {"model_type": "of-their-own", "auto_map": auto}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "theirs.py").write_text(THEIRS)
    return _load(folder, task="text-classification", **options)


def _tuned(**entries: Any) -> Path:
    folder = _folder(_adapter())
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**config, **entries}))
    return folder


def _halved() -> Path:
    folder = _folder(_adapter())
    tensors = load_file(folder / "adapter_model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if "layer.0" not in name}
    save_file(kept, folder / "adapter_model.safetensors")
    return folder


def _of_encoder() -> Path:
    return _tuned(task_type=None, auto_mapping={"base_model_class": "BertModel"})


def _fitted() -> Any:
    """The headless model with a head of its own, in memory."""
    from transformers import BertForSequenceClassification

    model = BertForSequenceClassification.from_pretrained(_base(), num_labels=2).eval()
    return FourierExplainer(model, tiny_tokenizers.tokenizer("bert")).explain(TEXT)


def _direction() -> Any:
    from hf_fourier.scoring.targets import Direction

    explain = FourierExplainer.from_pretrained(str(_base()), task="feature-extraction")
    return explain.explain(TEXT, Direction(explain.predict("w20 w21").logits))


CASES = [
    Case(
        "correct these options",
        lambda: _load(_saved(), id2label=3),
        lambda: [_load(_saved(), id2label={0: "a", 1: "b", 2: "c"}), _load(_saved(), num_labels=3)],
    ),
    Case("correct the path", lambda: _load(_new() / "nothing"), lambda: _load(_saved())),
    Case(
        "correct the path or subfolder",
        lambda: _load(_saved().parent),
        lambda: [_load(_saved()), _load(_saved().parent, subfolder=_saved().name)],
    ),
    Case(
        "pass the folder (with gguf_file= for a GGUF file)",
        lambda: _load(_saved() / "model.safetensors"),
        lambda: _load(_saved()),
    ),
    Case(
        "leave revision= out, or pass the Hub id",
        lambda: _load(_saved(), revision="v2"),
        lambda: _load(_saved()),
    ),
    Case(
        "check the name, subfolder=, revision= and token=; offline, download it first",
        lambda: _load("somebody/a-model-that-is-not-here"),
        lambda: _load(_saved()),
    ),
    Case("save the model", lambda: _load(_without("model.safetensors")), lambda: _load(_mended("model.safetensors"))),
    Case(
        "convert it with model.save_pretrained(folder), or pass use_safetensors=False if you trust its author",
        lambda: _load(_pickled()),
        lambda: [_load(_converted()), _load(_pickled(), use_safetensors=False)],
    ),
    Case(
        "read that code, then pass trust_remote_code=True (and a revision= that pins it)",
        _theirs,
        lambda: _theirs(trust_remote_code=True),
    ),
    Case(
        "choose another task, or leave task= out for the checkpoint's own head",
        lambda: _load(_saved(), task="image-classification"),
        lambda: [_load(_saved()), _load(_saved(), task="text-classification")],
    ),
    Case(
        "choose a fine-tuned checkpoint, or pass task= if it has that head",
        lambda: _load(_base()),
        lambda: [_load(_saved()), _direction()],
    ),
    Case(
        "choose a fine-tuned checkpoint, or fit the head and pass FourierExplainer(model, processor)",
        lambda: _load(_base(), task="text-classification"),
        lambda: [_load(_saved()), _fitted()],
    ),
    Case(
        "pass task=, or explain it through attribute(forward, x)",
        lambda: FourierExplainer(tiny_models.build("feature-extraction", "bert")),
        lambda: [
            FourierExplainer(tiny_models.build("feature-extraction", "bert"), task="feature-extraction"),
            _direction(),
        ],
    ),
    Case(
        "pass task= if the base model has that head",
        lambda: _load(_of_encoder()),
        lambda: _load(_of_encoder(), task="text-classification"),
    ),
    Case(
        "correct id2label=",
        lambda: _load(_adapter(), id2label={0: "a", 1: "b", 2: "c"}),
        lambda: _load(_adapter(), id2label=dict(enumerate("abcd"))),
    ),
    Case(
        "write it there",
        lambda: _load(_tuned(base_model_name_or_path=None)),
        lambda: _load(_tuned(base_model_name_or_path=str(_base()))),
    ),
    Case(
        "pass the task= that it was trained for, or save it again",
        lambda: _load(_halved()),
        lambda: [_load(_adapter()), _load(_of_encoder(), task="text-classification")],
    ),
]
