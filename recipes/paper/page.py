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

The tables and figures of the papers on FFC (arXiv 2411.18343 and 2504.02016), FreqX (the first versions of
2411.18343), WAM (2410.01482), FAMPE (2510.03245) and AttEXplore (ICLR 2024), as far as they were available. The last
column says what was done here: run again, run at smaller scale, or why not. `python -m recipes.paper NAME` runs an
experiment, `python -m recipes.paper page` writes this page from the stored results. Absolute numbers at smaller scale
cannot be compared with the published ones; the order of methods and the difference to the controls can.

*Least first* and *most first* delete the least, or the most, important features first. AUC is the first curve minus the
second, as in the papers. The papers call the control `magnitude` *energy*, and `low_frequency` *sorted freq*."""
#: What the columns of an experiment's own tables mean, where their titles do not say it.
COLUMNS = {
    "swap": "`taken` is the share of pairs in which the model predicts the donor's class after the exchange, with its "
    "interval (`low`, `high`) and its difference from `magnitude` (`gap_magnitude`); `kept` is the share in which it "
    "still predicts the recipient's class.",
    "rectification": "`corrected` is the share of mistakes after which deletion leads to the true class within the "
    "budget, with its interval (`low`, `high`); `as few` is the share of the first ranking's corrections that this "
    "ranking achieves with no more features.",
    "structure": "`p above mean` is the share of features whose score, summed over a class, is above the mean.",
    "freqx_layers": "`cut`: whether everything that the output depends on passes through this layer. Bits are the mean "
    "agreement of the neurons' contributions per frequency; `bits from the layer before` is the Jensen–Shannon "
    "divergence, in bits, of the distributions over frequencies of this layer and of the one before.",
    "freqx_contributions": "`similarity` is that of a client's frequency profile to the profiles of the others.",
    "ground_truth": "`network, held out` is the accuracy of the network; the other columns are the share of examples "
    "whose first-ranked feature is a planted one.",
}


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
    if name in COLUMNS:
        parts.append(f"Columns of the tables below: {COLUMNS[name]}")
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
