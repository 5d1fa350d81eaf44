"""Games that delete features and watch the model, and what is reduced from their curves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hf_fourier.evaluation.metrics.hf_evaluate import load, names
    from hf_fourier.evaluation.metrics.table import columns

_HOMES = {
    "columns": "hf_fourier.evaluation.metrics.table",
    "load": "hf_fourier.evaluation.metrics.hf_evaluate",
    "names": "hf_fourier.evaluation.metrics.hf_evaluate",
}

__all__ = ["columns", "load", "names"]


def __getattr__(name: str) -> Any:
    """Load the public names when they are first used: the games need none of them."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
