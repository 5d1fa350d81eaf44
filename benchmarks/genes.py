"""On blood cells: which ranking finds what the decision rests on, of frequencies and of genes?

Both games are played on the same held-out cells of the `pbmc-geneformer` stand-in (no Geneformer: trained here, 128
genes a cell). *Frequencies*: the features of the embedded genes' Fourier transform, deleted by setting their power to
zero, every gene staying where it is. *Genes*: tokens taken out of the cell, the gap closed. A gene's numbers are a
ranking's back-projection: what its top 4 % of features say through that gene; beside it stand the gene's own gradient ×
input, what `explainer.genes` offers (contributions, integrated gradients, each gene deleted or masked alone), the ranks
as the model reads them, and controls (differential expression is Welch's t of the cell's true type against all others).

`keep` is the share of decisions that survive on the top share alone, `delete` the share that survive without it (low is
good). `area` is the mean over r = .1, .2, …, .9 of the confidence kept when the lowest r is deleted minus that when the
highest r is, relative to the whole cell's: 0 for a random order. Brackets are 95 % bootstrap intervals over cells; gaps
in area are paired, cell by cell, to the controls, which ask no model: by size (`magnitude`; for genes the length of the
embedding), by order (`low_frequency`; for genes the cell's own ranks), and `random`.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from benchmarks.real import CLASSIFIERS
from benchmarks.statistics import described
from benchmarks.tables import markdown
from hf_fourier import Attribution, FourierExplainer
from hf_fourier.evaluation.studies.gene_expression import differential_expression
from hf_fourier.evaluation.studies.in_silico_deletion import delete_genes
from hf_fourier.evaluation.studies.score_genes import explained, scores_of
from hf_fourier.results.curve import Curve, FractionGrid

STEPS = tuple(i / 10 for i in range(1, 10))
SHARES = (0.04, 0.08, 0.16, 0.3)
GRID = FractionGrid(tuple(dict.fromkeys((*SHARES, *STEPS))), tuple(dict.fromkeys((*SHARES, *STEPS))))
#: The controls of each game: by size, by order, by chance.
CONTROLS = {
    "frequencies": ("magnitude", "low_frequency", "random"),
    "genes": ("embedding's length (control)", "the cell's own ranks (control)", "random (control)"),
}
METHODS = ("ffc", "closed_loop", "gradient_input", "magnitude", "low_frequency", "random")
TOP = 0.04
#: Upper ends of bands along the ranking, as shares of half a cycle per gene.
BANDS = (1 / 16, 1 / 4, 1 / 2, 1)


def area(curve: Curve) -> float:
    """The mean gap between deleting the lowest and the highest first, relative to the whole cell's confidence."""
    lowest = curve.confidences("keep", STEPS)  # deleting the lowest r is keeping the top 1 − r
    highest = curve.confidences("delete", STEPS)
    return (math.fsum(lowest) - math.fsum(highest)) / len(STEPS) / curve.clean


def orders(explainer: FourierExplainer, cells: Sequence[Any]) -> dict[str, list[np.ndarray]]:
    """By ranking, one number for each gene of each cell."""
    found: dict[str, list[np.ndarray]] = {}
    for method in ("ffc", "closed_loop", "gradient_input"):
        results = explainer.explain(cells, method=method)
        found[f"{method}, back-projected"] = [a.input_relevance(TOP).values for a in results]
        if method == "ffc":
            found[f"{method}, back-projected at 30 %"] = [a.input_relevance(0.3).values for a in results]
        if method == "gradient_input":
            found["each gene's gradient × input"] = [a.input_relevance(1.0).values for a in results]
    for by in ("contributions", "integrated_gradients", "deletion", "mask"):
        results = explained(explainer, cells, None, by, 0, "auto")
        found[f"explainer.genes by {by}"] = scores_of(explainer, results, by, "auto")[0]
    types = [cell["label"] for cell in cells]
    expression = differential_expression(explainer.processor, cells, types)
    assert expression is not None
    results = explainer.explain(cells, method="magnitude")
    found["differential expression (control)"] = [
        np.array([expression.get(kind, {}).get(gene, 0.0) for gene in a.view.genes])
        for a, kind in zip(results, types, strict=True)
    ]
    found["magnitude, back-projected power"] = [a.input_relevance(TOP, kind="power").values for a in results]
    found["embedding's length (control)"] = [a.input_relevance(1.0, kind="power").values for a in results]
    found["the cell's own ranks (control)"] = [-np.arange(len(a.names), dtype=float) for a in results]
    draws = [np.random.default_rng(i).random(len(a.names)) for i, a in enumerate(results)]
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


def main(arguments: Sequence[str]) -> None:
    """Print the table; see the module's text."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks genes", description=__doc__)
    parser.add_argument("--cells", type=int, default=40)
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    real = CLASSIFIERS["pbmc-geneformer"]
    explainer, cells = real.explainer(), real.examples(given.cells)
    frequencies: dict[str, list[Curve]] = {}
    for method in METHODS:
        results: list[Attribution] = explainer.explain(cells, method=method)
        frequencies[method] = [a.curve for a in explainer.perturb(results, GRID) if a.curve is not None]
    said = explainer.explain(cells, method="ffc")
    genes = {name: delete_genes(explainer, said, GRID, orders=own) for name, own in orders(explainer, cells).items()}
    right = sum(a.label == cell["label"] for a, cell in zip(said, cells, strict=True))
    lengths = [len(a.names) for a in said]
    print(f"{len(cells)} cells, {right} named rightly, {min(lengths)} to {max(lengths)} genes.\n")
    features, sizes = constant(said)
    print(f"Constant along the ranking: {features:.3f} of FFC's top 4 %, and {sizes:.3f} of its relevance in size.\n")
    shares = (" / ".join(f"{share:.3f}" for share in part) for part in whiteness(said))
    print("Power along the ranking in four bands: {}; of shuffled ranks {}.\n".format(*shares))
    for game, played in (("frequencies", frequencies), ("genes", genes)):
        print(markdown([row(game, name, played) for name in played]) + "\n")
