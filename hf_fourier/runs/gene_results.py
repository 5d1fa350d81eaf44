"""Reads the scores of genes that a run with `store="genes"` kept: all of them, or tested by group shard after shard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from hf_fourier.errors import InputError
from hf_fourier.results.gene_groups import GroupSums, NoteCounts, compare, group_name, label_notes
from hf_fourier.results.gene_scores import GeneScores, kept_provenance
from hf_fourier.results.integrity import parsing
from hf_fourier.results.schema import Malformed, check
from hf_fourier.results.table import Table
from hf_fourier.runs.gene_store import SCORES, TOKENS, read_vocabulary
from hf_fourier.runs.shards import AGAIN, Shard

_RECORD = {"genes": {"by": str, "measure": str, "signed": bool}, "model_share": (float, int, type(None))}


@dataclass(frozen=True, eq=False)
class StoredGenes:
    """The cells of a run with `store="genes"`.

    Attributes:
        folder: The run's folder.
        task: The model's task.
        shards: Its finished shards, opened one after the other.
        genes: The gene of each token.
        symbols: Their symbols.
        aliases: Genes by other names, such as retired ids.
        groups: The group of each example of the data set, "" for none; None for no groups.
        groupby: What the groups are called, or "".
    """

    folder: Path
    task: str
    shards: Iterable[Shard]
    genes: list[str]
    symbols: Mapping[str, str]
    aliases: Mapping[str, str]
    groups: list[str] | None
    groupby: str

    @classmethod
    def of_run(
        cls, folder: Path, settings: Mapping[str, Any], cells: int, shards: Iterable[Shard], groups: Any
    ) -> StoredGenes:
        """Those of a folder.

        Args:
            folder: The run's folder.
            settings: Of its manifest.
            cells: How many examples the data set has.
            shards: The finished shards.
            groups: One for each example of the data set; None for no groups.

        Raises:
            InputError: If the run stores no genes, or there is not one group for each example.
            DamagedFile: If the list of genes is not as it was written.
        """
        if settings["store"] != "genes":
            got = f"a run with store={settings['store']!r}"
            raise InputError(got, "one of cells with store='genes'", "run the cells again with store='genes'")
        names, groupby = None, str(getattr(groups, "name", None) or "")
        if groups is not None:
            if len(groups) != cells:
                raise InputError(f"{len(groups)} groups for {cells} cells", "one for each", "correct `groups`")
            names = [group_name(x) for x in groups]
        return cls(folder, settings["task"], shards, *read_vocabulary(folder), names, groupby)

    def scores(self) -> GeneScores:
        """See `Results.genes`."""
        matrices, records = list[sparse.csr_array](), list[dict[str, Any]]()
        for scores, some in self._pieces():
            matrices.append(scores)
            records += some
        if not records:
            raise _nothing()
        whole = sparse.csr_array(sparse.vstack(matrices))
        matrices.clear()
        order = sorted(range(len(records)), key=lambda row: records[row]["index"])
        if order != list(range(len(order))):
            whole, records = whole[order], [records[row] for row in order]
        is_seen = np.zeros(len(self.genes), dtype=bool)
        is_seen[whole.indices] = True
        columns, seen = np.cumsum(is_seen, dtype=np.int32) - 1, np.flatnonzero(is_seen)
        whole = sparse.csr_array((whole.data, columns[whole.indices], whole.indptr), (len(records), len(seen)))
        genes, notes = tuple(self.genes[token] for token in seen), _counted(records)
        known = set(genes)
        confidences, shares = (
            np.array([np.nan if record[name] is None else record[name] for record in records], dtype=float)
            for name in ("confidence", "model_share")
        )
        return GeneScores(
            scores=whole, effects=None, genes=genes,
            symbols=tuple(self.symbols.get(gene, gene) for gene in genes), names=genes,
            cells=tuple(map(_name, records)),
            labels=tuple(record["label"] for record in records), confidences=confidences, model_share=shares,
            **records[0]["genes"], reads_first=self.task == "text-classification" and "<cls>" not in self.genes,
            groups=self._grouped(records) if self.groups is not None else (), groupby=self.groupby,
            provenance=kept_provenance(records[0]["provenance"], notes),
            aliases={name: gene for name, gene in self.aliases.items() if gene in known},
        )  # fmt: skip

    def compare(self, group: str | None, reference: str) -> Table:
        """See `Results.compare_genes`."""
        sums = GroupSums.empty((), len(self.genes))
        pairs, notes = Counter[tuple[str, str]](), NoteCounts()
        for scores, records in self._pieces():
            groups = self._grouped(records)
            sums = sums.widened(sorted(set(groups) - {""}))
            sums.add(scores, groups)
            pairs.update(zip(groups, (record["label"] for record in records), strict=True))
            _counted(records, notes)
        if not pairs:
            raise _nothing()
        symbols = [self.symbols.get(gene, gene) for gene in self.genes]
        table = compare(sums.ordered(), symbols, self.genes, group, reference)
        return Table(table.columns, (*table.notes, *label_notes(pairs), *notes.lines()))

    def _grouped(self, records: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
        """The group of each cell, or its label where there are no groups."""
        if self.groups is None:
            return tuple(record["label"] for record in records)
        return tuple(self.groups[record["index"]] for record in records)

    def _pieces(self) -> Iterator[tuple[sparse.csr_array, list[dict[str, Any]]]]:
        """The explained cells of each shard: their scores by token, `(cells, tokens)`, and their plain values."""
        for shard in self.shards:
            records = {row: record for row in range(len(shard)) if "failed" not in (record := shard.record(row))}
            if not records:
                continue
            with parsing(shard.path, AGAIN):
                cells = [self._cell(shard.tensors(row), record) for row, record in records.items()]
            indptr = np.concatenate([[0], np.cumsum([len(tokens) for tokens, _ in cells])]).astype(np.int32)
            tokens, values = (np.concatenate(column) for column in zip(*cells, strict=True))
            scores = sparse.csr_array((values, tokens, indptr), (len(cells), len(self.genes)))
            scores.sum_duplicates()  # a token that a cell repeats is one gene
            yield scores, list(records.values())

    def _cell(self, tensors: Mapping[str, Any], record: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        """The tokens and the scores of one cell; raises `Malformed` where they are none."""
        check(record, _RECORD)
        tokens, scores = (tensors[name].numpy() for name in (TOKENS, SCORES))
        known = tokens.size == 0 or 0 <= tokens.min() <= tokens.max() < len(self.genes)
        if tokens.ndim != 1 or tokens.shape != scores.shape or not known:
            raise Malformed(f"tokens of shape {tokens.shape} with scores of shape {scores.shape}")
        return tokens.astype(np.int32), scores.astype(np.float64)


def _name(record: Mapping[str, Any]) -> str:
    return str(record["name"] or f"cell-{record['index']:05}")


def _counted(records: Sequence[Mapping[str, Any]], notes: NoteCounts | None = None) -> NoteCounts:
    """The notes on some cells, added to those on others."""
    notes = notes or NoteCounts()
    for record in records:
        notes.add(_name(record), record["provenance"].get("notes", ()))
    return notes


def _nothing() -> InputError:
    return InputError("a run without one explained cell", "at least one", "see failures()")
