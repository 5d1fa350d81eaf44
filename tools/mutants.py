"""Small faults put into the library, one at a time, and whether the tests of the same room see them.

    python -m tools.mutants [--seed 0] [--count 30] [--rooms methods domains ...] [--list]

A fault is one edit of one line: a comparison or an operator exchanged, a whole number larger by one, a truth value or
`and` and `or` exchanged, a sign or a `not` dropped, the branches of a conditional exchanged. A seeded draw takes faults
from each room in proportion to those that it can have, copies the checkout, and runs the tests of the room
(`tests/ROOM`, and `tests/contracts` for what has laws there), first without a fault, then with each in turn. Faults
that no test sees are printed with their line: each is answered by a test, or is named equivalent in `EQUIVALENT`.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: By room: the tests that have to see its faults.
ROOMS = {
    "domains": ("tests/domains", "tests/contracts/test_domains.py"),
    "methods": ("tests/methods", "tests/contracts/test_methods.py"),
    "scoring": ("tests/scoring",),
    "results": ("tests/results",),
    "evaluation": ("tests/evaluation", "tests/contracts/test_metrics.py"),
    "runs": ("tests/runs",),
    "report/privacy.py": ("tests/report/test_privacy.py", "tests/hub/test_secrets.py"),
}
#: Faults that change nothing: "path:line text" and why.
EQUIVALENT: dict[str, str] = {
    "hf_fourier/domains/filterbank.py:201 Sub to Add": "what is cut off there is zero, and zeros are added again",
    "hf_fourier/domains/filterbank.py:311 1 to 2": "any negative place is outside of the signal",
    "hf_fourier/methods/amplitude.py:165 1 to 2": "only the first row is read",
    "hf_fourier/methods/amplitude.py:167 0 to 1": "the product is 0 or at least 2",
}
_TURNED = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_SWAPPED = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult}


@dataclass(frozen=True)
class Fault:
    """One edit.

    Attributes:
        path: The file, relative to the checkout.
        line: Where.
        what: What was done, in words.
        text: The whole file with the fault.
    """

    path: str
    line: int
    what: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.what}"


def edits(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """A node's faulty forms, with what was done."""
    if isinstance(node, ast.Compare):
        for i, operator in enumerate(node.ops):
            if type(operator) in _TURNED:
                compared = copy.deepcopy(node)
                compared.ops[i] = _TURNED[type(operator)]()
                yield compared, f"{type(operator).__name__} to {_TURNED[type(operator)].__name__}"
    if isinstance(node, ast.BinOp) and type(node.op) in _SWAPPED:
        swapped = _SWAPPED[type(node.op)]
        yield ast.BinOp(node.left, swapped(), node.right), f"{type(node.op).__name__} to {swapped.__name__}"
    if isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values), "and/or exchanged"
    if isinstance(node, ast.Constant) and type(node.value) is int:
        yield ast.Constant(node.value + 1), f"{node.value} to {node.value + 1}"
    if isinstance(node, ast.Constant) and type(node.value) is bool:
        yield ast.Constant(not node.value), f"{node.value} to {not node.value}"
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.Not, ast.Invert)):
        yield copy.deepcopy(node.operand), f"{type(node.op).__name__} dropped"
    if isinstance(node, ast.IfExp):
        yield ast.IfExp(node.test, node.orelse, node.body), "branches exchanged"


def faults(path: Path, root: Path) -> list[Fault]:
    """Every fault of a file; docstrings, annotations, messages and `strict` of `zip` (an assertion) are left alone."""
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    left_out: set[ast.AST] = set()
    for node in ast.walk(tree):
        parts: list[ast.AST | None] = []
        if isinstance(node, ast.Raise):
            parts = [node.exc]
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            parts = [
                node.returns,
                *(argument.annotation for argument in ast.walk(node.args) if isinstance(argument, ast.arg)),
            ]
        elif isinstance(node, ast.AnnAssign):
            parts = [node.annotation]
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            parts = [node]
        elif isinstance(node, ast.Call):
            parts = [keyword.value for keyword in node.keywords if keyword.arg == "strict"]
        left_out.update(inner for part in parts if part is not None for inner in ast.walk(part))
    lines, found = source.split("\n"), []
    for node in ast.walk(tree):
        if node in left_out or not isinstance(node, ast.expr) or node.lineno != node.end_lineno:
            continue
        for other, what in edits(node):
            line = lines[node.lineno - 1].encode()
            begin, end = node.col_offset, node.end_col_offset or 0
            faulty = (line[:begin] + f"({ast.unparse(other)})".encode() + line[end:]).decode()
            text = "\n".join([*lines[: node.lineno - 1], faulty, *lines[node.lineno :]])
            try:
                ast.parse(text)
            except SyntaxError:  # inside an f-string, whose places are not the file's
                continue
            found.append(Fault(str(path.relative_to(root)), node.lineno, what, text))
    return found


def drawn(rooms: list[str], count: int, seed: int) -> dict[str, list[Fault]]:
    """`count` faults over all rooms, in proportion to the faults that each can have."""
    rng, every = random.Random(seed), {}
    for room in rooms:
        place = ROOT / "hf_fourier" / room
        files = [place] if place.is_file() else sorted(p for p in place.rglob("*.py") if "modules" not in p.parts)
        every[room] = [fault for file in files for fault in faults(file, ROOT)]
    total = sum(map(len, every.values()))
    return {
        r: rng.sample(own, min(len(own), max(1, round(count * len(own) / total)))) for r, own in every.items() if own
    }


def seen(fault: Fault, tests: tuple[str, ...], checkout: Path, limit: float) -> bool:
    """Whether a test of the room fails, or cannot be imported, with the fault in place; one without end is seen too."""
    path = checkout / fault.path
    before = path.read_text(encoding="utf-8")
    path.write_text(fault.text, encoding="utf-8")
    try:
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "timeout": limit}
        environment = {**os.environ, "PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1"}
        code = subprocess.run(command, cwd=checkout, env=environment, **quiet).returncode  # type: ignore[call-overload]
    except subprocess.TimeoutExpired:
        return True
    else:
        if code not in (0, 1, 2):  # passed, failed, not importable; else nothing was run
            raise SystemExit(f"pytest ended with {code} for {' '.join(tests)}")
        return code != 0
    finally:
        path.write_text(before, encoding="utf-8")


def main() -> int:
    """Draw, try, and report by room; 1 if a fault was seen by no test and is not known to be equivalent."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--rooms", nargs="*", default=list(ROOMS), choices=list(ROOMS))
    parser.add_argument("--limit", type=float, default=600.0, help="seconds for the tests of one fault")
    parser.add_argument("--list", action="store_true", help="print the faults and try none")
    given = parser.parse_args()
    chosen = drawn(given.rooms, given.count, given.seed)
    if given.list:
        sys.stdout.writelines(f"{fault}\n" for own in chosen.values() for fault in own)
        return 0
    unseen = 0
    with tempfile.TemporaryDirectory() as place:
        checkout = Path(place) / "checkout"
        shutil.copytree(ROOT, checkout, ignore=shutil.ignore_patterns(".git", ".venv", "__pycache__", "docs"))
        for room, own in chosen.items():
            untouched = Fault(own[0].path, 0, "no fault", (ROOT / own[0].path).read_text(encoding="utf-8"))
            if seen(untouched, ROOMS[room], checkout, given.limit):
                raise SystemExit(f"the tests of {room} fail without a fault")
            left = [fault for fault in own if not seen(fault, ROOMS[room], checkout, given.limit)]
            real = [fault for fault in left if str(fault) not in EQUIVALENT]
            unseen += len(real)
            sys.stdout.write(f"{room}: {len(own) - len(left)} of {len(own)} seen, {len(left) - len(real)} equivalent\n")
            sys.stdout.writelines(f"  {fault}\n" for fault in real)
            sys.stdout.flush()
    return int(unseen > 0)


if __name__ == "__main__":
    sys.exit(main())
