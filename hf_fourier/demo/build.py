"""From a name to a ready folder: parents first, then packages, then the conversion."""

from __future__ import annotations

import difflib
import importlib
import logging
from collections.abc import Iterable
from pathlib import Path

from hf_fourier.models import cache

from . import fetch
from .catalogue import ASSETS, Asset
from .errors import AssetUnavailable, UnknownAsset

logger = logging.getLogger(__name__)


class Catalogue:
    """Assets by name.

    Args:
        assets: Each after its parents.
    """

    def __init__(self, assets: Iterable[Asset]) -> None:
        self.assets = {asset.name: asset for asset in assets}

    def names(self) -> list[str]:
        """The names of all assets, in order."""
        return list(self.assets)

    def describe(self, name: str) -> Asset:
        """What an asset is and where it comes from, without fetching anything.

        Raises:
            UnknownAsset: there is no such asset; the message lists what there is, close matches first.
        """
        if name in self.assets:
            return self.assets[name]
        close = difflib.get_close_matches(name, self.assets, n=3, cutoff=0.4)
        listed = close + [other for other in self.assets if other not in close]
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise UnknownAsset(f"no asset is called {name!r}.{hint} There are: {', '.join(listed)}.")

    def available(self, name: str) -> tuple[bool, str]:
        """Whether the tools that an asset needs exist on this machine, and if not, what is missing.

        An asset that is ready in the cache needs no tools. Whether the registries answer is not tried.

        Raises:
            UnknownAsset: there is no such asset.
        """
        asset = self.describe(name)
        if cache.place(asset.name, asset.revision).is_dir():
            return True, ""
        reason = fetch.missing(asset)
        return not reason, reason

    def get(self, name: str) -> Path:
        """The folder of a ready asset; fetched, checked and converted the first time, cached afterwards.

        Raises:
            UnknownAsset: there is no such asset.
            AssetUnavailable: a tool or Python package that it needs is missing, or a registry did not answer.
            ChecksumMismatch: a fetched file is not the one that is pinned.
        """
        asset = self.describe(name)
        target = cache.place(asset.name, asset.revision)
        if target.is_dir():
            return target
        reason = fetch.missing(asset)
        if reason:
            raise AssetUnavailable(reason)
        return cache.once(asset.name, target, lambda folder: self._convert(asset, folder))

    def _convert(self, asset: Asset, folder: Path) -> None:
        inputs = {parent: self.get(parent) for parent in asset.parents}
        covered = {package for parent in asset.parents for package in self.describe(parent).packages}
        inputs |= {package.name: fetch.package(package) for package in asset.packages if package not in covered}
        module, function = asset.builder.split(":")
        logger.info("building %s", asset.name)
        variant = (asset.variant,) if asset.variant else ()
        getattr(importlib.import_module(module), function)(inputs, folder, *variant)


#: The assets of the demo.
DEMO = Catalogue(ASSETS)
