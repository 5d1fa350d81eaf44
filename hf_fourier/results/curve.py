"""What the model says as features are kept or deleted: the record that metrics and plots read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from hf_fourier.errors import InputError
from hf_fourier.results import formats

Mode = Literal["keep", "delete"]
#: Which features are left: a part with the share that it reached. The ends have one name each.
PerturbationKey = tuple[Mode, float]
#: Shares that differ by less are one share (0.3 and 3 * 0.1).
SAME = 1e-9


def canonical_perturbation(part: Mode, share: float) -> PerturbationKey:
    """Which features are left: keeping all is deleting none, and keeping none is deleting all."""
    if part == "delete" and share in (0, 1):
        return "keep", 1.0 - share
    return part, share


@dataclass(frozen=True)
class CurvePoint:
    """One evaluation of the deletion game.

    Attributes:
        mode: "keep" where only the top features were kept, "delete" where they were removed.
        fraction: The share of features that was asked for.
        actual_fraction: The share that the longest prefix held.
        value: The score.
        confidence: The confidence in the frozen target; None for heads that have none.
        agreement: The share of the example's decisions that are the frozen ones.
        predicted_class: The class that the model decided for; None where that is not one class of a softmax.
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
    """The stops of one example, in the order they were asked for.

    Deleting the least important features first up to a share r is keeping the top 1 − r: one order serves both
    directions, `confidences("keep", …)` read backwards and `confidences("delete", …)`.

    Attributes:
        points: All evaluations, both parts.
        clean: The confidence (or, without one, the value) of the whole example.
    """

    points: tuple[CurvePoint, ...]
    clean: float

    def at(self, mode: Mode, fraction: float) -> CurvePoint:
        """The stop of one part and one share.

        Raises:
            KeyError: If it was not played.
        """
        stop = self.find(mode, fraction)
        if stop is None:
            raise KeyError(f"{mode} {fraction} was not played; there are {[(s.mode, s.fraction) for s in self.points]}")
        return stop

    def find(self, mode: Mode, fraction: float) -> CurvePoint | None:
        """The stop of one part and one share, or None if it was not played."""
        return next((s for s in self.points if s.mode == mode and abs(s.fraction - fraction) < SAME), None)

    def decisions(self, mode: Mode, fractions: Sequence[float]) -> list[float]:
        """The share of the frozen decisions at each stop, 0 to 1.

        Raises:
            InputError: If a share was not played.
        """
        return [self._point(mode, share).agreement for share in fractions]

    def confidences(self, mode: Mode, fractions: Sequence[float]) -> list[float]:
        """The confidence at each share. That of the whole example is known, and needs no stop.

        Raises:
            InputError: If a share was not played, or the head has no confidence (a regression).
        """
        known: list[float] = []
        for share in fractions:
            whole = canonical_perturbation(mode, share) == ("keep", 1.0)
            sure = self.clean if whole and not self._unsure else self._point(mode, share).confidence
            if sure is None:
                raise InputError("a head without a confidence (a value)", "a head with one", "read the curve's values")
            known.append(sure)
        return known

    @property
    def _unsure(self) -> bool:
        return any(stop.confidence is None for stop in self.points)

    def _point(self, mode: Mode, fraction: float) -> CurvePoint:
        """One stop, by either name of an end."""
        other: Mode = "delete" if mode == "keep" else "keep"
        stop = self.find(mode, fraction) or (self.find(other, 1.0 - fraction) if fraction in (0, 1) else None)
        if stop is None:
            got = f"a curve without {mode} {fraction:g}"
            raise InputError(
                got, "one that was played there", "play a grid that has it, such as perturbation.PUBLISHED"
            )
        return stop

    def of(self, mode: Mode) -> list[CurvePoint]:
        """One part's stops by growing share."""
        return sorted((stop for stop in self.points if stop.mode == mode), key=lambda stop: stop.fraction)

    def merged(self, other: Curve) -> Curve:
        """Both curves' stops; where both played a stop, that of `other`."""
        kept = tuple(stop for stop in self.points if other.find(stop.mode, stop.fraction) is None)
        return Curve(kept + other.points, other.clean)

    def to_dict(self) -> dict[str, Any]:
        """Plain values that `from_dict` reads back."""
        return {"clean": self.clean, "points": [asdict(point) for point in self.points]}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Curve:
        """The curve that `to_dict` wrote."""
        values = formats.renamed(values, formats.CURVE)
        return cls(tuple(CurvePoint(**point) for point in formats.points(values["points"])), values["clean"])


#: r = 0, 0.1, …, 1.
TENTHS = tuple(i / 10 for i in range(11))
#: Small kept shares, each about twice the one before; the last is one of the tenths as well.
SMALL_FRACTIONS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.3)


@dataclass(frozen=True)
class FractionGrid:
    """Which shares of the features are kept alone, and which are deleted.

    Attributes:
        keep: Shares of all features, 0 to 1, whose top is kept. Deleting least important first at r is `keep` at 1 − r.
        delete: Shares whose top is deleted (most important first).

    Raises:
        InputError: If there are no shares, or one is out of range.
    """

    keep: tuple[float, ...] = ()
    delete: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for part in ("keep", "delete"):
            shares = tuple(getattr(self, part))
            if not all(isinstance(r, (int, float)) and not isinstance(r, bool) and 0 <= r <= 1 for r in shares):
                raise InputError(f"{part} {list(shares)}", "shares from 0 to 1, at least one", f"correct `{part}`")
            object.__setattr__(self, part, tuple(dict.fromkeys(float(r) for r in shares)))
        if not self.keep and not self.delete:
            raise InputError("no shares", "shares from 0 to 1, at least one", "pass some to keep or to delete")

    def __or__(self, other: FractionGrid) -> FractionGrid:
        """What either of them plays."""
        return FractionGrid(self.keep + other.keep, self.delete + other.delete)

    def __iter__(self) -> Iterator[tuple[Mode, float]]:
        """All parts and shares: the two parts of one share are neighbours."""
        for share in dict.fromkeys(self.keep + self.delete):
            if share in self.keep:
                yield "keep", share
            if share in self.delete:
                yield "delete", share

    @property
    def passes(self) -> int:
        """Forward passes per example at most, beside the clean one: the ends are shared, the whole is known."""
        return len({canonical_perturbation(part, share) for part, share in self} - {("keep", 1.0)})


#: Fractions that are both kept and deleted, or a grid of each.
Fractions = Sequence[float] | FractionGrid

#: Both directions on the tenths, as published: 19 forward passes beside the clean one.
PAPER_GRID = FractionGrid(TENTHS, TENTHS)
#: That, and small kept shares: 24 forward passes beside the clean one.
DEFAULT_GRID = PAPER_GRID | FractionGrid(keep=SMALL_FRACTIONS)


def log_spaced(least: float, most: float = 1.0, points: int = 8) -> tuple[float, ...]:
    """Shares that are equally far apart in their logarithm, from `least` to `most`, both included.

    Raises:
        InputError: Unless 0 < least < most ≤ 1 and there are at least two points.
    """
    if not 0 < least < most <= 1 or points < 2:
        got = f"shares from {least} to {most} at {points} points"
        raise InputError(got, "0 < least < most ≤ 1 and at least 2 points", "correct them")
    ratio = math.log(most / least) / (points - 1)
    return (least, *(least * math.exp(i * ratio) for i in range(1, points - 1)), most)


def maintained(curve: Curve, share: float, least: float = 1.0) -> float:
    """Whether the decision survives when the top features alone are kept: 1 or 0.

    Args:
        curve: One example's, played by keeping `share`.
        share: Kept share of the features, 0 to 1.
        least: From which share of the example's decisions on it counts as kept: 1 for all of them; for a mask the
            least Dice.

    Raises:
        InputError: If the share was not played.
    """
    return float(curve.decisions("keep", [share])[0] >= least)


def common_fractions(curves: Sequence[Curve]) -> list[float]:
    """The shares that were kept in every curve, in growing order."""
    if not curves:
        return []
    first = [stop.fraction for stop in curves[0].of("keep")]
    return [share for share in first if all(curve.find("keep", share) is not None for curve in curves)]


def reaches_label(curves: Sequence[Curve], share: float) -> float:
    """The share of wrong labels that the model says when their own rankings' top features alone are kept, 0 to 1."""
    return math.fsum(maintained(curve, share) for curve in curves) / len(curves)


def trapezoid(heights: Sequence[float] | np.ndarray, places: Sequence[float]) -> float:
    """The area under heights at places, by the trapezoid rule."""
    return float(np.trapezoid(np.asarray(heights, dtype=float), np.asarray(places, dtype=float)))
