"""Is the default sufficient and selective beside the magnitude, on examples that were not used to choose it?

Per model and method, on the half of `benchmarks selectivity` that is not for tuning: decisions kept on the top 4 % of
features; how often a wrong answer is reached on the top 4 % (random: another example's label, each as often as the
model says it; runner-up: the likeliest other one), where a method that follows no label gets an answer with that label
as its goal; both with paired gaps to `magnitude` and 95 % bootstrap intervals over groups; and the mean part of the top
4 % that the ranking shares with the magnitude's and with its own on a randomized model. Counts below thirty groups are
anecdotal.

`--tuning` shows the other half: κ and the candidates were chosen there. `--others` takes examples on which
nothing was chosen: spoken prompts that are in neither half with `--examples 64` or 96, and a second model of cells.

Each model's numbers are kept in a folder as they are made: run the same command again to go on, or to print the tables.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.keeping import cell_file, kept
from benchmarks.real import CLASSIFIERS, OTHERS
from benchmarks.selectivity import KINDS, SHARE, ask, prepared
from benchmarks.tables import markdown
from hf_fourier.evaluation.metrics.structure import top_overlap
from hf_fourier.evaluation.randomized_model import randomize, re_rank
from hf_fourier.methods import METHODS

SHOWN = (
    "tracking",
    "tracking:preset=fast",
    "tracking:kappa=0",
    "tracking:kappa=.1",
    "tracking:goal=auto,base=probes",
    "response",
    "closed_loop",
    "ffc",
    "gradient_input",
)
#: Examples that are explained on a randomized model too.
TWINS = 12
GAP = ", gap to magnitude"
#: Which examples the table is of: the half that is not for tuning, the one for tuning, or further ones.
PARTS = ("test", "tuning", "others")


def measure(name: str, n: int, method: str, part: str) -> list[dict[str, Any]]:
    """The row of one method on one model, on one of `PARTS` of its examples."""
    explainer, examples, groups, tuned, other = prepared(name, n, others=part == "others")
    places = tuned if part == "tuning" and tuned else other
    chosen, sources = [examples[i] for i in places], [groups[i] for i in places]
    found = ask(explainer, chosen, [method], sources)
    columns = [f"maintain_rate_at_{SHARE}", *(f"wrong_reached_at_{SHARE} ({kind})" for kind in KINDS)]
    spec = METHODS.spec(METHODS.parse(method))
    (row,) = [row for row in found.summary(columns).rows() if row["method"] == spec]
    results = explainer.explain(chosen[:TWINS], method=method)
    twins = re_rank(randomize(explainer, results), results)
    cells = {"model": name, "method": method, "n (groups)": row["n (groups)"]}
    for title, column in zip(("kept", "wrong (random)", "wrong (runner-up)"), columns, strict=True):
        cells |= {title: row[column], f"{title}, gap": row[f"{column}{GAP}"]}
    mean = [math.fsum(values) / len(values) for values in (
        [result.magnitude_overlap() for result in results],
        [top_overlap(result, twin) for result, twin in zip(results, twins, strict=True)],
    )]  # fmt: skip
    return [cells | {"shared with magnitude": mean[0], "with randomized": mean[1]}]


def cell_of(name: str, n: int, method: str, part: str) -> str:
    """The file of the row of one method on one model."""
    code = (__name__, "benchmarks.selectivity", "benchmarks.real")
    return cell_file(name, methods=[method], models=[name], code=code, examples=n, part=part)


def options_of(
    name: str, description: str | None, methods: Sequence[str], examples: int, arguments: Sequence[str]
) -> argparse.Namespace:
    """The options of a benchmark on the parts of the examples, with the models that have this part as `known`.

    Args:
        name: The benchmark, whose numbers are kept in a folder of that name.
        description: What it does.
        methods: What is measured where nothing else is asked for.
        examples: Likewise, per model.
        arguments: Of the command line.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks {name}", description=description)
    parser.add_argument("--models", nargs="*", choices=sorted({*CLASSIFIERS, *OTHERS}))
    parser.add_argument("--methods", nargs="*", default=list(methods), help="specs")
    parser.add_argument("--examples", type=int, default=examples, help="per model, half of them for tuning")
    half = parser.add_mutually_exclusive_group()
    for part, text in (("tuning", "show the half for tuning"), ("others", f"further examples, of {', '.join(OTHERS)}")):
        half.add_argument(f"--{part}", dest="part", action="store_const", const=part, default=PARTS[0], help=text)
    parser.add_argument("--folder", type=Path, default=Path(name), help="where numbers are kept")
    parser.add_argument("--threads", type=int, help="of torch")
    given = parser.parse_args(arguments)
    if given.threads:
        torch.set_num_threads(given.threads)
    given.known, other = (OTHERS, "without") if given.part == "others" else (CLASSIFIERS, "with")
    if absent := {*(given.models or ())} - {*given.known}:
        parser.error(f"{', '.join(sorted(absent))} only {other} --others")
    given.folder /= f"n{given.examples}-{given.part}"
    return given


def main(arguments: Sequence[str]) -> None:
    """Print the table; see the module's text."""
    given, rows = options_of("default", __doc__, SHOWN, 96, arguments), []
    for name in given.models or given.known:
        for method in given.methods:
            settings = name, given.examples, method, given.part
            rows += kept(given.folder / name / cell_of(*settings), lambda: measure(*settings))  # noqa: B023
    print(markdown(rows))
