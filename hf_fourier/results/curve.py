"""What the model says as features are kept or deleted: the record that metrics and plots read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from hf_fourier.errors import InputError

Part = Literal["keep", "delete"]
#: Which features are left: a part with the share that it reached. The ends have one name each.
Left = tuple[Part, float]
#: Shares that differ by less are one share (0.3 and 3 * 0.1).
SAME = 1e-9


def left(part: Part, share: float) -> Left:
    """Which features are left: keeping all is deleting none, and keeping none is deleting all."""
    if part == "delete" and share in (0, 1):
        return "keep", 1.0 - share
    return part, share


@dataclass(frozen=True)
class Stop:
    """One evaluation of the deletion game.

    Attributes:
        part: "keep" where only the top features were kept, "delete" where they were removed.
        asked: The share of features that was asked for.
        reached: The share that the longest prefix held.
        value: The score.
        confidence: The confidence in the frozen target; None for heads that have none.
        agrees: The share of the example's decisions that are the frozen ones.
        said: The class that the model decided for; None where that is not one class of a softmax.
    """

    part: Part
    asked: float
    reached: float
    value: float
    confidence: float | None
    agrees: float
    said: int | None = None

    @property
    def left(self) -> Left:
        """Which features were left."""
        return left(self.part, self.reached)


@dataclass(frozen=True)
class Curve:
    """The stops of one example, in the order they were asked for.

    Deleting the least important features first up to a share r is keeping the top 1 − r: one order serves both
    directions, `confidences("keep", …)` read backwards and `confidences("delete", …)`.

    Attributes:
        stops: All evaluations, both parts.
        clean: The confidence (or, without one, the value) of the whole example.
    """

    stops: tuple[Stop, ...]
    clean: float

    def at(self, part: Part, asked: float) -> Stop:
        """The stop of one part and one share.

        Raises:
            KeyError: If it was not played.
        """
        stop = self.found(part, asked)
        if stop is None:
            raise KeyError(f"{part} {asked} was not played; there are {[(s.part, s.asked) for s in self.stops]}")
        return stop

    def found(self, part: Part, asked: float) -> Stop | None:
        """The stop of one part and one share, or None if it was not played."""
        return next((s for s in self.stops if s.part == part and abs(s.asked - asked) < SAME), None)

    def decisions(self, part: Part, shares: Sequence[float]) -> list[float]:
        """The share of the frozen decisions at each stop, 0 to 1.

        Raises:
            InputError: If a share was not played.
        """
        return [self._played(part, share).agrees for share in shares]

    def confidences(self, part: Part, shares: Sequence[float]) -> list[float]:
        """The confidence at each share. That of the whole example is known, and needs no stop.

        Raises:
            InputError: If a share was not played, or the head has no confidence (a regression).
        """
        known: list[float] = []
        for share in shares:
            whole = left(part, share) == ("keep", 1.0)
            sure = self.clean if whole and not self._unsure else self._played(part, share).confidence
            if sure is None:
                raise InputError("a head without a confidence (a value)", "a head with one", "read the curve's values")
            known.append(sure)
        return known

    @property
    def _unsure(self) -> bool:
        return any(stop.confidence is None for stop in self.stops)

    def _played(self, part: Part, share: float) -> Stop:
        """One stop, by either name of an end."""
        other: Part = "delete" if part == "keep" else "keep"
        stop = self.found(part, share) or (self.found(other, 1.0 - share) if share in (0, 1) else None)
        if stop is None:
            got = f"a curve without {part} {share:g}"
            raise InputError(
                got, "one that was played there", "play a grid that has it, such as perturbation.PUBLISHED"
            )
        return stop

    def of(self, part: Part) -> list[Stop]:
        """One part's stops by growing share."""
        return sorted((stop for stop in self.stops if stop.part == part), key=lambda stop: stop.asked)

    def merged(self, other: Curve) -> Curve:
        """Both curves' stops; where both played a stop, that of `other`."""
        kept = tuple(stop for stop in self.stops if other.found(stop.part, stop.asked) is None)
        return Curve(kept + other.stops, other.clean)

    def to_dict(self) -> dict[str, Any]:
        """Plain values that `from_dict` reads back."""
        return {"clean": self.clean, "stops": [asdict(stop) for stop in self.stops]}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Curve:
        """The curve that `to_dict` wrote."""
        return cls(tuple(Stop(**stop) for stop in values["stops"]), values["clean"])
