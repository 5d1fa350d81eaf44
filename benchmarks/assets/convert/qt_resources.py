"""Files out of a Qt resource container (`.rcc`), as `rcc --binary` writes it."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

_DIRECTORY, _ZLIB, _ZSTD = 2, 1, 4


def read_resources(container: bytes) -> dict[str, bytes]:
    """The files of a container by their path, `/folder/file`.

    All numbers are big-endian. The header names the offsets of a tree of nodes, the data and the names; a node is a
    directory (number of children, index of the first) or a file (offset of its data); data may be deflated
    (`qtbase/src/corelib/io/qresource.cpp`).

    Raises:
        ValueError: this is no such container, or a file in it is packed with Zstandard.
    """
    if container[:4] != b"qres":
        raise ValueError(f"a Qt resource container begins with b'qres'; got {container[:4]!r}")
    return dict(_walk(container, 0, ""))


def _walk(container: bytes, node: int, folder: str) -> Iterator[tuple[str, bytes]]:
    """The files below a node; the root, node 0, has no name."""
    version, tree, data, names = struct.unpack_from(">4I", container, 4)
    at = tree + node * (14 if version == 1 else 22)  # later versions add the time of the last change
    name_at, flags = struct.unpack_from(">IH", container, at)
    path = f"{folder}/{_name(container, names + name_at)}" if node else folder
    if flags & _DIRECTORY:
        count, first = struct.unpack_from(">2I", container, at + 6)
        for child in range(first, first + count):
            yield from _walk(container, child, path)
        return
    if flags & _ZSTD:
        raise ValueError(f"files must be stored or deflated; {path} is packed with Zstandard")
    data_at = data + struct.unpack_from(">I", container, at + 10)[0]
    (length,) = struct.unpack_from(">I", container, data_at)
    content = container[data_at + 4 : data_at + 4 + length]
    yield path, zlib.decompress(content[4:]) if flags & _ZLIB else content  # deflated data begins with its full length


def _name(container: bytes, at: int) -> str:
    """The name at this offset: its length, a hash and its characters in UTF-16."""
    (length,) = struct.unpack_from(">H", container, at)
    return container[at + 6 : at + 6 + 2 * length].decode("utf-16-be")
