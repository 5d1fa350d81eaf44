"""`hf-fourier explain-dataset`: a whole data set, on one process or many."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from hf_fourier.cli.console import (
    error_console,
    parse_batch_size,
    parse_fractions,
    print_json,
    print_line,
    result_console,
    writable,
)
from hf_fourier.cli.explain import load
from hf_fourier.cli.options import RunRequest
from hf_fourier.cli.targets import parse_targets
from hf_fourier.errors import InputError
from hf_fourier.registry import DEFAULT_METHOD

if TYPE_CHECKING:
    from hf_fourier.results.table import Table


def run(request: RunRequest) -> None:
    """Explain a data set; the first process prints the outcome.

    Raises:
        FourierError: If something that was typed cannot be done.
        Exit: With code 1 if no example could be explained.
    """
    from hf_fourier.models.distributed import current, launch
    from hf_fourier.models.inputs.dataset_sources import check_name
    from hf_fourier.runs.options import RunKeywords, RunOptions

    column = request.column
    options: RunKeywords = {
        "target": None if request.target is None else parse_targets(request.target),
        "column": column[0] if column and len(column) == 1 else column,
        "split": request.split,
        "streaming": request.streaming,
        "contributions": request.contributions,
        "gene_scores": request.gene_scores,
        "fractions": None if request.fraction is None else parse_fractions(request.fraction),
        "replacement": request.replacement,
        "store": request.store,
        "budget": request.budget,
        "chunk": request.chunk,
        "seed": request.seed,
        "batch_size": parse_batch_size(request.batch_size),
        "processes": request.processes,
        "workers": request.workers,
    }
    if request.replacement == "example":
        do = "set `explainer.donors` in Python, and call `explain_dataset` there"
        raise InputError("--replacement example for a data set", "zero, noise, phase, band or reference", do)
    if request.gene_scores is not None and (request.method != DEFAULT_METHOD or request.domain is not None):
        raise InputError("--gene-scores with --method or --domain", "one of the two", "leave one out")
    RunOptions(**options)  # what is mistyped fails before anything starts
    check_name(request.dataset)
    writable(request.output)
    if request.processes and request.processes > 1 and "WORLD_SIZE" not in os.environ and not request.plan:
        launch(request.processes, sys.argv[1:], request.threads)
    if request.threads:
        import torch

        torch.set_num_threads(request.threads)
    explainer = load(request.model, [request.method], [request.domain] if request.domain else [], request.loading)
    if request.plan:
        plan = explainer.estimate(request.dataset, **options)
        print_json(asdict(plan)) if request.as_json else print_line(result_console(), str(plan))
        return
    results = explainer.explain_dataset(request.dataset, request.output, **options)
    if not current().first:
        return
    failures = results.failures()
    explained = len(results) - len(failures)
    if request.as_json:
        print_json({"examples": len(results), "explained": explained, "failures": list(failures.rows()),
                    "output": str(request.output)})  # fmt: skip
    else:
        _print_outcome(request, len(results), failures)
    if failures and not explained:
        raise typer.Exit(1)


def _print_outcome(request: RunRequest, examples: int, failures: Table) -> None:
    """Print the failures, and how many examples were explained."""
    for row in list(failures.rows())[:MAX_FAILURES]:
        print_line(error_console(), f"example {row['index']} {row['name']}: {row['failed']}", style="yellow")
    if len(failures) > MAX_FAILURES:
        print_line(error_console(), f"… and {len(failures) - MAX_FAILURES} more", style="yellow")
    print_line(
        result_console(), f"{examples - len(failures)} of {examples} examples explained: {request.output}", style="bold"
    )


#: Failures that are shown one by one.
MAX_FAILURES = 5
