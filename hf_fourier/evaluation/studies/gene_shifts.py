"""What in-silico perturbation of genes does to cells' embeddings: tested, in tables named like Geneformer's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from hf_fourier.errors import InputError
from hf_fourier.evaluation.studies import gene_shift_files as files
from hf_fourier.results.table import Table, table_of

#: How many genes above and below in the same cell a gene is compared with, where all genes were perturbed.
NEIGHBOURS = 2
#: What shifts are compared with.
LIKE_RANK, ALL = "like rank", "all"
#: A gene is marked as significant below this false discovery rate.
SIGNIFICANT = 0.05


@dataclass(frozen=True, eq=False)
class GeneShifts:
    """The effects of perturbing genes, a row for each perturbation of each cell; see `FourierExplainer.perturb_genes`.

    A row takes 41 bytes of memory, and 8 for each end state: of all genes of 100,000 cells of 2,000 genes 8.2 GB, and
    twice that while they are loaded.

    Attributes:
        perturbed: The Ensembl ids of each perturbation, several for a combination.
        symbols: Their symbols.
        cells: The names of the cells that were perturbed.
        cell: The cell of each row, shape `(rows,)`.
        perturbation: The perturbation of each row, likewise.
        rank: The rank of its first gene in the cell, from 0; -1 where the cell has no such gene.
        control: Whether the row is a control: random genes of like rank in place of those of the perturbation.
        cosine: The cosine of the cell's embeddings before and after, the perturbed genes in neither, likewise.
        shifts: The change of the cosine with the embedding of each end state, shape `(rows, ends)`.
        score: The change of the log-probability of the cell's own label, NaN where the model has no classes.
        ends: The goal state and the alternatives; empty without states.
        settings: `by`, `embedding`, `layer`, the model, what else was asked for, and `notes` on the cells.
        downstream: By perturbation and control: for each other gene sums over cells, shape `(genes, 3)`: how often it
            was seen, the cosines of its embeddings before and after, their squares. None where not asked for.
        genes: The gene of each row of these.
    """

    perturbed: tuple[tuple[str, ...], ...]
    symbols: tuple[tuple[str, ...], ...]
    cells: tuple[str, ...]
    cell: np.ndarray
    perturbation: np.ndarray
    rank: np.ndarray
    control: np.ndarray
    cosine: np.ndarray
    shifts: np.ndarray
    score: np.ndarray
    ends: tuple[str, ...]
    settings: Mapping[str, Any]
    downstream: Mapping[tuple[int, bool], np.ndarray] | None = None
    genes: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        many = len(self.perturbed)
        done = {"delete": "deleted", "overexpress": "over-expressed"}[self.settings["by"]]
        goal = f", towards {self.ends[0]}" if self.ends else ""
        cells, whole = len(np.unique(self.cell)), len(self.cells)
        of = "" if cells == whole else f"{cells} of "
        return f"GeneShifts({many} perturbations {done} in {of}{whole} cells{goal})"

    def table(self, against: str = LIKE_RANK) -> Table:
        """One row for each perturbation, the strongest first.

        The test is Wilcoxon's rank-sum test of its shifts against those of genes of like rank in the same cells: random
        ones that were perturbed as controls, or where all genes were perturbed, the two above and below each. Cells in
        which a gene has none on one side (it is their first or last) are not in the test. P values are adjusted over
        the perturbations by Benjamini and Hochberg (1995). Cells are taken as independent. As in Geneformer's tools,
        a gene that is first already is left out where all are over-expressed under `embedding="geneformer"`.

        Args:
            against: "like rank"; or "all" for the shifts of all genes in all cells, which Geneformer's tools compare
                with (those of the gene itself among them), where all genes were perturbed.

        Returns:
            `Gene` (the token in the model's vocabulary; of a combination all of them, "(12, 7)"), `Gene_name`,
            `Ensembl_ID` (of a combination joined by " + "), `Cosine_sim_mean`, `Cosine_sim_stdev` (over
            cells), `N_Detections` (cells), and of classifiers `Score_change`, the mean change of the log-probability of
            each cell's own label. With states, sorted by the shift to the goal: `Shift_to_goal_end`,
            `Shift_to_alt_end_NAME`, `Goal_end_vs_random_pval`, `Goal_end_FDR`, of alternatives
            `Alt_end_vs_random_pval_NAME`, `Alt_end_FDR_NAME`, and `Sig` (1 where `Goal_end_FDR` is below .05). Without
            states, sorted by the cosine, lowest first: `Cosine_vs_random_pval`, `Cosine_FDR`. No p value where there is
            nothing to compare with.

        Raises:
            InputError: If `against` is neither, or "all" where genes were named.
        """
        if against not in (LIKE_RANK, ALL) or (against == ALL and self.settings["genes"] is not None):
            got = f"against {against!r}" + (" of named genes" if against == ALL else "")
            raise InputError(got, f"{LIKE_RANK!r}, or {ALL!r} where all genes were perturbed", "correct `against`")
        columns: dict[str, list[Any]] = {"Gene": [], "Gene_name": [], "Ensembl_ID": []}
        values = {"Cosine{}": self.cosine} if not self.ends else {}  # the part of titles that says what was tested
        for i, end in enumerate(self.ends):
            values["Goal_end{}" if not i else f"Alt_end{{}}_{end}"] = self.shifts[:, i]
        p = {name: np.full(len(self.perturbed), np.nan) for name in values}
        ordered = {name: np.sort(all_values[self._perturbed_rows()]) for name, all_values in values.items()}
        for number, rows, tested, others in self._compared(against):
            columns["Gene"].append(self._token(self.perturbed[number]))
            columns["Gene_name"].append(" + ".join(self.symbols[number]))
            columns["Ensembl_ID"].append(" + ".join(self.perturbed[number]))
            for i, end in enumerate(self.ends):
                title = f"Shift_to_{'goal_end' if not i else f'alt_end_{end}'}"
                columns.setdefault(title, []).append(_mean(self.shifts[rows, i]))
            columns.setdefault("Cosine_sim_mean", []).append(_mean(self.cosine[rows]))
            spread = float(self.cosine[rows].std(ddof=1)) if len(rows) > 1 else None
            columns.setdefault("Cosine_sim_stdev", []).append(spread)
            columns.setdefault("N_Detections", []).append(len(rows))
            if not np.isnan(self.score).all():
                columns.setdefault("Score_change", []).append(_mean(self.score[rows]))
            if len(tested) and len(others):
                for name, all_values in values.items():
                    own = all_values[tested]
                    p[name][number] = (
                        _rank_sum(own, ordered[name])
                        if against == ALL
                        else stats.ranksums(own, all_values[others]).pvalue
                    )
        for name, found in p.items():
            for title, numbers in (("_vs_random_pval", found), ("_FDR", _adjusted(found))):
                columns[name.format(title)] = [None if np.isnan(one) else float(one) for one in numbers]
        return _sorted(columns, bool(self.ends), (self._note(against), *self.settings.get("notes", ())))

    def downstream_table(self, gene: str | None = None) -> Table:
        """What a perturbation does to the embeddings of the other genes, those first that it shifts more than controls.

        Every gene below a deleted one moves up a rank, which shifts its embedding whatever was deleted: the controls
        beside show how far.

        Args:
            gene: A symbol or an Ensembl id among the perturbed ones, of a combination joined by " + "; None for all.

        Returns:
            `Perturbed` (its token), `Gene_name`, `Ensembl_ID` of what was perturbed, `Affected` (the token),
            `Affected_gene_name`, `Affected_Ensembl_ID`, the mean and standard deviation over cells of the cosine of
            that gene's embedding before and after (`Cosine_sim_mean`, `Cosine_sim_stdev`), in how many cells
            (`N_Detections`), and the mean cosine when random genes of like rank are perturbed instead
            (`Cosine_sim_random`, None where no control had it). Rows are sorted by the difference
            of the two means.

        Raises:
            InputError: If it was not asked for, or there is no such perturbation.
        """
        if self.downstream is None:
            raise InputError("shifts of cells alone", "those of genes too", "pass downstream=True to perturb_genes")
        names = [{" + ".join(one) for one in pair} for pair in zip(self.symbols, self.perturbed, strict=True)]
        chosen = [i for i, own in enumerate(names) if gene is None or gene in own]
        if not chosen:
            known = ", ".join(" + ".join(own) for own in self.symbols[:5])
            raise InputError(f"gene {gene!r}", f"one that was perturbed ({known})", "correct `gene`")
        rows: list[dict[str, Any]] = []
        for number in chosen:
            sums, random = (self.downstream[number, control] for control in (False, True))
            for place in np.flatnonzero(sums[:, 0]):
                count, total, squares = sums[place]
                mean = total / count
                spread = (max(squares - count * mean**2, 0) / (count - 1)) ** 0.5 if count > 1 else None
                rows.append({
                    "Perturbed": self._token(self.perturbed[number]),
                    "Gene_name": " + ".join(self.symbols[number]), "Ensembl_ID": " + ".join(self.perturbed[number]),
                    "Affected": self._token(self.genes[place][:1]),
                    "Affected_gene_name": self.genes[place][1], "Affected_Ensembl_ID": self.genes[place][0],
                    "Cosine_sim_mean": mean, "Cosine_sim_stdev": spread, "N_Detections": int(count),
                    "Cosine_sim_random": random[place, 1] / random[place, 0] if random[place, 0] else None,
                })  # fmt: skip
        rows.sort(key=_beyond_random)
        return table_of(rows)

    @classmethod
    def load(cls, folder: str | PathLike[str]) -> GeneShifts:
        """What `perturb_genes` wrote into a folder, as far as it came (the table's notes say so); no model is needed.

        Raises:
            InputError: If it is no such folder, or no cell in it is done.
            DamagedFile: If a file is not as it was written.
        """
        place = Path(folder)
        settings = files.read_settings(place)
        pieces, whole = files.read_pieces(place), settings.get("pieces", 0)
        if len(pieces) < whole:
            note = f"unfinished, {len(pieces)} of {whole} pieces are done: call perturb_genes with the folder again"
            settings["notes"] = [*settings.get("notes", ()), note]
        return cls(**files.merged(settings, pieces))

    def _token(self, genes: tuple[str, ...]) -> int | str:
        """The token of a gene; of a combination the text of all of them, as a file of Geneformer's tools has it."""
        tokens = tuple(self.settings["tokens"][gene] for gene in genes)
        return tokens[0] if len(tokens) == 1 else str(tokens)

    def _perturbed_rows(self) -> np.ndarray:
        """The rows of the table: no controls, and under Geneformer's rule no gene that was first before it was moved.

        Its tools over-express every gene of a cell but the first, where all genes are perturbed.
        """
        kept = ~self.control
        over = self.settings["by"] == "overexpress" and self.settings["embedding"] == "geneformer"
        if over and self.settings["genes"] is None:
            kept = kept & (self.rank != 0)
        return np.flatnonzero(kept)

    def _compared(self, against: str = LIKE_RANK) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
        """Each perturbation with its rows, those of them that are tested, and the rows that these are held against."""
        kept = self._perturbed_rows()
        by_perturbation = [kept[rows] for rows in _by_number(self.perturbation[kept], len(self.perturbed))]
        if against == ALL:
            yield from ((i, rows, rows, kept) for i, rows in enumerate(by_perturbation))
            return
        if self.settings["genes"] is not None:
            controls = _by_number(np.where(self.control, self.perturbation, -1), len(self.perturbed))
            for i, rows in enumerate(by_perturbation):
                yield i, rows, rows[np.isin(self.cell[rows], self.cell[controls[i]])], controls[i]
            return
        order = kept[np.lexsort((self.rank[kept], self.cell[kept]))]
        place = np.zeros(len(self.cell), dtype=order.dtype)
        place[order] = np.arange(len(order))
        for i, rows in enumerate(by_perturbation):
            tested, others = np.zeros(len(rows), dtype=bool), []
            for step in range(1, NEIGHBOURS + 1):
                inside = np.flatnonzero((place[rows] >= step) & (place[rows] + step < len(order)))
                above, below = (order[place[rows[inside]] + way] for way in (-step, step))
                own = self.cell[rows[inside]]
                both = (self.cell[above] == own) & (self.cell[below] == own)
                tested[inside[both]] = True
                others += [above[both], below[both]]
            yield i, rows, rows[tested], np.concatenate(others)

    def _note(self, against: str) -> str:
        embedding = self.settings["embedding"]
        what = {"cls": "<cls>", "mean": "mean of the genes", "geneformer": "mean of all genes"}[embedding]
        layer = self.settings["layer"]
        where = {0: "last layer", -1: "last layer but one"}.get(layer, f"layer {-layer} before the last")
        without = ", the perturbed ones included as in Geneformer's tools"
        if embedding != "geneformer":
            without = ", without the perturbed genes"
        elif not self.ends:
            what, without = "embedding of each other gene", ", their mean over the genes as in Geneformer's tools"
        others = "genes of similar rank" if against == LIKE_RANK else "all genes"
        return f"cosines of the {what} in the {where}{without}; p against {others}"


def _by_number(numbers: np.ndarray, count: int) -> list[np.ndarray]:
    """The places of each number from 0."""
    order = np.argsort(numbers, kind="stable")
    ends = np.searchsorted(numbers[order], np.arange(count + 1))
    return [order[ends[i] : ends[i + 1]] for i in range(count)]


def _rank_sum(sample: np.ndarray, ordered: np.ndarray) -> float:
    """The p value of `scipy.stats.ranksums` against values in ascending order, which are not ranked anew."""
    if np.isnan(ordered[-1]) or np.isnan(sample).any():
        return float("nan")
    n, m = len(sample), len(ordered)
    below = sum(int(np.searchsorted(ordered, sample, side).sum()) for side in ("left", "right")) / 2
    total = below + n * (n + 1) / 2  # a rank counts the others below, half of those that are equal, and its own place
    z = (total - n * (n + m + 1) / 2) / np.sqrt(n * m * (n + m + 1) / 12)
    return float(2 * stats.norm.sf(abs(z)))


def _beyond_random(row: Mapping[str, Any]) -> tuple[bool, float]:
    """How much lower the cosine of an affected gene is than with random genes; those without such come last."""
    random = row["Cosine_sim_random"]
    return random is None, row["Cosine_sim_mean"] - (random or 0.0)


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None


def _adjusted(p: np.ndarray) -> np.ndarray:
    known = ~np.isnan(p)
    adjusted = np.full(len(p), np.nan)
    if known.any():
        adjusted[known] = stats.false_discovery_control(p[known])
    return adjusted


def _sorted(columns: dict[str, list[Any]], goal: bool, notes: tuple[str, ...]) -> Table:
    """The rows that were detected, as Geneformer's tools sort them: significant ones first, then by shift."""
    if goal:
        adjusted = columns["Goal_end_FDR"]
        columns["Sig"] = [int(one is not None and one < SIGNIFICANT) for one in adjusted]
    rows = [i for i, count in enumerate(columns["N_Detections"]) if count]
    if goal:
        rows.sort(key=lambda i: (-columns["Sig"][i], -columns["Shift_to_goal_end"][i], adjusted[i] or 0.0))
    else:
        rows.sort(key=lambda i: columns["Cosine_sim_mean"][i])
    return Table({name: [values[i] for i in rows] for name, values in columns.items()}, notes)
