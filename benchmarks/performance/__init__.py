"""What runs of data sets cost, as ratios within one run: beside bare passes, padding, other libraries, one process.

Both sides of a ratio run in turn on the same examples with one thread each. Numbers are kept in a folder as they are
made: run the same command again to go on, or to print the tables.

Parts: `runs` (a whole run ÷ the model's own passes in the same batches), `padding` (e-mails at their own lengths ÷ all
padded to the longest), `passes` (attribution ÷ forward and input gradient; a played curve ÷ its forwards), `memory`
(peak ÷ the model's own), `growth` (10² to 10⁵ examples of a tiny model), `processes` (2 ÷ 1), `workers` (worker
processes that encode ÷ none), `others` (Captum and shap), `settings` (what is said to make models faster).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks import cost, game
from benchmarks.keeping import kept
from benchmarks.performance import apart, feeding, others, settings, whole
from benchmarks.real import MODELS
from benchmarks.tables import markdown

PARTS = ("runs", "padding", "passes", "memory", "growth", "processes", "workers", "others", "settings")
#: Models that name classes, the quick ones first.
COMPARED = (
    "ast-languages",
    "fashion-vit",
    "pbmc-geneformer",
    "wav2vec2-languages",
    "whisper-instruments",
    "whisper-languages",
    "minilm-spam",
    "efficientnet-lite0",
)
#: Models that are measured on more examples (16) and more often (7 times), because they take so little.
QUICK = COMPARED[:4]
GROWTH = (10**2, 10**3, 10**4, 10**5)


def passes(name: str) -> dict[str, Any]:
    """Attribution and curve beside what they need."""
    n = min(16, game.FEWER.get(name, 16))
    ours, played = cost.measure(MODELS[name], n, 3), game.against_bare(name, n, 3)
    return {
        "model": name,
        "examples": n,
        "attribution ÷ forward + gradient": ours["ratio"],
        "attribution, by CPU time": ours["ratio of CPU time"],
        "curve ÷ its forwards": played["ratio"],
        "curve, by CPU time": played["ratio of CPU time"],
    }


def tables(
    part: str, models: Sequence[str], runs: int, keep: Callable[[str, Callable[[], Any]], Any]
) -> list[tuple[str, Any]]:
    """The titled tables of one part."""
    match part:
        case "runs":
            own = [keep(m, lambda m=m: whole.beside_bare(m, whole.EXAMPLES[m], runs)) for m in models]  # type: ignore[misc]
            return [("A whole run beside bare passes", own)]
        case "padding":
            some = {m: n for m, n in whole.PADDED.items() if m in models}
            rows = [keep(m, lambda m=m, n=n: whole.beside_padding(m, n, runs)) for m, n in some.items()]  # type: ignore[misc]
            return [("Natural lengths beside padding", rows)]
        case "passes":
            return [("Attribution and curve", [keep(m, lambda m=m: passes(m)) for m in models])]  # type: ignore[misc]
        case "memory":
            return [("Peak memory", [keep(m, lambda m=m: apart.memory(m)) for m in models])]  # type: ignore[misc]
        case "growth":
            grown = [keep(str(n), lambda n=n: apart.growth(n)) for n in GROWTH]  # type: ignore[misc]
            return [("From 10² to 10⁵ examples", grown)]
        case "processes":
            two = keep("two", lambda: apart.processes("minilm-spam", 1536, Path(os.environ.get("TMPDIR", "/tmp"))))
            return [("Two processes beside one", [two])]
        case "workers":
            sides = {k: keep(k, lambda k=k, n=n: feeding.beside_none(k, n, runs)) for k, n in feeding.FILES.items()}  # type: ignore[misc]
            return [("Worker processes beside none", [row for rows in sides.values() for row in rows])]
        case "others":
            known = {m: keep(m, lambda m=m: others.measured(m)) for m in models if m in COMPARED}  # type: ignore[misc]
            sizes = {m: (16, 7) if m in QUICK else (2, 2) for m in known}
            spent = {m: keep(f"{m}-cost", lambda m=m, n=n: others.timings(m, *n)) for m, n in sizes.items()}  # type: ignore[misc]
            rows = [("Cost beside Captum's IG", [others.cost_row(m, found) for m, found in spent.items()])]
            quality = [others.quality_row(m, found) for m, found in known.items()]
            rows.append(("FFC / IG by Fourier / IG as it is", quality))
            return rows + [(m, others.everything(m, found)) for m, found in known.items()]
    tried = [(setting, m) for setting, (_, some) in settings.SETTINGS.items() for m in some]
    rows = [keep(f"{s}-{m}", lambda s=s, m=m: settings.row(s, m, 16, 3)) for s, m in tried]  # type: ignore[misc]
    rows += [keep(f"games-{m}", lambda m=m: settings.games(m, 16, 5)) for m in ("fashion-vit", "minilm-spam")]  # type: ignore[misc]
    return [("Settings", rows)]


def main(arguments: Sequence[str]) -> None:
    """Print the tables; see the module's text."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks performance", description=__doc__)
    parser.add_argument("--parts", nargs="*", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--models", nargs="*", default=list(whole.EXAMPLES), choices=list(whole.EXAMPLES))
    parser.add_argument("--runs", type=int, default=1, help="of the parts `runs`, `padding` and `workers`, in turn")
    parser.add_argument("--folder", type=Path, default=Path("performance"), help="where numbers are kept")
    parser.add_argument("--here", nargs=3, metavar=("PART", "MODEL", "N"), help="one measurement in this process")
    given = parser.parse_args(arguments)
    if "OMP_NUM_THREADS" not in os.environ:  # numpy's threads, which decode sounds, are made when it is loaded
        words = [sys.executable, "-m", "benchmarks", "performance", *arguments]
        os.execve(sys.executable, words, {**os.environ, "OMP_NUM_THREADS": "1"})
    whole.prepared(1)
    if given.here:
        print(json.dumps(apart.here(given.here[0], given.here[1], int(given.here[2]))))
        return
    print(f"torch {torch.__version__}, one thread\n")
    for part in given.parts:

        def keep(name: str, make: Callable[[], Any]) -> Any:
            return kept(given.folder / part / f"{name}.json", make)  # noqa: B023

        for title, rows in tables(part, given.models, given.runs, keep):
            print(f"### {title}\n\n{markdown(rows)}\n", flush=True)
    print(f"load of the machine at the end: {os.getloadavg()}", file=sys.stderr)
