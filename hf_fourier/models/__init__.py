"""Model wrappers, the only package that imports `transformers`. One file per kind of input.

The names here are loaded when they are first used (by `hf_fourier.models.wrappers`), so that `models.cache` is light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hf_fourier.models.base import WRAPPERS, ModelWrapper
    from hf_fourier.models.wrappers import wrap

_NAMES = ("WRAPPERS", "ModelWrapper", "wrap")

__all__ = ["WRAPPERS", "ModelWrapper", "wrap"]


def __getattr__(name: str) -> Any:
    """Load every wrapper when the first is asked for, so that the registry is full."""
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.wrappers"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_NAMES])
