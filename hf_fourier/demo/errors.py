"""What can go wrong while an asset is fetched or built."""

from __future__ import annotations


class AssetUnavailable(RuntimeError):
    """An asset is not available here: a tool or a Python package is missing, or a registry did not answer."""


class ChecksumMismatch(RuntimeError):
    """A fetched file is not the one whose SHA-256 is pinned."""


class UnknownAsset(LookupError):
    """No asset has this name."""
