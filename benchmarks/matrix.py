"""Every method on every real model in every domain that suits: what it costs, and that it runs from the same call.

A row is a method on a model, at its defaults in the domain that it is at home in: model passes, and time per example as
a multiple of one bare forward and input-backward pass, measured in the same run. The columns of the domains hold the
time in that domain as a multiple of the time at home, both with few samples (the number of passes is the same), or the
reason why it does not run there. All times are the median of some alternating runs.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from benchmarks.cost import bare, packed
from benchmarks.real import MODELS, Real
from benchmarks.tables import markdown
from hf_fourier import FourierExplainer
from hf_fourier.adapters.base import held
from hf_fourier.domains import DOMAINS
from hf_fourier.errors import SpecError
from hf_fourier.methods import METHODS, Method

#: Parameters that say how many samples are drawn; few of them do where only domains are compared.
SAMPLES = ("samples", "copies", "steps", "draws", "signs")
FEW = 4


def seconds(run: Callable[[], Any], runs: int) -> float:
    """The median of some runs."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def few(method: Method) -> Method:
    """The method with few samples."""
    names = {field.name for field in dataclasses.fields(method)}  # type: ignore[arg-type]
    changes = {name: min(FEW, getattr(method, name)) for name in SAMPLES if name in names}
    return dataclasses.replace(method, **changes)  # type: ignore[type-var]


def row(real: Real, explainer: FourierExplainer, name: str, example: Any, unit: float, runs: int) -> dict[str, Any]:
    """One method on one model; prints nothing."""
    method = METHODS.parse(name)
    result = explainer.explain(example, method=method)
    whole = seconds(lambda: explainer.explain(example, method=method), runs) / unit
    told = result.provenance["passes"]
    passes = f"{told['forward']:g} + {told['backward']:g}"
    cells: dict[str, Any] = {"model": real.name, "method": name, "passes": passes, "time / bare": whole}
    cells["gap"] = "" if result.gap is None else f"{result.gap:.2g}"
    light, home = few(method), method.home or "fourier"
    at_home = seconds(lambda: explainer.explain(example, method=light), runs)
    for domain in DOMAINS:
        if domain == home:
            cells[domain] = "home"
            continue
        try:
            explainer.explain(example, method=light, domain=domain)
        except SpecError as error:
            cells[domain] = f"no: {error.do}"
            continue
        cells[domain] = seconds(lambda: explainer.explain(example, method=light, domain=domain), runs) / at_home  # noqa: B023
    return cells


def measure(real: Real, methods: Sequence[str], runs: int) -> list[dict[str, Any]]:
    """The rows of one model."""
    explainer = real.explainer()
    example = real.examples(1)[0]
    (batch,) = packed([explainer.adapter.encode(example)])
    with held(explainer.model):
        bare(explainer.model, batch)
        unit = seconds(lambda: bare(explainer.model, batch), 2 * runs + 1)
    rows = []
    for name in methods:
        rows.append(row(real, explainer, name, example, unit, runs))
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def main(arguments: Sequence[str]) -> None:
    """Print the tables; see the module's text."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks matrix", description=__doc__)
    parser.add_argument("--models", nargs="*", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, help="of torch")
    chosen = parser.parse_args(arguments)
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, medians of {chosen.runs} runs, one example")
    for name in chosen.models:
        print("\n" + markdown(measure(MODELS[name], chosen.methods, chosen.runs)), flush=True)
