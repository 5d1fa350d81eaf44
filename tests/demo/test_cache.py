"""A build becomes visible all at once or not at all, once however many ask for it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hf_fourier.models import cache


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_FOURIER_CACHE", str(tmp_path / "cache"))


def _write(folder: Path) -> None:
    (folder / "weights").write_text("all of them")


def test_the_root_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache.root() == tmp_path / "cache"
    monkeypatch.delenv("HF_FOURIER_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.root() == tmp_path / "xdg" / "hf_fourier"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.root() == Path.home() / ".cache" / "hf_fourier"


def test_a_ready_folder_is_not_made_again() -> None:
    target = cache.place("thing", 1)
    assert cache.once("thing", target, _write) == target
    cache.once("thing", target, lambda folder: pytest.fail("built twice"))
    assert [path.name for path in target.iterdir()] == ["weights"]


def test_a_new_revision_lies_elsewhere_under_the_same_name() -> None:
    assert cache.place("thing", 1) != cache.place("thing", 2)
    assert cache.place("thing", 1).name == cache.place("thing", 2).name == "thing"


def test_a_failed_build_signals_nothing() -> None:
    target = cache.place("thing", 1)

    def fail(folder: Path) -> None:
        (folder / "weights").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        cache.once("thing", target, fail)
    assert not target.exists()
    assert list((cache.root() / "building").iterdir()) == []
    assert (cache.once("thing", target, _write) / "weights").read_text() == "all of them"


def test_what_a_killed_build_left_is_neither_used_nor_kept() -> None:
    target = cache.place("thing", 1)
    half = cache.root() / "building" / "thing" / "tmpabc" / "thing"
    half.mkdir(parents=True)
    (half / "weights").write_text("half")

    def check_and_write(folder: Path) -> None:
        assert not half.exists()
        assert list(folder.iterdir()) == []
        _write(folder)

    assert (cache.once("thing", target, check_and_write) / "weights").read_text() == "all of them"


def test_nothing_is_visible_while_it_is_being_built() -> None:
    target = cache.place("thing", 1)

    def look(folder: Path) -> None:
        _write(folder)
        assert not target.exists()
        assert folder.name == "thing"

    cache.once("thing", target, look)
    assert target.is_dir()


def test_many_at_once_build_once() -> None:
    target = cache.place("thing", 1)
    started, builds = threading.Barrier(4), []

    def ask() -> Path:
        started.wait()
        return cache.once("thing", target, lambda folder: (builds.append(folder), _write(folder))[1])

    with ThreadPoolExecutor(4) as pool:
        places = [job.result() for job in [pool.submit(ask) for _ in range(4)]]
    assert places == [target] * 4
    assert len(builds) == 1
