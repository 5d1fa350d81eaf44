"""The deletion game for results: each result's own example goes back to the model, with features kept or deleted."""

from __future__ import annotations

from collections.abc import Sequence

from hf_fourier.results.attribution import Attribution
from hf_fourier.results.curve import Curve, CurvePoint, FractionGrid, Mode, PerturbationKey
from hf_fourier.scoring.example_batch import (
    BatchSize,
    BatchSource,
    EncodedExample,
    ExampleBatch,
)
from hf_fourier.scoring.heads.segmentation import Mask
from hf_fourier.scoring.perturbation import Perturbation, curves, perturbations, run_perturbations
from hf_fourier.scoring.replay import _refuse_callables, reopen
from hf_fourier.scoring.score import Score
from hf_fourier.scoring.targets import IGNORED
from hf_fourier.typing import Tensor


def perturb_all(
    results: Sequence[Attribution],
    encoded: Sequence[EncodedExample],
    grid: FractionGrid,
    source: BatchSource,
    batch_size: BatchSize = "auto",
    again: bool = False,
) -> int:
    """Play a grid and merge the stops into each result's curve.

    What is known is not asked: the curve's own stops, shares that leave the same features as one of them, and the
    whole example.

    Args:
        results: What to play.
        encoded: Their examples, as the adapter restored them.
        grid: Shares of features to keep and to delete.
        source: Makes their blocks.
        batch_size: Rows in a batch, at most.
        again: Ask also what is known.

    Returns:
        How often memory ran out.

    Raises:
        InputError: If a result explains a callable.
    """
    _refuse_callables(results)
    questions = [_open_questions(result, grid, again) for result in results]
    unanswered = [i for i, own in enumerate(questions) if own]

    def work(places: list[int], batch: ExampleBatch, score: Score) -> None:
        some = [unanswered[place] for place in places]
        asked = [move.at(row) for row, i in enumerate(some) for move in questions[i]]

        def look(move: Perturbation, answer: Tensor) -> None:
            _store(results[some[move.example]], move.mode, move.fraction, answer)

        stops = run_perturbations(score, results[some[0]].basis, asked, look)
        for i, curve in zip(some, curves(asked, stops, [0.0] * len(some)), strict=True):
            _record(results[i], curve.points, len({stop.key for stop in curve.points}) * batch.rows_per_signal)

    chosen = [results[i] for i in unanswered]
    return reopen(chosen, [encoded[i] for i in unanswered], source, work, batch_size)


def answer_name(part: Mode, asked: float) -> str:
    """Where a result's `extras` keep the mask that was predicted at one stop."""
    return f"mask {part} {asked:g}"


def _open_questions(result: Attribution, grid: FractionGrid, again: bool) -> list[Perturbation]:
    """What has to be asked; whatever is known is recorded at once."""
    wanted = perturbations(0, result.order, result.layout.multiplicity, grid)
    if again:
        return wanted
    if result.curve is not None:
        curve = result.curve
        wanted = [move for move in wanted if curve.find(move.mode, move.fraction) is None]
    known = _known(result)
    told = [move.answered(known[move.key]) for move in wanted if move.key in known]
    for stop in told:
        answer = _answer(result, known[stop.key])
        if answer is not None:
            _store(result, stop.mode, stop.fraction, answer)
    if told:
        _record(result, told, 0)
    return [move for move in wanted if move.key not in known]


def _known(result: Attribution) -> dict[PerturbationKey, CurvePoint]:
    """The stops of a result's curve by what they left, and the whole example where its answer is known in full."""
    known = {stop.key: stop for stop in (result.curve.points if result.curve else ())}
    if result.agreement is not None and (not _is_mask(result) or _counts_everywhere(result)):
        known.setdefault(("keep", 1.0), CurvePoint("keep", 1.0, 1.0, result.value, result.confidence, result.agreement))
    return known


def _is_mask(result: Attribution) -> bool:
    return result.provenance.get("head") == Mask.name


def _counts_everywhere(result: Attribution) -> bool:
    """Whether the frozen mask is the predicted one; it is not where one class alone counts."""
    return result.agreement == 1 and result.frozen_target is not None and int(result.frozen_target.min()) > IGNORED


def _answer(result: Attribution, stop: CurvePoint) -> Tensor | None:
    """The mask that was predicted at a stop."""
    answer = result.extras.get(answer_name(stop.mode, stop.fraction))
    whole = stop.key == ("keep", 1.0) and _is_mask(result)
    return result.frozen_target if answer is None and whole else answer


def _store(result: Attribution, part: Mode, asked: float, answer: Tensor) -> None:
    result.extras = {**result.extras, answer_name(part, asked): answer}


def _record(result: Attribution, stops: Sequence[CurvePoint], cost: int) -> None:
    """Merge stops into a result's curve and add what they cost, in model rows."""
    curve = Curve(tuple(stops), result.value if result.confidence is None else result.confidence)
    result.curve = curve if result.curve is None else result.curve.merged(curve)
    passes = result.provenance["passes"]
    result.provenance["passes"] = {**passes, "perturbed": passes.get("perturbed", 0) + cost}
