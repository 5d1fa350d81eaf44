"""Random parts of the top features, and of the rest, removed within a bound: the columns of F-Fidelity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch

from hf_fourier.domains import Basis
from hf_fourier.errors import InputError
from hf_fourier.evaluation.random_perturbations import Columns, count_passes
from hf_fourier.results.attribution import Attribution
from hf_fourier.scoring.example_batch import BatchSize, ExampleBatch
from hf_fourier.scoring.replacements import curve_coefficients
from hf_fourier.scoring.replay import random_streams
from hf_fourier.scoring.score import Score
from hf_fourier.seeding import ExampleRng
from hf_fourier.typing import Bool, Float, Tensor

if TYPE_CHECKING:
    from hf_fourier.engine import Engine

#: Fractions of the features that are taken for the explanation.
SIZES = (0.05, 0.1, 0.2, 0.4)


def remove_parts(
    explainer: Engine, attributions: Sequence[Attribution], *, sizes: Sequence[float] = SIZES, rate: float = 0.5,
    most: float = 0.1, draws: int = 25, seed: int = 0, batch_size: BatchSize = "auto", replacement: str = "zero",
) -> Columns:  # fmt: skip
    """Remove random parts of the top, and of the rest: 2 × sizes × draws + 1 forward passes per example, 201 in all.

    From the top of each size a random part is removed, `rate` of it, but never more than `most` of all features; from
    the rest likewise. So no perturbed input loses more than a model has seen that was fine-tuned with random removals
    up to `most` (`surrogates.fine_tune_surrogate(…, masks="few")`); pass the explainer of that model.

    Args:
        explainer: Of the model that made the results, or of a fine-tuned copy of it.
        attributions: Results with their examples.
        sizes: Fractions of the features in the top, each above 0 and at most 1.
        rate: Fraction of a part that is removed, above 0 and at most 1.
        most: Fraction of all features that is removed at most, above 0 and at most 1; at least one feature is removed.
        draws: Removals for each size and side, at least 1.
        seed: Of the choice of features.
        batch_size: Rows in a batch, at most.
        replacement: What replaces removed features, as for `FourierExplainer.perturb`.

    Returns:
        The columns `agreement`, `removed_sizes`, `removed_top_decision` and `removed_rest_decision`; a rest of no
        features leaves the example whole.

    Raises:
        InputError: If an argument is out of range, or a result does not hold its example or explains a callable.
    """
    fractions = [*sizes, rate, most]
    if draws < 1 or not len(sizes) or not all(0 < fraction <= 1 for fraction in fractions):
        got = f"sizes {list(sizes)}, rate {rate:g}, most {most:g} and {draws} draws"
        raise InputError(
            got, "fractions above 0 and at most 1, and at least 1 draw", "correct `sizes`, `rate`, `most` or `draws`"
        )
    agreement: list[float] = [0.0] * len(attributions)
    sides: list[list[list[float]]] = [[[]] * len(attributions), [[]] * len(attributions)]
    jobs = [(size, side) for size in sizes for side in (0, 1)]

    def visit(places: list[int], batch: ExampleBatch, score: Score) -> None:
        results = [attributions[place] for place in places]
        other = curve_coefficients(replacement, score, results[0].basis, random_streams(results))
        whole = score.value(score.signal).agreement.tolist()
        for row, place in enumerate(places):
            parts = [part for job in jobs for part in _removals(results[row], *job, draws, rate, most, seed)]
            decisions = _decisions(score, results[0].basis, row, parts, None if other is None else other[row])
            means = decisions.view(len(sizes), 2, draws).mean(2)
            agreement[place] = whole[row]
            sides[0][place], sides[1][place] = means[:, 0].tolist(), means[:, 1].tolist()
        count_passes(results, (1 + len(jobs) * draws) * batch.rows_per_signal)

    explainer.replay(attributions, visit, batch_size=batch_size)
    return {
        "agreement": agreement,  # type: ignore[dict-item]
        "removed_sizes": [list(sizes) for _ in attributions],
        "removed_top_decision": sides[0],
        "removed_rest_decision": sides[1],
    }


def _decisions(
    score: Score, basis: Basis, row: int, parts: Sequence[Callable[[], Tensor]], other: Tensor | None
) -> Float[Tensor, " parts"]:
    """The agreement of one example without each part, which is zero or has another signal's coefficients."""
    own, width = basis.forward(score.signal[row : row + 1])[0], max(1, score.batcher.size)
    found: list[float] = []
    for start in range(0, len(parts), width):
        gone = basis.expand_to_bins(
            torch.stack([part() for part in parts[start : start + width]]).to(score.signal.device)
        )
        kept = basis.inverse(own * ~gone if other is None else torch.where(gone, other, own))
        owner = torch.full((len(gone),), row, device=score.signal.device)
        found += score.value(kept, owner).agreement.tolist()
    return torch.tensor(found, dtype=torch.float64)


def _removals(
    result: Attribution, size: float, side: int, draws: int, rate: float, most: float, seed: int
) -> list[Callable[[], Bool[Tensor, " features"]]]:
    """What makes random parts of the top (side 0) or the rest (side 1): at most `rate` of it and `most` of all."""
    counts, top = result.layout.counts, result.mask(size)
    members = (top if side == 0 else ~top).nonzero().flatten()
    budget = min(rate * float(counts[members].sum()), most * float(counts.sum()))

    def removed(number: int) -> Bool[Tensor, " features"]:
        generator = ExampleRng(seed, [result.key]).generator(0, f"removed {size:g} {side}", number)
        drawn = members[torch.randperm(len(members), generator=generator)]
        chosen = drawn[counts[drawn].cumsum(0) <= budget + 1e-9]
        gone = torch.zeros(len(counts), dtype=torch.bool)
        gone[chosen if len(chosen) else drawn[:1]] = True
        return gone

    return [partial(removed, number) for number in range(draws)]
