"""Which dataclasses a package has, and whether what they hold can be changed after they are made."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import ModuleType


def classes(package: ModuleType, but: tuple[str, ...] = ()) -> list[type]:
    """All dataclasses that the modules of a package define, but those that are meant to change."""
    return [kind for kind in _every(package) if kind.__name__ not in but]


def changed(kind: type) -> list[str]:
    """The fields that can be set on an object of this class."""
    made, found = object.__new__(kind), []
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        try:
            setattr(made, field.name, None)
        except dataclasses.FrozenInstanceError:
            continue
        found.append(field.name)
    return found


def _every(package: ModuleType) -> Iterator[type]:
    for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if ".modules" in info.name:  # scripts of `evaluate`
            continue
        for thing in vars(importlib.import_module(info.name)).values():
            if not isinstance(thing, type) or not dataclasses.is_dataclass(thing) or thing.__module__ != info.name:
                continue
            if not inspect.isabstract(thing):  # Python refuses a frozen class below one that is not
                yield thing
