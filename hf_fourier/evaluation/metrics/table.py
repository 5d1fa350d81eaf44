"""Played results as one table of plain columns, one row per example: what the `evaluate` modules read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hf_fourier.errors import InputError
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.curve import SAME, Curve, CurvePoint, Mode

#: A column holds one entry per example.
Table = Mapping[str, Sequence[Any]]

#: What each column holds: (its kind, what it is). Lists may be of any length, and differ from row to row.
COLUMNS: dict[str, tuple[str, str]] = {
    "group": ("text", "what the example was made from: intervals draw whole groups; empty for the example itself"),
    "label": ("text", "the explained label, for metrics over classes"),
    "clean": ("number", "the confidence of the whole example (its value, where the head has no confidence)"),
    "kept": ("numbers", "shares of the features, 0 to 1, whose top was kept alone"),
    "kept_confidence": ("numbers", "the confidence at each of them; NaN where the head has none"),
    "kept_decision": ("numbers", "the share of the decisions that are kept at each of them (for masks the Dice)"),
    "deleted": ("numbers", "shares of the features, 0 to 1, whose top was deleted"),
    "deleted_confidence": ("numbers", "the confidence at each of them; NaN where the head has none"),
    "deleted_decision": ("numbers", "the share of the decisions that are kept at each of them"),
    "wrong_kept": ("numbers", "kept shares of the rankings for wrong labels"),
    "wrong_reached": ("numbers", "the share of the wrong labels that the model says at each of them"),
    "subset_scores": ("numbers", "the sum of the scores of each random subset of features"),
    "subset_drops": ("numbers", "how much the score s falls without each subset"),
    "noise_predicted": ("numbers", "what the scores predict for each random perturbation of the features"),
    "noise_drops": ("numbers", "how much the score s falls under each perturbation"),
    "score_changes": ("numbers", "the relative change of the scores under each small change of the input"),
    "top": ("indices", "the features on top"),
    "features": ("index", "how many features there are"),
}
#: The confidences while the top features are kept alone, and while they are deleted.
KEEP_COLUMNS, DELETE_COLUMNS = ("kept", "kept_confidence"), ("deleted", "deleted_confidence")


def columns(
    attributions: Sequence[Attribution],
    *,
    groups: Sequence[str] | None = None,
    wrong: Sequence[Sequence[Attribution]] | None = None,
    top: float | None = None,
) -> dict[str, list[Any]]:
    """One row per result: what was played, in the columns that all metrics share.

    What `metrics.asking` records is more columns: `{**columns(results), **random_subsets(explainer, results)}`.

    Args:
        attributions: Played results.
        groups: What each example was made from; None for an example each.
        wrong: For each of them the played results of the same example for wrong labels (`wrong_labels.wrong_labels`).
        top: The share of features that `top` holds, 0 to 1; None for no such columns.

    Raises:
        InputError: If a result was not played, or there is not one group or list of wrong results for each.
    """
    for name, given in (("groups", groups), ("wrong", wrong)):
        if given is not None and len(given) != len(attributions):
            raise InputError(
                f"{len(given)} {name} for {len(attributions)} results", "one for each", f"correct `{name}`"
            )
    curves = [_curve(result) for result in attributions]
    table: dict[str, list[Any]] = {
        "group": [""] * len(curves) if groups is None else [str(group) for group in groups],
        "label": [result.label for result in attributions],
        "clean": [curve.clean for curve in curves],
    }
    names: tuple[tuple[str, Mode], ...] = (("kept", "keep"), ("deleted", "delete"))
    for name, part in names:
        stops = [curve.of(part) for curve in curves]
        table[name] = [[stop.fraction for stop in own] for own in stops]
        table[f"{name}_confidence"] = [
            [math.nan if s.confidence is None else s.confidence for s in own] for own in stops
        ]
        table[f"{name}_decision"] = [[stop.agreement for stop in own] for own in stops]
    if wrong is not None:
        from hf_fourier.results.curve import common_fractions, reaches_label

        others = [[_curve(result) for result in results] for results in wrong]
        table["wrong_kept"] = [common_fractions(own) for own in others]
        table["wrong_reached"] = [[reaches_label(own, share) for share in common_fractions(own)] for own in others]
    if top is not None:
        table["top"] = [result.mask(top).nonzero().flatten().tolist() for result in attributions]
        table["features"] = [len(result.scores) for result in attributions]
    return table


def curves_of(table: Table) -> list[Curve]:
    """The curves that a table holds, as far as its columns go."""
    parts: list[tuple[Mode, str]] = [("keep", "kept"), ("delete", "deleted")]
    rows = len(next(iter(table.values()), ()))
    clean = table.get("clean", [math.nan] * rows)
    return [
        Curve(tuple(stop for part, name in parts for stop in _stops(table, i, part, name)), clean[i])
        for i in range(rows)
    ]


def wrong_reached(table: Table, row: int, share: float) -> float:
    """The share of wrong labels that were reached at one kept share of one row.

    Raises:
        InputError: If the share was not played.
    """
    for played, rate in zip(table["wrong_kept"][row], table["wrong_reached"][row], strict=True):
        if abs(played - share) < SAME:
            return float(rate)
    got = f"wrong labels that were not played at {share:g}"
    raise InputError(got, "ones that were", "give `wrong_labels.wrong_labels` a grid that keeps it")


def _stops(table: Table, row: int, part: Mode, name: str) -> Iterable[CurvePoint]:
    if name not in table:
        return
    shares = table[name][row]
    unknown = [math.nan] * len(shares)
    sure = table[f"{name}_confidence"][row] if f"{name}_confidence" in table else unknown
    decided = table[f"{name}_decision"][row] if f"{name}_decision" in table else unknown
    if not len(shares) == len(sure) == len(decided):
        got = f"row {row}: {len(shares)} shares in {name!r}, {len(sure)} confidences, {len(decided)} decisions"
        raise InputError(got, "one of each for every share", "make the table with `columns`")
    for share, confidence, decision in zip(shares, sure, decided, strict=True):
        yield CurvePoint(part, share, share, math.nan, None if math.isnan(confidence) else confidence, decision)


def _curve(result: Attribution) -> Curve:
    if result.curve is None:
        raise InputError(
            "a result that was not played", "one with a curve", "call explainer.perturb(results, STANDARD)"
        )
    return result.curve
