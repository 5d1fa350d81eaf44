"""Damage to stored files: each byte changed in its turn, and values that are not of their schema."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: First bytes of a file that are changed in any case: lengths, and lines that state digests.
START = 60
#: What takes the place of a value.
STRANGE: tuple[Any, ...] = (None, True, -1, 2**70, 0.5, math.nan, "", "text", [], [[]], {}, {"a": 1}, [None, "x"])


def changed_bytes(path: Path, sample: int | None = None, seed: int = 0) -> Iterator[int]:
    """Changes one byte of a file after the other, each by one bit; afterwards the file is as it was.

    Args:
        path: The file.
        sample: How many places beside the first ones; None for all.
        seed: Of the bits, and of the places.

    Yields:
        The place of the byte that is changed at the moment.
    """
    data, draw = path.read_bytes(), random.Random(seed)
    drawn = range(len(data)) if sample is None else draw.sample(range(len(data)), min(sample, len(data)))
    for place in sorted({*range(min(START, len(data))), *drawn}):
        changed = bytearray(data)
        changed[place] ^= 1 << draw.randrange(8)
        path.write_bytes(changed)
        yield place
    path.write_bytes(data)


def malformed(values: Any, draw: random.Random, count: int) -> Iterator[Any]:
    """Copies of plain values, in each of which one value is missing or another one.

    Args:
        values: As `json.loads` returns them.
        draw: Draws what is changed, and into what.
        count: How many.
    """
    paths = list(_paths(values))
    for _ in range(count):
        other = copy.deepcopy(values)
        *above, last = draw.choice(paths)
        place = other
        for key in above:
            place = place[key]
        if draw.random() < 0.2:
            del place[last]
        else:
            place[last] = copy.deepcopy(draw.choice(STRANGE))
        yield other


def _paths(values: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The keys and numbers that lead to each value within."""
    items = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in items:
        yield (*above, key)
        yield from _paths(value, (*above, key))
