"""Seeded damage: the bytes of a sound file, changed as disks, editors and attackers change them."""

from __future__ import annotations

import json
import random
import struct
from typing import Any

#: Whole numbers at which sizes and places overflow.
NUMBERS = (0, 1, -1, 2, 127, 128, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 10**6, 10**9, 2**63 - 1)
#: Texts that are no plain words.
TEXTS = ("", " ", "\0", "\ud800", "a" * 5000, "../../up", "/proc/x", "nan", "=1+1", "[", "{", '"', "\u202e",
         "é" * 300,
         "%s%n", "1e400", "-1", "None", "\n\n", "<script>", "🙂")  # fmt: skip
#: Values of JSON that stand where others are meant.
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**70, -(2**70), 0.5, -0.0, float("nan"), float("inf"), [], {}, [[]], [None], {"a": 1},
    [0] * 1000, *TEXTS, 10**18, 3_000_000,
)  # fmt: skip


def damaged(data: bytes, rng: random.Random) -> bytes:
    """A copy of a file's bytes with one to four changes."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        rng.choice((_flip, _overwrite, _number, _cut, _repeat, _insert, _splice))(changed, rng)
    return bytes(changed)


def _place(data: bytearray, rng: random.Random) -> int:
    """A place in a file, mostly near its beginning, where headers are."""
    return rng.randrange(min(len(data), rng.choice((16, 64, 400, 10**9)))) if data else 0


def _flip(data: bytearray, rng: random.Random) -> None:
    if data:
        data[_place(data, rng)] ^= 1 << rng.randrange(8)


def _overwrite(data: bytearray, rng: random.Random) -> None:
    place = _place(data, rng)
    piece = rng.randbytes(rng.choice((1, 4, 16)))
    data[place : place + len(piece)] = piece


def _number(data: bytearray, rng: random.Random) -> None:
    place, size = _place(data, rng), rng.choice((2, 4, 8))
    number = rng.choice(NUMBERS) % 2 ** (8 * size)
    data[place : place + size] = number.to_bytes(size, rng.choice(("little", "big")))


def _cut(data: bytearray, rng: random.Random) -> None:
    del data[rng.choice((0, _place(data, rng), rng.randrange(len(data) + 1))) :]


def _repeat(data: bytearray, rng: random.Random) -> None:
    place = _place(data, rng)
    piece = data[place : place + rng.choice((4, 64, 512))]
    data[place:place] = piece * rng.choice((1, 3, 50))


def _insert(data: bytearray, rng: random.Random) -> None:
    place = _place(data, rng)
    number = struct.pack("<d", rng.choice((float("nan"), float("inf"), 1e300, -1.0)))
    data[place:place] = rng.choice((b"\0" * 64, b"\xff" * 8, number, "\u202e\ufeff".encode()))


def _splice(data: bytearray, rng: random.Random) -> None:
    first, second = sorted((_place(data, rng), _place(data, rng)))
    data[first:second] = data[second : second + second - first][::-1]


def changed_json(value: Any, rng: random.Random) -> Any:
    """A copy of plain values in which one value at any depth is another, is missing, or has a sibling."""
    copy = json.loads(json.dumps(value))
    holder, key = rng.choice(_places(copy) or [([copy], 0)])
    match rng.randrange(4):
        case 0 if isinstance(holder, dict):
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[rng.choice(TEXTS)] = rng.choice(VALUES)
        case 2 if isinstance(holder, list):
            holder.append(rng.choice(VALUES))
        case _:
            holder[key] = rng.choice(VALUES)
    return copy


def _places(value: Any) -> list[tuple[Any, Any]]:
    """All places in nested dictionaries and lists: the container and the key."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [place for key in keys for place in [(value, key), *_places(value[key])]]


def json_bytes(value: Any, rng: random.Random) -> bytes:
    """Changed plain values as a JSON file, now and then with damage that is no JSON."""
    text = json.dumps(changed_json(value, rng)).encode()
    match rng.randrange(12):
        case 0:
            return damaged(text, rng)
        case 1:
            return b"[" * rng.choice((10, 200_000)) + text
        case 2:
            return text.replace(b"1", b"1e400", 1)
        case 3:
            return text.replace(b"1", b"1" * 5000, 1)
    return text
