"""The architectures of `transformers` that were tried with each head, and the results."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from hf_fourier.errors import InputError

#: What may come of a pair (see `tools.coverage.checks.check`).
STATUSES = ("works", "refused", "failed", "not built")
#: A pair that no run has reached. It counts for nothing.
UNTRIED = "not tried"

FILE = "supported.json"


def known() -> dict[str, Any]:
    """What the sweep of this release found, as `tools.coverage.table.kept` made it.

    Raises:
        InputError: If this release came without it.
    """
    file = resources.files(__package__).joinpath(FILE)
    if not file.is_file():
        raise InputError("an installation without its list of supported models", FILE, "report it")
    results: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return results


def summary(pairs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row per head: how many pairs there are, were tried, built, and came to what; the last row is all of them."""
    heads = sorted({pair["task"] for pair in pairs})
    rows = []
    for head in (*heads, None):
        chosen = [pair for pair in pairs if head in (None, pair["task"])]
        count = Counter(pair["status"] for pair in chosen)
        tried = len(chosen) - count[UNTRIED]
        built = tried - count["not built"]
        row: dict[str, Any] = {"head": head or "all", "pairs": len(chosen), "tried": tried, "built": built}
        row |= {status: count[status] for status in STATUSES[:-1]}
        rows.append({**row, "works of built": f"{100 * count['works'] / built:.1f} %" if built else ""})
    return rows
