"""The table that all metrics read: perturbed results as plain columns, one row per example."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from hf_fourier.errors import InputError
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.curve import (
    SAME,
    Curve,
    CurvePoint,
    Mode,
    common_fractions,
    common_replacement,
    reaches_label,
)
from hf_fourier.results.gene_groups import group_name

#: A column holds one entry per example.
Table = Mapping[str, Sequence[Any]]

#: What each column holds: (its kind, what it is). Lists may be of any length, and differ from row to row.
COLUMNS: dict[str, tuple[str, str]] = {
    "group": ("text", "source of the example; the bootstrap draws whole groups; empty for an independent example"),
    "label": ("text", "the explained label, for metrics over classes"),
    "clean": ("number", "the confidence of the whole example (its value, where the head has no confidence)"),
    "kept": ("numbers", "kept fractions of the features, 0 to 1"),
    "kept_confidence": ("numbers", "the confidence at each of them; NaN where the head has none"),
    "kept_decision": ("numbers", "the fraction of the predictions that are kept at each of them (for masks the Dice)"),
    "deleted": ("numbers", "deleted fractions of the features, 0 to 1"),
    "deleted_confidence": ("numbers", "the confidence at each of them; NaN where the head has none"),
    "deleted_decision": ("numbers", "the fraction of the predictions that are kept at each of them"),
    "wrong_kept": ("numbers", "kept fractions of the rankings for wrong labels"),
    "wrong_reached": ("numbers", "the fraction of the wrong labels that are predicted at each of them"),
    "subset_scores": ("numbers", "the sum of the scores of each random subset of features"),
    "subset_drops": ("numbers", "the drop of the model's score when each subset is deleted"),
    "noise_predicted": ("numbers", "the drop that the scores predict for each random perturbation of the features"),
    "noise_drops": ("numbers", "the drop of the model's score under each perturbation"),
    "score_changes": ("numbers", "the relative change of the scores under each small change of the input"),
    "swapped_decision": ("numbers", "the fraction of predictions of the label when the top has other examples' values"),
    "agreement": ("number", "the fraction of predictions of the whole example that are the label"),
    "removed_sizes": ("numbers", "fractions of the features in the top, 0 to 1"),
    "removed_top_decision": ("numbers", "for each size, predictions of the label without random parts of the top"),
    "removed_rest_decision": ("numbers", "for each size, predictions of the label without random parts of the rest"),
    "scores": ("numbers", "the score of each feature"),
    "kept_l1": ("numbers", "the share of the ℓ1 norm of the coefficients in each kept fraction, 0 to 1"),
    "kept_signal_l1": ("numbers", "the ℓ1 norm of the signal of each kept fraction, relative to the whole's"),
    "truth": ("indices", "the features that are known to determine the label"),
    "top": ("indices", "the top features"),
    "features": ("index", "how many features there are"),
}
#: The columns that the content of explanations is read from.
CONTENT = {"scores", "kept_l1", "kept_signal_l1"}
#: The confidences while the top features are kept alone, and while they are deleted.
KEEP_COLUMNS, DELETE_COLUMNS = ("kept", "kept_confidence"), ("deleted", "deleted_confidence")


def columns(
    attributions: Sequence[Attribution],
    *,
    groups: Sequence[str] | None = None,
    wrong: Sequence[Sequence[Attribution]] | None = None,
    top: float | None = None,
    content: bool = False,
    truth: Sequence[Any] | None = None,
) -> dict[str, list[Any]]:
    """One row per result, in the columns that all metrics share.

    `random_perturbations` adds more columns: `{**columns(results), **delete_random_subsets(explainer, results)}`.

    Args:
        attributions: Perturbed results.
        groups: The group of each example; None for a group each.
        wrong: For each of them the perturbed results of its example for wrong labels (`wrong_labels.wrong_labels`).
        top: The fraction of features that `top` holds, 0 to 1; None for no such columns.
        content: Whether to add `scores`, `kept_l1` and `kept_signal_l1`, which takes an inverse transform a fraction;
            the latter two only where deleted features are zero, as they measure what is kept alone.
        truth: For each of them which features are known to decide, truth values (or 0 and 1) of shape `(K,)`.

    Raises:
        InputError: If a result has no curve, there is not one group, list of wrong results or mask of the truth for
            each, a mask has another shape or other values, the curves differ in what replaced deleted features, or
            `top` is given and the results are of several domains, whose features cannot be compared.
    """
    for name, given in (("groups", groups), ("wrong", wrong), ("truth", truth)):
        if given is not None and len(given) != len(attributions):
            raise InputError(
                f"{len(given)} {name} for {len(attributions)} results", "one for each", f"correct `{name}`"
            )
    curves = [_curve(result) for result in attributions]
    replacement = common_replacement([*curves, *(_curve(result) for results in wrong or () for result in results)])
    table: dict[str, list[Any]] = {
        "group": [""] * len(curves) if groups is None else list(map(group_name, groups)),
        "label": [result.label for result in attributions],
        "clean": [curve.clean for curve in curves],
    }
    names: tuple[tuple[str, Mode], ...] = (("kept", "keep"), ("deleted", "delete"))
    for name, mode in names:
        points = [curve.of(mode) for curve in curves]
        table[name] = [[point.fraction for point in row] for row in points]
        table[f"{name}_confidence"] = [
            [math.nan if point.confidence is None else point.confidence for point in row] for row in points
        ]
        table[f"{name}_decision"] = [[point.agreement for point in row] for row in points]
    if wrong is not None:
        wrong_curves = [[_curve(result) for result in results] for results in wrong]
        table["wrong_kept"] = [common_fractions(row) for row in wrong_curves]
        table["wrong_reached"] = [[reaches_label(row, at) for at in common_fractions(row)] for row in wrong_curves]
    if top is not None:
        table |= _tops(attributions, top)
    if truth is not None:
        table["truth"] = [_indices(mask, result) for mask, result in zip(truth, attributions, strict=True)]
    if not content:
        return table
    found = _content(attributions, table["kept"])
    return table | (found if replacement == "zero" else {"scores": found["scores"]})


def _tops(attributions: Sequence[Attribution], top: float) -> dict[str, list[Any]]:
    """The top features of results of one domain, and how many features there are."""
    if len(domains := sorted({result.layout.domain for result in attributions})) > 1:
        raise InputError(f"top features in {', '.join(domains)}", "in one domain", "explain them alike")
    return {
        "top": [result.mask(top).nonzero().flatten().tolist() for result in attributions],
        "features": [len(result.scores) for result in attributions],
    }


def _indices(mask: Any, result: Attribution) -> list[int]:
    """The features that a mask of the truth marks."""
    values = np.asarray(mask)
    if values.shape != (len(result.scores),) or not np.isin(values, (0, 1)).all():
        got = f"a mask of the truth of shape {values.shape} and type {values.dtype} for {len(result.scores)} features"
        raise InputError(got, "truth values (or 0 and 1), one for each feature", "correct `truth`")
    return np.flatnonzero(values).tolist()


def _content(attributions: Sequence[Attribution], kept: Sequence[Sequence[float]]) -> dict[str, list[Any]]:
    """The columns of `CONTENT`."""
    pairs = [_kept_content(result, row) for result, row in zip(attributions, kept, strict=True)]
    shares, sizes = ([pair[i] for pair in pairs] for i in (0, 1))
    return {"scores": [a.scores.tolist() for a in attributions], "kept_l1": shares, "kept_signal_l1": sizes}


def _kept_content(result: Attribution, fractions: Sequence[float]) -> tuple[list[float], list[float]]:
    """The shares of the ℓ1 norms of coefficients and signal that each kept fraction of one result has."""
    parts = [result.mask(fraction) for fraction in fractions]
    roots = result.coefficients.unsqueeze(0).abs().sqrt()
    sizes = result.basis.inner(roots, roots)[0]  # the sum of the moduli over all bins of each feature
    kept = [float(result.keep_top(fraction).abs().sum()) for fraction in fractions]
    whole, size = float(sizes.sum()), float(result.keep_top(1.0).abs().sum())
    shares = [float(sizes[part].sum()) / whole if whole else math.nan for part in parts]
    return shares, [part / size if size else math.nan for part in kept]


def curves_of(table: Table) -> list[Curve]:
    """The curves that a table holds, as far as its columns go."""
    modes: list[tuple[Mode, str]] = [("keep", "kept"), ("delete", "deleted")]
    rows = len(next(iter(table.values()), ()))
    clean = table.get("clean", [math.nan] * rows)
    return [
        Curve(tuple(point for mode, name in modes for point in _points(table, i, mode, name)), clean[i])
        for i in range(rows)
    ]


def kept_decisions(table: Table, fractions: Sequence[float]) -> list[list[float]]:
    """The fraction of each row's decisions that are the frozen ones at each of these kept fractions.

    Raises:
        InputError: If a row has no such fraction.
    """
    found = _looked_up(table.get("kept", ()), table.get("kept_decision", ()), fractions)
    return [curve.decisions("keep", fractions) for curve in curves_of(table)] if found is None else found


def wrong_reached_at(table: Table, fractions: Sequence[float]) -> list[list[float]]:
    """`wrong_reached` of each row at each of these kept fractions; errors likewise."""
    found = _looked_up(table["wrong_kept"], table["wrong_reached"], fractions)
    if found is not None:
        return found
    return [[wrong_reached(table, i, fraction) for fraction in fractions] for i in range(len(table["wrong_kept"]))]


def common_kept(table: Table) -> list[float]:
    """The fractions that are kept in every row, in growing order."""
    rows = [list(row) for row in table.get("kept", ())]
    if rows and all(row == rows[0] for row in rows):
        return sorted(rows[0])
    return common_fractions(curves_of(table))


def _looked_up(
    keys: Sequence[Sequence[float]], values: Sequence[Sequence[float]], fractions: Sequence[float]
) -> list[list[float]] | None:
    """Each row's values at these fractions; None where one is not among them to the last digit, or rows do not fit."""
    if len(keys) != len(values) or not len(keys):
        return None
    found: list[list[float]] = []
    wanted = set(fractions)
    for own, row in zip(keys, values, strict=True):
        known = dict(zip(own, row, strict=False)) if len(own) == len(row) else {}
        if not known.keys() >= wanted:
            return None
        found.append([float(known[fraction]) for fraction in fractions])
    return found


def wrong_reached(table: Table, row: int, fraction: float) -> float:
    """The fraction of wrong labels that are predicted at one kept fraction of one row.

    Raises:
        InputError: If the row has no such fraction.
    """
    for kept, rate in zip(table["wrong_kept"][row], table["wrong_reached"][row], strict=True):
        if abs(kept - fraction) < SAME:
            return float(rate)
    got = f"results for wrong labels whose curves do not keep the fraction {fraction:g}"
    do = f"pass `wrong_labels.wrong_labels` a FractionGrid that keeps {fraction:g}, as grid=FractionGrid(keep=[…])"
    raise InputError(got, "curves with it", do)


def _points(table: Table, row: int, mode: Mode, name: str) -> Iterable[CurvePoint]:
    if name not in table:
        return
    fractions = table[name][row]
    unknown = [math.nan] * len(fractions)
    confidences = table[f"{name}_confidence"][row] if f"{name}_confidence" in table else unknown
    agreements = table[f"{name}_decision"][row] if f"{name}_decision" in table else unknown
    if not len(fractions) == len(confidences) == len(agreements):
        counts = f"{len(fractions)} fractions in {name!r}, {len(confidences)} confidences, {len(agreements)} decisions"
        raise InputError(f"row {row}: {counts}", "one of each for every fraction", "make the table with `columns`")
    for fraction, confidence, agreement in zip(fractions, confidences, agreements, strict=True):
        known = None if math.isnan(confidence) else confidence
        yield CurvePoint(mode, fraction, fraction, math.nan, known, agreement)


def _curve(result: Attribution) -> Curve:
    if result.curve is None:
        raise InputError(
            "a result without a curve", "a perturbed one", "call explainer.perturb(results, metrics.DEFAULT_GRID)"
        )
    return result.curve
