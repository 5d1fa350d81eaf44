"""Batches of finished attributions built again, with their frozen targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from hf_fourier.errors import InputError
from hf_fourier.results.attribution import Attribution
from hf_fourier.scoring.batching import MicroBatcher
from hf_fourier.scoring.clean_passes import SharedScore
from hf_fourier.scoring.example_batch import (
    BatchSize,
    BatchSource,
    EncodedExample,
    ExampleBatch,
    batch_of,
    examples_per_batch,
    grouped,
    in_batches,
    rows_for,
)
from hf_fourier.scoring.heads import CustomTarget, head_for_target
from hf_fourier.scoring.pending import to_device
from hf_fourier.scoring.replacements import CURVES, donor_signals
from hf_fourier.scoring.score import Score
from hf_fourier.seeding import ExampleRng

#: `(indices of the results, their batch, its score with the frozen targets)`.
BatchVisitor = Callable[[list[int], ExampleBatch, Score], None]


def reopen(
    results: Sequence[Attribution],
    encoded: Sequence[EncodedExample],
    source: BatchSource,
    visit: BatchVisitor,
    batch_size: BatchSize = "auto",
    donors: Sequence[EncodedExample] = (),
) -> int:
    """Build the batches of results again, with their frozen targets, and visit each.

    A batch that runs out of memory is halved and visited again. Arguments, returns and errors as for `perturb_all`.
    """
    _refuse_callables(results)

    def run(indices: list[int], batcher: MicroBatcher) -> None:
        members = [results[i] for i in indices]
        rng = random_streams(members)
        dither = float(members[0].provenance.get("dither", 0.0))
        batch_examples = [encoded[i] for i in indices]
        batch = batch_of(source, batch_examples, rng, dither)
        known = torch.stack([result.frozen_target for result in members if result.frozen_target is not None])
        frozen = list(to_device(known, batch.signal.device))
        inner = MicroBatcher(min(rows_for(batch, batch_size), source.max_rows or batcher.size))
        head = head_for_target(batch.head, members[0].provenance.get("head"))
        shared = [example.clean for example in batch_examples if example.clean is not None]
        make = partial(SharedScore, shared, False) if len(shared) == len(batch_examples) else Score
        score = make(
            batch.signal, batch.forward, batch.logits, head, [], inner, batch.rows_per_signal, frozen, model=batch.model
        )
        score.references = lambda: batch.references
        if donors:
            score.donors = partial(donor_signals, batch_examples, donors, source, rng, purpose=f"{CURVES} donors")
        visit(indices, batch, score)
        batcher.remember(inner)

    pairs = list(zip(encoded, results, strict=True))
    groups = grouped(pairs, lambda pair: (pair[0].batch_key, pair[1].layout.domain, *_rebuild(pair[1])))
    return sum(in_batches(own, examples_per_batch(encoded[own[0]], batch_size, source), run) for own in groups)


def random_streams(results: Sequence[Attribution]) -> ExampleRng:
    """The random streams of the examples of results that were made with one seed."""
    return ExampleRng(int(results[0].provenance["seed"]), [result.key for result in results])


def _rebuild(result: Attribution) -> tuple[Any, ...]:
    """What else results of one batch have in common."""
    made = result.provenance
    return made["seed"], made.get("head"), made.get("dither")


def _refuse_callables(results: Sequence[Attribution]) -> None:
    for result in results:
        if result.frozen_target is None or result.provenance.get("head") == CustomTarget.name:
            got = "a result for a callable target, or without a stored target"
            raise InputError(got, "one for a class or a value", "explain the example again with such a target")
