"""Every metric of the library, and the truth, for one way to rank on one planted model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.meta_evaluation.rankings import Ranker
from benchmarks.planted.ranking import measures
from benchmarks.planted.subjects import Examples
from hf_fourier import FourierExplainer
from hf_fourier.evaluation.evaluate import MODEL_QUERIES
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
DRAWS = {"subset_drops": 100, "noise_drops": 50, "score_changes": 5, "removed_top_decision": 12}
"""Half of the usual draws of each metric by random perturbations, by the column that the model is asked for."""
LEFT_OUT = (
    "dice_retention",
    *("pointing_game", "relevance_mass", "relevance_rank"),
    *("average_drop", "average_increase", "average_gain", "sparseness", "complexity", "conciseness", "encoding"),
)
"""Metrics of masks, of which there are none here; those that read the truth itself; those that are not measured yet."""
Values = dict[str, list[float]]


@dataclass(frozen=True)
class Asked:
    """What is measured on one planted model, beside the rankings.

    Attributes:
        explainer: Of the model.
        tuned: Of a copy that was fine-tuned on small random removals, which F-Fidelity asks too; None for none.
        inputs: The model's inputs, by name.
        wrong: By kind, a wrong label for each example.
        metrics: The names of the metrics.
    """

    explainer: FourierExplainer
    tuned: FourierExplainer | None
    inputs: Mapping[str, Any]
    wrong: Mapping[str, Sequence[int]]
    metrics: Sequence[str]


def measured_metrics() -> list[str]:
    """The names of the metrics that are measured."""
    return [name for name in METRICS if name not in LEFT_OUT]


def measuring(metrics: Sequence[str]) -> list[str]:
    """The modules that measure these metrics."""
    own = [METRICS[name].per_example.__module__ for name in metrics]
    asked = [query.__module__ for column, query in MODEL_QUERIES.items() if column in DRAWS]
    return [__name__, Ranker.__module__, *own, *asked]


def quantities(asked: Asked, ranker: Ranker) -> tuple[list[Attribution], Values]:
    """The rankings, and the metrics of them: a number per example, or one (or one per class) over all examples."""
    explainer, metrics = asked.explainer, [METRICS[name] for name in asked.metrics]
    reads = {column for metric in metrics for column in metric.reads}
    results = ranker.explain(explainer, dict(asked.inputs))
    explainer.perturb(results, GRID)
    table: dict[str, Any] = columns(results, top=TOP)
    for column, draws in DRAWS.items():
        if column in reads and (ranker.rescore is None or column != "score_changes"):  # which asks the method again
            table |= MODEL_QUERIES[column](explainer, results, draws=draws)
    kinds = set(asked.wrong) if "wrong_reached" in reads else {"random"} if "mask_probe" in asked.metrics else set()
    others = {kind: ranker.for_labels(explainer, results, asked.wrong[kind]) for kind in sorted(kinds)}
    for found in others.values():
        explainer.perturb(found, SMALL)
    values: Values = {}
    for metric in metrics:
        if not {*metric.reads} <= {*table, "wrong_kept", "wrong_reached"}:
            continue
        if "wrong_reached" not in metric.reads:
            values |= _numbers(metric, table, "")
            continue
        for kind, found in others.items():
            values |= _numbers(metric, columns(results, wrong=[[other] for other in found]), f" ({kind})")
    if "mask_probe" in asked.metrics:  # masks that were made for the label of another example
        values |= _numbers(METRICS["mask_probe"], columns(others["random"], top=TOP), " (assigned)")
    if "f_fidelity" in asked.metrics and asked.tuned is not None:
        removed = MODEL_QUERIES["removed_top_decision"](asked.tuned, results, draws=DRAWS["removed_top_decision"])
        values |= _numbers(METRICS["f_fidelity"], removed, " (fine-tuned)")
        values["agreement (fine-tuned)"] = [float(value) for value in removed["agreement"]]
    values["magnitude overlap"] = [result.magnitude_overlap() for result in results]
    for title, column in (("kept, 1 to 30 %", "maintain_rate_at"), ("flipped, 1 to 30 %", "flipped_at")):
        heights = [f"{column}_{fraction:g}" for fraction in SMALL_FRACTIONS]
        if {*heights} <= {*values}:
            rows = zip(*(values[name] for name in heights), strict=True)
            values[title] = [log_area(row, SMALL_FRACTIONS) for row in rows]
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
