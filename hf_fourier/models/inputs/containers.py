"""Examples out of what users hold them in: lists, columns, series, arrays of texts, data sets and their rows.

One example is a str, a tuple, a path, an array, an image, a decoder or a mapping of one; whatever else can be iterated
in an order holds several.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from os import PathLike
from typing import Any

import numpy as np
import torch

from hf_fourier.errors import InputError
from hf_fourier.models.inputs.channel_series import is_recording, series_of, several_series

#: Kinds of columns that hold examples, as `datasets` names their features; a plain one by the type of its values.
MEDIA = ("Image", "Audio", "Video")
#: What decoders of sounds and videos are known by.
DECODERS = ("get_all_samples", "get_frames_at")
#: The keys of an example as `datasets` stores it, not decoded.
STORED = {"bytes", "path"}
#: What columns are called that name the rows.
IDS = r"_?(id|uid|uuid|guid|idx|index|key)_*|__key__|\w+_id"

IsExample = Callable[[Mapping[str, Any]], bool]


def is_chat(example: Any) -> bool:
    """Whether something is one chat: messages with a role and a content, or a mapping that holds them as `messages`."""
    if isinstance(example, Mapping):
        example = example.get("messages")
    messages = isinstance(example, (list, tuple)) and len(example) > 0
    return messages and all(isinstance(one, Mapping) and "role" in one and "content" in one for one in example)


def is_stored(value: Any) -> bool:
    """Whether something is a picture, a sound or a video as `datasets` stores it: `{"bytes", "path"}`."""
    return isinstance(value, Mapping) and 0 < len(value) <= len(STORED) and STORED.issuperset(value)


def is_url(example: Any) -> bool:
    """Whether something is the address of a web page or a file elsewhere, and nothing else."""
    return isinstance(example, str) and "://" in example[:12] and len(example.split()) == 1


def plain(data: Any) -> Any:
    """Series and arrays as the list of what they hold, or as an array of numbers; anything else as it is.

    Objects of MNE become a `ChannelSeries`, `Epochs` a list of them.

    Raises:
        InputError: If it is a table, several splits, or a set.
    """
    if type(data).__name__ in ("DatasetDict", "IterableDatasetDict"):
        do = f"pass data[{next(iter(data), 'train')!r}], or another"
        raise InputError(f"a data set with the splits {', '.join(data)}", "one split", do)
    if isinstance(data, (set, frozenset)):
        raise InputError(f"an example of type {type(data).__name__}", "a list, which has an order", "pass sorted(…)")
    if is_table(data):
        names = ", ".join(map(str, list(data.columns)[:5]))
        array = data.to_numpy()
        if array.dtype.kind in "biuf":
            return array
        raise InputError(f"a table with the columns {names}", "one column of it", "pass table['the column']")
    if is_recording(data):
        return several_series(data) or series_of(data)
    if hasattr(data, "to_pylist"):  # of pyarrow
        data = data.to_pylist()
    elif hasattr(data, "to_list") and hasattr(data, "dtype"):  # of pandas and polars
        array = np.asarray(data)
        data = array if array.dtype.kind in "biufc" else data.to_list()
    if isinstance(data, np.ndarray) and data.dtype.kind in "OSUT" and data.ndim < 2:
        return data.item() if data.ndim == 0 else data.tolist()
    return data


def is_single(data: Any) -> bool:
    """Whether something is one example by its type (or is none at all)."""
    if isinstance(data, (str, bytes, bytearray, tuple, Mapping, PathLike, np.ndarray, torch.Tensor, io.IOBase)):
        return True
    if any(hasattr(data, name) for name in ("__array__", "__array_interface__", *DECODERS)):
        return True
    return not hasattr(data, "__iter__") and not (hasattr(data, "__getitem__") and hasattr(data, "__len__"))


def is_table(data: Any) -> bool:
    """Whether something is a table of `pandas`."""
    return hasattr(data, "columns") and hasattr(data, "iloc")


def is_data_set(data: Any) -> bool:
    """Whether something is a data set of `datasets`, streaming or not."""
    return hasattr(data, "select_columns") or hasattr(data, "_ex_iterable")


def is_column(data: Any) -> bool:
    """Whether something is a column of a data set, which `datasets` reads on demand."""
    return type(data).__name__ in ("Column", "IterableColumn") and hasattr(data, "column_name")


def example_of(row: Any, is_example: IsExample = lambda row: False, place: int | None = None) -> Any:
    """What a row of a data set holds: its picture, sound or video, or its text; anything else as it is.

    Args:
        row: An example, or a mapping that has one among its values.
        is_example: Whether a mapping is one example of the model.
        place: Where it lies in its list, for the error.

    Raises:
        InputError: If several of its values might be meant, or none.
    """
    if not isinstance(row, Mapping) or is_stored(row) or is_example(row):
        return series_of(row) if is_recording(row) else row
    for is_kind in (_is_media, lambda value: isinstance(value, str)):
        names = [name for name, value in row.items() if is_kind(value) and not _is_id(name)]
        if len(names) == 1:
            return row[names[0]]
        if names:
            break
    got = f"a dict with {', '.join(map(repr, row))}" if place is None else f"example {place}: a dict in a list"
    expected = "one picture, sound, video or text in it" if names else "raw examples, or one dict with a batch axis"
    do = f"pass row[{names[0]!r}] of each row" if names else "pass the dict itself, or what the rows hold"
    raise InputError(got, expected, do)


def detached(example: Any) -> Any:
    """A copy of an example's array or image: whoever reads a stream may fill one buffer again and again.

    So do sound cards, and the frames of a GIF are one image.
    """
    if isinstance(example, torch.Tensor):
        return example.detach().clone()
    if isinstance(example, np.ndarray) or hasattr(example, "getbands"):
        return example.copy()
    if isinstance(example, tuple):
        return tuple(map(detached, example)) if type(example) is tuple else example
    if type(example) is dict:
        return {name: detached(value) for name, value in example.items()}
    return example


def _is_media(value: Any) -> bool:
    """Whether a value in a row is a picture, a sound or a video."""
    if isinstance(value, Mapping):
        return is_stored(value) or "array" in value
    if any(hasattr(value, name) for name in DECODERS):
        return True
    return hasattr(value, "getbands")  # of PIL


def _is_id(name: Any) -> bool:
    """Whether a column holds names of the rows, by its own name: no texts to be explained."""
    return isinstance(name, str) and re.fullmatch(IDS, name, re.IGNORECASE) is not None


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
    features = (getattr(source, "features", None) or {}).items()
    kinds = {name: _kind(feature) for name, feature in features if not _is_id(name)}
    for accepted in (MEDIA, ("string", "large_string")):
        names = [name for name, kind in kinds.items() if kind in accepted]
        if len(names) == 1:
            return names[0]
        if names:
            break
    if len(names) == 1:
        return names[0]
    got = f"a data set with the columns {', '.join(names)}"
    raise InputError(got, "one column of pictures, sounds or texts", "choose one: data['the column'], or `column`")


def _kind(feature: Any) -> str:
    return getattr(feature, "dtype", "") if type(feature).__name__ == "Value" else type(feature).__name__
