"""Digests of what decides a run's results: weights, labels, processor, examples; and whether a later call has the same.

A digest is the same in every process and on every device, and holds no path and nothing that is set on first use.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from os import PathLike
from pathlib import Path
from types import CodeType, FunctionType, MethodType
from typing import Any

import numpy as np
import torch

from hf_fourier.models.base import ModelWrapper
from hf_fourier.models.calls import FunctionModule
from hf_fourier.models.inputs.files import EXTENSIONS
from hf_fourier.models.inputs.sources import SourceItem
from hf_fourier.results.integrity import to_json
from hf_fourier.runs.packing import UNKNOWN
from hf_fourier.typing import Tensor

#: Entries of each parameter that the digests of earlier versions covered.
SEEN = 64
#: Bytes that are hashed at a time, so that a large tensor on another device is not copied as a whole.
PIECE = 2**26
#: Plain values of a list that are fed together, where there are more than so many: genes, tokens, samples.
MANY = 8
_PLAIN = {str, int, float, bool, type(None)}
#: How deep the attributes of objects are followed.
DEPTH = 6
#: Parameters of processors that do not change what they make of an example, or are set while they do.
_NO_MATTER = ("name_or_path", "tokenizer_file", "vocab_file", "merges_file", "special_tokens_map_file", "auto_map")
_Update = Callable[[bytes], object]
#: What functions hold that decides what they return.
_HELD = (str, bytes, bool, int, float, complex, np.ndarray, np.generic, Tensor)


def model_identity(wrapper: ModelWrapper) -> str:
    """A digest of a model's weights, and of the code of a function in front of them; or the name that it was given.

    Raises:
        InputError: If it is a function whose weights cannot be read, without a name.
    """
    identity = wrapper.identity
    if identity is not None:
        return identity
    digest = weights_digest(wrapper.model)
    return f"{digest}+{digest_of(wrapper.model.function)}" if isinstance(wrapper.model, FunctionModule) else digest


def weights_digest(model: torch.nn.Module) -> str:
    """A digest of all entries of all parameters and buffers, on any device.

    Tensors are hashed by as many threads as torch uses; hashing runs outside the interpreter's lock.
    """
    tensors = sorted(_tensors_of(model), key=lambda pair: pair[0])
    with ThreadPoolExecutor(max(1, torch.get_num_threads())) as pool:
        digests = pool.map(lambda pair: _tensor_digest(*pair), tensors)
        return "sha256:" + hashlib.sha256(b"".join(digests)).hexdigest()[:32]


def _tensors_of(model: torch.nn.Module) -> Iterator[tuple[str, Callable[[], Tensor]]]:
    """All parameters and buffers by name, those that Accelerate keeps elsewhere read when they are needed."""
    for prefix, module in model.named_modules():
        own = (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
        for name, tensor in own:
            full = f"{prefix}.{name}" if prefix else name
            stored = _offloaded(module, name) if tensor.device.type == "meta" else None
            yield full, (lambda tensor=tensor: tensor) if stored is None else stored  # type: ignore[misc]


def _offloaded(module: torch.nn.Module, name: str) -> Callable[[], Tensor] | None:
    """Reads a tensor that is on the device "meta" while Accelerate holds its entries in memory or on disk."""
    hook = getattr(module, "_hf_hook", None)
    for one in getattr(hook, "hooks", (hook,)):
        known = getattr(one, "weights_map", None)
        if known is not None and name in known:
            return lambda: torch.as_tensor(known[name])
    return None


def _tensor_digest(name: str, read: Callable[[], Tensor]) -> bytes:
    tensor = read().detach()
    result = hashlib.sha256(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
    if tensor.device.type != "meta":
        flat = tensor.reshape(-1) if tensor.layout == torch.strided else tensor.to_dense().reshape(-1)
        step = max(1, PIECE // flat.element_size())
        for first in range(0, len(flat), step):
            piece = flat[first : first + step].cpu().contiguous()
            if piece.stride(0) != 1:
                piece = piece.clone(memory_format=torch.contiguous_format)
            result.update(piece.view(torch.uint8).numpy().data)
    return result.digest()


def sampled_weights(model: torch.nn.Module) -> str:
    """The digest of some entries of every parameter and buffer, which the manifests of earlier versions hold."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        if tensor.device.type != "meta":
            digest.update(repr(tensor.detach().reshape(-1)[:SEEN].cpu().tolist()).encode())
    return digest.hexdigest()


def digest_of(value: Any) -> str:
    """A digest of a processor, of labels or of an example: of what it holds, not of which object it is.

    Args:
        value: Plain values, arrays, tensors, pictures, paths (of which the file is read), tokenizers and processors of
            `transformers`, dataclasses, and objects with attributes of these.
    """
    result = hashlib.blake2b(digest_size=16)
    _feed(result.update, value, 0)
    if callable(value):
        _feed_function(result.update, value, set())
    return result.hexdigest()


def example_digest(item: SourceItem) -> str:
    """The digest of an example and its target as they were read; `UNKNOWN` where it could not be read."""
    if item.error is not None:
        return UNKNOWN
    try:
        return digest_of((item.example, item.target))
    except Exception:  # whatever an example of others raises when it is looked at: it is explained, or fails, as it is
        return UNKNOWN


def _feed(update: _Update, value: Any, depth: int) -> None:
    """Feed a value to a digest, with its kind and its size in front, so that no two values are fed alike."""
    match value:
        case None | bool() | int() | float() | complex():
            update(f"{type(value).__name__} {value!r};".encode())
        case str() if not value.lower().endswith(tuple(EXTENSIONS)):
            data = value.encode("utf-8", "surrogatepass")
            update(f"str {len(data)}:".encode() + data)
        case bytes() | bytearray() | memoryview():
            update(f"bytes {len(value)}:".encode())
            update(bytes(value))
        case torch.Tensor():
            tensor = value.detach().cpu()
            update(f"tensor {tensor.dtype}".encode())
            _feed(update, tensor.contiguous().view(torch.uint8).numpy() if tensor.ndim else tensor.item(), depth)
        case np.ndarray() if value.dtype != object:
            update(f"array {value.dtype.str}{value.shape}:".encode() + np.ascontiguousarray(value).tobytes())
        case np.generic():
            update(f"number {value.dtype.str}:".encode() + value.tobytes())
        case PathLike() | str():
            _feed_file(update, Path(value))
        case Mapping():
            pairs = sorted(((str(key), inner) for key, inner in value.items()), key=lambda pair: pair[0])
            update(f"mapping {len(pairs)}:".encode())
            for key, inner in pairs:
                if key not in _NO_MATTER:
                    _feed(update, key, depth)
                    _feed(update, inner, depth + 1)
        case list() | tuple() if len(value) > MANY and set(map(type, value)) <= _PLAIN:
            update(f"plain {len(value)}:".encode() + to_json(list(value)))
        case list() | tuple() | np.ndarray():
            update(f"list {len(value)}:".encode())
            for inner in value:
                _feed(update, inner, depth + 1)
        case set() | frozenset():
            _feed(update, sorted(map(str, value)), depth)
        case _:
            _feed_object(update, value, depth)


def _feed_file(update: _Update, path: Path) -> None:
    """What is in a file, which may lie elsewhere next time; its whole path, or the text, where there is none."""
    try:
        with path.open("rb") as file:
            update(b"file:" + hashlib.file_digest(file, "blake2b").digest())
    except (OSError, ValueError):
        update(f"no file {str(path)!r};".encode())


def _feed_object(update: _Update, value: Any, depth: int) -> None:
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
            _feed(update, (value.getpalette(), value.info.get("transparency")), depth)
    elif hasattr(value, "get_vocab"):
        _feed_tokenizer(update, value, depth)
    elif dataclasses.is_dataclass(value):
        _feed(update, {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}, depth)
    elif hasattr(value, "to_dict") and not hasattr(value, "tokenizer"):
        _feed(update, _public(value.to_dict()), depth)
    elif hasattr(value, "__dict__"):
        cached = {name for name, kind in inspect.getmembers_static(type(value)) if isinstance(kind, cached_property)}
        _feed(update, {name: inner for name, inner in _public(vars(value)).items() if name not in cached}, depth)
    elif hasattr(value, "__iter__") and hasattr(value, "__len__"):
        _feed(update, list(value), depth)


def _feed_function(update: _Update, function: Any, seen: set[int]) -> None:
    """What a function does: its code, the numbers, texts and arrays that it holds or names, and the functions it calls.

    A bound method is known by the attributes of its object, too, unless that is a module, whose weights are known.
    """
    if id(function) in seen:
        return
    seen.add(id(function))
    if isinstance(function, partial):
        _feed(update, [part for part in (*function.args, *function.keywords.items()) if not callable(part)], 0)
        _feed_function(update, function.func, seen)
    elif isinstance(function, MethodType):
        if not isinstance(function.__self__, torch.nn.Module):
            _feed(update, function.__self__, 0)
        _feed_function(update, function.__func__, seen)
    elif isinstance(function, FunctionType):
        code = function.__code__
        _feed_code(update, code)
        held = {name: function.__globals__[name] for name in code.co_names if name in function.__globals__}
        held |= inspect.getclosurevars(function).nonlocals
        held |= {f"default {i}": value for i, value in enumerate(function.__defaults__ or ())}
        for name, value in sorted((held | (function.__kwdefaults__ or {})).items()):
            if isinstance(value, _HELD):
                _feed(update, [name, value], 0)
            elif isinstance(value, (FunctionType, MethodType, partial)):
                _feed_function(update, value, seen)


def _feed_code(update: _Update, code: CodeType) -> None:
    """The instructions, names and plain constants of a function's code."""
    update(f"code {code.co_names}{code.co_varnames}".encode() + code.co_code)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _feed_code(update, constant)
        elif not isinstance(constant, (frozenset, tuple)):
            update(repr(constant).encode("utf-8", "backslashreplace"))


def _feed_tokenizer(update: _Update, tokenizer: Any, depth: int) -> None:
    """A tokenizer: its rules and vocabulary without the padding and truncation of the last call, and its settings."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None and hasattr(backend, "to_str"):
        text = backend.to_str()
        update((text.partition('"added_tokens":')[2] or text).encode("utf-8", "surrogatepass"))
    else:
        update(to_json(sorted(tokenizer.get_vocab().items())))
    settings = ("model_max_length", "truncation_side", "chat_template", "model_input_names", "special_tokens_map")
    _feed(update, {name: getattr(tokenizer, name, None) for name in settings}, depth)
    given = _public(getattr(tokenizer, "init_kwargs", {}))
    _feed(update, {name: value for name, value in given.items() if isinstance(value, (bool, int, float))}, depth)


def _public(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if not str(name).startswith("_")}
