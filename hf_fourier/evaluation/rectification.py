"""Error rectification: how few of the features that a mistake is ranked by have to go for it to be corrected.

After arXiv 2411.18343, which deletes the top .01 to .10 % of a misclassified example, ranked for the class that the
model says, and counts it as corrected if any of the ten inputs is given its true class.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hf_fourier.domains import Domain
from hf_fourier.errors import InputError, SpecError
from hf_fourier.evaluation.metrics.statistics import summarise
from hf_fourier.evaluation.wrong_labels import has_other_classes
from hf_fourier.methods import METHODS, Method
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.ordering import cut
from hf_fourier.results.relevance import Relevance
from hf_fourier.results.remarks import once
from hf_fourier.results.table import Table
from hf_fourier.scoring.example_batch import BatchSize, ExampleBatch
from hf_fourier.scoring.perturbation import Perturbation, run_perturbations
from hf_fourier.scoring.score import Score
from hf_fourier.typing import Tensor

if TYPE_CHECKING:
    from hf_fourier.engine import Engine

#: The largest fraction of the features that may go, and in how many equal steps it is reached: as published.
BUDGET, STEPS = 0.001, 10
#: Every count up to here is tried, and about as many between it and the budget.
SINGLE_FEATURES = 16


@dataclass(frozen=True)
class DeletionTrial:
    """What the model says without the top features.

    Attributes:
        count: How many features were deleted.
        fraction: How much of all features that is, by degrees of freedom, 0 to 1.
        within: The least of the ten steps up to the budget that allows it (each allows one feature).
        predicted: The class.
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
        trials: What was tried.
    """

    true: int
    trials: tuple[DeletionTrial, ...]

    @property
    def first(self) -> DeletionTrial | None:
        """The trial with the fewest features that corrects the mistake; None if none does.

        Corrections are not monotone in the count: it is the fewest of what was tried.
        """
        return next((trial for trial in self.trials if trial.predicted == self.true), None)

    def corrected(self, fraction: float = 1.0, count: int | None = None) -> bool:
        """Whether a trial that this fraction allows, of at most this count, corrects the mistake."""
        first = self.first
        return first is not None and first.within <= fraction and (count is None or first.count <= count)


@dataclass(frozen=True)
class Correction:
    """One mistake.

    Attributes:
        attribution: Why the model says what it says: the ranking for the class that it predicted.
        true: The true class.
        true_label: Its name.
        search: What the method's ranking did.
        controls: By control, what its ranking did; of `random` several draws.
    """

    attribution: Attribution
    true: int
    true_label: str
    search: DeletionSearch
    controls: dict[str, tuple[DeletionSearch, ...]]

    @property
    def corrected(self) -> bool:
        """Whether deleting some of the top corrected it."""
        return self.search.first is not None

    @property
    def features(self) -> int | None:
        """The fewest features that did, of what was tried; None if none did."""
        return None if self.search.first is None else self.search.first.count

    @property
    def fraction(self) -> float | None:
        """How much of all features that is, 0 to 1."""
        return None if self.search.first is None else self.search.first.fraction

    def signal(self) -> Tensor:
        """The signal that is told apart rightly: without those features.

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
        """What was deleted, in human units: an image, a sound.

        Raises:
            InputError: If the mistake was not corrected, or the signal has no human units (text: see `relevance`).
        """
        return self.attribution.render(k=self._count())

    def relevance(self) -> Relevance:
        """What was deleted, back in input space: its gradient × input for the wrong class, per token, pixel, sample.

        Raises:
            InputError: If the mistake was not corrected, or the method takes no gradient.
        """
        return self.attribution.input_relevance(k=self._count(), kind="gradient")

    def fewer_than(self, control: str) -> float:
        """How many of a control's draws correct it with no more features than the method, 0 to 1; NaN if it did not."""
        if self.features is None:
            return math.nan
        draws = self.controls[control]
        return sum(draw.corrected(count=self.features) for draw in draws) / len(draws)

    def __str__(self) -> str:
        said = f"{self.attribution.label!r}, in truth {self.true_label!r}"
        if self.features is None:
            most = self.search.trials[-1]
            own = f"not corrected by deleting up to {most.count} top features ({most.fraction:.2%})"
        else:
            own = f"corrected by deleting the top {self.features} features ({self.fraction:.3%})"
        told = []
        for name, draws in self.controls.items():
            done = [draw.first.count for draw in draws if draw.first is not None]
            many = f"{len(done)} of {len(draws)} draws" if len(draws) > 1 else "yes" if done else "no"
            told.append(f"{name} {many}" + (f" (fewest {min(done)})" if done else ""))
        notes = "".join(f"\nnote: {note}" for note in self.attribution.provenance.get("notes", ()))
        return f"{said}: {own}; within the same budget: {', '.join(told)}{notes}"

    def _count(self) -> int:
        if self.features is None:
            raise InputError("a mistake that was not corrected", "a corrected one", "raise `budget`, or skip it")
        return self.features


@dataclass(frozen=True)
class RectificationResult:
    """What `FourierExplainer.rectify` found for several examples.

    Attributes:
        method: The method's spec.
        domain: The domain's spec.
        corrections: One per mistake.
        places: Which of the examples those are.
        groups: The group of each mistake.
        already_correct: How many examples were no mistakes, and were left out.
        budget: The largest fraction that was deleted.
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
        """One row per mistake and ranking: corrected (of several draws, the fraction), with how few features."""
        rows = []
        for place, one in zip(self.places, self.corrections, strict=True):
            for name, draws in {self.method: (one.search,), **one.controls}.items():
                found = [draw.first for draw in draws if draw.first is not None]
                rows.append(
                    {
                        "example": place,
                        "predicted": one.attribution.label,
                        "true": one.true_label,
                        "ranking": name,
                        "corrected": len(found) / len(draws),
                        "features": min((trial.count for trial in found), default=None),
                        "fraction": min((trial.fraction for trial in found), default=math.nan),
                    }
                )
        return Table({title: [row[title] for row in rows] for title in rows[0]} if rows else {})

    def summary(self, seed: int = 0) -> Table:
        """One row per ranking: the fraction of mistakes corrected within parts of the budget, with 95 % intervals.

        Columns: `corrected` with `low` and `high`; the paired gap to the method's rate with its interval; the median of
        the fewest features where corrected; in how many of the method's corrections the ranking needs no more features
        (`as few`); then the rate within each tenth of the budget.
        """
        rows = []
        own = [float(one.corrected) for one in self.corrections]
        for name in [self.method, *self._controls]:
            draws = [(one.search,) if name == self.method else one.controls[name] for one in self.corrections]
            rates = [sum(draw.corrected() for draw in some) / len(some) for some in draws]
            found = summarise(rates, self.groups, seed)
            gap = summarise([a - b for a, b in zip(rates, own, strict=True)], self.groups, seed)
            few = [draw.first.count for some in draws for draw in some if draw.first is not None]
            as_few = [1.0 if name == self.method else one.fewer_than(name) for one in self.corrections if one.corrected]
            row: dict[str, Any] = {"ranking": name, "n": len(rates), "corrected": found.mean}
            row |= {"low": found.interval[0], "high": found.interval[1], "gap": gap.mean}
            row |= {"gap_low": gap.interval[0], "gap_high": gap.interval[1]}
            row |= {"features, median": float(np.median(few)) if few else math.nan}
            row |= {"as few": float(np.mean(as_few)) if as_few else math.nan}
            for fraction in tried_fractions(self.budget):
                within = [sum(draw.corrected(fraction) for draw in some) / len(some) for some in draws]
                row[f"within {fraction:.4%}"] = float(np.mean(within)) if within else math.nan
            rows.append(row)
        return Table({title: [row[title] for row in rows] for title in rows[0]})

    @property
    def _controls(self) -> list[str]:
        return list(self.corrections[0].controls) if self.corrections else []

    def __str__(self) -> str:
        counted = f"{len(self.corrections)} mistakes, {self.already_correct} examples were right"
        head = f"{self.method} in {self.domain}: {counted}"
        if not self.corrections:
            return head
        short = Table({n: c for n, c in self.summary().columns.items() if "within" not in n}, self.notes)
        return f"{head}; deleting up to {self.budget:.3g} of the features\n{short}"

    @property
    def notes(self) -> list[str]:
        """What has to be said of the mistakes' explanations, once each."""
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
            f"budget {budget!r} with {draws!r} draws", "a fraction above 0, and a draw or more", "correct it"
        )
    if isinstance(true_labels, (str, int)) or len(true_labels) != len(examples):
        got = "one true label" if isinstance(true_labels, (str, int)) else f"{len(true_labels)} true labels"
        raise InputError(f"{got} for {len(examples)} examples", "one for each", "correct `true_label`")
    head = explainer.wrapper.head()
    true = [int(settled) for settled in map(head.check, true_labels) if isinstance(settled, int)]
    how: dict[str, Any] = {"domain": domain, "batch_size": batch_size}
    results = explainer.explain(list(examples), method=method, seed=seed, **how)
    for result in results:
        if not has_other_classes(explainer, result) or len(true) != len(results):
            got = f"a result for {result.label!r} of a head {result.provenance['head']!r}"
            raise InputError(got, "one class of a softmax with named classes", "rectify a classifier's mistakes")
    names = [str(i) for i in range(len(results))] if groups is None else [str(one) for one in groups]
    if len(names) != len(results):
        raise InputError(f"{len(names)} groups for {len(results)} examples", "one for each", "correct `groups`")
    wrong = [i for i, (result, label) in enumerate(zip(results, true, strict=True)) if result.target != label]
    own, wanted, excluded = [results[i] for i in wrong], [true[i] for i in wrong], {}
    found: dict[str, list[list[DeletionSearch]]] = {}
    for name in ("magnitude", "low_frequency", "random") if wrong else ():
        some = [examples[i] for i in wrong]
        try:
            found[name] = [
                _searches(
                    explainer, explainer.explain(some, method=name, seed=seed + n, **how), wanted, budget, batch_size
                )
                for n in range(draws if name == "random" else 1)
            ]
        except SpecError as error:
            excluded[name] = str(error)
    mine = _searches(explainer, own, wanted, budget, batch_size) if wrong else []
    corrections = [
        Correction(
            result,
            label,
            head.label(label),
            search,
            {name: tuple(draw[i] for draw in several) for name, several in found.items()},
        )
        for i, (result, label, search) in enumerate(zip(own, wanted, mine, strict=True))
    ]
    spec = METHODS.spec(METHODS.parse(results[0].provenance["method"]))
    right = len(results) - len(wrong)
    groups = [names[i] for i in wrong]
    return RectificationResult(spec, results[0].layout.domain, corrections, wrong, groups, right, budget, excluded)


def _searches(
    explainer: Engine, results: Sequence[Attribution], true: Sequence[int], budget: float, size: BatchSize
) -> list[DeletionSearch]:
    """Delete the top of each ranking at all counts that are tried."""
    found: list[DeletionSearch] = [DeletionSearch(label, ()) for label in true]

    def work(places: list[int], block: ExampleBatch, score: Score) -> None:
        moves = [move for row, place in enumerate(places) for move in _moves(row, results[place], budget)]
        stops = run_perturbations(score, results[places[0]].basis, moves)
        for row, place in enumerate(places):
            own = [(move, stop) for move, stop in zip(moves, stops, strict=True) if move.example == row]
            trials = [
                DeletionTrial(m.count, m.actual_fraction, m.fraction, stop.predicted_class)
                for m, stop in own
                if stop.predicted_class is not None
            ]
            found[place] = DeletionSearch(true[place], tuple(trials))

    explainer.replay(results, work, batch_size=size)
    return found


def _moves(row: int, result: Attribution, budget: float) -> list[Perturbation]:
    """The counts of the published fractions, and a finer search between them."""
    ranked = result.layout.multiplicity[result.order]
    reached = torch.cumsum(ranked, 0).tolist()
    allowed = {fraction: cut(ranked, fraction) for fraction in tried_fractions(budget)}
    most = allowed[budget]
    counts = {*allowed.values(), *range(1, min(SINGLE_FEATURES, most) + 1)}
    if most > SINGLE_FEATURES:
        counts |= {round(count) for count in np.geomspace(SINGLE_FEATURES, most, SINGLE_FEATURES).tolist()}
    return [
        Perturbation(
            row,
            "delete",
            next(fraction for fraction, own in allowed.items() if count <= own),
            reached[count - 1] / reached[-1],
            result.order,
            count,
        )
        for count in sorted(counts)
    ]
