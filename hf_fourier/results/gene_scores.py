"""Which genes the decisions of a model on many cells rest on: signed scores, tested by group, back into an AnnData."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from hf_fourier.errors import InputError, MissingExtraError
from hf_fourier.results import gene_file
from hf_fourier.results.curve import Curve
from hf_fourier.results.drawing import drawn_by
from hf_fourier.results.gene_groups import (
    GroupSums,
    NoteCounts,
    compare,
    group_name,
    label_notes,
    paired_samples,
    rest_by_sample,
    row_means,
)
from hf_fourier.results.relevance import SEQUENTIAL
from hf_fourier.results.table import Table

if TYPE_CHECKING:
    from anndata import AnnData

#: The layer of an `AnnData`, and the beginning of its columns, by default.
KEY = "gene_scores"
#: What is noted where genes of a model are deleted that reads its answer at one of them.
MOVED = "the model makes its prediction at the first gene: where that is deleted, another one is read"
#: What is kept of the provenance of the first cell.
KEPT_PROVENANCE = ("model", "revision", "method", "domain", "seed", "versions")


def kept_provenance(first: Mapping[str, Any], notes: NoteCounts) -> dict[str, Any]:
    """What scores keep of the provenance of the first cell, with the counted notes on all cells."""
    return {name: first[name] for name in KEPT_PROVENANCE if name in first} | {"notes": list(notes.lines())}


@dataclass(frozen=True, eq=False)
class GeneScores:
    """One signed number for each gene of each cell: above 0 it is evidence for the cell's label, below against it.

    A gene that a cell does not express is not in the model's input, and its score there is 0: nothing rests on it.

    Attributes:
        scores: Shape `(cells, genes)`, sparse; an entry, 0 or not, where the model read the gene in the cell.
        effects: In-silico deletion of the checked genes (the score's fall without the gene), NaN where not checked;
            None where the scores are effects themselves.
        genes: Ensembl ids of the columns.
        symbols: Their symbols.
        names: What the data call them (a retired id, a symbol).
        aliases: Which of the genes other names stand for: retired ids, former symbols.
        samples: The sample that each row is a mean of, after `averaged`; or empty.
        cells: Names of the rows.
        labels: The explained label of each cell.
        confidences: The model's confidence in it; NaN where the head has none.
        model_share: For each cell, 1 minus the overlap of the ranking of frequencies with that by magnitude; NaN where
            the scores come from no such ranking.
        by: How the scores were made.
        measure: One score in words.
        signed: Whether a score above 0 is evidence for the label; of a method without signs it is a size.
        reads_first: Whether the model makes its prediction at the first gene.
        groups: The group of each cell, "" for none; or empty.
        groupby: The column that they came from, or "".
        curves: Perturbation curves of each cell by ranking, the controls among them.
        provenance: Model, method, domain, seed and versions, and counted `notes` on the cells.
    """

    scores: sparse.csr_array
    effects: sparse.csr_array | None
    genes: tuple[str, ...]
    symbols: tuple[str, ...]
    names: tuple[str, ...]
    cells: tuple[str, ...]
    labels: tuple[str, ...]
    confidences: np.ndarray
    model_share: np.ndarray
    by: str
    measure: str
    signed: bool = True
    reads_first: bool = False
    groups: tuple[str, ...] = ()
    groupby: str = ""
    curves: dict[str, list[Curve]] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    samples: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.cells)

    def __repr__(self) -> str:
        groups = f", {len(set(self.groups) - {''})} groups" if self.groups else ""
        return f"GeneScores({len(self)} cells × {len(self.genes)} genes by {self.by}{groups})"

    def _repr_html_(self) -> str:
        return str(drawn_by("html.notebook:ranked", self))

    def table(self, group: str | None = None) -> Table:
        """The genes by the size of their mean score over all cells, 0 where a cell has none; largest first.

        Args:
            group: Of the cells of one group or, without groups, of one label alone; None for all.

        Returns:
            A row for each gene that was seen: symbol, Ensembl id, the number of cells in which it was seen, the mean
            score over all cells and over those, the standard error of the latter over cells, and, of signed scores, the
            share of them where it is evidence for the label and, where genes were checked by deletion, in how many
            cells, and in which share of these the sign disagrees.

        Raises:
            InputError: If there is no such group.
        """
        rows = self._rows(group)
        scores = self.scores[rows].tocsc()
        seen = np.diff(scores.indptr)
        values, columns_of = scores.data.astype(np.float64), np.repeat(np.arange(len(seen)), seen)
        totals = np.bincount(columns_of, values, len(seen))
        above = np.asarray((scores > 0).sum(0)).ravel()
        with np.errstate(invalid="ignore", divide="ignore"):
            means = totals / seen
            spreads = np.bincount(columns_of, (values - means[columns_of]) ** 2, len(seen))
            errors = np.sqrt(spreads / seen / (seen - 1))
        order = [int(i) for i in np.argsort(-np.abs(totals), kind="stable") if seen[i]]
        columns: dict[str, list[Any]] = {
            "symbol": [self.symbols[i] for i in order],
            "ensembl_id": [self.genes[i] for i in order],
            "cells": [int(seen[i]) for i in order],
            "mean over all": [float(totals[i] / len(rows)) for i in order],
            "mean score": [float(means[i]) for i in order],
            "standard error": [float(errors[i]) if seen[i] > 1 else None for i in order],
        }
        if self.signed:
            columns["for the label"] = [float(above[i] / seen[i]) for i in order]
        if self.effects is not None:
            checked, differing = self._disagreement(rows)
            columns["checked"] = [int(checked[i]) for i in order]
            columns["sign disagrees"] = [float(differing[i] / checked[i]) if checked[i] else None for i in order]
        sense = "above 0 for the label, below 0 against it" if self.signed else "neither for nor against the label"
        moved = (MOVED,) if self.reads_first and self.by == SEQUENTIAL else ()
        return Table(columns, (f"score: {self.measure}; {sense}", *moved, *self.provenance.get("notes", ())))

    def disagreement(self) -> float:
        """The share of the checked genes whose score and whose deletion have opposite signs; NaN where none was."""
        if self.effects is None:
            return float("nan")
        checked, differing = self._disagreement(np.arange(len(self)))
        return float(differing.sum() / checked.sum()) if checked.sum() else float("nan")

    def compare(self, group: str | None = None, reference: str = "rest") -> Table:
        """Whether genes have other scores in a group than in the reference: Welch's t-test, false discovery rate.

        Unseen genes count as 0. Cells are taken as independent; where several come from one donor, compare
        `averaged(donors)`: rows are then donors, and the rest of a group has one row for each donor too, the mean of
        the donor's other groups, which count alike; donors without others are not in it. Donors are taken as
        independent. Where some are on both sides, the test is that for partly paired samples (Derrick et al. 2017):
        the paired t-test where all are, Welch's where none is or only one. Cells without a group are left out.

        Args:
            group: One group; None for all of them, below each other.
            reference: Another group, or "rest" for all other cells (after `averaged`, for those of each donor).

        Returns:
            A row for each group and gene, by the size of t: group, symbol, Ensembl id, cells in which it was seen in
            the group and in the reference, mean scores in both, their difference, Welch's t, p, and p adjusted by
            Benjamini and Hochberg (1995) over the genes that were seen in either.

        Raises:
            InputError: If there are no groups, or no such group.
        """
        found = compare(self.sums(), self.symbols, self.genes, group, reference)
        pairs = Counter(zip(self.groups, self.labels, strict=True))
        return Table(found.columns, (*found.notes, *label_notes(pairs), *self.provenance.get("notes", ())))

    def averaged(self, samples: Any) -> GeneScores:
        """The mean scores of each group in each sample (a donor, a plate), a row each, for tests over samples.

        Args:
            samples: The sample of each cell; None, NaN or "" where it is not known: such cells are left out.

        Returns:
            Scores whose rows are named `sample, group`; effects and curves are left out. Labels are the most frequent
            ones, confidences means. A note counts the cells that were left out.

        Raises:
            InputError: If there is not one sample for each cell, or none is known.
        """
        if len(samples) != len(self):
            raise InputError(f"{len(samples)} samples for {len(self)} cells", "one for each", "correct `samples`")
        names, groups = [group_name(sample) for sample in samples], self.groups or ("",) * len(self)
        rows = np.array([i for i, name in enumerate(names) if name], dtype=int)
        if not len(rows):
            raise InputError("samples that are all missing", "the sample of each cell", "correct `samples`")
        keys = [(names[i], groups[i]) for i in rows]
        places = {key: i for i, key in enumerate(dict.fromkeys(keys))}
        codes = np.array([places[key] for key in keys])
        counts = np.bincount(codes)
        member = sparse.csr_array((1 / counts[codes], (codes, rows)), (len(places), len(self)))
        labels = [Counter(self.labels[i] for i in rows[codes == row]) for row in range(len(places))]
        unknown = len(self) - len(rows)
        left_out = [f"{unknown} of {len(self)} cells have no sample and are left out"] if unknown else []
        return replace(
            self, scores=row_means(self.scores[rows], keys), effects=None, samples=tuple(key[0] for key in places),
            cells=tuple(", ".join(filter(None, key)) for key in places),
            labels=tuple(one.most_common(1)[0][0] for one in labels), confidences=member @ self.confidences,
            model_share=member @ self.model_share, groups=tuple(key[1] for key in places) if self.groups else (),
            curves={}, provenance=self.provenance | {"notes": [*self.provenance.get("notes", ()), *left_out]},
        )  # fmt: skip

    def sums(self) -> GroupSums:
        """Counts, sums and spreads by group, which is all that a comparison reads.

        Raises:
            InputError: If there are no groups.
        """
        if not self.groups:
            raise InputError("scores without groups", "a group for each cell", "pass groupby= to explainer.genes")
        sums = GroupSums.empty(tuple(sorted(set(self.groups) - {""})), len(self.genes))
        sums.add(self.scores, self.groups)
        if not self.samples:
            return sums
        pairs = partial(paired_samples, self.scores, self.groups, self.samples)
        return replace(sums, rest=rest_by_sample(sums.groups, self.scores, self.groups, self.samples), pairs=pairs)

    def curve_table(self) -> Table:
        """What falls and what suffices: each ranking of genes beside the controls, means over cells.

        Returns:
            For each ranking and fraction, the share of decisions that is kept by the top genes alone, the share that is
            kept without them, and the mean confidence then. A model that reads its answer at the first gene reads it
            at the next one where that is deleted, which a note says.

        Raises:
            InputError: If no curves were asked for.
        """
        if not self.curves:
            raise InputError("scores without curves", "curves of each cell", "pass fractions= to explainer.genes")
        rows: dict[str, list[Any]] = {}
        for ranking, curves in self.curves.items():
            for fraction in sorted({point.fraction for curve in curves for point in curve.points}):
                row: dict[str, Any] = {"ranking": ranking, "fraction": fraction}
                for mode, title in (("keep", "kept alone"), ("delete", "kept without")):
                    points = [p for c in curves for p in c.points if p.mode == mode and p.fraction == fraction]
                    row[title] = float(np.mean([p.agreement for p in points])) if points else None
                    numbers = [p.confidence for p in points if p.confidence is not None]
                    row[f"confidence {title[5:]}"] = float(np.mean(numbers)) if numbers else None
                for name, value in row.items():
                    rows.setdefault(name, []).append(value)
        return Table(rows, (MOVED,) if self.reads_first else ())

    def to_anndata(self, adata: AnnData | None = None, key: str = KEY, gene_ids: str | None = None) -> AnnData:
        """The scores in an `AnnData`: a sparse layer, a column of labels, and the test of the groups for scanpy.

        Written are `layers[key]`, `obs[key + "_label"]`, `_confidence` and `_model_share`, `uns[key]` (provenance),
        and, with groups, `uns["rank_genes_groups"]` in the form that `scanpy.pl.rank_genes_groups` and
        `scanpy.get.rank_genes_groups_df` read (of groups of too few cells `uns[key]["not_tested"]`). The layer is 0
        where the model did not read a gene. Groups are in a categorical column `obs[key + "_group"]`, unless the column
        that they came from is of texts or categories and has no groups for cells that were not scored (whose zeros
        scanpy's figures would average).

        Args:
            adata: The table that the cells came from; it is copied, its columns stay as they are. Cells are found by
                name, genes by Ensembl id (a column of `var` or its index; also a retired one, or one with its version)
                or symbol. None for a new table.
            key: The layer's name.
            gene_ids: The column of `var` with Ensembl ids, as for `read_cells`; None to look for one.

        Raises:
            InputError: If a cell is not in `adata`, none of the genes is, or there is no such column.
            MissingExtraError: If anndata is not installed.
        """
        from hf_fourier.results.gene_tables import to_anndata

        try:
            import anndata
        except ImportError as error:
            raise MissingExtraError("anndata", "bio", "tables of cells") from error
        return to_anndata(self, adata, key, gene_ids, anndata.AnnData)

    def plot(self, path: str | PathLike[str] | None = None, *, kind: str = "dots", n: int = 5, ax: Any = None) -> Any:
        """Draw groups of cells × genes, without scanpy; a `matplotlib.figure.Figure`.

        The columns are the `n` genes of each group (without groups, of each label) with the highest t of `compare`,
        colours the mean score over all cells of the group.

        Args:
            path: Where to write it (PNG, SVG or PDF, by the ending); None only returns the figure.
            kind: "dots", whose size is the share of the group's cells in which the model read the gene, or "heat".
            n: Genes of each group.
            ax: Axes to draw into; their figure is returned.

        Raises:
            InputError: If there is no such kind, the path has another ending, or both `path` and `ax` are given.
            MissingExtraError: If matplotlib is not installed.
        """
        return drawn_by("figures.gene_groups:plot_groups", self, path, kind, n, ax)

    def save(self, path: str | PathLike[str]) -> Path:
        """Write one file (safetensors), whole or not at all. Curves are not kept.

        Args:
            path: The file.

        Raises:
            StorageError: If it cannot be written.
        """
        values = {name: getattr(self, name) for name in (*gene_file.TEXTS, *gene_file.PLAIN, *gene_file.LATER)}
        arrays = {name: getattr(self, name) for name in (*gene_file.MATRICES, *gene_file.NUMBERS)}
        return gene_file.write(Path(path), values, arrays)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> GeneScores:
        """Read what `save` wrote.

        Raises:
            InputError: If it is no such file, or one of a newer format.
            DamagedFile: If it is not as it was written.
        """
        values, arrays = gene_file.read(Path(path))
        plain: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in values.items()}
        return cls(**plain, **arrays)

    def _rows(self, group: str | None) -> np.ndarray:
        """The places of the cells of one group, or of one label where there are no groups."""
        if group is None:
            return np.arange(len(self))
        names = self.groups or self.labels
        if not group or group not in names:
            known = ", ".join(filter(None, dict.fromkeys(names)))
            raise InputError(f"group {group!r}", f"one of {known}", "correct `group`")
        return np.array([i for i, name in enumerate(names) if name == group])

    def _disagreement(self, rows: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For each gene, in how many cells it was checked, and in how many of these the signs are opposite."""
        assert self.effects is not None
        effects, scores = self.effects[rows], self.scores[rows]
        known = ~np.isnan(effects.data)  # both have the same structure
        against = known & (effects.data * scores.data < 0)
        counts = (np.bincount(effects.indices[of], minlength=len(self.genes)) for of in (known, against))
        checked, differing = counts
        return checked, differing
