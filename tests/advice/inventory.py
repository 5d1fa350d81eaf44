"""What the errors of the library advise, read off its source: each place that makes one, and what it says to do.

A variable is followed to what it was given: in its function, or by the callers of a helper; a function to what it
returns; an attribute to what objects are made with.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import hf_fourier

PACKAGE = Path(hf_fourier.__file__).parent
#: Errors whose third argument, or `do=`, is the advice.
KINDS = {
    "InputError", "TargetError", "SpecError", "ModelError", "NotFinite", "StorageError", "DamagedFile", "HubError",
    "FourierError",
}  # fmt: skip
MISSING = "MissingExtraError"
_ANYTHING = ".*"
#: How many callers are gone up to.
_DEPTH = 2


@dataclass(frozen=True)
class Advice:
    """One piece of advice at one place.

    Attributes:
        where: File and function.
        pattern: A regular expression of what it says; None where it is made elsewhere.
    """

    where: str
    pattern: str | None

    def says(self, text: str) -> bool:
        """Whether this place can say `text`."""
        return self.pattern is not None and re.fullmatch(self.pattern, text, re.DOTALL) is not None


@cache
def advices() -> list[Advice]:
    """All advice of the package, by file."""
    return [advice for name, tree in _trees().items() for advice in _of_file(name, tree)]


@cache
def extras() -> list[tuple[str, str, str]]:
    """File, package and extra of each place that misses an optional package."""
    found = []
    for name, tree in _trees().items():
        for call, _ in _calls(tree, None):
            if _name(call) == MISSING:
                package, extra = (ast.literal_eval(given) for given in call.args[:2])
                found.append((name, package, extra))
    return found


@cache
def _trees() -> dict[str, ast.Module]:
    paths = sorted(PACKAGE.rglob("*.py"))
    return {str(path.relative_to(PACKAGE)): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


@cache
def _called() -> dict[str, list[tuple[ast.Module, ast.Call, ast.FunctionDef | None]]]:
    """Where each name is called, and in which function."""
    found: dict[str, list[tuple[ast.Module, ast.Call, ast.FunctionDef | None]]] = {}
    for tree in _trees().values():
        for call, function in _calls(tree, None):
            found.setdefault(_name(call), []).append((tree, call, function))
    return found


@cache
def _functions() -> dict[str, list[tuple[ast.Module, ast.FunctionDef]]]:
    found: dict[str, list[tuple[ast.Module, ast.FunctionDef]]] = {}
    for tree in _trees().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                found.setdefault(node.name, []).append((tree, node))
    return found


@cache
def _classes() -> list[tuple[ast.Module, ast.ClassDef]]:
    return [(tree, node) for tree in _trees().values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]


def _of_file(name: str, tree: ast.Module) -> Iterator[Advice]:
    for call, function in _calls(tree, None):
        if _name(call) not in KINDS:
            continue
        given = [keyword.value for keyword in call.keywords if keyword.arg == "hint"] or call.args[2:3]
        for do in given:
            for pattern in _Reading(tree, function).of(do):
                yield Advice(f"{name}:{function.name if function else 'module'}", pattern)


def _name(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def _calls(node: ast.AST, function: ast.FunctionDef | None) -> Iterator[tuple[ast.Call, ast.FunctionDef | None]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call):
            yield child, function
        yield from _calls(child, child if isinstance(child, ast.FunctionDef) else function)


@dataclass(frozen=True)
class _Reading:
    """Reads what expressions of one function can say."""

    tree: ast.Module
    function: ast.FunctionDef | None
    depth: int = 0
    inside: bool = False

    def of(self, do: ast.expr) -> list[str | None]:
        """A regular expression for each thing that an expression can be; None where it is not written out."""
        match do:
            case ast.Constant(value=str(text)):
                return [re.escape(text)]
            case ast.JoinedStr(values=parts):
                return self._joined(parts)
            case ast.IfExp(body=body, orelse=other):
                return [*self.of(body), *self.of(other)]
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return self._joined([left, right])
            case ast.Name(id=name):
                return self._set(do, name) or self._constant(name) or self._handed(name) or [None]
            case ast.Call(func=ast.Attribute(value=ast.Name(id=table), attr="get"), args=[_, other]):
                return [way for value in [*_values(self.tree, table), other] for way in self.of(value)]
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if not self.inside:
                return _returned(name) or [None]
            case ast.Attribute(attr="hint"):
                return []  # another error's, passed on
            case ast.Attribute(attr=name) if not self.inside:
                return _fields(name) or [None]
        return [None]

    def _joined(self, parts: list[ast.expr]) -> list[str | None]:
        found = [""]
        for part in parts:
            inner = part.value if isinstance(part, ast.FormattedValue) else part
            plain = replace(self, depth=_DEPTH)
            if not isinstance(part, ast.FormattedValue):
                known = plain.of(inner)
            else:
                named = isinstance(inner, ast.Name) and part.conversion == -1  # !r writes it in another form
                known = plain._set(inner, inner.id) or plain._constant(inner.id) if named else []
            ways = [_ANYTHING if way is None else way for way in known or [None]]
            found = [f"{before}{way}" for before in found for way in ways]
        return list(found)

    def _set(self, use: ast.expr, name: str) -> list[str | None]:
        """What a variable of the function can be where it is used."""
        if self.function is None:
            return []
        blocks = [block for block in _blocks(self.function) if _spans(block, use)]
        found: list[ast.expr] = []
        for node in _statements(self.function):
            if node.lineno > use.lineno:
                break
            if isinstance(node, (ast.Assign, ast.AugAssign)) and use.lineno <= (node.end_lineno or 0):
                continue  # it says something of what the variable was before
            value = _given(node, name)
            if value is not None and isinstance(node, ast.AugAssign):
                found += [ast.BinOp(one, ast.Add(), value) for one in found]
            elif value is not None:
                surely = any(node in block for block in blocks)
                found = [value] if surely else [*found, value]
        return [way for value in found for way in self.of(value)]

    def _handed(self, name: str) -> list[str | None]:
        """What callers hand over to a helper."""
        if self.function is None:
            return []
        places = [argument.arg for argument in self.function.args.args if argument.arg != "self"]
        if name not in places or self.depth == _DEPTH:
            return []
        place, found = places.index(name), list[str | None]()
        for tree, call, function in _called().get(self.function.name, ()):
            if len(call.args) > place:
                found += _Reading(tree, function, self.depth + 1, self.inside).of(call.args[place])
        return found

    def _constant(self, name: str) -> list[str | None]:
        """What a module's constant is, of this module or of another one of the package."""
        if not name.isupper():
            return []
        own = _constants(self.tree, name)
        places = [(self.tree, value) for value in own] or [
            (tree, value) for tree in _trees().values() for value in _constants(tree, name)
        ]
        return [way for tree, value in places for way in _Reading(tree, None, _DEPTH, self.inside).of(value)]


@cache
def _returned(name: str) -> list[str | None]:
    """The texts that functions of a name return."""
    found = list[str | None]()
    for tree, node in _functions().get(name, ()):
        values = [one.value for one in ast.walk(node) if isinstance(one, ast.Return) and one.value is not None]
        found += [way for value in values for way in _Reading(tree, node, _DEPTH, inside=True).of(value) if way]
    return found


@cache
def _fields(name: str) -> list[str | None]:
    """The texts that objects have in an attribute: its default, and what classes with it are called with."""
    found = list[str | None]()
    for tree, kind in _classes():
        names = {}
        for node in kind.body:
            match node:
                case ast.AnnAssign(target=ast.Name(id=own), value=value, annotation=said):
                    names |= {} if "ClassVar" in ast.unparse(said) else {own: value}
                case ast.FunctionDef(name="__init__", args=ast.arguments(args=[_, *own], defaults=values)):
                    filled = [*[None] * (len(own) - len(values)), *values]
                    names |= dict(zip((one.arg for one in own), filled, strict=True))
        if name not in names:
            continue
        written = [value for value in [names[name]] if value is not None]
        place = list(names).index(name)
        for where, call, _ in _called().get(kind.name, ()):
            given = [one.value for one in call.keywords if one.arg == name] + call.args[place : place + 1]
            found += [way for value in given for way in _Reading(where, None, _DEPTH, inside=True).of(value)]
        found += [way for value in written for way in _Reading(tree, None, _DEPTH, inside=True).of(value)]
    return found


def _values(tree: ast.Module, table: str) -> list[ast.expr]:
    """The values of a module's dictionary."""
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Dict(values=values)) if name == table:
                return values
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.Dict(values=values)) if name == table:
                return values
    return []


def _constants(tree: ast.Module, name: str) -> list[ast.expr]:
    return [value for node in tree.body if (value := _given(node, name)) is not None]


def _spans(block: list[ast.stmt], use: ast.expr) -> bool:
    """Whether an expression stands in a block."""
    return bool(block) and block[0].lineno <= use.lineno <= (block[-1].end_lineno or 0)


def _blocks(node: ast.AST) -> Iterator[list[ast.stmt]]:
    for one in ast.walk(node):
        for field in ("body", "orelse", "finalbody"):
            block = getattr(one, field, None)
            if isinstance(block, list):
                yield block


def _statements(function: ast.FunctionDef) -> list[ast.stmt]:
    return sorted((one for one in ast.walk(function) if isinstance(one, ast.stmt)), key=lambda one: one.lineno)


def _given(node: ast.stmt, name: str) -> ast.expr | None:
    """What a statement sets a variable to, or adds to it."""
    match node:
        case ast.Assign(targets=[ast.Name(id=found)], value=value) if found == name:
            return value
        case ast.AugAssign(target=ast.Name(id=found), value=value) if found == name:
            return value
        case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
            pairs = zip(names, values, strict=False)
            return next((value for one, value in pairs if isinstance(one, ast.Name) and one.id == name), None)
    return None
