"""In-silico deletion of genes: perturbation curves of a cell whose gene tokens are removed, the gaps closed.

Deleting a frequency leaves every gene where it is; deleting a gene moves all genes below it up by one rank. After
Theodoris et al. 2023, whose in-silico deletion removes the token likewise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hf_fourier.errors import InputError
from hf_fourier.models.inspection import eval_mode
from hf_fourier.models.single_cell import SingleCellWrapper, cells_may_lose_genes
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.curve import Curve, CurvePoint, FractionGrid, PerturbationKey
from hf_fourier.results.ordering import descending
from hf_fourier.scoring.example_batch import BatchSize, ExampleBatch
from hf_fourier.scoring.perturbation import Perturbation, perturbations
from hf_fourier.scoring.replay import reopen
from hf_fourier.scoring.score import Score
from hf_fourier.seeding import ExampleRng
from hf_fourier.torch_state import exact

if TYPE_CHECKING:
    from hf_fourier.engine import Engine


@exact
def delete_genes(
    explainer: Engine,
    attributions: Sequence[Attribution],
    fractions: Sequence[float] | FractionGrid = (0.01, 0.02, 0.04, 0.1, 0.3),
    *,
    orders: Sequence[Any] | None = None,
    fraction: float | None = None,
    batch_size: BatchSize = "auto",
) -> list[Curve]:
    """Perturbation curves of cells: with only their top genes, and without them.

    At most two forward passes per fraction and cell. Fractions that would leave no gene are not evaluated.

    Args:
        explainer: Of the model that made the results.
        attributions: Results of cells; they are not changed.
        fractions: Fractions of a cell's genes, 0 to 1, each of which is kept and deleted; or a `curve.FractionGrid`.
        orders: For each result one number per gene in the cell's order, higher is more important, ties by the seed;
            None for `input_relevance`, what speaks for the label first.
        fraction: As for `input_relevance`.
        batch_size: Rows in a batch, at most.

    Returns:
        One curve per result.

    Raises:
        InputError: If a result is none of a cell, or there is not one finite number per gene.
        TargetError: If what was explained belongs to single genes.
    """
    wrapper = check_cells(explainer, attributions)
    if orders is not None and len(orders) != len(attributions):
        raise InputError(f"{len(orders)} orders for {len(attributions)} cells", "one per cell", "correct `orders`")
    grid = fractions if isinstance(fractions, FractionGrid) else FractionGrid(tuple(fractions), tuple(fractions))
    requested = [
        perturbation
        for number, result in enumerate(attributions)
        for perturbation in _perturbations(
            number, result, _scores(result, None if orders is None else orders[number], fraction), grid
        )
    ]
    points = _evaluate(explainer, wrapper, attributions, requested, batch_size)
    curves: list[list[CurvePoint]] = [[] for _ in attributions]
    for perturbation in requested:
        point = points[perturbation.example, perturbation.key]
        curves[perturbation.example].append(perturbation.relabel(point))
    return [
        Curve(tuple(curve), result.value if result.confidence is None else result.confidence)
        for curve, result in zip(curves, attributions, strict=True)
    ]


def check_cells(explainer: Engine, attributions: Sequence[Attribution]) -> SingleCellWrapper:
    """The wrapper of a model whose cells may lose genes.

    Raises:
        InputError: If a result is none of a cell, or was saved without its example.
        TargetError: If what was explained belongs to single genes.
    """
    wrapper = cells_may_lose_genes(explainer.wrapper)
    if any(result.signal is None or "content" not in result.inputs for result in attributions):
        raise InputError("a compact result", "one with its example", "save it without compact=True")
    return wrapper


def _perturbations(number: int, result: Attribution, scores: torch.Tensor, grid: FractionGrid) -> list[Perturbation]:
    """Those of one cell that leave a gene; `number` is the cell's place."""
    rng = ExampleRng(int(result.provenance["seed"]), [result.key])
    order = descending(scores, lambda: rng.generator(0, "gene ties"))
    ones = torch.ones(len(result.inputs["content"]), dtype=torch.long)
    return [one for one in perturbations(number, order, ones, grid) if bool(one.mask.any())]


def _evaluate(
    explainer: Engine,
    wrapper: SingleCellWrapper,
    attributions: Sequence[Attribution],
    requested: Sequence[Perturbation],
    batch_size: BatchSize,
) -> dict[tuple[int, PerturbationKey], CurvePoint]:
    """The model's prediction for each shorter cell, each evaluated once."""
    unique: dict[tuple[int, PerturbationKey], Perturbation] = {}
    for perturbation in requested:
        unique.setdefault((perturbation.example, perturbation.key), perturbation)
    rows = list(unique.values())
    variants = [(one.example, _left(attributions[one.example], one)) for one in rows]
    points = read_variants(explainer, wrapper, attributions, variants, batch_size)
    return {(one.example, one.key): point for one, point in zip(rows, points, strict=True)}


def read_variants(
    explainer: Engine,
    wrapper: SingleCellWrapper,
    attributions: Sequence[Attribution],
    variants: Sequence[tuple[int, list[int]]],
    batch_size: BatchSize = "auto",
) -> list[CurvePoint]:
    """The model's prediction for other tokens of explained cells, each for its result's target.

    Args:
        explainer: Of the model that made the results.
        wrapper: Its wrapper.
        attributions: Results of cells.
        variants: The number of a result and the tokens, special ones included, to be read in the place of its own.
        batch_size: Rows in a batch, at most.

    Returns:
        One point for each; its part and fraction mean nothing.
    """
    points: list[Any] = [None] * len(variants)

    def visit(places: list[int], batch: ExampleBatch, score: Score) -> None:
        reading = score.value(score.signal)
        confidences = [None] * len(places) if reading.confidence is None else reading.confidence.tolist()
        labels = [None] * len(places) if reading.predicted_class is None else reading.predicted_class.tolist()
        columns = zip(places, reading.value.tolist(), confidences, reading.agreement.tolist(), labels, strict=True)
        for place, value, confidence, agreement, label in columns:
            points[place] = CurvePoint("keep", 0, 0, value, confidence, agreement, label)

    with eval_mode(explainer.model):
        cells = [replace(wrapper.encode({"input_ids": ids}), notes=()) for _, ids in variants]
        reopen([attributions[number] for number, _ in variants], cells, wrapper, visit, batch_size)
    return points


def _scores(result: Attribution, given: Any, fraction: float | None) -> torch.Tensor:
    """One number per gene, float32 or float64."""
    genes = len(result.inputs["content"])
    values = np.asarray(result.input_relevance(fraction).values if given is None else given)
    if values.shape != (genes,) or values.dtype.kind not in "biuf" or not np.isfinite(values).all():
        got = f"an order of shape {values.shape} for {genes} genes"
        raise InputError(got, "one finite number per gene", "correct `orders`")
    return torch.from_numpy(values.astype(np.float64))


def _left(result: Attribution, perturbation: Perturbation) -> list[int]:
    """A cell's tokens without the genes that a perturbation takes, the gaps closed; special tokens stay."""
    ids = result.inputs["input_ids"]
    left = torch.ones(len(ids), dtype=torch.bool)
    left[result.inputs["content"][~perturbation.mask]] = False
    return [int(token) for token in ids[left]]
