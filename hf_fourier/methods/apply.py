"""Applies a method to encoded examples, batch by batch, and makes the results with their provenance."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypedDict

import torch

from hf_fourier.domains import DOMAINS, Basis, Domain, SignalShape
from hf_fourier.errors import InputError, NotFinite, real_number
from hf_fourier.methods import METHODS, Method, Ranking
from hf_fourier.methods.contributions import checked_points, integrate, of_each
from hf_fourier.methods.subset_method import asks_for_donors
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.formats import VERSION
from hf_fourier.results.remarks import FURTHER_HINT, NO_GRADIENT, NOT_FINITE_HINT, dithered, incomplete, unfinished
from hf_fourier.scoring.batching import MicroBatcher
from hf_fourier.scoring.example_batch import (
    BatchSize,
    BatchSource,
    EncodedExample,
    ExplanationRequest,
    _reader,
    batch_of,
    examples_per_batch,
    grouped,
    in_batches,
    rows_for,
    score_of,
)
from hf_fourier.scoring.replacements import donor_signals, donors_origin
from hf_fourier.scoring.score import Score
from hf_fourier.scoring.targets import Target
from hf_fourier.seeding import ExampleRng, LazyFingerprint
from hf_fourier.typing import Tensor


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

    def __post_init__(self) -> None:
        checked_points(self.contributions)
        expected = "a fraction of the largest entry, such as 1e-6, or 0"
        if not 0 <= real_number("dither", self.dither, expected, "correct it") < math.inf:
            raise InputError(f"dither {self.dither!r}", expected, "correct it")

    def points(self, signal: SignalShape) -> int:
        """Points on the path from each reference."""
        own = self.method.contribution_points.get(signal.kind, 0)
        return own if self.contributions is None else self.contributions


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
    done: dict[int, Attribution] = {}
    failed: dict[int, str] = {}
    advice: dict[str, str] = {}

    def explain(indices: list[int], batcher: MicroBatcher) -> None:
        while indices:
            try:
                results = _explain_batch([requests[i] for i in indices], job, source, batch_size, batcher)
            except NotFinite as error:
                failed.update({indices[row]: message for row, message in error.found.items()})
                if len(requests) == 1:
                    raise
                advice.update({"expected": error.expected, "hint": error.hint})
                indices = [i for i in indices if i not in failed]
                continue
            done.update(zip(indices, results, strict=True))
            break
        if callable(job.progress):
            job.progress(len(done), len(requests))

    try:
        for indices in grouped(requests, _alike):
            in_batches(indices, examples_per_batch(requests[indices[0]].example, batch_size, source), explain)
        if failed:
            raise NotFinite({i: f"{message} of example {i}" for i, message in failed.items()}, **advice)
    except Exception as error:
        error.completed = done  # type: ignore[attr-defined]
        if done:
            error.add_note(f"{len(done)} of {len(requests)} examples were done: they are in this error's `completed`")
        raise
    return [done[i] for i in range(len(requests))]


def _explain_batch(
    requests: Sequence[ExplanationRequest],
    job: MethodCall,
    source: BatchSource,
    batch_size: BatchSize,
    outer: MicroBatcher,
) -> list[Attribution]:
    """The results of examples with one batch key."""
    start = time.perf_counter()
    examples = [request.example for request in requests]
    method, basis = job.method.resolve(examples[0].signal), job.domain.bind(examples[0].signal)
    rng = ExampleRng(job.seed, [LazyFingerprint(example.parts) for example in examples])
    batch = batch_of(source, examples, rng, job.dither)
    batcher = MicroBatcher(min(rows_for(batch, batch_size), outer.size))
    score = score_of(batch, [request.target for request in requests], batcher)
    maps = [request.precomputed_map for request in requests if request.precomputed_map is not None]
    score.goal_is_target = job.goal_is_target and not method.follows_label
    score.precomputed_maps = torch.stack(maps) if maps else None
    if job.donors:
        score.donors = partial(donor_signals, examples, job.donors, source, rng)
    ranking = method.attribute(score, score.signal, basis, rng)
    score.clean_reading()  # a control runs it here, so that its pass is counted
    points = job.points(examples[0].signal)
    if not points and job.contributions is not None:
        ranking = replace(ranking, paths=())
    elif points and not ranking.paths:
        ranking = replace(ranking, paths=integrate(score, score.signal, points))
    outer.remember(batcher)
    if not bool(torch.stack(torch.aminmax(ranking.scores)).isfinite().all()):  # aminmax keeps NaN
        raise not_finite(ranking, score, basis.signal, job.dither)
    provenance = {
        **_provenance(job, method, score),
        **({"contributions": points} if points or job.contributions is not None else {}),
        "signal": examples[0].signal.kind,
        "seconds": (time.perf_counter() - start) / len(requests),
        "passes": {
            "forward": score.passes.forward / len(requests),
            "backward": score.passes.backward / len(requests),
        },
        "batch": batcher.size,
        "halvings": outer.splits,
    }
    return _results(requests, job, basis, score, ranking, provenance)


def _results(
    requests: Sequence[ExplanationRequest],
    job: MethodCall,
    basis: Basis,
    score: Score,
    ranking: Ranking,
    provenance: dict[str, Any],
) -> list[Attribution]:
    """One result per example; tensors of the whole batch are converted once."""
    reading = score.clean_reading()
    shared_notes = [*job.notes, *score.notes, *([dithered(job.dither)] if job.dither else [])]
    nothing = [None] * len(requests)
    scores, signals, frozen = _rows(_wide(ranking.scores)), _rows(_wide(score.signal)), _rows(score.frozen_targets)
    gradients = nothing if ranking.gradient is None else _rows(_wide(ranking.gradient))
    remarks = of_ranking(ranking, score, gradients, basis.signal)
    confidences = nothing if reading.confidence is None else reading.confidence.tolist()
    contributions, unfit = of_each(ranking.paths, score.signal)
    errors = nothing if ranking.completeness_error is None else ranking.completeness_error.tolist()
    values, agreements = reading.value.tolist(), reading.agreement.tolist()
    results = []
    for i, request in enumerate(requests):
        example = request.example
        target, label = score.head.name_target(frozen[i])
        # Copies, so that a later change of the example does not change its result.
        inputs = {name: tensor.detach().to("cpu", copy=True) for name, tensor in example.inputs.items()}
        content = {} if example.content is None else {"content": example.content.detach().to("cpu", copy=True)}
        notes = [*shared_notes, *example.notes, *score.remarks.get(i, ()), *basis.layout.notes, *remarks[i], *unfit[i]]
        results.append(
            Attribution(
                scores=scores[i],
                layout=basis.layout,
                target=target,
                label=label,
                confidence=confidences[i],
                value=values[i],
                signal=signals[i],
                gradient=gradients[i],
                provenance={
                    **provenance,
                    **({"range": example.range} if example.range else {}),
                    "notes": notes,
                },
                top_predictions=score.top_predictions.get(i, []),
                names=example.names,
                view=example.view,
                inputs={**inputs, **content},
                extras={name: _plain(entries[i]) for name, entries in ranking.extras.items()},
                completeness_error=errors[i],
                fingerprint=_key(example, inputs, signals[i]),
                frozen_target=frozen[i],
                raw_input=example.raw_input,
                agreement=agreements[i],
                contributions=contributions[i],
            )
        )
    return results


def _alike(request: ExplanationRequest) -> Any:
    """A key that the requests of a batch share."""
    shape = None if request.precomputed_map is None else request.precomputed_map.shape
    return request.example.batch_key, _reader(request.target), shape


def _wide(tensor: Tensor) -> Tensor:
    """Detached, float32 or better."""
    return tensor.detach() if tensor.dtype == torch.float64 else tensor.detach().float()


def _rows(batch: Tensor) -> list[Tensor]:
    """Each row as a copy on the CPU, so that a result does not keep its whole batch in memory."""
    rows: Any = torch.unbind_copy(batch.cpu())  # type: ignore[func-returns-value]  # which torch's stubs deny
    return list(rows)


def _plain(value: Any) -> Any:
    """An example's copy of one of a method's extras."""
    return _wide(value).to("cpu", copy=True) if isinstance(value, Tensor) else value


def _key(example: EncodedExample, inputs: Mapping[str, Tensor], signal: Tensor) -> int | LazyFingerprint:
    """The example's fingerprint, computed from tensors that the result holds anyway."""
    if example.values is not None and example.values.dtype != signal.dtype:
        return example.key
    parts = [inputs[name] for name in sorted(inputs)]
    return LazyFingerprint(parts if example.values is None else [*parts, signal])


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


def of_ranking(
    ranking: Ranking, score: Score, gradients: Sequence[Tensor | None], signal: SignalShape
) -> list[list[str]]:
    """The method's notes, and remarks on each example's gradient and sum.

    Entries of gradients that are not finite are set to 0 in place.

    Args:
        ranking: The ranking of a batch.
        score: The score of the same batch.
        gradients: The gradients of its results.
        signal: The signals' axes.
    """
    remarks = [list(notes) for notes in ranking.notes or [()] * len(gradients)]
    if ranking.gradient is not None:
        tops = ranking.gradient.detach().flatten(1).abs().amax(1).tolist()
        for i, (notes, gradient, top) in enumerate(zip(remarks, gradients, tops, strict=True)):
            if top == 0:
                notes.append(NO_GRADIENT)
            elif gradient is not None and not math.isfinite(top):
                notes.append(
                    f"{unfinished(gradient, score.signal[i].cpu(), signal)} is taken as 0 there: {NOT_FINITE_HINT}"
                )
                gradient.nan_to_num_(0.0, 0.0, 0.0)
    if ranking.completeness_error is not None:
        totals, sizes = ranking.scores.sum(1, dtype=torch.float64), ranking.scores.norm(1, dim=1)
        ends = [None] * len(remarks) if ranking.baseline_value is None else ranking.baseline_value.tolist()
        clean = score.clean_reading().value
        columns = [numbers.tolist() for numbers in (totals, ranking.completeness_error, sizes, clean)]
        for notes, total, error, size, value, end in zip(remarks, *columns, ends, strict=True):
            note = incomplete(total, error, size, value, end)
            notes += [] if note is None else [note]
    return remarks


def not_finite(ranking: Ranking, score: Score, signal: SignalShape, dither: float) -> NotFinite:
    """The error for scores that are not finite: the rows, and where the gradient is not finite, if that is known."""
    messages = {}
    for row in (~ranking.scores.isfinite().all(1)).nonzero().flatten().tolist():
        gradient = None if ranking.gradient is None else ranking.gradient[row]
        if gradient is None or bool(gradient.isfinite().all()):
            messages[row] = "scores that are not finite, though the gradient at the clean signal is"
        else:
            messages[row] = unfinished(gradient.cpu(), score.signal[row].cpu(), signal)
    kinds = set() if score.model is None else {p.dtype for p in score.model.parameters()}
    hint = FURTHER_HINT if dither else NOT_FINITE_HINT
    if torch.float16 in kinds:
        hint = f"load the model in float32 or bfloat16; if it still is not finite, {hint}"
    return NotFinite(messages, "a finite gradient at the signal", hint)
