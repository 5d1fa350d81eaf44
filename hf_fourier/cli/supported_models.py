"""`hf-fourier models`: which architectures of `transformers` this release was tried with, and the outcome."""

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

    sweep = known()
    pairs = _matching(sweep["pairs"], architecture, task)
    if not pairs:
        got = " with ".join(filter(None, (architecture, task)))
        got = f"{got!r}, which transformers {sweep['transformers']} does not have"
        raise InputError(got, "an architecture and a head", "see `hf-fourier docs coverage`")
    if as_json:
        typer.echo(json.dumps({**sweep, "pairs": pairs}, indent=1))
        return
    print_line(
        result_console(),
        f"transformers {sweep['transformers']}, torch {sweep['torch']}, small models with random weights",
    )
    if architecture is None:
        rows = [list(map(str, row.values())) for row in summary(pairs)]
        result_console().print(table("Architectures by head", list(summary(pairs)[0]), rows, left=1))
        return
    columns = ["head", "class", "status", "note"]
    rows = [[one["task"], one["cls"], one["status"], _note(one)] for one in pairs]
    result_console().print(table(architecture, columns, rows, left=len(columns)))


def _matching(pairs: list[dict[str, Any]], architecture: str | None, task: str | None) -> list[dict[str, Any]]:
    """The pairs of an architecture, of a head, or of both; None stands for all."""
    return [one for one in pairs if architecture in (None, one["model_type"]) and task in (None, one["task"])]


def _note(one: dict[str, Any]) -> str:
    """Why a pair does not work, or the remarks where it does."""
    second = "ids are also read outside the embedding" if one.get("second") else ""
    sides = [side for side, counts in one.get("padding", {}).items() if counts]
    padding = f"padding on the {' or '.join(sides)} changes the output" if sides else ""
    return one.get("why") or "; ".join(filter(None, (second, padding)))
