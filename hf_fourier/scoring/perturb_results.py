"""Perturbation curves of results: each result's example goes back to the model with features kept or deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from hf_fourier.errors import InputError
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.curve import Curve, CurvePoint, FractionGrid, Mode, PerturbationKey
from hf_fourier.results.ordering import LEADING, SHORT, SORTED, descending_rows, leading, reach, ties_of
from hf_fourier.scoring.example_batch import BatchSize, BatchSource, EncodedExample, ExampleBatch, grouped
from hf_fourier.scoring.heads.segmentation import Mask
from hf_fourier.scoring.perturbation import Perturbation, curves, perturbations, run_perturbations
from hf_fourier.scoring.replacements import check_donors, checked_replacement, curve_coefficients, donors_origin
from hf_fourier.scoring.replay import _refuse_callables, random_streams, reopen
from hf_fourier.scoring.score import Score
from hf_fourier.scoring.targets import IGNORED
from hf_fourier.typing import Tensor


def perturb_all(
    results: Sequence[Attribution],
    encoded: Sequence[EncodedExample],
    grid: FractionGrid,
    source: BatchSource,
    batch_size: BatchSize = "auto",
    overwrite: bool = False,
    replacement: str = "zero",
    donors: Sequence[EncodedExample] = (),
) -> int:
    """Run a grid of perturbations and merge the points into each result's curve.

    Known points are not computed again: the curve's own, fractions that leave the same features as one of them, and
    the whole example.

    Args:
        results: The results to perturb.
        encoded: Their examples, as the model wrapper restored them.
        grid: Fractions of features to keep and to delete.
        source: Makes their batches.
        batch_size: Rows in a batch, at most.
        overwrite: Compute known points again; a curve of another replacement is replaced.
        replacement: What stands in a deleted feature's place, one of `hf_fourier.results.curve.REPLACEMENTS`.
        donors: Other examples, for "example".

    Returns:
        How often memory ran out.

    Raises:
        SpecError: If there is no such replacement.
        InputError: If a result explains a callable or has a curve of another replacement, or other examples are needed
            and there is none of an example's shape.
    """
    checked_replacement(replacement)
    _refuse_callables(results)
    origin = donors_origin(donors) if replacement == "example" else None
    if not overwrite:
        _refuse_other_curves(results, replacement, origin)
    split = [_split(result, grid, overwrite) for result in ordered(results)]
    pending = [i for i, (unknown, _) in enumerate(split) if unknown]
    chosen, examples = [results[i] for i in pending], [encoded[i] for i in pending]
    if replacement == "example":
        check_donors(examples, [result.key for result in chosen], donors)
    for result, (_, points) in zip(results, split, strict=True):
        _record_known(result, Curve(points, 0.0, replacement), origin)

    def visit(indices: list[int], batch: ExampleBatch, score: Score) -> None:
        members = [pending[index] for index in indices]
        rows = _in_rows([split[i][0] for i in members])

        def store(request: Perturbation, mask: Tensor) -> None:
            _store(results[members[request.example]], request.mode, request.fraction, mask)

        basis, rng = results[members[0]].basis, random_streams([results[i] for i in members])
        points = run_perturbations(score, basis, rows, store, curve_coefficients(replacement, score, basis, rng))
        for i, curve in zip(members, curves(rows, points, [0.0] * len(members), replacement), strict=True):
            cost = len({point.key for point in curve.points}) * batch.rows_per_signal
            _record(results[i], curve, cost, origin)

    return reopen(chosen, examples, source, visit, batch_size, donors)


def _in_rows(requests: Sequence[Sequence[Perturbation]]) -> list[Perturbation]:
    """The perturbations of a batch's examples, each with its example's place in the batch."""
    for row, own in enumerate(requests):
        for request in own:
            request.example = row
    return [request for own in requests for request in own]


def ordered(results: Sequence[Attribution]) -> Sequence[Attribution]:
    """The results, those with few features and no order yet sorted together."""
    short = [
        result
        for result in results
        if not {"order", SORTED, LEADING} & vars(result).keys() and len(result.scores) <= SHORT and result.scores.is_cpu
    ]
    for members in grouped(short, lambda result: (len(result.scores), result.scores.dtype)):
        own = [short[i] for i in members]
        ties = [partial(_ties, result) for result in own]
        for result, order in zip(own, descending_rows(torch.stack([r.scores for r in own]), ties), strict=True):
            vars(result)["order"] = order
    return results


def _ties(result: Attribution) -> torch.Generator:
    return ties_of(result.provenance, result.key)


def _donors(result: Attribution) -> dict[str, Any] | None:
    """The origin of the other examples' features along a result's curve; None where there are none."""
    found: dict[str, Any] | None = result.provenance.get("curve_donors")
    return found


def _refuse_other_curves(results: Sequence[Attribution], replacement: str, donors: dict[str, Any] | None) -> None:
    """Refuse results whose curve has another replacement.

    Raises:
        InputError: If there is one.
    """
    for result in results:
        if result.curve is None:
            continue
        known, wanted = result.curve.replacement, replacement
        if known == wanted and donors != _donors(result):
            known, wanted = "features of other donors", "those of these donors"
        if known != wanted:
            got = f"a result whose curve replaces deleted features by {known}"
            do = "pass overwrite=True to replace it, or explain the example again"
            raise InputError(got, f"one with {wanted}, or without a curve", do)


def answer_name(mode: Mode, fraction: float) -> str:
    """The name in a result's `extras` of the mask that was predicted at one point."""
    return f"mask {mode} {fraction:g}"


def _split(
    result: Attribution, grid: FractionGrid, overwrite: bool
) -> tuple[list[Perturbation], tuple[CurvePoint, ...]]:
    """The perturbations that have to run, and the points of the others, which are known from the same features."""
    counts = result.layout.counts
    selected = LEADING in vars(result)  # the top alone, by an accelerator
    order = leading(result, reach(counts, max(grid.fractions))) if selected else result.order
    requests = perturbations(0, order, counts, grid)
    if overwrite:
        return requests, ()
    if result.curve is not None:
        curve = result.curve
        requests = [request for request in requests if curve.find(request.mode, request.fraction) is None]
    known = _known(result)
    points = tuple(request.relabel(known[request.key]) for request in requests if request.key in known)
    return [request for request in requests if request.key not in known], points


def _record_known(result: Attribution, curve: Curve, donors: dict[str, Any] | None) -> None:
    """Record points that are known from the same features, with the masks of those."""
    if not curve.points:
        return
    known = _known(result)
    for point in curve.points:
        mask = _mask_at(result, known[point.key])
        if mask is not None:
            _store(result, point.mode, point.fraction, mask)
    _record(result, curve, 0, donors)


def _known(result: Attribution) -> dict[PerturbationKey, CurvePoint]:
    """The points of a result's curve by the features that they leave, and the whole example if it is known in full."""
    known = {point.key: point for point in (result.curve.points if result.curve else ())}
    if result.agreement is not None and (not _is_mask(result) or _counts_everywhere(result)):
        known.setdefault(("keep", 1.0), CurvePoint("keep", 1.0, 1.0, result.value, result.confidence, result.agreement))
    return known


def _is_mask(result: Attribution) -> bool:
    return result.provenance.get("head") == Mask.name


def _counts_everywhere(result: Attribution) -> bool:
    """Whether the frozen mask is the predicted one; it is not where one class alone counts."""
    return result.agreement == 1 and result.frozen_target is not None and int(result.frozen_target.min()) > IGNORED


def _mask_at(result: Attribution, point: CurvePoint) -> Tensor | None:
    """The mask that was predicted at a point."""
    mask = result.extras.get(answer_name(point.mode, point.fraction))
    whole = point.key == ("keep", 1.0) and _is_mask(result)
    return result.frozen_target if mask is None and whole else mask


def _store(result: Attribution, mode: Mode, fraction: float, mask: Tensor) -> None:
    result.extras = {**result.extras, answer_name(mode, fraction): mask}


def _record(result: Attribution, points: Curve, cost: int, donors: dict[str, Any] | None) -> None:
    """Merge points into a result's curve and add what they cost, in model rows.

    A curve with another replacement is dropped, with its masks.

    Args:
        result: The result.
        points: The points, with what stood there.
        cost: Model rows.
        donors: The origin of other examples' features, if these stood there.
    """
    clean = result.value if result.confidence is None else result.confidence
    curve, before = replace(points, clean=clean), result.curve
    if before is not None and (before.replacement, _donors(result)) != (curve.replacement, donors):
        names = [{answer_name(point.mode, point.fraction) for point in one.points} for one in (before, curve)]
        stale = names[0] - names[1]
        result.extras = {name: value for name, value in result.extras.items() if name not in stale}
        before = None
    result.curve = curve if before is None else before.merged(curve)
    kept = {name: value for name, value in result.provenance.items() if name != "curve_donors"}
    result.provenance = kept if donors is None else {**kept, "curve_donors": donors}
    passes = result.provenance["passes"]
    result.provenance["passes"] = {**passes, "perturbed": passes.get("perturbed", 0) + cost}
