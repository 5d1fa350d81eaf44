"""`hf-fourier evaluate` and `hf-fourier sanity-check`: methods on many examples, as tables, JSON or CSV."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from hf_fourier.cli.console import parse_batch_size, print_json, print_line, progress, result_console, table, writable
from hf_fourier.cli.explain import load
from hf_fourier.cli.inputs import read
from hf_fourier.cli.options import EvaluateRequest, SanityRequest
from hf_fourier.cli.targets import parse_targets
from hf_fourier.errors import InputError

if TYPE_CHECKING:
    from hf_fourier.evaluation.results import Evaluation, SanityResult
    from hf_fourier.results.table import Table


def run_evaluate(study: EvaluateRequest) -> None:
    """Hold methods against each other and the controls; print a block per quantity.

    Raises:
        FourierError: If something that was typed cannot be evaluated.
    """
    from hf_fourier.evaluation.metrics.base import METRICS

    if unknown := [name for name in study.metrics or () if name not in METRICS]:
        raise InputError(f"metric {unknown[0]!r}", f"some of {', '.join(METRICS)}", "correct --metric")
    explainer, examples, how = _prepared(study)
    with progress("evaluating") as update:
        found = explainer.evaluate(
            examples,
            study.methods,
            study.domains or None,
            study.metrics or None,
            progress=update,
            **how,
        )
    tidy = found.table(study.seed)
    written = _write(tidy, study.output)
    if study.as_json:
        left = [dict(zip(("method", "domain", "reason"), one, strict=True)) for one in found.excluded]
        print_json({"model": found.model, "rows": list(tidy.rows()), "excluded": left, "notes": list(found.notes)})
        return
    show_evaluation(found, study.seed)
    _say(written)


def run_sanity(study: SanityRequest) -> None:
    """Check methods one by one; exit code 1 where one does not pass.

    Raises:
        FourierError: If something that was typed cannot be checked.
        Exit: With code 1 if a method fails.
    """
    explainer, examples, how = _prepared(study)
    found: list[SanityResult] = []
    for number, (method, domain) in enumerate((m, d) for m in study.methods for d in study.domains or (None,)):
        with progress(f"checking {method}{'' if domain is None else f' in {domain}'}"):
            found.append(explainer.sanity_check(examples, method, domain, **how))
        if not study.as_json:
            show_sanity(found[number])
    rows = [row for one in found for row in one.table().rows()]
    written = _write(_table(rows), study.output)
    if study.as_json:
        print_json({"model": explainer.name, "passed": all(one.passed for one in found), "rows": rows})
    else:
        _say(written)
    if not all(one.passed for one in found):
        raise typer.Exit(1)


def show_evaluation(found: Evaluation, seed: int = 0) -> None:
    """Print one block per quantity: mean and paired gap to the magnitude ranking, each with its interval."""
    console = result_console()
    groups = len(set(found.groups))
    head = f"{found.model}: {len(found.groups)} examples ({groups} group{'s' * (groups != 1)})"
    print_line(console, head + ("" if groups >= _enough() else ", anecdotal: fewer than 30 groups claim nothing"))
    rows = list(found.table(seed).rows())
    for name, better in found.better.items():
        shown = [
            [row["method"], row["domain"], f"{row['mean']:.3f}", *_ends(row, "mean"), *_ends(row, "gap")]
            for row in ({**row, "gap": row["gap_magnitude"]} for row in rows if row["metric"] == name)
        ]
        told = {1: "more is better", -1: "less is better", 0: "neither is better"}[better]
        columns = ["method", "domain", "mean", "95 %", "gap to magnitude", "95 %"]
        console.print(table(f"{name} ({told})", columns, shown, left=2))
    for method, domain, reason in found.excluded:
        print_line(console, f"left out: {method} in {domain}: {reason}")
    for note in found.notes:
        print_line(console, f"note: {note}", style="yellow")


def show_sanity(found: SanityResult) -> None:
    """Print the verdicts in words, what failed in red."""
    styles = {"FAIL": "red", "pass": "green"}
    style = None
    for text in str(found).splitlines():
        verdict = text[:13].strip()
        style = styles.get(verdict) if verdict else style
        print_line(result_console(), text, style=style)


def _prepared(study: SanityRequest) -> tuple[Any, list[Any], dict[str, Any]]:
    """The explainer, the examples, and what is common to both commands."""
    size = parse_batch_size(study.batch_size)
    if study.output is not None:
        writable(study.output, "a CSV file")
    target = None if study.target is None else parse_targets(study.target)
    names, examples = read(study.inputs, study.pair, study.cells)
    explainer = load(study.model, study.methods, study.domains or [], study.loading)
    targets = None if target is None else [target] * len(names)
    return explainer, examples, {"targets": targets, "seed": study.seed, "batch_size": size}


def _enough() -> int:
    from hf_fourier.evaluation.results import MIN_GROUPS

    return MIN_GROUPS


def _ends(row: Mapping[str, Any], name: str) -> list[str]:
    """A mean's interval; or a gap with its interval, empty for the magnitude itself."""
    low, high = ("low", "high") if name == "mean" else ("gap_low", "gap_high")
    ends = "" if math.isnan(row[low]) else f"[{row[low]:.3f}, {row[high]:.3f}]"
    if name == "mean":
        return [ends]
    none = row["method"] == "magnitude" or math.isnan(row["gap"])
    return ["", ""] if none else [f"{row['gap']:+.3f}", ends]


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    from hf_fourier.results.table import Table

    return Table({title: [row[title] for row in rows] for title in rows[0]})


def _write(tidy: Table, path: Path | None) -> Path | None:
    """The tidy table as CSV, one row per method, domain and quantity (or check).

    Raises:
        InputError: If it cannot be written there.
    """
    if path is None:
        return None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(tidy.columns)
            writer.writerows(zip(*tidy.columns.values(), strict=True))
    except OSError as error:
        got = f"--output {str(path)!r} ({error.strerror})"
        raise InputError(got, "a CSV file that can be written", "choose another") from error
    return path


def _say(written: Path | None) -> None:
    if written is not None:
        print_line(result_console(), f"table: {written}", style="bold")
