"""Explain the predictions of Hugging Face models by the frequencies of what they read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from hf_fourier.attribution import Attribution
    from hf_fourier.callables import attribute
    from hf_fourier.explainer import FourierExplainer
    from hf_fourier.report.report import Report

_HOMES = {
    "Attribution": "attribution",
    "FourierExplainer": "explainer",
    "Report": "report.report",
    "attribute": "callables",
}

__all__ = ["Attribution", "FourierExplainer", "Report", "__version__", "attribute"]


def __getattr__(name: str) -> Any:
    """Load the public names when they are first used, so that the import costs little more than torch's own."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
