"""One-step FFC beside other libraries: what each takes, alone and with one game played for both, and how good it is.

FFC ranks Fourier features. The others' maps are brought into the same domain and the same game, contributions carried
over ("transport") and any map by the sizes of its own coefficients ("magnitude", the published way), and ranked as they
are (`identity`), which is a home of their own: gaps across domains compare different features. DIG, and selectivity:
what is left of the decisions kept when the wrong labels reached are taken off, its area over small shares.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

from benchmarks import peers
from benchmarks.axes import LENGTH
from benchmarks.cost import timed
from benchmarks.real import CLASSIFIERS
from hf_fourier.domains import Fourier
from hf_fourier.evaluation.metrics.statistics import paired_interval, summarise
from hf_fourier.evaluation.results import Evaluation, MethodResult
from hf_fourier.methods import FFC
from hf_fourier.methods.apply import MethodCall, explain_all
from hf_fourier.models.inspection import eval_mode
from hf_fourier.results.curve import DEFAULT_GRID, PAPER_GRID, FractionGrid
from hf_fourier.scoring.example_batch import ExampleBatch, ExplanationRequest
from hf_fourier.scoring.score import Score

STEPS = 50
IG, SMOOTH, SHAP = "captum.IntegratedGradients", "captum.NoiseTunnel(Saliency)", "shap.GradientExplainer"
#: Captum's defaults are 50 steps and 5 samples, shap's 200 samples (which few models here can wait for).
THEIRS = (
    peers.Peer(IG, "captum", partial(peers.integrated_gradients, steps=STEPS), contributions=True),
    peers.Peer(SMOOTH, "captum", partial(peers.smoothgrad, samples=5)),
)
QUICK = peers.Peer(SHAP, "shap", partial(peers.shap_gradients, samples=200), contributions=True)
#: Models that are asked by shap at its defaults as well.
WITH_SHAP = ("ast-languages",)
QUANTITIES = ("dig", "selectivity (random)", "selectivity (runner-up)")
EXAMPLES = {"ast-languages": 32, "efficientnet-lite0": 8, "minilm-spam": 8}
USUAL = 16


def measured(name: str) -> dict[str, Any]:
    """One model's numbers, as plain values."""
    n = EXAMPLES.get(name, USUAL)
    real = CLASSIFIERS[name]
    explainer = real.explainer()
    if name == "minilm-spam":
        explainer.processor.model_max_length = LENGTH
    examples, groups = real.examples(n), [str(group) for group in real.groups(n)]
    first = explainer.explain(examples[0], method="magnitude", domain="identity")
    among = (*THEIRS, QUICK) if name in WITH_SHAP else THEIRS
    ready = peers.peers(explainer, first.layout.signal, among)
    found = explainer.evaluate(examples, ["ffc", *ready], None, ["dig", "selectivity"], groups=groups)
    cells = [asdict(cell) for cell in found.cells]
    return {"cells": cells, "groups": groups, "better": dict(found.better)}


def timings(name: str, n: int, runs: int) -> dict[str, Any]:
    """Seconds per example of FFC, of Captum's IG and of two games, in turn: by the clock and of the processor.

    Decoding and the processor are on neither side: both start from encodings.
    """
    real = CLASSIFIERS[name]
    explainer, examples = real.explainer(), real.examples(n)
    if name == "minilm-spam":
        explainer.processor.model_max_length = LENGTH
    results = explainer.explain(examples, method="ffc")
    wrapper, encoded = explainer.wrapper, [explainer.wrapper.encode(example) for example in examples]
    job = MethodCall(FFC(), Fourier(), 0, {"name": name, "task": wrapper.task, "revision": None})

    def ours() -> None:
        with eval_mode(explainer.model):
            for result in explain_all([ExplanationRequest(one, None) for one in encoded], job, wrapper):
                _ = result.order

    def theirs() -> None:
        def work(places: list[int], block: ExampleBatch, score: Score) -> None:
            for row, place in enumerate(places):
                scored = peers.Scored(block, score, row, results[place].layout.signal)
                peers.integrated_gradients(
                    scored, block.signal[row : row + 1].detach().requires_grad_(True), steps=STEPS
                )

        explainer.replay(results, work)

    def played(grid: FractionGrid) -> None:
        for result in results:
            result.curve = None
        explainer.perturb(results, grid)

    acts: dict[str, Callable[[], Any]] = {
        "ffc": ours,
        "ig": theirs,
        "published": lambda: played(PAPER_GRID),
        "standard": lambda: played(DEFAULT_GRID),
    }
    ours()
    spent = [{title: timed(act) for title, act in acts.items()} for _ in range(runs)]
    return {
        kind: {title: statistics.median(getattr(one[title], kind) for one in spent) / n for title in acts}
        for kind in ("wall", "cpu")
    }


def cost_row(name: str, found: dict[str, Any]) -> dict[str, Any]:
    """What FFC and Captum's IG take, alone and with the same game for both; by CPU time, which is steadier."""
    cpu, wall = found["cpu"], found["wall"]
    row = {"model": name, "FFC, s": cpu["ffc"], "IG of 50 steps, s": cpu["ig"], "alone": cpu["ig"] / cpu["ffc"]}
    for title, words in (("published", "19 forwards"), ("standard", "24 forwards")):
        row[f"with a curve of {words}"] = (cpu["ig"] + cpu[title]) / (cpu["ffc"] + cpu[title])
    return {**row, "alone, wall time": wall["ig"] / wall["ffc"]}


def quality_row(name: str, numbers: dict[str, Any]) -> dict[str, Any]:
    """DIG and selectivity of both in one domain (IG transported), with the paired gap, and of IG at home."""
    found = _cells(name, numbers)
    same = found.of(f"{IG}, transport", "fourier")
    own, home = found.of("ffc", "fourier"), found.of(IG, "identity")
    row: dict[str, Any] = {"model": name, "n (groups)": f"{len(found.groups)} ({len(set(found.groups))})"}
    no_lower = True
    for quantity in QUANTITIES:
        ours, theirs, at_home = (summarise(cell.values[quantity], found.groups).mean for cell in (own, same, home))
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
        row |= {q: summarise(cell.values[q], found.groups).mean for q in QUANTITIES}
        rows.append({**row, "passes": "{:g} + {:g}".format(*cell.passes), "s": cell.seconds})
    return rows


def _gap(a: MethodResult, b: MethodResult, quantity: str, found: Evaluation) -> tuple[float, float]:
    pairs = zip(a.values[quantity], b.values[quantity], found.groups, strict=True)
    known = [(x, y, source) for x, y, source in pairs if not math.isnan(x - y)]
    ours, theirs, groups = (list(side) for side in zip(*known, strict=True))
    return paired_interval(ours, theirs, groups, 0) if len(set(groups)) > 1 else (math.nan, math.nan)


def _cells(name: str, numbers: dict[str, Any]) -> Evaluation:
    cells = [MethodResult(**{**cell, "passes": tuple(cell["passes"])}) for cell in numbers["cells"]]
    return Evaluation(name, cells, numbers["groups"], numbers["better"])
