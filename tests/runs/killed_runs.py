"""Runs that are killed: imports everything once, then forks a child for each life of a run and kills it by SIGKILL.

`python -m tests.runs.killed_runs FOLDER KILLS SEED` prints how many children were killed at work, and in how many of
them a part of a file was left. `python -m tests.runs.killed_runs --table LOG…` prints a table of what it printed.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

EXAMPLES = 160


def life(folder: Path) -> None:
    """One life of the run, in a child."""
    from tests.runs.sample_results import explainer, run, texts

    run(texts(EXAMPLES), folder, explainer())


def born(folder: Path) -> int:
    """A child that runs into a folder."""
    child = os.fork()
    if child == 0:
        try:
            life(folder)
            os._exit(0)
        finally:
            os._exit(1)
    return child


def table(lines: list[str]) -> str:
    """What several calls printed, as Markdown; a call in which anything was lost or other prints nothing."""
    found = [json.loads(line) for line in lines]
    kills, parts, ends = (sum(one[name] for one in found) for name in ("killed", "parts", "ends"))
    shards = sum(one["ends"] * one["shards"] for one in found)
    titles = (
        "kills",
        "while a file was written",
        "runs that came to their end",
        "files as those of an undisturbed run",
    )
    rows = (titles, ["--:"] * len(titles), [f"{n:,}" for n in (kills, parts, ends, shards)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def main() -> None:
    """Kill and start again until the kills are done and the last run has come to its end."""
    whole, kills, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    from tests.runs.sample_results import digests, explainer  # all that children need, once

    explainer()
    start = time.perf_counter()
    assert os.waitpid(born(whole / "undisturbed"), 0)[1] == 0
    takes, draw = time.perf_counter() - start, random.Random(seed)
    wanted = digests(whole / "undisturbed")
    killed = parts = ends = 0
    while killed < kills:
        ends += 1
        folder = whole / f"killed-{ends}"
        while True:
            child = born(folder)
            if killed < kills:
                time.sleep(draw.uniform(0.0, 0.35 * takes))
                ended, status = os.waitpid(child, os.WNOHANG)
                if not ended:
                    os.kill(child, signal.SIGKILL)
                    os.waitpid(child, 0)
                    killed += 1
                    parts += any(folder.rglob("*.part"))
                    continue
                assert status == 0, "a life that ended by itself failed"
                break
            assert os.waitpid(child, 0)[1] == 0, "a life that was not killed failed"
            break
        assert digests(folder) == wanted, "the bytes differ from those of the undisturbed run"
    told = {"killed": killed, "ends": ends, "parts": parts, "seconds": takes, "shards": len(wanted)}
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    if sys.argv[1] == "--table":
        sys.stdout.write(table([line for path in sys.argv[2:] for line in Path(path).read_text().splitlines()]))
    else:
        main()
