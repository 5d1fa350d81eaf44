"""Geneformer's repository in small: its folders, its file names, its dictionaries as pickles, and fresh weights."""

from __future__ import annotations

import pickle
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

GENES = {"V1": [f"ENSG{i:011d}" for i in range(1, 91)], "V2": [f"ENSG{i:011d}" for i in range(1, 71)]}
SPECIALS = {"V1": {"<pad>": 0, "<mask>": 1}, "V2": {"<pad>": 0, "<mask>": 1, "<cls>": 2, "<eos>": 3}}
POSITIONS = {"V1": 20, "V2": 40}
PLACES = {"V1": ("geneformer/gene_dictionaries_30m", "gc30M"), "V2": ("geneformer", "gc104M")}
#: A retired id, and what it is called today.
RETIRED = ("ENSG00000099999", "ENSG00000000005")


@cache
def tokens(version: str) -> dict[str, int]:
    genes = np.random.default_rng(len(version)).permutation(GENES[version]).tolist()
    return {**SPECIALS[version], **{gene: i + len(SPECIALS[version]) for i, gene in enumerate(genes)}}


@cache
def medians(version: str) -> dict[str, np.float64]:
    drawn = np.random.default_rng(POSITIONS[version]).uniform(0.5, 9, len(GENES[version]))
    return dict(zip(GENES[version], drawn, strict=True))  # numpy's scalars, as in the real ones


def symbols(version: str) -> dict[str, str]:
    return {f"SYM{int(gene[4:])}": gene for gene in GENES[version]}


def write_dictionaries(repo: Path, version: str) -> None:
    folder, tag = PLACES[version]
    (repo / folder).mkdir(parents=True, exist_ok=True)
    mapping = {gene: gene for gene in GENES[version]} | dict([RETIRED])
    named = {
        "token_dictionary": tokens(version),
        "gene_median_dictionary": medians(version),
        "gene_name_id_dict": symbols(version),
        "ensembl_mapping_dict": mapping,
    }
    for name, values in named.items():
        (repo / folder / f"{name}_{tag}.pkl").write_bytes(pickle.dumps(values, 4))


def config(version: str, **more: Any) -> Any:
    from transformers import BertConfig

    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
    return BertConfig(
        vocab_size=len(tokens(version)), max_position_embeddings=POSITIONS[version], hidden_act="relu",
        pad_token_id=0, initializer_range=0.3, **sizes, **more,
    )  # fmt: skip


def write_model(folder: Path, version: str, kind: str = "BertForMaskedLM", **more: Any) -> None:
    import transformers

    torch.manual_seed(0)
    getattr(transformers, kind)(config(version, **more)).save_pretrained(folder)


def snapshot(repo: Path) -> Path:
    """The repository: version 2 at its root and in a folder, version 1 in a folder, fine-tuned ones below."""
    for version in GENES:
        write_dictionaries(repo, version)
    write_model(repo, "V2")
    write_model(repo / "Geneformer-V2-104M", "V2")
    write_model(repo / "Geneformer-V1-10M", "V1")
    tuned = repo / "fine_tuned_models"
    write_model(tuned / "Geneformer-V1-10M_CellClassifier", "V1", "BertForSequenceClassification", num_labels=3)
    write_model(tuned / "Geneformer-V2-104M_GeneClassifier", "V2", "BertForTokenClassification", num_labels=2)
    (repo / "training_args.bin").write_bytes(b"not to be read")
    return repo


def cell(version: str, genes: int = 12, seed: int = 0) -> dict[str, Any]:
    numbers = np.random.default_rng(seed)
    chosen = [GENES[version][i] for i in numbers.permutation(len(GENES[version]))[:genes]]
    return {"genes": chosen, "values": numbers.poisson(4, genes) + 1.0}
