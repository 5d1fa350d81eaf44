"""Faults are put where they can be seen, one line at a time, and a test that fails is one that sees."""

from __future__ import annotations

import ast
from pathlib import Path

from tools.mutants import Fault, drawn, faults, seen

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
    for fault in found:
        lines = zip(SOURCE.split("\n"), fault.text.split("\n"), strict=True)
        assert [i for i, (a, b) in enumerate(lines, 1) if a != b] == [fault.line], fault
        assert ast.dump(ast.parse(fault.text)) != ast.dump(ast.parse(SOURCE)), fault


def test_a_draw_is_the_same_again_and_covers_every_room() -> None:
    one, other = (drawn(["domains", "report/privacy.py"], 12, seed) for seed in (0, 0))
    assert one == other
    assert set(one) == {"domains", "report/privacy.py"}
    assert len(one["domains"]) > len(one["report/privacy.py"]) >= 1


def test_a_fault_is_seen_by_a_test_that_fails(tmp_path: Path) -> None:
    (tmp_path / "some.py").write_text("def two():\n    return 2\n")
    (tmp_path / "test_some.py").write_text("from some import two\n\ndef test_two():\n    assert two() > 1\n")
    kept = (tmp_path / "some.py").read_text()
    for number, expected in ((3, False), (0, True)):
        fault = Fault("some.py", 2, "", f"def two():\n    return {number}\n")
        assert seen(fault, ("test_some.py",), tmp_path, 60) == expected
        assert (tmp_path / "some.py").read_text() == kept
