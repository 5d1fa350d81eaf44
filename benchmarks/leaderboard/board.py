"""The tables of the leaderboard, made of its cells, and the page that holds them."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.leaderboard.cells import COLUMNS
from benchmarks.statistics import described
from benchmarks.tables import markdown

Cells = list[dict[str, Any]]
TITLES = ("model", "method", "n", *COLUMNS, "reason")
#: What the methods are ordered by: each from 0 or −1 to 1, more is better.
WORTH = ("AUROC decoys", "first", "selectivity", "net evidence")
START, END = "<!-- leaderboard: {} -->\n", "<!-- end: {} -->"


def worth(cell: dict[str, Any]) -> float:
    """The mean of what a cell is ordered by."""
    return fmean(cell[name] for name in WORTH)


def network(model: str) -> str:
    """The network of which a planted model is a variant: `fashion-vit` of `fashion-vit-phase`."""
    return model.rpartition("-")[0]


def by_method(cells: Cells) -> Cells:
    """One row per method, means over models; the best first, and below them those that did not run on all models.

    The mean of such a method is over other models, and says nothing about its place among the rest.
    """
    groups: dict[str, Cells] = {}
    for cell in cells:
        groups.setdefault(cell["method"], []).append(cell)
    ran = {name: measured for name, own in groups.items() if (measured := [cell for cell in own if "n" in cell])}
    count, rows = len({cell["model"] for cell in cells}), []
    for name in sorted(ran, key=lambda name: (len(ran[name]) < count, -fmean(map(worth, ran[name])))):
        own = ran[name]
        row: dict[str, Any] = {"method": name, "models": len(own), "examples": sum(cell["n"] for cell in own)}
        row["mean"] = fmean(worth(cell) for cell in own)
        networks = [network(cell["model"]) for cell in own]
        for column in ("AUROC decoys", "first"):
            row[column] = described([cell[column] for cell in own], networks)
        row["least AUROC"] = min(cell["AUROC decoys"] for cell in own)
        for column in ("kept", "wrong"):
            row[column] = fmean(cell[column] for cell in own)
        for column in ("selectivity", "net evidence"):
            row[column] = described([cell[column] for cell in own], networks)
        row["whole"] = fmean(cell["whole"] for cell in own)
        row["passes"] = "{:.0f} + {:.0f}".format(*(fmean(cell[c] for cell in own) for c in ("forward", "backward")))
        row["s"] = fmean(cell["seconds"] for cell in own)
        rows.append(row)
    return rows


def by_model(cells: Cells) -> list[tuple[str, Cells]]:
    """A table of every model: a row per method that ran on it, the best first."""
    tables: dict[str, Cells] = {}
    for cell in cells:
        if "n" in cell:
            tables.setdefault(cell["model"], []).append(cell)
    return [(name, [_row(cell) for cell in sorted(own, key=worth, reverse=True)]) for name, own in tables.items()]


def _row(cell: dict[str, Any]) -> dict[str, Any]:
    row = {title: cell[title] for title in TITLES[1:-4]}
    return row | {"passes": f"{cell['forward']:.0f} + {cell['backward']:.0f}", "s": cell["seconds"]}


def reasons(cells: Cells) -> list[str]:
    """A line for each reason why a method does not run on some models."""
    found: dict[tuple[str, str], list[str]] = {}
    for cell in cells:
        if "reason" in cell:
            found.setdefault((cell["method"], cell["reason"]), []).append(cell["model"])
    count = len({cell["model"] for cell in cells})
    return [
        f"- `{method}` on {'all' if len(models) == count else ', '.join(models)}: {reason}"
        for (method, reason), models in sorted(found.items())
    ]


def fill(page: Path, cells: Cells) -> None:
    """Write all cells beside a page, as CSV, and the tables that those make between their marks in it."""
    write(page.with_suffix(".csv"), cells)
    text = page.read_text()
    for name, block in blocks(read(page.with_suffix(".csv"))).items():
        start, end = START.format(name), END.format(name)
        pattern = re.compile(re.escape(start) + ".*?" + re.escape(end), re.S)
        text = pattern.sub(lambda _: start + block + "\n" + end, text)  # noqa: B023
    page.write_text(text)


def blocks(cells: Cells) -> dict[str, str]:
    """What stands between the marks of a page, by name."""
    models = "\n\n".join(f"### {name}\n\n{markdown(rows)}" for name, rows in by_model(cells))
    return {
        "methods": markdown(by_method(cells)),
        "reasons": "\n".join(reasons(cells)),
        "models": models,
    }


def write(path: Path, cells: Cells) -> None:
    """All cells as CSV, numbers to four digits after the point."""
    with path.open("w", newline="") as file:
        rows = csv.DictWriter(file, TITLES, restval="", lineterminator="\n")
        rows.writeheader()
        for cell in sorted(cells, key=lambda cell: (cell["model"], cell["method"])):
            rows.writerow({name: f"{v:.4f}" if isinstance(v, float) else v for name, v in cell.items()})


def read(path: Path) -> Cells:
    """The cells of a CSV file; those of methods that did not run hold a reason in place of numbers."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [_cell(row) for row in csv.DictReader(file)]


def _cell(row: dict[str, str]) -> dict[str, Any]:
    cell: dict[str, Any] = {"model": row["model"], "method": row["method"]}
    if row["reason"]:
        return cell | {"reason": row["reason"]}
    return cell | {"n": int(row["n"])} | {name: float(row[name]) for name in COLUMNS}
