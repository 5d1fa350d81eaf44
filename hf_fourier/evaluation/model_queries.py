"""Questions to the model that some metrics need beside the curves. They return columns, or results to make them from.

Every answer is seeded per example, so that it does not depend on the batch. What was asked is counted in the results'
`provenance["passes"]["evaluated"]`, in model rows that went forward.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch

from hf_fourier.errors import InputError
from hf_fourier.methods import METHODS
from hf_fourier.results.attribution import Attribution
from hf_fourier.scoring.example_batch import BatchSize, ExampleBatch, grouped
from hf_fourier.scoring.score import Score
from hf_fourier.seeding import ExampleRng
from hf_fourier.typing import Float, Tensor

if TYPE_CHECKING:
    from hf_fourier.engine import Engine

Columns = dict[str, list[list[float]]]


def delete_random_subsets(
    explainer: Engine,
    attributions: Sequence[Attribution],
    *,
    fraction: float = 0.2,
    draws: int = 200,
    seed: int = 0,
    batch_size: BatchSize = "auto",
) -> Columns:
    """Delete random subsets of features, for μ-fidelity: `draws` forward passes per example.

    Args:
        explainer: Of the model that made the results.
        attributions: Results with their examples.
        fraction: Fraction of the features (their number) in a subset, above 0 and up to 1; at least one feature.
        draws: Subsets per example.
        seed: Of the subsets.
        batch_size: Rows in a batch, at most.

    Returns:
        The columns `subset_scores` and `subset_drops`.

    Raises:
        InputError: If `fraction` is out of range, or a result does not hold its example or explains a callable.
    """
    if not 0 < fraction <= 1:
        raise InputError(f"fraction {fraction!r}", "a number above 0 and up to 1", "correct it")

    def lost(result: Attribution, number: int) -> Tensor:
        features = len(result.scores)
        own = ExampleRng(seed, [result.key]).generator(0, "subset", number)
        taken = torch.zeros(features, dtype=torch.float32)
        taken[torch.randperm(features, generator=own)[: max(1, round(fraction * features))]] = 1
        return taken

    given, drops = _score_drops(explainer, attributions, lost, draws, batch_size)
    return {"subset_scores": given, "subset_drops": drops}


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
        own = ExampleRng(seed, [result.key]).generator(0, "noise", number)
        return size * torch.randn(len(result.scores), generator=own, dtype=torch.float32)

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

    def ask(members: list[int]) -> None:
        """All results of one method."""
        method = METHODS.parse(attributions[members[0]].provenance["method"])

        def work(places: list[int], block: ExampleBatch, score: Score) -> None:
            some = [attributions[members[place]] for place in places]
            at_once, forward = max(1, score.batcher.size // len(some)), 0
            found: list[list[float]] = [[] for _ in some]
            for start in range(0, draws, at_once):
                numbers = range(start, min(start + at_once, draws))
                moved = torch.cat([_perturbed(score.signal, some, radius, seed, number) for number in numbers])
                owner = torch.arange(len(some), device=score.signal.device).repeat(len(numbers))
                copies = at_signals(block, score, moved, owner)
                rng = ExampleRng(int(some[0].provenance["seed"]), [some[i].key for i in owner.tolist()])
                scores = method.attribute(copies, moved, some[0].basis, rng).scores.detach().cpu()
                forward += copies.passes.forward
                for i, own in zip(owner.tolist(), scores, strict=True):
                    found[i].append(_relative_change(own, some[i].scores))
            count_passes(some, forward // len(some))
            for place, own_changes in zip(places, found, strict=True):
                changes[members[place]] = own_changes

        explainer.replay([attributions[i] for i in members], work, batch_size=batch_size)

    for members in grouped(attributions, lambda result: result.provenance["method"]):
        ask(members)
    return {"score_changes": changes}


def _score_drops(
    explainer: Engine,
    attributions: Sequence[Attribution],
    lost: Callable[[Attribution, int], Tensor],
    draws: int,
    batch_size: BatchSize,
) -> tuple[list[list[float]], list[list[float]]]:
    """What scores predict and what happens as features lose a fraction of their amplitude, per example and draw.

    Args:
        explainer: Of the model that made the results.
        attributions: Results with their examples.
        lost: `(result, number of the draw) -> fraction lost by each feature`, shape `(K,)`.
        draws: Per example.
        batch_size: Rows in a batch, at most.
    """
    predicted: list[list[float]] = [[] for _ in attributions]
    drops: list[list[float]] = [[] for _ in attributions]

    def work(places: list[int], block: ExampleBatch, score: Score) -> None:
        some = [attributions[place] for place in places]
        basis, width = some[0].basis, max(1, score.batcher.size)
        coefficients = basis.forward(score.signal)
        questions = [(row, number) for row in range(len(some)) for number in range(draws)]
        said: list[float] = []
        fell: list[float] = []
        for start in range(0, len(questions), width):
            chunk = questions[start : start + width]
            taken = torch.stack([lost(some[row], number) for row, number in chunk])
            rows = torch.tensor([row for row, _ in chunk], device=score.signal.device)
            left = (1 - taken).to(score.signal)
            values = score.value(basis.inverse(basis.scale_features(coefficients[rows], left)), rows).value.tolist()
            said += [float(t.double() @ some[row].scores.double()) for (row, _), t in zip(chunk, taken, strict=True)]
            fell += [some[row].value - value for (row, _), value in zip(chunk, values, strict=True)]
        count_passes(some, draws * block.rows_per_signal)
        for i, place in enumerate(places):
            own = slice(i * draws, (i + 1) * draws)
            predicted[place], drops[place] = said[own], fell[own]

    explainer.replay(attributions, work, batch_size=batch_size)
    return predicted, drops


def _perturbed(
    x: Float[Tensor, "batch *signal"], some: Sequence[Attribution], radius: float, seed: int, number: int
) -> Float[Tensor, "batch *signal"]:
    uniform = ExampleRng(seed, [result.key for result in some]).uniform(x.shape[1:], "perturbation", number)
    return x + radius * (2 * uniform - 1).to(x)


def at_signals(block: ExampleBatch, score: Score, x: Float[Tensor, "rows *signal"], owner: Tensor) -> Score:
    """The score of other signals in place of a block's own, row i in place of example `owner[i]`."""
    frozen = list(score.frozen_targets[owner])
    return Score(
        x,
        lambda signal, rows: block.forward(signal, owner[rows]),
        lambda outputs, rows: block.logits(outputs, owner[rows]),
        score.head,
        [],
        score.batcher,
        block.rows_per_signal,
        frozen,
        bounds=block.bounds,
        baseline=lambda: None if block.baseline is None else block.baseline[owner],
        model=block.model,
    )


def _relative_change(now: Tensor, then: Tensor) -> float:
    size = float(then.double().norm())
    return float((now.double() - then.double()).norm()) / size if size else torch.nan


def count_passes(some: Sequence[Attribution], cost: int) -> None:
    """Add to each result what it was asked, in model rows."""
    for result in some:
        passes = result.provenance["passes"]
        result.provenance["passes"] = {**passes, "evaluated": passes.get("evaluated", 0) + cost}
