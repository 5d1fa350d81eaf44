"""The contracts of all metrics, over everything in the registry, on drawn tables."""

from __future__ import annotations

import ast
import inspect
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hf_fourier.evaluation import metrics
from hf_fourier.evaluation.metrics.base import METRICS, Metric, register
from hf_fourier.evaluation.metrics.table import COLUMNS
from hf_fourier.results.curve import TENTHS
from tests.evaluation.metrics.sample_results import KEPT, drawn_table

every = pytest.mark.parametrize("name", METRICS)
#: How a range begins: two ends, or a lower one.
RANGE = re.compile(r"(−?[\d.]+) (?:to (−?[\d.]+)|and above)")
FOLDER = Path(str(metrics.__file__)).parent


def bounded(seed: int) -> dict[str, list[Any]]:
    """A drawn table whose ends agree (keeping all is the whole, keeping nothing is deleting all), no confidence above
    the clean one."""
    table = drawn_table(seed=seed)
    for row, clean in enumerate(table["clean"]):
        kept, deleted = (np.array(table[f"{mode}_confidence"][row]) * clean for mode in ("kept", "deleted"))
        kept[-1] = deleted[0] = clean
        deleted[-1] = kept[0]
        table["kept_confidence"][row], table["deleted_confidence"][row] = kept.tolist(), deleted.tolist()
    return table


def of(name: str, table: dict[str, list[Any]]) -> np.ndarray:
    """The metric itself, one number per example or class, or a single one."""
    return np.atleast_1d(np.asarray(METRICS[name].per_example(table)[name], dtype=float))


def test_a_metric_is_one_file_and_one_import() -> None:
    """Each is registered in a module of its own, which the package imports by name; no file registers elsewhere."""
    imported = {}
    for node in ast.parse(Path(str(metrics.__file__)).read_text()).body:
        if isinstance(node, ast.ImportFrom):
            imported |= {alias.name: str(node.module) for alias in node.names}
    for name, metric in METRICS.items():
        assert getattr(metrics, name.upper()) is metric
        assert metric.per_example.__module__ == imported[name.upper()]
    registering = {path.stem for path in FOLDER.glob("*.py") if "register(\n" in path.read_text()}
    assert registering == {metric.per_example.__module__.rpartition(".")[2] for metric in METRICS.values()}


def test_a_name_and_columns_are_checked() -> None:
    metric = METRICS["dig"]
    with pytest.raises(ValueError, match="registered already"):
        register(metric)
    values = {field: getattr(metric, field) for field in Metric.__dataclass_fields__}
    with pytest.raises(ValueError, match="keept"):
        register(Metric(**{**values, "name": "new", "reads": ("keept",)}))
    assert "new" not in METRICS


@every
def test_a_metric_describes_itself(name: str) -> None:
    metric = METRICS[name]
    assert metric.name == name
    options = list(inspect.signature(metric.per_example).parameters.values())[1:]
    assert all(option.kind is option.KEYWORD_ONLY and option.name not in COLUMNS for option in options)
    texts = [metric.description, metric.range, metric.needs, metric.limits, metric.reference]
    assert all(len(text) >= 6 for text in texts)
    assert next(iter(metric.per_example(drawn_table()))) == name


@every
def test_the_range_holds(name: str) -> None:
    stated = RANGE.match(METRICS[name].range)
    assert stated is not None
    low, high = (math.inf if end is None else float(end.replace("−", "-")) for end in stated.groups())
    for seed in range(20):
        values = of(name, bounded(seed))
        defined = values[~np.isnan(values)]
        assert ((defined >= low - 1e-12) & (defined <= high + 1e-12)).all()


@every
def test_it_reads_its_columns_alone(name: str) -> None:
    table = drawn_table()
    read = {column: table[column] for column in METRICS[name].reads}
    np.testing.assert_array_equal(of(name, read), of(name, table))


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.unit == "example"])
def test_an_example_has_the_number_that_it_has_alone(name: str) -> None:
    """Whatever else is in the table: numbers of many processes are those of one."""
    table = drawn_table()
    numbers = METRICS[name].per_example(table)
    for row in range(len(table["clean"])):
        alone = METRICS[name].per_example({column: [values[row]] for column, values in table.items()})
        for key, values in numbers.items():
            if not isinstance(values, (int, float)):
                np.testing.assert_array_equal(values[row], alone[key][0])  # type: ignore[index]


def turned(table: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """The same rankings the other way round, on the tenths: the top r deleted is what had 1 − r kept."""
    tenths = [KEPT.index(r) for r in TENTHS]
    kept = [[row[i] for i in tenths] for row in table["kept_confidence"]]
    deleted = table["deleted_confidence"]
    columns = ("kept", "kept_confidence", "deleted", "deleted_confidence", "clean")
    return {
        **{column: table[column] for column in columns},
        "kept": [list(TENTHS)] * len(kept),
        "kept_confidence": [row[::-1] for row in deleted],
        "deleted_confidence": [row[::-1] for row in kept],
    }


def test_a_ranking_turned_round_turns_what_reads_confidences() -> None:
    """So DIG is 0 on average for a random order, and insertion is deletion."""
    table = bounded(3)
    assert of("dig", turned(table)) == pytest.approx(-of("dig", table))
    assert of("insertion", turned(table)) == pytest.approx(of("deletion", table))
    assert of("deletion", turned(table)) == pytest.approx(of("insertion", table))


def test_wrong_labels_in_place_of_the_own_turn_selectivity() -> None:
    """So it is 0 on average for a method that reaches any label as well as the example's own."""
    table = drawn_table()
    table["wrong_reached"] = [[float(rate > 0.5) for rate in row] for row in table["wrong_reached"]]
    other = {**table, "kept_decision": table["wrong_reached"], "wrong_reached": table["kept_decision"]}
    assert of("selectivity", other) == pytest.approx(-of("selectivity", table))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dig", 0.0),
        ("insertion", 0.6),
        ("deletion", 0.6),
        ("maintain_rate", 1.0),
        ("dice_retention", 1.0),
        ("selectivity", 0.0),
        ("faithfulness_of_spectra", 0.0),
        ("input_fidelity", 1.0),
        ("mu_fidelity", math.nan),
        ("infidelity", 0.0),
        ("sensitivity_max", 0.0),
        ("average_drop", 0.0),
        ("average_increase", 0.0),
        ("average_gain", 0.0),
        ("f_fidelity", 0.0),
    ],
)
def test_a_model_that_nothing_changes(name: str, expected: float) -> None:
    """The confidence is 0.6 and the decision the same whatever is kept or deleted."""
    table = drawn_table()
    height = {"confidence": 0.6, "decision": 1.0, "reached": 1.0, "drops": 0.0, "changes": 0.0}
    for column, rows in table.items():
        if (value := height.get(column.rpartition("_")[2])) is not None:
            table[column] = [[value] * len(row) for row in rows]
    table["clean"] = [0.6] * len(table["clean"])
    table["agreement"] = [1.0] * len(table["clean"])
    assert of(name, table) == pytest.approx(expected, nan_ok=True)


def test_random_subsets_have_no_rank_correlation() -> None:
    """Scores drawn without regard to the drops: μ-fidelity is 0 on average."""
    numbers = np.random.default_rng(5)
    table = {column: numbers.normal(size=(200, 50)).tolist() for column in ("subset_scores", "subset_drops")}
    values = of("mu_fidelity", table)
    assert abs(values.mean()) < 3 * values.std() / math.sqrt(len(values))


def test_random_tops_are_as_concentrated_as_chance() -> None:
    numbers = np.random.default_rng(6)
    tops = [numbers.choice(4000, 400, replace=False).tolist() for _ in range(24)]
    table = {"label": ["a", "b"] * 12, "top": tops, "features": [4000] * 24}
    found = METRICS["concentration"].per_example(table)
    assert found["concentration"] == pytest.approx(found["concentration_by_chance"], rel=0.05)


def of_quality(quality: float) -> dict[str, list[Any]]:
    """What a ranking looks like whose top `1 − quality` of the features carry all of the prediction, evenly."""
    table = drawn_table(rows=2)
    carried = 1.0 - quality
    whole = np.minimum(np.array(KEPT) / carried, 1.0)
    lost = np.maximum(1.0 - np.array(TENTHS) / carried, 0.0)
    count = 50
    scores = np.linspace(-1, 1, count)
    noise = np.random.default_rng(0).normal(size=count)
    rows = {
        "clean": 1.0,
        "kept_confidence": whole.tolist(),
        "deleted_confidence": lost.tolist(),
        "kept_decision": (whole > 0.9).astype(float).tolist(),
        "deleted_decision": (lost > 0.5).astype(float).tolist(),
        "wrong_reached": (0.5 * (1 - whole)).tolist(),
        "subset_scores": scores.tolist(),
        "subset_drops": (quality * scores + (1 - quality) * noise).tolist(),
        "noise_predicted": scores.tolist(),
        "noise_drops": (scores + (1 - quality) * noise).tolist(),
        "score_changes": [1 - quality] * 10,
        "kept_l1": KEPT,
        "swapped_decision": [1 - quality] * 4,
        "agreement": 1.0,
        "removed_top_decision": [1 - quality] * 3,
        "removed_rest_decision": [quality] * 3,
        "truth": [count - 2, count - 1],
        "scores": (3 * quality * (np.arange(count) >= count - 2) + (1 - quality) * np.abs(noise)).tolist(),
    }
    return {**table, **{column: [value] * 2 for column, value in rows.items()}}


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.better != "neither"])
def test_a_better_ranking_is_better(name: str) -> None:
    sign = {"higher": 1, "lower": -1}[METRICS[name].better]
    worse, good, best = (float(of(name, of_quality(quality)).mean()) for quality in (0.1, 0.5, 0.9))
    assert sign * worse <= sign * good <= sign * best  # two metrics read one fraction, and are at their end there
    assert sign * worse < sign * best


@every
def test_the_numbers_beside_a_metric_have_their_own_direction(name: str) -> None:
    """The better ranking is not worse by any number that the metric returns, and better by each that is reversed."""
    metric = METRICS[name]
    worse, best = (metric.per_example(of_quality(quality)) for quality in (0.1, 0.9)) if metric.sign(name) else ({}, {})
    better = set()
    for number in worse:
        gain = metric.sign(number) * (np.nanmean(best[number]) - np.nanmean(worse[number]))
        assert gain >= 0, number
        better |= {number} if gain > 0 else set()
    for prefix in metric.reversed:
        assert metric.sign(prefix) == -metric.sign(name)
        assert any(number.startswith(prefix) for number in better), prefix
