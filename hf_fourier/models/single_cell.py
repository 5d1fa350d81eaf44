"""Single cells: Geneformer's architecture on rank-value tokens. There is no AutoTokenizer for it.

A position is a gene's rank; frequencies are in cycles per gene along the ranking.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, ClassVar

import torch

from hf_fourier.errors import InputError, TargetError
from hf_fourier.models.base import ModelWrapper
from hf_fourier.models.gene_tokenizer import GeneTokenizer
from hf_fourier.models.geneformer_files import gene_tokenizer
from hf_fourier.models.inputs.cells import is_cell_file, read_cells, table_cells
from hf_fourier.models.inputs.files import MANY_CELLS
from hf_fourier.models.text import TextWrapper
from hf_fourier.models.tokenization import TokenHead
from hf_fourier.results.views import GeneView
from hf_fourier.scoring.example_batch import EncodedExample
from hf_fourier.scoring.heads import Head
from hf_fourier.typing import Tensor

#: Heads whose target is the cell's; those of positions have no target left once a gene is gone.
TASKS = ("text-classification", "feature-extraction")


class GeneHead(TokenHead):
    """A softmax over genes; they are named by symbol or Ensembl id."""

    def _index(self, label: str) -> int:
        tokenizer: GeneTokenizer = self.tokenizer
        found = {symbol: gene for gene, symbol in tokenizer.symbols.items()}.get(label, label)
        if found not in tokenizer.tokens:
            raise TargetError(f"gene {label!r}", "a symbol or an Ensembl id of the vocabulary", "correct `target`")
        return int(tokenizer.tokens[found])

    def label(self, index: int) -> str:
        """The gene's symbol."""
        return str(self.tokenizer.name(index))


class SingleCellWrapper(TextWrapper):
    """Embedded genes behind rank-value tokens."""

    unit: ClassVar[str] = "gene"

    @classmethod
    def supports(cls, task: str, processor: Any) -> bool:
        """Whether cells come through a `GeneTokenizer`."""
        return isinstance(processor, GeneTokenizer) and task in cls.tasks

    @classmethod
    def make_processor(cls, source: str, where: Mapping[str, Any], config: Any) -> Any:
        """The gene dictionaries of a checkpoint folder that has them, or of the repository that it lies in."""
        return gene_tokenizer(source, where, config)

    def split_file(self, example: Any) -> list[Any] | None:
        """The cells of a table or of a `.dataset`, by its path, or of an `AnnData`."""
        if hasattr(example, "obs") and hasattr(example, "var"):
            names, cell = table_cells(example)
            return [cell(place) for place in range(len(names))]
        return read_cells(example) if is_cell_file(example) else None

    def is_example(self, mapping: Mapping[str, Any]) -> bool:
        """Whether a mapping is one cell: genes with values, or one row of tokens."""
        if "genes" in mapping:
            return True
        ids: Any = mapping.get("input_ids")
        dimensions = getattr(ids, "ndim", None)
        if dimensions is None and isinstance(ids, Sequence):
            dimensions = 1 if ids and not any(hasattr(one, "__len__") for one in ids) else 2
        return dimensions == 1

    def head(self) -> Head:
        """Classes for classifiers, genes for language models."""
        own = super().head()
        return GeneHead(self.processor) if isinstance(own, TokenHead) else own

    def encode(self, example: Any) -> EncodedExample:
        """A cell: `{"genes": Ensembl ids, "values": counts}`, or `{"input_ids": rank-value tokens}`.

        Raises:
            InputError: If it is neither, or no gene of it is known.
        """
        if isinstance(example, PathLike) or (isinstance(example, str) and example.lower().endswith(MANY_CELLS)):
            got = f"the path {os.fspath(example)!r}, which is not a file of cells"
            do = "correct the path, and pass it alone: one file holds several cells"
            raise InputError(got, "an .h5ad file or a .dataset folder that exists", do)
        if not isinstance(example, Mapping) or not self.is_example(example):
            got = f"an example of type {type(example).__name__}"
            raise InputError(got, "{'genes': Ensembl ids, 'values': counts}", "pass one cell, or a list of cells")
        notes: tuple[str, ...] = ()
        if "genes" in example:
            if "values" not in example:
                raise InputError("a cell without 'values'", "one count per gene", "add the counts as 'values'")
            ids, notes = self.processor.encode(list(example["genes"]), example["values"], self.limit)
        else:
            ids, notes = self._cut(self._without_padding(_tokens(example["input_ids"])))
            first = self.processor.tokens.get("<cls>")
            if first is not None and ids[:1] != [first]:
                notes += ("tokens without the <cls> that this model's cells begin with: made for another version?",)
        row = {"input_ids": torch.tensor(ids), "attention_mask": torch.ones(len(ids), dtype=torch.long)}
        return self._encoded(row, torch.zeros(len(ids), dtype=torch.bool), None, notes)

    def _encoded(
        self, row: dict[str, Tensor], added: Tensor, segments: Tensor | None, notes: tuple[str, ...]
    ) -> EncodedExample:
        encoded = super()._encoded(row, added, None, notes)
        content = row["input_ids"][encoded.content].tolist()
        encoded.view = GeneView(genes=tuple(self.processor.ensembl(token) for token in content))
        return encoded

    def _without_padding(self, ids: list[int]) -> list[int]:
        """Tokens without the `<pad>` behind them, which is not to be attended to."""
        pad, end = self.processor.tokens.get("<pad>"), len(ids)
        while end > 1 and ids[end - 1] == pad:
            end -= 1
        return ids[:end]

    def _cut(self, ids: list[int]) -> tuple[list[int], tuple[str, ...]]:
        """Tokens that fit the model: the lowest ranks are left out, an `<eos>` stays."""
        limit = self.limit
        if limit is None or len(ids) <= limit:
            return ids, ()
        end = ids[-1:] if ids[-1] in self.special_ids else []
        return [*ids[: limit - len(end)], *end], (f"a cell of {len(ids)} tokens was cut to the model's {limit}",)

    @property
    def special_ids(self) -> set[int]:
        """The tokens that are no genes."""
        return set(self.processor.special_ids)

    def name_tokens(self, ids: Sequence[int]) -> list[str]:
        """The genes' symbols."""
        return [self.processor.name(token) for token in ids]


def cells_may_lose_genes(wrapper: ModelWrapper) -> SingleCellWrapper:
    """The wrapper of a model of cells whose target is the cell's, so that genes may be deleted.

    Raises:
        InputError: If it is no model of cells.
        TargetError: If what is explained belongs to single genes.
    """
    if not isinstance(wrapper, SingleCellWrapper):
        raise InputError(f"genes of {wrapper.task}", "a model of cells", "call explainer.perturb")
    if wrapper.task not in TASKS:
        expected = f"one of {', '.join(TASKS)}"
        raise TargetError(f"genes deleted under {wrapper.task}, whose targets are genes", expected, "explain the cell")
    return wrapper


def _tokens(given: Any) -> list[int]:
    """Rank-value tokens as whole numbers."""
    try:
        return [operator.index(token) for token in given]
    except TypeError as error:
        raise InputError(
            f"tokens that are not whole numbers ({error})", "rank-value tokens", "tokenise again"
        ) from error
