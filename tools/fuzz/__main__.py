"""Draws hostile cases, runs each within limits, and prints a table of how they ended: `python -m tools.fuzz --help`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

from tools.fuzz.drawn import Drawn, draw, rooms, warm
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
    parser.add_argument("--table", type=Path, help="write the table into a Markdown file as well")
    given = parser.parse_args()
    end = None if given.minutes is None else time.monotonic() + 60 * given.minutes
    outcomes: dict[str, list[Outcome]] = defaultdict(list)
    unsound: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="hf_fourier-fuzz-") as folder:
        warm(Path(folder))
        for case in draw(given.seed, Path(folder), given.room):
            enough = sum(map(len, outcomes.values())) >= given.cases
            enough = enough and all(len(outcomes[room]) >= given.least for room in given.room or rooms())
            if enough or (end is not None and time.monotonic() > end):
                break
            outcome = run(case, outcomes)
            if not outcome.sound and not unsound[f"{case.room}: {outcome.text}"]:
                sys.stdout.write(f"{case.room} {case.number}, {case.text}: {outcome.kind}, {outcome.text}\n")
                sys.stdout.flush()
            unsound[f"{case.room}: {outcome.text}"] += not outcome.sound
    text = table(outcomes, given.seed)
    sys.stdout.write(f"\n{text}")
    if given.table is not None:
        given.table.write_text(text, encoding="utf-8")
    return int(any(not one.sound for group in outcomes.values() for one in group))


def run(case: Drawn, outcomes: dict[str, list[Outcome]]) -> Outcome:
    """Run one case, and add how it ended."""
    outcome = guarded(case.call)
    outcomes[case.room].append(outcome)
    return outcome


def table(outcomes: dict[str, list[Outcome]], seed: int) -> str:
    """How the cases of each room ended, as Markdown."""
    titles = (
        "cases",
        "done",
        "refused",
        "bare exceptions",
        "hangs over 10 s",
        "crashes",
        "damage believed",
        "longest [s]",
        "peak [MB]",
    )
    lines = [f"| room (seed {seed}) | {' | '.join(titles)} |", f"|---|{'--:|' * len(titles)}"]
    rooms = {**outcomes, "all": [one for group in outcomes.values() for one in group]}
    for room, group in rooms.items():
        counts = Counter(one.kind for one in group)
        numbers = " | ".join(str(counts[kind]) for kind in KINDS)
        longest = max((one.seconds for one in group), default=0.0)
        peak = max((one.megabytes for one in group), default=0.0)
        lines.append(f"| {room} | {len(group)} | {numbers} | {longest:.1f} | {peak:.0f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
