"""The faults that a file can have, and where each is."""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

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
        key: A name that stays when other lines of the file change: path, edit, the line's code and, of several such
            faults in the file, which.
        statement: The first and last line of the statement (of a compound statement, of its head).
        called: Whether it is inside a function, and so runs when the function is called, not at import.
    """

    path: str
    line: int
    what: str
    text: str
    key: str = ""
    statement: tuple[int, int] = (0, 0)
    called: bool = True

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


def _left_out(tree: ast.Module) -> set[ast.AST]:
    """The nodes of annotations, messages, `strict` of `zip` (an assertion) and imports for type checkers."""
    left_out: set[ast.AST] = set()
    for node in ast.walk(tree):
        parts: list[ast.AST | None] = []
        if isinstance(node, ast.Raise):
            parts = [node.exc]
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            parts = [node.returns, *(a.annotation for a in ast.walk(node.args) if isinstance(a, ast.arg))]
        elif isinstance(node, ast.AnnAssign):
            parts = [node.annotation]
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            parts = [node]
        elif isinstance(node, ast.Call):
            parts = [keyword.value for keyword in node.keywords if keyword.arg == "strict"]
        left_out.update(inner for part in parts if part is not None for inner in ast.walk(part))
    return left_out


def _places(tree: ast.Module) -> dict[ast.AST, tuple[tuple[int, int], bool]]:
    """By node: the lines of its statement, and whether it is inside a function."""
    found: dict[ast.AST, tuple[tuple[int, int], bool]] = {}

    def visit(node: ast.AST, lines: tuple[int, int], called: bool) -> None:
        if isinstance(node, ast.match_case):
            lines = (node.pattern.lineno, node.pattern.end_lineno or 0)
        if isinstance(node, (ast.stmt, ast.ExceptHandler)):
            body = getattr(node, "body", None)
            lines = (node.lineno, max(node.lineno, body[0].lineno - 1) if body else node.end_lineno or 0)
        found[node] = lines, called
        for field, value in ast.iter_fields(node):
            inside = called or (
                field == "body" and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            )
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    visit(child, lines, inside)

    visit(tree, (0, 0), False)
    return found


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


def faults(path: Path, root: Path) -> list[Fault]:
    """Every fault of a file; docstrings, annotations, messages and `strict` of `zip` (an assertion) are left alone."""
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    left_out, places = _left_out(tree), _places(tree)
    special = (ast.JoinedStr, ast.match_case)
    unplaced = {inner for node in ast.walk(tree) if isinstance(node, special) for inner in ast.walk(node)}
    lines, found, seen = source.split("\n"), [], Counter()
    name = path.relative_to(root).as_posix()
    for node in ast.walk(tree):
        if node in left_out or not isinstance(node, ast.expr) or node.lineno != node.end_lineno:
            continue
        for other, what in edits(node):
            line = lines[node.lineno - 1].encode()
            begin, end = node.col_offset, node.end_col_offset or 0
            faulty = (line[:begin] + f"({ast.unparse(other)})".encode() + line[end:]).decode()
            text = "\n".join([*lines[: node.lineno - 1], faulty, *lines[node.lineno :]])
            if node in unplaced and not _parses(text):  # the places in an f-string may not be the file's
                continue
            key = f"{name} | {what} | {line.decode().strip()}"
            seen[key] += 1
            key += f" | {seen[key]}" if seen[key] > 1 else ""
            found.append(Fault(name, node.lineno, what, text, key, *places[node]))
    return found
