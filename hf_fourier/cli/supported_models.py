"""`hf-fourier models`: what the sweep of this release found of an architecture."""

from __future__ import annotations

import json
from typing import Any

import typer

from hf_fourier.cli.console import print_line, result_console, table
from hf_fourier.errors import InputError


def show_coverage(*, architecture: str | None, task: str | None, as_json: bool) -> None:
    """Print the heads of one architecture, or without one the summary of all.

    Raises:
        InputError: If there is no such architecture or head.
    """
    from hf_fourier.models.supported import known, summary

    told = known()
    own = _wanted(told["pairs"], architecture, task)
    if not own:
        got = " with ".join(filter(None, (architecture, task)))
        do = "see docs/coverage.md"
        raise InputError(
            f"{got!r}, which transformers {told['transformers']} had not", "an architecture and a head", do
        )
    if as_json:
        typer.echo(json.dumps({**told, "pairs": own}, indent=1))
        return
    print_line(
        result_console(),
        f"transformers {told['transformers']}, torch {told['torch']}, small models with random weights",
    )
    if architecture is None:
        rows = [list(map(str, row.values())) for row in summary(own)]
        result_console().print(table("Architectures by head", list(summary(own)[0]), rows, left=1))
        return
    columns = ["head", "class", "status", "note"]
    rows = [[one["task"], one["cls"], one["status"], _note(one)] for one in own]
    result_console().print(table(architecture, columns, rows, left=len(columns)))


def _wanted(pairs: list[dict[str, Any]], architecture: str | None, task: str | None) -> list[dict[str, Any]]:
    """The pairs of an architecture, of a head, or of both; None stands for all."""
    return [one for one in pairs if architecture in (None, one["model_type"]) and task in (None, one["task"])]


def _note(one: dict[str, Any]) -> str:
    """Why it does not work, or what has to be known where it does."""
    second = "ids are read a second way" if one.get("second") else ""
    sides = [side for side, counts in one.get("padding", {}).items() if counts]
    padding = f"padding on the {' or '.join(sides)} is part of the answer" if sides else ""
    return one.get("why") or "; ".join(filter(None, (second, padding)))
