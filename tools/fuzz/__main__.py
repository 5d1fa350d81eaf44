"""Draws hostile cases, runs each within limits, and prints a table of how they ended: `python -m tools.fuzz --help`."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter, defaultdict
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import torch

from tools.fuzz.drawn import draw, rooms, warm
from tools.fuzz.guard import Outcome, guarded

KINDS = ("done", "refused", "bare", "hang", "crash", "believed")


def main() -> int:
    """Run cases, print what did not end as promised, and the table; 1 if anything did not."""
    parser = argparse.ArgumentParser(prog="python -m tools.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=1000, help="how many, over all rooms")
    parser.add_argument("--least", type=int, default=0, help="how many in each room, beside: rooms take turns")
    parser.add_argument("--minutes", type=float, help="stop after so long")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--room", action="append", help="only these rooms")
    parser.add_argument("--number", type=int, action="append", help="only these cases, by their numbers")
    parser.add_argument("--log", type=Path, help="write how each case ended into a file, a line of JSON for each")
    parser.add_argument("--of", type=Path, nargs="+", help="run none: the table of these logs, of a case the last line")
    given = parser.parse_args()
    outcomes: dict[str, list[Outcome]] = defaultdict(list)
    if given.of is None:
        _run(given, outcomes)
    lines = (line for path in given.of or () for line in path.read_text(encoding="utf-8").splitlines())
    logged = {(values.pop("seed"), values.pop("number")): values for values in map(json.loads, lines)}
    for values in logged.values():
        outcomes[values.pop("room")].append(Outcome(**values))
    sys.stdout.write(f"\n{table(outcomes)}")
    return int(any(not one.sound for group in outcomes.values() for one in group))


def _run(given: argparse.Namespace, outcomes: dict[str, list[Outcome]]) -> None:
    """Run cases by the options of the command, and add how each ended to those of its room."""
    end = None if given.minutes is None else time.monotonic() + 60 * given.minutes
    unsound: Counter[str] = Counter()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hf_fourier-fuzz-")))
        log = None if given.log is None else stack.enter_context(given.log.open("w", encoding="utf-8"))
        torch.set_num_threads(1)  # in a fork there are none of the threads that a transform would wait for
        warm(folder)
        for case in draw(given.seed, folder, given.room):
            enough = sum(map(len, outcomes.values())) >= given.cases
            enough = enough and all(len(outcomes[room]) >= given.least for room in given.room or rooms())
            enough = enough or (given.number is not None and case.number > max(given.number))
            if enough or (end is not None and time.monotonic() > end):
                break
            if case.number not in (given.number or [case.number]):
                continue
            outcome = guarded(case.call)
            outcomes[case.room].append(outcome)
            if log is not None:
                case_of = {"seed": given.seed, "number": case.number, "room": case.room}
                log.write(json.dumps({**case_of, **asdict(outcome)}) + "\n")
                log.flush()
            if not outcome.sound and not unsound[f"{case.room}: {outcome.text}"]:
                sys.stdout.write(f"{case.room} {case.number}, {case.text}: {outcome.kind}, {outcome.text}\n")
                sys.stdout.flush()
            unsound[f"{case.room}: {outcome.text}"] += not outcome.sound


def table(outcomes: dict[str, list[Outcome]]) -> str:
    """How the cases of each room ended, as Markdown."""
    titles = ("cases", "done", "refused", "bare exceptions", "hangs over 10 s", "crashes", "damage believed",
              "longest [s]", "peak [MB]")  # fmt: skip
    lines = [f"| room | {' | '.join(titles)} |", f"|---|{'--:|' * len(titles)}"]
    groups = {**outcomes, "all": [one for group in outcomes.values() for one in group]}
    for room, group in groups.items():
        counts = Counter(one.kind for one in group)
        numbers = " | ".join(f"{counts[kind]:,}" for kind in KINDS)
        longest = max((one.seconds for one in group), default=0.0)
        peak = max((one.megabytes for one in group), default=0.0)
        lines.append(f"| {room} | {len(group):,} | {numbers} | {longest:.1f} | {peak:.0f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
