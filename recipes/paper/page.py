"""The page of all published tables and figures: what they are here, from the kept results."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.tables import markdown
from recipes.paper.base import EXPERIMENTS

HERE = Path(__file__).parent
RESULTS = HERE / "results"
PAGE = HERE.parents[1] / "docs/reproduction.md"
HEAD = """# The papers' experiments

Every table and figure that is known here of the papers on FFC (arXiv 2411.18343 and 2504.02016), FreqX (the first
versions of 2411.18343), WAM (2410.01482), FAMPE (2510.03245) and AttEXplore (ICLR 2024), with what it is in this
project: run again, at smaller scale, in need of data, or not available. `python -m recipes.paper NAME` runs one,
`python -m recipes.paper page` makes this page from the kept results. Numbers at smaller scale are not comparable in
size with the published ones; the order of methods is, and the distance to the controls."""


@cache
def published() -> dict[str, dict[str, Any]]:
    """Every table and figure by its name: `shows`, and where they are known `tables` (rows by title) and `note`."""
    found: dict[str, dict[str, Any]] = json.loads((HERE / "published.json").read_text(encoding="utf-8"))
    return found


@cache
def follows() -> dict[str, str]:
    """By experiment, what follows from the kept numbers."""
    found: dict[str, str] = json.loads((HERE / "follows.json").read_text(encoding="utf-8"))
    return found


def page(folder: Path) -> str:
    """The whole page.

    Args:
        folder: Where results are kept.
    """
    kept = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}
    rows = [row(item, about, kept) for item, about in published().items()]
    parts = [HEAD, table(rows)]
    order = list(published())
    for name, one in sorted(EXPERIMENTS.items(), key=lambda pair: order.index(pair[1].items[0])):
        if name in kept:
            parts.append(section(name, kept[name]))
        else:
            parts.append(
                f"## {one.title}\n\nNot run here: `{' '.join(('python -m recipes.paper', name, one.full)).rstrip()}`"
            )
    return "\n\n".join(parts) + "\n"


def row(item: str, about: Mapping[str, Any], kept: Mapping[str, Any]) -> dict[str, str]:
    """One line of the list: what it is here."""
    own = [name for name, one in EXPERIMENTS.items() if item in one.items]
    here = ", ".join(f"[{name}](#{anchor(EXPERIMENTS[name].title)})" for name in own)
    status = about.get("status")
    if status is None:
        run = any(name in kept for name in own)
        status = "at smaller scale" if run else "not run here"
    return {"published": item, "shows": about["shows"], "here": f"{status}: {here}" if here else status}


def anchor(title: str) -> str:
    """The heading's link."""
    kept = "".join(letter for letter in title.lower() if letter.isalnum() or letter in " -_")
    return kept.replace(" ", "-")


def section(name: str, numbers: Mapping[str, Any]) -> str:
    """One experiment: published numbers, own numbers, what differs, what follows, and how to run it in full."""
    one = EXPERIMENTS[name]
    parts = [f"## {one.title}", f"`python -m recipes.paper {name}`, on {numbers['on']} ({numbers['seconds']:.0f} s)."]
    for item in one.items:
        about = published().get(item, {})
        if about.get("note"):
            parts.append(f"*{item}*: {about['note']}")
        for title, rows in about.get("tables", {}).items():
            parts.append(f"Published, {item}{': ' + title if title else ''}\n\n{table(rows)}")
    for title, rows in numbers["tables"].items():
        parts.append(f"Here, {title[0].lower() + title[1:]}\n\n{table(rows)}")
    parts.append(f"**What differs.** {one.differs}")
    if name in follows():
        parts.append(f"**What follows.** {follows()[name]}")
    if one.full:
        parts.append(f"In full: `python -m recipes.paper {name} {one.full}`.")
    return "\n\n".join(parts)


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown, numbers to three digits after the point, what is undefined left empty."""
    return markdown([{key: shown(value) for key, value in own.items()} for own in rows])


def shown(value: Any) -> Any:
    """A cell."""
    if value is None or (isinstance(value, float) and value != value):
        return ""
    return str(value).replace("|", "\\|") if isinstance(value, str) else value
