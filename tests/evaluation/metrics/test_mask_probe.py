"""The mask probe on masks whose dependence on the label is known."""

from __future__ import annotations

import numpy as np
import pytest

from hf_fourier.evaluation.metrics.base import METRICS
from hf_fourier.evaluation.metrics.mask_probe import probe_masks

FEATURES = 300


def drawn(labels: list[str], marked: float, seed: int = 0) -> list[list[int]]:
    """Random tops of twelve; with probability `marked` one of them is the feature of the label."""
    numbers = np.random.default_rng(seed)
    names = sorted(set(labels))
    tops = []
    for label in labels:
        top = numbers.choice(np.arange(len(names), FEATURES), 12, replace=False)
        if numbers.random() < marked:
            top[0] = names.index(label)
        tops.append(sorted(top.tolist()))
    return tops


LABELS = ["a", "b", "c"] * 40


def test_a_feature_that_marks_the_label_is_found() -> None:
    found = probe_masks(drawn(LABELS, 1.0), LABELS, FEATURES)
    assert found.accuracy > 0.97
    assert set(found.recall) == {"a", "b", "c"}
    assert found.accuracy == pytest.approx(np.mean(list(found.recall.values())))
    assert found.chance == pytest.approx(1 / 3, abs=0.03)
    assert found.p == 0.01


def test_random_masks_are_at_chance_though_they_could_be_learnt_by_heart() -> None:
    """More features than examples: a classifier that is tested on what it was fitted to would be right always."""
    found = [probe_masks(drawn(LABELS, 0.0, seed), LABELS, FEATURES, shuffles=19, seed=seed) for seed in range(8)]
    assert np.mean([one.accuracy for one in found]) == pytest.approx(1 / 3, abs=0.06)
    assert max(one.accuracy for one in found) < 0.5
    assert min(one.p for one in found) > 0.05 or sum(one.p <= 0.05 for one in found) <= 1


def test_copies_of_one_source_do_not_predict_each_other() -> None:
    """Ten crops of each of twelve pictures have one mask: by example they are right, by group at chance."""
    sources = ["a", "b"] * 6
    tops = drawn(sources, 0.0)
    labels, groups = [label for label in sources for _ in range(10)], [f"{i}" for i in range(12) for _ in range(10)]
    copies = [top for top in tops for _ in range(10)]
    assert probe_masks(copies, labels, FEATURES, groups).accuracy < 0.8
    assert probe_masks(copies, labels, FEATURES).accuracy == 1.0
    same = probe_masks(copies, labels, FEATURES, groups)
    assert same.p > 0.05


def test_a_rare_label_counts_as_much_as_a_frequent_one() -> None:
    labels = ["a"] * 90 + ["b"] * 10
    blind = probe_masks(drawn(labels, 0.0), labels, FEATURES)
    assert blind.chance == pytest.approx(0.5, abs=0.05)
    assert probe_masks(drawn(labels, 1.0), labels, FEATURES).recall["b"] >= 0.9


def test_the_metric_reads_the_table() -> None:
    table = {"group": [""] * 120, "label": LABELS, "top": drawn(LABELS, 1.0), "features": [FEATURES] * 120}
    values = METRICS["mask_probe"].compute(table)
    assert values["mask_probe"] > 0.97
    assert values["mask_probe_n"] == 3
    assert values["mask_probe_by_chance"] == pytest.approx(1 / 3, abs=0.03)
    assert METRICS["mask_probe"].columns == ("group", "label", "top", "features")
