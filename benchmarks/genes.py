"""On cells of blood and pancreas: which ranking finds what the decision rests on, of frequencies and of genes?

Both games are played on the same held-out cells of the `pbmc-geneformer` stand-in, or with `--data islets` of
`islets-geneformer` (no Geneformer: trained here, 128 genes a cell). *Frequencies*: the features of the embedded genes'
Fourier transform, deleted by setting their power to zero, every gene staying where it is. *Genes*: tokens taken out of
the cell, the gap closed. A gene's numbers are a ranking's back-projection: what its top 4 % of features say through
that gene; beside it stand the gene's own gradient × input, what `explainer.genes` offers (contributions, sequential
contributions, integrated gradients, each gene deleted or masked alone), the ranks as the model reads them, and controls
(differential expression is Welch's t of the cell's true type against all others; attention is the attention rollout of
Abnar and Zuidema 2020, arXiv 2005.00928, from the position that the classifier reads). `--only genes` leaves out the
game of frequencies, the rankings of genes that come from it, and the masking of each gene alone; with `--folder DIR`
what was measured of each eight cells is kept there, and the same command goes on. `--folds N --folder DIR` asks the
blood cells of N folds (genes alone), each of a model trained on all others (`benchmarks.folds`), which the folder keeps
too.

`keep` is the share of decisions that survive on the top share alone, `delete` the share that survive without it (low is
good). `area` is the mean over r = .1, .2, …, .9 of the confidence kept when the lowest r is deleted minus that when the
highest r is, relative to the whole cell's: 0 for a random order. Brackets are 95 % bootstrap intervals over cells; gaps
in area are paired, cell by cell, to the controls, which ask no model: by size (`magnitude`; for genes the length of the
embedding), by order (`low_frequency`; for genes the cell's own ranks), and `random`. A second table of genes has the
means over the four shares of the decisions kept without the top (`falls`) and on it alone (`suffices`), and both minus
those of the default, paired cell by cell; `s a cell` is the processor time of a ranking.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import folds
from benchmarks.real import CELLS
from benchmarks.statistics import described
from benchmarks.tables import markdown
from hf_fourier import Attribution, FourierExplainer
from hf_fourier.evaluation.studies.gene_expression import differential_expression
from hf_fourier.evaluation.studies.in_silico_deletion import delete_genes
from hf_fourier.evaluation.studies.score_genes import explained, scores_of
from hf_fourier.results.atomic_writes import write_whole
from hf_fourier.results.curve import Curve, FractionGrid

STEPS = tuple(i / 10 for i in range(1, 10))
SHARES = (0.04, 0.08, 0.16, 0.3)
GRID = FractionGrid(tuple(dict.fromkeys((*SHARES, *STEPS))), tuple(dict.fromkeys((*SHARES, *STEPS))))
#: The controls of each game: by size, by order, by chance.
CONTROLS = {
    "frequencies": ("magnitude", "low_frequency", "random"),
    "genes": ("embedding's length (control)", "the cell's own ranks (control)", "random (control)"),
}
#: The default of `explainer.genes`.
DEFAULT = "explainer.genes by sequential_contributions"
METHODS = ("ffc", "closed_loop", "gradient_input", "magnitude", "low_frequency", "random")
TOP = 0.04
#: What `explainer.genes` offers.
OFFERED = ("contributions", "sequential_contributions", "integrated_gradients", "deletion")
#: Cells that are explained together.
AT_ONCE = 16
#: The same where each piece is kept.
KEPT = 8
#: Upper ends of bands along the ranking, as shares of half a cycle per gene.
BANDS = (1 / 16, 1 / 4, 1 / 2, 1)


def area(curve: Curve) -> float:
    """The mean gap between deleting the lowest and the highest first, relative to the whole cell's confidence."""
    lowest = curve.confidences("keep", STEPS)  # deleting the lowest r is keeping the top 1 − r
    highest = curve.confidences("delete", STEPS)
    return (math.fsum(lowest) - math.fsum(highest)) / len(STEPS) / curve.clean


def attention(explainer: FourierExplainer, results: Sequence[Attribution]) -> list[np.ndarray]:
    """Attention rollout from the first position, which the classifier reads, to each gene of each cell."""
    model: Any = explainer.model
    before = model.config._attn_implementation
    model.set_attn_implementation("eager")  # other implementations return no weights
    shares = []
    with torch.inference_mode():
        for result in results:
            layers = model(input_ids=result.inputs["input_ids"][None], output_attentions=True).attentions
            still = torch.eye(len(result.inputs["input_ids"]))
            rollout = still
            for weights in layers:
                rollout = (weights[0].mean(0) + still) / 2 @ rollout
            shares.append(rollout[0, result.inputs["content"]].numpy())
    model.set_attn_implementation(before)
    return shares


def orders(
    explainer: FourierExplainer,
    cells: Sequence[Any],
    projected: bool,
    expression: Mapping[str, Mapping[str, float]],
    first: int,
    seconds: dict[str, float] | None = None,
) -> dict[str, list[np.ndarray]]:
    """By ranking, one number for each gene of each cell.

    Args:
        explainer: Of the model.
        cells: Of the data.
        projected: Whether back-projections of rankings of frequencies are among them.
        expression: The test statistic of each gene's expression, by type of cell.
        first: The place of the first of the cells in the data, which seeds the random ranking.
        seconds: Filled with the processor time of what `explainer.genes` offers.
    """
    found: dict[str, list[np.ndarray]] = {}
    for method in ("ffc", "closed_loop", "gradient_input") if projected else ():
        results = explainer.explain(cells, method=method)
        found[f"{method}, back-projected"] = [a.input_relevance(TOP, kind="gradient").values for a in results]
        if method == "ffc":
            found[f"{method}, back-projected at 30 %"] = [
                a.input_relevance(0.3, kind="gradient").values for a in results
            ]
    results = explainer.explain(cells, method="gradient_input", contributions=0)
    found["each gene's gradient × input"] = [a.input_relevance(1.0, kind="gradient").values for a in results]
    for by in (*OFFERED, *(["mask"] if projected else [])):
        start = time.process_time()
        results = explained(explainer, cells, None, by, 0, "auto")
        found[f"explainer.genes by {by}"] = scores_of(explainer, results, by, "auto")[0]
        if seconds is not None:
            seconds[f"explainer.genes by {by}"] = time.process_time() - start
    results = explainer.explain(cells, method="magnitude", contributions=0)
    found["differential expression (control)"] = [
        np.array([expression.get(cell["label"], {}).get(gene, 0.0) for gene in a.view.genes])
        for a, cell in zip(results, cells, strict=True)
    ]
    found["attention (control)"] = attention(explainer, results)
    if projected:
        found["magnitude, back-projected power"] = [a.input_relevance(TOP, kind="power").values for a in results]
    found["embedding's length (control)"] = [a.input_relevance(1.0, kind="power").values for a in results]
    found["the cell's own ranks (control)"] = [-np.arange(len(a.names), dtype=float) for a in results]
    draws = [np.random.default_rng(first + i).random(len(a.names)) for i, a in enumerate(results)]
    found["random (control)"] = draws
    return found


def constant(results: Sequence[Attribution]) -> tuple[float, float]:
    """The share of the top features that is constant along the ranking, and its share of the relevance in size."""
    features, sizes = [], []
    for a in results:
        assert a.layout.radius is not None
        assert a.gradient is not None
        features.append(float((a.layout.radius == 0)[a.mask(TOP)].float().mean()))
        kept = a.keep_top(TOP)
        still = (kept.mean(0, keepdim=True) * a.gradient).sum(-1).abs().sum()
        moving = ((kept - kept.mean(0, keepdim=True)) * a.gradient).sum(-1).abs().sum()
        sizes.append(float(still / (still + moving)))
    return float(np.mean(features)), float(np.mean(sizes))


def whiteness(results: Sequence[Attribution]) -> tuple[list[float], list[float]]:
    """The shares of the power along ranks, without frequency 0, in `BANDS`; and those of shuffled ranks."""
    own, shuffled = [], []
    for number, a in enumerate(results):
        assert a.signal is not None
        genes = a.signal.double().numpy()
        order = np.random.default_rng(number).permutation(len(genes))
        for shares, rows in ((own, genes), (shuffled, genes[order])):
            power = (np.abs(np.fft.rfft(rows, axis=0)) ** 2).sum(1)[1:]
            band = np.searchsorted(BANDS, 2 * np.arange(1, len(power) + 1) / len(genes))
            shares.append(np.bincount(band, power, len(BANDS)) / power.sum())
    return [float(x) for x in np.mean(own, 0)], [float(x) for x in np.mean(shuffled, 0)]


def row(game: str, name: str, played: dict[str, list[Curve]]) -> dict[str, Any]:
    """One row of the table."""
    curves = played[name]
    areas = [area(c) for c in curves]
    kept = {f"keep {100 * s:g} %": float(np.mean([c.at("keep", s).agreement for c in curves])) for s in SHARES}
    gone = {f"delete {100 * s:g} %": float(np.mean([c.at("delete", s).agreement for c in curves])) for s in SHARES}
    gaps = {}
    for kind, control in zip(("size", "order", "random"), CONTROLS[game], strict=True):
        others = [area(c) for c in played[control]]
        gap = "" if name == control else described([a - b for a, b in zip(areas, others, strict=True)])
        gaps[f"gap to {kind}"] = gap
    return {"perturbed": game, "ranking": name, **kept, **gone, "area": described(areas), **gaps}


def against_default(
    played: Mapping[str, Sequence[Curve]], seconds: Mapping[str, float] | None = None
) -> list[dict[str, Any]]:
    """What falls and what suffices by each ranking, paired with the default: differences in the decisions kept.

    Args:
        played: The curves of each ranking.
        seconds: The processor time of some rankings, over all cells.
    """
    grids = {
        name: {
            mode: np.array([[c.at(mode, s).agreement for s in SHARES] for c in curves]) for mode in ("delete", "keep")
        }
        for name, curves in played.items()
    }
    rows = []
    for name, own in grids.items():
        gone, kept = (own[mode] - grids[DEFAULT][mode] for mode in ("delete", "keep"))
        rows.append({
            "ranking": name, "falls": described(own["delete"].mean(1).tolist()),
            "minus default's": described(gone.mean(1).tolist()), "at 4 %": described(gone[:, 0].tolist()),
            "at 30 %": described(gone[:, -1].tolist()), "suffices": described(own["keep"].mean(1).tolist()),
            "minus default's kept": described(kept.mean(1).tolist()),
            **({} if seconds is None else {"s a cell": round(seconds[name] / len(gone), 3) if name in seconds else ""}),
        })  # fmt: skip
    return rows


def play_frequencies(
    explainer: FourierExplainer, cells: Sequence[Any], clean: Sequence[Attribution]
) -> dict[str, list[Curve]]:
    """The curves of each ranking of frequencies; print how the power and FFC's top lie along the ranking."""
    features, sizes = constant(clean)
    print(f"Constant along the ranking: {features:.3f} of FFC's top 4 %, and {sizes:.3f} of its relevance in size.\n")
    shares = (" / ".join(f"{share:.3f}" for share in part) for part in whiteness(clean))
    print("Power along the ranking in four bands: {}; of shuffled ranks {}.\n".format(*shares))
    played: dict[str, list[Curve]] = {}
    for method in METHODS:
        results: list[Attribution] = explainer.explain(cells, method=method)
        played[method] = [a.curve for a in explainer.perturb(results, GRID) if a.curve is not None]
    return played


def play_genes(
    explainer: FourierExplainer, cells: Sequence[Any], clean: Sequence[Attribution], projected: bool
) -> dict[str, list[Curve]]:
    """The curves of each ranking of genes; cells are taken in pieces, and progress goes to standard error."""
    expression = differential_expression(explainer.processor, cells, [cell["label"] for cell in cells])
    played: dict[str, list[Curve]] = {}
    for start in range(0, len(cells), AT_ONCE):
        piece = slice(start, start + AT_ONCE)
        for name, own in orders(explainer, cells[piece], projected, expression or {}, start).items():
            played.setdefault(name, []).extend(delete_genes(explainer, clean[piece], GRID, orders=own))
        print(f"{min(len(cells), start + AT_ONCE)} of {len(cells)} cells", file=sys.stderr, flush=True)
    return played


@dataclass(eq=False)
class Kept:
    """The curves of each ranking of genes, of pieces of cells that are kept in a folder.

    Attributes:
        folder: The folder.
        name: What the pieces are of.
        played: The curves of each ranking.
        seconds: The processor time of some rankings, over all cells.
        right: How many cells are classified correctly.
    """

    folder: Path
    name: str
    played: dict[str, list[Curve]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    right: int = 0

    def play(
        self,
        explainer: FourierExplainer,
        cells: Sequence[Any],
        expression: Mapping[str, Mapping[str, float]],
        part: int,
    ) -> None:
        """Add some cells, of one model.

        Args:
            explainer: Of the model.
            cells: Of the data.
            expression: The test statistic of each gene's expression, by type of cell.
            part: Which cells they are.
        """
        settings = hashlib.sha256(repr((GRID, KEPT, OFFERED, version("hf_fourier"))).encode()).hexdigest()[:8]
        for start in range(0, len(cells), KEPT):
            piece, path = cells[start : start + KEPT], self.folder / f"{settings}-{self.name}-{part}-{start:04}.json"
            if not path.is_file():
                spent: dict[str, float] = {}
                clean = explainer.explain(piece, method="magnitude", contributions=0)
                rankings = orders(explainer, piece, False, expression, 1000 * part + start, spent)
                curves = {name: delete_genes(explainer, clean, GRID, orders=one) for name, one in rankings.items()}
                right = sum(a.label == cell["label"] for a, cell in zip(clean, piece, strict=True))
                played = {name: [curve.to_dict() for curve in several] for name, several in curves.items()}
                write_whole(path, [json.dumps({"right": right, "seconds": spent, "played": played}).encode()])
                print(f"{self.name}, {part}: {start + len(piece)} of {len(cells)}", file=sys.stderr, flush=True)
            values = json.loads(path.read_text(encoding="utf-8"))
            self.right += values["right"]
            for name, one in values["seconds"].items():
                self.seconds[name] = self.seconds.get(name, 0) + one
            for name, several in values["played"].items():
                self.played.setdefault(name, []).extend(map(Curve.from_dict, several))

    def report(self) -> None:
        """Print the tables."""
        count = len(next(iter(self.played.values())))
        print(f"{count} cells ({self.name}), {self.right} classified correctly.\n")
        print(markdown([row("genes", name, self.played) for name in self.played]) + "\n")
        print(markdown(against_default(self.played, self.seconds)) + "\n")


def play_folds(count: int, cells: int, folder: Path) -> Kept:
    """The curves of each ranking of genes over blood cells of several folds.

    Args:
        count: Of folds.
        cells: How many of their cells, drawn at random.
        folder: Where models and pieces of the answer are kept.
    """
    held_out = [(fold, cell) for fold in range(count) for cell in folds.held_out(fold)]
    drawn = torch.randperm(len(held_out), generator=torch.Generator().manual_seed(0))[:cells]
    chosen = [held_out[i] for i in sorted(drawn.tolist())]
    kept, expression = Kept(folder, f"{count} folds of blood, {cells}"), None
    for fold in range(count):
        explainer = folds.explainer(fold, folder)
        if expression is None:  # over all cells; the folds' vocabularies are one
            expression = differential_expression(
                explainer.processor, [cell for _, cell in chosen], [cell["label"] for _, cell in chosen]
            )
        kept.play(explainer, [cell for number, cell in chosen if number == fold], expression or {}, fold)
    return kept


def main(arguments: Sequence[str]) -> None:
    """Print the table; see the module's text."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks genes", description=__doc__)
    parser.add_argument("--data", choices=tuple(CELLS), default="blood")
    parser.add_argument("--only", choices=("genes",), help="leave out the game of frequencies")
    parser.add_argument("--cells", type=int, default=40)
    parser.add_argument("--folds", type=int, choices=range(1, 5), help="of blood cells")
    parser.add_argument("--folder", type=Path, help="where models of folds and pieces are kept")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    if given.folds and (given.folder is None or given.data != "blood"):
        parser.error("--folds needs --folder, and the blood cells")
    if given.folder is not None:
        given.folder.mkdir(parents=True, exist_ok=True)
    if given.folds:
        play_folds(given.folds, given.cells, given.folder).report()
        return
    real, whole = CELLS[given.data], given.only is None
    explainer, cells = real.explainer(), real.examples(given.cells)
    if given.folder is not None and not whole:
        expression = differential_expression(explainer.processor, cells, [cell["label"] for cell in cells])
        kept = Kept(given.folder, f"{given.data}, {given.cells}")
        kept.play(explainer, cells, expression or {}, 0)
        kept.report()
        return
    clean = explainer.explain(cells, method="ffc" if whole else "magnitude")
    right = sum(a.label == cell["label"] for a, cell in zip(clean, cells, strict=True))
    lengths = [len(a.names) for a in clean]
    print(f"{len(cells)} cells, {right} classified correctly, {min(lengths)} to {max(lengths)} genes.\n")
    if whole:
        frequencies = play_frequencies(explainer, cells, clean)
        print(markdown([row("frequencies", name, frequencies) for name in frequencies]) + "\n")
    genes = play_genes(explainer, cells, clean, whole)
    print(markdown([row("genes", name, genes) for name in genes]) + "\n")
    print(markdown(against_default(genes)) + "\n")
