"""Sanity checks of a method on a model: what an explanation has to show before it is believed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hf_fourier.domains import DOMAINS, Domain
from hf_fourier.errors import InputError, ModelError
from hf_fourier.evaluation.evaluate import Evaluator
from hf_fourier.evaluation.metrics.robustness import rank_correlation
from hf_fourier.evaluation.metrics.statistics import paired_interval, summarise
from hf_fourier.evaluation.metrics.structure import top_overlap
from hf_fourier.evaluation.randomized_model import randomize, re_rank
from hf_fourier.evaluation.results import Check, Evaluation, SanityResult
from hf_fourier.methods import METHODS, Method
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.remarks import MAX_COMPLETENESS_ERROR
from hf_fourier.scoring.example_batch import BatchSize
from hf_fourier.scoring.heads import CustomTarget
from hf_fourier.scoring.heads.segmentation import Mask
from hf_fourier.scoring.targets import Target

if TYPE_CHECKING:
    from hf_fourier.engine import Engine

#: The top of a ranking.
TOP = 0.04
#: The least part of the top that has to go with the weights, or with the label, for a ranking to depend on them.
MIN_DEPENDENCE = 0.1
#: The least part of the top that two seeds have to share.
MIN_SEED_OVERLAP = 0.5
#: The largest relative change of the scores by a batch, in full and in half precision.
BATCH, HALF_BATCH = 0.01, 0.1
#: Examples that are explained alone as well.
SINGLE_EXAMPLES = 4
_CALLABLE = "the target is a callable, which cannot be asked again"


def check(
    explainer: Engine,
    examples: Sequence[Any],
    method: str | Method,
    domain: str | Domain | None,
    targets: Sequence[Target] | None,
    groups: Sequence[Any] | None,
    seed: int,
    batch_size: BatchSize,
) -> SanityResult:
    """See `FourierExplainer.sanity_check`."""
    if not examples:
        raise InputError("no examples", "at least one", "pass examples")
    names = [str(i) for i in range(len(examples))] if groups is None else [str(one) for one in groups]
    if len(names) != len(examples):
        raise InputError(f"{len(names)} groups for {len(examples)} examples", "one for each", "correct `groups`")
    checker = SanityChecks(explainer, examples, method, domain, targets, names, seed, batch_size)
    checks = [
        checker.model_randomization(),
        *checker.target_randomization(),
        checker.completeness(),
        checker.batch_invariance(),
        checker.seed_variance(),
    ]
    checks += checker.gain_over_magnitude()
    first = checker.attributions[0]
    spec, head = str(first.provenance["method"]), str(first.provenance["head"])
    return SanityResult(explainer.name, spec, first.layout.domain, head, names, checks, checker.survey.notes)


class SanityChecks:
    """One method on some examples, and what it is asked.

    Args:
        explainer: Of the model.
        examples: Raw examples.
        method: What is checked.
        domain: Where; None for the default.
        targets: One per example, or None for what the model says.
        groups: The group of each example.
        seed: Of everything random.
        batch_size: Rows in a batch, at most.

    Attributes:
        own: The method's results.
        again: Those of another seed, where the method draws.
        repeats: By example, the top that both share.
        survey: Wrong labels for them, and games.
    """

    def __init__(
        self,
        explainer: Engine,
        examples: Sequence[Any],
        method: str | Method,
        domain: str | Domain | None,
        targets: Sequence[Target] | None,
        groups: Sequence[str],
        seed: int,
        batch_size: BatchSize,
    ) -> None:
        self.explainer, self.examples, self.groups = explainer, list(examples), groups
        self.seed, self.batch_size = seed, batch_size
        self.targets: list[Target] = [None] * len(self.examples) if targets is None else list(targets)
        self._how: dict[str, Any] = {"method": method, "domain": domain}
        self.attributions = self._explain(self.examples, self.targets, seed=seed)
        self.method = METHODS.parse(self.attributions[0].provenance["method"])
        self.domain = DOMAINS.parse(self.attributions[0].layout.domain)
        self.survey = Evaluator(explainer, self.examples, self.targets, seed, batch_size)
        self.callable = any(result.provenance["head"] == CustomTarget.name for result in self.attributions)
        self.seeded = "seeded" in self.method.properties
        self.again = self._explain(self.examples, self.targets, seed=seed + 1) if self.seeded else self.attributions
        self.repeats = [top_overlap(a, b, TOP) for a, b in zip(self.attributions, self.again, strict=True)]

    def model_randomization(self) -> Check:
        """Whether the top goes with the weights: compared with a random twin's ranking of the same signal."""
        name = "random twin"
        if self.callable:
            return Check(name, None, _CALLABLE)
        try:
            twin = randomize(self.explainer, self.attributions, self.seed, self.batch_size)
        except ModelError as error:
            return Check(name, None, str(error))
        theirs = re_rank(twin, self.attributions, self.batch_size)
        return self._differs(name, theirs, "with fresh weights", "the weights")

    def target_randomization(self) -> list[Check]:
        """Whether the top goes with the label, and whether wrong labels are out of the method's reach."""
        names = ("label shuffle", "wrong-label control")
        dealt = self.survey.wrong.get("random")
        if dealt is None:
            told = f"the head {self.survey.head!r} has no other labels to ask for"
            return [Check(name, None, _CALLABLE if self.callable else told) for name in names]
        theirs = self.explainer.re_explain(self.attributions, dealt, batch_size=self.batch_size)
        two = len(self.explainer.wrapper.head().labels) == 2
        hint = ", and of two classes a method without a sign ranks both alike" if two else ""
        shuffled = self._differs(names[0], theirs, "asked for a wrong label", "the label", hint)
        return [shuffled, self._selects(names[1])]

    def completeness(self) -> Check:
        """How far the scores are from the sum that the method promises, relative to it."""
        name, needed = "completeness", f"median at most {MAX_COMPLETENESS_ERROR:g}"
        if "complete" not in self.method.properties:
            return Check(name, None, "the method promises no sum")
        pairs = [
            (result.completeness_error, float(result.scores.double().sum()))
            for result in self.attributions
            if result.completeness_error is not None
        ]
        gaps = [abs(gap / (total - gap)) for gap, total in pairs if total != gap]
        if not gaps:
            return Check(name, False, "the difference to explain is 0 everywhere", "relative gap", needed=needed)
        found = summarise(gaps, None, self.seed)
        words = (
            f"the scores miss the difference they explain by {found.median:.1%} of it in the median, {max(gaps):.1%} "
            f"at most; needed: a median of at most {MAX_COMPLETENESS_ERROR:.0%}"
        )
        ends = found.median_interval
        return Check(
            name,
            found.median <= MAX_COMPLETENESS_ERROR,
            words,
            "relative gap, median",
            found.median,
            ends,
            needed,
            len(gaps),
        )

    def batch_invariance(self) -> Check:
        """Whether an example gets the same scores alone and among others."""
        name = "batch invariance"
        if self.batch_size == 1:
            return Check(name, None, "batches of one were asked for")
        some, targets = self.examples[:SINGLE_EXAMPLES], self.targets[:SINGLE_EXAMPLES]
        together = self._explain(some + some, targets + targets, seed=self.seed)
        changes, tops = [], []
        for i, (one, target) in enumerate(zip(some, targets, strict=True)):
            alone = self._explain([one], [target], seed=self.seed)[0]
            for among in (together[i], together[i + len(some)]):
                changes.append(_change(alone, among))
                tops.append(top_overlap(alone, among, TOP))
        kinds = {p.dtype for p in self.explainer.model.parameters() if p.is_floating_point()}
        most = HALF_BATCH if kinds & {torch.float16, torch.bfloat16} else BATCH
        words = (
            f"alone and in a batch the scores differ by {max(changes):.1e} of their size at most, and the top 4 % "
            f"share {min(tops):.3f} at least; needed: a change of at most {most:g}"
        )
        good, needed = max(changes) <= most, f"at most {most:g}"
        return Check(name, good, words, "relative change, largest", max(changes), needed=needed, examples=len(some))

    def seed_variance(self) -> Check:
        """Whether two seeds agree on the top."""
        name, needed = "seed variance", f"low end above {MIN_SEED_OVERLAP:g}"
        if not self.seeded:
            return Check(name, None, "the method draws nothing")
        found = summarise(self.repeats, self.groups, self.seed)
        rho = _mean([_rho(a, b) for a, b in zip(self.attributions, self.again, strict=True)])
        good = found.interval[0] > MIN_SEED_OVERLAP
        words = (
            f"two seeds share {_with(found.mean, found.interval)} of the top 4 % (ρ = {rho:.2f} over all features); "
            f"needed above {MIN_SEED_OVERLAP:g}"
        )
        return Check(name, good, words, "top shared by two seeds", found.mean, found.interval, needed, found.examples)

    def gain_over_magnitude(self) -> list[Check]:
        """Whether the method is better than the magnitude, which asks no model, example by example."""
        if self.callable:
            return [Check("gap to magnitude", None, _CALLABLE)]
        checks = []
        for name, row in self._rows.items():
            if name not in _COMPARED:
                continue
            gap, ends = row["gap_magnitude"], (row["gap_low"], row["gap_high"])
            good = ends[0] > 0
            told = "better than" if good else "worse than" if ends[1] < 0 else "not shown to be better than"
            if row["method"] == "magnitude":
                told = "the same as"
            words = f"{told} the magnitude ranking, which asks no model: {row['mean']:.3f}, by {_with(gap, ends)}"
            needed = "low end above 0"
            checks.append(Check(f"gap to magnitude: {name}", good, words, f"{name}, gap", gap, ends, needed, row["n"]))
        return checks

    def _selects(self, name: str) -> Check:
        """Whether selectivity is above 0, and above that of a random order: few labels can flatter both."""
        quantity, spec = "selectivity (random)", METHODS.spec(self.method)
        row, reached = self._rows[quantity], self._rows[_REACHED]
        value, ends = row["mean"], (row["low"], row["high"])
        own, chance = (self._played.of(method).values[quantity] for method in (spec, "random"))
        many = len(set(self.groups)) > 1
        above = paired_interval(own, chance, self.groups, self.seed) if many else (math.nan, math.nan)
        good = ends[0] > 0 and above[0] > 0
        more = _with(_mean(own) - _mean(chance), above)
        words = (
            f"the top keeps the decision {'' if good else 'hardly '}more often than it reaches wrong labels (at 4 % it "
            f"reaches {reached['mean']:.2f} of them): selectivity {_with(value, ends)}, above that of a random order "
            f"by {more}; needed: both above 0"
        )
        return Check(name, good, words, quantity, value, ends, "low end above 0, and above random's", row["n"])

    def _differs(self, name: str, theirs: Sequence[Attribution], when: str, of: str, hint: str = "") -> Check:
        """How much of the top that repeats is lost with something else than chance would lose.

        The effect is `(repeat − shared) / (repeat − chance)`, from 0 (the method's own repetition differs as much) to 1
        (what is shared is what chance fractions).
        """
        needed, quantity = f"low end above {MIN_DEPENDENCE:g}", f"part of the top that goes with {of}"
        flat = [_flat(result) for result in self.attributions]
        if all(flat):
            words = "all features of all examples have the same score: nothing is ranked"
            return Check(name, False, words, quantity, needed=needed)
        known = [i for i, other in enumerate(theirs) if not flat[i] and not _flat(other)]
        if not known:
            return Check(name, None, f"{when} all features have the same score: there is no ranking to compare with")
        shared = [top_overlap(self.attributions[i], theirs[i], TOP) for i in known]
        chance = _mean([float(self.attributions[i].mask(TOP).double().mean()) for i in known])
        room = _mean([self.repeats[i] for i in known]) - chance
        rho = _mean([_rho(self.attributions[i], theirs[i]) for i in known])
        told = f"{when}, {_mean(shared):.2f} of the top 4 % are the same (ρ = {rho:.2f}; by chance {chance:.2f}"
        told += f", by another seed {room + chance:.2f})" if self.seeded else ")"
        if room < MIN_DEPENDENCE:
            words = f"the top hardly repeats itself by another seed ({room + chance:.2f}): nothing can go with {of}"
            return Check(name, False, words, quantity, needed=needed, examples=len(known))
        effects = [(self.repeats[i] - same) / room for i, same in zip(known, shared, strict=True)]
        found = summarise(effects, [self.groups[i] for i in known], self.seed)
        good = found.interval[0] > MIN_DEPENDENCE
        near = _mean([top_overlap(self.attributions[i], self._magnitude[i], TOP) for i in known])
        words = (
            f"{told}: {_with(found.mean, found.interval)} of the top goes with {of}, needed above {MIN_DEPENDENCE:g}"
        )
        if not good:
            words += f"; {near:.2f} of the top are the magnitude's{hint}"
        if len(known) < len(theirs):
            words += f"; {len(theirs) - len(known)} examples without a ranking left out"
        return Check(name, good, words, quantity, found.mean, found.interval, needed, found.examples)

    @cached_property
    def _played(self) -> Evaluation:
        """The method beside the magnitude and, where there are wrong labels, a random order."""
        mask, sure = self.survey.head == Mask.name, all(result.confidence is not None for result in self.attributions)
        names = ["dice_retention"] if mask else ["dig"] if sure else ["maintain_rate"]
        chance = ["random"] if self.survey.wrong else []
        measures = self.survey.select_metrics([*names, "selectivity"] if chance else names)
        methods = dict.fromkeys([*(METHODS.parse(name) for name in ("magnitude", *chance)), self.method])
        whole = [self.survey.evaluate_method(method, self.domain, measures) for method in methods]
        known = {*_COMPARED, _REACHED}
        cells = [replace(cell, values={n: v for n, v in cell.values.items() if n in known}) for cell in whole]
        return Evaluation(self.explainer.name, cells, self.groups, self.survey.better)

    @cached_property
    def _rows(self) -> dict[str, dict[str, Any]]:
        """The method's rows by quantity."""
        rows, spec = self._played.table(self.seed).rows(), METHODS.spec(self.method)
        return {row["metric"]: row for row in rows if row["method"] == spec}

    @cached_property
    def _magnitude(self) -> list[Attribution]:
        return self._explain(self.examples, self.targets, seed=self.seed, method="magnitude")

    def _explain(self, examples: list[Any], targets: list[Target], **how: Any) -> list[Attribution]:
        found: list[Attribution] = self.explainer.explain(
            examples, targets=targets, batch_size=self.batch_size, **{**self._how, **how}
        )
        return found


#: What is compared with the magnitude.
_COMPARED = ("dig", "dice_retention", "maintain_rate_at_0.04", "selectivity (random)")
_REACHED = "wrong_reached_at_0.04 (random)"


def _flat(result: Attribution) -> bool:
    """Whether all features have one score."""
    low, high = result.scores.aminmax()
    return bool(low == high)


def _rho(a: Attribution, b: Attribution) -> float:
    return rank_correlation(a.scores.numpy(), b.scores.numpy())


def _change(a: Attribution, b: Attribution) -> float:
    """The relative L2 change of the scores."""
    size, moved = float(a.scores.double().norm()), float((a.scores.double() - b.scores.double()).norm())
    return moved / size if size else math.inf if moved else 0.0


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan


def _with(value: float, ends: tuple[float, float]) -> str:
    return f"{value:.2f}" if math.isnan(ends[0]) else f"{value:.2f} [{ends[0]:.2f}, {ends[1]:.2f}]"
