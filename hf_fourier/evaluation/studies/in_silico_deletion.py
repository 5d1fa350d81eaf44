"""The deletion game on genes: tokens are taken out of the cell and the gap is closed, as in-silico deletion does.

Deleting a frequency leaves every gene where it is; deleting a gene moves all genes below it up by one rank. After
Theodoris et al. 2023, whose in-silico deletion removes the token likewise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hf_fourier.errors import InputError, TargetError
from hf_fourier.models.inspection import eval_mode
from hf_fourier.models.single_cell import SingleCellWrapper
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.curve import Curve, CurvePoint, FractionGrid, PerturbationKey
from hf_fourier.results.ordering import descending
from hf_fourier.scoring.example_batch import BatchSize, EncodedExample, ExampleBatch
from hf_fourier.scoring.perturbation import Perturbation, perturbations
from hf_fourier.scoring.replay import reopen
from hf_fourier.scoring.score import Score
from hf_fourier.seeding import ExampleRng
from hf_fourier.torch_state import exact

if TYPE_CHECKING:
    from hf_fourier.engine import Engine

#: Heads whose target is the cell's; those of positions have no target left once a gene is gone.
TASKS = ("text-classification", "feature-extraction")


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
    """Ask the model what it says of cells with only their top genes, and without them.

    At most two forward passes per share and cell. Shares that would leave no gene are not asked.

    Args:
        explainer: The model that the results are of.
        attributions: Its results of cells; they are not changed.
        fractions: Shares of a cell's genes, 0 to 1, each of which is kept and deleted; or a `curve.FractionGrid`.
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
    wrapper = explainer.wrapper
    if not isinstance(wrapper, SingleCellWrapper):
        raise InputError(f"genes of {wrapper.task}", "a model of cells", "call explainer.perturb")
    if wrapper.task not in TASKS:
        expected = f"one of {', '.join(TASKS)}"
        raise TargetError(f"genes deleted under {wrapper.task}, whose targets are genes", expected, "explain the cell")
    if orders is not None and len(orders) != len(attributions):
        raise InputError(f"{len(orders)} orders for {len(attributions)} cells", "one per cell", "correct `orders`")
    grid = fractions if isinstance(fractions, FractionGrid) else FractionGrid(tuple(fractions), tuple(fractions))
    asked: dict[tuple[int, PerturbationKey], Perturbation] = {}
    questions = []
    for number, result in enumerate(attributions):
        content = result.inputs["content"]
        scores = _scores(result, None if orders is None else orders[number], fraction)
        rng = ExampleRng(int(result.provenance["seed"]), [result.key])
        order = descending(scores, lambda rng=rng: rng.generator(0, "gene ties"))  # type: ignore[misc]
        for move in perturbations(number, order, torch.ones(len(content), dtype=torch.long), grid):
            if bool(move.mask.any()):
                questions.append(move)
                asked.setdefault((number, move.key), move)
    rows = list(asked.values())
    stops: dict[tuple[int, PerturbationKey], CurvePoint] = {}
    with eval_mode(explainer.model):
        cells = [_without(wrapper, attributions[move.example], move) for move in rows]

        def work(places: list[int], block: ExampleBatch, score: Score) -> None:
            reading = score.value(score.signal)
            sure = [None] * len(places) if reading.confidence is None else reading.confidence.tolist()
            said = [None] * len(places) if reading.predicted_class is None else reading.predicted_class.tolist()
            told = zip(places, reading.value.tolist(), sure, reading.agreement.tolist(), said, strict=True)
            for place, value, confidence, agrees, label in told:
                stop = CurvePoint("keep", 0, 0, value, confidence, agrees, label)
                stops[rows[place].example, rows[place].key] = stop

        whole = [attributions[move.example] for move in rows]
        reopen(whole, cells, wrapper, work, batch_size)
    answered: list[list[CurvePoint]] = [[] for _ in attributions]
    for move in questions:
        answered[move.example].append(move.relabel(stops[move.example, move.key]))
    return [
        Curve(tuple(own), a.value if a.confidence is None else a.confidence)
        for own, a in zip(answered, attributions, strict=True)
    ]


def _scores(result: Attribution, given: Any, fraction: float | None) -> torch.Tensor:
    """One number per gene, float32 or float64."""
    if result.signal is None or "content" not in result.inputs:
        raise InputError("a compact result", "one with its example", "save it without compact=True")
    genes = len(result.inputs["content"])
    values = np.asarray(result.input_relevance(fraction).values if given is None else given)
    if values.shape != (genes,) or values.dtype.kind not in "biuf" or not np.isfinite(values).all():
        got = f"an order of shape {values.shape} for {genes} genes"
        raise InputError(got, "one finite number per gene", "correct `orders`")
    return torch.from_numpy(values.astype(np.float64))


def _without(wrapper: SingleCellWrapper, result: Attribution, move: Perturbation) -> EncodedExample:
    """A cell with the genes that a move leaves, in their order, the gaps closed; marks stay."""
    ids = result.inputs["input_ids"]
    left = torch.ones(len(ids), dtype=torch.bool)
    left[result.inputs["content"][~move.mask]] = False
    return replace(wrapper.encode({"input_ids": ids[left].tolist()}), notes=())
