"""Cells as Geneformer reads them: genes in the order of their rank value, one token each.

Rank-value encoding (Theodoris et al. 2023): a gene's count is divided by the cell's total, times 10,000, and by the
gene's median over many cells; genes are sorted in descending order, zeros dropped, the rest cut to the model's length.
The order does not depend on the cell's total.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from hf_fourier.errors import InputError, ModelError

TOKENS, MEDIANS, SYMBOLS = "token_dictionary.json", "gene_median_dictionary.json", "gene_symbols.json"
#: Counts are scaled to this total.
TOTAL = 10_000


@dataclass(frozen=True, eq=False)
class GeneTokenizer:
    """Turns a cell into tokens, and tokens back into genes.

    Where the vocabulary has `<cls>` and `<eos>`, they are set around the genes.

    Attributes:
        tokens: Token of each gene (by Ensembl id) and of the specials ("<pad>", "<mask>", "<cls>", "<eos>").
        medians: Median of each gene's scaled nonzero counts; a gene without one is not read.
        symbols: Symbol of each gene.
        limit: The longest input in tokens, specials included; None for no limit.
    """

    tokens: Mapping[str, int]
    medians: Mapping[str, float]
    symbols: Mapping[str, str] = field(default_factory=dict)
    limit: int | None = None

    @classmethod
    def from_folder(cls, folder: str | PathLike[str], limit: int | None = None) -> GeneTokenizer:
        """Read the dictionaries, as JSON, from a checkpoint's folder.

        Raises:
            ModelError: If one is missing.
        """
        path = Path(folder)
        for name in (TOKENS, MEDIANS):
            if not (path / name).is_file():
                raise ModelError(f"folder {path.name!r} without {name}", "the model's gene dictionaries", "add them")
        tokens, medians = (json.loads((path / name).read_text(encoding="utf-8")) for name in (TOKENS, MEDIANS))
        symbols = json.loads((path / SYMBOLS).read_text(encoding="utf-8")) if (path / SYMBOLS).is_file() else {}
        return cls(tokens, medians, symbols, limit)

    def encode(self, genes: Sequence[str], values: Any, limit: int | None = None) -> tuple[list[int], tuple[str, ...]]:
        """The tokens of one cell in descending order of rank value, and what has to be said of it.

        Genes of equal rank value stay in the order they came; counts of a gene that comes twice are added.

        Args:
            genes: Ensembl ids.
            values: Counts, raw or scaled by any factor, shape `(genes,)`, not negative, not logarithms.
            limit: The longest input of the model in tokens; the tokenizer's own, if it has one, holds too.

        Raises:
            InputError: If the lengths differ, a value is negative or NaN, or no gene is known and expressed.
        """
        found = _counts(genes, values)
        if not found:
            raise InputError("a cell that expresses no gene", "at least one count above 0", "leave the cell out")
        known = [gene for gene in found if gene in self.tokens and self.medians.get(gene, 0) > 0]
        if not known:
            got = f"a cell in which none of {len(found)} expressed genes is known ({next(iter(found))}, …)"
            raise InputError(got, "Ensembl ids of the model's vocabulary", "map symbols to Ensembl ids")
        total = sum(found.values())
        scaled = np.asarray([found[gene] / total * TOTAL / self.medians[gene] for gene in known])
        ranked = [self.tokens[known[i]] for i in np.argsort(-scaled, kind="stable")]
        notes: tuple[str, ...] = ()
        if len(known) < len(found):
            notes = (f"{len(found) - len(known)} of {len(found)} expressed genes are not in the model's vocabulary",)
        start, end = ([self.tokens[name]] if name in self.tokens else [] for name in ("<cls>", "<eos>"))
        limits = [most for most in (self.limit, limit) if most is not None]
        room = min(limits) - len(start) - len(end) if limits else len(ranked)
        if len(ranked) > room:
            notes += (f"a cell of {len(ranked)} genes was cut to the first {room}",)
        return [*start, *ranked[:room], *end], notes

    @cached_property
    def genes(self) -> dict[int, str]:
        """The Ensembl id of each token."""
        return {token: gene for gene, token in self.tokens.items()}

    def name(self, token: int) -> str:
        """A token's gene symbol, or its Ensembl id where there is none."""
        gene = self.genes.get(token, str(token))
        return self.symbols.get(gene, gene)

    @cached_property
    def special_ids(self) -> set[int]:
        """The tokens that are no genes."""
        return {token for name, token in self.tokens.items() if name.startswith("<")}

    @property
    def mask_token_id(self) -> int | None:
        """The mask, if the vocabulary has one."""
        return self.tokens.get("<mask>")


def _counts(genes: Sequence[str], values: Any) -> dict[str, float]:
    """The expressed genes with their counts, in the order they came.

    Raises:
        InputError: If the lengths differ, or a value is no count.
    """
    values = values.toarray() if hasattr(values, "toarray") else values  # a row of a sparse matrix
    try:
        counts = np.asarray(values, dtype=np.float64).ravel()
    except (TypeError, ValueError) as error:
        raise InputError(
            f"values of type {type(values).__name__}", "one number per gene", "correct the cell"
        ) from error
    if len(genes) != len(counts):
        raise InputError(f"{len(genes)} genes and {len(counts)} values", "as many", "correct the cell")
    if not np.isfinite(counts).all() or (counts < 0).any():
        raise InputError("values that are negative or NaN", "counts", "pass counts, not logarithms or z-scores")
    found: dict[str, float] = {}
    for gene, count in zip(genes, counts.tolist(), strict=True):
        if count > 0:
            found[str(gene)] = found.get(str(gene), 0.0) + count
    return found
