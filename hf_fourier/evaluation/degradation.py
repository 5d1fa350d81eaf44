"""Rankings degraded step by step, which a metric must give worse and worse values."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from hf_fourier.errors import InputError
from hf_fourier.evaluation.evaluate import MODEL_QUERIES
from hf_fourier.evaluation.metrics.base import METRICS
from hf_fourier.evaluation.metrics.robustness import rank_correlation
from hf_fourier.evaluation.metrics.statistics import group_names, summarise
from hf_fourier.evaluation.metrics.table import CONTENT, columns
from hf_fourier.evaluation.options import grid_of
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.table import Table
from hf_fourier.scoring.example_batch import BatchSize
from hf_fourier.seeding import ExampleRng

if TYPE_CHECKING:
    from hf_fourier.engine import Engine

#: Fractions of the features whose scores are exchanged.
FRACTIONS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)

#: What only metrics read that need more than a ranking of one label, or that ask the method again.
_OTHERS = {"wrong_reached", "truth", "swapped_decision", "score_changes"}


def degraded(attribution: Attribution, fraction: float, seed: int = 0) -> Attribution:
    """A ranking in which a random fraction of the features exchange their scores.

    The features that are exchanged at a smaller fraction are among those of a larger one. After the degraded explainers
    of Zheng et al. 2025 (arXiv 2410.02970).

    Args:
        attribution: What is degraded; it is not changed.
        fraction: Of the features, 0 to 1.
        seed: Of the choice, by example.

    Raises:
        InputError: If the fraction is out of range.
    """
    if not 0 <= fraction <= 1:
        raise InputError(f"degraded by {fraction!r}", "a fraction from 0 to 1", "correct `fraction`")
    values = attribution.scores
    generator = ExampleRng(seed, [attribution.key]).generator(0, "spoilt")
    chosen = torch.randperm(len(values), generator=generator)[: round(fraction * len(values))]
    exchanged = values.clone()
    exchanged[chosen] = values[chosen[torch.randperm(len(chosen), generator=generator)]]
    return replace(attribution, scores=exchanged, curve=None)


def check_degradation(
    explainer: Engine,
    attributions: Sequence[Attribution],
    metric: str = "f_fidelity",
    *,
    fractions: Sequence[float] = FRACTIONS,
    groups: Sequence[Any] | None = None,
    seed: int = 0,
    batch_size: BatchSize = "auto",
    **options: Any,
) -> Table:
    """Measure rankings that are degraded step by step: a metric that tests rankings falls at every step.

    Args:
        explainer: Of the model that made the results, or of a fine-tuned copy of it.
        attributions: Results with their examples, which are not changed.
        metric: One that is computed from rankings of single labels ("f_fidelity", "dig", "mu_fidelity").
        fractions: Fractions of the features whose scores are exchanged, two or more.
        groups: The source of each example; the bootstrap draws whole groups. None for a group each.
        seed: Of the choice of features and of the metric's draws.
        batch_size: Rows in a batch, at most.
        **options: Of the function that computes the metric's columns beside the curves (`draws=50`).

    Returns:
        A row a step: "degraded", "mean" and its 95 % interval "low" and "high"; a note gives Spearman's ρ between the
        fraction that is left and the mean, signed so that 1 is right.

    Raises:
        InputError: If there are no results, the metric is none of those or takes no such option, a fraction is out of
            range, or there is not one group for each result.
    """
    if not len(attributions):
        raise InputError("no results", "at least one", "pass results of `explain`")
    suitable = [name for name, one in METRICS.items() if one.better != "neither" and not _OTHERS & {*one.reads}]
    if metric not in suitable or len(fractions) < 2:
        got = f"metric {metric!r} and {len(fractions)} fractions"
        raise InputError(got, f"one of {', '.join(suitable)}, and two fractions", "correct `metric` or `fractions`")
    possible = sorted(_options_of(metric))
    if unknown := sorted({*options} - {*possible}):
        expected = f"some of {', '.join(possible)}" if possible else "none, since it reads the curves alone"
        raise InputError(f"options {', '.join(unknown)} for {metric!r}", expected, "leave the others out")
    named = None if groups is None else group_names(groups, len(attributions))
    means, lows, highs = [], [], []
    for fraction in fractions:
        rankings = [degraded(result, fraction, seed) for result in attributions]
        values = _values(explainer, rankings, metric, seed, batch_size, options)
        summary = summarise(values, named if len(values) == len(rankings) else None)
        means.append(summary.mean)
        lows.append(summary.interval[0])
        highs.append(summary.interval[1])
    sign = 1 if METRICS[metric].better == "higher" else -1
    rho = rank_correlation([-fraction for fraction in fractions], [sign * mean for mean in means])
    said = "not defined" if math.isnan(rho) else f"{rho:.2f}"
    note = f"Spearman's ρ between what is left and {metric}: {said}; 1 if it gets worse at every step"
    return Table({"degraded": list(fractions), "mean": means, "low": lows, "high": highs}, [note])


def _options_of(metric: str) -> set[str]:
    """The options of the functions that compute a metric's columns beside the curves."""
    asked = [query for column, query in MODEL_QUERIES.items() if column in METRICS[metric].reads]
    parameters = [one for query in asked for one in inspect.signature(query).parameters.values()]
    return {one.name for one in parameters if one.kind is one.KEYWORD_ONLY} - {"seed", "batch_size"}


def _values(
    explainer: Engine, rankings: list[Attribution], name: str, seed: int, batch_size: BatchSize, options: dict[str, Any]
) -> list[float]:
    """A metric of rankings, a number each."""
    metric = METRICS[name]
    grid, table = grid_of([metric]), dict[str, Any]()
    if grid is not None:
        explainer.perturb(rankings, grid, batch_size=batch_size)
        table |= columns(rankings, content=bool(CONTENT & {*metric.reads}))
    for column, evaluate_column in MODEL_QUERIES.items():
        if column in metric.reads:
            table |= evaluate_column(explainer, rankings, seed=seed, batch_size=batch_size, **options)
    values = metric.per_example(table)[name]
    return [float(value) for value in (values if isinstance(values, Sequence) else [values])]
