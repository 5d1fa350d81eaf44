"""Studies: class swaps, class filters, gene deletion, transcript errors, transfer."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["class_filters", "class_swap", "in_silico_deletion", "transcript_errors", "transfer"]


def __getattr__(name: str) -> Any:
    """Load a study when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")
