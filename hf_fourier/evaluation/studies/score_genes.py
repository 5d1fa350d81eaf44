"""Scores the genes of many cells by a method, by deletion or by masking; see `FourierExplainer.genes`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy import sparse

from hf_fourier.errors import InputError
from hf_fourier.evaluation.studies.gene_effects import gene_effects
from hf_fourier.evaluation.studies.gene_groups import GroupSums, comparable, welch
from hf_fourier.evaluation.studies.gene_scores import GeneScores
from hf_fourier.evaluation.studies.in_silico_deletion import check_cells, delete_genes
from hf_fourier.methods.base import METHODS
from hf_fourier.models.inputs.cells import cells_and_column
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.curve import Curve
from hf_fourier.results.views import GeneView
from hf_fourier.scoring.example_batch import BatchSize
from hf_fourier.scoring.targets import Target
from hf_fourier.seeding import ExampleRng

if TYPE_CHECKING:
    from hf_fourier.engine import Engine

#: Cells that are explained together, so that their signals need not all be held.
AT_ONCE = 64
#: How many genes of a cell are checked by deletion, where scores are no deletions themselves.
CHECKED = 5
#: How the embedded genes are explained where they are the features.
POSITIONS = "identity:grain=position"
EFFECTS = {
    "deletion": "the fall of the score when the gene is deleted, the gap closed",
    "mask": "the fall of the score when the gene is masked",
}
CONTRIBUTIONS = "contributions"
#: What is kept of the provenance of the first cell.
_KEPT = ("model", "revision", "method", "domain", "seed", "versions")


def score_genes(
    explainer: Engine,
    cells: Any,
    target: Target = None,
    *,
    by: str = CONTRIBUTIONS,
    groupby: str | Sequence[Any] | None = None,
    check: int = CHECKED,
    fractions: Sequence[float] | None = None,
    seed: int = 0,
    batch_size: BatchSize = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> GeneScores:
    """See `FourierExplainer.genes`."""
    if by not in EFFECTS and by != CONTRIBUTIONS:
        METHODS.parse(by)  # before anything heavy
    examples, groups, groupby = _examples(explainer, cells, groupby)
    expression = None if fractions is None else differential_expression(explainer, examples, groups)
    rows, curves = [], dict[str, list[Curve]]()
    for start in range(0, len(examples), AT_ONCE):
        some = examples[start : start + AT_ONCE]
        results = explained(explainer, some, target, by, seed, batch_size)
        check_cells(explainer, results)
        scores, measure = scores_of(explainer, results, by, batch_size)
        effects = None if by in EFFECTS else _checked(explainer, results, scores, check, batch_size)
        rows += [
            _Row(result, own, None if effects is None else effects[i])
            for i, (result, own) in enumerate(zip(results, scores, strict=True))
        ]
        if fractions is not None:
            own = None if expression is None else expression[start : start + AT_ONCE]
            for name, order in orders(results, scores, by, own):
                found = delete_genes(explainer, results, fractions, orders=order, batch_size=batch_size)
                curves.setdefault(name, []).extend(found)
        if progress is not None:
            progress(start + len(some), len(examples))
    names = [str(example.get("name", f"cell-{i:05}")) for i, example in enumerate(examples)]
    return _assembled(rows, names, by, measure, groups, groupby, curves)


def explained(
    explainer: Engine, cells: Sequence[Any], target: Target, by: str, seed: int, batch_size: BatchSize
) -> list[Attribution]:
    """Results of cells, by the method that a way of scoring genes needs."""
    options: dict[str, Any] = {"seed": seed, "batch_size": batch_size}
    if by in EFFECTS:
        options |= {"method": "magnitude", "contributions": 0}  # asks for the clean answer alone
    elif by != CONTRIBUTIONS:
        options |= {"method": by, "domain": POSITIONS, "contributions": 0}
    results: list[Attribution] = explainer.explain(list(cells), target, **options)
    return results


def orders(
    results: Sequence[Attribution],
    scores: Sequence[np.ndarray],
    by: str,
    expression: Sequence[Mapping[str, float]] | None = None,
) -> Iterator[tuple[str, list[np.ndarray]]]:
    """The scores and the controls as orders of each cell's genes, highest first.

    Args:
        results: Of the cells.
        scores: A number for each gene of each cell.
        by: What they are.
        expression: For each cell the test statistic of each gene's expression in its group; None for no such control.
    """
    if expression is not None:
        pairs = zip(results, expression, strict=True)
        yield (
            "differential expression (control)",
            [np.array([own.get(gene, 0.0) for gene in _view(one).genes]) for one, own in pairs],
        )
    yield by, list(scores)
    yield "the cell's own ranks (control)", [-np.arange(len(own), dtype=float) for own in scores]
    draws = [ExampleRng(int(one.provenance["seed"]), [one.key]).generator(0, "random genes") for one in results]
    yield (
        "random (control)",
        [torch.rand(len(own), generator=draw).numpy() for own, draw in zip(scores, draws, strict=True)],
    )


def differential_expression(
    explainer: Engine, examples: Sequence[Any], groups: Sequence[str]
) -> list[Mapping[str, float]] | None:
    """Welch's t of each gene's log expression in a cell's group against all other cells, for each cell.

    Expression is log(1 + 10,000 × count / the cell's total), of the genes of the model's vocabulary. None without
    groups of two cells, or where cells come as tokens, without counts. A group that cannot be tested has no statistics.
    """
    if not groups or not all("values" in example for example in examples):
        return None
    vocabulary = {gene: i for i, gene in enumerate(explainer.processor.tokens)}
    rows, columns, values = list[int](), list[int](), list[float]()
    for row, example in enumerate(examples):
        counts = np.ravel(example["values"]).astype(float)
        scaled = np.log1p(1e4 * counts / max(counts.sum(), 1e-300))
        for name, value in zip(example["genes"], scaled.tolist(), strict=True):
            gene = explainer.processor.gene(str(name))
            if gene is not None and value:
                rows.append(row)
                columns.append(vocabulary[gene])
                values.append(value)
    matrix = sparse.csr_array(
        sparse.coo_array((np.array(values), (np.array(rows), np.array(columns))), (len(examples), len(vocabulary)))
    )
    sums = GroupSums.empty(tuple(sorted(set(groups))), len(vocabulary))
    sums.add(matrix, groups)
    names = list(vocabulary)
    try:
        tested = comparable(sums)
    except InputError:  # too few cells for any test
        return None
    found = {
        group: dict(zip(names, np.nan_to_num(welch(sums, group).t, posinf=1e9, neginf=-1e9).tolist(), strict=True))
        for group in tested
    }
    return [found.get(group, {}) for group in groups]


def _view(result: Attribution) -> GeneView:
    assert isinstance(result.view, GeneView)
    return result.view


class _Row:
    """What stays of one cell: little."""

    def __init__(self, result: Attribution, scores: np.ndarray, effects: np.ndarray | None) -> None:
        self.genes, self.symbols = _view(result).genes, tuple(result.names)
        self.scores, self.effects = scores, effects
        self.label, self.confidence = str(result.label), result.confidence
        self.provenance = result.provenance
        ranks_frequencies = result.gradient is not None and "identity" not in str(result.provenance["domain"])
        self.decided = 1 - result.magnitude_overlap() if ranks_frequencies else np.nan


def _examples(
    explainer: Engine, cells: Any, groupby: str | Sequence[Any] | None
) -> tuple[list[Any], tuple[str, ...], str]:
    """The cells one by one, the group of each, and what the groups are called."""
    from hf_fourier.models.inputs.examples import listed

    column = groupby if isinstance(groupby, str) else None
    tabled = cells_and_column(cells, column)
    if tabled is not None:
        examples, values = tabled
    elif column is not None:
        got, do = f"groupby {column!r} of a {type(cells).__name__}", "pass a list with the group of each cell"
        raise InputError(got, "an AnnData, or the path of one, with that column", do)
    else:
        found = listed(cells, explainer.wrapper)
        examples, values = [] if found is None else found[1], None
    if not examples:
        got = f"cells of type {type(cells).__name__} without one"
        raise InputError(got, "cells as explain takes them, raw", "pass a list of cells, or a table of them")
    if groupby is not None and column is None:
        values = list(groupby)
        if len(values) != len(examples):
            got = f"{len(values)} groups for {len(examples)} cells"
            raise InputError(got, "one for each", "correct `groupby`")
    return examples, () if values is None else tuple(map(str, values)), column or ("group" if values else "")


def scores_of(
    explainer: Engine, results: Sequence[Attribution], by: str, batch_size: BatchSize
) -> tuple[list[np.ndarray], str]:
    """For each cell one number for each gene, and what it measures."""
    if by in EFFECTS:
        return gene_effects(explainer, results, by, batch_size=batch_size), EFFECTS[by]
    kind: Any = "contribution" if by == CONTRIBUTIONS else "scores"
    found = [result.input_relevance(kind=kind) for result in results]
    return [np.asarray(one.values, dtype=float) for one in found], found[0].measure


def _checked(
    explainer: Engine, results: Sequence[Attribution], scores: Sequence[np.ndarray], check: int, batch_size: BatchSize
) -> list[np.ndarray] | None:
    """In-silico deletion of the genes of largest score, NaN for all others; None for no check."""
    if not check:
        return None
    places = [np.argsort(-np.abs(own), kind="stable")[:check] for own in scores]
    effects = [np.full(len(own), np.nan) for own in scores]
    for own, chosen, values in zip(
        effects, places, gene_effects(explainer, results, places=places, batch_size=batch_size), strict=True
    ):
        own[chosen] = values
    return effects


def _assembled(
    rows: Sequence[_Row],
    names: Sequence[str],
    by: str,
    measure: str,
    groups: tuple[str, ...],
    groupby: str,
    curves: dict[str, list[Curve]],
) -> GeneScores:
    """All cells in one sparse matrix, genes in the order in which cells first name them."""
    column_of: dict[str, int] = {}
    symbols: list[str] = []
    for row in rows:
        for gene, symbol in zip(row.genes, row.symbols, strict=True):
            if gene not in column_of:
                column_of[gene] = len(column_of)
                symbols.append(symbol)
    indptr = np.concatenate([[0], np.cumsum([len(row.genes) for row in rows])])
    indices = np.array([column_of[gene] for row in rows for gene in row.genes], dtype=np.int64)

    def matrix(parts: Sequence[np.ndarray]) -> sparse.csr_array:
        return sparse.csr_array((np.concatenate(parts), indices, indptr), (len(rows), len(column_of)))

    effects = [row.effects for row in rows if row.effects is not None]
    first = rows[0].provenance
    return GeneScores(
        scores=matrix([row.scores for row in rows]),
        effects=matrix(effects) if len(effects) == len(rows) else None,
        genes=tuple(column_of), symbols=tuple(symbols), cells=tuple(names),
        labels=tuple(row.label for row in rows),
        confidences=np.array([np.nan if row.confidence is None else row.confidence for row in rows]),
        decided=np.array([row.decided for row in rows]),
        by=by, measure=measure, groups=groups, groupby=groupby, curves=curves,
        provenance={name: first[name] for name in _KEPT if name in first},
    )  # fmt: skip
