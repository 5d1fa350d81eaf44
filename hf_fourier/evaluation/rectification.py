"""Error rectification: the fewest top features whose deletion corrects a wrong prediction.

After arXiv 2411.18343, which deletes the top .01 to .10 % of a misclassified example, ranked for the predicted class,
and counts it as corrected if the true class is predicted for any of the ten inputs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hf_fourier.domains import Domain
from hf_fourier.errors import InputError, SpecError, is_list_like
from hf_fourier.evaluation.metrics.statistics import group_names, summarise
from hf_fourier.evaluation.wrong_labels import has_other_classes
from hf_fourier.methods import METHODS, Method
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.drawing import drawn_by
from hf_fourier.results.ordering import cut
from hf_fourier.results.relevance import Relevance
from hf_fourier.results.remarks import once
from hf_fourier.results.table import Table, table_of
from hf_fourier.scoring.example_batch import BatchSize, ExampleBatch
from hf_fourier.scoring.perturbation import Perturbation, run_perturbations
from hf_fourier.scoring.score import Score
from hf_fourier.typing import Tensor

if TYPE_CHECKING:
    from hf_fourier.engine import Engine

#: The largest deleted fraction of the features, and the number of equal steps up to it: as published.
BUDGET, STEPS = 0.001, 10
#: Every count up to this is tried, and about as many between it and the budget.
SINGLE_FEATURES = 16


@dataclass(frozen=True)
class DeletionTrial:
    """The prediction without the top features.

    Attributes:
        count: How many features were deleted.
        fraction: That as a fraction of all features, by degrees of freedom, 0 to 1.
        within: The least of the ten steps up to the budget that allows it (each allows one feature).
        predicted: The predicted class.
    """

    count: int
    fraction: float
    within: float
    predicted: int


@dataclass(frozen=True)
class DeletionSearch:
    """One ranking of one mistake, tried at growing counts.

    Attributes:
        true: The true class.
        trials: In growing order of the count.
    """

    true: int
    trials: tuple[DeletionTrial, ...]

    @property
    def first(self) -> DeletionTrial | None:
        """The trial with the fewest features that corrects the mistake; None if none does.

        Corrections are not monotone in the count: it is the fewest of those tried.
        """
        return next((trial for trial in self.trials if trial.predicted == self.true), None)

    def corrected(self, fraction: float = 1.0, count: int | None = None) -> bool:
        """Whether a trial that this fraction allows, of at most this count, corrects the mistake."""
        first = self.first
        return first is not None and first.within <= fraction and (count is None or first.count <= count)


@dataclass(frozen=True)
class Correction:
    """One wrong prediction.

    Attributes:
        attribution: The ranking for the predicted class.
        true: The true class.
        true_label: Its name.
        search: By the method's ranking.
        controls: By control, the searches by its ranking; of `random` several draws.
    """

    attribution: Attribution
    true: int
    true_label: str
    search: DeletionSearch
    controls: dict[str, tuple[DeletionSearch, ...]]

    @property
    def corrected(self) -> bool:
        """Whether deleting some of the top corrects it."""
        return self.search.first is not None

    @property
    def features(self) -> int | None:
        """The fewest features that do, of the counts tried; None if none does."""
        return None if self.search.first is None else self.search.first.count

    @property
    def fraction(self) -> float | None:
        """That as a fraction of all features, 0 to 1."""
        return None if self.search.first is None else self.search.first.fraction

    def signal(self) -> Tensor:
        """The correctly classified signal: without those features.

        Raises:
            InputError: If the mistake was not corrected.
        """
        return self.attribution.delete_top(k=self._count())

    def rebuilt(self) -> Any:
        """That signal in human units: an image, a sound.

        Raises:
            InputError: If the mistake was not corrected, or the signal has no human units.
        """
        return self.attribution.render(k=self._count(), delete=True)

    def removed_part(self) -> Any:
        """The deleted part in human units: an image, a sound.

        Raises:
            InputError: If the mistake was not corrected, or the signal has no human units (text: see `relevance`).
        """
        return self.attribution.render(k=self._count())

    def relevance(self) -> Relevance:
        """The deleted part in input space: its gradient × input for the wrong class, per token, pixel, sample.

        Raises:
            InputError: If the mistake was not corrected, or the method takes no gradient.
        """
        return self.attribution.input_relevance(k=self._count(), kind="gradient")

    def fewer_than(self, control: str) -> float:
        """The fraction of a control's draws that correct it with as few features as the method; NaN if it does not."""
        if self.features is None:
            return math.nan
        draws = self.controls[control]
        return sum(draw.corrected(count=self.features) for draw in draws) / len(draws)

    def __repr__(self) -> str:
        return f"Correction({self})"

    def _repr_html_(self) -> str:
        return str(drawn_by("html.notebook:lines", self))

    def __str__(self) -> str:
        labels = f"{self.attribution.label!r}, in truth {self.true_label!r}"
        if self.features is None:
            last = self.search.trials[-1]
            verdict = f"not corrected by deleting up to {last.count} top features ({last.fraction:.2%})"
        else:
            verdict = f"corrected by deleting the top {self.features} features ({self.fraction:.3%})"
        controls = []
        for name, draws in self.controls.items():
            counts = [draw.first.count for draw in draws if draw.first is not None]
            rate = f"{len(counts)} of {len(draws)} draws" if len(draws) > 1 else "yes" if counts else "no"
            controls.append(f"{name} {rate}" + (f" (fewest {min(counts)})" if counts else ""))
        notes = "".join(f"\nnote: {note}" for note in self.attribution.provenance.get("notes", ()))
        return f"{labels}: {verdict}; within the same budget: {', '.join(controls)}{notes}"

    def _count(self) -> int:
        if self.features is None:
            raise InputError("a mistake that was not corrected", "a corrected one", "raise `budget`, or skip it")
        return self.features


@dataclass(frozen=True)
class RectificationResult:
    """The result of `FourierExplainer.rectify` for several examples.

    Attributes:
        method: The method's spec.
        domain: The domain's spec.
        corrections: One per wrong prediction.
        places: The examples' places.
        groups: The group of each of them.
        already_correct: How many examples are predicted correctly, and left out.
        budget: The largest deleted fraction.
        excluded: By control that cannot rank here, the reason.
    """

    method: str
    domain: str
    corrections: Sequence[Correction]
    places: Sequence[int]
    groups: Sequence[str]
    already_correct: int
    budget: float
    excluded: dict[str, str]

    def table(self) -> Table:
        """One row per mistake and ranking: corrected (of several draws, the fraction), with the fewest features."""
        rows = []
        for place, correction in zip(self.places, self.corrections, strict=True):
            for name, draws in {self.method: (correction.search,), **correction.controls}.items():
                firsts = [draw.first for draw in draws if draw.first is not None]
                rows.append(
                    {
                        "example": place,
                        "predicted": correction.attribution.label,
                        "true": correction.true_label,
                        "ranking": name,
                        "corrected": len(firsts) / len(draws),
                        "features": min((trial.count for trial in firsts), default=None),
                        "fraction": min((trial.fraction for trial in firsts), default=math.nan),
                    }
                )
        return table_of(rows)

    def summary(self, seed: int = 0) -> Table:
        """One row per ranking: the fraction of mistakes corrected within parts of the budget, with 95 % intervals.

        Columns: `corrected` with `low` and `high`; the paired gap to the method's rate with its interval; the median of
        the fewest features where corrected; in how many of the method's corrections the ranking needs no more features
        (`as few`); then the rate within each tenth of the budget.
        """
        rows = []
        corrected = [float(one.corrected) for one in self.corrections]
        for name in [self.method, *self._controls]:
            draws = [(one.search,) if name == self.method else one.controls[name] for one in self.corrections]
            rates = [sum(search.corrected() for search in searches) / len(searches) for searches in draws]
            rate = summarise(rates, self.groups, seed)
            gap = summarise([a - b for a, b in zip(rates, corrected, strict=True)], self.groups, seed)
            few = [search.first.count for searches in draws for search in searches if search.first is not None]
            as_few = [1.0 if name == self.method else one.fewer_than(name) for one in self.corrections if one.corrected]
            row: dict[str, Any] = {"ranking": name, "n": len(rates), "corrected": rate.mean}
            row |= {"low": rate.interval[0], "high": rate.interval[1], "gap": gap.mean}
            row |= {"gap_low": gap.interval[0], "gap_high": gap.interval[1]}
            row |= {"features, median": float(np.median(few)) if few else math.nan}
            row |= {"as few": float(np.mean(as_few)) if as_few else math.nan}
            for fraction in tried_fractions(self.budget):
                within = [sum(one.corrected(fraction) for one in searches) / len(searches) for searches in draws]
                row[f"within {fraction:.4%}"] = float(np.mean(within)) if within else math.nan
            rows.append(row)
        return table_of(rows)

    @property
    def _controls(self) -> list[str]:
        return list(self.corrections[0].controls) if self.corrections else []

    def __repr__(self) -> str:
        counted = f"{len(self.corrections)} mistakes, {sum(one.corrected for one in self.corrections)} corrected"
        return f"RectificationResult({self.method} in {self.domain}: {counted})"

    def _repr_html_(self) -> str:
        return str(drawn_by("html.notebook:lines", self))

    def __str__(self) -> str:
        counted = f"{len(self.corrections)} mistakes, {self.already_correct} examples were right"
        head = f"{self.method} in {self.domain}: {counted}"
        if not self.corrections:
            return head
        short = Table({n: c for n, c in self.summary().columns.items() if "within" not in n}, self.notes)
        return f"{head}; deleting up to {self.budget:.3g} of the features\n{short}"

    @property
    def notes(self) -> list[str]:
        """The notes of all explanations, once each."""
        return once(note for one in self.corrections for note in one.attribution.provenance.get("notes", ()))


def tried_fractions(budget: float) -> list[float]:
    """The fractions up to a budget, in ten equal steps."""
    return [*(budget * step / STEPS for step in range(1, STEPS)), budget]


def rectify(
    explainer: Engine,
    examples: Sequence[Any],
    true_labels: Sequence[int | str],
    method: str | Method,
    domain: str | Domain | None,
    budget: float,
    draws: int,
    groups: Sequence[Any] | None,
    seed: int,
    batch_size: BatchSize,
) -> RectificationResult:
    """See `FourierExplainer.rectify`."""
    if not 0 < budget <= 1 or draws < 1:
        raise InputError(
            f"budget {budget!r} with {draws!r} random orders",
            "a fraction above 0 and at least one",
            "correct `budget` or `random_orders`",
        )
    if not is_list_like(true_labels) or len(true_labels) != len(examples):
        got = f"{len(true_labels)} true labels" if is_list_like(true_labels) else "one true label"
        raise InputError(f"{got} for {len(examples)} examples", "one for each", "correct `true_label`")
    head = explainer.wrapper.head()
    true = [int(label) for label in map(head.check, true_labels) if isinstance(label, int)]
    how: dict[str, Any] = {"domain": domain, "batch_size": batch_size}
    results = explainer.explain(list(examples), method=method, seed=seed, **how)
    for result in results:
        if not has_other_classes(explainer, result) or len(true) != len(results):
            got = f"a result for {result.label!r} of a head {result.provenance['head']!r}"
            raise InputError(got, "one class of a softmax with named classes", "rectify a classifier's mistakes")
    names = group_names(groups, len(results))
    wrong = [i for i, (result, label) in enumerate(zip(results, true, strict=True)) if result.target != label]
    mistakes, labels, excluded = [results[i] for i in wrong], [true[i] for i in wrong], {}

    def search_all(ranked: Sequence[Attribution]) -> list[DeletionSearch]:
        return _searches(explainer, ranked, labels, budget, batch_size)

    controls: dict[str, list[list[DeletionSearch]]] = {}
    for name in ("magnitude", "low_frequency", "random") if wrong else ():
        misclassified = [examples[i] for i in wrong]
        try:
            controls[name] = [
                search_all(explainer.explain(misclassified, method=name, seed=seed + n, **how))
                for n in range(draws if name == "random" else 1)
            ]
        except SpecError as error:
            excluded[name] = str(error)
    searches = search_all(mistakes) if wrong else []
    by_mistake = [{name: tuple(one[i] for one in drawn) for name, drawn in controls.items()} for i in range(len(wrong))]
    corrections = [
        Correction(result, label, head.label(label), search, controlled)
        for result, label, search, controlled in zip(mistakes, labels, searches, by_mistake, strict=True)
    ]
    spec = METHODS.spec(METHODS.parse(results[0].provenance["method"]))
    layout, right = results[0].layout, len(results) - len(wrong)
    return RectificationResult(
        spec, layout.domain, corrections, wrong, [names[i] for i in wrong], right, budget, excluded
    )


def _searches(
    explainer: Engine, results: Sequence[Attribution], true: Sequence[int], budget: float, size: BatchSize
) -> list[DeletionSearch]:
    """Delete the top of each ranking at all counts that are tried."""
    searches: list[DeletionSearch] = [DeletionSearch(label, ()) for label in true]

    def visit(places: list[int], batch: ExampleBatch, score: Score) -> None:
        tried = [one for row, place in enumerate(places) for one in _perturbations(row, results[place], budget)]
        points = run_perturbations(score, results[places[0]].basis, tried)
        for row, place in enumerate(places):
            trials = [
                DeletionTrial(one.count, one.actual_fraction, one.fraction, point.predicted_class)
                for one, point in zip(tried, points, strict=True)
                if one.example == row and point.predicted_class is not None
            ]
            searches[place] = DeletionSearch(true[place], tuple(trials))

    explainer.replay(results, visit, batch_size=size)
    return searches


def _perturbations(row: int, result: Attribution, budget: float) -> list[Perturbation]:
    """The counts of the published fractions, and a finer search between them."""
    ranked = result.layout.counts[result.order]
    degrees = torch.cumsum(ranked, 0).tolist()
    allowed = {fraction: cut(ranked, fraction) for fraction in tried_fractions(budget)}
    largest = allowed[budget]
    counts = {*allowed.values(), *range(1, min(SINGLE_FEATURES, largest) + 1)}
    if largest > SINGLE_FEATURES:
        counts |= {round(count) for count in np.geomspace(SINGLE_FEATURES, largest, SINGLE_FEATURES).tolist()}
    return [
        Perturbation(
            row,
            "delete",
            next(fraction for fraction, limit in allowed.items() if count <= limit),
            degrees[count - 1] / degrees[-1],
            result.order,
            count,
        )
        for count in sorted(counts)
    ]
