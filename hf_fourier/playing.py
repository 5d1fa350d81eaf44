"""The deletion game for results: each result's own example goes back to the model, with features kept or deleted."""

from __future__ import annotations

from collections.abc import Sequence

from hf_fourier.adapters.base import Encoded
from hf_fourier.attribution import Attribution
from hf_fourier.batching import Packer
from hf_fourier.curves import Curve, Part
from hf_fourier.engine import BatchSize, MakeBlock, block_size, grouped, in_blocks, rows_for
from hf_fourier.errors import InputError
from hf_fourier.metrics.games import Move, curves, moves, play
from hf_fourier.scoring import Score
from hf_fourier.seeding import Draw
from hf_fourier.targets import Custom
from hf_fourier.typing import Tensor


def play_all(
    results: Sequence[Attribution],
    encoded: Sequence[Encoded],
    kept: Sequence[float],
    make_block: MakeBlock,
    batch_size: BatchSize = "auto",
    limit: int | None = None,
) -> None:
    """Play the keep and delete game at these shares and merge the stops into each result's curve.

    Args:
        results: What to play.
        encoded: Their examples, as the adapter restored them.
        kept: Shares of features, 0 to 1.
        make_block: The adapter's.
        batch_size: Rows in a batch, at most.
        limit: Rows that the model takes at once, if it has a limit.

    Raises:
        InputError: If there are no shares, one is out of range, or a result explains a callable.
    """
    if not kept or not all(isinstance(r, (int, float)) and 0 <= r <= 1 for r in kept):
        raise InputError(f"kept {list(kept)}", "shares from 0 to 1, at least one", "correct `kept`")
    shares = list(dict.fromkeys(float(r) for r in kept))
    for result in results:
        if result.frozen is None or result.provenance.get("head") == Custom.name:
            got = "a result that explains a callable, or holds no target"
            raise InputError(got, "a class or a value", "explain it with a target")

    def play_block(indices: list[int], packer: Packer) -> None:
        some = [results[i] for i in indices]
        draw = Draw(int(some[0].provenance["seed"]), [result.key for result in some])
        block = make_block([encoded[i] for i in indices], draw)
        frozen = [result.frozen.to(block.x.device) for result in some if result.frozen is not None]
        inner = Packer(min(rows_for(block, batch_size), limit or packer.size))
        score = Score(block.x, block.forward, block.select, block.head, [], inner, block.cost, frozen)
        questions = [m for i, r in enumerate(some) for m in moves(i, r.order, r.layout.multiplicity, shares)]

        def look(move: Move, answer: Tensor) -> None:
            result = some[move.example]
            result.extras = {**result.extras, answer_name(move.part, move.asked): answer}

        stops = play(score, some[0].basis, questions, look)
        clean = [r.value if r.confidence is None else r.confidence for r in some]
        for result, curve in zip(some, curves(questions, stops, clean), strict=True):
            _record(result, curve, block.cost)
        packer.learn(inner)

    pairs = list(zip(encoded, results, strict=True))
    for indices in grouped(pairs, lambda pair: (pair[0].signature, pair[1].layout.domain, pair[1].provenance["seed"])):
        in_blocks(indices, block_size(encoded[indices[0]], batch_size, limit), play_block)


def answer_name(part: Part, asked: float) -> str:
    """Where a result's `extras` keep the mask that was predicted at one stop."""
    return f"mask {part} {asked:g}"


def _record(result: Attribution, curve: Curve, cost: int) -> None:
    """Merge a curve into a result and add what it cost."""
    result.curve = curve if result.curve is None else result.curve.merged(curve)
    passes = result.provenance["passes"]
    result.provenance["passes"] = {**passes, "played": passes.get("played", 0) + len(curve.stops) * cost}
