"""Applies a method to encoded examples, batch by batch, and makes the results with their provenance."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypedDict

import torch

from hf_fourier.domains import DOMAINS, Domain, SignalShape
from hf_fourier.errors import InputError, NotFinite, real_number
from hf_fourier.methods import METHODS, Method
from hf_fourier.methods.contributions import QUARTERS, TEXTS, checked_points, contributions_of
from hf_fourier.methods.fetched import Asked, fetched, results_of
from hf_fourier.methods.path_gradients import Path
from hf_fourier.methods.subset_method import asks_for_donors
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.formats import VERSION
from hf_fourier.results.remarks import dithered
from hf_fourier.scoring.batching import MEMORY, MicroBatcher, is_out_of_memory
from hf_fourier.scoring.example_batch import (
    BatchSize,
    BatchSource,
    EncodedExample,
    ExampleBatch,
    ExplanationRequest,
    _reader,
    batch_of,
    examples_per_batch,
    grouped,
    in_batches,
    rows_for,
    score_of,
)
from hf_fourier.scoring.pending import Distrusted
from hf_fourier.scoring.replacements import donor_signals, donors_origin
from hf_fourier.scoring.score import Score
from hf_fourier.scoring.targets import Target
from hf_fourier.seeding import ExampleRng


class _CallOptions(TypedDict, total=False):
    """Keywords that `Engine.explain` and `Engine.from_maps` share."""

    targets: Sequence[Target] | None
    domain: str | Domain | None
    seed: int
    batch_size: BatchSize


class ExplainOptions(_CallOptions, total=False):
    """The keywords of `Engine.explain`."""

    method: str | Method | None
    contributions: int | None
    progress: Callable[[int, int], None] | bool | None


class MapOptions(_CallOptions, total=False):
    """The keywords of `Engine.from_maps`."""

    lift: str | None


@dataclass(frozen=True)
class MethodCall:
    """A method with the options that all examples of a call share.

    Attributes:
        method: The method.
        domain: The domain.
        seed: The user's seed.
        model: The model's name, task and revision, for the provenance.
        notes: Remarks on every result.
        progress: Called with (examples done, examples in all).
        dither: Noise on the model's input, a fraction of each signal's largest entry (`ExampleBatch.dither`).
        contributions: Points on the path from each reference for contributions, 0 for none; None for the method's own.
        goal_is_target: Whether methods that follow no label track the target in place of the clean answer.
        donors: Other examples, where a method puts their features in place of deleted ones.
        with_gradient: Whether results hold the clean gradient, which then is fetched from the model's device.
        asked: What of the ranking is fetched from there.

    Raises:
        InputError: If the dither is negative or not finite, or the contributions are no number of points.
    """

    method: Method
    domain: Domain
    seed: int
    model: dict[str, Any]
    notes: tuple[str, ...] = ()
    progress: Callable[[int, int], None] | bool | None = None
    dither: float = 0.0
    contributions: int | None = None
    goal_is_target: bool = False
    donors: Sequence[EncodedExample] = ()
    with_gradient: bool = True
    asked: Asked = field(default_factory=Asked)

    def __post_init__(self) -> None:
        checked_points(self.contributions)
        expected = "a fraction of the largest entry, such as 1e-6, or 0"
        if not 0 <= real_number("dither", self.dither, expected, "correct `dither`") < math.inf:
            raise InputError(f"dither {self.dither!r}", expected, "correct `dither`")

    def paths(self, score: Score, signal: SignalShape, taken: tuple[Path, ...]) -> tuple[Path, ...]:
        """The paths of a batch's contributions: those that the method took for its ranking, if any are wanted."""
        if self.contributions == 0:
            return ()
        if taken:
            return taken
        few = QUARTERS.get(signal.axes[0].name, TEXTS) if signal.kind in self.method.contribution_kinds else None
        return contributions_of(score, self.contributions, few)


def described(explainer: Any) -> str:
    """An explainer for `repr`: its class, the model, the head, and the default method and domain."""
    domain = DOMAINS.spec(explainer.resolve_domain(explainer.method))
    kind, method = type(explainer).__name__, METHODS.spec(explainer.method)
    return f"{kind}({explainer.name!r}: {explainer.wrapper.task}, {method} in {domain})"


def origin_of(result: Attribution) -> tuple[str, str, int, float, int | None]:
    """The method, domain, seed, dither and contributions of a result."""
    made = result.provenance
    dither = float(made.get("dither", 0.0))
    return made["method"], result.layout.domain, int(made["seed"]), dither, made.get("contributions")


def by_origin(attributions: Sequence[Attribution]) -> Iterator[tuple[list[int], Method, Domain, int, dict[str, Any]]]:
    """Results that were made alike: their indices, method, domain and seed, and the options of `MethodCall`."""
    origins = [origin_of(result) for result in attributions]
    for indices in grouped(origins, lambda origin: origin):
        method, domain, seed, dither, points = origins[indices[0]]
        options = {"dither": dither, "contributions": points}
        yield indices, METHODS.parse(method), DOMAINS.parse(domain), seed, options


def explain_all(
    requests: Sequence[ExplanationRequest], job: MethodCall, source: BatchSource, batch_size: BatchSize = "auto"
) -> list[Attribution]:
    """One result per request, in order.

    Args:
        requests: Examples with their targets.
        job: The method and the options that they share.
        source: Makes their batches.
        batch_size: Rows in a batch, at most.

    Raises:
        FourierError: Errors of the method, the domain or the model; any error after some examples were done carries
            them as `completed`, by index. Where a model returns NaN or infinities for some examples, all others are
            done first.
    """
    batches = _Batches(requests, job, source, batch_size)
    done, failed = batches.done, batches.failed
    try:
        for indices in grouped(requests, _alike):
            size = examples_per_batch(requests[indices[0]].example, batch_size, source)
            in_batches(indices, size, batches.explain)
        batches.finish()
        if failed:
            raise NotFinite({i: f"{message} of example {i}" for i, message in failed.items()}, **batches.advice)
    except Exception as error:
        with suppress(Exception):
            batches.finish()
        error.completed = done  # type: ignore[attr-defined]
        if done:
            error.add_note(f"{len(done)} of {len(requests)} examples were done: they are in this error's `completed`")
        raise
    return [done[i] for i in range(len(requests))]


class _Batches:
    """Explains examples batch by batch; on an accelerator, results are made while it works on the next batch.

    Attributes:
        done: Results by index.
        failed: By index, where a model's answers are not finite.
        advice: What the error says is expected, and its hint.

    Args:
        requests, job, source, batch_size: As for `explain_all`.
    """

    def __init__(
        self, requests: Sequence[ExplanationRequest], job: MethodCall, source: BatchSource, batch_size: BatchSize
    ) -> None:
        self._requests, self._job, self._source, self._batch_size = requests, job, source, batch_size
        self.done: dict[int, Attribution] = {}
        self.failed: dict[int, str] = {}
        self.advice: dict[str, str] = {}
        #: Whether answers may rest on what is checked when they arrive; one failure, and the rest of the call waits.
        self._trusting = source.device.type != "cpu"
        #: The batch whose answers are under way.
        self._waiting: list[tuple[list[int], Callable[[], list[Attribution]]]] = []

    def explain(self, indices: list[int], batcher: MicroBatcher) -> None:
        """Rank one batch, and make the results of the one before."""
        begun = None
        while indices and begun is None:
            try:
                begun = self._begin(indices, batcher)
            except NotFinite as error:  # on a CPU, where nothing is put off
                indices = self._finite(indices, error)
            except Distrusted:
                self._trusting = False
        self.finish()
        if begun is not None:
            self._waiting.append((indices, begun))
        if self._source.device.type == "cpu":
            self.finish()

    def finish(self) -> None:
        """Make the results of the batch whose answers are under way."""
        while self._waiting:
            indices, results_of_batch = self._waiting[-1]
            try:
                results = results_of_batch()
            except (NotFinite, Distrusted) as error:
                self._waiting.pop()
                self._trusting = self._trusting and not isinstance(error, Distrusted)
                others = self._finite(indices, error) if isinstance(error, NotFinite) else indices
                in_batches(others, max(1, len(others)), self.explain)
            else:
                self._waiting.pop()
                self.done.update(zip(indices, results, strict=True))
            if callable(self._job.progress):
                self._job.progress(len(self.done), len(self._requests))

    def _begin(self, indices: list[int], batcher: MicroBatcher) -> Callable[[], list[Attribution]]:
        batch = [self._requests[i] for i in indices]
        try:
            return _begin_batch(batch, self._job, self._source, self._batch_size, batcher, self._trusting)
        except Exception as error:
            if not self._waiting or not is_out_of_memory(error):
                raise
        self.finish()  # and free what the other batch holds
        return _begin_batch(batch, self._job, self._source, self._batch_size, batcher, self._trusting)

    def _finite(self, indices: list[int], error: NotFinite) -> list[int]:
        """Take down which examples have answers that are not finite, and return the others."""
        self.failed.update({indices[row]: message for row, message in error.found.items()})
        if len(self._requests) == 1:
            raise error
        self.advice.update({"expected": error.expected, "hint": error.hint})
        return [i for i in indices if i not in self.failed]


def _begin_batch(
    requests: Sequence[ExplanationRequest],
    job: MethodCall,
    source: BatchSource,
    batch_size: BatchSize,
    outer: MicroBatcher,
    trusting: bool,
) -> Callable[[], list[Attribution]]:
    """Rank examples with one batch key; what is returned makes their results when the answers have arrived.

    Raises:
        Distrusted: If the answers were `trusting` and may not be; so may what is returned.
    """
    start = time.perf_counter()
    examples = [request.example for request in requests]
    method, basis = job.method.resolve(examples[0].signal), job.domain.bind(examples[0].signal)
    rng = ExampleRng(job.seed, [example.lazy_key for example in examples])
    batch = batch_of(source, examples, rng, job.dither)
    planned = min(rows_for(batch, batch_size), outer.size)
    batcher = MicroBatcher(planned)
    score = _score(requests, job, batch, batcher, method)
    score.pending.trusting = trusting
    if job.donors:
        score.donors = partial(donor_signals, examples, job.donors, source, rng)
    tried = min(planned, len(examples)) * batch.rows_per_signal
    trains = method.passes is None or method.passes[1] > 0  # a forward pass alone takes less
    with MEMORY.measuring(batch.model if trains else None, batch.entries, batch.signal.device, tried):
        ranking = method.attribute(score, score.signal, basis, rng)
        score.clean_reading()  # a control runs it here, so that its pass is counted
        ranking = replace(ranking, paths=job.paths(score, examples[0].signal, ranking.paths))
        answers = fetched(
            score, ranking, batch.signal_here, basis, job.asked, with_gradient=job.with_gradient, dither=job.dither
        )
    MEMORY.too_many(batch.model, batcher.size, planned)
    outer.remember(batcher)
    provenance = {
        **_provenance(job, method, score),
        **({} if job.contributions is None else {"contributions": job.contributions}),
        "signal": examples[0].signal.kind,
        "seconds": 0.0,
        "passes": {
            "forward": score.passes.forward / len(requests),
            "backward": score.passes.backward / len(requests),
        },
        "batch": batcher.size,
        "halvings": outer.splits,
    }
    notes = [*job.notes, *score.notes, *([dithered(job.dither)] if job.dither else [])]
    begun = time.perf_counter() - start

    def results() -> list[Attribution]:
        again = time.perf_counter()  # on an accelerator the next batch has begun since
        arrived = answers()
        provenance["seconds"] = (begun + time.perf_counter() - again) / len(requests)
        return results_of(requests, basis, score, arrived, provenance, notes)

    return results


def _score(
    requests: Sequence[ExplanationRequest], job: MethodCall, batch: ExampleBatch, batcher: MicroBatcher, method: Method
) -> Score:
    """The score of a batch, with what is known of its examples and asked of them."""
    examples = [request.example for request in requests]
    known = [example.clean for example in examples if example.clean is not None]
    shared = known if len(known) == len(examples) else []
    targets = [request.target for request in requests]
    score = score_of(batch, targets, batcher, shared=shared, with_gradient=job.with_gradient)
    maps = [request.precomputed_map for request in requests if request.precomputed_map is not None]
    score.goal_is_target = job.goal_is_target and not method.follows_label
    score.precomputed_maps = torch.stack(maps) if maps else None
    return score


def _alike(request: ExplanationRequest) -> Any:
    """A key that the requests of a batch share."""
    shape = None if request.precomputed_map is None else request.precomputed_map.shape
    return request.example.batch_key, _reader(request.target), shape


def _provenance(job: MethodCall, method: Method, score: Score) -> dict[str, Any]:
    """The provenance of a result, in plain values."""
    dither = {"dither": job.dither} if job.dither else {}
    # Which other examples there were decides an answer that their features went into.
    donors = {"donors": donors_origin(job.donors)} if asks_for_donors(method) else {}
    return {
        "model": job.model["name"],
        "revision": job.model["revision"],
        "task": job.model["task"],
        "head": score.head.name,
        "method": METHODS.spec(method),
        "domain": DOMAINS.spec(job.domain),
        "seed": job.seed,
        **dither,
        **donors,
        "device": score.signal.device.type,
        "versions": {"hf_fourier": VERSION, "torch": torch.__version__, "python": platform.python_version()},
    }
