"""The metrics as `evaluate` modules: loaded without a Hub, one table for all, the same numbers however rows arrive."""

from __future__ import annotations

import itertools
import json
import math
import os
import re
import shutil
import socket
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import evaluate
import numpy as np
import pytest
import torch
from hatchling.builders.wheel import WheelBuilder

from hf_fourier import FourierExplainer, metrics
from hf_fourier.errors import InputError
from hf_fourier.evaluation.metrics import dig, maintain_rate, robustness, statistics
from hf_fourier.evaluation.metrics.base import METRICS
from hf_fourier.evaluation.metrics.cards import card, example, module
from hf_fourier.evaluation.metrics.hf_evaluate import path
from hf_fourier.evaluation.metrics.table import COLUMNS, curves_of
from hf_fourier.results.curve import DEFAULT_GRID, TENTHS
from tests.evaluation.metrics.sample_results import KEPT, drawn_table
from tests.models import tiny_models


@pytest.fixture(scope="module", autouse=True)
def caches(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Nothing of the user's is written, and nothing is looked up anywhere."""

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError(f"a connection was tried: {args}")

    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("huggingface")
        patch.setattr(evaluate.config, "HF_METRICS_CACHE", str(folder / "metrics"))
        patch.setattr(socket.socket, "connect", refuse)
        yield


def pieces(table: dict[str, list[Any]], *cuts: int) -> list[dict[str, list[Any]]]:
    ends = [0, *cuts, len(table["clean"])]
    return [{name: rows[a:b] for name, rows in table.items()} for a, b in itertools.pairwise(ends)]


def equal(a: dict[str, float], b: dict[str, float]) -> None:
    assert a.keys() == b.keys()
    for name, number in a.items():
        assert number == b[name] or (math.isnan(number) and math.isnan(b[name])), name


def test_the_drawn_table_has_every_column() -> None:
    assert set(drawn_table()) == set(COLUMNS)
    assert {name for measure in METRICS.values() for name in measure.columns} == set(COLUMNS)


@pytest.mark.parametrize("name", METRICS)
def test_a_module_is_its_reduction_however_rows_arrive(name: str) -> None:
    table = drawn_table()
    expected = METRICS[name].compute(table)
    assert len(expected) >= 8
    equal(metrics.load(name).compute(**table), expected)
    in_batches, one_by_one = metrics.load(name), metrics.load(name, keep_in_memory=True)
    for piece in pieces(table, 5, 6):
        in_batches.add_batch(**piece)
    for i in np.random.default_rng(1).permutation(len(table["clean"])):
        one_by_one.add(**{column: rows[i] for column, rows in table.items()})
    equal(in_batches.compute(), expected)
    shuffled = one_by_one.compute()
    assert shuffled == pytest.approx(expected, nan_ok=True)  # in another order


@pytest.mark.parametrize("name", METRICS)
def test_a_copy_elsewhere_is_loaded_by_its_path(name: str, tmp_path: Path) -> None:
    shutil.copytree(path(name).parent, tmp_path / name)
    module = evaluate.load(str(tmp_path / name))
    assert module.name == name
    own = {column: drawn_table()[column] for column in METRICS[name].columns}
    equal(module.compute(**own), METRICS[name].compute(drawn_table()))


def test_all_modules_combined_read_one_table() -> None:
    table = drawn_table()
    combined = evaluate.combine([metrics.load(name) for name in METRICS])
    at_once = combined.compute(**table)
    for name, measure in METRICS.items():
        for key, number in measure.compute(table).items():
            assert at_once[key] == number or math.isnan(number), (name, key)
    again = evaluate.combine([metrics.load(name) for name in METRICS])
    for piece in pieces(table, 3, 8):
        again.add_batch(**piece)
    equal(again.compute(), at_once)


def test_numbers_by_hand() -> None:
    table = drawn_table(6)
    curves = curves_of(table)
    found = metrics.load("dig").compute(**table)
    groups = [name or None for name in table["group"]]
    plain = statistics.summarise([dig.dig(curve) for curve in curves], groups)
    assert found["dig"] == plain.mean
    assert (found["dig_low"], found["dig_high"], found["dig_median"]) == (*plain.interval, plain.median)
    assert found["dig_n"] == 6
    paper = metrics.load("dig").compute(**table, paper=True)
    by_hand = [
        sum(curve.at("keep", round(1 - r, 12)).confidence / curve.clean for r in TENTHS[1:10])
        - sum(curve.at("delete", r).confidence / curve.clean for r in TENTHS[1:10])
        for curve in curves
    ]
    assert paper["dig"] == pytest.approx(np.mean(by_hand))
    assert paper["dig_normalised"] == found["dig_normalised"] == pytest.approx(np.mean(by_hand) / 9)
    rates = metrics.load("maintain_rate").compute(**table, rate=0.5)
    assert rates["maintain_rate_at_0.04"] == np.mean([curve.at("keep", 0.04).agreement for curve in curves])
    assert rates["least_kept"] == maintain_rate.least_kept_fraction(curves, 0.5)
    select = metrics.load("selectivity").compute(**table, fractions=[0.01, 0.3])
    own, wrong = (
        [row[KEPT.index(r)] for r in (0.01, 0.3)] for row in (table["kept_decision"][0], table["wrong_reached"][0])
    )
    assert METRICS["selectivity"].per_example(table, fractions=[0.01, 0.3])["selectivity"][0] == pytest.approx(
        sum(a - b for a, b in zip(own, wrong, strict=True)) / 2
    )
    assert select["own_kept_at_0.01"] == np.mean([curve.at("keep", 0.01).agreement for curve in curves])
    assert metrics.load("mu_fidelity").compute(**table)["mu_fidelity"] == pytest.approx(
        np.mean(
            [robustness.mu_fidelity(a, b) for a, b in zip(table["subset_scores"], table["subset_drops"], strict=True)]
        )
    )


def test_without_sources_each_example_is_its_own() -> None:
    table = drawn_table()
    bare = {name: rows for name, rows in table.items() if name != "group"}
    expected = METRICS["dig"].compute(table | {"group": [""] * len(table["clean"])})
    equal(metrics.load("dig").compute(**bare), expected)


def test_what_is_wrong_is_named() -> None:
    table = drawn_table()
    with pytest.raises(InputError, match="without subset_drops"):
        metrics.load("mu_fidelity").compute(**{n: r for n, r in table.items() if n != "subset_drops"})
    with pytest.raises(InputError, match="columns \\['keept'\\]"):
        metrics.load("dig").add_batch(**table, keept=[])
    with pytest.raises(TypeError, match="papre"):
        metrics.load("dig").compute(**table, papre=True)
    with pytest.raises(InputError, match="did you mean 'dig'"):
        metrics.load("digg")
    value = table | {"kept_confidence": [[math.nan] * len(KEPT)] * 12}
    with pytest.raises(InputError, match="without a confidence"):
        metrics.load("dig").compute(**value)
    with pytest.raises(InputError, match="one of each for every fraction"):
        METRICS["maintain_rate"].compute(table | {"kept_decision": [[1.0]] * 12})


_RANK = """
import json, sys
from hf_fourier import metrics
from tests.evaluation.metrics.sample_results import drawn_table
from tests.evaluation.metrics.test_modules import pieces
rank, cache = int(sys.argv[1]), sys.argv[2]
found = {}
for name in json.loads(sys.argv[3]):
    module = metrics.load(name, num_process=2, process_id=rank, experiment_id="two", cache_dir=cache)
    module.add_batch(**pieces(drawn_table(), 7)[rank])
    found[name] = module.compute()
print(json.dumps(found))
"""


def test_two_processes_give_the_number_of_one(tmp_path: Path, root: Path) -> None:
    chosen = ["dig", "selectivity", "concentration"]
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home"), "PYTHONPATH": str(root)}
    command = [sys.executable, "-c", _RANK]
    ranks = [
        subprocess.Popen(
            [*command, str(rank), str(tmp_path / "cache"), json.dumps(chosen)],
            env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in (0, 1)
    ]  # fmt: skip
    said = [process.communicate(timeout=300) for process in ranks]
    assert [process.returncode for process in ranks] == [0, 0], said
    first, second = (json.loads(out.splitlines()[-1]) for out, _ in said)
    assert second == dict.fromkeys(chosen)
    for name in chosen:
        equal(first[name], METRICS[name].compute(drawn_table()))


@pytest.mark.parametrize("name", METRICS)
def test_modules_and_cards_are_up_to_date(name: str) -> None:
    """`python -m hf_fourier.evaluation.metrics.cards` writes them."""
    assert path(name).read_text() == module(METRICS[name])
    assert (path(name).parent / "README.md").read_text() == card(METRICS[name])


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    """What the cards' code takes as given: an explainer, and results that were played."""
    explainer = FourierExplainer(tiny_models.build("image-classification", "resnet"), None)
    batch = {"pixel_values": torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))}
    results = explainer.explain(batch, targets=[0, 1, 0, 1])
    return {"explainer": explainer, "results": explainer.perturb(results, DEFAULT_GRID)}


@pytest.mark.parametrize("name", METRICS)
def test_the_code_of_a_card_runs(name: str, told: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    exec(example(METRICS[name]), dict(told))
    assert f"'{name}'" in capsys.readouterr().out
    assert example(METRICS[name]) in (Path(path(name)).parent / "README.md").read_text()


@pytest.mark.parametrize("name", METRICS)
def test_modules_are_thin(name: str) -> None:
    """They hold no mathematics of their own: a class with a name."""
    code = path(name).read_text()
    assert len(code.splitlines()) <= 12
    assert not re.search(r"[-+*/]\s|def |numpy|torch", code.split('"""')[-1] + code.split('"""')[2])


def test_modules_are_in_the_wheel(root: Path, tmp_path: Path) -> None:
    built = next(WheelBuilder(str(root)).build(directory=str(tmp_path), versions=["standard"]))
    held = zipfile.ZipFile(built).namelist()
    for name in METRICS:
        assert f"hf_fourier/evaluation/metrics/modules/{name}/{name}.py" in held
        assert f"hf_fourier/evaluation/metrics/modules/{name}/README.md" in held
