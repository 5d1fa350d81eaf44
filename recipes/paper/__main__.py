"""The papers' experiments, and the page that holds them against the published numbers.

    .venv/bin/python -m recipes.paper list
    .venv/bin/python -m recipes.paper ground_truth            # at small scale, on models that need no Hub
    .venv/bin/python -m recipes.paper dig --model timm/resnet50.tv2_in1k --data IMAGENET/val --n 50000
    .venv/bin/python -m recipes.paper page                    # docs/reproduction.md from the kept results

An experiment prints its tables below the published ones, says what differs, and keeps its numbers in `--folder`.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import sys
import time
from pathlib import Path

import recipes.paper
from recipes.paper.base import EXPERIMENTS, Ask
from recipes.paper.page import PAGE, RESULTS, page, section

SHARED = {"__main__", "base", "page", "tabular"}


def main() -> int:
    """Run what is asked for."""
    for module in pkgutil.iter_modules(recipes.paper.__path__):
        if module.name not in SHARED:
            importlib.import_module(f"recipes.paper.{module.name}")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", help="experiments; or `list`, `all`, `page`")
    parser.add_argument("--model", help="a Hub id or a folder instead of the offline model")
    parser.add_argument("--data", help="a folder of examples instead of the offline ones")
    parser.add_argument("--n", type=int, help="how many examples")
    parser.add_argument("--small", action="store_true", help="as few as show that it runs")
    parser.add_argument("--folder", type=Path, default=RESULTS, help="where numbers are kept")
    given = parser.parse_args()
    if given.names == ["list"]:
        for name, one in sorted(EXPERIMENTS.items()):
            print(f"{name:20} {one.title} ({', '.join(one.items)})")
        return 0
    if given.names == ["page"]:
        PAGE.write_text(page(given.folder), encoding="utf-8")
        print(PAGE)
        return 0
    names = sorted(EXPERIMENTS) if given.names == ["all"] else given.names
    unknown = [name for name in names if name not in EXPERIMENTS]
    if unknown:
        parser.error(f"no experiment {', '.join(unknown)}; there are {', '.join(sorted(EXPERIMENTS))}")
    ask = Ask(given.model, given.data, given.n, given.small)
    for name in names:
        begin = time.perf_counter()
        found = EXPERIMENTS[name].run(ask)
        numbers = {"on": found.on, "seconds": time.perf_counter() - begin, "tables": found.tables}
        given.folder.mkdir(parents=True, exist_ok=True)
        path = given.folder / f"{name}.json"
        path.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
        print(section(name, numbers))
        print(f"kept in {path}\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
