"""Whether a stored file is as it was written: JSON that states its own digest, digests of tensors, and what is said.

The digests find damage: flipped bits, files that are cut off or mixed up. They do not find intent: whoever changes a
file can change its digest too. Files of earlier versions have none; of them the schema alone is checked.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from hf_fourier.errors import DamagedFile, FourierError, StorageError
from hf_fourier.typing import Tensor

#: Bytes of one JSON file that is read, at most.
MOST_JSON = 2**28
#: Bytes from which on data are folded before the digest is taken, and from which on they are folded to wider rows.
LARGE, WIDE = 2**12, 2**16
#: 64-bit words in a row of the fold: primes, so that rows of usual tensors and pages of memory do not line up with it.
_NARROW_ROW, _WIDE_ROW = 61, 251
#: Rows that are folded at a time, which fit into a cache: an odd number, so that one bit of all words does not cancel.
_ROWS = 255
#: The same numbers of the digests that earlier versions wrote.
_EARLIER_LARGE, _EARLIER_ROW, _EARLIER_ROWS = 2**15, 509, 128
_SURROGATE = re.compile("[\ud800-\udfff]")
#: The first line of a file that states its digest, and the value behind it that says so.
_STATED = re.compile(rb'\{"digest": "([0-9a-f]{32})",\n')
_DIGEST, _COVERS = "digest", "digest_covers"
_SENTENCE = "all bytes after the first line (hf_fourier.results.integrity)"


def digest(data: bytes | bytearray | memoryview | np.ndarray) -> str:
    """XXH3 of 128 bits, as 32 hexadecimal digits: about the speed of memory.

    Args:
        data: Contiguous.
    """
    return xxhash.xxh3_128_hexdigest(data.data if isinstance(data, np.ndarray) else data)


def folded_digest(data: bytes | bytearray | memoryview | np.ndarray) -> str:
    """The digest that earlier versions wrote: BLAKE2b, of large data after columns of 255 rows were summed."""
    if isinstance(data, (bytes, bytearray)) and len(data) < LARGE:
        return hashlib.blake2b(b"%d:" % len(data) + data, digest_size=16).hexdigest()
    view = data.reshape(-1).view(np.uint8) if isinstance(data, np.ndarray) else np.frombuffer(data, np.uint8)
    result = hashlib.blake2b(b"%d:" % view.size, digest_size=16)
    if view.size < LARGE:
        result.update(view.data)
        return result.hexdigest()
    width = _NARROW_ROW if view.size < WIDE else _WIDE_ROW
    rows = view.size // (8 * width)
    words = view[: rows * 8 * width].view(np.uint64).reshape(rows, width)
    for first in range(0, rows, _ROWS):
        result.update(np.add.reduce(words[first : first + _ROWS], 0))
    result.update(view[rows * 8 * width :].data)
    return result.hexdigest()


def earlier_digest(data: bytes | bytearray | memoryview | np.ndarray) -> str:
    """The one before it: of all sums of rows, and of the sums of columns over all of the data."""
    view = data.reshape(-1).view(np.uint8) if isinstance(data, np.ndarray) else np.frombuffer(data, np.uint8)
    result = hashlib.blake2b(b"%d:" % view.size, digest_size=16)
    rows = view.size // (8 * _EARLIER_ROW) if view.size >= _EARLIER_LARGE else 0
    words = view[: rows * 8 * _EARLIER_ROW].view(np.uint64).reshape(rows, _EARLIER_ROW)
    columns = np.zeros(_EARLIER_ROW, np.uint64)
    for first in range(0, rows, _EARLIER_ROWS):
        block = words[first : first + _EARLIER_ROWS]
        result.update(block.sum(1).data)
        columns += block.sum(0)
    if rows:
        result.update(columns.data)
    result.update(view[rows * 8 * _EARLIER_ROW :].data)
    return result.hexdigest()


def fits(data: bytes | bytearray | memoryview | np.ndarray, stated: Any) -> bool:
    """Whether data have the digest that a file states, of this version or of an earlier one."""
    return stated == digest(data) or stated in (folded_digest(data), earlier_digest(data))


def file_digest(path: Path) -> str:
    """The digest of all bytes of a file, which is not read into memory as a whole.

    Raises:
        StorageError: If it cannot be read.
    """
    try:
        return digest(np.memmap(path, np.uint8, "r")) if path.stat().st_size else digest(b"")
    except OSError as error:
        got = f"{name_of(path)}, which cannot be read ({error.strerror or error})"
        raise StorageError(got, "a file that can be read", "check its permissions and the disk") from error


def tensor_digest(tensor: Tensor) -> str:
    """The digest of a tensor's bytes; its type and shape are not in it. It is on the CPU."""
    return digest(_bytes_of(tensor))


def tensor_fits(tensor: Tensor, stated: Any) -> bool:
    """Whether a tensor's bytes have the digest that a file states, of this version or of an earlier one."""
    return fits(_bytes_of(tensor), stated)


def _bytes_of(tensor: Tensor) -> np.ndarray:
    """A tensor's bytes, shape `(bytes,)`."""
    from hf_fourier.torch_state import bytes_of

    return np.asarray(bytes_of(tensor).numpy())


def readable(text: str) -> str:
    """A text whose half characters (lone surrogates, as in names that are no UTF-8) are written out as escapes."""
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def to_json(values: Any, indent: int | None = None, allow_nan: bool = True) -> bytes:
    """JSON in UTF-8. Half characters are written out, so that every text can be stored, read, shown and compared."""
    text = json.dumps(values, ensure_ascii=False, indent=indent, allow_nan=allow_nan)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub(lambda found: f"\\\\u{ord(found[0]):04x}", text).encode()


def as_stored(values: Any) -> Any:
    """Plain values as they come back from JSON: tuples as lists, keys as texts, half characters written out."""
    return json.loads(to_json(values))


def sealed(values: dict[str, Any], allow_nan: bool = True) -> bytes:
    """An object as JSON whose first line states the digest of all that follows.

    Args:
        values: The object.
        allow_nan: Whether NaN and infinity are written, which are no JSON for other programs; otherwise a `ValueError`.
    """
    rest = to_json({_COVERS: _SENTENCE, **values}, 1, allow_nan)[1:].lstrip()
    return f'{{"{_DIGEST}": "{digest(rest)}",\n'.encode() + rest


def unsealed(data: bytes, path: Path, hint: str = "") -> dict[str, Any]:
    """The object that `sealed` wrote, or one of an earlier version, which states no digest.

    Args:
        data: The bytes of the file.
        path: The file, for errors.
        hint: What can be done; for errors.

    Raises:
        DamagedFile: If these are not the bytes that were written, or no JSON object.
    """
    stated = _STATED.match(data)
    if stated is not None and not fits(memoryview(data)[stated.end() :], stated[1].decode()):
        raise damaged(path, "its bytes do not match its digest", hint)
    try:
        values = json.loads(data)
    except (ValueError, RecursionError) as error:
        what = "it is empty" if not data.strip(b"\0") else f"it is not JSON ({type(error).__name__}: {error})"
        raise damaged(path, what, hint) from error
    if not isinstance(values, dict):
        raise damaged(path, f"it holds a {type(values).__name__}, not an object", hint)
    if stated is None and not values.keys().isdisjoint((_DIGEST, _COVERS)):
        raise damaged(path, "the line that states its digest was changed", hint)
    return {name: value for name, value in values.items() if name not in (_DIGEST, _COVERS)}


def read_json(path: Path, hint: str = "") -> dict[str, Any]:
    """Read a file that `sealed` wrote; see `unsealed`.

    Raises:
        DamagedFile: If it is damaged, or larger than any that is written.
        StorageError: If it cannot be read.
    """
    return unsealed(read_bytes(path, MOST_JSON, hint), path, hint)


def read_bytes(path: Path, most: int, hint: str = "") -> bytes:
    """A file's bytes, at most so many.

    Raises:
        DamagedFile: If it has more.
        StorageError: If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        got = f"{name_of(path)}, which cannot be read ({error.strerror or error})"
        raise StorageError(got, "a file that can be read", "check its permissions and the disk") from error
    if len(data) > most:
        raise damaged(path, f"it has more than the {most / 1e6:.0f} MB of any such file", hint)
    return data


def stated_digest(path: Path) -> str:
    """The digest that a sealed JSON file states, which identifies its content; "" where it states none."""
    with path.open("rb") as file:
        stated = _STATED.match(file.read(64))
    return "" if stated is None else stated[1].decode()


def damaged(path: Path, what: str, hint: str = "") -> DamagedFile:
    """The error about a file that is not as it was written.

    Args:
        path: The file.
        what: What is wrong with it, as a clause.
        hint: What to do, and what can still be read.
    """
    do = hint or "restore it from a copy, or make it again"
    return DamagedFile(f"{name_of(path)}, which is damaged: {what}", "a file as it was written", do, path)


@contextmanager
def parsing(path: Path, hint: str = "") -> Iterator[None]:
    """Inside, whatever goes wrong with values that were read is an error about the file that they came from.

    Raises:
        DamagedFile: If they are not what they should be.
    """
    try:
        yield
    except (FourierError, OSError, MemoryError):
        raise
    except Exception as error:  # values of any kind, from a file that anybody may have written
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise damaged(path, f"its values are not of the schema ({readable(reason)})", hint) from error


def name_of(path: Path) -> str:
    """A file with its folder, without the rest of its path."""
    return readable(f"{path.parent.name}/{path.name}")
