"""The options of an evaluation, and what it will cost, told before it starts."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from hf_fourier.domains import DOMAINS, Domain, SignalShape
from hf_fourier.errors import CHECKS, InputError
from hf_fourier.evaluation.metrics.base import METRICS, Metric
from hf_fourier.methods import Method
from hf_fourier.results.curve import DEFAULT_GRID, SMALL_FRACTIONS, FractionGrid
from hf_fourier.scoring.example_batch import BatchSize
from hf_fourier.scoring.heads import Categorical
from hf_fourier.scoring.heads.segmentation import Mask
from hf_fourier.scoring.replacements import checked_replacement

#: Examples and metrics of `preset="fast"`: few, but not too few for intervals, and metrics that need six passes each.
FAST_EXAMPLES, FAST_METRICS = 32, ("maintain_rate", "selectivity")
#: Columns that an evaluation does not ask for: a known truth, and values that are lent among examples.
NOT_ASKED = {"truth", "swapped_decision"}
#: Metrics that read the small kept fractions alone.
SMALL_GRID_METRICS = {"maintain_rate", "selectivity"}
#: A backward pass takes about as long as so many forward passes.
BACKWARD = 2
Progress = Callable[[int, int], None] | bool | None


class EvaluationKeywords(TypedDict, total=False):
    """The fields of `EvaluationOptions` as keywords, for editors and type checkers."""

    preset: str | None
    column: str | None
    seed: int
    batch_size: BatchSize
    replacement: str
    progress: Progress


@dataclass(frozen=True)
class EvaluationOptions:
    """How methods are evaluated.

    Attributes:
        preset: "fast" for the first 32 examples and, unless `metrics` are given, the maintain rate and selectivity
            alone, which need about a third of the passes of the default metrics.
        column: The column of a data set that holds the examples.
        seed: Seed of all random numbers.
        batch_size: Rows in a batch, at most.
        replacement: What replaces deleted features, along curves and in random subsets.
        progress: True for a bar on standard error, with the cost before it starts; or a callable, called with
            (methods done, methods in all), each domain counted separately, whose `begin`, if it has one, is called
            with the cost before the start (`EvaluationCost`).

    Raises:
        InputError: If there is no such preset.
        SpecError: If there is no such replacement.
    """

    preset: str | None = None
    column: str | None = None
    seed: int = 0
    batch_size: BatchSize = "auto"
    replacement: str = "zero"
    progress: Progress = None

    def __post_init__(self) -> None:
        if self.preset not in (None, "fast"):
            raise InputError(f"preset {self.preset!r}", "'fast' or None", "correct `preset`")
        checked_replacement(self.replacement)
        checks = ("seed", "batch_size", "column", *(() if isinstance(self.progress, bool) else ("progress",)))
        for name in checks:
            object.__setattr__(self, name, CHECKS[name](name, getattr(self, name)))

    def first(self, values: Sequence[Any] | None) -> list[Any] | None:
        """The examples, targets or groups that are evaluated."""
        return None if values is None else list(values)[: FAST_EXAMPLES if self.preset == "fast" else None]


def selected_metrics(metrics: Sequence[str] | None, head: str, has_wrong_labels: bool, fast: bool) -> list[Metric]:
    """The metrics by name; by default those that suit the head, and selectivity; fast: `FAST_METRICS` of them.

    Raises:
        InputError: If a metric is unknown, is one of classes or needs a known truth, or does not suit the head.
    """
    if metrics is None:
        names = {Mask.name: ["dice_retention", "dig"], Categorical.name: ["dig", "insertion", "deletion"]}
        metrics = [*names.get(head, []), "maintain_rate", *(["selectivity"] if has_wrong_labels else [])]
        metrics = [name for name in metrics if not fast or name in FAST_METRICS]
    known = [name for name, metric in METRICS.items() if metric.unit == "example" and not NOT_ASKED & {*metric.reads}]
    for name in metrics:
        if name not in known:
            raise InputError(f"metric {name!r}", f"some of {', '.join(known)}", "correct `metrics`")
    if "selectivity" in metrics and not has_wrong_labels:
        got = f"selectivity for a head {head!r}"
        raise InputError(got, "one class of a softmax with named classes", "leave it out")
    return [METRICS[name] for name in dict.fromkeys(metrics)]


def grid_of(metrics: Sequence[Metric]) -> FractionGrid | None:
    """The fractions at which the metrics' curves are computed; None where none reads a curve."""
    names = {metric.name for metric in metrics if {"kept", "deleted", "scores"} & set(metric.reads)}
    if not names:
        return None
    return FractionGrid(keep=SMALL_FRACTIONS) if names <= SMALL_GRID_METRICS else DEFAULT_GRID


@dataclass(frozen=True)
class EvaluationCost:
    """What an evaluation will take.

    Attributes:
        examples: How many.
        forward: Model rows forward per example, at most, the survey of predictions included.
        backward: Rows whose gradient comes back, per example.
        seconds: About how long it takes in all, by the time of the survey, which has passed by then.
        uncounted: Methods and metrics whose passes are not known before they run.
    """

    examples: int
    forward: float
    backward: float
    seconds: float
    uncounted: Sequence[str] = ()

    def __str__(self) -> str:
        minutes = f"{self.seconds / 60:.0f} min" if self.seconds >= 120 else f"{self.seconds:.0f} s"
        more = f"; not counted: {', '.join(self.uncounted)}" if self.uncounted else ""
        each = f"{math.ceil(self.forward)} forward and {math.ceil(self.backward)} backward passes each"
        return f"{self.examples} examples, at most {each}: about {minutes}{more}"


def cost_of(
    groups: Sequence[tuple[Sequence[Any], Domain]],
    metrics: Sequence[Metric],
    signal: SignalShape,
    wrong_each: float,
    examples: int,
    survey: float,
    replacement: str = "zero",
    shared: bool = False,
) -> EvaluationCost:
    """What evaluating methods will take.

    Args:
        groups: Methods that share their clean pass, with their domain (`evaluate.grouped`).
        metrics: The metrics.
        signal: Of the first example.
        wrong_each: How many wrong labels each method explains for selectivity, on average.
        examples: How many there are.
        survey: Seconds of the survey of all predictions, one forward pass each.
        replacement: What replaces deleted features: with zero, methods share the prediction without any.
        shared: Whether they share their clean passes.
    """
    grid = grid_of(metrics)
    curve = 0 if grid is None else grid.passes
    has_end = grid is not None and any(fraction in (0.0, 1.0) for fraction in (*grid.keep, *grid.delete))
    has_end = has_end and replacement == "zero"
    wrong = wrong_each if any("wrong_reached" in metric.reads for metric in metrics) else 0
    queried = {"subset_drops", "noise_drops", "score_changes", "removed_top_decision"}
    uncounted = [metric.name for metric in metrics if queried & set(metric.reads)]
    forward, backward, seen, differentiated = 1.0, 0.0, set[str](), False
    for methods, domain in groups:
        place = DOMAINS.spec(domain)
        for number, method in enumerate(methods):
            ends = int(has_end and place in seen)  # the prediction without any feature is known from another method
            seen.add(place)
            passes = method.resolve(signal).passes if isinstance(method, Method) else None
            if passes is None:
                uncounted.append(method.name)
                passes = (0, 0)
            control = isinstance(method, Method) and type(method).control
            times = 1 if control else 1 + wrong
            first = not differentiated and passes[1] > 0
            if shared and (not isinstance(method, Method) or method.shares_clean_pass):  # one for all labels, or none
                backward += times if first else 0
                passes = max(0, passes[0] - 1), max(0, passes[1] - 1)
                forward, differentiated = forward + first, differentiated or first
            forward += curve - ends + (0 if control and number else times * passes[0])
            forward += 0 if control else wrong * len(SMALL_FRACTIONS)
            backward += times * passes[1]
    seconds = survey * (forward + BACKWARD * backward)
    return EvaluationCost(examples, forward, backward, seconds, uncounted)


def reporter(progress: Progress, cost: Callable[[], EvaluationCost], total: int) -> Callable[[int, int], None]:
    """What is called with (methods done, methods in all): the caller's, a bar that begins with the cost, or nothing."""
    if callable(progress):
        if begin := getattr(progress, "begin", None):
            begin(cost())
        return progress
    if not progress:
        return lambda done, whole: None
    sys.stderr.write(f"{cost()}\n")
    bar: Callable[[int, int], None] = CHECKS["progress"]("progress", True)
    bar(0, total)
    return bar
