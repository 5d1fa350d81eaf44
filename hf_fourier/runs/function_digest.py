"""A digest of a function, a module or another callable: of its code and of all that its code reads.

Code of the standard library and of installed packages is known by its name. Everything else is read: constants,
globals, closures, defaults, attributes and classes. What cannot be read is an error.
"""

from __future__ import annotations

import dis
import hashlib
import importlib
import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, cached_property, partial
from os import PathLike
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch

from hf_fourier.runs.content_digest import feed
from hf_fourier.runs.weights_digest import weights_digest

#: Values that `feed` reads as a whole.
_LEAVES = (type(None), bool, int, float, complex, str, bytes, bytearray, np.generic, torch.Tensor, PathLike)
#: Folders of installed packages.
_PACKAGES = {"site-packages", "dist-packages"}
#: Instructions that read a global.
_GLOBALS = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")
#: Attributes of objects that do not change what they compute.
_NO_MATTER = {"_sklearn_version", "training"}
#: The attributes of a plain module: parameters and submodules, which are read apart, hooks and flags.
_OF_MODULES = frozenset(vars(torch.nn.Module()))


class Unreadable(ValueError):
    """What a function holds that cannot be read, in words."""


def function_digest(function: Any, known: Iterable[torch.nn.Module] = ()) -> str:
    """A digest of a callable; the same wherever it was defined and imported from.

    Args:
        function: A function, a bound method, a `partial`, a module or an object with `__call__`.
        known: Modules whose weights are known otherwise; they are not read.

    Raises:
        Unreadable: If it holds something that cannot be read: a session, an open file, a compiled object.
    """
    reader = _Reader(known)
    try:
        reader.read(function, "it")
    except RecursionError as error:
        raise Unreadable("objects in each other, too deep to follow") from error
    return reader.digest.hexdigest()


def is_processor(value: Any) -> bool:
    """Whether it is no module, and of a class of `transformers` or of this library, or of one derived from these."""
    packages = {kind.__module__.partition(".")[0] for kind in type(value).__mro__}
    return not isinstance(value, torch.nn.Module) and not packages.isdisjoint(("transformers", "hf_fourier"))


@cache
def _is_installed(module: str) -> bool:
    """Whether a module belongs to the standard library or to an installed package."""
    top = module.partition(".")[0]
    if top == "__main__":  # of a notebook or a test, though its file may be that of a package
        return False
    file = getattr(sys.modules.get(top), "__file__", None) or ""
    return top in sys.stdlib_module_names or not _PACKAGES.isdisjoint(Path(file).parts)


class _Reader:
    """Reads values into a digest, each object once: another occurrence is fed as its number."""

    def __init__(self, known: Iterable[torch.nn.Module]) -> None:
        self.digest = hashlib.blake2b(digest_size=16)
        self._known = {id(module) for module in known}
        self._places: dict[int, int] = {}
        self._kept: list[Any] = []  # so that no id is used twice

    def read(self, value: Any, name: str) -> None:
        """Feed a value.

        Args:
            value: Any object.
            name: What holds it, for errors.

        Raises:
            Unreadable: If it cannot be read.
        """
        if isinstance(value, _LEAVES) or (isinstance(value, np.ndarray) and not value.dtype.hasobject):
            try:
                feed(self.digest.update, value, 0)
            except (RuntimeError, TypeError, ValueError, NotImplementedError) as error:
                raise Unreadable(f"{name!r} of type {type(value).__name__}") from error
            return
        if not isinstance(value, (tuple, frozenset)):  # equal constants are one object or two, as the compiler likes
            if id(value) in self._places:
                self._mark("seen", self._places[id(value)])
                return
            self._places[id(value)] = len(self._places)
            self._kept.append(value)
        self._read_object(value, name)

    def _mark(self, *words: Any) -> None:
        self.digest.update(f"{' '.join(map(str, words))};".encode("utf-8", "backslashreplace"))

    def _read_object(self, value: Any, name: str) -> None:
        if id(value) in self._known or isinstance(value, torch.device):
            self._mark("known")
        elif isinstance(value, Mapping):
            self._mark("mapping", len(value))
            for key in sorted(value) if all(isinstance(key, str) for key in value) else value:
                self.read(key, name)
                self.read(value[key], str(key))
        elif isinstance(value, (list, tuple, np.ndarray)):
            self._mark("list", len(value))
            for item in value:
                self.read(item, name)
        elif isinstance(value, (set, frozenset)):
            self._mark("set", sorted(function_digest(item) for item in value))
        elif isinstance(value, CodeType):
            self._read_code(value)
        elif isinstance(value, FunctionType):
            self._read_function(value)
        elif isinstance(value, MethodType):
            self._mark("method")
            self.read(value.__self__, name)
            self.read(value.__func__, name)
        elif isinstance(value, partial):
            self._mark("partial")
            for part in (value.func, value.args, value.keywords):
                self.read(part, name)
        elif isinstance(value, torch.nn.Module):
            self._read_module(value)
        elif isinstance(value, ModuleType):
            self._mark("module", value.__name__)
        elif isinstance(value, type):
            self._read_class(value)
        elif hasattr(value, "__wrapped__"):  # as `functools.cache` makes it
            self._mark("wrapped", type(value).__qualname__)
            self.read(value.__wrapped__, name)
        elif inspect.isroutine(value) and _is_installed(type(value).__module__):
            self._read_builtin(value, name)
        elif is_processor(value):
            feed(self.digest.update, value, 0)
        else:
            self._read_state(value, name)

    def _read_code(self, code: CodeType) -> None:
        self._mark("code", code.co_names, code.co_varnames)
        self.digest.update(code.co_code)
        for constant in code.co_consts:
            self.read(constant, "a constant")

    def _read_function(self, function: FunctionType) -> None:
        wrapped = getattr(function, "__wrapped__", None)
        if _is_installed(str(function.__globals__.get("__name__"))):
            self._mark("function", function.__globals__["__name__"], function.__code__.co_qualname)
            if wrapped is not None:
                self.read(wrapped, function.__name__)
                return
        else:
            self.read(function.__code__, function.__name__)
            self._read_globals(function)
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        for name, cell in sorted(cells, key=lambda pair: pair[0]):
            try:
                held = cell.cell_contents
            except ValueError:  # not assigned yet
                continue
            self.read([name, held], name)
        self.read([function.__defaults__, function.__kwdefaults__], function.__name__)

    def _read_globals(self, function: FunctionType) -> None:
        """What the code and that of the functions in it names: globals, and what it takes from the user's modules."""
        package = str(function.__globals__.get("__package__") or "")
        codes = list(_codes(function.__code__))
        attributes = {name for code in codes for name in code.co_names}
        instructions = [one for code in codes for one in dis.get_instructions(code)]
        for name in sorted({one.argval for one in instructions if one.opname in _GLOBALS}):
            if name in function.__globals__:
                self._mark("global", name)
                self._read_named(function.__globals__[name], name, attributes)
        for name in sorted({one.argval for one in instructions if one.opname == "IMPORT_NAME"}):
            if name and not _is_installed(name):
                self._read_named(_imported(name, package), name, attributes)

    def _read_named(self, value: Any, name: str, attributes: set[str]) -> None:
        """A global; of a module of the user those entries that the code names."""
        self.read(value, name)
        if isinstance(value, ModuleType) and not _is_installed(value.__name__):
            for entry in sorted(attributes & set(vars(value))):
                self._mark("entry", entry)
                inner = vars(value)[entry]
                if not isinstance(inner, ModuleType) or id(inner) not in self._places:
                    self._read_named(inner, f"{name}.{entry}", attributes)

    def _read_module(self, module: torch.nn.Module) -> None:
        """A module that is not part of the model: its weights, its classes and their attributes."""
        self._mark("weights", weights_digest(module))
        for name, part in module.named_modules():
            held = {key: inner for key, inner in vars(part).items() if key not in _OF_MODULES}
            self._mark("part", name)
            self.read(type(part), name)
            self.read(held, type(part).__name__)

    def _read_class(self, kind: type) -> None:
        """A class of the user by its methods and attributes, and those of its bases; another by its name."""
        for one in kind.__mro__:
            if _is_installed(one.__module__):
                self._mark("class", one.__module__, one.__qualname__)
                continue
            self._mark("class", one.__qualname__)
            for name, member in sorted(vars(one).items()):
                code = getattr(member, "__func__", member)
                found = [code.fget, code.fset] if isinstance(code, property) else code
                found = code.func if isinstance(code, cached_property) else found
                plain = not name.startswith("__") and name != "_abc_impl"
                if isinstance(code, (FunctionType, property)) or (plain and not inspect.isdatadescriptor(code)):
                    self._mark("member", name)
                    self.read(found, f"{one.__name__}.{name}")

    def _read_builtin(self, function: Any, name: str) -> None:
        """A function that is not written in Python, by its name; a method of an object with that object."""
        self._mark("builtin", getattr(function, "__module__", None), getattr(function, "__qualname__", name))
        holder = getattr(function, "__self__", None)
        if holder is not None and not isinstance(holder, (ModuleType, type)):
            self.read(holder, name)

    def _read_state(self, value: Any, name: str) -> None:
        """Another object, by what `pickle` would store of it.

        Raises:
            Unreadable: If it has no state that can be stored.
        """
        try:
            state = value.__reduce_ex__(2)
        except Exception as error:  # whatever a class raises whose objects cannot be stored
            raise Unreadable(f"{name!r} of type {type(value).__name__}") from error
        if isinstance(state, str):
            self._mark("name", state)
            return
        cached = {key for key, kind in inspect.getmembers_static(type(value)) if isinstance(kind, cached_property)}
        for part in state:
            found = list(part) if isinstance(part, Iterator) else part
            if isinstance(found, dict):
                found = {key: inner for key, inner in found.items() if key not in cached | _NO_MATTER}
            self.read(found, name)


def _codes(code: CodeType) -> Iterator[CodeType]:
    """A code object and those in it: of inner functions, lambdas and comprehensions."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _imported(name: str, package: str) -> ModuleType:
    """The module that code imports when it runs.

    Raises:
        Unreadable: If there is none.
    """
    for full in (name, f"{package}.{name}"):
        if full in sys.modules:
            return sys.modules[full]
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise Unreadable(f"an import of {name!r}") from error
