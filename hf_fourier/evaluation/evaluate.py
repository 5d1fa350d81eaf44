"""Methods held against each other and against the controls: the same examples, the same questions to the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hf_fourier.domains import DOMAINS, Domain
from hf_fourier.errors import InputError, SpecError
from hf_fourier.evaluation import model_queries
from hf_fourier.evaluation.metrics.base import METRICS, Metric
from hf_fourier.evaluation.metrics.table import Table, columns
from hf_fourier.evaluation.results import Evaluation, MethodResult
from hf_fourier.evaluation.wrong_labels import assign_wrong_labels, selective, wrong_for
from hf_fourier.methods import METHODS, Method
from hf_fourier.methods.controls import CONTROLS
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.curve import DEFAULT_GRID, SMALL_FRACTIONS, Curve, FractionGrid, common_fractions, reaches_label
from hf_fourier.scoring.example_batch import BatchSize
from hf_fourier.scoring.heads import Categorical
from hf_fourier.scoring.heads.segmentation import Mask
from hf_fourier.scoring.targets import Target

if TYPE_CHECKING:
    from hf_fourier.engine import Engine

#: Examples that are explained, played and reduced before the next are begun, so that memory stays flat.
CHUNK = 64
#: Metrics that read the small kept fractions alone.
SMALL_GRID_METRICS = {"maintain_rate", "selectivity"}
#: What the columns that no game gives are asked by.
MODEL_QUERIES: dict[str, Callable[..., model_queries.Columns]] = {
    "subset_drops": model_queries.delete_random_subsets,
    "noise_drops": model_queries.add_feature_noise,
    "score_changes": model_queries.explain_perturbed_inputs,
}


@dataclass(frozen=True)
class PrecomputedMethod:
    """Attributions made elsewhere, to be compared with methods: maps that `FourierExplainer.from_maps` reads.

    Attributes:
        name: What made them, as tables show it; with the lift, where `from_maps` was given one.
        make: `(examples, targets) -> an attribution for each`, of the explainer's own model; a target is None for what
            the model says, else one that the evaluation asks for (selectivity asks for wrong labels).
        domain: The domain whose features they rank.
    """

    name: str
    make: Callable[[Sequence[Any], Sequence[Target]], Sequence[Attribution]]
    domain: str | Domain = "identity"


def evaluate(
    explainer: Engine,
    examples: Sequence[Any],
    methods: Sequence[str | Method | PrecomputedMethod],
    domains: Sequence[str | Domain] | None,
    metrics: Sequence[str] | None,
    targets: Sequence[Target] | None,
    groups: Sequence[Any] | None,
    seed: int,
    batch_size: BatchSize,
    progress: Callable[[int, int], None] | None,
) -> Evaluation:
    """See `FourierExplainer.evaluate`."""
    survey = Evaluator(explainer, examples, targets, seed, batch_size)
    names = [str(i) for i in range(len(examples))] if groups is None else [str(one) for one in groups]
    if len(names) != len(examples):
        raise InputError(f"{len(names)} groups for {len(examples)} examples", "one for each", "correct `groups`")
    measures = survey.select_metrics(metrics)
    pairs = _pairs(explainer, methods, domains)
    cells, excluded = [], []
    for number, (method, domain) in enumerate(pairs):
        try:
            cells.append(survey.evaluate_method(method, domain, measures))
        except SpecError as error:
            excluded.append((_named(method), DOMAINS.spec(domain), str(error)))
        if progress is not None:
            progress(number + 1, len(pairs))
    return Evaluation(explainer.name, cells, names, survey.better, excluded, survey.notes)


def _pairs(
    explainer: Engine, methods: Sequence[str | Method | PrecomputedMethod], domains: Sequence[str | Domain] | None
) -> list[tuple[Method | PrecomputedMethod, Domain]]:
    """What is evaluated: by domain the controls, and the methods there; without domains each where it is at home."""
    wanted: dict[Domain, list[Method | PrecomputedMethod]] = {}
    for one in methods:
        if isinstance(one, PrecomputedMethod):
            wanted.setdefault(DOMAINS.parse(one.domain), []).append(one)
            continue
        method = METHODS.parse(one)
        for domain in [None] if domains is None else domains:
            wanted.setdefault(explainer.resolve_domain(method, domain), []).append(method)
    controls = [METHODS.parse(one) for one in CONTROLS]
    return [(one, domain) for domain, own in wanted.items() for one in dict.fromkeys([*controls, *own])]


def _named(method: Method | PrecomputedMethod) -> str:
    return method.name if isinstance(method, PrecomputedMethod) else METHODS.spec(method)


class Evaluator:
    """Examples, what the model says of them, and the wrong labels that all methods are asked for.

    Args:
        explainer: Of the model.
        examples: Raw examples.
        targets: One per example, or None for what the model says.
        seed: Of everything random.
        batch_size: Rows in a batch, at most.

    Attributes:
        head: The name of the model's head.
        wrong: By kind ("random", "runner-up"), one wrong label per example; empty where labels are not one class of a
            softmax.
        better: By quantity that was measured: 1 where more is better, −1 where less is, 0 where neither.
        notes: What has to be said.

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
    ) -> None:
        if not examples:
            raise InputError("no examples", "at least one", "pass examples")
        self.explainer, self.examples, self.seed, self.batch_size = explainer, list(examples), seed, batch_size
        self._targets: list[Target] = [None] * len(self.examples) if targets is None else list(targets)
        self.better: dict[str, int] = {}
        said, keys, runners = [], [], []
        for where in self._chunks():
            for result in self._explain("magnitude", "identity", where):
                self.head = str(result.provenance["head"])
                if selective(explainer, result):
                    said.append(int(result.target))
                    keys.append(result.key)
                    runners.append(wrong_for(explainer, result, "runner_up")[0])
        self.notes: tuple[str, ...] = explainer.side_inputs.notes
        self.wrong: dict[str, list[int]] = {}
        if len(said) == len(self.examples):
            random, drawn = assign_wrong_labels(said, sorted(explainer.wrapper.head().labels), keys, seed)
            self.wrong = {"random": random, "runner-up": runners}
            if drawn:
                told = (
                    f"one label is that of more than half: {drawn} of {len(said)} random wrong labels are drawn by lot"
                )
                self.notes = (*self.notes, f"{told}, and selectivity (random) flatters")

    def select_metrics(self, metrics: Sequence[str] | None) -> list[Metric]:
        """The metrics by name; by default those of the games that the head has, and selectivity.

        Raises:
            InputError: If a metric is unknown, is one of classes, or is none for this head.
        """
        if metrics is None:
            names = {Mask.name: ["dice_retention", "dig"], Categorical.name: ["dig", "insertion", "deletion"]}
            metrics = [*names.get(self.head, []), "maintain_rate", *(["selectivity"] if self.wrong else [])]
        for name in metrics:
            if name not in METRICS or METRICS[name].unit != "example":
                known = [other for other, measure in METRICS.items() if measure.unit == "example"]
                raise InputError(f"metric {name!r}", f"some of {', '.join(known)}", "correct `metrics`")
        if "selectivity" in metrics and not self.wrong:
            got = f"selectivity for a head {self.head!r}"
            raise InputError(got, "one class of a softmax with named classes", "leave it out")
        return [METRICS[name] for name in dict.fromkeys(metrics)]

    def evaluate_method(
        self, method: Method | PrecomputedMethod, domain: Domain, measures: Sequence[Metric]
    ) -> MethodResult:
        """One method in one domain, some examples at a time.

        Raises:
            SpecError: If they do not go together, or do not suit the signal.
        """
        values: dict[str, list[float]] = {}
        passes, seconds, gone = [0.0, 0.0], 0.0, list[str]()
        for where in self._chunks():
            results = self._explain(method, domain, where)
            for result in results:
                passes[0] += result.provenance["passes"]["forward"]
                passes[1] += result.provenance["passes"]["backward"]
                seconds += result.provenance["seconds"]
                gone += result.incomplete
            for quantity, some in self._numbers(method, results, measures, where).items():
                values.setdefault(quantity, []).extend(some)
        if gone:
            told = f"{_named(method)} in {DOMAINS.spec(domain)} on {len(gone)} of {len(self.examples)} examples"
            self.notes = (*self.notes, f"{gone[0]}: the first of these, by {told}")
        mean = passes[0] / len(self.examples), passes[1] / len(self.examples)
        return MethodResult(
            _named(method), DOMAINS.spec(domain), _is_control(method), mean, values, seconds / len(self.examples)
        )

    def _numbers(
        self, method: Method | PrecomputedMethod, results: list[Attribution], measures: Sequence[Metric], where: slice
    ) -> dict[str, Sequence[float]]:
        """Play, ask and reduce: by quantity, a number per result."""
        reads = {column for measure in measures for column in measure.reads}
        played = {measure.name for measure in measures if {"kept", "deleted"} & set(measure.reads)}
        if played:
            grid = FractionGrid(keep=SMALL_FRACTIONS) if played <= SMALL_GRID_METRICS else DEFAULT_GRID
            self.explainer.perturb(results, grid, batch_size=self.batch_size)
        table: dict[str, Any] = {**columns(results)} if played else {}
        for column, ask in MODEL_QUERIES.items():
            if column in reads:
                table |= ask(self.explainer, results, seed=self.seed, batch_size=self.batch_size)
        found: dict[str, Sequence[float]] = {}
        for measure in measures:
            if "wrong_reached" not in measure.reads:
                self._add(found, measure, table, "")
                continue
            for kind, labels in self.wrong.items():
                curves = self._reached(method, results, labels[where], where)
                both = {"wrong_kept": [common_fractions([c]) for c in curves]}
                both["wrong_reached"] = [
                    [reaches_label([c], fraction) for fraction in common_fractions([c])] for c in curves
                ]
                self._add(found, measure, {**table, **both}, f" ({kind})")
        return found

    def _add(self, found: dict[str, Sequence[float]], measure: Metric, table: Table, suffix: str) -> None:
        for name, numbers in measure.per_example(table).items():
            if isinstance(numbers, (int, float)):  # of all examples at once
                continue
            direction = "lower" if name.startswith("wrong_reached") else measure.better
            found[name + suffix] = numbers
            self.better[name + suffix] = {"higher": 1, "lower": -1, "neither": 0}[direction]

    def _reached(
        self, method: Method | PrecomputedMethod, results: list[Attribution], labels: Sequence[int], where: slice
    ) -> list[Curve]:
        """Whether each wrong label is said when the top of its own ranking is kept.

        A control ranks alike whatever label it is asked for, so what was played tells.
        """
        if _is_control(method):
            return [_selected(result, label) for result, label in zip(results, labels, strict=True)]
        if isinstance(method, PrecomputedMethod):
            others = self._made(method, where, labels)
        else:
            others = self.explainer.re_explain(results, labels, batch_size=self.batch_size)
        self.explainer.perturb(others, FractionGrid(keep=SMALL_FRACTIONS), batch_size=self.batch_size)
        return [other.curve for other in others if other.curve is not None]

    def _explain(
        self, method: str | Method | PrecomputedMethod, domain: str | Domain, where: slice
    ) -> list[Attribution]:
        if isinstance(method, PrecomputedMethod):
            return self._made(method, where, self._targets[where])
        return self.explainer.explain(
            self.examples[where],
            targets=self._targets[where],
            method=method,
            domain=domain,
            seed=self.seed,
            batch_size=self.batch_size,
        )

    def _made(self, ready: PrecomputedMethod, where: slice, targets: Sequence[Target]) -> list[Attribution]:
        """What is ready, checked: one result per example, in the domain that was said."""
        results, examples = list(ready.make(self.examples[where], targets)), self.examples[where]
        if len(results) != len(examples):
            got = f"{len(results)} attributions by {ready.name!r} for {len(examples)} examples"
            raise InputError(got, "one for each", "correct `make`")
        wanted, domains = DOMAINS.parse(ready.domain), {result.layout.domain for result in results}
        if any(DOMAINS.parse(domain) != wanted for domain in domains):
            got = f"attributions by {ready.name!r} in {', '.join(sorted(domains))}"
            raise InputError(got, f"all in {DOMAINS.spec(wanted)}", "correct `domain` or `make`")
        return results

    def _chunks(self) -> list[slice]:
        return [slice(start, start + CHUNK) for start in range(0, len(self.examples), CHUNK)]


def _is_control(method: Method | PrecomputedMethod) -> bool:
    return isinstance(method, Method) and type(method).control


def _selected(result: Attribution, label: int) -> Curve:
    """The curve of a ranking that would be the same for another label: whether that is what the model said."""
    assert result.curve is not None
    stops = (replace(stop, agreement=float(stop.predicted_class == label)) for stop in result.curve.of("keep"))
    return Curve(tuple(stops), result.curve.clean)
