"""Transfer: whether one model's adversarial examples change another model's prediction as well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hf_fourier.errors import InputError
from hf_fourier.methods.exploration import has_flipped
from hf_fourier.models.base import ModelWrapper
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.table import Table, table_of
from hf_fourier.scoring.batching import MicroBatcher
from hf_fourier.scoring.example_batch import BatchSize, examples_per_batch, grouped, in_batches, rows_for, score_of
from hf_fourier.seeding import ExampleRng
from hf_fourier.typing import Tensor


def transfer_all(results: Sequence[Attribution], wrapper: ModelWrapper, batch_size: BatchSize = "auto") -> Table:
    """Predict the clean and the adversarial signal of each result by another model; see `FourierExplainer.transfer`.

    Args:
        results: Results of an attack.
        wrapper: The other model's.
        batch_size: Rows in a batch, at most.

    Raises:
        InputError: If a result has no adversarial example, or the other model cannot read its signal.
    """
    pairs = []
    for result in results:
        signal, adversarial = result.signal, result.extras.get("adversarial")
        if signal is None or not isinstance(adversarial, Tensor):
            method = result.provenance.get("method", "?")
            got = f"a result of {method} without an adversarial example"
            raise InputError(got, "one of an attack, with its example", "explain with method='attexplore' or 'fampe'")
        pairs.append((wrapper.encode_signal(signal, result.view), wrapper.encode_signal(adversarial, result.view)))
    rows: dict[int, dict[str, Any]] = {}

    def predict(indices: list[int], batcher: MicroBatcher) -> None:
        rng = ExampleRng(0, [pairs[i][0].key for i in indices])
        batch = wrapper.example_batch([pairs[i][0] for i in indices], rng)
        adversarial = wrapper.example_batch([pairs[i][1] for i in indices], rng).signal
        score = score_of(batch, [None] * len(indices), MicroBatcher(min(rows_for(batch, batch_size), batcher.size)))
        clean, after = score.clean_reading(), score.value(adversarial)
        score.pending.fetch([])  # whether the outputs are finite
        flipped = has_flipped(clean, after)
        for row, i in enumerate(indices):
            rows[i] = {
                "example": i,
                "explained": results[i].label,
                "source flipped": bool(results[i].extras["flipped"]),
                "clean decision": score.head.name_target(score.frozen_targets[row].cpu())[1],
                "confidence": None if clean.confidence is None else float(clean.confidence[row]),
                "confidence after": None if after.confidence is None else float(after.confidence[row]),
                "flipped": flipped[row],
            }
        batcher.remember(score.batcher)

    for indices in grouped(pairs, lambda pair: pair[0].batch_key):
        in_batches(indices, examples_per_batch(pairs[indices[0]][0], batch_size, wrapper), predict)
    return table_of([rows[i] for i in range(len(rows))])
