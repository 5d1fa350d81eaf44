"""What each band of frequencies is worth in one example, in plain numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_fourier.domains import Band
from hf_fourier.methods import METHODS
from hf_fourier.methods.subset_method import SubsetMethod
from hf_fourier.report import privacy

if TYPE_CHECKING:
    from hf_fourier.results.attribution import Attribution

#: Bands of one example that are shared, at most: those with the largest scores.
SHARED_BANDS = 16


@dataclass(frozen=True)
class BandScores:
    """The bands of one example, in ascending order of frequency; all sequences have one number for each.

    Attributes:
        names: The bands in words.
        low: Lower edges, in `unit`.
        high: Upper edges.
        unit: Of the edges.
        scores: The method's scores.
        power: Each band's share of the input's power, 0 to 1; None for compact results.
        standard_error: Of the scores; None where they are exact, or it is not known.
        deleted: By how much the score falls without the band; None where the method does not ask.
        alone: By how much the score with the band alone exceeds that with no band left; None likewise.
        left_out: Bands with smaller scores that are not here.
    """

    names: Sequence[str]
    low: Sequence[float]
    high: Sequence[float]
    unit: str
    scores: Sequence[float]
    power: Sequence[float] | None = None
    standard_error: Sequence[float] | None = None
    deleted: Sequence[float] | None = None
    alone: Sequence[float] | None = None
    left_out: int = 0

    @property
    def bands(self) -> tuple[Band, ...]:
        """The bands with their edges."""
        edges = zip(self.names, self.low, self.high, strict=True)
        return tuple(Band(name, low, high, self.unit) for name, low, high in edges)

    @property
    def scores_are_losses(self) -> bool:
        """Whether the score of each band is what is lost without it."""
        return self.deleted is not None and list(self.deleted) == list(self.scores)

    def rows(self) -> list[dict[str, Any]]:
        """One row per band, with None for what is not known."""
        columns = {"power": self.power, "score": self.scores, "standard_error": self.standard_error,
                   "deleted": self.deleted, "alone": self.alone}  # fmt: skip
        return [
            {"band": band.name, "from": band.low, "to": band.high, "unit": band.unit,
             **{name: None if values is None else values[i] for name, values in columns.items()}}
            for i, band in enumerate(self.bands)
        ]  # fmt: skip

    @property
    def best(self) -> int:
        """The place of the band with the largest score."""
        return int(np.argmax(self.scores))

    def taken(self, places: Sequence[int]) -> BandScores:
        """Some of the bands alone."""
        columns: dict[str, Any] = {
            name: [getattr(self, name)[i] for i in places] for name in COLUMNS if getattr(self, name) is not None
        }
        return replace(self, **columns, left_out=self.left_out + len(self.names) - len(places))


#: The fields that have one value for each band.
COLUMNS = tuple(one.name for one in fields(BandScores) if one.name not in ("unit", "left_out"))


def band_scores_of(attribution: Attribution, shared: bool) -> BandScores | None:
    """The bands of one result; None where its features are no bands.

    Args:
        attribution: The result; compact ones will do.
        shared: Round to `privacy.DIGITS`, the power to fewer, and leave out all but `SHARED_BANDS` bands.
    """
    bands = attribution.layout.bands
    if not bands:
        return None
    digits, count = privacy.DIGITS if shared else 17, len(bands)
    power = None
    if attribution.signal is not None:
        share = attribution.power.double() / attribution.power.double().sum().clamp(min=1e-30)
        power = privacy.rounded(share.tolist(), privacy.BAND_DIGITS if shared else digits)

    def column(name: str) -> list[float] | None:
        values = attribution.extras.get(name)
        if values is None or np.shape(values) != (count,):
            return None
        numbers = privacy.rounded(values, digits)
        return None if None in numbers else numbers

    error = column("standard_error")
    found = BandScores(
        [privacy.public_text(band.name) if shared else band.name for band in bands], [band.low for band in bands],
        [band.high for band in bands], bands[0].unit,
        privacy.rounded(attribution.scores.double(), digits), power,
        error if error and any(error) else None, column("deleted"), column("alone"),
    )  # fmt: skip
    if not shared or count <= SHARED_BANDS:
        return found
    strongest = np.argsort(-np.abs(found.scores), kind="stable")[:SHARED_BANDS]
    return found.taken(sorted(strongest.tolist()))


def in_score_units(method: str) -> bool:
    """Whether a method's scores are differences of the explained score, which can be averaged over examples."""
    name = method.partition(":")[0]
    return name in METHODS and issubclass(METHODS[name], SubsetMethod)
