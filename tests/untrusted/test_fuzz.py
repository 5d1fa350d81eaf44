"""Half a minute of hostile cases, always the same; with `--fuzz-minutes` new ones for that long."""

from __future__ import annotations

import mmap
import random
import sys
import time
from collections import Counter

import pytest

from tools.fuzz.drawn import FAMILIES, draw, rooms, warm
from tools.fuzz.guard import Believed, Outcome, guarded

#: Cases in CI, over all rooms and in each of them, at least; fewer where they take longer than so many seconds, but one
#: of each family.
CASES, LEAST, SECONDS = 200, 4, 30.0


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with models and files, and all that is imported by cases."""
    folder = tmp_path_factory.mktemp("fuzz")
    warm(folder)
    return folder


@pytest.mark.usefixtures("unchecked")
def test_every_case_ends_with_a_result_or_one_message(place, request):
    minutes = request.config.getoption("--fuzz-minutes")
    seed = random.randrange(10**6) if minutes else 0
    end, unsound, counts = time.monotonic() + (60 * minutes or SECONDS), [], Counter()
    for case in draw(seed, place):
        enough = not minutes and case.number > CASES and min(counts[room] for room in rooms()) >= LEAST
        if enough or (time.monotonic() > end and case.number > len(FAMILIES)):
            break
        outcome = guarded(case.call)
        counts[case.room] += 1
        if not outcome.sound:
            unsound.append(f"seed {seed}, case {case.number}, {case.room}: {case.text}: {outcome.kind}, {outcome.text}")
    assert unsound == []


def test_a_seed_and_a_number_give_the_same_case(place):
    first, second = (list(zip(range(300), draw(3, place), strict=False)) for _ in range(2))
    assert [(case.room, case.number) for _, case in first] == [(case.room, case.number) for _, case in second]
    assert {case.room for _, case in first} == set(rooms())


def believe():
    """Read damage as if it were whole."""
    raise Believed("a shard")


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda: believe(), "believed"),
        (lambda: None, "done"),
        (lambda: 1 / 0, "bare"),
        (lambda: time.sleep(60), "hang"),
        (lambda: bytearray(2**40), "bare"),
        (lambda: __import__("os")._exit(3), "crash"),
        (lambda: __import__("ctypes").string_at(0), "crash"),
    ],
)
def test_the_guard_says_how_a_call_ended(call, kind):
    outcome = guarded(call, seconds=1)
    assert outcome.kind == kind
    assert outcome.sound == (kind == "done")
    assert outcome.seconds < 20


def test_the_guard_measures_memory_and_lets_nothing_through(capfd):
    held = []

    def call():
        sys.stdout.write("loud")
        held.append(mmap.mmap(-1, 200_000_000))  # new pages: `malloc` may have free ones from earlier tests
        for at in range(0, 200_000_000, mmap.PAGESIZE):
            held[0][at] = 1

    outcome = guarded(call)
    assert isinstance(outcome, Outcome)
    assert 150 < outcome.megabytes < 400
    assert held == []
    assert capfd.readouterr().out == ""
