"""AntiBERTy's language model, and its classifier of chains."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from transformers import BertForMaskedLM

from hf_fourier.demo.convert.antiberty import classifier, make_tokenizer, read_config, read_weights
from hf_fourier.demo.convert.checkpoint import graft
from hf_fourier.demo.convert.files import readme

CHAINS = ("Heavy", "Light")
"""What the numbers of the head stand for, in the order of AntiBERTy's own code."""


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


def chain(inputs: Mapping[str, Path], folder: Path) -> None:
    """Write the classifier of chains."""
    classifier(inputs["antiberty"], folder, "chain", CHAINS)


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
