"""Scores the genes of many cells by a method, by deletion or by masking; see `FourierExplainer.genes`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy import sparse

from hf_fourier.errors import InputError, brief, is_list_like
from hf_fourier.evaluation.studies.gene_effects import gene_effects, reads_first_gene
from hf_fourier.evaluation.studies.gene_expression import differential_expression
from hf_fourier.evaluation.studies.in_silico_deletion import check_cells, delete_genes
from hf_fourier.methods.base import METHODS, asks_gradient
from hf_fourier.methods.contributions import GENE_POINTS
from hf_fourier.methods.sequential_contributions import PLACES, sequential_contributions
from hf_fourier.models.gene_tokenizer import GeneTokenizer
from hf_fourier.models.inputs.cells import LazyCells, cells_and_column
from hf_fourier.models.inspection import eval_mode
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.curve import Curve
from hf_fourier.results.gene_groups import NoteCounts, group_name
from hf_fourier.results.gene_scores import GeneScores, kept_provenance
from hf_fourier.results.relevance import SEQUENTIAL
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
EFFECTS = {
    "deletion": "the drop of the score when the gene is deleted and later genes move up",
    "mask": "the drop of the score when the gene is masked",
}
CONTRIBUTIONS = "contributions"


def score_genes(
    explainer: Engine,
    cells: Any,
    target: Target = None,
    *,
    by: str = SEQUENTIAL,
    groupby: Any = None,
    check: int = CHECKED,
    fractions: Sequence[float] | None = None,
    seed: int = 0,
    batch_size: BatchSize = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> GeneScores:
    """See `FourierExplainer.genes`."""
    if by not in EFFECTS and by not in (CONTRIBUTIONS, SEQUENTIAL):
        METHODS.parse(by)  # before anything heavy
    examples, groups, groupby = cells_and_groups(explainer, cells, groupby)
    if isinstance(examples, LazyCells) and len(set(examples.names)) < len(examples):
        expected = "a name of its own for each, by which its scores come back"
        raise InputError("a table with several cells of one name", expected, "call adata.obs_names_make_unique()")
    rows, curves = list[_Row](), dict[str, list[Curve]]()
    expression = None
    if fractions is not None and isinstance(explainer.processor, GeneTokenizer):
        expression = differential_expression(explainer.processor, examples, groups)
    for start in range(0, len(examples), AT_ONCE):
        some = examples[start : start + AT_ONCE]
        results = explained(explainer, some, target, by, seed, batch_size)
        check_cells(explainer, results)
        scores, measure, signed = scores_of(explainer, results, by, batch_size)
        checks = 0 if by in EFFECTS or not signed else check
        effects = _checked(explainer, results, scores, checks, batch_size)
        rows += [
            _Row(result, own, None if effects is None else effects[i], example, explainer.processor)
            for i, (result, own, example) in enumerate(zip(results, scores, some, strict=True))
        ]
        if fractions is not None:
            own_groups = groups[start : start + AT_ONCE]
            tested = None if expression is None else [expression.get(group, {}) for group in own_groups]
            for name, order in orders(results, scores, by, tested):
                found = delete_genes(explainer, results, fractions, orders=order, batch_size=batch_size)
                curves.setdefault(name, []).extend(found)
        if progress is not None:
            progress(start + len(some), len(examples))
    names, notes = tuple(row.name or f"cell-{i:05}" for i, row in enumerate(rows)), NoteCounts()
    for name, row in zip(names, rows, strict=True):
        notes.add(name, row.provenance["notes"])
    reads_first, matrices = reads_first_gene(explainer.wrapper), _matrices(rows)
    return GeneScores(
        **matrices, cells=names, labels=tuple(row.label for row in rows),
        confidences=np.array([np.nan if row.confidence is None else row.confidence for row in rows]),
        model_share=np.array([row.model_share for row in rows]), by=by, measure=measure, signed=signed,
        reads_first=reads_first, groups=groups, groupby=groupby, curves=curves,
        provenance=kept_provenance(rows[0].provenance, notes),
        aliases=_aliases(explainer.processor, set(matrices["genes"])),
    )  # fmt: skip


def explained(
    explainer: Engine, cells: Sequence[Any], target: Target, by: str, seed: int, batch_size: BatchSize
) -> list[Attribution]:
    """Results of cells, by the method that a way of scoring genes needs."""
    options: dict[str, Any] = {"seed": seed, "batch_size": batch_size}
    if by in EFFECTS:
        options |= {"method": "magnitude", "contributions": 0}  # asks for the clean answer alone
    elif by == SEQUENTIAL:
        options |= {"method": "magnitude", "domain": PLACES, "contributions": 0}
    elif by == CONTRIBUTIONS:
        options |= {"contributions": GENE_POINTS}
    else:
        options |= {"method": by, "domain": PLACES, "contributions": 0}
    results: list[Attribution] = explainer.explain(list(cells), target, **options)
    if by != SEQUENTIAL:
        return results
    wrapper = check_cells(explainer, results)
    with eval_mode(explainer.model):
        return sequential_contributions(results, wrapper.encode, wrapper, batch_size)[0]


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
    yield by, [np.nan_to_num(own) for own in scores]  # a cell of one gene has no deletion
    yield "the cell's own ranks (control)", [-np.arange(len(own), dtype=float) for own in scores]
    draws = [ExampleRng(int(one.provenance["seed"]), [one.key]).generator(0, "random genes") for one in results]
    yield (
        "random (control)",
        [torch.rand(len(own), generator=draw).numpy() for own, draw in zip(scores, draws, strict=True)],
    )


def _aliases(tokenizer: GeneTokenizer, genes: Collection[str]) -> dict[str, str]:
    """Which of some genes other names than their symbols stand for."""
    symbols = tokenizer.symbols
    return {name: gene for name, gene in tokenizer.aliases.items() if gene in genes and symbols.get(gene) != name}


def _view(result: Attribution) -> GeneView:
    assert isinstance(result.view, GeneView)
    return result.view


class _Row:
    """What stays of one cell: little. Genes whose score could not be measured (NaN) are left out."""

    def __init__(
        self, result: Attribution, scores: np.ndarray, effects: np.ndarray | None, cell: Any, tokenizer: GeneTokenizer
    ) -> None:
        known, genes = np.flatnonzero(~np.isnan(scores)).tolist(), _view(result).genes
        self.genes, self.symbols = [genes[i] for i in known], [result.names[i] for i in known]
        self.scores, self.effects = scores[known], None if effects is None else effects[known]
        self.label, self.confidence = str(result.label), result.confidence
        self.name, self.provenance = str(cell.get("name", "")), result.provenance
        # What the data call the genes, where that is another name than the vocabulary's.
        named = ((tokenizer.gene(str(name)), str(name)) for name in cell.get("genes", ()))
        self.names = {gene: name for gene, name in named if gene is not None and gene != name}
        of_model = asks_gradient(str(result.provenance["method"]), result.gradient is not None)
        ranks_frequencies = of_model and "identity" not in str(result.provenance["domain"])
        self.model_share = 1 - result.magnitude_overlap() if ranks_frequencies else np.nan


def cells_and_groups(explainer: Engine, cells: Any, groupby: Any) -> tuple[Sequence[Any], tuple[str, ...], str]:
    """The cells, the group of each ("" for none), and what the groups are called."""
    from hf_fourier.models.inputs.examples import listed

    column = groupby if isinstance(groupby, str) else None
    if groupby is not None and column is None and not is_list_like(groupby):
        raise InputError(f"groupby {brief(groupby)}", "a column, or a group for each cell", "correct `groupby`")
    examples: Sequence[Any]
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
    groups = () if values is None else tuple(map(group_name, values))
    return examples, groups, column or ""


def scores_of(
    explainer: Engine, results: Sequence[Attribution], by: str, batch_size: BatchSize
) -> tuple[list[np.ndarray], str, bool]:
    """For each cell one number for each gene, what it measures, and whether its sign is for or against the label."""
    if by in EFFECTS:
        return gene_effects(explainer, results, by, batch_size=batch_size), EFFECTS[by], True
    kind: Any = "contribution" if by == CONTRIBUTIONS else "scores"
    found = [result.input_relevance(kind=kind) for result in results]
    return [np.asarray(one.values, dtype=float) for one in found], found[0].measure, found[0].signed


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


def _matrices(rows: Sequence[_Row]) -> dict[str, Any]:
    """All cells in sparse matrices, genes in the order in which cells first name them, with the genes' names."""
    column_of: dict[str, int] = {}
    symbols: list[str] = []
    names: dict[str, str] = {}
    for row in rows:
        for gene, symbol in zip(row.genes, row.symbols, strict=True):
            if gene not in column_of:
                column_of[gene] = len(column_of)
                symbols.append(symbol)
        names.update(row.names)
    indptr = np.concatenate([[0], np.cumsum([len(row.genes) for row in rows])])
    indices = np.array([column_of[gene] for row in rows for gene in row.genes], dtype=np.int64)

    def matrix(parts: Sequence[np.ndarray]) -> sparse.csr_array:
        found = sparse.csr_array((np.concatenate(parts), indices.copy(), indptr.copy()), (len(rows), len(column_of)))
        found.sum_duplicates()  # a token that a cell repeats is one gene
        return found

    effects = [row.effects for row in rows if row.effects is not None]
    return {
        "scores": matrix([row.scores for row in rows]),
        "effects": matrix(effects) if len(effects) == len(rows) else None,
        "genes": tuple(column_of), "symbols": tuple(symbols),
        "names": tuple(names.get(gene, gene) for gene in column_of),
    }  # fmt: skip
