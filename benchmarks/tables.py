"""Tables as the documents show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of equal keys as a Markdown table; numbers to three digits after the point."""
    titles = list(rows[0])
    heads = [title.replace("|", r"\|") for title in titles]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(titles)]
    lines += ["| " + " | ".join(_cell(row[title]) for title in titles) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
