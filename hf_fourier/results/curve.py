"""Perturbation curves: the predictions as features are kept or deleted, for metrics and plots."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal, TypedDict

import numpy as np

from hf_fourier.errors import CHECKS, InputError, checked, real_number, whole_number
from hf_fourier.results import formats

Mode = Literal["keep", "delete"]
#: What may stand in a deleted feature's place; see `hf_fourier.scoring.replacements.replacement_coefficients`.
REPLACEMENTS = ("zero", "noise", "phase", "band", "reference", "example")
#: What to do about curves without fractions in common.
SAME_FRACTIONS = "perturb all results with the same fractions: explainer.perturb(results, fractions=[…])"


class CurveKeywords(TypedDict, total=False):
    """What else a function that perturbs takes: `replacement`, one of `REPLACEMENTS`."""

    replacement: str


#: Which features are left: a mode with its actual fraction. The ends have one name each.
PerturbationKey = tuple[Mode, float]
#: Fractions that differ by less are equal (0.3 and 3 * 0.1).
SAME = 1e-9


def canonical_perturbation(mode: Mode, fraction: float) -> PerturbationKey:
    """Which features are left: keeping all is deleting none, and keeping none is deleting all."""
    if mode == "delete" and fraction in (0, 1):
        return "keep", 1.0 - fraction
    return mode, fraction


@dataclass(frozen=True)
class CurvePoint:
    """One point of a perturbation curve.

    Attributes:
        mode: "keep" where only the top features were kept, "delete" where they were removed.
        fraction: The requested fraction of features.
        actual_fraction: The fraction that the longest prefix held.
        value: The score.
        confidence: The confidence in the frozen target; None for heads that have none.
        agreement: The fraction of the example's decisions that are the frozen ones.
        predicted_class: The predicted class; None where that is not one class of a softmax.
    """

    mode: Mode
    fraction: float
    actual_fraction: float
    value: float
    confidence: float | None
    agreement: float
    predicted_class: int | None = None

    @property
    def key(self) -> PerturbationKey:
        """Which features were left."""
        return canonical_perturbation(self.mode, self.actual_fraction)


@dataclass(frozen=True)
class Curve:
    """The points of one example, in the order they were requested.

    Deleting the least important features first up to a fraction r is keeping the top 1 − r: one order serves both
    directions, `confidences("keep", …)` read backwards and `confidences("delete", …)`.

    Attributes:
        points: All points, both modes.
        clean: The confidence (or, without one, the value) of the whole example.
        replacement: What replaced deleted features, one of `REPLACEMENTS`.
    """

    points: tuple[CurvePoint, ...]
    clean: float
    replacement: str = "zero"

    @checked
    def at(self, mode: Mode, fraction: float) -> CurvePoint:
        """The point of one mode and one fraction.

        Raises:
            KeyError: If there is none.
        """
        point = self.find(mode, fraction)
        if point is None:
            raise KeyError(f"no point at {mode} {fraction}; there are {[(s.mode, s.fraction) for s in self.points]}")
        return point

    def find(self, mode: Mode, fraction: float) -> CurvePoint | None:
        """The point of one mode and one fraction, or None."""
        if type(fraction) is not float:
            fraction = real_number("fraction", fraction)
        for point in self.points:
            if abs(point.fraction - fraction) < SAME and point.mode == mode:
                return point
        return None

    def decisions(self, mode: Mode, fractions: Sequence[float]) -> list[float]:
        """The fraction of the frozen decisions at each point, 0 to 1.

        Raises:
            InputError: If there is no such point.
        """
        return [self._point(mode, fraction).agreement for fraction in fractions]

    def confidences(self, mode: Mode, fractions: Sequence[float]) -> list[float]:
        """The confidence at each fraction. That of the whole example is known, and needs no point.

        Raises:
            InputError: If there is no such point, or the head has no confidence (a regression).
        """
        known: list[float] = []
        for fraction in fractions:
            whole = canonical_perturbation(mode, fraction) == ("keep", 1.0)
            sure = self.clean if whole and not self._unsure else self._point(mode, fraction).confidence
            if sure is None:
                raise InputError("a head without a confidence (a value)", "a head with one", "read the curve's values")
            known.append(sure)
        return known

    @property
    def _unsure(self) -> bool:
        return any(point.confidence is None for point in self.points)

    def _point(self, mode: Mode, fraction: float) -> CurvePoint:
        """One point, by either name of an end."""
        other: Mode = "delete" if mode == "keep" else "keep"
        point = self.find(mode, fraction) or (self.find(other, 1.0 - fraction) if fraction in (0, 1) else None)
        if point is None:
            got = f"a curve without {mode} {fraction:g}"
            do = "perturb with this fraction among `fractions` (metrics.PAPER_GRID has every tenth)"
            raise InputError(got, "one with that point", do)
        return point

    def of(self, mode: Mode) -> list[CurvePoint]:
        """One mode's points by growing fraction."""
        return sorted((point for point in self.points if point.mode == mode), key=lambda point: point.fraction)

    def merged(self, other: Curve) -> Curve:
        """Both curves' points; where both have a point, that of `other`.

        Raises:
            InputError: If they are of different replacements.
        """
        replacement = common_replacement([self, other])
        kept = tuple(point for point in self.points if other.find(point.mode, point.fraction) is None)
        return Curve(kept + other.points, other.clean, replacement)

    def to_dict(self) -> dict[str, Any]:
        """Plain values that `from_dict` reads back."""
        values = {"clean": self.clean, "points": [asdict(point) for point in self.points]}
        return values if self.replacement == "zero" else {**values, "replacement": self.replacement}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Curve:
        """The curve that `to_dict` wrote."""
        values = formats.renamed(values, formats.CURVE)
        points = tuple(CurvePoint(**point) for point in formats.points(values["points"]))
        return cls(points, values["clean"], values.get("replacement", "zero"))


#: r = 0, 0.1, …, 1.
TENTHS = tuple(i / 10 for i in range(11))
#: Small kept fractions, each about twice the one before; the last is one of the tenths as well.
SMALL_FRACTIONS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.3)


@dataclass(frozen=True)
class FractionGrid:
    """Which fractions of the features are kept alone, and which are deleted.

    Attributes:
        keep: Fractions of all features, 0 to 1, whose top is kept. Deleting the least important r is `keep` at 1 − r.
        delete: Fractions whose top is deleted (most important first).

    Raises:
        InputError: If there are no fractions, or one is out of range.
    """

    keep: tuple[float, ...] = ()
    delete: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for mode in ("keep", "delete"):
            fractions = CHECKS["fractions"](mode, getattr(self, mode)) or ()
            if not all(0 <= r <= 1 for r in fractions):
                raise InputError(
                    f"{mode} {list(fractions)}", "fractions from 0 to 1, at least one", f"correct `{mode}`"
                )
            object.__setattr__(self, mode, tuple(dict.fromkeys(float(r) for r in fractions)))
        if not self.keep and not self.delete:
            raise InputError("no fractions", "fractions from 0 to 1, at least one", "pass some to keep or to delete")

    def __or__(self, other: FractionGrid) -> FractionGrid:
        """The fractions of both."""
        return FractionGrid(self.keep + other.keep, self.delete + other.delete)

    @cached_property
    def fractions(self) -> tuple[float, ...]:
        """All fractions, each once."""
        return tuple(dict.fromkeys(self.keep + self.delete))

    def __iter__(self) -> Iterator[tuple[Mode, float]]:
        """All modes and fractions: the two modes of one fraction are neighbours."""
        for fraction in self.fractions:
            if fraction in self.keep:
                yield "keep", fraction
            if fraction in self.delete:
                yield "delete", fraction

    @property
    def passes(self) -> int:
        """Forward passes per example at most, beside the clean one: the ends coincide, the whole is known."""
        return len({canonical_perturbation(mode, fraction) for mode, fraction in self} - {("keep", 1.0)})


#: Fractions that are both kept and deleted, or a grid of each.
Fractions = Sequence[float] | FractionGrid

#: Both directions on the tenths, as published: 19 forward passes beside the clean one.
PAPER_GRID = FractionGrid(TENTHS, TENTHS)
#: That, and small kept fractions: 24 forward passes beside the clean one.
DEFAULT_GRID = PAPER_GRID | FractionGrid(keep=SMALL_FRACTIONS)


def log_spaced(least: float, most: float = 1.0, points: int = 8) -> tuple[float, ...]:
    """Fractions that are equally far apart in their logarithm, from `least` to `most`, both included.

    Raises:
        InputError: Unless 0 < least < most ≤ 1 and there are at least two points.
    """
    least, most = real_number("least", least), real_number("most", most)
    points = whole_number("points", points)
    if not 0 < least < most <= 1 or points < 2:
        got = f"fractions from {least} to {most} at {points} points"
        raise InputError(got, "0 < least < most ≤ 1 and at least 2 points", "correct `least`, `most` or `points`")
    ratio = math.log(most / least) / (points - 1)
    return (least, *(least * math.exp(i * ratio) for i in range(1, points - 1)), most)


def common_replacement(curves: Sequence[Curve]) -> str:
    """What replaced deleted features in all of these curves; "zero" for none.

    Raises:
        InputError: If they differ: their means would mix two measurements.
    """
    found = list(dict.fromkeys(curve.replacement for curve in curves))
    if len(found) > 1:
        got = f"curves with deleted features replaced by {' and '.join(found)}"
        raise InputError(got, "curves of one replacement", "keep them apart, or perturb again with overwrite=True")
    return found[0] if found else "zero"


def maintained(curve: Curve, fraction: float, least: float = 1.0) -> float:
    """Whether the decision survives when the top features alone are kept: 1 or 0.

    Args:
        curve: One example's, with a point at which `fraction` is kept.
        fraction: Kept fraction of the features, 0 to 1.
        least: The least agreement that counts as kept: 1 for all decisions; for a mask the least Dice.

    Raises:
        InputError: If there is no such point.
    """
    return float(curve.decisions("keep", [fraction])[0] >= least)


def common_fractions(curves: Sequence[Curve]) -> list[float]:
    """The fractions that are kept in every curve, in growing order; refuses curves of different replacements."""
    common_replacement(curves)
    if not curves:
        return []
    first = [point.fraction for point in curves[0].of("keep")]
    return [fraction for fraction in first if all(curve.find("keep", fraction) is not None for curve in curves)]


def reaches_label(curves: Sequence[Curve], fraction: float) -> float:
    """The fraction of wrong labels that are predicted when their rankings' top features alone are kept, 0 to 1.

    Refuses curves of different replacements.
    """
    common_replacement(curves)
    return math.fsum(maintained(curve, fraction) for curve in curves) / len(curves)


def trapezoid(heights: Sequence[float] | np.ndarray, places: Sequence[float]) -> float:
    """The area under heights at places, by the trapezoid rule."""
    return float(np.trapezoid(np.asarray(heights, dtype=float), np.asarray(places, dtype=float)))
