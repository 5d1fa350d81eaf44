"""Which functions have their shape annotations checked while tests run, and how often: those that state any shape, at
their first calls in each test.

jaxtyping's hook wraps every function, a function inside a function anew at each call, and checks arguments twice at
every call; with all of it the tests take three times as long. Types without shapes are mypy's.
"""

from __future__ import annotations

import ast
import functools
import inspect
import types
from collections.abc import Callable
from typing import Any

import beartype
from jaxtyping import _import_hook, config, install_import_hook, jaxtyped

SHAPED = {"Bool", "Float", "Inexact", "Int", "Num", "Shaped"}
#: What a function is made of.
PARTS = ("code", "globals", "name", "defaults", "closure")
#: Calls of a function in one test that are checked.
CALLS = 3
#: An int passes for a float, as it does for type checkers.
typed = beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))


class Begun:
    """How many tests have begun."""

    tests = 0


def begin_test() -> None:
    """Functions are checked again at their next calls."""
    Begun.tests += 1


def checked(made: Any) -> Any:
    """A function, or a class by its initializer, whose arguments and result have the shapes that it states."""
    if inspect.isclass(made):
        if "__init__" in vars(made):
            made.__init__ = _checked_function(made.__init__)
        return made
    if isinstance(made, classmethod | staticmethod):
        return type(made)(_checked_function(made.__func__))
    return _checked_function(made)


def _checked_function(function: Callable[..., Any]) -> Callable[..., Any]:
    made: list[Callable[..., Any]] = []
    test = calls = 0

    @functools.wraps(function)
    def first_calls_checked(*args: Any, **kwargs: Any) -> Any:
        nonlocal test, calls
        if test != Begun.tests:
            test, calls = Begun.tests, 0
        if calls == CALLS or config.jaxtyping_disable:
            return function(*args, **kwargs)
        calls += 1
        if not made:  # only now is all of its module known
            made.append(_check_of(function))
        return made[0](*args, **kwargs)

    return first_calls_checked


def _check_of(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with its annotations checked, but those that name what is imported for type checkers alone."""
    if inspect.isgeneratorfunction(function):  # which beartype checks at its first step: too late
        return jaxtyped(function, typechecker=typed)
    known = types.FunctionType(*(getattr(function, f"__{part}__") for part in PARTS))
    known.__kwdefaults__, known.__qualname__, known.__module__ = (
        function.__kwdefaults__, function.__qualname__, function.__module__,
    )  # fmt: skip
    known.__annotations__ = {name: _resolved(one, function) for name, one in function.__annotations__.items()}
    return jaxtyped(typed(known), typechecker=None)


def _resolved(annotation: Any, function: Callable[..., Any]) -> Any:
    """What an annotation stands for; anything, if it names what is not there at run time."""
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, function.__globals__)
    except (AttributeError, NameError, TypeError):
        return Any


def _has_shapes(annotations: list[ast.expr | None]) -> bool:
    nodes = (node for one in annotations if one is not None for node in ast.walk(one))
    return any(isinstance(node, ast.Subscript) and getattr(node.value, "id", None) in SHAPED for node in nodes)


class Narrow(_import_hook.JaxtypingTransformer):
    """Wraps classes with fields, and functions of modules and classes with arguments or results, that state a shape."""

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        if _has_shapes([part.annotation for part in node.body if isinstance(part, ast.AnnAssign)]):
            node.decorator_list.insert(0, self._decorator(node))
        self.generic_visit(node)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
        if _has_shapes([node.returns, *(argument.annotation for argument in every if argument is not None)]):
            node.decorator_list.append(self._decorator(node))
        return node

    def _decorator(self, node: ast.ClassDef | ast.FunctionDef) -> ast.expr:
        found = f"jaxtyping._import_hook.Typechecker.lookup['{self._typechecker.hash}']"
        made = ast.parse(found, mode="eval").body
        for part in ast.walk(made):
            ast.copy_location(part, node)
        return made


def install() -> None:
    """Check what is imported from the package from now on."""
    _import_hook.JaxtypingTransformer = Narrow
    install_import_hook("hf_fourier", "tests.shape_checks.checked")  # the hook takes nothing but a dotted name
