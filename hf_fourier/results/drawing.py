"""Calls the functions that draw results and write their sounds, by name, as they lie in a higher layer."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def drawn_by(name: str, *args: Any) -> Any:
    """Call a function of `hf_fourier.report`, by its name.

    Args:
        name: "module:function" below `hf_fourier.report`.
        *args: For it.
    """
    module, function = name.split(":")
    return getattr(import_module(f"hf_fourier.report.{module}"), function)(*args)
