"""Batches of finished attributions made again, with their frozen targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hf_fourier.errors import InputError
from hf_fourier.results.attribution import Attribution
from hf_fourier.scoring.batching import Packer
from hf_fourier.scoring.example_batch import (
    BatchSize,
    Block,
    Encoded,
    Host,
    block_of,
    block_size,
    grouped,
    in_blocks,
    rows_for,
)
from hf_fourier.scoring.heads import Custom, as_read
from hf_fourier.scoring.score import Score
from hf_fourier.seeding import Draw

#: `(places of the results, their block, its score with the targets that are settled)`.
Work = Callable[[list[int], Block, Score], None]


def reopen(
    results: Sequence[Attribution],
    encoded: Sequence[Encoded],
    host: Host,
    work: Work,
    batch_size: BatchSize = "auto",
) -> int:
    """Make the blocks of results again, their targets as they were settled, and work on each.

    A block that runs out of memory is halved and worked on again. Arguments, returns and errors as for `play_all`.
    """
    _refuse_callables(results)

    def work_on(indices: list[int], packer: Packer) -> None:
        some = [results[i] for i in indices]
        draw = Draw(int(some[0].provenance["seed"]), [result.key for result in some])
        dither = float(some[0].provenance.get("dither", 0.0))
        block = block_of(host, [encoded[i] for i in indices], draw, dither)
        frozen = [result.frozen.to(block.x.device) for result in some if result.frozen is not None]
        inner = Packer(min(rows_for(block, batch_size), host.rows_limit or packer.size))
        head = as_read(block.head, some[0].provenance.get("head"))
        work(indices, block, Score(block.x, block.forward, block.select, head, [], inner, block.cost, frozen))
        packer.learn(inner)

    pairs = list(zip(encoded, results, strict=True))
    groups = grouped(pairs, lambda pair: (pair[0].signature, pair[1].layout.domain, *_made(pair[1])))
    return sum(in_blocks(own, block_size(encoded[own[0]], batch_size, host), work_on) for own in groups)


def _made(result: Attribution) -> tuple[Any, ...]:
    """What else results of one block have in common."""
    made = result.provenance
    return made["seed"], made.get("head"), made.get("dither")


def _refuse_callables(results: Sequence[Attribution]) -> None:
    for result in results:
        if result.frozen is None or result.provenance.get("head") == Custom.name:
            got = "a result that explains a callable, or holds no target"
            raise InputError(got, "a class or a value", "explain it with a target")
