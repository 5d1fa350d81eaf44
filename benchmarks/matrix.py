"""Every method on every real model in every domain that suits: what it costs, and that it runs from the same call.

A row is a method on a model, at its defaults in the domain that it is at home in: model passes, and time per example as
a multiple of one bare forward and input-backward pass, measured in the same run. The columns of the domains hold the
time in that domain as a multiple of the time at home, both with few samples (the number of passes is the same); where a
method does not run in a domain, the reason stands below the tables. Times are medians of some runs, of one run where
that takes more than a second, in processor time, which other work on the machine disturbs less.
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
from hf_fourier.domains import DOMAINS
from hf_fourier.errors import SpecError
from hf_fourier.methods import METHODS, Method
from hf_fourier.models.inspection import eval_mode

#: Parameters that say how many samples are drawn; few of them do where only domains are compared.
SAMPLES = ("samples", "copies", "steps", "draws", "signs")
FEW = 4
#: A run of more seconds is not repeated.
LONG = 1.0


def seconds(run: Callable[[], Any], runs: int) -> float:
    """The median of some runs after a first one, or that first one where it is long."""
    times = []
    for _ in range(runs + 1):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
        if times[0] > LONG:
            return times[0]
    return statistics.median(times[1:])


def few(method: Method) -> Method:
    """The method with few samples."""
    names = {field.name for field in dataclasses.fields(method)}  # type: ignore[arg-type]
    changes = {name: min(FEW, getattr(method, name)) for name in SAMPLES if name in names}
    return dataclasses.replace(method, **changes)  # type: ignore[type-var]


def row(
    real: Real,
    explainer: FourierExplainer,
    name: str,
    example: Any,
    unit: float,
    runs: int,
    reasons: dict[str, str],
) -> dict[str, Any]:
    """One method on one model; `reasons` gets what does not run, and why."""
    method = METHODS.parse(name)
    results = []
    whole = seconds(lambda: results.append(explainer.explain(example, method=method)), runs) / unit
    result = results[-1]
    told = result.provenance["passes"]
    passes = f"{told['forward']:g} + {told['backward']:g}"
    cells: dict[str, Any] = {"model": real.name, "method": name, "passes": passes, "time / bare": whole}
    cells["gap"] = "" if result.completeness_error is None else f"{result.completeness_error:.2g}"
    light, home = few(method), method.default_domain or "fourier"
    at_home = seconds(lambda: explainer.explain(example, method=light), runs)
    for domain in DOMAINS:
        if domain == home:
            cells[domain] = "home"
            continue
        try:
            spent = seconds(lambda: explainer.explain(example, method=light, domain=domain), runs)  # noqa: B023
        except SpecError as error:
            cells[domain] = "–"
            reasons[f"{name} on {real.name} in {domain}"] = str(error)
            continue
        cells[domain] = spent / at_home
    return cells


def measure(real: Real, methods: Sequence[str], runs: int, reasons: dict[str, str]) -> list[dict[str, Any]]:
    """The rows of one model."""
    explainer = real.explainer()
    example = real.examples(1)[0]
    (batch,) = packed([explainer.wrapper.encode(example)])
    with eval_mode(explainer.model):
        bare(explainer.model, batch)
        unit = seconds(lambda: bare(explainer.model, batch), 2 * runs + 1)
    rows = []
    for name in methods:
        rows.append(row(real, explainer, name, example, unit, runs, reasons))
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
    reasons: dict[str, str] = {}
    for name in chosen.models:
        print("\n" + markdown(measure(MODELS[name], chosen.methods, chosen.runs, reasons)), flush=True)
    print()
    for cell, reason in reasons.items():
        print(f"- {cell}: {reason}")
