"""Which ranking is sufficient and selective, on every real model that says one of several classes?

A ranking is asked for the model's own label and for two wrong ones: another example's (dealt out so that each label is
asked for as often as it is the model's own), and the runner-up. `own` is the share of decisions that survive on the top
4 % of the features, `wrong` the share in which the model says the wrong label on the top 4 % of *its* ranking. The
areas are own minus wrong over the logarithm of the kept share (1 to 30 %), divided by the grid's width; brackets are
95 % bootstrap intervals over groups, gaps to `magnitude` are paired.

The examples are cut in two by source. On one half κ is chosen for FFC and for the closed loop, by kind of signal: the
largest mean of both areas, averaged over the models with that kind. The other half makes the table, with FFC and the
loop at that κ, and at the larger one at which the candidates are tried. Models with fewer than ten groups have no half
for tuning and a quarter of the examples; their rows are anecdotal.

Each model's numbers are kept in a folder as they are made: run the same command again to go on, or to print the tables.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.axes import FEW, LENGTH, halves, mixed
from benchmarks.candidates import STEP
from benchmarks.keeping import cell_file, kept
from benchmarks.real import CLASSIFIERS, OTHERS
from benchmarks.tables import markdown
from hf_fourier import FourierExplainer
from hf_fourier.evaluation.results import Evaluation
from hf_fourier.methods.ffc import KAPPA

KAPPAS = (0.003, 0.01, 0.03, 0.1, 0.3)
TUNED = ("ffc", "closed_loop")
CANDIDATES = (
    "insertion_path",
    "never_raised",
    "stage_agreement",
    "noise_agreement",
    "coarse_correction",
    "against_others",
    "any_label",
)
SHARE = "0.04"
KINDS = ("random", "runner-up")
AREAS = tuple(f"selectivity ({kind})" for kind in KINDS)


def area(evaluation: Evaluation, method: str) -> float:
    """The mean over examples and both kinds of wrong labels."""
    values = evaluation.of(method).values
    return math.fsum(math.fsum(values[name]) / len(values[name]) for name in AREAS) / len(AREAS)


def ask(explainer: FourierExplainer, examples: Sequence[Any], methods: Sequence[str], groups: Any) -> Evaluation:
    """Sufficiency and selectivity."""
    return explainer.evaluate(examples, methods, metrics=["maintain_rate", "selectivity"], groups=groups)


def prepared(
    name: str, n: int, others: bool = False
) -> tuple[FourierExplainer, list[Any], list[Any], list[int], list[int]]:
    """A model, its examples with their groups, and the indices of both halves.

    Args:
        name: The model.
        n: The most examples.
        others: Take its further examples, none of which are for tuning.
    """
    real = (OTHERS if others else CLASSIFIERS)[name]
    explainer = real.explainer()
    if name == "minilm-spam":
        explainer.processor.model_max_length = LENGTH
    few = len(set(real.groups(n))) < FEW
    examples = real.examples(n // 4 if few else n)
    groups = real.groups(len(examples))
    said = [int(a.target) for a in explainer.explain(examples, method="magnitude", domain="identity")]
    return explainer, examples, groups, *(([], mixed(said, range(len(said)))) if others else halves(said, groups))


def tune(name: str, n: int) -> dict[str, Any]:
    """Both areas for each κ on the half for tuning."""
    explainer, examples, groups, half, _ = prepared(name, n)
    kind = explainer.explain(examples[0], method="magnitude").layout.signal.kind
    if not half:
        return {"kind": kind, "n": 0, "areas": {}}
    specs = [f"{method}:kappa={kappa}" for method in TUNED for kappa in KAPPAS]
    found = ask(explainer, [examples[i] for i in half], specs, [groups[i] for i in half])
    return {"kind": kind, "n": len(half), "areas": {spec: area(found, spec) for spec in (*specs, "magnitude")}}


def chosen(tuned: dict[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
    """By kind of signal and method, the κ of the largest area, averaged over models."""
    best: dict[str, dict[str, float]] = {}
    for kind in dict.fromkeys(row["kind"] for row in tuned.values()):
        rows = [row["areas"] for row in tuned.values() if row["kind"] == kind and row["areas"]]
        if rows:
            best[kind] = {
                method: max(KAPPAS, key=lambda k: math.fsum(row[f"{method}:kappa={k}"] for row in rows))
                for method in TUNED
            }
    return best


def test(name: str, n: int, kappas: dict[str, float]) -> list[dict[str, Any]]:
    """The rows of one model, on the half that was not used to tune."""
    explainer, examples, groups, _, half = prepared(name, n)
    kind = explainer.explain(examples[0], method="magnitude").layout.signal.kind
    steps = [dict.fromkeys(TUNED, STEP[kind]), kappas]
    tuned = dict.fromkeys(f"{method}:kappa={kappa}" for own in steps for method, kappa in own.items())
    methods = [*tuned, "gradient_input", *CANDIDATES]
    found = ask(explainer, [examples[i] for i in half], methods, [groups[i] for i in half])
    columns = [f"maintain_rate_at_{SHARE}", *(f"wrong_reached_at_{SHARE} ({kind})" for kind in KINDS), *AREAS]
    rows = []
    for row in found.summary(columns).rows():
        cells = {"model": name, "method": row["method"], "n (groups)": row["n (groups)"]}
        for title, column in zip(("own", "wrong (random)", "wrong (runner-up)", "", ""), columns, strict=True):
            gap = row[f"{column}, gap to magnitude"]
            cells |= {title: row[column]} if title else {column: row[column], f"{column}, gap": gap}
        rows.append(cells)
    return rows


def main(arguments: Sequence[str]) -> None:
    """Print the tables; see the module's text."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks selectivity", description=__doc__)
    parser.add_argument("--models", nargs="*", default=list(CLASSIFIERS), choices=list(CLASSIFIERS))
    parser.add_argument("--examples", type=int, default=96, help="per model, half of them for tuning")
    parser.add_argument("--folder", type=Path, default=Path("selectivity"), help="where numbers are kept")
    parser.add_argument("--threads", type=int, help="of torch")
    given = parser.parse_args(arguments)
    if given.threads:
        torch.set_num_threads(given.threads)
    folder, n = given.folder / f"n{given.examples}", given.examples
    code = (__name__, "benchmarks.candidates", "benchmarks.folds", "benchmarks.real")
    asked = {"methods": (*TUNED, "gradient_input", *CANDIDATES), "code": code, "examples": n}
    tuned = {
        name: kept(folder / cell_file(f"{name}-tuned", models=[name], **asked), lambda: tune(name, n))  # noqa: B023
        for name in given.models
    }
    best = chosen(tuned)
    tuning = [
        {"model": name, "signal": row["kind"], "n": row["n"], **row["areas"]}
        for name, row in tuned.items()
        if row["areas"]  # a model with a few groups has no half to tune on
    ]
    if tuning:
        print(f"Tuning halves: the mean of both areas\n\n{markdown(tuning)}\n")
        print("Chosen: " + "; ".join(f"{kind} {own}" for kind, own in best.items()) + ".\n")
    rows = []
    for name in given.models:
        kind = tuned[name]["kind"]
        kappas = best.get(kind) or dict.fromkeys(TUNED, KAPPA[kind])
        path = folder / cell_file(f"{name}-test", models=[name], kappas=kappas, **asked)
        rows += kept(path, lambda: test(name, n, kappas))  # noqa: B023
    print(markdown(rows))
