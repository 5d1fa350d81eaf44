"""Class swap: exchange the top features of two examples of different classes, and count whose class is predicted.

After arXiv 2411.18343, whose code adds the swapped-in bins to what they replace (twice their amplitude), counts a
success if one of a thousand donors does, and has no controls. Here the features are exchanged exactly, each pair of
examples is evaluated once, and the controls exchange as many.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch

from hf_fourier.domains import Domain
from hf_fourier.errors import InputError, SpecError
from hf_fourier.evaluation.metrics.statistics import group_names, summarise
from hf_fourier.evaluation.wrong_labels import has_other_classes
from hf_fourier.methods import METHODS, Method
from hf_fourier.methods.controls import CONTROLS
from hf_fourier.registry import DEFAULT_METHOD
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.remarks import once
from hf_fourier.results.table import Table, table_of
from hf_fourier.scoring.example_batch import BatchSize, ExampleBatch
from hf_fourier.scoring.score import Score
from hf_fourier.torch_state import exact

if TYPE_CHECKING:
    from hf_fourier.engine import Engine

FRACTIONS = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.3)
Unit = Literal["donor", "recipient"]


@dataclass(frozen=True)
class ClassSwapResult:
    """The predictions with exchanged features.

    Attributes:
        method: The method's spec.
        unit: Whose ranking chooses the features that are exchanged.
        predicted: By ranking and fraction, the predicted class of each recipient with the donor's features.
        recipients: The predicted class of each recipient as it is.
        donors: The predicted class of each donor.
        groups: The group of each pair.
        alike: How many pairs of one predicted class were left out.
        excluded: By control that cannot rank here, the reason.
        notes: Notes of the explanations, once each.
    """

    method: str
    unit: str
    predicted: dict[tuple[str, float], list[int]]
    recipients: list[int]
    donors: list[int]
    groups: list[str]
    alike: int
    excluded: dict[str, str]
    notes: Sequence[str] = ()

    def table(self, seed: int = 0) -> Table:
        """One row per ranking and fraction: how often the donor's class is taken over, and the recipient's kept.

        `taken` has its 95 % interval and the paired gap to the magnitude ranking at the same fraction.
        """
        rows = []
        for (name, fraction), labels in self.predicted.items():
            taken = [float(a == b) for a, b in zip(labels, self.donors, strict=True)]
            kept = [float(a == b) for a, b in zip(labels, self.recipients, strict=True)]
            control = self.predicted["magnitude", fraction]
            by_magnitude = [float(a == b) for a, b in zip(control, self.donors, strict=True)]
            rate = summarise(taken, self.groups, seed)
            gap = summarise([a - b for a, b in zip(taken, by_magnitude, strict=True)], self.groups, seed)
            row = {"ranking": name, "fraction": fraction, "n": len(taken), "taken": rate.mean}
            row |= {"low": rate.interval[0], "high": rate.interval[1], "gap_magnitude": gap.mean}
            row |= {"gap_low": gap.interval[0], "gap_high": gap.interval[1], "kept": math.fsum(kept) / len(kept)}
            rows.append(row)
        return table_of(rows, self.notes)

    def __repr__(self) -> str:
        return f"ClassSwapResult({len(self.recipients)} pairs)"

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def __str__(self) -> str:
        return str(self.table())


@exact
def class_swap(
    explainer: Engine,
    recipients: Sequence[Any],
    donors: Sequence[Any],
    method: str | Method = DEFAULT_METHOD,
    domain: str | Domain | None = None,
    *,
    fractions: Sequence[float] = FRACTIONS,
    unit: Unit | str = "donor",
    groups: Sequence[Any] | None = None,
    seed: int = 0,
    batch_size: BatchSize = "auto",
) -> ClassSwapResult:
    """Put a donor's top features in place of the recipient's, and predict the class.

    `x = W⁻¹(F_recipient outside the top + F_donor in the top)`, the top being a fraction of the features by one
    ranking, for the predicted class of the example that is ranked. The controls are always evaluated, too.

    Args:
        explainer: Of a classifier; the model is not changed.
        recipients: Examples.
        donors: As many, each of the same size as its recipient.
        method: Ranks the features.
        domain: Of the features; None for the explainer's own.
        fractions: Exchanged fractions of the features, 0 to 1 (degrees of freedom).
        unit: Whose top is exchanged: "donor" for what makes the donor its class; "recipient" for what makes the
            recipient its own, as the published code has it.
        groups: The group of each pair; intervals draw whole groups. None for a pair each.
        seed: Of everything random.
        batch_size: Rows in a batch, at most.

    Returns:
        The rates at which pairs take over the donor's class; pairs of one predicted class are counted in `alike` alone.

    Raises:
        InputError: If there is not one donor for each recipient, no pair of two classes, a pair of different sizes, or
            no softmax over named classes.
    """
    n = len(recipients)
    if not n or n != len(donors):
        raise InputError(f"{n} recipients and {len(donors)} donors", "as many of both, at least one", "pair them")
    names = group_names(groups, n, "pairs")
    if unit not in get_args(Unit):
        raise InputError(f"unit {unit!r}", "'donor' or 'recipient'", "choose one of them")
    how: dict[str, Any] = {"domain": domain, "seed": seed, "batch_size": batch_size}
    examples = [*recipients, *donors]
    results = explainer.explain(examples, method=method, **how)
    pairs = _pairs_of_two_classes(explainer, results, n)
    predicted, excluded = _swap_by_all(explainer, examples, results, pairs, fractions, unit, how)
    return ClassSwapResult(
        _spec(results),
        unit,
        predicted,
        recipients=[int(results[i].target) for i in pairs],
        donors=[int(results[n + i].target) for i in pairs],
        groups=[names[i] for i in pairs],
        alike=n - len(pairs),
        excluded=excluded,
        notes=once(note for result in results for note in result.provenance.get("notes", ())),
    )


def _spec(results: Sequence[Attribution]) -> str:
    return METHODS.spec(METHODS.parse(results[0].provenance["method"]))


def _pairs_of_two_classes(explainer: Engine, results: Sequence[Attribution], n: int) -> list[int]:
    """The pairs, by place, whose predicted classes differ."""
    for i in range(n):
        recipient, donor = results[i], results[n + i]
        if not has_other_classes(explainer, recipient):
            got = f"a head {recipient.provenance['head']!r}"
            raise InputError(got, "one class of a softmax with named classes", "swap features of a classifier")
        if recipient.layout.signal != donor.layout.signal:
            got = f"pair {i} of signals {recipient.layout.signal.shape} and {donor.layout.signal.shape}"
            raise InputError(got, "one size", "cut or resize the examples")
    pairs = [i for i in range(n) if results[i].target != results[n + i].target]
    if not pairs:
        raise InputError("pairs of one decision each", "recipients and donors of different classes", "pair others")
    return pairs


def _swap_by_all(
    explainer: Engine,
    examples: Sequence[Any],
    results: list[Attribution],
    pairs: Sequence[int],
    fractions: Sequence[float],
    unit: str,
    how: dict[str, Any],
) -> tuple[dict[tuple[str, float], list[int]], dict[str, str]]:
    """The predictions by the controls' rankings and the method's, and why a control cannot rank here."""
    spec = _spec(results)
    predicted: dict[tuple[str, float], list[int]] = {}
    excluded: dict[str, str] = {}
    for name in dict.fromkeys((*CONTROLS, spec)):
        try:
            ranked = results if name == spec else explainer.explain(examples, method=name, **how)
        except SpecError as error:
            excluded[name] = str(error)
            continue
        for fraction in dict.fromkeys(fractions):
            predicted[name, fraction] = _swapped(explainer, ranked, pairs, fraction, unit, how["batch_size"])
    return predicted, excluded


def _swapped(
    explainer: Engine,
    ranked: Sequence[Attribution],
    pairs: Sequence[int],
    fraction: float,
    unit: str,
    batch_size: BatchSize,
) -> list[int]:
    """The predicted class of each recipient with a fraction of the donor's features."""
    labels, n = [0] * len(pairs), len(ranked) // 2

    def visit(places: list[int], batch: ExampleBatch, score: Score) -> None:
        rows = [pairs[place] for place in places]
        basis = ranked[rows[0]].basis
        masks = torch.stack([ranked[i + (n if unit == "donor" else 0)].mask(fraction) for i in rows])
        masks = masks.to(score.signal.device)
        donors = torch.stack([signal for i in rows if (signal := ranked[n + i].signal) is not None]).to(score.signal)
        mixed = basis.keep_features(basis.forward(score.signal), ~masks) + basis.keep_features(
            basis.forward(donors), masks
        )
        reading = score.value(mixed, torch.arange(len(rows), device=score.signal.device))
        assert reading.predicted_class is not None
        for place, label in zip(places, reading.predicted_class.tolist(), strict=True):
            labels[place] = label

    explainer.replay([ranked[i] for i in pairs], visit, batch_size=batch_size)
    return labels
