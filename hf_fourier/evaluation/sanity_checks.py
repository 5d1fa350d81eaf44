"""Sanity checks of a method on a model: randomization, completeness, invariance, and the gain over controls."""

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
from hf_fourier.evaluation.metrics.statistics import group_names, paired_interval, summarise
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

#: The top of a ranking, as a fraction of the features.
TOP = 0.04
#: The least part of the top that has to depend on the weights, or on the label.
MIN_DEPENDENCE = 0.1
#: The least part of the top that two seeds have to share.
MIN_SEED_OVERLAP = 0.5
#: The largest relative change of the scores by a batch, in full and in half precision.
BATCH, HALF_BATCH = 0.01, 0.1
#: Examples that are explained alone as well.
SINGLE_EXAMPLES = 4
_CALLABLE = "the target is a callable, which cannot be evaluated again"


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
    names = group_names(groups, len(examples))
    sanity = SanityChecks(explainer, examples, method, domain, targets, names, seed, batch_size)
    checks = [
        sanity.model_randomization(),
        *sanity.target_randomization(),
        sanity.completeness(),
        sanity.batch_invariance(),
        sanity.seed_variance(),
        *sanity.gain_over_magnitude(),
    ]
    first = sanity.attributions[0]
    spec, head = str(first.provenance["method"]), str(first.provenance["head"])
    return SanityResult(explainer.name, spec, first.layout.domain, head, names, checks, sanity.evaluator.notes)


class SanityChecks:
    """The checks of one method on the same examples.

    Args:
        explainer: Of the model.
        examples: Raw examples.
        method: The checked method.
        domain: Of its features; None for the default.
        targets: One per example, or None for the predictions.
        groups: The group of each example.
        seed: Of everything random.
        batch_size: Rows in a batch, at most.

    Attributes:
        attributions: The method's results.
        reseeded: Those of another seed, where the method draws.
        seed_overlaps: By example, the part of the top that both share.
        evaluator: Gives their wrong labels and curves.
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
        self._options: dict[str, Any] = {"method": method, "domain": domain}
        self.attributions = self._explain(self.examples, self.targets, seed=seed)
        self.method = METHODS.parse(self.attributions[0].provenance["method"])
        self.domain = DOMAINS.parse(self.attributions[0].layout.domain)
        self.evaluator = Evaluator(explainer, self.examples, self.targets, seed, batch_size)
        self.callable = any(result.provenance["head"] == CustomTarget.name for result in self.attributions)
        self.seeded = any("seeded" in self.method.properties_for(len(a.scores)) for a in self.attributions)
        self.reseeded = self._explain(self.examples, self.targets, seed=seed + 1) if self.seeded else self.attributions
        self.seed_overlaps = [top_overlap(a, b, TOP) for a, b in zip(self.attributions, self.reseeded, strict=True)]

    def model_randomization(self) -> Check:
        """Whether the top depends on the weights: compared with a randomized model's ranking of the same signal."""
        name = "model randomization"
        if self.callable:
            return Check(name, None, _CALLABLE)
        try:
            randomized = randomize(self.explainer, self.attributions, self.seed, self.batch_size)
        except ModelError as error:
            return Check(name, None, str(error))
        others = re_rank(randomized, self.attributions, self.batch_size)
        return self._dependence(name, others, "with fresh weights", "the weights")

    def target_randomization(self) -> list[Check]:
        """Whether the top depends on the label, and whether the method can produce wrong labels as well."""
        names = ("target randomization", "wrong-label control")
        wrong_labels = self.evaluator.wrong_labels.get("random")
        if wrong_labels is None:
            reason = f"the head {self.evaluator.head!r} has no other labels"
            return [Check(name, None, _CALLABLE if self.callable else reason) for name in names]
        if not self.method.follows_label:
            reason = "the ranking of this method does not depend on the label"
            return [Check(names[0], None, reason), self._wrong_label_control(names[1])]
        others = self.explainer.re_explain(self.attributions, wrong_labels, batch_size=self.batch_size)
        binary = len(self.explainer.wrapper.head().labels) == 2
        hint = ", and with two classes a method without signs ranks both alike" if binary else ""
        dependence = self._dependence(names[0], others, "for a wrong label", "the label", hint)
        return [dependence, self._wrong_label_control(names[1])]

    def completeness(self) -> Check:
        """The relative difference of the scores' sum from the sum that the method promises."""
        name, needed = "completeness", f"median at most {MAX_COMPLETENESS_ERROR:g}"
        if "complete" not in self.method.properties:
            return Check(name, None, "the scores of this method have no defined sum")
        pairs = [
            (result.completeness_error, float(result.scores.double().sum()), group)
            for result, group in zip(self.attributions, self.groups, strict=True)
            if result.completeness_error is not None
        ]
        errors = [abs(error / (total - error)) for error, total, _ in pairs if total != error]
        if not errors:
            return Check(name, False, "the difference to explain is 0 everywhere", "relative error", needed=needed)
        summary = summarise(errors, [group for error, total, group in pairs if total != error], self.seed)
        words = (
            f"the sum of the scores differs from its target by {summary.median:.1%} in the median and by at most "
            f"{max(errors):.1%}; required: a median of at most {MAX_COMPLETENESS_ERROR:.0%}"
        )
        ends = summary.median_interval
        return Check(
            name,
            summary.median <= MAX_COMPLETENESS_ERROR,
            words,
            "relative error, median",
            summary.median,
            ends,
            needed,
            len(errors),
        )

    def batch_invariance(self) -> Check:
        """Whether an example gets the same scores alone and among others."""
        name = "batch invariance"
        if self.batch_size == 1:
            return Check(name, None, "batches of one were requested")
        examples, targets = self.examples[:SINGLE_EXAMPLES], self.targets[:SINGLE_EXAMPLES]
        together = self._explain(examples + examples, targets + targets, seed=self.seed)
        changes, tops = [], []
        for i, (example, target) in enumerate(zip(examples, targets, strict=True)):
            alone = self._explain([example], [target], seed=self.seed)[0]
            for among in (together[i], together[i + len(examples)]):
                changes.append(_change(alone, among))
                tops.append(top_overlap(alone, among, TOP))
        dtypes = {p.dtype for p in self.explainer.model.parameters() if p.is_floating_point()}
        limit = HALF_BATCH if dtypes & {torch.float16, torch.bfloat16} else BATCH
        words = (
            f"scores alone and in a batch differ by at most {max(changes):.1e} (relative), and their top 4 % overlap "
            f"by at least {min(tops):.3f}; required: a difference of at most {limit:g}"
        )
        good, needed = max(changes) <= limit, f"at most {limit:g}"
        return Check(name, good, words, "relative change, largest", max(changes), needed=needed, examples=len(examples))

    def seed_variance(self) -> Check:
        """Whether two seeds agree on the top."""
        name, needed = "seed variance", f"low end above {MIN_SEED_OVERLAP:g}"
        if not self.seeded:
            return Check(name, None, "the method draws nothing at random")
        summary = summarise(self.seed_overlaps, self.groups, self.seed)
        rho = _mean([_rho(a, b) for a, b in zip(self.attributions, self.reseeded, strict=True)])
        good = summary.interval[0] > MIN_SEED_OVERLAP
        words = (
            f"two seeds share {_with(summary.mean, summary.interval)} of the top 4 % "
            f"(ρ = {rho:.2f} over all features); required: above {MIN_SEED_OVERLAP:g}"
        )
        return Check(
            name, good, words, "top shared by two seeds", summary.mean, summary.interval, needed, summary.examples
        )

    def gain_over_magnitude(self) -> list[Check]:
        """Whether the method is better than the magnitude ranking, which does not use the model, example by example."""
        if self.callable:
            return [Check("gain over magnitude", None, _CALLABLE)]
        checks = []
        for name, row in self._rows.items():
            if name not in _COMPARED:
                continue
            gain, ends = row["gap_magnitude"], (row["gap_low"], row["gap_high"])
            good = ends[0] > 0
            verdict = "better than" if good else "worse than" if ends[1] < 0 else "not shown to be better than"
            if row["method"] == "magnitude":
                verdict = "the same as"
            other = "the magnitude ranking, which does not use the model"
            words = f"{verdict} {other}: {row['mean']:.3f}, by {_with(gain, ends)}"
            needed = "low end above 0"
            checks.append(
                Check(f"gain over magnitude: {name}", good, words, f"{name}, gain", gain, ends, needed, row["n"])
            )
        return checks

    def _wrong_label_control(self, name: str) -> Check:
        """Whether selectivity is above 0, and above that of a random order: few labels can flatter both."""
        quantity, spec = "selectivity (random)", METHODS.spec(self.method)
        row, reached = self._rows[quantity], self._rows[_REACHED]
        value, ends = row["mean"], (row["low"], row["high"])
        values, chance = (self._evaluation.of(method).values[quantity] for method in (spec, "random"))
        many = len(set(self.groups)) > 1
        above = paired_interval(values, chance, self.groups, self.seed) if many else (math.nan, math.nan)
        good = ends[0] > 0 and above[0] > 0
        gain = _with(_mean(values) - _mean(chance), above)
        words = (
            f"the top keeps the prediction {'' if good else 'hardly '}more often than it reaches wrong labels (at 4 % "
            f"it reaches {reached['mean']:.2f} of them): selectivity {_with(value, ends)}, above that of a random "
            f"order by {gain}; required: both above 0"
        )
        return Check(name, good, words, quantity, value, ends, "low end above 0, and above random's", row["n"])

    def _dependence(self, name: str, others: Sequence[Attribution], when: str, of: str, hint: str = "") -> Check:
        """The part of the repeatable top that is lost by another model or label.

        The effect is `(repeat − shared) / (repeat − chance)`, from 0 (the method's own repetition differs as much) to 1
        (as much is shared as by chance).
        """
        needed, quantity = f"low end above {MIN_DEPENDENCE:g}", f"part of the top that depends on {of}"
        flat = [_flat(result) for result in self.attributions]
        if all(flat):
            words = "all features of all examples have the same score: nothing is ranked"
            return Check(name, False, words, quantity, needed=needed)
        known = [i for i, other in enumerate(others) if not flat[i] and not _flat(other)]
        if not known:
            return Check(name, None, f"{when} all features have the same score: there is no ranking to compare with")
        shared = [top_overlap(self.attributions[i], others[i], TOP) for i in known]
        chance = _mean([float(self.attributions[i].mask(TOP).double().mean()) for i in known])
        room = _mean([self.seed_overlaps[i] for i in known]) - chance
        rho = _mean([_rho(self.attributions[i], others[i]) for i in known])
        text = f"{when}, {_mean(shared):.2f} of the top 4 % are the same (ρ = {rho:.2f}; chance {chance:.2f}"
        text += f", another seed {room + chance:.2f})" if self.seeded else ")"
        if room < MIN_DEPENDENCE:
            words = f"another seed gives a different top ({room + chance:.2f} shared): dependence on {of} is untestable"
            return Check(name, False, words, quantity, needed=needed, examples=len(known))
        effects = [(self.seed_overlaps[i] - overlap) / room for i, overlap in zip(known, shared, strict=True)]
        summary = summarise(effects, [self.groups[i] for i in known], self.seed)
        good = summary.interval[0] > MIN_DEPENDENCE
        near = _mean([top_overlap(self.attributions[i], self._magnitude[i], TOP) for i in known])
        effect = _with(summary.mean, summary.interval)
        words = f"{text}: {effect} of the top depends on {of}; required: above {MIN_DEPENDENCE:g}"
        if not good:
            words += f"; {near:.2f} of the top is also in the magnitude's top{hint}"
        if len(known) < len(others):
            words += f"; {len(others) - len(known)} examples without a ranking left out"
        return Check(name, good, words, quantity, summary.mean, summary.interval, needed, summary.examples)

    @cached_property
    def _evaluation(self) -> Evaluation:
        """Of the method, the magnitude and, where there are wrong labels, a random order."""
        names = ["dice_retention" if self.evaluator.head == Mask.name else "maintain_rate"]
        chance = ["random"] if self.evaluator.wrong_labels else []
        metrics = self.evaluator.select_metrics([*names, "selectivity"] if chance else names)
        methods = dict.fromkeys([*(METHODS.parse(name) for name in ("magnitude", *chance)), self.method])
        results = [self.evaluator.evaluate_method(method, self.domain, metrics) for method in methods]
        used = {*_COMPARED, _REACHED}
        cells = [replace(cell, values={n: v for n, v in cell.values.items() if n in used}) for cell in results]
        return Evaluation(self.explainer.name, cells, self.groups, self.evaluator.better)

    @cached_property
    def _rows(self) -> dict[str, dict[str, Any]]:
        """The method's rows by quantity."""
        rows, spec = self._evaluation.table(seed=self.seed).rows(), METHODS.spec(self.method)
        return {row["metric"]: row for row in rows if row["method"] == spec}

    @cached_property
    def _magnitude(self) -> list[Attribution]:
        return self._explain(self.examples, self.targets, seed=self.seed, method="magnitude")

    def _explain(self, examples: list[Any], targets: list[Target], **options: Any) -> list[Attribution]:
        return self.explainer.explain(
            examples, targets=targets, contributions=0, batch_size=self.batch_size, **{**self._options, **options}
        )


#: Quantities that are compared with the magnitude; not DIG, which is the same for a true ranking.
_COMPARED = ("maintain_rate", "dice_retention", "selectivity (random)")
_REACHED = "wrong_reached_at_0.04 (random)"


def _flat(result: Attribution) -> bool:
    """Whether all features have one score."""
    low, high = result.scores.aminmax()
    return bool(low == high)


def _rho(a: Attribution, b: Attribution) -> float:
    return rank_correlation(a.scores.numpy(), b.scores.numpy())


def _change(a: Attribution, b: Attribution) -> float:
    """The relative L2 change of the scores."""
    size, change = float(a.scores.double().norm()), float((a.scores.double() - b.scores.double()).norm())
    return change / size if size else math.inf if change else 0.0


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan


def _with(value: float, ends: tuple[float, float]) -> str:
    return f"{value:.2f}" if math.isnan(ends[0]) else f"{value:.2f} [{ends[0]:.2f}, {ends[1]:.2f}]"
