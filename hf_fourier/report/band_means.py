"""What each band of frequencies is worth on average over the examples of a report, with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_fourier.evaluation.metrics.statistics import MeanInterval, mean_interval
from hf_fourier.evaluation.studies.band_readings import all_bands
from hf_fourier.report.band_scores import in_score_units

if TYPE_CHECKING:
    from hf_fourier.domains import Band
    from hf_fourier.report.band_scores import BandScores
    from hf_fourier.report.example_record import ExampleRecord

#: The quantities that are averaged over examples.
QUANTITIES = ("scores", "deleted", "alone")


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
