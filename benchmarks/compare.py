"""Methods × metrics × real models, with the controls and with other libraries on the same examples.

Every method ranks the same features of the same examples, and is asked for the same wrong labels. Peers
(`benchmarks.peers`) explain the same score of the same signals through their own API; their maps are ranked as they are
(domain `identity`), and in the domain `fourier` by the contributions of frequencies that they stand for ("transport",
of maps that are contributions) and by the sizes of their own Fourier coefficients ("magnitude", as published). Brackets
are 95 % bootstrap intervals of the mean, drawn by groups; gaps to `magnitude` in the same domain are paired. Rows with
fewer than 30 groups are anecdotal and claim nothing.

`passes` are model rows per example that the attribution took, forward + backward; `s` is its time by the clock, per
example, on a machine that may do other things as well.

Each model's numbers are kept in a folder as they are made: run the same command again to go on, or to print the tables.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from benchmarks.axes import LENGTH
from benchmarks.keeping import cell_file, kept
from benchmarks.peers import peers
from benchmarks.real import CLASSIFIERS, MODELS
from benchmarks.tables import markdown
from hf_fourier.evaluation.metrics.statistics import summarise
from hf_fourier.evaluation.results import Evaluation, MethodResult
from hf_fourier.methods.ffc import DEFAULT_KAPPA, KAPPA

LARGE = 0.1
METHODS = (
    "ffc",
    f"ffc:kappa={LARGE}",
    "closed_loop",
    f"closed_loop:kappa={LARGE}",
    "gradient_input",
    "integrated_gradients:steps=20",
    "smoothgrad:samples=10",
)
#: In the domain of their own.
AT_HOME = {"wavelet": ("wam:samples=10",)}
METRICS = ("dig", "insertion", "deletion", "maintain_rate")
#: Fastest first, so that there is something to read early.
ORDER = (
    "ast-languages",
    "fashion-vit",
    "pbmc-geneformer",
    "wav2vec2-languages",
    "whisper-instruments",
    "whisper-languages",
    "minilm-spam",
    "deepbet",
    "efficientnet-lite0",
    "antiberty-species",
    "smollm2",
    "antiberty-mlm",
)
FEWER = {"efficientnet-lite0": 16, "antiberty-species": 16, "antiberty-mlm": 16, "smollm2": 8, "deepbet": 8}
EXAMPLES = 32

OWN, KINDS = "maintain_rate_at_0.04", ("random", "runner-up")
SELECTIVITY = tuple(f"selectivity ({kind})" for kind in KINDS)
#: Columns of the tables; those with True have a gap to `magnitude` beside them.
COLUMNS = {"dig": True, OWN: True, "dice_retention": True, "insertion": False, "deletion": False}
COLUMNS |= dict.fromkeys(SELECTIVITY, True)


def run(name: str, n: int) -> dict[str, Any]:
    """All numbers of one model, as plain values."""
    real = CLASSIFIERS.get(name, MODELS[name])
    explainer = real.explainer()
    if name == "minilm-spam":
        explainer.processor.model_max_length = LENGTH
    examples, groups = real.examples(n), [str(group) for group in real.groups(n)]
    first = explainer.explain(examples[0], method="magnitude", domain="identity")
    metrics = [*METRICS, *(["dice_retention"] if first.provenance["head"] == "mask" else [])]
    metrics += ["selectivity"] if name in CLASSIFIERS else []
    kind = first.layout.signal.kind
    cells: list[dict[str, Any]] = []
    excluded: list[tuple[str, str, str]] = []
    notes: dict[str, None] = {}
    better: dict[str, int] = {}
    start = time.perf_counter()
    for domain, methods in ((None, [*METHODS, *peers(explainer, first.layout.signal)]), *AT_HOME.items()):
        found = explainer.evaluate(examples, methods, domain, metrics, groups=groups)
        cells += [asdict(cell) for cell in found.cells]
        excluded += found.excluded
        notes |= dict.fromkeys(found.notes)
        better |= found.better
    spent = time.perf_counter() - start
    return {
        "cells": cells,
        "groups": groups,
        "better": better,
        "excluded": excluded,
        "notes": list(notes),
        "seconds": spent,
        "kappa": KAPPA.get(kind, DEFAULT_KAPPA),
    }


def evaluation(name: str, numbers: dict[str, Any]) -> Evaluation:
    """What was kept, as it was found."""
    cells = [MethodResult(**{**cell, "passes": tuple(cell["passes"])}) for cell in numbers["cells"]]
    return Evaluation(name, cells, numbers["groups"], numbers["better"], numbers["excluded"], numbers["notes"])


def rows(name: str, numbers: dict[str, Any]) -> list[dict[str, Any]]:
    """One model's table."""
    found = evaluation(name, numbers)
    columns = [column for column in COLUMNS if column in found.better]
    table = []
    for cell, row in zip(found.cells, found.summary(columns).rows(), strict=True):
        cells = {"method": cell.method + (" (control)" if cell.control else ""), "domain": cell.domain}
        cells["n (groups)"] = row["n (groups)"]
        for column in columns:
            title = column.replace(OWN, "kept at 4 %").replace("_", " ")
            cells[title] = row[column]
            if COLUMNS[column]:
                cells[f"{title}, gap"] = row[f"{column}, gap to magnitude"]
        cells["passes"] = " + ".join(f"{count:g}" for count in cell.passes)
        table.append({**cells, "s": f"{cell.seconds:.2f}"})
    return table


def shares(name: str, numbers: dict[str, Any]) -> dict[str, Any]:
    """What of FFC's and the loop's DIG over random the magnitude gives."""
    found = evaluation(name, numbers)

    def mean(method: str, column: str) -> float:
        values = found.of(method, "fourier").values.get(column)
        return math.nan if values is None else summarise(values, found.groups).mean

    shown = {"magnitude": "magnitude", "FFC": "ffc", "loop": "closed_loop"}
    shown |= {f"FFC κ = {LARGE}": f"ffc:kappa={LARGE}", f"loop κ = {LARGE}": f"closed_loop:kappa={LARGE}"}
    floor, plain = mean("random", "dig"), mean("magnitude", "dig")
    row: dict[str, Any] = {"model": name, "n (groups)": f"{len(found.groups)} ({len(set(found.groups))})"}
    row["DIG random"] = floor
    for title, method in shown.items():
        row[f"DIG {title}"] = mean(method, "dig")
        if method != "magnitude":
            row[f"{title}: magnitude's share"] = (plain - floor) / (mean(method, "dig") - floor)
    return {title: "" if isinstance(value, float) and math.isnan(value) else value for title, value in row.items()}


def wrong(name: str, numbers: dict[str, Any]) -> dict[str, Any]:
    """Which own and wrong labels the top 4 % bring about."""
    found = evaluation(name, numbers)
    row: dict[str, Any] = {"model": name, "n (groups)": f"{len(found.groups)} ({len(set(found.groups))})"}
    for method in ("magnitude", "ffc", f"ffc:kappa={LARGE}", "closed_loop", f"closed_loop:kappa={LARGE}"):
        values = found.of(method, "fourier").values
        names = (OWN, *(f"wrong_reached_at_0.04 ({kind})" for kind in KINDS))
        row[method] = " / ".join(f"{summarise(values[name], found.groups).mean:.2f}" for name in names)
    return row


def main(arguments: Sequence[str]) -> None:
    """Print the tables; see the module's text."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks compare", description=__doc__)
    parser.add_argument("--models", nargs="*", default=list(ORDER), choices=list(ORDER))
    parser.add_argument("--examples", type=int, help=f"per model; {EXAMPLES} by default, fewer of the slow ones")
    parser.add_argument("--folder", type=Path, default=Path("compare"), help="where numbers are kept")
    parser.add_argument("--done", action="store_true", help="print what is there, and measure nothing")
    parser.add_argument("--threads", type=int, help="of torch")
    given = parser.parse_args(arguments)
    if given.threads:
        torch.set_num_threads(given.threads)
    found: dict[str, dict[str, Any]] = {}
    for name in given.models:
        n = given.examples or FEWER.get(name, EXAMPLES)
        asked = (*METHODS, *(spec for specs in AT_HOME.values() for spec in specs))
        code = (__name__, "benchmarks.peers", "benchmarks.real")
        path = given.folder / cell_file(f"{name}-n{n}", methods=asked, models=[name], code=code, examples=n)
        if path.exists() or not given.done:
            found[name] = kept(path, lambda: run(name, n))  # noqa: B023
    print(markdown([shares(name, numbers) for name, numbers in found.items()]) + "\n")
    if any(name in CLASSIFIERS for name in found):
        print(markdown([wrong(name, numbers) for name, numbers in found.items() if name in CLASSIFIERS]))
    for name, numbers in found.items():
        print(f"\n### {name}\n\n{markdown(rows(name, numbers))}\n")
        print(f"- κ of `ffc` and `closed_loop`: {numbers['kappa']}")
        print(f"- all rows together took {numbers['seconds']:.0f} s")
        for note in numbers["notes"]:
            print(f"- {note}")
        for method, domain, reason in numbers["excluded"]:
            print(f"- {method} in {domain}: {reason}")
