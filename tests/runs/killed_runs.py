"""Runs that are killed: imports everything once, then forks a child for each life of a run and kills it by SIGKILL.

`python -m tests.runs.killed_runs FOLDER KILLS SEED` prints how many children were killed at work, and in how many of
them a part of a file was left.
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
    main()
