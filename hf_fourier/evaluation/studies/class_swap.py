"""Feature swap between classes: does the part of one example that a method calls important carry its class elsewhere?

After arXiv 2411.18343, whose code adds the swapped-in bins to what they replace (twice their amplitude), counts a
success if one of a thousand donors does, and has no controls. Here the features are exchanged exactly, each pair of
examples is asked once, and the controls exchange as many.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch

from hf_fourier.domains import Domain
from hf_fourier.errors import InputError, SpecError
from hf_fourier.evaluation.metrics.statistics import summarise
from hf_fourier.evaluation.wrong_labels import selective
from hf_fourier.methods import METHODS, Method
from hf_fourier.methods.controls import CONTROLS
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.remarks import once
from hf_fourier.results.table import Table
from hf_fourier.scoring.example_batch import BatchSize, ExampleBatch
from hf_fourier.scoring.score import Score
from hf_fourier.torch_state import exact

if TYPE_CHECKING:
    from hf_fourier.engine import Engine

SHARES = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.3)
Unit = Literal["donor", "victim"]


@dataclass(frozen=True)
class ClassSwapResult:
    """What swapping found.

    Attributes:
        method: The method's spec.
        by: Whose ranking says which features are exchanged.
        predicted: By ranking and share, what the model says of each victim with the donor's features.
        victims: The victims' own decisions.
        donors: The donors' decisions.
        groups: The group of each pair.
        alike: How many pairs of one decision were left out.
        excluded: By control that cannot rank here, the reason.
        notes: What has to be said of the explanations, once each.
    """

    method: str
    by: str
    predicted: dict[tuple[str, float], list[int]]
    victims: list[int]
    donors: list[int]
    groups: list[str]
    alike: int
    excluded: dict[str, str]
    notes: Sequence[str] = ()

    def table(self, seed: int = 0) -> Table:
        """One row per ranking and share: how often the donor's class is taken over, and the victim's kept.

        `taken` has its 95 % interval and the paired gap to the magnitude ranking at the same share.
        """
        rows = []
        for (name, share), said in self.predicted.items():
            taken = [float(a == b) for a, b in zip(said, self.donors, strict=True)]
            kept = [float(a == b) for a, b in zip(said, self.victims, strict=True)]
            control = self.predicted["magnitude", share]
            other = [float(a == b) for a, b in zip(control, self.donors, strict=True)]
            found = summarise(taken, self.groups, seed)
            gap = summarise([a - b for a, b in zip(taken, other, strict=True)], self.groups, seed)
            row = {"ranking": name, "fraction": share, "n": len(taken), "taken": found.mean}
            row |= {"low": found.interval[0], "high": found.interval[1], "gap_magnitude": gap.mean}
            row |= {"gap_low": gap.interval[0], "gap_high": gap.interval[1], "kept": math.fsum(kept) / len(kept)}
            rows.append(row)
        return Table({title: [row[title] for row in rows] for title in rows[0]}, self.notes)

    def __str__(self) -> str:
        return str(self.table())


@exact
def class_swap(
    explainer: Engine,
    recipients: Sequence[Any],
    donors: Sequence[Any],
    method: str | Method = "ffc",
    domain: str | Domain | None = None,
    *,
    shares: Sequence[float] = SHARES,
    unit: Unit | str = "donor",
    groups: Sequence[Any] | None = None,
    seed: int = 0,
    batch_size: BatchSize = "auto",
) -> ClassSwapResult:
    """Put a donor's top features in place of the victim's own, and see whose class the model says.

    `x = W⁻¹(F_victim outside the top + F_donor in the top)`, the top being a share of the features by one ranking, for
    the class that the model says of the example that is ranked. The controls are always there.

    Args:
        explainer: Of a classifier; the model is not touched.
        recipients: Examples.
        donors: As many, each of the same size as its victim.
        method: Which features matter.
        domain: Of which domain; None for the explainer's own.
        shares: How much of the features is exchanged, 0 to 1 (degrees of freedom).
        unit: Whose top is exchanged: "donor" for what makes the donor its class; "victim" for what makes the victim its
            own, as the published code has it.
        groups: The group of each pair; intervals draw whole groups. None for a pair each.
        seed: Of everything random.
        batch_size: Rows in a batch, at most.

    Returns:
        The shares of pairs that take over the donor's class. Pairs of which the model says the same are left out, and
        counted in `alike`.

    Raises:
        InputError: If there is not one donor for each victim, no pair of two classes, a pair of different sizes, or no
            softmax over named classes.
    """
    if not recipients or len(recipients) != len(donors):
        got = f"{len(recipients)} victims and {len(donors)} donors"
        raise InputError(got, "as many of both, at least one", "pair them")
    names = [str(i) for i in range(len(recipients))] if groups is None else [str(one) for one in groups]
    if len(names) != len(recipients):
        raise InputError(f"{len(names)} groups for {len(recipients)} pairs", "one for each", "correct `groups`")
    if unit not in get_args(Unit):
        raise InputError(f"by {unit!r}", "'donor' or 'victim'", "choose one of them")
    both = [*recipients, *donors]

    def explained(how: str | Method) -> list[Attribution]:
        found: list[Attribution] = explainer.explain(both, method=how, domain=domain, seed=seed, batch_size=batch_size)
        return found

    own, n = explained(method), len(recipients)
    _check_pairs(explainer, own, n)
    pairs = [i for i in range(n) if own[i].target != own[n + i].target]
    if not pairs:
        raise InputError("pairs of one decision each", "victims and donors of different classes", "pair others")
    spec, said, excluded = METHODS.spec(METHODS.parse(own[0].provenance["method"])), {}, {}
    for name in dict.fromkeys((*CONTROLS, spec)):
        try:
            ranked = own if name == spec else explained(name)
        except SpecError as error:
            excluded[name] = str(error)
            continue
        for share in dict.fromkeys(shares):
            said[name, share] = _swapped(explainer, ranked, n, pairs, share, unit, batch_size)
    return ClassSwapResult(
        spec,
        unit,
        said,
        victims=[int(own[i].target) for i in pairs],
        donors=[int(own[n + i].target) for i in pairs],
        groups=[names[i] for i in pairs],
        alike=n - len(pairs),
        excluded=excluded,
        notes=once(note for one in own for note in one.provenance.get("notes", ())),
    )


def _check_pairs(explainer: Engine, own: Sequence[Attribution], n: int) -> None:
    for i in range(n):
        victim, donor = own[i], own[n + i]
        if not selective(explainer, victim):
            got = f"a head {victim.provenance['head']!r}"
            raise InputError(got, "one class of a softmax with named classes", "swap features of a classifier")
        if victim.layout.signal != donor.layout.signal:
            got = f"pair {i} of signals {victim.layout.signal.shape} and {donor.layout.signal.shape}"
            raise InputError(got, "one size", "cut or resize the examples")


def _swapped(
    explainer: Engine,
    ranked: Sequence[Attribution],
    n: int,
    pairs: Sequence[int],
    share: float,
    by: str,
    batch_size: BatchSize,
) -> list[int]:
    """What the model says of each victim with a share of the donor's features."""
    said = [0] * len(pairs)

    def work(places: list[int], block: ExampleBatch, score: Score) -> None:
        some = [pairs[place] for place in places]
        basis = ranked[some[0]].basis
        masks = torch.stack([ranked[i + (n if by == "donor" else 0)].mask(share) for i in some]).to(score.signal.device)
        other = torch.stack([signal for i in some if (signal := ranked[n + i].signal) is not None]).to(score.signal)
        mixed = basis.keep_features(basis.forward(score.signal), ~masks) + basis.keep_features(
            basis.forward(other), masks
        )
        reading = score.value(mixed, torch.arange(len(some), device=score.signal.device))
        assert reading.predicted_class is not None
        for place, label in zip(places, reading.predicted_class.tolist(), strict=True):
            said[place] = label

    explainer.replay([ranked[i] for i in pairs], work, batch_size=batch_size)
    return said
