"""A stand-in for Geneformer: the same architecture and the same input, small and trained here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import BertConfig, BertForSequenceClassification

from ..data import read_cells
from .files import readme
from .heads import majority
from .training import answers, names_of, train

PAD, MASK = 0, 1
_LENGTH = 128
"""Genes that the model reads of a cell, the highest ranks; most cells have two to three times as many."""
_SCALE = 10_000.0
"""What a cell's counts are made to add up to before the medians are taken."""


def build(inputs: Mapping[str, Path], folder: Path) -> None:
    """Train the classifier of blood cells and write it with its three dictionaries."""
    write_stand_in(inputs["pbmc"], folder, "pbmc", "blood cells")


def write_stand_in(data: Path, folder: Path, asset: str, what: str) -> None:
    """Train a classifier on the train split of a folder of cells, and write it with its three dictionaries.

    Args:
        data: As `cells.write_cells` fills it.
        folder: Where to write.
        asset: The name of the asset that `data` is, for the README.
        what: What its cells are.
    """
    cells = {split: read_cells(data, split) for split in ("train", "test")}
    genes, symbols = cells["train"][0]["genes"], cells["train"][0]["symbols"]
    median = medians(np.stack([cell["values"] for cell in cells["train"]]))
    tokens = {"<pad>": PAD, "<mask>": MASK} | {gene: 2 + index for index, gene in enumerate(sorted(genes))}
    batches = {split: encode(rows, median, tokens) for split, rows in cells.items()}
    names = names_of([cell["label"] for cell in cells["train"]])
    labels = {split: torch.tensor([names["label2id"][cell["label"]] for cell in rows]) for split, rows in cells.items()}
    config = _config(len(tokens), names)
    model = train(
        lambda: BertForSequenceClassification(config), batches["train"], labels["train"], epochs=12, rate=1e-3
    )
    model.save_pretrained(folder)
    known = {gene: float(value) for gene, value in zip(genes, median, strict=True) if np.isfinite(value)}
    for file, table in {
        "token_dictionary": tokens,
        "gene_median_dictionary": known,
        "gene_symbols": dict(zip(genes, symbols, strict=True)),
    }.items():
        (folder / f"{file}.json").write_text(json.dumps(table, indent=0) + "\n", encoding="utf-8")
    truth = {split: values.numpy() for split, values in labels.items()}
    right = {split: float((answers(model, batches[split]) == truth[split]).mean()) for split in cells}
    readme(
        folder,
        f"Types of {what} from ranked genes: a stand-in for Geneformer",
        "This is not Geneformer and holds none of its weights. It is a small model of the same class "
        "(BertForSequenceClassification with relu, padding 0) that takes the same kind of input, trained from scratch "
        f"on the {len(truth['train'])} cells of the train split of `{asset}`, so that what is written for Geneformer "
        "runs where Geneformer cannot be fetched.",
        "Input: a cell's counts over their medians, sorted from high to low, zeros left out, the first "
        f"{_LENGTH}, as tokens; `<pad>` is {PAD}, `<mask>` is {MASK}, and there are no other special tokens, as in "
        "Geneformer V1. `token_dictionary.json` gives tokens and `gene_median_dictionary.json` medians by Ensembl id; "
        "`gene_symbols.json` gives the symbol of each Ensembl id. There is no tokenizer: AutoTokenizer would make up "
        "one of five words.",
        f"Accuracy: train {right['train']:.3f}, test {right['test']:.3f} ({len(truth['test'])} cells; always the "
        f"commonest label: {majority(truth['test']):.3f}).",
    )


def medians(counts: np.ndarray) -> np.ndarray:
    """Median of each gene over the cells that express it, where a cell adds up to `_SCALE`; NaN where none does."""
    scaled = counts / counts.sum(1, keepdims=True) * _SCALE
    return np.array([np.median(gene[gene > 0]) if (gene > 0).any() else np.nan for gene in scaled.T])


def encode(cells: list[dict[str, Any]], median: np.ndarray, tokens: Mapping[str, int]) -> dict[str, Tensor]:
    """Genes of each cell in the order of their counts over their medians, the highest first, ties in gene order.

    Genes without a count or without a median are left out; the end is filled with padding.
    """
    ids = torch.full((len(cells), _LENGTH), PAD)
    for row, cell in zip(ids, cells, strict=True):
        share = np.where(np.isfinite(median), cell["values"] / median, 0.0)
        order = [index for index in np.argsort(-share, kind="stable") if share[index] > 0][:_LENGTH]
        row[: len(order)] = torch.tensor([tokens[cell["genes"][index]] for index in order])
    return {"input_ids": ids, "attention_mask": (ids != PAD).long()}


def _config(n: int, names: Mapping[str, Any]) -> BertConfig:
    """Half of Geneformer V1's width and four of its six layers."""
    return BertConfig(
        vocab_size=n,
        hidden_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=256,
        hidden_act="relu",
        max_position_embeddings=_LENGTH,
        pad_token_id=PAD,
        **names,
    )
