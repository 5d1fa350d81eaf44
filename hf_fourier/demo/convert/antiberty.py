"""AntiBERTy, an antibody language model that was trained with several heads."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from zipfile import ZipFile

import torch
from torch import Tensor
from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification, BertTokenizer

from ..data import antibodies
from .checkpoint import graft
from .files import readme

_ROOT = "antiberty/trained_models/"
_FOLDER = _ROOT + "AntiBERTy_md_smooth/"


def build(inputs: Mapping[str, Path], folder: Path) -> None:
    """Write the masked-language model and its tokenizer."""
    wheel = inputs["antiberty"]
    weights = {key: value for key, value in read_weights(wheel).items() if key in _MASKED or key.startswith(_BODY)}
    graft(BertForMaskedLM, read_config(wheel), weights).save_pretrained(folder)
    make_tokenizer(wheel).save_pretrained(folder)
    readme(
        folder,
        "AntiBERTy, masked-language model",
        'Trained on antibody sequences. Residues are tokens and are separated by spaces: `" ".join(sequence)`.',
    )


SPECIES = ("Camel", "Human", "Mouse", "Rabbit", "Rat", "Rhesus")
CHAINS = ("Heavy", "Light")
"""What the numbers of the two heads stand for, in the order of AntiBERTy's own code."""


def species(inputs: Mapping[str, Path], folder: Path) -> None:
    """Write the classifier of species."""
    _classifier(inputs["antiberty"], folder, "species", SPECIES)


def chain(inputs: Mapping[str, Path], folder: Path) -> None:
    """Write the classifier of chains."""
    _classifier(inputs["antiberty"], folder, "chain", CHAINS)


def _classifier(wheel: Path, folder: Path, head: str, names: tuple[str, ...]) -> None:
    source = read_weights(wheel)
    weights = {key: value for key, value in source.items() if key.startswith("bert.")}
    weights |= {f"classifier.{signal}": source[f"cls.{head}.{signal}"] for signal in ("weight", "bias")}
    labels = {"id2label": dict(enumerate(names)), "label2id": {name: index for index, name in enumerate(names)}}
    model = graft(BertForSequenceClassification, read_config(wheel, **labels), weights)
    tokenizer = make_tokenizer(wheel)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    right = []
    for row in antibodies():
        with torch.inference_mode():
            logits = model(**tokenizer(" ".join(row["sequence"]), return_tensors="pt")).logits[0]
        right.append(names[int(logits.argmax())] == row[head])
    readme(
        folder,
        f"AntiBERTy, {head} of an antibody",
        f"The head for {head} was trained with the language model and ships with it; here it is the classifier of a "
        'BertForSequenceClassification. Residues are tokens and are separated by spaces: `" ".join(sequence)`.',
        f"Right on {sum(right)} of the {len(right)} sequences of `assets.antibodies()`; classes: {', '.join(names)}.",
    )


_BODY = ("bert.embeddings.", "bert.encoder.")
_MASKED = (
    "cls.predictions.bias",
    "cls.predictions.transform.dense.weight",
    "cls.predictions.transform.dense.bias",
    "cls.predictions.transform.LayerNorm.weight",
    "cls.predictions.transform.LayerNorm.bias",
    "cls.predictions.decoder.weight",
    "cls.predictions.decoder.bias",
)


def read_weights(wheel: Path) -> dict[str, Tensor]:
    """All weights that ship, of every head, without the position numbers that transformers no longer stores."""
    with ZipFile(wheel) as archive:
        file = io.BytesIO(archive.read(_FOLDER + "pytorch_model.bin"))
    weights = torch.load(file, weights_only=True, map_location="cpu")
    return {key: value for key, value in weights.items() if not key.endswith("position_ids")}


def read_config(wheel: Path, **changes: object) -> BertConfig:
    """The configuration that ships, with `changes`."""
    with ZipFile(wheel) as archive:
        shipped = json.loads(archive.read(_FOLDER + "config.json"))
    for key in ("_name_or_path", "architectures", "transformers_version"):  # these describe the machine it came from
        shipped.pop(key)
    return BertConfig(**shipped | changes)


def make_tokenizer(wheel: Path) -> BertTokenizer:
    """The tokenizer: one token per residue, upper case."""
    with ZipFile(wheel) as archive:
        tokens = archive.read(_ROOT + "vocab.txt").decode().split()
    vocabulary = {token: index for index, token in enumerate(tokens)}
    return BertTokenizer(vocab=vocabulary, do_lower_case=False, model_max_length=512)
