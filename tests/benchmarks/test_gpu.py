"""The script for a GPU runs to its end with tiny models on a CPU, each of its parts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from benchmarks import gpu


@pytest.fixture(scope="module")
def found(request: pytest.FixtureRequest) -> dict[str, Any]:
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled(), pytest.MonkeyPatch.context() as patch:
        lines: list[str] = []
        patch.setattr("builtins.print", lambda *text, **_: lines.append(" ".join(map(str, text))))
        gpu.main(["--small", "--device", "cpu", "--runs", "1", "--models", "vit-b/16", "wav2vec2-base"])
    return json.loads(lines[-1])


def test_no_part_fails_and_every_ratio_is_a_number(found: dict[str, Any]) -> None:
    assert not found["skipped"]
    failed = {name: part["error"] for name, part in found["parts"].items() if "error" in part}
    assert not failed
    kinds = {f"explain {name} {kind}" for name in ("vit-b/16", "wav2vec2-base") for kind in gpu.TYPES}
    assert kinds | {"curves vit-b/16", "evaluation", "data set"} <= found["parts"].keys()
    for name in kinds:
        rows = found["parts"][name]
        assert len(rows) == 4
        assert all(row["explain ÷ bare"] > 0 < row["with orders ÷ bare"] for row in rows.values())


def test_the_same_device_finds_the_same(found: dict[str, Any]) -> None:
    for name in ("vit-b/16", "wav2vec2-base"):
        for row in found["parts"][f"equality {name}"].values():
            assert row == {"scores differ by": 0, "top 4 % shared, least": 1, "same labels": True}


def test_the_run_says_where_its_time_went(found: dict[str, Any]) -> None:
    run = found["parts"]["data set"]
    assert run["pictures"] == 8
    assert 0 < run["stages, s"]["explain"] <= run["run, s"]


def test_parts_that_would_begin_too_late_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    gpu.main(["--small", "--device", "cpu", "--seconds", "0", "--models", "bert-base"])
    late = json.loads(capsys.readouterr().out)
    assert late["parts"] == {}
    assert {"explain bert-base bfloat16", "curves bert-base", "equality bert-base"} <= set(late["skipped"])
