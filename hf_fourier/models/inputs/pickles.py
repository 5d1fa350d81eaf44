"""Flat dictionaries that come as pickles: read without running anything that is in them, and kept as JSON.

A pickle is a program. Before it runs, its instructions are read through: one dictionary of texts and numbers is
admitted, and no other container, so that none can hold itself many times over. What a pickle wants called are the two
globals behind numpy's scalars, and even they are stand-ins, made anew for each file; everything else is refused before
it is looked up.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import os
import pickle
import pickletools
import tempfile
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from hf_fourier.errors import ModelError
from hf_fourier.models.inputs.limits import DICTIONARY_BYTES

_SCALAR = {("numpy.core.multiarray", "scalar"), ("numpy._core.multiarray", "scalar")}
_DTYPE = ("numpy", "dtype")
#: Numbers that scalars may hold, by numpy's name for their type.
_NUMBERS = {"i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"}
#: Instructions of pickles: those that make tuples, that store, that fetch, and all that are admitted.
_TUPLES = ("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3")
_PUTS = ("MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT")
_GETS = ("GET", "BINGET", "LONG_BINGET")
_INSTRUCTIONS = {
    *_TUPLES, *_GETS, "PROTO", "FRAME", "STOP", "MARK", "EMPTY_DICT", "DICT", "SETITEM", "SETITEMS", "NONE", "NEWTRUE",
    "NEWFALSE", "INT", "LONG", "LONG1", "BININT", "BININT1", "BININT2", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
    "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINBYTES", "SHORT_BINBYTES", "GLOBAL",
    "STACK_GLOBAL", "REDUCE", "BUILD",
}  # fmt: skip


def read_float_dict(path: str | PathLike[str]) -> dict[str, float]:
    """A dictionary from names to finite numbers, out of a pickle or a JSON file.

    Args:
        path: The file, of at most `limits.DICTIONARY_BYTES`; of a pickle a copy as JSON is kept in the cache, by its
            digest.

    Raises:
        ModelError: If it is none, or wants anything called but what makes numpy's scalars. Nothing of it has run then.
    """
    return _checked(Path(path), (int, float), "numbers")


def read_str_dict(path: str | PathLike[str]) -> dict[str, str]:
    """A dictionary from names to names, likewise."""
    return _checked(Path(path), (str,), "names")


def read_label_dict(path: str | PathLike[str]) -> dict[int, str]:
    """A dictionary from the numbers of classes to their names, likewise; of JSON, numbers are texts."""
    place = Path(path)
    entries = _read(place)
    try:
        return {int(number): _name(name) for number, name in entries.items()}
    except (TypeError, ValueError) as error:
        got = f"{place.name!r}, which does not name classes by number ({error})"
        raise ModelError(got, "{0: 'a name', …}", "pass id2label= to from_pretrained") from error


def _name(value: Any) -> str:
    if not isinstance(value, (str, int, float)):
        raise TypeError(_shown(value))
    return str(value)


def _checked(path: Path, kinds: tuple[type, ...], what: str) -> dict[str, Any]:
    entries = _read(path)
    for name, value in entries.items():
        fits = isinstance(value, kinds) and not isinstance(value, bool)
        if not isinstance(name, str) or not fits or (not isinstance(value, str) and not _is_finite(value)):
            got = f"{path.name!r} with the entry {_shown(name)}: {_shown(value)}"
            raise ModelError(got, f"a dictionary from names to {what}", "take it from the model's own repository")
    return entries


def _is_finite(number: float) -> bool:
    """Whether a number is finite as a float."""
    try:
        return math.isfinite(number)
    except OverflowError:
        return False


def _shown(value: Any) -> str:
    """A value in few characters; of a container its type alone, which may hold itself many times."""
    return f"{value!r:.60}" if isinstance(value, (str, int, float)) else f"a {type(value).__name__}"


def _read(path: Path) -> dict[Any, Any]:
    if not path.is_file() or path.stat().st_size > DICTIONARY_BYTES:
        got = f"no readable file {path.name!r}"
        raise ModelError(got, f"one of at most {DICTIONARY_BYTES} bytes", "correct the path")
    data = path.read_bytes()
    if path.suffix == ".json":
        return _mapping(json.loads, data, path)
    copy = _copies() / f"{hashlib.sha256(data).hexdigest()}.json"
    with contextlib.suppress(OSError, ValueError):
        kept = json.loads(copy.read_text(encoding="utf-8"))
        if isinstance(kept, dict):
            return kept
    entries = _mapping(_unpickled, data, path)
    with contextlib.suppress(OSError, TypeError, ValueError):  # a cache that cannot be written is done without
        _cache(entries, copy)
    return entries


def _mapping(parse: Callable[[bytes], Any], data: bytes, path: Path) -> dict[Any, Any]:
    try:
        entries = parse(data)
    except Exception as error:  # what broken files raise has no common base
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        expected = "a flat dictionary of names and numbers"
        do = "do not load it elsewhere either; take it from the model's own repository"
        raise ModelError(f"{path.name!r}, which was not read ({reason})", expected, do) from error
    if not isinstance(entries, dict):
        raise ModelError(f"{path.name!r} with a {type(entries).__name__}", "a dictionary", "correct the file")
    return entries


def _unpickled(data: bytes) -> Any:
    """What a pickle holds, if it holds nothing but plain values and numpy's scalars.

    Raises:
        pickle.UnpicklingError: If it names any other global, or holds containers within the dictionary.
    """
    _read_through(data)

    class Kind:
        """Stands for `numpy.dtype`: a name with a byte order."""

        def __init__(self, name: str, *flags: Any) -> None:
            if name not in _NUMBERS:
                raise pickle.UnpicklingError(f"a scalar of type {name!r:.40}")
            self.name, self.order = name, "<"

        def __setstate__(self, state: Any) -> None:
            order = state[1]
            if order not in ("<", ">", "|", "="):
                raise pickle.UnpicklingError(f"a byte order {order!r:.40}")
            self.order = "<" if order in ("|", "=") else order

    def scalar(kind: Any, raw: Any) -> Any:
        if type(kind) is not Kind:
            raise pickle.UnpicklingError("a scalar without a type")
        (value,) = np.frombuffer(raw, kind.order + kind.name)
        return value.item()

    class Reader(pickle.Unpickler):
        def find_class(self, module: str, name: str, /) -> Any:
            if (module, name) in _SCALAR:
                return scalar
            if (module, name) == _DTYPE:
                return Kind
            raise pickle.UnpicklingError(f"it wants {module}.{name}, which is not a number")

    return Reader(io.BytesIO(data)).load()


def _read_through(data: bytes) -> None:
    """Look at the instructions of a pickle without running them.

    A tuple may only be what the next instruction takes apart (the arguments of a call, a state), so that tuples cannot
    nest; and it cannot be fetched a second time. There is one dictionary, and no other container.

    Raises:
        pickle.UnpicklingError: If something else is in it.
    """
    dictionaries, previous, stored, tuples = 0, "", set[Any](), set[Any]()
    for opcode, argument, _ in pickletools.genops(data):
        name = opcode.name
        if previous in _TUPLES and name not in (*_PUTS, "REDUCE", "BUILD"):
            raise pickle.UnpicklingError("a tuple in it")
        if name in _PUTS:
            place = len(stored) if name == "MEMOIZE" else argument
            stored.add(place)
            if previous in _TUPLES:
                tuples.add(place)
            continue  # what lies on the stack is what it was
        if name in _GETS and argument in tuples:
            raise pickle.UnpicklingError("a tuple that is used twice")
        if name not in _INSTRUCTIONS:
            raise pickle.UnpicklingError(f"the instruction {name} in it")
        dictionaries += name in ("EMPTY_DICT", "DICT")
        previous = name
    if dictionaries != 1:
        raise pickle.UnpicklingError(f"{dictionaries} dictionaries in it")


def _copies() -> Path:
    from hf_fourier.models.cache import root

    return root() / "dictionaries"


def _cache(entries: Mapping[Any, Any], copy: Path) -> None:
    """Write the copy whole or not at all."""
    if not all(isinstance(name, str) for name in entries):
        return
    text = json.dumps(entries)
    copy.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=copy.parent, suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(name, copy)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
