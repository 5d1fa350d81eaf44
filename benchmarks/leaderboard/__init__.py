"""Every method on every planted model: planted truth, sufficiency, selectivity, net evidence, and what it costs.

The models are those of `python -m benchmarks planted` that pass their gate by `docs/planted.md`. On held-out examples
that have the trigger's label, a method ranks single frequencies. *AUROC decoys*: the planted frequency against the
decoys; *first*: the first one is planted; *kept*: decisions that stay on the top 4 %; *wrong*: another example's label
is reached on the top 4 % when the method is asked for it; *selectivity*: kept minus wrong, over 1 to 30 %; *net
evidence*: kept minus how often that label is reached on the top 4 % of the example with random phases; *whole*: how
often the model answers that label to all of this example, which has no evidence for it but must have some answer: a
ranking that reaches it there alone, and keeps all, has net evidence 1 minus *whole*. Passes and processor seconds are
those of one explanation. The means over models have 95 % bootstrap intervals that draw networks: the planted variants
of one network are drawn together. A method that cannot run on a model stands there with the reason, and below those
that ran on all.

Each cell is kept in a folder as it is made: run the same command again to go on. A method is measured again when its
settings or its code have changed (`benchmarks/keeping.py`); after other changes, of hf_fourier or of what a file of
your own imports, use `--again`. `--minutes` stops in time. `--page` writes the table into a page, and all cells beside
it as CSV; what the command did not measure stays as it was there.

Your own method, in a file that registers it (docs/howto/add-a-method.md), beside the published cells:

    python -m benchmarks leaderboard --load my_method.py --methods mine
"""

from __future__ import annotations

import argparse
import runpy
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.leaderboard.board import Cells, by_method, by_model, fill, read, reasons
from benchmarks.leaderboard.cells import Bench, Size, valid
from benchmarks.tables import markdown
from hf_fourier.errors import MissingExtraError
from hf_fourier.methods import METHODS

PLANTED, PUBLISHED = Path("docs/planted.md"), Path("docs/leaderboard.csv")
VARIANTS = ("tracking:preset=fast", "ffc:kappa=.1", "ffc:lam=0")
#: Methods of other libraries, which the registry lists only where those are installed.
PEERS = ("gradcam", "shap_gradients", "zennit")


def methods() -> list[str]:
    """All methods of `hf-fourier methods`, those of other libraries, and some variants; the cheap ones first."""
    names = dict.fromkeys([*METHODS, *PEERS, *VARIANTS])
    cost = {name: sum(METHODS.parse(name).passes or (10**6,)) for name in names}
    return sorted(names, key=lambda name: (cost[name], name))


def measured(benches: Sequence[Bench], names: Sequence[str], minutes: float, again: bool = False) -> tuple[Cells, int]:
    """All cells, or as many as the minutes allow, and how many are left.

    A method whose library is not installed has no cell: that says nothing about the method.
    """
    end, cells, left = time.monotonic() + 60 * minutes, [], 0
    for bench in benches:
        for name in names:
            if time.monotonic() >= end:
                left += 1
                continue
            try:
                cells.append(bench.cell(name, again))
            except MissingExtraError as error:
                print(f"{name} is not measured: {error}", file=sys.stderr)
    return cells, left


def beside(cells: Cells, others: Cells) -> Cells:
    """Cells, and those of others that are not among them."""
    own = {(cell["model"], cell["method"]) for cell in cells}
    return [*cells, *(cell for cell in others if (cell["model"], cell["method"]) not in own)]


def main(arguments: Sequence[str]) -> None:
    """Print the tables; see the module's text."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks leaderboard",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    subjects = {subject.name: subject for subject in valid(PLANTED)}
    parser.add_argument("--models", nargs="*", default=list(subjects), choices=list(subjects))
    parser.add_argument("--methods", nargs="*", help="specs; all by default")
    parser.add_argument("--load", type=Path, help="a Python file that registers a method of your own")
    parser.add_argument("--examples", type=int, default=Size.examples, help="of each model")
    parser.add_argument("--dear", type=int, default=Size.dear, help="of each model, for methods of over 110 passes")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no cell after so many")
    parser.add_argument("--folder", type=Path, default=Path("leaderboard"), help="where numbers are kept")
    parser.add_argument("--page", type=Path, help="write the table into this page, and the cells beside it as CSV")
    parser.add_argument("--again", action="store_true", help="measure though numbers are kept")
    parser.add_argument("--threads", type=int, help="of torch")
    given = parser.parse_args(arguments)
    if given.threads:
        torch.set_num_threads(given.threads)
    if given.load:
        runpy.run_path(str(given.load))
    size = Size(given.examples, given.dear)
    benches = [Bench(subjects[name], size, given.folder) for name in given.models]
    cells, left = measured(benches, given.methods or methods(), given.minutes, given.again)
    if left:
        print(f"{left} cells are left: run the same command again", file=sys.stderr)
    if given.page:
        cells = beside(cells, read(given.page.with_suffix(".csv")))
    if given.load or given.methods:  # beside what is published
        cells = beside(cells, read(PUBLISHED))
    print(markdown(by_method(cells)))
    for title, rows in by_model(cells):
        print(f"\n{title}\n\n{markdown(rows)}")
    print("\n" + "\n".join(reasons(cells)))
    if given.page:
        fill(given.page, cells)
