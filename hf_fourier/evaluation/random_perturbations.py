"""Model evaluations that some metrics need beside the curves; each function returns columns of the metrics' table.

Random numbers are seeded per example and do not depend on the batch. The results' `provenance["passes"]["evaluated"]`
counts the model rows that went forward.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from hf_fourier.errors import InputError
from hf_fourier.methods import METHODS
from hf_fourier.results.attribution import Attribution
from hf_fourier.scoring.example_batch import BatchSize, ExampleBatch, grouped
from hf_fourier.scoring.replacements import curve_coefficients
from hf_fourier.scoring.replay import random_streams
from hf_fourier.scoring.score import Score
from hf_fourier.seeding import ExampleRng
from hf_fourier.typing import Float, Tensor

if TYPE_CHECKING:
    from hf_fourier.engine import Engine

Columns = dict[str, list[list[float]]]
#: Note on a result whose top got no other values.
NO_LENDER = "no other example has another label and the same features, to lend its values: encoding is not defined"


def delete_random_subsets(
    explainer: Engine,
    attributions: Sequence[Attribution],
    *,
    fraction: float = 0.2,
    draws: int = 200,
    seed: int = 0,
    batch_size: BatchSize = "auto",
    replacement: str = "zero",
) -> Columns:
    """Delete random subsets of features, for μ-fidelity: `draws` forward passes per example.

    Args:
        explainer: Of the model that made the results.
        attributions: Results with their examples.
        fraction: Fraction of the features (their number) in a subset, above 0 and up to 1; at least one feature.
        draws: Subsets per example.
        seed: Of the subsets.
        batch_size: Rows in a batch, at most.
        replacement: What replaces deleted features, as for `FourierExplainer.perturb`.

    Returns:
        The columns `subset_scores` and `subset_drops`.

    Raises:
        InputError: If `fraction` is out of range, or a result does not hold its example or explains a callable.
    """
    if not 0 < fraction <= 1:
        raise InputError(f"fraction {fraction!r}", "a number above 0 and up to 1", "correct `fraction`")

    def lost(result: Attribution, number: int) -> Tensor:
        features = len(result.scores)
        generator = ExampleRng(seed, [result.key]).generator(0, "subset", number)
        deleted = torch.zeros(features, dtype=torch.float32)
        deleted[torch.randperm(features, generator=generator)[: max(1, round(fraction * features))]] = 1
        return deleted

    sums, drops = _score_drops(explainer, attributions, lost, draws, batch_size, replacement)
    return {"subset_scores": sums, "subset_drops": drops}


def add_feature_noise(
    explainer: Engine,
    attributions: Sequence[Attribution],
    *,
    size: float = 0.2,
    draws: int = 100,
    seed: int = 0,
    batch_size: BatchSize = "auto",
) -> Columns:
    """Scale each feature by 1 − ε, ε normal, for infidelity: `draws` forward passes per example.

    Args:
        explainer: Of the model that made the results.
        attributions: Results with their examples.
        size: Standard deviation of ε, without a unit.
        draws: Perturbations per example.
        seed: Of the noise.
        batch_size: Rows in a batch, at most.

    Returns:
        The columns `noise_predicted` and `noise_drops`.

    Raises:
        InputError: If a result does not hold its example, or explains a callable.
    """

    def lost(result: Attribution, number: int) -> Tensor:
        generator = ExampleRng(seed, [result.key]).generator(0, "noise", number)
        return size * torch.randn(len(result.scores), generator=generator, dtype=torch.float32)

    predicted, drops = _score_drops(explainer, attributions, lost, draws, batch_size)
    return {"noise_predicted": predicted, "noise_drops": drops}


def explain_perturbed_inputs(
    explainer: Engine,
    attributions: Sequence[Attribution],
    *,
    radius: float = 0.2,
    draws: int = 10,
    seed: int = 0,
    batch_size: BatchSize = "auto",
) -> Columns:
    """Explain slightly changed inputs, for sensitivity-max: `draws` explanations per example.

    The target stays the frozen one, and the method's own randomness is that of the clean example.

    Args:
        explainer: Of the model that made the results.
        attributions: Results with their examples.
        radius: Each entry of the signal moves by a uniform number between −radius and radius, in the signal's own unit.
        draws: Changed inputs per example.
        seed: Of the changes.
        batch_size: Rows in a batch, at most.

    Returns:
        The column `score_changes`: `‖S(x + u) − S(x)‖₂ / ‖S(x)‖₂`, NaN where all scores are 0.

    Raises:
        InputError: If a result does not hold its example, or explains a callable.
    """
    changes: list[list[float]] = [[] for _ in attributions]

    def explain(members: list[int]) -> None:
        """All results of one method."""
        method = METHODS.parse(attributions[members[0]].provenance["method"])

        def visit(places: list[int], batch: ExampleBatch, score: Score) -> None:
            results = [attributions[members[place]] for place in places]
            step, forward = max(1, score.batcher.size // len(results)), 0
            batch_changes: list[list[float]] = [[] for _ in results]
            for start in range(0, draws, step):
                numbers = range(start, min(start + step, draws))
                signals = torch.cat([_perturbed(score.signal, results, radius, seed, number) for number in numbers])
                owner = torch.arange(len(results), device=score.signal.device).repeat(len(numbers))
                copies = at_signals(batch, score, signals, owner)
                rng = ExampleRng(int(results[0].provenance["seed"]), [results[i].key for i in owner.tolist()])
                scores = method.attribute(copies, signals, results[0].basis, rng).scores.detach().cpu()
                forward += copies.passes.forward
                for i, row in zip(owner.tolist(), scores, strict=True):
                    batch_changes[i].append(_relative_change(row, results[i].scores))
            count_passes(results, forward // len(results))
            for place, row_changes in zip(places, batch_changes, strict=True):
                changes[members[place]] = row_changes

        explainer.replay([attributions[i] for i in members], visit, batch_size=batch_size)

    for members in grouped(attributions, lambda result: result.provenance["method"]):
        explain(members)
    return {"score_changes": changes}


def swap_values(
    explainer: Engine,
    attributions: Sequence[Attribution],
    *,
    fraction: float = 0.04,
    draws: int = 8,
    seed: int = 0,
    batch_size: BatchSize = "auto",
) -> Columns:
    """Keep the top features of each example with the values that other examples have there: `draws` forward passes.

    Args:
        explainer: Of the model that made the results.
        attributions: Results with their examples; those of another label and the same features lend their values.
        fraction: Of the features, the size of the top, above 0 and at most 1.
        draws: At least 1, other examples for each, at most as many as there are; all features but the top are zero.
        seed: Of their choice.
        batch_size: Rows in a batch, at most.

    Returns:
        The column `swapped_decision`: for each of them the fraction of the example's predictions that are made; empty
        where no example can lend values, which is said once in the notes of that result.

    Raises:
        InputError: If there are no draws or no features to keep, or a result does not hold its example, or explains
            a callable.
    """
    if draws < 1 or not 0 < fraction <= 1:
        got = f"{draws} draws and a fraction of {fraction:g}"
        raise InputError(got, "at least 1 draw, and a fraction above 0 and at most 1", "correct `draws` or `fraction`")
    decisions: list[list[float]] = [[] for _ in attributions]

    def lenders(result: Attribution) -> list[Tensor]:
        others = [
            other.signal
            for other in attributions
            if other.label != result.label and other.layout.signal == result.layout.signal and other.signal is not None
        ]
        order = torch.randperm(len(others), generator=ExampleRng(seed, [result.key]).generator(0, "values"))
        return [others[i] for i in order[:draws].tolist()]

    def visit(places: list[int], batch: ExampleBatch, score: Score) -> None:
        for row, place in enumerate(places):
            result, signals = attributions[place], lenders(attributions[place])
            if not signals:
                notes = result.provenance.get("notes", [])
                result.provenance = {**result.provenance, "notes": list(dict.fromkeys([*notes, NO_LENDER]))}
                continue
            basis = result.basis
            values = basis.forward(torch.stack(signals).to(score.signal))
            kept = basis.keep_features(values, result.mask(fraction).to(values.device).expand(len(signals), -1))
            owner = torch.full((len(signals),), row, device=kept.device)
            decisions[place] = score.value(kept, owner).agreement.tolist()
            count_passes([result], len(signals) * batch.rows_per_signal)

    explainer.replay(attributions, visit, batch_size=batch_size)
    return {"swapped_decision": decisions}


def _score_drops(
    explainer: Engine,
    attributions: Sequence[Attribution],
    lost: Callable[[Attribution, int], Tensor],
    draws: int,
    batch_size: BatchSize,
    replacement: str = "zero",
) -> tuple[list[list[float]], list[list[float]]]:
    """The predicted and the actual drops of the score as features lose a fraction of their amplitude.

    Args:
        explainer: Of the model that made the results.
        attributions: Results with their examples.
        lost: `(result, number of the draw) -> fraction lost by each feature`, shape `(K,)`.
        draws: Per example.
        batch_size: Rows in a batch, at most.
        replacement: What replaces what they lose.

    Returns:
        Both by example and draw.
    """
    predicted: list[list[float]] = [[] for _ in attributions]
    drops: list[list[float]] = [[] for _ in attributions]

    def visit(places: list[int], batch: ExampleBatch, score: Score) -> None:
        results = [attributions[place] for place in places]
        basis, width = results[0].basis, max(1, score.batcher.size)
        coefficients = basis.forward(score.signal)
        other = curve_coefficients(replacement, score, basis, random_streams(results))
        differences = coefficients if other is None else coefficients - other
        rest = None if other is None else basis.inverse(other)
        pairs = [(row, number) for row in range(len(results)) for number in range(draws)]
        sums: list[float] = []
        falls: list[float] = []
        for start in range(0, len(pairs), width):
            chunk = pairs[start : start + width]
            weights = torch.stack([lost(results[row], number) for row, number in chunk])
            rows = torch.tensor([row for row, _ in chunk], device=score.signal.device)
            kept = (1 - weights).to(score.signal)
            signals = basis.inverse(basis.scale_features(differences[rows], kept))
            values = score.value(signals if rest is None else signals + rest[rows], rows).value.tolist()
            sums += [
                float(w.double() @ results[row].scores.double()) for (row, _), w in zip(chunk, weights, strict=True)
            ]
            falls += [results[row].value - value for (row, _), value in zip(chunk, values, strict=True)]
        count_passes(results, draws * batch.rows_per_signal)
        for i, place in enumerate(places):
            draws_of_one = slice(i * draws, (i + 1) * draws)
            predicted[place], drops[place] = sums[draws_of_one], falls[draws_of_one]

    explainer.replay(attributions, visit, batch_size=batch_size)
    return predicted, drops


def _perturbed(
    x: Float[Tensor, "batch *signal"], results: Sequence[Attribution], radius: float, seed: int, number: int
) -> Float[Tensor, "batch *signal"]:
    uniform = ExampleRng(seed, [result.key for result in results]).uniform(x.shape[1:], "perturbation", number)
    return x + radius * (2 * uniform - 1).to(x)


def at_signals(batch: ExampleBatch, score: Score, x: Float[Tensor, "rows *signal"], owner: Tensor) -> Score:
    """The score of other signals in place of a batch's own, row i in place of example `owner[i]`."""
    frozen = list(score.frozen_targets[owner])
    moved = Score(
        x,
        lambda signal, rows: batch.forward(signal, owner[rows]),
        lambda outputs, rows: batch.logits(outputs, owner[rows]),
        score.head,
        [],
        score.batcher,
        batch.rows_per_signal,
        frozen,
        bounds=batch.bounds,
        baseline=lambda: None if batch.baseline is None else batch.baseline[owner],
        model=batch.model,
    )
    moved.hidden = batch.representation
    moved.references = lambda: [replace(known, signal=known.signal[owner]) for known in batch.references]
    return moved


def _relative_change(scores: Tensor, clean: Tensor) -> float:
    size = float(clean.double().norm())
    return float((scores.double() - clean.double()).norm()) / size if size else torch.nan


def count_passes(results: Sequence[Attribution], cost: int) -> None:
    """Add model rows to each result's count of evaluated passes; a copy that shares the provenance keeps its own."""
    for result in results:
        passes = result.provenance["passes"]
        counted = {**passes, "evaluated": passes.get("evaluated", 0) + cost}
        result.provenance = {**result.provenance, "passes": counted}
