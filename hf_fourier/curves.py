"""What the model says as features are kept or deleted: the record that metrics and plots read."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Part = Literal["keep", "delete"]


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
    """

    part: Part
    asked: float
    reached: float
    value: float
    confidence: float | None
    agrees: float


@dataclass(frozen=True)
class Curve:
    """The stops of one example, in the order they were asked for.

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
        for stop in self.stops:
            if stop.part == part and abs(stop.asked - asked) < 1e-12:
                return stop
        raise KeyError(f"{part} {asked} was not played; there are {[(s.part, s.asked) for s in self.stops]}")

    def of(self, part: Part) -> list[Stop]:
        """One part's stops by growing share."""
        return sorted((stop for stop in self.stops if stop.part == part), key=lambda stop: stop.asked)

    def merged(self, other: Curve) -> Curve:
        """Both curves' stops; where both played a stop, that of `other`."""
        newer = {(stop.part, round(stop.asked, 12)) for stop in other.stops}
        kept = tuple(stop for stop in self.stops if (stop.part, round(stop.asked, 12)) not in newer)
        return Curve(kept + other.stops, other.clean)

    def to_dict(self) -> dict[str, Any]:
        """Plain values that `from_dict` reads back."""
        return {"clean": self.clean, "stops": [asdict(stop) for stop in self.stops]}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Curve:
        """The curve that `to_dict` wrote."""
        return cls(tuple(Stop(**stop) for stop in values["stops"]), values["clean"])
