"""Every architecture with every head that the installed `transformers` knows: which can be explained.

Each pair is built small and checked in a process of its own (see `tools.coverage`); what was found is kept in a
folder, one file per pair, so that a run that was stopped goes on. `--part 2/3` does the second third of the pairs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hf_fourier.models import supported
from tools.coverage import table
from tools.coverage.pairs import pairs
from tools.coverage.running import LIMIT, sweep


def tell(told: Mapping[str, Any]) -> None:
    """A line for each pair."""
    seconds = told.get("seconds", 0)
    print(
        f"{told['task']} {told['model_type']}: {told['status']} {told.get('why', '')} ({seconds:.1f} s)",
        file=sys.stderr,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the summary; with `--write` make the page, and the file that the command line looks up."""
    parser = argparse.ArgumentParser(prog="python -m tools.coverage", description=__doc__)
    parser.add_argument("--task", help="one head alone")
    parser.add_argument("--model-type", help="one architecture alone")
    parser.add_argument("--folder", type=Path, default=Path("coverage"), help="where what was found is kept")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds for each pair")
    parser.add_argument("--part", default="1/1", help="which part of how many")
    parser.add_argument("--write", type=Path, help="the page to write, of all that the folder holds")
    parser.add_argument("--no-run", action="store_true", help="try nothing more, and write what there is")
    chosen = parser.parse_args(arguments)
    number, parts = map(int, chosen.part.split("/"))
    every = pairs(chosen.task, chosen.model_type)
    size = -(-len(every) // parts)
    if not chosen.no_run:
        sweep(every[(number - 1) * size : number * size], chosen.folder, chosen.limit, tell)
    told = table.kept(table.collected(pairs(), chosen.folder))
    print(table.markdown(supported.summary(told["pairs"])))
    if chosen.write:
        chosen.write.write_text(table.page(told), "utf-8")
        file = Path(supported.__file__).with_name(supported.FILE)
        file.write_text(table.lines(told), "utf-8")


if __name__ == "__main__":
    main()
