"""Which functions have their shape annotations checked while tests run: those that have any, each wrapped once.

jaxtyping's hook wraps every function, and a function inside a function anew at each call; with both the tests take
three times as long. Types without shapes are mypy's.
"""

from __future__ import annotations

import ast

from jaxtyping import _import_hook

SHAPED = {"Bool", "Float", "Inexact", "Int", "Num", "Shaped"}


def _has_shapes(annotations: list[ast.expr | None]) -> bool:
    nodes = (node for one in annotations if one is not None for node in ast.walk(one))
    return any(isinstance(node, ast.Subscript) and getattr(node.value, "id", None) in SHAPED for node in nodes)


class Narrow(_import_hook.JaxtypingTransformer):
    """Wraps classes with fields, and functions of modules and classes with arguments or results, that state a shape."""

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        if _has_shapes([part.annotation for part in node.body if isinstance(part, ast.AnnAssign)]):
            return super().visit_ClassDef(node)
        self.generic_visit(node)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
        if _has_shapes([node.returns, *(argument.annotation for argument in every if argument is not None)]):
            body, node.body = node.body, []
            super().visit_FunctionDef(node)
            node.body = body
        return node


def narrow() -> None:
    """Let jaxtyping's hook wrap no more than these."""
    _import_hook.JaxtypingTransformer = Narrow
