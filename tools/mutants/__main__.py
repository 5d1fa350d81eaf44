"""Draw, try, and report by room."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tools import mutants
from tools.mutants.equivalent import EQUIVALENT
from tools.mutants.faults import Fault
from tools.mutants.recording import Record, digest
from tools.mutants.rooms import ROOMS, ROOT, drawn
from tools.mutants.trying import FAILED, MOST_SECONDS, NOT_REPLACED, Checkout, store, warm

_WARM = ("tests.conftest", "torch", "transformers", "scipy.stats", "beartype", "jaxtyping", "hypothesis")


def results(path: Path) -> dict[str, dict]:
    """The last result of each fault by its key."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {entry["key"]: entry for entry in map(json.loads, lines)}


def table(chosen: dict[str, list[Fault]], found: dict[str, dict]) -> str:
    """By room: faults drawn, those that change nothing, those seen by a test, and their share of the rest."""
    rows, every = [], [0, 0, 0]
    for room, own in chosen.items():
        equivalent = sum(fault.key in EQUIVALENT for fault in own)
        seen = sum(found.get(fault.key, {}).get("seen", False) and fault.key not in EQUIVALENT for fault in own)
        rows.append((f"`{room}`", len(own), equivalent, seen))
        every = [a + b for a, b in zip(every, rows[-1][1:], strict=True)]
    rows.append(("all", *every))
    head = "| room | faults | equivalent | seen by a test | of the others |\n|---|---|---|---|---|\n"
    return head + "".join(
        f"| {room} | {count} | {equivalent} | {seen} | {100 * seen / max(1, count - equivalent):.0f} % |\n"
        for room, count, equivalent, seen in rows
    )


def recorded(room: str, own: list[Fault], checkout: Checkout, path: Path) -> Record:
    """What the room's tests execute: stored, and recorded again for tests that changed, all if a faulty file did."""
    record = Record.load(path) if path.exists() else Record()
    files = [
        str(file.relative_to(checkout.root))
        for given in ROOMS[room]
        for file in sorted(
            (checkout.root / given).rglob("test_*.py") if given[-3:] != ".py" else [checkout.root / given]
        )
    ]
    place = checkout.root / checkout.package / room
    library = [str(p.relative_to(checkout.root)) for p in ([place] if place.is_file() else place.rglob("*.py"))]
    now = {name: digest(checkout.root / name) for name in (*files, *library)}
    if any(record.digests.get(fault.path) != now[fault.path] for fault in own):
        record = Record(digests={name: now[name] for name in library})
    again = [name for name in files if record.digests.get(name) != now[name]]
    record.begun = {name: was for name, was in record.begun.items() if was == now.get(name)}
    kept = {*files} - {*again} | {*record.begun}
    record.tests = {name: test for name, test in record.tests.items() if name.partition("::")[0] in kept}
    record.failed = [name for name in record.failed if name in record.tests]
    if again:
        checkout.record(again, record, path)
        record = Record.load(path)
    return record


def tried_on(fault: Fault, record: Record, wide: bool) -> tuple[list[str], float]:
    """The tests on which a fault is tried, fastest first, and their seconds.

    Args:
        fault: The fault.
        record: What the room's tests execute.
        wide: Not only those that execute the statement, but all that execute a line of its file (what runs at import,
            or was kept from an earlier test, is seen there), then those that start processes.
    """
    sound = {name: test for name, test in record.tests.items() if name not in record.failed}
    own = {name for name, test in sound.items() if fault.called and test.executes(fault)}
    if wide:
        own_files = {name.partition("::")[0] for name in own}
        order = {
            name: (name not in own, fault.path not in test.lines, test.seconds)
            for name, test in sound.items()
            if fault.path in test.lines or test.processes or name.partition("::")[0] in own_files
        }
    else:
        order = {name: (False, False, sound[name].seconds) for name in own}
    names, total = [], 0.0
    for name in sorted(order, key=lambda n: order[n]):
        if names and total + sound[name].seconds > MOST_SECONDS[wide]:
            break
        names.append(name)
        total += sound[name].seconds
    return names, total


def try_room(room: str, own: list[Fault], checkout: Checkout, folder: Path, quick: bool) -> None:
    """Try faults of a room, and store what was found; with `quick` only what is seen with code replaced."""
    record = recorded(room, own, checkout, folder / f"{room.replace('/', '-')}.json")
    if record.failed:
        print(f"{room}: {len(record.failed)} tests fail without a fault: {', '.join(record.failed[:5])}", flush=True)
    left, begin = [], time.monotonic()

    def tell(how: str) -> Callable[[Fault, int, str], None]:
        def told(fault: Fault, status: int, words: str) -> None:
            nonlocal begin
            seconds, begin = time.monotonic() - begin, time.monotonic()
            if status == NOT_REPLACED or (status != FAILED and how == "replaced"):
                left.append(fault)
                return
            entry = {"key": fault.key, "room": room, "line": fault.line, "seen": status == FAILED, "by": words}
            store(folder / "results.jsonl", **entry, how=how, seconds=round(seconds, 1))

        return told

    jobs = []
    for fault in own:
        names, seconds = tried_on(fault, record, wide=False)
        if names:
            jobs.append((fault, names, 30 + 4 * seconds))
        else:
            left.append(fault)
    warm(record.modules)
    files = {file for test in record.tests.values() for file in test.lines}
    checkout.replaced(jobs, ROOMS[room], files, tell("replaced"))
    done = results(folder / "results.jsonl")
    for fault in [] if quick else own:
        if fault in left or not done.get(fault.key, {}).get("seen"):
            names, seconds = tried_on(fault, record, wide=True)
            status, words = checkout.anew(fault, names, 60 + 4 * seconds) if names else (0, "")
            tell("anew")(fault, status, words)


def main() -> int:
    """Try what has not been seen before; 1 if a fault was seen by no test and is not known to be equivalent."""
    parser = argparse.ArgumentParser(description=(mutants.__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--rooms", nargs="*", default=list(ROOMS), choices=list(ROOMS))
    parser.add_argument("--folder", type=Path, default=Path("mutants"), help="for the records and results.jsonl")
    parser.add_argument("--quick", action="store_true", help="only with code replaced, not in a process for each fault")
    parser.add_argument("--list", action="store_true", help="print the faults and try none")
    parser.add_argument("--table", action="store_true", help="print the results that are stored and try none")
    given = parser.parse_args()
    every, folder = drawn(list(ROOMS), given.count, given.seed), given.folder.resolve()
    chosen = {room: own for room, own in every.items() if room in given.rooms}
    if given.list:
        sys.stdout.writelines(f"{fault}\n" for own in chosen.values() for fault in own)
        return 0
    found = results(folder / "results.jsonl")
    todo = {
        room: [f for f in own if f.key not in EQUIVALENT and not found.get(f.key, {}).get("seen")]
        for room, own in chosen.items()
    }
    if not given.table and any(todo.values()):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as place:
            checkout = Path(place).resolve() / "checkout"
            shutil.copytree(
                ROOT, checkout, ignore=shutil.ignore_patterns(".git", ".*_cache", ".venv", "__pycache__", "_build")
            )
            os.chdir(checkout)
            os.environ |= {"PYTHONPATH": str(checkout), "TMPDIR": place, "PYTEST_DEBUG_TEMPROOT": place}
            sys.path.insert(0, str(checkout))
            warm(_WARM)
            for room, own in todo.items():
                if own:
                    try_room(room, own, Checkout(checkout), folder, given.quick)
    found = results(folder / "results.jsonl")
    unseen = [
        f for own in chosen.values() for f in own if f.key not in EQUIVALENT and not found.get(f.key, {}).get("seen")
    ]
    print(table(chosen, found))
    for fault in unseen:
        print(f"{fault}\n  {fault.key}")
    return int(bool(unseen))


if __name__ == "__main__":
    sys.exit(main())
