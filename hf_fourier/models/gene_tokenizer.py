"""Cells as Geneformer reads them: genes in the order of their rank value, one token each.

Rank-value encoding (Theodoris et al. 2023): a gene's count is divided by the cell's total, times 10,000, and by the
gene's median over many cells; genes are sorted in descending order, zeros dropped, the rest cut to the model's length.
The order does not depend on the cell's total. Version 1 reads 2,048 genes without marks, version 2 reads 4,096 tokens
with `<cls>` in front and `<eos>` behind; the vocabulary says which it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hf_fourier.errors import InputError, ModelError
from hf_fourier.models.inputs.cells import kind_of, read_cells
from hf_fourier.models.inputs.pickles import read_float_dict, read_str_dict
from hf_fourier.results.gene_ids import id_forms

__all__ = ["GeneTokenizer", "read_cells"]

TOKENS, MEDIANS, SYMBOLS = "token_dictionary.json", "gene_median_dictionary.json", "gene_symbols.json"
#: Where Geneformer's repository keeps its dictionaries, and how their names end: version 2, version 1, and those of
#: earlier revisions.
LAYOUTS = (
    ("geneformer", "_gc104M"),
    ("geneformer/gene_dictionaries_30m", "_gc30M"),
    ("geneformer", "_gc95M"),
    ("geneformer", ""),
)
#: Their names: tokens, medians, symbols to ids, other ids to ids.
FILES = ("token_dictionary", "gene_median_dictionary", "gene_name_id_dict", "ensembl_mapping_dict")
#: Unknown genes that a note names.
MOST_NAMED = 8


@dataclass(frozen=True, eq=False)
class GeneTokenizer:
    """Turns a cell into tokens, and tokens back into genes.

    Where the vocabulary has `<cls>` and `<eos>`, they are set around the genes.

    Attributes:
        tokens: Token of each gene (by Ensembl id) and of the specials ("<pad>", "<mask>", "<cls>", "<eos>").
        medians: Median of each gene's scaled nonzero counts; a gene without one is not read.
        symbols: Symbol of each gene.
        limit: The longest input in tokens, specials included; None for no limit.
        aliases: The vocabulary's id of other ids (retired ones) and of symbols.
        ties: Genes of equal rank value stay in the order they came, on any machine. Geneformer's tools leave them to
            `numpy.argsort`, whose order depends on numpy and the processor; "numpy" asks it the same way.
    """

    tokens: Mapping[str, int]
    medians: Mapping[str, float]
    symbols: Mapping[str, str] = field(default_factory=dict)
    limit: int | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    ties: Literal["stable", "numpy"] = "stable"

    @classmethod
    def from_folder(cls, folder: str | PathLike[str], limit: int | None = None) -> GeneTokenizer:
        """Read the dictionaries from a checkpoint's folder: as JSON, or as Geneformer's own pickles, safely.

        Raises:
            ModelError: If one is missing or is refused.
        """
        path = Path(folder)
        for suffix in dict.fromkeys(suffix for _, suffix in LAYOUTS):
            names = [f"{name}{suffix}.pkl" for name in FILES]
            if not (path / TOKENS).is_file() and (path / names[0]).is_file():
                found = [path / name if (path / name).is_file() else None for name in names]
                return cls.from_files(*found, limit=limit)
        symbols = path / SYMBOLS
        own = cls.from_files(path / TOKENS, path / MEDIANS, limit=limit)
        return cls(own.tokens, own.medians, read_str_dict(symbols) if symbols.is_file() else {}, limit)

    @classmethod
    def from_files(
        cls,
        tokens: str | PathLike[str] | None,
        medians: str | PathLike[str] | None,
        names: str | PathLike[str] | None = None,
        mapping: str | PathLike[str] | None = None,
        *,
        limit: int | None = None,
    ) -> GeneTokenizer:
        """Read Geneformer's dictionaries: pickles, out of which nothing is run, or JSON.

        Args:
            tokens: Ensembl id → token.
            medians: Ensembl id → median.
            names: Symbol → Ensembl id.
            mapping: Other Ensembl ids → Ensembl id.
            limit: The longest input in tokens, specials included.

        Raises:
            ModelError: If one of the first two is missing, or a file is refused.
        """
        for name, file in zip(FILES, (tokens, medians), strict=False):
            if file is None or not Path(file).is_file():
                got = f"no {name if file is None else Path(file).name}"
                raise ModelError(got, "the model's gene dictionaries", "add this file to their folder")
        assert tokens is not None
        assert medians is not None
        vocabulary = {gene: int(token) for gene, token in read_float_dict(tokens).items()}
        ids = {} if names is None else read_str_dict(names)
        others = {} if mapping is None else read_str_dict(mapping)
        aliases = {name: gene for name, gene in {**ids, **others}.items() if gene in vocabulary and name != gene}
        symbols: dict[str, str] = {}
        for name, gene in ids.items():
            symbols.setdefault(gene, name)
        return cls(vocabulary, read_float_dict(medians), symbols, limit, aliases)

    def encode(self, genes: Sequence[str], values: Any, limit: int | None = None) -> tuple[list[int], tuple[str, ...]]:
        """The tokens of one cell in descending order of rank value, and notes on it.

        Counts of a gene that comes twice, by whatever name, are added.

        Args:
            genes: Ensembl ids, with or without a version (".12"); symbols where the tokenizer has a map of them.
            values: Counts, raw or scaled by any factor, shape `(genes,)`, not negative, not logarithms.
            limit: The longest input of the model in tokens; the tokenizer's own, if it has one, holds too.

        Raises:
            InputError: If the lengths differ, a value is negative or NaN, they are logarithms of counts, or no gene is
                known and expressed.
        """
        expressed, notes = _counts(genes, values)
        if not expressed:
            raise InputError("a cell that expresses no gene", "at least one count above 0", "leave the cell out")
        found: dict[str, float] = {}
        by_symbol = 0
        missing: list[str] = []
        for name, count in expressed.items():
            gene = self.gene(name)
            if gene is None or not self.medians.get(gene, 0) > 0:
                missing.append(name)
                continue
            by_symbol += len(id_forms(name)) == 1 and gene != name
            found[gene] = found.get(gene, 0.0) + count
        if not found:
            got = f"a cell in which none of {len(expressed)} expressed genes is known ({next(iter(expressed))}, …)"
            raise InputError(got, "Ensembl ids of the model's vocabulary", "map symbols to Ensembl ids")
        known = list(found)
        # The cell's total and the 10,000 are the same for all its genes; without them equal ratios are equal numbers.
        scaled = np.asarray([found[gene] / self.medians[gene] for gene in known])
        ranked = [self.tokens[known[i]] for i in np.argsort(-scaled, kind="stable" if self.ties == "stable" else None)]
        if missing:
            said = f"{len(missing)} of {len(expressed)} expressed genes are not in the model's vocabulary"
            notes += (f"{said}: {', '.join(missing[:MOST_NAMED])}{', …' if len(missing) > MOST_NAMED else ''}",)
        if by_symbol:
            notes += (f"{by_symbol} of {len(expressed)} expressed genes were read by their symbols",)
        start, end = ([self.tokens[name]] if name in self.tokens else [] for name in ("<cls>", "<eos>"))
        limits = [most for most in (self.limit, limit) if most is not None]
        room = min(limits) - len(start) - len(end) if limits else len(ranked)
        if len(ranked) > room:
            notes += (f"a cell of {len(ranked)} genes was cut to the first {room}",)
        return [*start, *ranked[:room], *end], notes

    def gene(self, name: str) -> str | None:
        """The vocabulary's id of a gene by any of its names: its Ensembl id, an older or versioned one, its symbol.

        Ensembl ids may be in small letters; symbols may not: `Cd3d` is a gene of the mouse.
        """
        for form in id_forms(name):
            found = self.aliases.get(form, form if form in self.tokens else None)
            if found is not None:
                return found
        return None

    @cached_property
    def genes(self) -> dict[int, str]:
        """The Ensembl id of each token."""
        return {token: gene for gene, token in self.tokens.items()}

    def ensembl(self, token: int) -> str:
        """A token's Ensembl id, or its number where it has none."""
        return self.genes.get(token, str(token))

    def name(self, token: int) -> str:
        """A token's gene symbol, or its Ensembl id where there is none."""
        gene = self.ensembl(token)
        return self.symbols.get(gene, gene)

    @cached_property
    def special_ids(self) -> set[int]:
        """The tokens that are no genes."""
        return {token for name, token in self.tokens.items() if name.startswith("<")}

    @property
    def mask_token_id(self) -> int | None:
        """The mask, if the vocabulary has one."""
        return self.tokens.get("<mask>")


def _counts(genes: Sequence[str], values: Any) -> tuple[dict[str, float], tuple[str, ...]]:
    """The expressed genes with their counts, in the order they came, and notes on these.

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
    kind = kind_of(counts)
    if kind == "logs":
        got = "values that are logarithms of counts, which give other ranks"
        raise InputError(got, "counts, raw or scaled", "pass np.expm1(values), or the counts themselves")
    said = "values are neither counts nor counts times a factor: if they are logarithms, their ranks are wrong"
    found: dict[str, float] = {}
    for gene, count in zip(genes, counts.tolist(), strict=True):
        if count > 0:
            found[str(gene)] = found.get(str(gene), 0.0) + count
    return found, (said,) if kind == "other" else ()
