"""Feeds values to a digest by what they hold: numbers, texts, arrays, tensors, pictures, files, processors, objects."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hf_fourier.errors import StorageError
from hf_fourier.models.inputs.files import EXTENSIONS
from hf_fourier.results.integrity import file_digest, to_json
from hf_fourier.torch_state import bytes_of

#: Plain values of a list that are fed together, where there are more than so many: genes, tokens, samples.
MANY = 8
_PLAIN = {str, int, float, bool, type(None)}
#: How deep the attributes of objects are followed.
DEPTH = 6
#: Parameters of processors that do not change what they make of an example, or are set while they do.
_NO_MATTER = ("name_or_path", "tokenizer_file", "vocab_file", "merges_file", "special_tokens_map_file", "auto_map")
Update = Callable[[bytes | memoryview], object]


def feed(update: Update, value: Any, depth: int) -> None:
    """Feed a value to a digest, with its kind and its size in front, so that no two values are fed alike."""
    match value:
        case None | bool() | int() | float() | complex():
            update(f"{type(value).__name__} {value!r};".encode())
        case str() if not value.lower().endswith(tuple(EXTENSIONS)):
            data = value.encode("utf-8", "surrogatepass")
            update(f"str {len(data)}:".encode() + data)
        case bytes() | bytearray() | memoryview():
            update(f"bytes {memoryview(value).nbytes}:".encode())
            _feed_array(update, np.frombuffer(value if memoryview(value).c_contiguous else bytes(value), np.uint8))
        case torch.Tensor():
            update(f"tensor {value.dtype}{tuple(value.shape)}:".encode())
            update(bytes_of(value.cpu()).numpy().data)
        case np.ndarray() if value.dtype.hasobject and not value.ndim:
            feed(update, value.item(), depth)
        case np.ndarray() if value.dtype.fields:  # one by one: what lies between them in memory does not count
            update(f"fields {len(value.dtype.fields)}{value.shape}:".encode())
            for name in value.dtype.names or ():
                feed(update, name, depth)
                feed(update, value[name], depth)
        case np.ndarray() if not value.dtype.hasobject:
            update(f"array {value.dtype.str}{value.shape}:".encode())
            _feed_array(update, value)
        case np.void():
            feed(update, np.asarray(value), depth)
        case np.generic():
            update(f"number {value.dtype.str}:".encode() + value.tobytes())
        case PathLike() | str():
            _feed_file(update, Path(value))
        case Mapping():
            pairs = sorted(((str(key), inner) for key, inner in value.items()), key=lambda pair: pair[0])
            update(f"mapping {len(pairs)}:".encode())
            for key, inner in pairs:
                if key not in _NO_MATTER:
                    feed(update, key, depth)
                    feed(update, inner, depth + 1)
        case list() | tuple() if len(value) > MANY and (kinds := set(map(type, value))) <= _PLAIN:
            _feed_plain(update, value, kinds)
        case list() | tuple() | np.ndarray():
            update(f"list {len(value)}:".encode())
            for inner in value:
                feed(update, inner, depth + 1)
        case set() | frozenset():
            feed(update, sorted(map(str, value)), depth)
        case _:
            _feed_object(update, value, depth)


def _feed_array(update: Update, values: np.ndarray) -> None:
    """The bytes of an array without objects, of any shape and order of memory; not copied where they lie in a row."""
    if values.dtype.itemsize:  # texts and bytes of no length have none
        update(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)


def _feed_plain(update: Update, values: Sequence[Any], kinds: set[type]) -> None:
    """Many plain values at once: texts and numbers by their bytes, what is mixed as JSON."""
    if kinds == {str} and (text := "\0".join(values)).count("\0") == len(values) - 1:
        data = text.encode("utf-8", "surrogatepass")
        update(f"texts {len(values)} {len(data)}:".encode() + data)
        return
    if kinds in ({int}, {float}):
        try:
            numbers = np.array(values, np.int64 if kinds == {int} else np.float64)
        except OverflowError:  # an integer of more than 64 bits
            pass
        else:
            update(f"numbers {numbers.dtype.str} {len(values)}:".encode())
            _feed_array(update, numbers)
            return
    update(f"plain {len(values)}:".encode() + to_json(list(values)))


def _feed_file(update: Update, path: Path) -> None:
    """What is in a file, which may lie elsewhere next time; its whole path, or the text, where there is none."""
    try:
        update(f"file:{file_digest(path)}".encode())
    except (OSError, ValueError, StorageError):
        update(f"no file {str(path)!r};".encode())


def _feed_object(update: Update, value: Any, depth: int) -> None:
    """Feed an object by its attributes; one without is known by its type alone."""
    update(f"{type(value).__module__}.{type(value).__qualname__}:".encode())
    if depth > DEPTH:
        return
    if inspect.isroutine(value) or isinstance(value, type):
        update(f"{value.__module__}.{value.__qualname__}".encode())
    elif hasattr(value, "tobytes") and hasattr(value, "mode"):  # a picture of PIL
        pixels = value.tobytes()  # first: what is read only now may change the mode
        update(f"{value.mode}{value.size}:".encode() + pixels)
        if value.mode in ("P", "PA"):
            feed(update, (value.getpalette(), value.info.get("transparency")), depth)
    elif hasattr(value, "get_vocab"):
        _feed_tokenizer(update, value, depth)
    elif dataclasses.is_dataclass(value):
        feed(update, {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}, depth)
    elif hasattr(value, "to_dict") and not hasattr(value, "tokenizer"):
        feed(update, _public(value.to_dict()), depth)
    elif hasattr(value, "__dict__"):
        cached = {name for name, kind in inspect.getmembers_static(type(value)) if isinstance(kind, cached_property)}
        feed(update, {name: inner for name, inner in _public(vars(value)).items() if name not in cached}, depth)
    elif hasattr(value, "__iter__") and hasattr(value, "__len__"):
        feed(update, list(value), depth)


def _feed_tokenizer(update: Update, tokenizer: Any, depth: int) -> None:
    """A tokenizer: its rules and vocabulary without the padding and truncation of the last call, and its settings."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None and hasattr(backend, "to_str"):
        text = backend.to_str()
        update((text.partition('"added_tokens":')[2] or text).encode("utf-8", "surrogatepass"))
    else:
        update(to_json(sorted(tokenizer.get_vocab().items())))
    settings = ("model_max_length", "truncation_side", "chat_template", "model_input_names", "special_tokens_map")
    feed(update, {name: getattr(tokenizer, name, None) for name in settings}, depth)
    given = _public(getattr(tokenizer, "init_kwargs", {}))
    feed(update, {name: value for name, value in given.items() if isinstance(value, (bool, int, float))}, depth)


def _public(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if not str(name).startswith("_")}
