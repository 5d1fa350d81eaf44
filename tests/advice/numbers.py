"""Advice about metrics of numbers, statistics, prepared attributions and merged spectra."""

from __future__ import annotations

from typing import Any

from hf_fourier.evaluation.evaluate import PrecomputedMethod
from hf_fourier.evaluation.metrics import columns, load
from hf_fourier.evaluation.metrics.r_flip import r_flip
from hf_fourier.evaluation.metrics.robustness import mu_fidelity, rank_correlation
from hf_fourier.evaluation.metrics.selectivity import log_area
from hf_fourier.evaluation.metrics.statistics import interval, paired_interval, summarise
from hf_fourier.evaluation.metrics.structure import feature_counts, specificity
from hf_fourier.evaluation.random_perturbations import delete_random_subsets
from hf_fourier.evaluation.wrong_labels import wrong_labels
from hf_fourier.results.curve import DEFAULT_GRID, PAPER_GRID, SAME_FRACTIONS, FractionGrid
from hf_fourier.results.spectrum import merged
from tests.advice.case import Case, explained, played, read, reader
from tests.models import tiny_tokenizers

TEXTS = tiny_tokenizers.texts(4, lengths=(7,))


def _ready(count: int, domain: str) -> Any:
    def make(examples: Any, targets: Any) -> Any:
        return reader().explain(list(examples), targets=list(targets), method="magnitude", domain="fourier")[:count]

    return reader().evaluate(TEXTS, [PrecomputedMethod("own", make, domain)], metrics=["dig"])


def _concentration(labels: list[str]) -> Any:
    tops = [[0, 1]] * len(labels)
    features = [9] * len(labels)
    return load("concentration").compute(top=tops, features=features, label=labels)


def _selectivity(grid: FractionGrid) -> Any:
    results = played()
    wrong = wrong_labels(reader(), results, grid=grid)
    return load("selectivity").compute(**columns(results, wrong=wrong))


def _maintained(*grids: FractionGrid) -> Any:
    results = reader().explain(TEXTS[: len(grids)])
    for result, grid in zip(results, grids, strict=True):
        reader().perturb(result, grid)
    return load("maintain_rate").compute(**columns(results))


def _mu() -> Any:
    table = delete_random_subsets(reader(), read())
    return mu_fidelity(table["subset_scores"][0], table["subset_drops"][0])


def _dig(grid: FractionGrid) -> Any:
    results = reader().explain(TEXTS)
    reader().perturb(results, grid)
    return load("dig").compute(**columns(results))


CASES = [
    Case("correct `make`", lambda: _ready(1, "fourier"), lambda: _ready(4, "fourier")),
    Case("correct `domain` or `make`", lambda: _ready(4, "cosine"), lambda: _ready(4, "fourier")),
    Case("explain some", lambda: merged([], 0.1), lambda: merged([(read()[0], 1.0)], 0.1)),
    Case(
        "explain them alike",
        lambda: merged([(r, 1.0) for domain in ("fourier", "cosine") for r in explained(domain=domain)], 0.1),
        lambda: merged([(r, 1.0) for r in explained(domain="fourier")], 0.1),
    ),
    Case(
        "correct `q`", lambda: r_flip([r.curve for r in played()], 0), lambda: r_flip([r.curve for r in played()], 0.5)
    ),
    Case("choose others", lambda: log_area([1.0], [0.1]), lambda: log_area([1.0, 1.0], [0.1, 0.2])),
    Case(
        "correct `fraction`",
        lambda: delete_random_subsets(reader(), read(), fraction=0),
        lambda: delete_random_subsets(reader(), read(), fraction=0.1),
    ),
    Case(
        "choose one of them",
        lambda: wrong_labels(reader(), read(), kind="none"),  # type: ignore[arg-type]
        lambda: wrong_labels(reader(), read(), kind="all"),
    ),
    Case(
        "compare one example in one domain",
        lambda: rank_correlation([1, 2], [1]),
        lambda: rank_correlation([1, 2], [2, 1]),
    ),
    Case("pass the columns of `random_perturbations`", lambda: mu_fidelity([1.0], [1.0, 2.0]), _mu),
    Case("pass one of both per example", lambda: interval([1.0, 2.0], ["a"]), lambda: interval([1.0, 2.0], ["a", "b"])),
    Case(
        "pass one of both per example", lambda: summarise([1.0, 2.0], ["a"]), lambda: summarise([1.0, 2.0], ["a", "b"])
    ),
    Case(
        "pair them by example",
        lambda: paired_interval([1.0], [1.0, 2.0]),
        lambda: paired_interval([1.0, 3.0], [1.0, 2.0]),
    ),
    Case("correct `tops`", lambda: feature_counts([[9]], 5), lambda: feature_counts([[4]], 5)),
    Case(
        "explain examples of several classes",
        lambda: specificity({"a": [[0]]}, 5),
        lambda: specificity({"a": [[0]], "b": [[1]]}, 5),
    ),
    Case("explain more examples", lambda: _concentration(["a", "b"]), lambda: _concentration(["a", "a", "b"])),
    Case(
        "pass `wrong_labels.wrong_labels` a FractionGrid that keeps 0.01, as grid=FractionGrid(keep=[…])",
        lambda: _selectivity(FractionGrid((0.5,), ())),
        lambda: _selectivity(DEFAULT_GRID),
    ),
    Case(
        "perturb with this fraction among `fractions` (metrics.PAPER_GRID has every tenth)",
        lambda: _dig(FractionGrid((0.5,), (0.5,))),
        lambda: _dig(PAPER_GRID),
    ),
    Case(
        SAME_FRACTIONS,
        lambda: _maintained(FractionGrid((0.1,), ()), FractionGrid((0.2,), ())),
        lambda: _maintained(FractionGrid((0.1,), ()), FractionGrid((0.1,), ())),
    ),
]
