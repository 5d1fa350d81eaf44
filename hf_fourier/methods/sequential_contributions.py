"""Sequential contributions of genes: the top genes by contributions are deleted, and contributions are taken again.

A gene that another one stands in for has a small contribution until that other one is gone. Here genes are deleted in
rounds, the gaps closed. A gene's score is its contribution in the shorter cell from which it was deleted, at most that
of the gene before it. After recursive feature elimination (Guyon et al. 2002), which likewise ranks again after each
round, but starts from the least important features.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from hf_fourier.errors import InputError
from hf_fourier.methods.contributions import integrate
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.relevance import SEQUENTIAL
from hf_fourier.scoring.example_batch import BatchSize, BatchSource, EncodedExample, ExampleBatch
from hf_fourier.scoring.replay import reopen
from hf_fourier.scoring.score import Score
from hf_fourier.torch_state import exact

#: The domain whose features are genes.
PLACES = "identity:grain=position"
#: Points on the path from each reference, in each round.
POINTS = 2
#: A round deletes one of so many genes of a cell, or one of so many that are gone, whichever is more.
OF_ALL, OF_GONE = 128, 5
#: Rounds of a cell, at most: twice as many as any cell takes whose genes all speak for the label, so that only those
#: are cut short of whose genes very few do in each round.
ROUNDS = 46
#: A score is at most that of the gene deleted before it, times this: float32 tells the two apart.
BELOW = 1 - 2**-20
#: A cell of `{"input_ids": …}` as the model reads it.
Encode = Callable[[Mapping[str, Any]], EncodedExample]


class _Cell:
    """One cell from which genes are deleted; each has its contribution as its score, at most that of the one before."""

    def __init__(self, result: Attribution) -> None:
        self.ids, self.content = result.inputs["input_ids"].tolist(), result.inputs["content"].tolist()
        #: The genes that are not deleted, by their places among the cell's genes.
        self.left = list(range(len(self.content)))
        self.scores, self.last = np.zeros(len(self.content)), math.inf
        #: Forward and backward passes so far.
        self.passes, self.rounds, self.done = [0, 0], 0, not self.left
        #: The time of its rounds; of a round the cells have equal parts.
        self.seconds = 0.0

    @property
    def tokens(self) -> list[int]:
        """The tokens of the shorter cell; special ones stay."""
        gone = set(self.content) - {self.content[gene] for gene in self.left}
        return [token for place, token in enumerate(self.ids) if place not in gone]

    def delete(self, contributions: np.ndarray) -> None:
        """One round: score the top genes and delete them; or score all that are left, where nothing is to come."""
        if not np.isfinite(contributions).all():
            got = f"contributions that are not finite, after {len(self.content) - len(self.left)} genes were deleted"
            raise InputError(got, "a finite gradient", 'pass by="deletion", which takes no gradient')
        order = np.argsort(-contributions, kind="stable")
        gone = len(self.content) - len(self.left)
        step = max(math.ceil(len(self.content) / OF_ALL), math.ceil(gone / OF_GONE))
        top = order[: min(step, int((contributions > 0).sum()))]
        self.rounds += 1
        self.done = len(top) in (0, len(order)) or self.rounds == ROUNDS
        for index in order if self.done else top:
            value = contributions[index]
            if value > 0:
                value = min(value, self.last)
                self.last = value * BELOW
            self.scores[self.left[index]] = value
        chosen = set(top.tolist())
        self.left = [gene for index, gene in enumerate(self.left) if index not in chosen]


@exact
def sequential_contributions(
    results: Sequence[Attribution], encode: Encode, source: BatchSource, batch_size: BatchSize = "auto"
) -> tuple[list[Attribution], int]:
    """The same results with sequential contributions as the scores of the genes; see `FourierExplainer.genes`.

    A round takes 7 forward and 4 backward passes of each cell (two references, `POINTS` on each path), and there are at
    most `ROUNDS`. It deletes the genes of highest contributions, at most 1/128 of the cell's genes or a fifth of those
    that are gone, whichever is more, and only genes that speak for the label. The last round is the one in which no
    gene that is left does, or number `ROUNDS`: it ranks the rest by its contributions.

    Args:
        results: Of cells, by a method that ranks places (domain `PLACES`).
        encode: Makes inputs of shorter cells.
        source: Makes their batches, of a model in eval mode.
        batch_size: Rows in a batch, at most.

    Returns:
        The results, and how often a batch was halved.

    Raises:
        InputError: If contributions are not finite, or a callable was explained.
    """
    cells, halvings = [_Cell(result) for result in results], 0
    while numbers := [number for number, cell in enumerate(cells) if not cell.done]:
        start = time.perf_counter()
        encoded = [replace(encode({"input_ids": cells[number].tokens}), notes=()) for number in numbers]

        def visit(places: list[int], batch: ExampleBatch, score: Score, numbers: Sequence[int] = numbers) -> None:
            x = score.signal
            paths = integrate(score, x, POINTS)
            by_gene = torch.stack([((x - path.start) * path.mean).sum(-1) for path in paths]).mean(0)
            for place, values in zip(places, by_gene.double().cpu().numpy(), strict=True):
                cell = cells[numbers[place]]
                cell.delete(values)
                cell.passes[0] += 1 + len(paths) * (1 + POINTS)
                cell.passes[1] += len(paths) * POINTS

        halvings += reopen([results[number] for number in numbers], encoded, source, visit, batch_size)
        spent = (time.perf_counter() - start) / len(numbers)
        for number in numbers:
            cells[number].seconds += spent
    return [_scored(result, cell) for result, cell in zip(results, cells, strict=True)], halvings


def _scored(result: Attribution, cell: _Cell) -> Attribution:
    made = result.provenance
    passes = {**made["passes"]}
    for name, count in zip(("forward", "backward"), cell.passes, strict=True):
        passes[name] += count
    scores = torch.from_numpy(cell.scores).to(result.scores.dtype)
    costs = {"passes": passes, "seconds": made["seconds"] + cell.seconds}
    return replace(result, scores=scores, provenance={**made, "method": SEQUENTIAL, **costs})
