"""Faults are put where they can be seen, one line at a time, and a test that fails is one that sees."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tools.mutants.__main__ import table, tried_on
from tools.mutants.equivalent import EQUIVALENT
from tools.mutants.faults import Fault, faults
from tools.mutants.recording import Executed, Record
from tools.mutants.rooms import LEAST, ROOMS, ROOT, drawn

SOURCE = '''"""Not 1 but 2."""


def half(x: float, most: int = 3) -> float:
    """Half of it, 2 times smaller."""
    if x < 0 and most:
        raise ValueError(f"{x} below {0}")
    for one, other in zip([x], [x], strict=True):
        pass
    return -x / 2 if most == 3 else x + 1
'''


def test_faults_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "some.py"
    path.write_text(SOURCE)
    found = faults(path, tmp_path)
    assert {(fault.line, fault.what) for fault in found} == {
        (4, "3 to 4"),
        (6, "and/or exchanged"),
        (6, "Lt to LtE"),
        (6, "0 to 1"),
        (10, "branches exchanged"),
        (10, "Div to Mult"),
        (10, "USub dropped"),
        (10, "2 to 3"),
        (10, "Eq to NotEq"),
        (10, "3 to 4"),
        (10, "Add to Sub"),
        (10, "1 to 2"),
    }
    assert {fault.line for fault in found if not fault.called} == {4}, "defaults are evaluated at import"
    assert len({fault.key for fault in found}) == len(found)
    for fault in found:
        lines = zip(SOURCE.split("\n"), fault.text.split("\n"), strict=True)
        assert [i for i, (a, b) in enumerate(lines, 1) if a != b] == [fault.line], fault
        assert ast.dump(ast.parse(fault.text)) != ast.dump(ast.parse(SOURCE)), fault


def test_every_fault_of_the_library_can_be_parsed() -> None:
    file = ROOT / "hf_fourier/results/tracks.py"  # with formats in f-strings
    found = faults(file, ROOT)
    assert len(found) > 50
    for fault in found:
        ast.parse(fault.text)


def test_a_statement_of_several_lines_is_executed_where_one_of_them_is(tmp_path: Path) -> None:
    path = tmp_path / "some.py"
    path.write_text("def f(x):\n    if (\n        x\n        and 1\n    ):\n        return 5\n    return 7\n")
    of = {fault.what: fault for fault in faults(path, tmp_path)}
    assert of["1 to 2"].statement == (2, 5)
    assert of["5 to 6"].statement == (6, 6)
    test = Executed(0.0, {"some.py": 1 << 4 | 1 << 7}, False)
    assert [test.executes(of[what]) for what in ("1 to 2", "5 to 6", "7 to 8")] == [True, False, True]


def test_a_draw_is_the_same_again_and_covers_every_room() -> None:
    one, other = (drawn(["domains", "report/privacy.py"], 40, seed) for seed in (0, 0))
    assert one == other
    assert set(one) == {"domains", "report/privacy.py"}
    assert len(one["domains"]) > len(one["report/privacy.py"]) == LEAST
    fewer = drawn(["domains", "report/privacy.py"], 30, 0)
    assert one["domains"][: len(fewer["domains"])] == fewer["domains"], "a smaller draw is the first of a larger one"
    assert one["domains"][:5] != drawn(["domains", "report/privacy.py"], 40, 1)["domains"][:5]


def test_faults_that_are_called_equivalent_exist() -> None:
    paths = {key.partition(" | ")[0] for key in EQUIVALENT}
    known = {fault.key for path in paths for fault in faults(ROOT / path, ROOT)}
    assert sorted(set(EQUIVALENT) - known) == []
    assert all(any(path.startswith(f"hf_fourier/{room}") for room in ROOMS) for path in paths)


def test_tests_are_tried_fastest_first_and_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    fault = Fault("a.py", 2, "", "", "", (2, 2))
    here, elsewhere = {"a.py": 1 << 2}, {"a.py": 1 << 9}
    known = {
        "t.py::slow": Executed(9.0, here, False),
        "t.py::fast": Executed(0.1, here, False),
        "t.py::bad": Executed(0.1, here, False),
        "t.py::other": Executed(0.1, {}, False),
        "u.py::near": Executed(0.1, elsewhere, False),
        "u.py::starts": Executed(0.1, {}, True),
        "u.py::far": Executed(0.1, {}, False),
    }
    record = Record(known, failed=["t.py::bad"])
    assert tried_on(fault, record, wide=False)[0] == ["t.py::fast", "t.py::slow"]
    wide = ["t.py::fast", "t.py::slow", "u.py::near", "t.py::other", "u.py::starts"]
    assert tried_on(fault, record, wide=True)[0] == wide
    monkeypatch.setattr("tools.mutants.__main__.MOST_SECONDS", (5.0, 5.0))
    assert tried_on(fault, record, wide=False) == (["t.py::fast"], 0.1)


def test_the_table_counts_by_room() -> None:
    equivalent = next(iter(EQUIVALENT))
    own = [Fault("a.py", i, "", "", key) for i, key in enumerate(["a", "b", "c", equivalent])]
    found = {"a": {"seen": True}, "b": {"seen": True}, "c": {"seen": False}, equivalent: {"seen": True}}
    text = table({"domains": own}, found)
    assert text.splitlines()[2:] == ["| `domains` | 4 | 1 | 2 | 67 % |", "| all | 4 | 1 | 2 | 67 % |"]


LIBRARY = '''"""A library."""

SIZE = 1


def two(x: int) -> int:
    return x + 1 if x < 7 else 0


def unseen(x: int) -> int:
    return 2 * x


def endless(x: int) -> int:
    while x > 0:
        x = x - 1
    return x
'''
TESTS = """
import time

from some.core import SIZE, endless, two, unseen

FLAG = __file__.replace("test_some.py", "flag")


def test_two():
    assert two(1) == 2


def test_unseen():
    unseen(1)


def test_endless():
    assert endless(3) == 0


def test_size():
    assert SIZE == 1 and two(8) == 0


def test_only_the_first_time():
    import os

    two(1)
    assert not os.path.exists(FLAG)
    open(FLAG, "w").close()
"""
SCRIPT = """
import json, sys
from pathlib import Path
from tools.mutants.faults import faults
from tools.mutants.recording import Record
from tools.mutants.trying import Checkout, store

root = Path(sys.argv[1])
checkout, record = Checkout(root, "some"), Record()
checkout.record(["test_some.py"], record, root / "record.json")
record = Record.load(root / "record.json")
names, file = list(record.tests), root / "some/core.py"
before = file.read_text()
executing = {f.key: [n for n in names if record.tests[n].executes(f)] for f in faults(file, root)}
inside = [f for f in faults(file, root) if f.called]
jobs = [(f, executing[f.key], 1.0) for f in inside]
checkout.replaced(jobs, ("test_some.py",), ["some/core.py"], lambda f, *a: store(root / "told", told=[f.key, a]))
told = dict(json.loads(line)["told"] for line in (root / "told").read_text().splitlines())
for fault in [f for f in faults(file, root) if not f.called]:
    told[fault.key] = checkout.anew(fault, names, 60.0)
print(json.dumps([told, executing, record.failed, before == file.read_text()]))
"""


def test_faults_are_seen_by_the_tests_that_execute_them(tmp_path: Path, root: Path) -> None:
    (tmp_path / "some").mkdir()
    (tmp_path / "some/__init__.py").write_text("")
    (tmp_path / "some/core.py").write_text(LIBRARY)
    (tmp_path / "test_some.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    ran = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(root), "PATH": ""}, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    told, executing, failed, restored = json.loads(ran.stdout)
    said = {key.removeprefix("some/core.py | "): value for key, value in told.items()}
    lines = {key.removeprefix("some/core.py | "): value for key, value in executing.items()}
    some = "test_some.py::test_"
    assert failed == []
    assert restored
    seen = "return x + 1 if x < 7 else 0"
    assert set(lines[f"Add to Sub | {seen}"]) == {f"{some}{n}" for n in ("two", "size", "only_the_first_time")}
    assert said[f"Add to Sub | {seen}"] == [1, f"{some}two"]  # and not by the test that fails without it as well
    assert said[f"0 to 1 | {seen}"] == [1, f"{some}size"]
    assert said[f"Lt to LtE | {seen}"] == [0, ""]
    assert said["Mult to Div | return 2 * x"] == [0, ""]
    assert said["Sub to Add | x = x - 1"] == [1, "no end"]
    assert said["1 to 2 | SIZE = 1"] == [1, f"{some}size"]
