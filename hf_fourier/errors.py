"""What the library raises, and the checks of arguments by their names that raise it.

Every message says what was got, what was expected and what to do.
"""

from __future__ import annotations

import functools
import inspect
import math
import operator
import os
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from numbers import Real
from os import PathLike
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

#: What to do about an unknown name of a method or a domain.
SEE_NAMES = "see `hf-fourier methods` or `hf-fourier domains`"
#: What is expected of a signal with channels only.
ORDERED = "at least one axis along which order matters, such as time or height"

P = ParamSpec("P")
T = TypeVar("T")


class FourierError(Exception):
    """Base of the refusals of models, examples, targets, settings and files.

    Args:
        got: What arrived.
        expected: What would have been accepted.
        hint: What the reader can do about it.
    """

    def __init__(self, got: str, expected: str, hint: str) -> None:
        super().__init__(f"got {got}; expected {expected}; {hint}")
        self.got, self.expected, self.hint = got, expected, hint


class InputError(FourierError, ValueError):
    """An example, a tensor or an argument that cannot be explained."""


class TargetError(FourierError, ValueError):
    """A target that the model's head does not have."""


class SpecError(FourierError, ValueError):
    """A name or a parameter of a method or a domain that is not registered."""


class ModelError(FourierError, ValueError):
    """A checkpoint or a model that cannot be loaded or explained."""


class NotFinite(ModelError):
    """Numbers that a model makes NaN or infinite of some examples.

    Args:
        found: What was got, by example: its row in a batch, or its place among all.
        expected: As for all errors.
        hint: Likewise.
    """

    def __init__(self, found: Mapping[int, str], expected: str, hint: str) -> None:
        first, *others = sorted(found)
        likewise = f" (likewise {', '.join(map(str, others))})" if others else ""
        super().__init__(found[first] + likewise, expected, hint)
        self.found = dict(found)


class StorageError(FourierError, OSError):
    """Something on disk that cannot be written, or that another run writes."""


class DamagedFile(StorageError):
    """A stored file that is not as it was written: cut off, changed, or that of another result.

    Args:
        got: The file, and what is wrong with it.
        expected: As for all errors.
        hint: Likewise, with what can still be read.
        path: The file.
    """

    def __init__(self, got: str, expected: str, hint: str, path: Path) -> None:
        super().__init__(got, expected, hint)
        self.path = path


class HubError(FourierError, RuntimeError):
    """Something that the Hub did not take or give. What lies on this machine is as it was."""


class MissingExtraError(FourierError, ImportError):
    """An optional dependency that is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"no package {package!r}", f"it installed, for {purpose}", f"run `pip install 'hf_fourier[{extra}]'`"
        )


def checked(function: Callable[P, T]) -> Callable[P, T]:
    """A function whose arguments are checked by their names, and plain: numbers of Python in place of numpy's.

    Every public entry point passes through here (`torch_state.exact`), so that one parameter takes the same things
    everywhere. `CHECKS` lists the names; None passes where it is the default. Errors of the disk where there is a
    `folder` or a `path` are `StorageError`s.
    """
    parameters = inspect.signature(function).parameters
    places = [
        (i, name, _or_none(CHECKS[name]) if parameters[name].default is None else CHECKS[name])
        for i, name in enumerate(parameters)
        if name in CHECKS
    ]
    if not places:
        return function
    on_disk = {"folder", "path"} & parameters.keys()

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        given: list[Any] = list(args)
        for i, name, check in places:
            if i < len(given):
                given[i] = check(name, given[i])
            elif name in kwargs:
                kwargs[name] = check(name, kwargs[name])
        try:
            return function(*given, **kwargs)
        except OSError as error:
            if isinstance(error, FourierError) or not on_disk:
                raise
            got = f"{error.filename or 'a place'!s}, which cannot be written or read ({error.strerror or error})"
            raise StorageError(got, "a disk that can be read and written", "fix that, or choose another") from error

    return call


def _or_none(check: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    """A check that None passes."""
    return lambda name, value: None if value is None else check(name, value)


def brief(value: Any) -> str:
    """A value in few characters, whatever its `repr` does."""
    try:
        return repr(value) if isinstance(value, (bool, int, float, str)) and len(str(value)) < 60 else _kind_of(value)
    except Exception:  # a repr or a length of somebody else's
        return _kind_of(value)


def _kind_of(value: Any) -> str:
    kind = value.__name__ if isinstance(value, type) else type(value).__name__
    return f"the type {kind}" if isinstance(value, type) else f"a value of type {kind}"


def lone(value: Any) -> Any:
    """The number in a tensor or an array of one entry; anything else as it is."""
    try:
        if hasattr(value, "item") and math.prod(value.shape) == 1 and not isinstance(value, type):
            return value.item()
    except Exception:  # meta, sparse and quantised tensors, and what only looks like one
        return value
    return value


def whole_number(name: str, value: Any, least: int | None = None, expected: str = "a whole number") -> int:
    """A whole number of any kind as an int.

    Raises:
        InputError: If it is none, a truth value, or too small.
    """
    found = lone(value)
    try:
        number = None if isinstance(found, bool) else operator.index(found)
    except Exception:  # of `__index__` of somebody else's
        number = None
    if number is None or (least is not None and number < least):
        raise InputError(f"{name} {brief(value)}", expected, f"correct `{name}`")
    return number


def real_number(name: str, value: Any, expected: str = "a number", hint: str = "") -> float:
    """A real number of any kind as a float, NaN and infinity too.

    Raises:
        InputError: If it is none, or a truth value.
    """
    found = lone(value)
    if isinstance(found, bool) or not isinstance(found, Real):
        raise InputError(f"{name} {brief(value)}", expected, hint if hint else f"correct `{name}`")
    try:
        return found if isinstance(found, (int, float)) else float(found)
    except (OverflowError, ValueError) as error:
        raise InputError(f"{name} {brief(value)}", expected, hint if hint else f"correct `{name}`") from error


def _seed(name: str, value: Any) -> int:
    number = whole_number(name, value, 0, "a whole number from 0 to 2⁶³ − 1")
    if number >= 2**63:
        raise InputError(f"{name} {brief(value)}", "a whole number from 0 to 2⁶³ − 1", f"correct `{name}`")
    return number


def _count(name: str, value: Any) -> int:
    return whole_number(name, value, 0, "a whole number of at least 0")


def _k(name: str, value: Any) -> int | None:
    return None if value is None else whole_number(name, value, 0, "a whole number of at least 0")


def _rows(name: str, value: Any) -> Any:
    if isinstance(value, str) and value == "auto":
        return value
    try:
        return whole_number(name, value, 1)
    except InputError as error:
        expected = "a whole number of at least 1, or 'auto'"
        raise InputError(f"{name} {brief(value)}", expected, f"correct `{name}`") from error


def _fraction(name: str, value: Any) -> float | None:
    do = "for a count of features use `k=`"
    return None if value is None else real_number(name, value, "a number from 0 to 1", do)


def _real(name: str, value: Any) -> float | None:
    return None if value is None else real_number(name, value)


def _fractions(name: str, value: Any) -> Any:
    """Fractions are checked where they are used; here only that there are several."""
    if hasattr(value, "keep"):
        return value
    several = [*value.tolist()] if is_list_like(value) and hasattr(value, "tolist") else value
    if not is_list_like(several):
        raise InputError(f"{name} {brief(value)}", "fractions from 0 to 1, at least one", f"correct `{name}`")
    return tuple(real_number(name, one, "fractions from 0 to 1, at least one") for one in several)


def is_list_like(value: Any) -> bool:
    """Whether something has an order and entries, and is no text."""
    if isinstance(value, (str, bytes, bytearray, Mapping, PathLike, set, frozenset, type)):
        return False
    if hasattr(value, "shape"):
        try:
            return len(value.shape) == 1 and value.tolist() is not None
        except Exception:  # a meta or a sparse tensor
            return False
    return hasattr(value, "__iter__")


def _each(name: str, value: Any) -> Any:
    """One of something for each example."""
    if value is None or is_list_like(value):
        return value if value is None or hasattr(value, "__len__") else list(value)
    do = "for one use `target`" if name == "targets" else f"correct `{name}`"
    raise InputError(f"{name} {brief(value)}", "one for each example, in a list", do)


def _groups(name: str, value: Any) -> Any:
    return value if isinstance(value, str) else _each(name, value)  # a letter for each example


def _results(name: str, value: Any) -> Any:
    """One result or several, also in an array of objects; what they are, is checked where they are used."""
    numbers = hasattr(value, "shape") and (str(getattr(value, "dtype", "")) != "object" or value.shape == ())
    if value is None or isinstance(value, (str, bytes, Mapping, PathLike)) or numbers:
        do = "call explain first, and pass what it returns"
        raise InputError(f"{name} {brief(value)}", "results of explain", do)
    return value


def _names(name: str, value: Any) -> Any:
    if value is None:
        return None
    found = [value] if isinstance(value, str) else list(value) if is_list_like(value) else []
    if (found or is_list_like(value)) and all(isinstance(one, str) for one in found):
        return found
    raise InputError(f"{name} {brief(value)}", "a list of names, or None", f"correct `{name}`")


def _progress(name: str, value: Any) -> Any:
    if isinstance(value, bool):
        return _bar() if value else None
    if value is None or callable(value):
        return value
    raise InputError(f"{name} {brief(value)}", "True, a function, or None", f"correct `{name}`")


def _bar() -> Callable[[int, int], None]:
    """What draws a bar on standard error when it is called with (done, in all)."""
    from tqdm import tqdm

    bars: list[Any] = []

    def advance(done: int, whole: int) -> None:
        if not bars:
            bars.append(tqdm(total=whole))
        bars[0].update(done - bars[0].n)
        if done >= whole:
            bars[0].close()

    return advance


def _forward(name: str, value: Any) -> Any:
    if callable(value):
        return value
    do = "pass the model itself, or a function of its input"
    raise InputError(f"{name} {brief(value)}", "a callable `(rows, …) -> (rows, classes)`", do)


def _text(name: str, value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    raise InputError(f"{name} {brief(value)}", "a text", f"correct `{name}`")


def _truth_or_text(name: str, value: Any) -> bool | str:
    return value if isinstance(value, str) else _truth(name, value)


def _truth(name: str, value: Any) -> bool:
    found = lone(value)
    if isinstance(found, bool) or (isinstance(found, int) and found in (0, 1)):
        return bool(found)
    raise InputError(f"{name} {brief(value)}", "True or False", f"correct `{name}`")


def _place(name: str, value: Any) -> Any:
    """The name of a file or a folder, which can be one; None where there is none."""
    return value if value is None else _folder(name, value)


def _folder(name: str, value: Any) -> Any:
    try:
        path = os.fspath(value)
        if isinstance(path, str) and path and "\0" not in path and os.fsencode(path):
            return value
    except (TypeError, ValueError):
        pass
    raise InputError(f"{name} {brief(value)}", "the path of a file or a folder", f"correct `{name}`")


def _spec(name: str, value: Any) -> Any:
    """A spec or an object; which ones there are, the registries know."""
    if value is None or isinstance(value, str) or (is_dataclass(value) and not isinstance(value, type)):
        return value
    raise SpecError(f"{name} {brief(value)}", "a name or one of the objects", SEE_NAMES)


def _specs(name: str, value: Any) -> Any:
    if is_list_like(value):
        return [_spec(name, one) for one in value]
    return _spec(name, value)


#: The check of every parameter of this name of a public function or method.
CHECKS: Mapping[str, Callable[[str, Any], Any]] = {
    "seed": _seed, "batch_size": _rows, "n": _count, "k": _k, "random_orders": _count, "check": _count,
    "fraction": _fraction, "fractions": _fractions, "dither": _real, "budget": _real, "seconds": _real,
    "overlap": _real,
    "attributions": _results, "targets": _each, "groups": _groups, "metrics": _names, "progress": _progress,
    "forward": _forward,
    "column": _text, "title": _text, "made_by": _text, "label": _text, "repo_id": _text, "model_id": _text,
    "replacement": _text, "revision": _text, "token": _text, "license": _text, "dataset_id": _text,
    "overwrite": _truth, "delete": _truth, "compact": _truth, "include_inputs": _truth, "figures": _truth,
    "as_space": _truth_or_text, "private": _truth, "streaming": _truth,
    "downstream": _truth,
    "folder": _folder, "path": _place, "output_dir": _place,
    "method": _spec, "domain": _spec, "methods": _specs, "domains": _specs,
}  # fmt: skip
