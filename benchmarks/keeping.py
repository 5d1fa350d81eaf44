"""Numbers that are kept as they are made, so that a long run goes on where it was stopped.

The name of a file ends with a digest of what its numbers were made from (`cell`): numbers of other settings, of another
number of examples, of other models or of changed code are measured again.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import hf_fourier
from benchmarks import assets
from hf_fourier.methods import METHODS
from hf_fourier.results.formats import VERSION

_PACKAGE = Path(hf_fourier.__file__).resolve().parent
_METHODS = "hf_fourier.methods"


def kept(path: Path, make: Callable[[], Any]) -> Any:
    """What a file holds, made first where it does not exist."""
    if not path.exists():
        made = json.dumps(make(), indent=1)
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = path.with_name(f"{path.name}.{os.getpid()}.part")
        whole.write_text(made)
        whole.replace(path)
        print(path, file=sys.stderr, flush=True)
    return json.loads(path.read_text())


def cell_file(
    name: str, *, methods: Sequence[str] = (), models: Sequence[str] = (), code: Sequence[str] = (), **settings: Any
) -> str:
    """The name of a file of numbers, which changes with what they are made from.

    That is, beside the name: the methods with all their settings, defaults and presets included, and their code; the
    models, each with its revision and what it is built from; the code that measures; the settings; and hf_fourier's
    version. Comments, docstrings and layout of code do not count. Of the methods the files that define their classes
    and bases are read, and what these import of `hf_fourier.methods`. The rest of hf_fourier, and what a method of
    one's own imports, is not seen.

    Args:
        name: What is measured. Of a single method the name follows it.
        methods: Their specs.
        models: Names of assets.
        code: Names of the modules that measure.
        **settings: All else that the numbers depend on, as values for JSON.

    Raises:
        FourierError: If there is no such method.
    """
    made_from = {
        "name": name,
        "methods": [_method(method) for method in methods],
        "models": [_asset(model) for model in models],
        "code": [_code(_file_of(module)) for module in sorted({*code})],
        "settings": settings,
        "version": VERSION,
    }
    digest = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()
    whole = "-".join([name, *methods]) if len(methods) == 1 else name
    plain = "".join(letter if letter.isalnum() or letter in ".=-" else "_" for letter in whole)
    return f"{plain[:100]}-{digest[:12]}.json"


def _method(spec: str) -> dict[str, Any]:
    """A method by its class, all its settings, and its code."""
    method = METHODS.parse(spec)
    values = {field.name: repr(getattr(method, field.name)) for field in fields(method)}  # type: ignore[arg-type]
    code = sorted(_code(file) for file in _files(type(method)))
    return {"name": method.name, "settings": values, "code": code}


def _files(cls: type) -> set[Path]:
    """The files that define a class and its bases, and those of `hf_fourier.methods` that these import."""
    functions = [
        inspect.unwrap(member) for one in cls.__mro__ for member in vars(one).values() if inspect.isfunction(member)
    ]
    found, left = set[Path](), {Path(function.__code__.co_filename).resolve() for function in functions}
    while left:
        file = left.pop()
        if file.is_file() and file not in found:
            found.add(file)
            left |= set(_imports(file))
    return found


def _imports(file: Path) -> Iterator[Path]:
    """The modules of `hf_fourier.methods` that a file imports; the package itself imports all, and is left out."""
    for node in ast.walk(_tree(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module is not None and node.module.startswith(_METHODS):
            names = [node.module, *(f"{node.module}.{name.name}" for name in node.names)]
            files = [_PACKAGE.parent / f"{module.replace('.', '/')}.py" for module in names]
            yield from (one for one in files if one.is_file())


def _asset(name: str) -> list[Any]:
    """An asset's name and revision, and the same of what it is built from, with the digests of packages."""
    asset = assets.describe(name)
    built = [asset.builder, asset.variant, *(repr(package) for package in asset.packages)]
    return [asset.name, asset.revision, built, [_asset(parent) for parent in asset.parents]]


def _file_of(module: str) -> Path:
    """The file of a module."""
    return Path(str(importlib.import_module(module).__file__)).resolve()


def _code(file: Path) -> str:
    """A digest of a file's code, without comments, docstrings and layout."""
    return hashlib.sha256(ast.dump(_tree(file.read_text(encoding="utf-8"))).encode()).hexdigest()


@lru_cache(maxsize=256)
def _tree(text: str) -> ast.Module:
    """Code as a tree without docstrings."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:]
    return tree
