"""Cases of all rooms by a seed: the same seed and number give the same case."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.fuzz import calls, readers, repositories, shell, stored

#: What draws cases, by the name of the family.
FAMILIES: dict[str, Callable[[random.Random, Path], Iterator[tuple[str, str, Callable[[], Any]]]]] = {
    "files": readers.cases,
    "calls": calls.cases,
    "shell": shell.cases,
    "stored": stored.cases,
    "repositories": repositories.cases,
}


@dataclass(frozen=True)
class Drawn:
    """One case.

    Attributes:
        room: The reader or the entry point.
        text: The case in words.
        call: Runs it.
        number: Its place in the sequence of its seed.
    """

    room: str
    text: str
    call: Callable[[], Any]
    number: int


def warm(folder: Path) -> None:
    """Import and make ready, in this process, what cases need; each runs in a fork of it."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        readers.warm(folder)
        calls.warm(folder)
        shell.warm(folder)
        stored.warm(folder)
        repositories.warm(folder)


def rooms() -> list[str]:
    """The names of all rooms, readers first."""
    commands = (f"shell: {command}" for command in shell.COMMANDS)
    return [*readers.rooms(), *calls.ROOMS, *commands, *stored.ROOMS, *repositories.ROOMS]


def draw(seed: int, folder: Path, rooms: Sequence[str] | None = None) -> Iterator[Drawn]:
    """Cases without end, of all families in turn.

    Args:
        seed: What is drawn.
        folder: Where files are written.
        rooms: Those that are wanted; None for all.
    """
    families = [make(random.Random(f"{seed}/{name}"), folder) for name, make in FAMILIES.items()]
    number = 0
    while True:
        for family in families:
            room, text, call = next(family)
            number += 1
            if rooms is None or room in rooms:
                yield Drawn(room, text, call, number)
