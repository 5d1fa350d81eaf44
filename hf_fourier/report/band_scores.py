"""What each band of frequencies is worth: for one example, and as means over the examples of a report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_fourier.domains import Band
from hf_fourier.evaluation.metrics.statistics import MeanInterval, mean_interval
from hf_fourier.evaluation.studies.band_readings import all_bands
from hf_fourier.methods import METHODS
from hf_fourier.methods.subset_method import SubsetMethod
from hf_fourier.report import privacy

if TYPE_CHECKING:
    from hf_fourier.report.example_record import ExampleRecord
    from hf_fourier.results.attribution import Attribution

#: Bands of one example that are shared, at most: those with the largest scores.
SHARED_BANDS = 16
#: The quantities that are averaged over examples.
QUANTITIES = ("scores", "deleted", "alone")


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
    def best(self) -> int:
        """The place of the band with the largest score."""
        return int(np.argmax(self.scores))

    def taken(self, places: Sequence[int]) -> BandScores:
        """Some of the bands alone."""
        columns = {
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


@dataclass(frozen=True)
class BandMeans:
    """Means over the examples that one method explained in one domain.

    Attributes:
        method: The method's spec.
        domain: The domain's spec.
        bands: The bands that examples have, each name once.
        means: For each of `QUANTITIES` that the method computes, the mean of each band with its 95 % interval.
        gaps: By how much the mean score of each band differs from that of the best, example by example.
        examples: How many there are.
    """

    method: str
    domain: str
    bands: Sequence[Band]
    means: dict[str, list[MeanInterval]]
    gaps: list[MeanInterval]
    examples: int

    @property
    def best(self) -> int:
        """The band with the largest mean score, of those that at least half of the examples have."""
        scores = self.means["scores"]
        usual = [i for i, one in enumerate(scores) if 2 * one.n >= self.examples] or list(range(len(scores)))
        return max(usual, key=lambda i: scores[i].mean)

    @property
    def is_clear(self) -> bool:
        """Whether the best band's mean exceeds that of each other one beyond its interval."""
        rivals = [gap for i, gap in enumerate(self.gaps) if i != self.best and gap.n]
        return bool(rivals) and all(gap.high < 0 for gap in rivals)


def band_means(records: Sequence[ExampleRecord]) -> list[BandMeans]:
    """Means by method and domain, where at least two examples have bands whose scores can be averaged."""
    groups: dict[tuple[str, str], dict[Any, BandScores]] = {}
    for number, one in enumerate(records):
        if one.band_scores is not None and not one.band_scores.left_out and in_score_units(one.method):
            example = one.example or ("record", number)  # of one example the first result of a method counts
            groups.setdefault((one.method, one.domain), {}).setdefault(example, one.band_scores)
    return [_means(*key, list(members.values())) for key, members in groups.items() if len(members) > 1]


def _means(method: str, domain: str, members: Sequence[BandScores]) -> BandMeans:
    bands = all_bands([one.bands for one in members])
    place = {band.name: i for i, band in enumerate(bands)}
    means = {}
    for name in QUANTITIES:
        if all(getattr(one, name) is not None for one in members):
            values = np.full((len(members), len(bands)), math.nan)
            for row, one in zip(values, members, strict=True):
                row[[place[band] for band in one.names]] = getattr(one, name)
            means[name] = [mean_interval(column) for column in values.T]
            if name == "scores":
                scores = values
    found = BandMeans(method, domain, bands, means, [], len(members))
    gaps = [mean_interval(column) for column in (scores - scores[:, found.best, None]).T]
    return replace(found, gaps=gaps)
