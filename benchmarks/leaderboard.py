"""Which method finds what is known to decide, in how many passes? One row per method over all planted models.

Reads the tables of `docs/planted.md`, which `python -m benchmarks planted` made, and those of `docs/default.md`
(`python -m benchmarks default`), and prints one table: the mean and the least AUROC against decoys, how often the first
feature is what decides, and beside these the decisions kept on the top 4 % and another example's answer reached.
A method of your own enters by `python -m benchmarks planted --methods yours` and `… default --methods yours`, whose
rows go into those pages; it must be registered (docs/howto/add-a-method.md).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean

from benchmarks.tables import markdown

#: Columns of the planted tables that hold an AUROC against decoys, and how often the first feature is what decides;
#: by frequency, which is what counts where a feature is one of many channels.
AREAS = (
    "AUROC frequencies, decoys",
    "first model: own wave above the other's",
    "second model: own wave above the other's",
)
FIRST = ("first frequency", "first model: first", "second model: first")
#: Models whose decisions kept stand beside.
KEPT = ("efficientnet-lite0", "fashion-vit", "pbmc-geneformer")


def tables(page: Path) -> Iterator[list[dict[str, str]]]:
    """The tables of a page, each as rows by title."""
    for block in re.findall(r"(?:^\|.*\|\n)+", page.read_text(), re.M):
        lines = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in block.splitlines()]
        yield [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]


def number(cell: str) -> float:
    """The mean in front of an interval."""
    return float(cell.split()[0])


def passes(spec: str) -> str:
    """Forward and backward passes of a method, as `hf-fourier methods` lists them."""
    from hf_fourier.methods import METHODS

    return METHODS.parse(spec).passes_text


def kept_and_wrong(default: Path) -> dict[str, dict[str, tuple[str, str]]]:
    """Of each method and model the decisions kept on the top 4 %, and another example's answer reached."""
    found: dict[str, dict[str, tuple[str, str]]] = defaultdict(dict)
    for table in tables(default):
        for row in table:
            if row.get("model") not in KEPT or "kept, gap" not in row:
                continue
            kept, wrong = number(row["kept"]), number(row["wrong (random)"])
            found[row["method"]][row["model"]] = (f"{kept:.2f}", f"{wrong:.2f}")
            if row["method"] == "tracking":  # whose gaps are to the magnitude
                gaps = number(row["kept, gap"]), number(row["wrong (random), gap"])
                found["magnitude"][row["model"]] = (f"{kept - gaps[0]:.2f}", f"{wrong - gaps[1]:.2f}")
    return found


def rows(planted: Path, default: Path) -> list[dict[str, object]]:
    """One row per method, the one on top whose first feature decides most often."""
    areas, firsts = (defaultdict[str, list[float]](list) for _ in range(2))
    for table in tables(planted):
        for row in table:
            if "method" in row:
                areas[row["method"]] += [number(row[title]) for title in AREAS if title in row]
                firsts[row["method"]] += [number(row[title]) for title in FIRST if title in row]
    beside = kept_and_wrong(default)
    ranked = sorted((one for one in areas if areas[one]), key=lambda one: (-fmean(firsts[one]), -fmean(areas[one])))
    return [
        {
            "method": method,
            "models": len(areas[method]),
            "AUROC decoys, mean": fmean(areas[method]),
            "least": min(areas[method]),
            "first": fmean(firsts[method]),
            "kept at 4 %": " / ".join(beside[method].get(model, ("–", ""))[0] for model in KEPT),
            "another's answer": " / ".join(beside[method].get(model, ("", "–"))[1] for model in KEPT),
            "passes": passes(method),
        }
        for method in ranked
    ]


def main(arguments: Sequence[str]) -> None:
    """Print the table; see the module's text."""
    print(markdown(rows(Path("docs/planted.md"), Path("docs/default.md"))))
