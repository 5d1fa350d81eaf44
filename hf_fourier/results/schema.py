"""Plain values of files: checked against a schema written as plain Python, and written without NaN."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

#: Any number that is no truth value, any of them or none, and any mapping of texts.
NUMBER = (int, float)
OPTIONAL = (int, float, type(None))


class Malformed(ValueError):
    """Values that are not of their schema; the message says which."""


def finite_values(value: Any) -> Any:
    """Plain values with None for NaN and infinity, which JSON does not have; what can be iterated over as lists."""
    if isinstance(value, Mapping):
        return {str(key): finite_values(item) for key, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [finite_values(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def check(values: Any, schema: Any, where: str = "") -> None:
    """Check values.

    Args:
        values: As `json.loads` returned them.
        schema: A type or a tuple of types; a list of one schema, for lists of such values; a tuple that holds lists or
            mappings, for one of them; a dict of keys to schemas, where a key that ends with "?" may be missing and
            further keys may be there; None for the value None; `Any` for anything.
        where: The name of what is checked, for the error.

    Raises:
        Malformed: If they are not of it.
    """
    if schema is Any:
        return
    if isinstance(schema, dict):
        _check_mapping(values, schema, where)
    elif isinstance(schema, list):
        _expect(isinstance(values, (list, tuple)), where, values, "a list")
        for i, value in enumerate(values):
            check(value, schema[0], f"{where}[{i}]")
    elif isinstance(schema, tuple) and not all(isinstance(one, type) for one in schema):
        _check_any(values, schema, where)
    else:
        kinds = (type(None),) if schema is None else schema if isinstance(schema, tuple) else (schema,)
        fits = isinstance(values, kinds) and not (isinstance(values, bool) and bool not in kinds)
        _expect(fits, where, values, " or ".join("null" if k is type(None) else k.__name__ for k in kinds))


def _check_mapping(values: Any, schema: Mapping[str, Any], where: str) -> None:
    _expect(isinstance(values, Mapping), where, values, "an object")
    for name, kind in schema.items():
        key = name.removesuffix("?")
        place = f"{where}.{key}" if where else key
        if key in values:
            check(values[key], kind, place)
        elif not name.endswith("?"):
            raise Malformed(f"no {place}")


def _check_any(values: Any, schemas: tuple[Any, ...], where: str) -> None:
    """One of several schemas; the error is that of the last."""
    for schema in schemas[:-1]:
        try:
            return check(values, schema, where)
        except Malformed:
            continue
    return check(values, schemas[-1], where)


def _expect(holds: bool, where: str, value: Any, expected: str) -> None:
    if not holds:
        raise Malformed(f"{where or 'all of it'} is {repr(value)[:40]}, not {expected}")
