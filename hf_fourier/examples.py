"""Examples out of what users hold them in: a list, or a `datasets.Dataset` with a column of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hf_fourier.errors import InputError

#: Kinds of columns that hold examples, as `datasets` names their features; a plain one by the type of its values.
MEDIA = ("Image", "Audio", "Video")


def examples_of(source: Any, column: str | None = None) -> list[Any]:
    """The raw examples of a list, of any iterable, or of one column of a `datasets.Dataset`.

    Args:
        source: A sequence of examples, or a data set (map-style or streaming).
        column: Which column of a data set; None for the only one that holds pictures, sounds or texts.

    Raises:
        InputError: If it is a single example, or the data set has no such column, or several might be meant.
    """
    if isinstance(source, (str, bytes, Mapping)):
        got = f"one {type(source).__name__}"
        raise InputError(got, "a list of examples, or a data set", "put a single example in a list")
    names = getattr(source, "column_names", None)
    if names is None:
        if column is not None:
            raise InputError(f"column {column!r} of a {type(source).__name__}", "a data set", "leave `column` out")
        return list(source)
    chosen = column_of(source, column)
    picked: Iterable[Any] = source.select_columns([chosen])
    return [row[chosen] for row in picked]


def column_of(source: Any, column: str | None) -> str:
    """The name of a data set's column that holds the examples.

    Raises:
        InputError: If there is no such column, or several might be meant.
    """
    names = list(source.column_names)
    chosen = column or _only(source, names)
    if chosen not in names:
        raise InputError(f"column {chosen!r}", f"one of {', '.join(names)}", "correct `column`")
    return chosen


def _only(source: Any, names: list[str]) -> str:
    """The column that must be meant: the only one of media, or the only one of texts."""
    kinds = {name: _kind(feature) for name, feature in (getattr(source, "features", None) or {}).items()}
    for wanted in (MEDIA, ("string", "large_string")):
        found = [name for name, kind in kinds.items() if kind in wanted]
        if len(found) == 1:
            return found[0]
        if found:
            break
    got = f"a data set with the columns {', '.join(names)}"
    raise InputError(got, "one column of pictures, sounds or texts", "say which one with `column`")


def _kind(feature: Any) -> str:
    return getattr(feature, "dtype", "") if type(feature).__name__ == "Value" else type(feature).__name__
