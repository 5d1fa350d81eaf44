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

if TYPE_CHECKING:
    from hf_fourier.results.table import Table


def run(order: RunRequest) -> None:
    """Explain a data set; the first process says how it went.

    Raises:
        FourierError: If something that was typed cannot be done.
        Exit: With code 1 if no example could be explained.
    """
    from hf_fourier.models.distributed import current, launch
    from hf_fourier.runs.options import RunKeywords, RunOptions

    column = order.column
    options: RunKeywords = {
        "target": None if order.target is None else parse_targets(order.target),
        "column": column[0] if column and len(column) == 1 else column,
        "split": order.split,
        "streaming": order.streaming,
        "fractions": None if order.fraction is None else parse_fractions(order.fraction),
        "store": order.store,
        "budget": order.budget,
        "chunk": order.chunk,
        "seed": order.seed,
        "batch_size": parse_batch_size(order.batch_size),
        "processes": order.processes,
    }
    RunOptions(**options)  # what is mistyped is told before anything starts
    writable(order.output)
    if order.processes and order.processes > 1 and "WORLD_SIZE" not in os.environ and not order.plan:
        launch(order.processes, sys.argv[1:], order.threads)
    if order.threads:
        import torch

        torch.set_num_threads(order.threads)
    explainer = load(order.model, [order.method], [order.domain] if order.domain else [], order.loading)
    if order.plan:
        plan = explainer.estimate(order.dataset, **options)
        print_json(asdict(plan)) if order.as_json else print_line(result_console(), str(plan))
        return
    results = explainer.explain_dataset(order.dataset, order.output, **options)
    if not current().first:
        return
    failures = results.failures()
    explained = len(results) - len(failures)
    if order.as_json:
        told = {"examples": len(results), "explained": explained, "failures": list(failures.rows())}
        print_json({**told, "output": str(order.output)})
    else:
        _say(order, len(results), failures)
    if failures and not explained:
        raise typer.Exit(1)


def _say(order: RunRequest, examples: int, failures: Table) -> None:
    """What could not be explained, and how many could."""
    for row in list(failures.rows())[:MAX_FAILURES]:
        print_line(error_console(), f"example {row['index']} {row['name']}: {row['failed']}", style="yellow")
    if len(failures) > MAX_FAILURES:
        print_line(error_console(), f"… and {len(failures) - MAX_FAILURES} more", style="yellow")
    print_line(
        result_console(), f"{examples - len(failures)} of {examples} examples explained: {order.output}", style="bold"
    )


#: Failures that are shown one by one.
MAX_FAILURES = 5
