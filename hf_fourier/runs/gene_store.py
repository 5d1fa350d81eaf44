"""What `store="genes"` keeps of each cell: a number for each of its genes, beside its label and confidence.

A cell's genes are the model's tokens (int16 where the vocabulary allows) beside their scores (float32): 6 bytes a gene.
The file `genes.json` of the run says once which token is which gene. `hf_fourier.runs.gene_results` reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hf_fourier.methods.base import asks_gradient
from hf_fourier.models.base import ModelWrapper
from hf_fourier.results.atomic_writes import write_whole
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.integrity import parsing, read_json, sealed
from hf_fourier.results.parts import FITTED
from hf_fourier.results.relevance import of_all, usual_kind
from hf_fourier.results.schema import check
from hf_fourier.results.views import GeneView, NoView
from hf_fourier.runs.manifest import Manifest
from hf_fourier.typing import Tensor

NAME = "genes.json"
#: Names of a cell's two tensors in a shard.
TOKENS, SCORES = "genes.tokens", "genes.scores"
NOT_STORABLE = "no number for each gene: a cell, and contributions or the scores of positions, are needed"
_FORMAT = 1
_SCHEMA = {"format": int, "tokens": dict, "symbols": dict, "aliases?": dict}
_HINT = "run the same command again, which writes it again"


def has_gene_scores(result: Attribution) -> bool:
    """Whether a result has one number for each gene of a cell: contributions, or the scores of positions."""
    return isinstance(result.view, GeneView) and of_all(result)


def gene_parts(result: Attribution) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The record and the tensors of one cell; see `has_gene_scores`."""
    values, tensors = result.to_parts(compact=True)
    relevance, kind = result.input_relevance(), usual_kind(result)
    by = "contributions" if kind == "contribution" else str(result.provenance["method"])
    tokens = result.inputs["input_ids"][result.inputs["content"]].cpu()
    of_model = asks_gradient(str(result.provenance["method"]), result.gradient is not None)
    ranks_frequencies = of_model and "identity" not in str(result.provenance["domain"])
    values |= {
        "view": NoView().to_dict(), "names": [], "extras": {}, "features": len(result.scores),
        "genes": {"by": by, "measure": relevance.measure, "signed": relevance.signed},
        "model_share": 1 - result.magnitude_overlap() if ranks_frequencies else None,
    }  # fmt: skip
    small = int(tokens.max()) <= torch.iinfo(torch.int16).max
    scores = torch.from_numpy(np.asarray(relevance.values, dtype=np.float32))
    fitted = {name: tensor for name, tensor in tensors.items() if name.startswith(FITTED)}
    return values, {TOKENS: tokens.to(torch.int16 if small else torch.int32), SCORES: scores} | fitted


def write_vocabulary(folder: Path, manifest: Manifest, wrapper: ModelWrapper) -> None:
    """Write which token is which gene into the folder of a run that stores genes, unless it is there, whole.

    Raises:
        StorageError: If it cannot be written.
    """
    if manifest.settings["store"] != "genes":
        return
    tokenizer = wrapper.processor
    symbols = dict(tokenizer.symbols)
    aliases = {name: gene for name, gene in tokenizer.aliases.items() if symbols.get(gene) != name}
    data = sealed({"format": _FORMAT, "tokens": dict(tokenizer.tokens), "symbols": symbols, "aliases": aliases})
    path = folder / NAME
    if not path.is_file() or path.read_bytes() != data:
        write_whole(path, [data])


def read_vocabulary(folder: Path) -> tuple[list[str], Mapping[str, str], Mapping[str, str]]:
    """The gene of each token of a run ("" for none), their symbols, and the genes by other names (retired ids).

    Raises:
        DamagedFile: If the file is not as it was written.
    """
    path = folder / NAME
    values = read_json(path, _HINT)
    with parsing(path, _HINT):
        check(values, _SCHEMA)
        check(list(values["tokens"].values()), [int])
        aliases = values.get("aliases", {})
        check([*values["symbols"].values(), *aliases.values()], [str])
        genes = [""] * (max(values["tokens"].values()) + 1)
        for gene, token in values["tokens"].items():
            genes[token] = gene
    return genes, values["symbols"], aliases
