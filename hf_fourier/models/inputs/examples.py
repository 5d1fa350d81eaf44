"""One example or several, out of whatever a user passes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_fourier.errors import FourierError, InputError
from hf_fourier.models.inputs.containers import (
    IsExample,
    _is_media,
    detached,
    example_of,
    is_chat,
    is_column,
    is_data_set,
    is_single,
    is_stored,
    is_table,
    plain,
)

if TYPE_CHECKING:
    from os import PathLike

    from numpy.typing import NDArray
    from PIL.Image import Image

    from hf_fourier.models.base import ModelWrapper
    from hf_fourier.typing import Tensor

    #: One example.
    Single = str | PathLike[str] | tuple[Any, ...] | Tensor | NDArray[np.number[Any]] | Image
    #: A chat, which is one example, or rows, which are several; a row, or a batch of tensors.
    Chat = list[dict[str, Any]] | Mapping[str, Any]
    #: Several examples.
    Many = list[Any] | Iterator[Any]


def several_of(data: Any, is_example: IsExample = lambda row: False) -> list[Any] | None:
    """The examples of what holds several, in order; None for what is one example, or a batch of tensors.

    Several are in a list, a column or a whole data set of `datasets`, a `pandas.Series` or an array of texts or
    objects, and in any other iterable that is none of a str, a tuple, a mapping, an array of numbers or an image. Rows
    that are mappings count as the picture, sound, video or text in them.

    Args:
        data: Whatever was given.
        is_example: Whether a mapping is one example of the model.

    Raises:
        InputError: If it has no order or no single column of examples, or one of them cannot be read.
    """
    data = plain(data)
    if isinstance(data, list):
        return [example_of(row, is_example, i) for i, row in enumerate(data)]
    if is_data_set(data) or is_column(data):
        from hf_fourier.models.inputs.dataset_sources import source_of

        return [_whole(item) for item in source_of(data, is_example=is_example).stream(0)]
    if is_single(data):
        return None
    rows = data if hasattr(data, "__iter__") else (data[i] for i in range(len(data)))
    return [detached(example_of(row, is_example, i)) for i, row in enumerate(rows)]


def listed(given: Any, wrapper: ModelWrapper) -> tuple[bool, list[Any]] | None:
    """What was given as raw examples, and whether it holds several; None for a batch of tensors.

    Args:
        given: One example, several (see `several_of`), a file of several, a row or rows of a data set, or a batch.
        wrapper: Of the model that they are for.

    Raises:
        InputError: If it has no order or no single column of examples, or one of them cannot be read.
    """
    opened = wrapper.split_file(given)
    if opened is not None:
        return True, opened
    given = plain(given)
    if isinstance(given, Mapping) and not is_stored(given) and not wrapper.is_example(given):
        if wrapper.main_input in given:
            return None
        lists = [name for name, value in given.items() if isinstance(value, list) and value and _is_raw(value[0])]
        if not lists and any(map(_is_raw, given.values())):
            return False, [example_of(given, wrapper.is_example)]
        return (True, _rows(given, lists[0], wrapper.is_example)) if lists else None
    if isinstance(given, list) and wrapper.is_conversation(given):
        return False, [given]
    examples = several_of(given, wrapper.is_example)
    return (False, [given]) if examples is None else (True, examples)


def examples_of(source: Any, column: str | None = None, is_example: IsExample = lambda row: False) -> list[Any]:
    """The raw examples of a list, of any iterable, or of one column of a `datasets.Dataset`.

    Args:
        source: Whatever holds several examples (see `several_of`), or a tuple of them.
        column: Which column of a data set; None for the only one that holds pictures, sounds or texts.
        is_example: Whether a mapping is one example of the model.

    Raises:
        InputError: If it is a single example, or the data set has no such column, or several might be meant.
    """
    if is_chat(source):
        raise InputError("one chat", "a list of examples, or a data set", "put it in a list: [messages]")
    if column is not None:
        if not is_data_set(source) and not is_table(source):
            raise InputError(f"column {column!r} of a {type(source).__name__}", "a data set", "leave `column` out")
        from hf_fourier.models.inputs.dataset_sources import source_of

        return [_whole(item) for item in source_of(source, column, is_example=is_example).stream(0)]
    examples = several_of(list(source) if isinstance(source, tuple) else source, is_example)
    if examples is None:
        got, do = f"one {type(source).__name__}", "put a single example in a list"
        if isinstance(source, Mapping):
            do = "put raw examples (texts, pictures, …) in a list"
        raise InputError(got, "a list of examples, or a data set", do)
    return examples


def _is_raw(value: Any) -> bool:
    """Whether a value in a row is a text, a picture, a sound or a video."""
    return isinstance(value, str) or _is_media(value)


def _rows(columns: Mapping[Any, Any], name: Any, is_example: IsExample) -> list[Any]:
    """The examples in columns of one length.

    Args:
        columns: Lists, arrays or tensors by their names.
        name: One that holds examples.
        is_example: Whether a mapping is one example of the model.

    Raises:
        InputError: If the columns differ in length, or several of them might be meant.
    """
    several = {n: len(v) if isinstance(v, (list, tuple)) or np.ndim(v) else None for n, v in columns.items()}
    if len(set(several.values())) > 1:
        parts = ", ".join(f"{'one value' if many is None else many} as {n!r}" for n, many in several.items())
        raise InputError(f"a dict with {parts}", "columns of one length", f"pass the examples alone: data[{name!r}]")
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return [example_of(row, is_example, i) for i, row in enumerate(rows)]


def _whole(item: Any) -> Any:
    """An item's example.

    Raises:
        InputError: If it could not be read.
    """
    if item.error is None:
        return item.example
    if isinstance(item.error, FourierError):
        raise item.error
    got = f"example {item.index}, which cannot be read ({type(item.error).__name__}: {item.error})"
    raise InputError(got, "examples that can be read", "leave it out") from item.error
