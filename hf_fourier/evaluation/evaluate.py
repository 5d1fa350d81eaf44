"""Evaluate methods against each other and the controls, on the same examples and by the same metrics."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hf_fourier.domains import DOMAINS, Domain
from hf_fourier.errors import InputError, SpecError
from hf_fourier.evaluation import random_perturbations, random_removals
from hf_fourier.evaluation.encoded_examples import EncodedExamples, restored
from hf_fourier.evaluation.metrics.base import Metric
from hf_fourier.evaluation.metrics.statistics import group_names
from hf_fourier.evaluation.metrics.table import CONTENT, Table, columns
from hf_fourier.evaluation.options import (
    EvaluationCost,
    EvaluationOptions,
    cost_of,
    grid_of,
    reporter,
    selected_metrics,
)
from hf_fourier.evaluation.results import Evaluation, MethodResult
from hf_fourier.evaluation.totals import MethodTotals
from hf_fourier.evaluation.wrong_labels import assign_wrong_labels, has_other_classes, wrong_labels_of
from hf_fourier.methods import METHODS, Method
from hf_fourier.methods.controls import CONTROLS, Control
from hf_fourier.models.encoding import restore_all
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.curve import SMALL_FRACTIONS, Curve, CurvePoint, FractionGrid
from hf_fourier.results.remarks import IN_PLACE
from hf_fourier.scoring.batching import frozen_objects
from hf_fourier.scoring.example_batch import BatchSize, EncodedExample
from hf_fourier.scoring.heads.segmentation import Mask
from hf_fourier.scoring.targets import Target

if TYPE_CHECKING:
    from hf_fourier.engine import Engine

#: Examples that are explained, perturbed and reduced at a time, so that memory stays flat.
CHUNK = 64
#: The features that no curve point leaves.
EMPTY = ("keep", 0.0)
#: By column that no perturbation curve gives: the function that evaluates it.
MODEL_QUERIES: dict[str, Callable[..., random_perturbations.Columns]] = {
    "subset_drops": random_perturbations.delete_random_subsets,
    "noise_drops": random_perturbations.add_feature_noise,
    "score_changes": random_perturbations.explain_perturbed_inputs,
    "removed_top_decision": random_removals.remove_parts,
}
#: Those of them whose deleted features may be replaced.
REPLACED = {"subset_drops", "removed_top_decision"}


@dataclass(frozen=True)
class PrecomputedMethod:
    """Attributions made elsewhere, to be compared with methods: maps read by `FourierExplainer.from_maps`.

    Attributes:
        name: Their method in tables; with the lift, where `from_maps` was given one.
        make: `(examples, targets) -> an attribution for each`, of the explainer's own model; a target is None for the
            prediction, else one that the evaluation needs (selectivity needs wrong labels).
        domain: The domain whose features they rank.
    """

    name: str
    make: Callable[[Sequence[Any], Sequence[Target]], Sequence[Attribution]]
    domain: str | Domain = "identity"


@frozen_objects()
def evaluate(
    explainer: Engine,
    examples: Sequence[Any],
    methods: Sequence[str | Method | PrecomputedMethod],
    domains: Sequence[str | Domain] | None,
    metrics: Sequence[str] | None,
    targets: Sequence[Target] | None,
    groups: Sequence[Any] | None,
    options: EvaluationOptions,
) -> Evaluation:
    """See `FourierExplainer.evaluate`."""
    chosen = options.first(examples) or []
    names = group_names(groups, len(examples))[: len(chosen)]
    together = grouped(_pairs(explainer, methods, domains))
    start = time.perf_counter()
    replacement = options.replacement
    evaluator = Evaluator(explainer, chosen, options.first(targets), options.seed, options.batch_size, replacement)
    survey = time.perf_counter() - start
    selected = evaluator.select_metrics(metrics, fast=options.preset == "fast")
    total = sum(len(group) for group, _ in together)

    def cost() -> EvaluationCost:
        labels = zip(*evaluator.wrong_labels.values(), strict=True)
        wrong, shared = sum(len(set(own)) for own in labels) / len(chosen), evaluator.encoded.are_known
        return cost_of(together, selected, evaluator.signal, wrong, len(chosen), survey, replacement, shared)

    report = reporter(options.progress, cost, total)
    cells: list[MethodResult] = []
    excluded: list[tuple[str, str, str]] = []
    for group, domain in together:
        found, failed = evaluator.evaluate_group(group, domain, selected)
        cells += found
        excluded += [(name, DOMAINS.spec(domain), str(error)) for name, error in failed.items()]
        for done in range(len(cells) + len(excluded) - len(group), len(cells) + len(excluded)):
            report(done + 1, total)
    notes = evaluator.notes
    if options.preset == "fast" and len(chosen) < len(examples):
        notes = (*notes, f"preset 'fast': the first {len(chosen)} of {len(examples)} examples")
    notes = (*notes, *([IN_PLACE[replacement]] if replacement != "zero" else []))
    return Evaluation(explainer.name, cells, names, evaluator.better, excluded, notes, replacement)


def _pairs(
    explainer: Engine, methods: Sequence[str | Method | PrecomputedMethod], domains: Sequence[str | Domain] | None
) -> list[tuple[Method | PrecomputedMethod, Domain]]:
    """The methods and their domains: in each domain the controls first; without domains each method in its default."""
    by_domain: dict[Domain, list[Method | PrecomputedMethod]] = {}
    for given in methods:
        if isinstance(given, PrecomputedMethod):
            by_domain.setdefault(DOMAINS.parse(given.domain), []).append(given)
            continue
        method = METHODS.parse(given)
        for domain in [None] if domains is None else domains:
            by_domain.setdefault(explainer.resolve_domain(method, domain), []).append(method)
    controls = [METHODS.parse(name) for name in CONTROLS]
    return [(method, domain) for domain, there in by_domain.items() for method in dict.fromkeys([*controls, *there])]


def grouped(
    pairs: Sequence[tuple[Method | PrecomputedMethod, Domain]],
) -> list[tuple[list[Method | PrecomputedMethod], Domain]]:
    """The controls of each domain together, as they share a clean pass; every other method by itself."""
    groups: list[tuple[list[Method | PrecomputedMethod], Domain]] = []
    for method, domain in pairs:
        if groups and _is_control(method) and groups[-1][1] == domain and _is_control(groups[-1][0][0]):
            groups[-1][0].append(method)
        else:
            groups.append(([method], domain))
    return groups


def _name_of(method: Method | PrecomputedMethod) -> str:
    return method.name if isinstance(method, PrecomputedMethod) else METHODS.spec(method)


class Evaluator:
    """Evaluates one method after the other on the same examples, predictions and wrong labels.

    Args:
        explainer: Of the model.
        examples: Raw examples.
        targets: One per example, or None for the predictions.
        seed: Of everything random.
        batch_size: Rows in a batch, at most.
        replacement: What replaces deleted features, along curves and in random subsets.

    Attributes:
        head: The name of the model's head.
        signal: The axes of the last example's signal.
        wrong_labels: By kind ("random", "runner-up"), one wrong label per example; empty where labels are not one
            class of a softmax.
        encoded: The encoded examples, with what the model said of them.
        better: By quantity that was measured: 1 where more is better, −1 where less is, 0 where neither.
        notes: Notes for the reader.

    Raises:
        InputError: If there are no examples.
    """

    def __init__(
        self,
        explainer: Engine,
        examples: Sequence[Any],
        targets: Sequence[Target] | None,
        seed: int,
        batch_size: BatchSize,
        replacement: str = "zero",
    ) -> None:
        if not examples:
            raise InputError("no examples", "at least one", "pass examples")
        self.replacement = replacement
        self.explainer, self.examples, self.seed, self.batch_size = explainer, list(examples), seed, batch_size
        self._targets: list[Target] = [None] * len(self.examples) if targets is None else list(targets)
        self.better: dict[str, int] = {}
        self._ends: dict[tuple[str, int], tuple[Any, CurvePoint]] = {}
        self.encoded = EncodedExamples(explainer.wrapper, self.examples)
        predicted, keys, runners_up = [], [], []
        for where in self._chunks():
            for result in self._explain(METHODS.parse("magnitude"), DOMAINS.parse("identity"), where)[0]:
                self.head, self.signal = str(result.provenance["head"]), result.layout.signal
                if has_other_classes(explainer, result):
                    predicted.append(int(result.target))
                    keys.append(result.key)
                    runners_up.append(wrong_labels_of(explainer, result, "runner_up")[0])
        self.notes: tuple[str, ...] = explainer.side_inputs.notes
        self.wrong_labels: dict[str, list[int]] = {}
        if len(predicted) == len(self.examples):
            random, drawn = assign_wrong_labels(predicted, sorted(explainer.wrapper.head().labels), keys, seed)
            self.wrong_labels = {"random": random, "runner-up": runners_up}
            self._predicted = predicted
            if drawn:
                note = (
                    f"more than half have one label: {drawn} of {len(predicted)} random wrong labels are not balanced"
                )
                self.notes = (*self.notes, f"{note}, so that selectivity (random) is too high")

    def select_metrics(self, metrics: Sequence[str] | None, fast: bool = False) -> list[Metric]:
        """The metrics by name; by default those that suit the head, and selectivity; fast: `FAST_METRICS` of them.

        Raises:
            InputError: If a metric is unknown, is one of classes or needs a known truth, or does not suit the head.
        """
        return selected_metrics(metrics, self.head, bool(self.wrong_labels), fast)

    def evaluate_method(
        self, method: Method | PrecomputedMethod, domain: Domain, metrics: Sequence[Metric]
    ) -> MethodResult:
        """One method in one domain, `CHUNK` examples at a time.

        Raises:
            SpecError: If they do not go together, or do not suit the signal.
        """
        found, failed = self.evaluate_group([method], domain, metrics)
        for error in failed.values():
            raise error
        return found[0]

    def evaluate_group(
        self, methods: Sequence[Method | PrecomputedMethod], domain: Domain, metrics: Sequence[Metric]
    ) -> tuple[list[MethodResult], dict[str, SpecError]]:
        """One method, or the controls, in one domain, `CHUNK` examples at a time; the controls share a clean pass.

        Returns:
            The results, and by method the errors of those that do not go with the domain or the signal.
        """
        totals = {_name_of(method): MethodTotals(_is_control(method)) for method in methods}
        if any("wrong_reached" in metric.reads for metric in metrics):
            labels = zip(self._predicted, *self.wrong_labels.values(), strict=True)
            self.encoded.labels = [tuple(dict.fromkeys(own)) for own in labels]
        failed: dict[str, SpecError] = {}
        for where in self._chunks():
            first: list[Attribution] = []
            for method in methods:
                name = _name_of(method)
                if name in failed:
                    continue
                try:
                    if first and isinstance(method, Control):
                        results = method.instead_of(first)
                    else:
                        results, encoded = self._explain(method, domain, where)
                    totals[name].add(results, self._numbers(method, domain, results, encoded, metrics, where))
                except SpecError as error:
                    failed[name] = error
                    continue
                first = first or results
        for name, total in totals.items():
            if total.incomplete and name not in failed:
                scope = f"{name} in {DOMAINS.spec(domain)} on {len(total.incomplete)} of {total.examples} examples"
                self.notes = (*self.notes, f"{total.incomplete[0]}: the first of these, by {scope}")
        done = {name: total for name, total in totals.items() if name not in failed}
        return [total.result(name, DOMAINS.spec(domain)) for name, total in done.items()], failed

    def _numbers(
        self,
        method: Method | PrecomputedMethod,
        domain: Domain,
        results: list[Attribution],
        encoded: Sequence[EncodedExample],
        metrics: Sequence[Metric],
        where: slice,
    ) -> dict[str, Sequence[float]]:
        """Perturb, evaluate and reduce: by quantity, a number per result."""
        reads = {column for metric in metrics for column in metric.reads}
        grid = grid_of(metrics)
        if grid is not None:
            self._perturb(results, encoded, grid, where)
        table: dict[str, Any] = {} if grid is None else {**columns(results, content=bool(CONTENT & reads))}
        for column, evaluate_column in MODEL_QUERIES.items():
            if column in reads:
                options: dict[str, Any] = {"seed": self.seed, "batch_size": self.batch_size}
                if column in REPLACED:
                    options["replacement"] = self.replacement
                table |= evaluate_column(self.explainer, results, **options)
        numbers: dict[str, Sequence[float]] = {}
        for metric in metrics:
            if "wrong_reached" not in metric.reads:
                self._add(numbers, metric, table, "")
                continue
            reached = self._wrong_decisions(method, domain, results, where)
            for kind, labels in self.wrong_labels.items():
                rows = [reached[pair] for pair in enumerate(labels[where])]
                both = {"wrong_kept": [[fraction for fraction, _ in row] for row in rows]}
                both["wrong_reached"] = [[decision for _, decision in row] for row in rows]
                self._add(numbers, metric, {**table, **both}, f" ({kind})")
        return numbers

    def _perturb(
        self, results: list[Attribution], encoded: Sequence[EncodedExample], grid: FractionGrid, where: slice
    ) -> None:
        """Compute the curves; the prediction without any feature is computed once for all methods in a domain.

        Masks are not shared: they are stored beside the curve. Nor are predictions at what is drawn.
        """
        shared = self.replacement == "zero" and self.head != Mask.name
        places = range(where.start, where.start + len(results))
        for place, result in zip(places, results, strict=True):
            known = self._ends.get((result.layout.domain, place))
            if known is not None and known[0] == result.target and result.curve is None:
                clean = result.value if result.confidence is None else result.confidence
                result.curve = Curve((known[1],), clean)
        self.explainer.perturb_encoded(results, encoded, grid, self.replacement, self.batch_size)
        for place, result in zip(places, results, strict=True):
            ends = [] if result.curve is None else [point for point in result.curve.points if point.key == EMPTY]
            if ends and shared:
                self._ends.setdefault((result.layout.domain, place), (result.target, ends[0]))

    def _add(self, numbers: dict[str, Sequence[float]], metric: Metric, table: Table, suffix: str) -> None:
        for name, values in metric.per_example(table).items():
            if isinstance(values, (int, float)):  # of all examples at once
                continue
            numbers[name + suffix] = values
            self.better[name + suffix] = metric.sign(name)

    def _wrong_decisions(
        self, method: Method | PrecomputedMethod, domain: Domain, results: list[Attribution], where: slice
    ) -> dict[tuple[int, int], list[tuple[float, float]]]:
        """By place and wrong label, the kept fractions with whether the top of its own ranking predicts it.

        A control ranks alike for every label, so the curves of the results serve.
        """
        pairs = list(dict.fromkeys(pair for labels in self.wrong_labels.values() for pair in enumerate(labels[where])))
        if _is_control(method):
            kept = [[] if result.curve is None else result.curve.of("keep") for result in results]
            return {
                (place, label): [(point.fraction, float(point.predicted_class == label)) for point in kept[place]]
                for place, label in pairs
            }
        places, wrong = [place for place, _ in pairs], [label for _, label in pairs]
        others, encoded = self._explain(method, domain, where, places, wrong)
        grid = FractionGrid(keep=SMALL_FRACTIONS)
        self.explainer.perturb_encoded(others, encoded, grid, self.replacement, self.batch_size)
        curves = [other.curve for other in others if other.curve is not None]
        return {
            pair: [(point.fraction, float(point.agreement >= 1.0)) for point in curve.of("keep")]
            for pair, curve in zip(pairs, curves, strict=True)
        }

    def _explain(
        self,
        method: Method | PrecomputedMethod,
        domain: Domain,
        where: slice,
        places: Sequence[int] | None = None,
        labels: Sequence[int] = (),
    ) -> tuple[list[Attribution], Sequence[EncodedExample]]:
        """The results of a chunk, or those of some places in it for wrong labels, and their encoded examples."""
        targets = self._targets[where] if places is None else labels
        if isinstance(method, PrecomputedMethod):
            given = self.examples[where]
            made = self._precomputed(method, given if places is None else [given[i] for i in places], targets)
            return restore_all(self.explainer.wrapper, made)
        encoded = self.encoded.of(where)
        encoded = encoded if places is None else [encoded[i] for i in places]
        results = self.explainer.explain_encoded(
            encoded,
            targets,
            method,
            domain,
            seed=self.seed,
            batch_size=self.batch_size,
            contributions=0,
            with_gradient=False,
            goal_is_target=places is not None,
        )
        return results, restored(self.explainer.wrapper, results, encoded)

    def _precomputed(
        self, method: PrecomputedMethod, examples: Sequence[Any], targets: Sequence[Target]
    ) -> list[Attribution]:
        """Precomputed attributions, checked: one per example, in the stated domain."""
        results = list(method.make(examples, targets))
        if len(results) != len(examples):
            got = f"{len(results)} attributions by {method.name!r} for {len(examples)} examples"
            raise InputError(got, "one for each", "correct `make`")
        expected, domains = DOMAINS.parse(method.domain), {result.layout.domain for result in results}
        if any(DOMAINS.parse(domain) != expected for domain in domains):
            got = f"attributions by {method.name!r} in {', '.join(sorted(domains))}"
            raise InputError(got, f"all in {DOMAINS.spec(expected)}", "correct `domain` or `make`")
        return results

    def _chunks(self) -> list[slice]:
        return [slice(start, start + CHUNK) for start in range(0, len(self.examples), CHUNK)]


def _is_control(method: Method | PrecomputedMethod) -> bool:
    return isinstance(method, Method) and type(method).control
