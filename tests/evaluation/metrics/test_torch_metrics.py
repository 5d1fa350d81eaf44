"""The metrics as torchmetrics: the numbers of the reductions, however rows arrive, also from several processes."""

import math
import pickle

import numpy as np
import pytest
import torch
import torchmetrics

from hf_fourier import FourierExplainer, metrics
from hf_fourier.errors import InputError
from hf_fourier.evaluation.metrics.base import METRICS
from hf_fourier.evaluation.metrics.torch_metrics import TorchMetric
from tests.evaluation.metrics.sample_results import drawn_table
from tests.models import tiny_models, tiny_tokenizers


def halves(table):
    rows = len(table["clean"]) // 2
    return [{name: column[part] for name, column in table.items()} for part in (slice(rows), slice(rows, None))]


def same(found, expected):
    assert found.keys() == expected.keys()
    assert all(one.dtype == torch.float64 for one in found.values())
    for name, number in expected.items():
        assert float(found[name]) == number or math.isnan(number), name


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_is_its_reduction_over_all_updates(name):
    table, metric = drawn_table(), TorchMetric(name)
    for part in halves(table):
        metric.update(part)
    same(metric.compute(), METRICS[name].compute(table))
    better = {"higher": True, "lower": False, "neither": None}[METRICS[name].better]
    assert metric.higher_is_better is better
    again = pickle.loads(pickle.dumps(metric))
    same(again.compute(), METRICS[name].compute(table))
    metric.reset()
    metric.update(halves(table)[0])
    same(metric.compute(), METRICS[name].compute(halves(table)[0]))


def test_missing_groups_are_groups_of_their_own():
    table = drawn_table()
    missing = {**table, "group": [float("nan")] * len(table["group"])}
    alone = {**table, "group": [""] * len(table["group"])}
    metric = TorchMetric("dig")
    metric.update(missing)
    same(metric.compute(), METRICS["dig"].compute(alone))


def test_rows_of_several_processes_are_gathered():
    """Two metrics stand for two processes: torchmetrics concatenates what each has."""
    table, parts = drawn_table(), [TorchMetric("dig"), TorchMetric("dig")]
    for metric, half in zip(parts, halves(table), strict=True):
        metric.update(half)

    def gather(value, group=None):
        return [torch.cat(metric.rows) for metric in parts]

    one = TorchMetric("dig", collected={"dist_sync_fn": gather, "distributed_available_fn": lambda: True})
    one.update(halves(table)[0])
    same(one.compute(), METRICS["dig"].compute(table))


def test_results_options_and_collections():
    text = FourierExplainer(tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer("bert"))
    results = text.perturb(text.explain(tiny_tokenizers.texts(3), method="magnitude"), metrics.DEFAULT_GRID)
    both = torchmetrics.MetricCollection({"dig": TorchMetric("dig"), "kept": TorchMetric("maintain_rate")})
    both.update(results, groups=["a", "b", "b"])
    found, table = both.compute(), metrics.columns(results, groups=["a", "b", "b"])
    assert float(found["dig"]) == METRICS["dig"].compute(table)["dig"]
    assert float(found["dig_low"]) == METRICS["dig"].compute(table)["dig_low"]
    assert float(found["maintain_rate"]) == METRICS["maintain_rate"].compute(table)["maintain_rate"]


def test_what_is_missing_is_said():
    with pytest.raises(InputError, match="did you mean 'dig'"):
        TorchMetric("digg")
    with pytest.raises(InputError, match="call `update` first"):
        TorchMetric("dig").compute()
    with pytest.raises(InputError, match="without wrong_kept"):
        TorchMetric("selectivity").update({name: drawn_table()[name] for name in ("clean", "kept", "kept_decision")})


def test_columns_of_numpy_and_torch_are_taken():
    table = dict(drawn_table())
    rows = len(table["clean"])
    table["group"] = [f"{i % 5}" for i in range(rows)]
    expected = METRICS["dig"].compute(table)
    for group in (np.arange(rows) % 5, torch.arange(rows) % 5, np.array(table["group"])):
        metric = TorchMetric("dig")
        metric.update({**table, "group": group, "clean": np.asarray(table["clean"])})
        same(metric.compute(), expected)
