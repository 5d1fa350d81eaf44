"""Could another ranking of genes be the default? Candidates on tuning cells of the pancreas, which no table is made of.

The 74 held-out islet cells that `python -m benchmarks genes --data islets --cells 304` leaves out, in the same game:
genes deleted in the order of a ranking, the gaps closed. `falls` is the mean over the four shares of the decisions kept
without the top genes (low is good), `suffices` that of the decisions kept on them alone, each with a 95 % bootstrap
interval over cells; `gap` is `falls` minus that of contributions, paired cell by cell. Candidates:

- contributions: `explainer.genes(by="contributions")`.
- gradient × (input − mask): their first-order part at the cell itself.
- single deletion, place included: the fall of the log-odds as each gene is deleted alone, also where that moves the
  place that the classifier reads (`explainer.genes(by="deletion")` measures the first gene without that).
- contributions, place included: the first gene has the fall of the log-odds as it is deleted.
- gradient in turn: the top genes by gradient × (input − mask) are deleted, the gradient is taken again, and so on.
- contributions in turn: the same with the mean gradient along two paths, from masks and from the average gene.
- contributions and ranks: the sum of a gene's places in both rankings.
- sequential contributions: `explainer.genes(by="sequential_contributions")`, contributions in turn whose rounds end
  where no gene that is left speaks for the label, with the mean gene of the cell as the average gene.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import numpy as np
import torch

from benchmarks.genes import SHARES
from benchmarks.real import CELLS
from benchmarks.statistics import described
from benchmarks.tables import markdown
from hf_fourier import Attribution, FourierExplainer
from hf_fourier.evaluation.studies.gene_expression import differential_expression
from hf_fourier.evaluation.studies.in_silico_deletion import delete_genes
from hf_fourier.evaluation.studies.score_genes import explained, scores_of
from hf_fourier.results.curve import FractionGrid
from hf_fourier.results.relevance import SEQUENTIAL
from hf_fourier.typing import Tensor

#: The candidate that was chosen on tuning cells.
CHOSEN = "contributions in turn"
#: Held-out cells that the table of rankings is made of.
TESTED = 304
#: How many genes are gone after each step of a ranking in turn.
STEPS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 18, 21, 25, 30, 36, 42, 50, 60, 72, 86, 104)
#: Points on each path of contributions in turn.
POINTS = 2
ROWS = 64
Scores = Callable[[Tensor], Tensor]


class Cells:
    """Tuning cells of one length through a classifier without special tokens.

    Attributes:
        ids: Their tokens, `(cells, genes)`.
        target: The class of each.
    """

    def __init__(self, explainer: FourierExplainer, results: Sequence[Attribution]) -> None:
        self.model = cast(Any, explainer.model)
        self.ids = torch.stack([result.inputs["input_ids"] for result in results])
        self.target = torch.tensor([int(result.target) for result in results])
        self.table: torch.Tensor = self.model.get_input_embeddings().weight.detach()
        self.mask = self.table[explainer.processor.mask_token_id]
        genes = [token for token in explainer.processor.genes if token not in explainer.processor.special_ids]
        self.average = self.table[genes].mean(0)

    def log_odds(self, target: Tensor, **inputs: Tensor) -> Tensor:
        """Of each row's class."""
        logits = self.model(**inputs).logits
        own = logits.gather(1, target[:, None])[:, 0]
        return own - logits.scatter(1, target[:, None], float("-inf")).logsumexp(1)

    @torch.no_grad()
    def value(self, rows: Tensor, target: Tensor) -> Tensor:
        """The log-odds of rows of tokens."""
        parts = zip(rows.split(4 * ROWS), target.split(4 * ROWS), strict=True)
        return torch.cat([self.log_odds(own, input_ids=some) for some, own in parts])

    def gradient(self, embedded: Tensor) -> Tensor:
        """Of the log-odds at embedded cells."""
        parts = []
        for some, own in zip(embedded.split(ROWS), self.target.split(ROWS), strict=True):
            x = some.detach().requires_grad_()
            parts.append(torch.autograd.grad(self.log_odds(own, inputs_embeds=x).sum(), x)[0])
        return torch.cat(parts)

    def gradient_input(self, ids: Tensor) -> Tensor:
        """The gradient times the embedding minus that of the mask, a number for each gene."""
        x = self.table[ids]
        return (self.gradient(x) * (x - self.mask)).sum(-1)

    def contributions(self, ids: Tensor) -> Tensor:
        """The same with the mean gradient along the paths from two references."""
        x, total = self.table[ids], torch.zeros(ids.shape)
        for reference in (self.mask, self.average):
            mean = sum(self.gradient(reference + (k + 0.5) / POINTS * (x - reference)) for k in range(POINTS)) / POINTS
            total += (mean * (x - reference)).sum(-1) / 2
        return total

    def single_deletion(self) -> Tensor:
        """The fall of the log-odds without each gene."""
        cells, genes = self.ids.shape
        left = torch.stack([torch.cat([self.ids[:, :i], self.ids[:, i + 1 :]], 1) for i in range(genes)], 1)
        without = self.value(left.reshape(cells * genes, genes - 1), self.target.repeat_interleave(genes))
        return self.value(self.ids, self.target)[:, None] - without.reshape(cells, genes)

    def in_turn(self, scores: Scores) -> Tensor:
        """Genes by when they are deleted, where those of the highest scores go first and scores are taken again."""
        cells, genes = self.ids.shape
        places, found, gone = torch.arange(genes).repeat(cells, 1), torch.zeros(cells, genes), 0
        for step in (*(one for one in STEPS if one < genes), genes):
            order = scores(self.ids.gather(1, places)).argsort(dim=1, descending=True, stable=True)
            top, rest = order[:, : step - gone], order[:, step - gone :].sort(1).values
            found.scatter_(1, places.gather(1, top), -torch.arange(gone, step).float().repeat(cells, 1))
            places, gone = places.gather(1, rest), step
        return found


def candidates(
    explainer: FourierExplainer,
    cells: Sequence[Any],
    whole: Sequence[Any],
    clean: Sequence[Attribution],
    only: str | None = None,
) -> Iterator[tuple[str, Sequence[np.ndarray], float]]:
    """Each ranking with a number for each gene of each cell, and its processor time in seconds a cell."""
    own = Cells(explainer, clean)
    start = time.process_time()
    results = explained(explainer, cells, None, "contributions", 0, "auto")
    default = scores_of(explainer, results, "contributions", "auto")[0]
    yield "contributions", default, (time.process_time() - start) / len(cells)
    start = time.process_time()
    results = explained(explainer, cells, None, SEQUENTIAL, 0, "auto")
    yield (
        "sequential contributions",
        scores_of(explainer, results, SEQUENTIAL, "auto")[0],
        (time.process_time() - start) / len(cells),
    )
    first = torch.from_numpy(np.stack(default)).float()
    ranks = torch.arange(own.ids.shape[1])

    def place_included() -> Tensor:
        found = first.clone()
        found[:, 0] = own.value(own.ids, own.target) - own.value(own.ids[:, 1:], own.target)
        return found

    makers: dict[str, Callable[[], Tensor]] = {
        "gradient × (input − mask)": lambda: own.gradient_input(own.ids),
        "single deletion, place included": own.single_deletion,
        "contributions, place included": place_included,
        "gradient in turn": lambda: own.in_turn(own.gradient_input),
        "contributions in turn": lambda: own.in_turn(own.contributions),
        "contributions and ranks": lambda: -(first.argsort(1, descending=True).argsort(1) + ranks).float(),
        "the cell's own ranks (control)": lambda: -ranks.float().repeat(len(cells), 1),
    }
    for name, make in makers.items():
        if only is not None and name != only and "control" not in name:
            continue
        start = time.process_time()
        scores = make().detach().double().numpy()
        yield name, list(scores), (time.process_time() - start) / len(cells)
    expression = differential_expression(explainer.processor, whole, [cell["label"] for cell in whole]) or {}
    yield (
        "differential expression (control)",
        [
            np.array([expression[cell["label"]].get(gene, 0.0) for gene in result.view.genes])  # type: ignore[attr-defined]
            for result, cell in zip(clean, cells, strict=True)
        ],
        0.0,
    )


def main(arguments: Sequence[str]) -> None:
    """Print the table; see the module's text."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks gene_candidates", description=__doc__)
    parser.add_argument("--data", choices=tuple(CELLS), default="islets", help="with --test")
    parser.add_argument("--test", type=int, help="the candidate that was chosen, on so many of the cells of the tables")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    real = CELLS[given.data if given.test else "islets"]
    explainer, whole = real.explainer(), real.examples(10**6)
    cells = whole[: min(given.test, TESTED)] if given.test else whole[TESTED:]
    clean = explainer.explain(cells, method="magnitude", contributions=0)
    rows, falls = [], dict[str, np.ndarray]()
    for name, scores, seconds in candidates(explainer, cells, whole, clean, CHOSEN if given.test else None):
        curves = delete_genes(explainer, clean, FractionGrid(SHARES, SHARES), orders=scores)
        gone, kept = (
            np.array([[c.at(mode, s).agreement for s in SHARES] for c in curves]) for mode in ("delete", "keep")
        )
        falls[name] = gone.mean(1)
        gap = falls[name] - falls["contributions"]
        rows.append({
            "ranking": name, **{f"delete {100 * s:g} %": float(gone[:, i].mean()) for i, s in enumerate(SHARES)},
            "falls": described(gone.mean(1).tolist()), "gap": described(gap.tolist()) if len(rows) else "",
            "suffices": described(kept.mean(1).tolist()), "s a cell": round(seconds, 3),
        })  # fmt: skip
        print(rows[-1], file=sys.stderr, flush=True)
    print(f"{len(cells)} {'cells of the table' if given.test else 'tuning cells'}.\n\n{markdown(rows)}\n")
