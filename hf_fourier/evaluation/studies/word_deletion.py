"""What the prediction of a text loses without each word, and the predictions from low and high frequencies alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from hf_fourier.domains import DOMAINS, SignalShape
from hf_fourier.errors import InputError
from hf_fourier.evaluation.random_perturbations import count_passes
from hf_fourier.models.encoding import restore
from hf_fourier.models.inspection import eval_mode
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.words import LEFT, LOST, PARTS, THEME, is_text, word_numbers
from hf_fourier.scoring.example_batch import BatchSize, ExampleBatch
from hf_fourier.scoring.heads import Reading
from hf_fourier.scoring.replay import reopen
from hf_fourier.scoring.score import Score
from hf_fourier.torch_state import exact
from hf_fourier.typing import Float, Tensor

if TYPE_CHECKING:
    from hf_fourier.engine import Engine

#: Texts without a word that are made at once, so that few lie in memory.
AT_ONCE = 32


@exact
def delete_words(explainer: Engine, attributions: Sequence[Attribution], batch_size: BatchSize = "auto") -> None:
    """Add to results of texts what is lost without each word: one forward pass per word, and two per text.

    A word's tokens are replaced by those of the first reference of contributions (masked; padded; else their average).
    `extras` get, by position, "word_lost" (the fall of the score without the word there) and "word_left" (the
    confidence without it, where the head has one), and "word_parts", the predictions from low and from high
    frequencies alone.

    Args:
        explainer: Of the model that made the results.
        attributions: Results of texts; changed in place.
        batch_size: Rows in a batch, at most.

    Raises:
        InputError: If a result is not of a text, or holds no example.
    """
    for result in attributions:
        if not is_text(result):
            got = f"words of {result.layout.signal.kind}, or of a compact result"
            raise InputError(
                got, "results of texts, with their examples", "explain texts; of other inputs call explain"
            )

    def visit(places: list[int], batch: ExampleBatch, score: Score) -> None:
        absent = score.references()[0].signal
        for row, place in enumerate(places):
            _ask(attributions[place], score, row, absent[row].expand(score.signal[row].shape))

    with eval_mode(explainer.model):
        encoded = [restore(explainer.wrapper, result) for result in attributions]
        reopen(attributions, encoded, explainer.wrapper, visit, batch_size)


def _ask(result: Attribution, score: Score, row: int, absent: Float[Tensor, "*signal"]) -> None:
    """Ask about one text; `row` is its place in the batch, `absent` the signal of no word."""
    x = score.signal[row]
    numbers = torch.from_numpy(word_numbers(result)).to(x.device)
    count = int(numbers[-1]) + 1

    def read(rows: Tensor) -> Reading:
        return score.value(rows, torch.full((len(rows),), row, device=x.device))

    lost, left = [], []
    for first in range(0, count, AT_ONCE):
        which = torch.arange(first, min(first + AT_ONCE, count), device=x.device)
        gone = (numbers == which.unsqueeze(1)).view(len(which), -1, *[1] * (x.ndim - 1))
        reading = read(torch.where(gone, absent, x))
        lost.append(result.value - reading.value.cpu().double())
        left.append(None if reading.confidence is None else reading.confidence.cpu().double())
    place, known = numbers.cpu(), [part for part in left if part is not None]
    extras = {**result.extras, LOST: torch.cat(lost)[place].float()}
    if known:
        extras[LEFT] = torch.cat(known)[place].float()
    reading = read(_theme_and_words(x, result.layout.signal))
    extras[PARTS] = {
        name: {
            "value": float(reading.value[i]),
            "confidence": None if reading.confidence is None else float(reading.confidence[i]),
            "agreement": float(reading.agreement[i]),
        }
        for i, name in enumerate(("theme", "single"))
    }
    result.extras = extras
    count_passes([result], (count + 2) * score.cost)


def _theme_and_words(x: Float[Tensor, "*signal"], signal: SignalShape) -> Float[Tensor, "2 *signal"]:
    """The part of a text that changes over `THEME` tokens and more, its mean included, and the rest."""
    basis = DOMAINS.parse("fourier").bind(signal)
    (column,) = basis.layout.with_role("frequency")
    slow = (torch.as_tensor(column.values).double().abs() <= 1 / THEME + 1e-9).to(x.device)
    return basis.keep_features(basis.forward(x.expand(2, *x.shape)), torch.stack([slow, ~slow]))
