"""`hf-fourier coverage`: what the sweep of this release found of an architecture, or what is found now."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import typer

from hf_fourier.cli.console import line, out, progress, table
from hf_fourier.errors import InputError


def show_coverage(*, architecture: str | None, task: str | None, run: bool, as_json: bool) -> None:
    """Print the heads of one architecture, or without one the summary of all.

    Raises:
        InputError: If there is no such architecture or head, or all were to be checked at once.
    """
    from hf_fourier.models.supported import known, summary

    if run and architecture is None:
        raise InputError("--run without an architecture", "MODEL_TYPE", "name one, or leave --run out")
    told = _checked(architecture, task) if run else known()
    own = [one for one in told["pairs"] if architecture in (None, one["model_type"]) and task in (None, one["task"])]
    if not own:
        got = " with ".join(filter(None, (architecture, task)))
        do = "see docs/coverage.md, or pass --run for one that is newer"
        raise InputError(
            f"{got!r}, which transformers {told['transformers']} had not", "an architecture and a head", do
        )
    if as_json:
        typer.echo(json.dumps({**told, "pairs": own}, indent=1))
        return
    line(out(), f"transformers {told['transformers']}, torch {told['torch']}, small models with random weights")
    if architecture is None:
        rows = [list(map(str, row.values())) for row in summary(own)]
        out().print(table("Architectures by head", list(summary(own)[0]), rows, left=1))
        return
    columns = ["head", "class", "status", "note"]
    rows = [[one["task"], one["cls"], one["status"], _note(one)] for one in own]
    out().print(table(architecture, columns, rows, left=len(columns)))


def _checked(architecture: str | None, task: str | None) -> dict[str, Any]:
    from tools.coverage.pairs import pairs
    from tools.coverage.running import sweep
    from tools.coverage.table import kept

    chosen = pairs(task, architecture)
    with tempfile.TemporaryDirectory() as folder, progress(f"checking {len(chosen)} heads"):
        return kept(sweep(chosen, Path(folder)))


def _note(one: dict[str, Any]) -> str:
    """Why it does not work, or what has to be known where it does."""
    second = "ids are read a second way" if one.get("second") else ""
    sides = [side for side, counts in one.get("padding", {}).items() if counts]
    padding = f"padding on the {' or '.join(sides)} is part of the answer" if sides else ""
    return one.get("why") or "; ".join(filter(None, (second, padding)))
