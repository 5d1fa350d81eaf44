"""One-step FFC beside other libraries: what each takes, alone and with one game played for both, and how good it is.

FFC ranks Fourier features. The others' maps are ranked by the sizes of their Fourier coefficients, which is the same
domain and the same game, and as they are (`identity`), which is a home of their own: gaps across domains compare
different features. DIG, and selectivity: what is left of the decisions kept when the wrong labels reached are taken
off, its area over small shares.
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict
from functools import partial
from typing import Any

from benchmarks import peers
from benchmarks.axes import LENGTH
from benchmarks.real import CLASSIFIERS
from hf_fourier.evaluation import Cell, Evaluation
from hf_fourier.metrics.games import PUBLISHED, STANDARD
from hf_fourier.metrics.statistics import paired_interval, summarise

IG, SMOOTH, SHAP = "captum.IntegratedGradients", "captum.NoiseTunnel(Saliency)", "shap.GradientExplainer"
#: Captum's defaults are 50 steps and 5 samples, shap's 200 samples (which few models here can wait for).
THEIRS = (
    peers.Peer(IG, "captum", partial(peers.integrated_gradients, steps=50)),
    peers.Peer(SMOOTH, "captum", partial(peers.smoothgrad, samples=5)),
)
QUICK = peers.Peer(SHAP, "shap", partial(peers.shap_gradients, samples=200))
#: Models that are asked by shap at its defaults as well.
WITH_SHAP = ("ast-languages", "fashion-vit")
QUANTITIES = ("dig", "selectivity (random)", "selectivity (runner-up)")
EXAMPLES = {"efficientnet-lite0": 8, "antiberty-species": 12, "minilm-spam": 24, "pbmc-geneformer": 24}
USUAL = 32


def measured(name: str) -> dict[str, Any]:
    """One model's numbers, as plain values."""
    n = EXAMPLES.get(name, USUAL)
    real = CLASSIFIERS[name]
    explainer = real.explainer()
    if name == "minilm-spam":
        explainer.processor.model_max_length = LENGTH
    examples, sources = real.examples(n), [str(source) for source in real.sources(n)]
    first = explainer.explain(examples[0], method="magnitude", domain="identity")
    among = (*THEIRS, QUICK) if name in WITH_SHAP else THEIRS
    ready = peers.peers(explainer, first.layout.leaf, among)
    found = explainer.evaluate(examples, ["ffc", *ready], None, ["dig", "selectivity"], sources=sources)
    results = explainer.explain(examples)
    spent = {}
    for title, grid in (("published", PUBLISHED), ("standard", STANDARD)):
        for result in results:
            result.curve = None
            _ = result.order
        start = time.perf_counter()
        explainer.play(results, grid)
        spent[title] = (time.perf_counter() - start) / n
    start = time.perf_counter()
    explainer.explain(examples)
    spent["ffc"] = (time.perf_counter() - start) / n
    cells = [asdict(cell) for cell in found.cells]
    return {"cells": cells, "sources": sources, "better": dict(found.better), "seconds": spent}


def cost_row(name: str, numbers: dict[str, Any]) -> dict[str, Any]:
    """What FFC and Captum's IG take, alone and with the same game for both."""
    seconds, cells = numbers["seconds"], _cells(name, numbers)
    ours, theirs = seconds["ffc"], cells.of(IG, "fourier").seconds
    row = {"model": name, "n": len(numbers["sources"]), "FFC, s": ours, "IG of 50 steps, s": theirs}
    row["alone"] = theirs / ours
    for title, words in (("published", "19 forwards"), ("standard", "24 forwards")):
        row[f"with a game of {words}"] = (theirs + seconds[title]) / (ours + seconds[title])
    row["passes IG ÷ FFC"] = "{:g} + {:g} ÷ 1 + 1".format(*cells.of(IG, "fourier").passes)
    return row


def quality_row(name: str, numbers: dict[str, Any]) -> dict[str, Any]:
    """DIG and selectivity of both in one domain, with the paired gap, and of IG at home."""
    found = _cells(name, numbers)
    own, same, home = found.of("ffc", "fourier"), found.of(IG, "fourier"), found.of(IG, "identity")
    row: dict[str, Any] = {"model": name, "n (sources)": f"{len(found.sources)} ({len(set(found.sources))})"}
    no_lower = True
    for quantity in QUANTITIES:
        ours, theirs, at_home = (summarise(cell.values[quantity], found.sources).mean for cell in (own, same, home))
        low, high = _gap(own, same, quantity, found)
        row[quantity] = f"{ours:.3f} / {theirs:.3f} / {at_home:.3f}"
        row[f"{quantity}, gap"] = f"{ours - theirs:+.3f} [{low:+.3f}, {high:+.3f}]"
        no_lower = no_lower and ours >= theirs
    return {**row, "no lower": "yes" if no_lower else "no"}


def everything(name: str, numbers: dict[str, Any]) -> list[dict[str, Any]]:
    """All rows of one model: means of each quantity, passes and seconds."""
    found = _cells(name, numbers)
    rows = []
    for cell in found.cells:
        row: dict[str, Any] = {"method": cell.method + (" (control)" if cell.control else ""), "domain": cell.domain}
        row |= {q: summarise(cell.values[q], found.sources).mean for q in QUANTITIES}
        rows.append({**row, "passes": "{:g} + {:g}".format(*cell.passes), "s": cell.seconds})
    return rows


def _gap(a: Cell, b: Cell, quantity: str, found: Evaluation) -> tuple[float, float]:
    pairs = zip(a.values[quantity], b.values[quantity], found.sources, strict=True)
    known = [(x, y, source) for x, y, source in pairs if not math.isnan(x - y)]
    ours, theirs, sources = (list(side) for side in zip(*known, strict=True))
    return paired_interval(ours, theirs, sources, 0) if len(set(sources)) > 1 else (math.nan, math.nan)


def _cells(name: str, numbers: dict[str, Any]) -> Evaluation:
    cells = [Cell(**{**cell, "passes": tuple(cell["passes"])}) for cell in numbers["cells"]]
    return Evaluation(name, cells, numbers["sources"], numbers["better"])
