"""Every metric of the library, and the truth, for one way to rank on one planted model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.meta_evaluation.rankings import Ranker
from benchmarks.planted.ranking import measures
from benchmarks.planted.subjects import Examples
from hf_fourier import FourierExplainer
from hf_fourier.evaluation import random_perturbations
from hf_fourier.evaluation.metrics.base import METRICS, Metric
from hf_fourier.evaluation.metrics.selectivity import log_area
from hf_fourier.evaluation.metrics.table import Table, columns
from hf_fourier.evaluation.wrong_labels import assign_wrong_labels, wrong_labels_of
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.curve import DEFAULT_GRID, SMALL_FRACTIONS, FractionGrid

TOP = 0.04
GRID = DEFAULT_GRID | FractionGrid(delete=SMALL_FRACTIONS)
TRUTH = ("AUROC decoys", "AP", "AUROC", "first")
SMALL = FractionGrid(keep=SMALL_FRACTIONS)
DRAWS = {"delete_random_subsets": 100, "add_feature_noise": 50, "explain_perturbed_inputs": 5}
"""Half of the usual draws of each metric by random perturbations."""
LEFT_OUT = (
    "dice_retention",
    *("pointing_game", "relevance_mass", "relevance_rank"),
    *("average_drop", "average_increase", "average_gain", "sparseness", "complexity", "conciseness"),
    *("encoding", "f_fidelity", "mask_probe"),
)
"""Metrics of masks, of which there are none here; those that read the truth itself; those that are not measured yet."""
Values = dict[str, list[float]]


def quantities(
    explainer: FourierExplainer, ranker: Ranker, inputs: Mapping[str, Any], wrong: Mapping[str, Sequence[int]]
) -> tuple[list[Attribution], Values]:
    """The rankings, and every metric of them: a number per example, or one (or one per class) over all examples.

    Args:
        explainer: Of the planted model.
        ranker: How examples are ranked.
        inputs: The model's inputs, by name.
        wrong: By kind, a wrong label for each example.
    """
    results = ranker.explain(explainer, dict(inputs))
    explainer.perturb(results, GRID)
    table: dict[str, Any] = columns(results, top=TOP)
    for name, draws in DRAWS.items():
        if ranker.rescore is None or name != "explain_perturbed_inputs":  # which asks the method again
            table |= getattr(random_perturbations, name)(explainer, results, draws=draws)
    values: Values = {}
    for metric in METRICS.values():
        if metric.name in LEFT_OUT or not {*metric.reads} <= {*table, "wrong_kept", "wrong_reached"}:
            continue
        if "wrong_reached" not in metric.reads:
            values |= _numbers(metric, table, "")
            continue
        for kind, labels in wrong.items():
            others = ranker.for_labels(explainer, results, labels)
            explainer.perturb(others, SMALL)
            reached = columns(results, wrong=[[other] for other in others])
            values |= _numbers(metric, reached, f" ({kind})")
    values["magnitude overlap"] = [result.magnitude_overlap() for result in results]
    for title, column in (("kept, 1 to 30 %", "maintain_rate_at"), ("flipped, 1 to 30 %", "flipped_at")):
        heights = zip(*(values[f"{column}_{fraction:g}"] for fraction in SMALL_FRACTIONS), strict=True)
        values[title] = [log_area(row, SMALL_FRACTIONS) for row in heights]
    return results, values


def _numbers(metric: Metric, table: Table, suffix: str) -> Values:
    return {
        name + suffix: [value] if isinstance(value, (int, float)) else list(value)
        for name, value in metric.per_example(table).items()
    }


def wrong_labels(explainer: FourierExplainer, inputs: Mapping[str, Any]) -> dict[str, list[int]]:
    """For each example another example's label, and the likeliest other one."""
    results = explainer.explain(dict(inputs), method="magnitude", domain="identity")
    predicted, keys = [int(result.target) for result in results], [result.key for result in results]
    dealt, _ = assign_wrong_labels(predicted, sorted(explainer.wrapper.head().labels), keys)
    return {"random": dealt, "runner-up": [wrong_labels_of(explainer, result, "runner_up")[0] for result in results]}


def truth(results: Sequence[Attribution], examples: Examples, chosen: Sequence[int], admitted: Sequence[str]) -> Values:
    """How far up the planted features are in each ranking.

    Args:
        results: The rankings of the chosen examples.
        examples: What is planted in which example.
        chosen: Their numbers.
        admitted: Steps to neighbouring frequencies that the model takes for the planted one, from its gate.
    """
    rows = [
        measures(result, examples.planted(index), examples.beside(index, admitted), examples.decoys(index))
        for index, result in zip(chosen, results, strict=True)
    ]
    return {name: [row[name] for row in rows] for name in TRUTH}


def summarised(values: Sequence[float]) -> float:
    """The mean of what is defined; NaN where nothing is."""
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else math.nan
