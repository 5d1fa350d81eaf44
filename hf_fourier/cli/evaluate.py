"""`hf-fourier evaluate` and `hf-fourier sanity-check`: methods on many examples, as tables, JSON or CSV."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from hf_fourier.cli.console import (
    error_console,
    parse_batch_size,
    print_json,
    print_line,
    progress,
    result_console,
    table,
    writable,
)
from hf_fourier.cli.explain import load
from hf_fourier.cli.inputs import read
from hf_fourier.cli.options import EvaluateRequest, SanityRequest
from hf_fourier.cli.targets import parse_targets
from hf_fourier.errors import InputError
from hf_fourier.results.table import table_of

if TYPE_CHECKING:
    from hf_fourier.evaluation.options import EvaluationCost
    from hf_fourier.evaluation.results import Evaluation, SanityResult
    from hf_fourier.results.table import Table


def run_evaluate(request: EvaluateRequest) -> None:
    """Compare methods with each other and the controls; print a block per metric.

    Raises:
        FourierError: If something that was typed cannot be evaluated.
    """
    from hf_fourier.evaluation.metrics.base import METRICS
    from hf_fourier.evaluation.options import EvaluationOptions

    if unknown := [name for name in request.metrics or () if name not in METRICS]:
        raise InputError(f"metric {unknown[0]!r}", f"some of {', '.join(METRICS)}", "correct --metric")
    EvaluationOptions(replacement=request.replacement, preset=request.preset)  # checked before the model is loaded
    explainer, examples, options = _prepared(request)
    if request.replacement == "example":
        explainer.donors = examples
    with progress("evaluating") as update:
        evaluation = explainer.evaluate(
            examples,
            request.methods,
            request.domains or None,
            request.metrics or None,
            progress=_Bar(update),
            preset=request.preset,
            replacement=request.replacement,
            **options,
        )
    rows = evaluation.table(seed=request.seed)
    written = _write(rows, request.output)
    if request.as_json:
        excluded = [dict(zip(("method", "domain", "reason"), one, strict=True)) for one in evaluation.excluded]
        print_json({"model": evaluation.model, "rows": list(rows.rows()), "excluded": excluded,
                    "notes": list(evaluation.notes), "replacement": evaluation.replacement})  # fmt: skip
        return
    show_evaluation(evaluation, request.seed)
    _print_path(written)


def run_sanity(request: SanityRequest) -> None:
    """Check methods one by one; exit code 1 where one does not pass.

    Raises:
        FourierError: If something that was typed cannot be checked.
        Exit: With code 1 if a method fails.
    """
    explainer, examples, options = _prepared(request)
    results: list[SanityResult] = []
    for number, (method, domain) in enumerate((m, d) for m in request.methods for d in request.domains or (None,)):
        with progress(f"checking {method}{'' if domain is None else f' in {domain}'}"):
            results.append(explainer.sanity_check(examples, method, domain, **options))
        if not request.as_json:
            show_sanity(results[number])
    rows = [row for one in results for row in one.table().rows()]
    written = _write(table_of(rows), request.output)
    if request.as_json:
        print_json({"model": explainer.name, "passed": all(one.passed for one in results), "rows": rows})
    else:
        _print_path(written)
    if not all(one.passed for one in results):
        raise typer.Exit(1)


class _Bar:
    """What an evaluation calls as it goes on; the cost is printed before it starts."""

    def __init__(self, update: Callable[[int, int], None]) -> None:
        self._update = update

    def begin(self, cost: EvaluationCost) -> None:
        """Print the passes, and about how long they take."""
        print_line(error_console(), f"cost: {cost}")

    def __call__(self, done: int, total: int) -> None:
        self._update(done, total)


def show_evaluation(evaluation: Evaluation, seed: int = 0) -> None:
    """Print one block per metric: mean and paired gap to the magnitude ranking, each with its interval."""
    console = result_console()
    groups = len(set(evaluation.groups))
    head = f"{evaluation.model}: {len(evaluation.groups)} examples ({groups} group{'s' * (groups != 1)})"
    print_line(console, head + ("" if groups >= _enough() else ", anecdotal: fewer than 30 groups"))
    rows = list(evaluation.table(seed=seed).rows())
    for name, better in evaluation.better.items():
        cells = [
            [row["method"], row["domain"], f"{row['mean']:.3f}", *_ends(row, "mean"), *_ends(row, "gap")]
            for row in ({**row, "gap": row["gap_magnitude"]} for row in rows if row["metric"] == name)
        ]
        direction = {1: "more is better", -1: "less is better", 0: "neither is better"}[better]
        columns = ["method", "domain", "mean", "95 %", "gap to magnitude", "95 %"]
        console.print(table(f"{name} ({direction})", columns, cells, left=2))
    for method, domain, reason in evaluation.excluded:
        print_line(console, f"left out: {method} in {domain}: {reason}")
    for note in evaluation.notes:
        print_line(console, f"note: {note}", style="yellow")


def show_sanity(result: SanityResult) -> None:
    """Print the verdicts in words, what failed in red."""
    styles = {"FAIL": "red", "pass": "green"}
    style = None
    for text in str(result).splitlines():
        verdict = text[:13].strip()
        style = styles.get(verdict) if verdict else style
        print_line(result_console(), text, style=style)


def _prepared(request: SanityRequest) -> tuple[Any, list[Any], dict[str, Any]]:
    """The explainer, the examples, and the options that both commands share."""
    size = parse_batch_size(request.batch_size)
    if request.output is not None:
        writable(request.output, "a CSV file")
    target = None if request.target is None else parse_targets(request.target)
    names, examples = read(request.inputs, request.pair, request.cells)
    explainer = load(request.model, request.methods, request.domains or [], request.loading)
    targets = None if target is None else [target] * len(names)
    return explainer, examples, {"targets": targets, "seed": request.seed, "batch_size": size}


def _enough() -> int:
    from hf_fourier.evaluation.metrics.statistics import MIN_GROUPS

    return MIN_GROUPS


def _ends(row: Mapping[str, Any], name: str) -> list[str]:
    """A mean's interval; or a gap with its interval, empty for the magnitude itself."""
    low, high = ("low", "high") if name == "mean" else ("gap_low", "gap_high")
    ends = "" if math.isnan(row[low]) else f"[{row[low]:.3f}, {row[high]:.3f}]"
    if name == "mean":
        return [ends]
    none = row["method"] == "magnitude" or math.isnan(row["gap"])
    return ["", ""] if none else [f"{row['gap']:+.3f}", ends]


def _write(rows: Table, path: Path | None) -> Path | None:
    """The table as CSV, one row per method, domain and metric (or check).

    Raises:
        InputError: If it cannot be written there.
    """
    if path is None:
        return None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return rows.to_csv(path)
    except OSError as error:
        got = f"--output {str(path)!r} ({error.strerror})"
        raise InputError(got, "a CSV file that can be written", "choose another") from error


def _print_path(written: Path | None) -> None:
    if written is not None:
        print_line(result_console(), f"table: {written}", style="bold")
