"""F-Fidelity in closed form, on a model that reads one entry; and faults of its published code."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from hf_fourier import FourierExplainer
from hf_fourier.errors import InputError
from hf_fourier.evaluation import random_removals
from hf_fourier.evaluation.degradation import check_degradation, degraded
from hf_fourier.evaluation.metrics.base import METRICS
from hf_fourier.evaluation.metrics.f_fidelity import f_fidelity
from hf_fourier.results.attribution import Attribution
from tests.models import tiny_models

ENTRIES = 40


class ReadsOne(torch.nn.Module):
    """Label 1 while one entry is above a half; counts its rows."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.rows = 0
        self.smallest = ENTRIES

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.rows += len(x)
        self.smallest = min(self.smallest, int((x != 0).sum(1).min()))
        return torch.stack([torch.full_like(x[:, 0], 0.5), x[:, 0]], 1) * self.weight


def ranked(first: bool, examples: int = 2) -> tuple[FourierExplainer, list[Attribution]]:
    """A ranking with the entry that is read first, or last."""
    explainer = FourierExplainer(ReadsOne(), labels=["no", "yes"], axes=("time",), outputs="logits")
    order = torch.arange(ENTRIES, 0, -1).float() * (1 if first else -1)
    signals = [torch.ones(ENTRIES) * (1 + 0.1 * i) for i in range(examples)]
    results = explainer.from_maps(signals, [order] * examples, "by hand")
    explainer.model.rows = 0
    return explainer, results


def test_the_entry_that_is_read_is_lost_as_often_as_it_is_drawn() -> None:
    """At most a tenth of 40 entries: 1 of 2, 2 of 4, 4 of 8, 4 of 16 and 4 of 40 in the top; 4 of each rest."""
    sizes = (0.05, 0.1, 0.2, 0.4, 1.0)
    explainer, results = ranked(first=True)
    table = random_removals.remove_parts(explainer, results, sizes=sizes, draws=400)
    assert explainer.model.rows == 2 * (1 + 2 * 5 * 400)
    assert results[0].provenance["passes"]["evaluated"] == 1 + 2 * 5 * 400
    assert table["agreement"] == [1.0, 1.0]
    for row in table["removed_top_decision"]:
        assert [1 - kept for kept in row] == pytest.approx([1 / 2, 1 / 2, 1 / 2, 1 / 4, 1 / 10], abs=0.08)
    assert table["removed_rest_decision"] == [[1.0] * 5] * 2
    values = METRICS["f_fidelity"].compute(table)
    assert values["f_fidelity"] == pytest.approx((1.5 + 0.25 + 0.1) / 5, abs=0.04)
    assert values["f_fidelity_of_rest"] == 0
    assert values["f_fidelity_at_0.4"] == pytest.approx(0.25, abs=0.06)
    explainer, results = ranked(first=False)
    table = random_removals.remove_parts(explainer, results, sizes=(0.05,), draws=400)
    assert table["removed_top_decision"] == [[1.0]] * 2
    assert [1 - row[0] for row in table["removed_rest_decision"]] == pytest.approx([4 / 38] * 2, abs=0.06)


def test_no_more_is_removed_than_the_bound() -> None:
    """The published example compares a fraction with a number of pixels: its bound never holds, and from the rest of a
    small top it removes almost half of all pixels."""
    explainer, results = ranked(first=True)
    random_removals.remove_parts(explainer, results, sizes=(0.05, 0.5, 0.9), draws=50)
    assert explainer.model.smallest == ENTRIES - 4
    explainer, results = ranked(first=True)
    random_removals.remove_parts(explainer, results, sizes=(0.05,), draws=50, most=1.0)
    assert explainer.model.smallest == ENTRIES - 19


def test_the_top_is_that_of_the_scores() -> None:
    """The published example draws the top at random: there the two rankings have the same value."""
    best, worst = (random_removals.remove_parts(*ranked(first), sizes=(0.2,)) for first in (True, False))
    values = [METRICS["f_fidelity"].compute(table) for table in (best, worst)]
    assert values[0]["f_fidelity"] > 0.3 > values[1]["f_fidelity"] == 0


def test_a_label_that_the_fine_tuned_model_does_not_give_counts_as_lost_before() -> None:
    assert f_fidelity(0.0, [0.5, 0.0]) == -0.25
    _, results = ranked(first=True)
    other = FourierExplainer(ReadsOne(), labels=["no", "yes"], axes=("time",), outputs="logits")
    with torch.no_grad():
        other.model.weight.neg_()
    table = random_removals.remove_parts(other, results, sizes=(0.05,))
    assert table["agreement"] == [0.0, 0.0]
    assert METRICS["f_fidelity"].compute(table)["f_fidelity"] == pytest.approx(-0.5, abs=0.3)


@pytest.mark.parametrize("spec", ["fourier:bands=octave", "fourier"])
def test_bands_and_the_replacement(spec: str) -> None:
    """At least one feature is removed; answers depend on the example and the seed alone."""
    explainer = FourierExplainer(tiny_models.build("image-classification", "vit"), method="magnitude", domain=spec)
    pixels = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    results = explainer.explain({"pixel_values": pixels})
    ask: dict[str, Any] = {"sizes": (0.1, 0.5), "draws": 3, "replacement": "noise"}
    whole = random_removals.remove_parts(explainer, results, **ask)
    alone = random_removals.remove_parts(explainer, results[1:], batch_size=1, **ask)
    for column in whole:
        assert whole[column][1] == alone[column][0]


def test_metrics_fall_as_a_ranking_is_degraded() -> None:
    explainer, results = ranked(first=True, examples=30)
    table = check_degradation(explainer, results, fractions=(0.0, 0.5, 1.0), sizes=(0.1,), draws=20)
    assert table["degraded"] == [0.0, 0.5, 1.0]
    assert table["mean"][0] > table["mean"][1] > table["mean"][2]
    assert table["mean"][0] == pytest.approx(0.5, abs=0.05)
    assert "1.00" in table.notes[0]
    assert all(low <= mean <= high for low, mean, high in zip(table["low"], table["mean"], table["high"], strict=True))
    curve = check_degradation(explainer, results[:4], "maintain_rate", fractions=(0.0, 1.0))
    assert curve["mean"][0] > curve["mean"][1]
    assert all(result.curve is None for result in results)


def test_what_the_check_of_a_metric_cannot_use_is_refused() -> None:
    """An option that no column takes, a metric that asks the method again, and no results."""
    explainer, results = ranked(first=True)
    for metric, options in (("dig", {"draws": 7}), ("f_fidelity", {"draws": 2, "nonsense": 3})):
        with pytest.raises(InputError, match=f"options {[*options][-1]} for '{metric}'"):
            check_degradation(explainer, results, metric, fractions=(0, 1), **options)
    with pytest.raises(InputError, match="metric 'sensitivity_max'"):
        check_degradation(explainer, results, "sensitivity_max", fractions=(0, 1))
    with pytest.raises(InputError, match="no results"):
        check_degradation(explainer, [])
    with pytest.raises(InputError, match="groups for 2 examples"):
        check_degradation(explainer, results, groups=["a"])


def test_the_check_changes_no_result_and_draws_groups() -> None:
    explainer, results = ranked(first=True, examples=12)
    before = copy.deepcopy([result.provenance for result in results])
    names = [i // 6 for i in range(12)]
    alone, grouped = (
        check_degradation(explainer, results, fractions=(0.0, 1.0), groups=groups, sizes=(0.1,), draws=4)
        for groups in (None, names)
    )
    assert [result.provenance for result in results] == before
    assert alone["mean"] == grouped["mean"]
    assert (alone["low"], alone["high"]) != (grouped["low"], grouped["high"])


def test_degraded_scores_are_the_same_numbers() -> None:
    _, (result, _) = ranked(first=True)
    half, all_of_it = degraded(result, 0.5), degraded(result, 1.0)
    assert torch.equal(half.scores.sort().values, result.scores.sort().values)
    assert 0 < int((half.scores != result.scores).sum()) <= ENTRIES // 2
    assert int((all_of_it.scores != result.scores).sum()) > ENTRIES // 2
    assert torch.equal(degraded(result, 0).scores, result.scores)
