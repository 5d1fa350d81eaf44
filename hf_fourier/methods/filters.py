"""Filters: what the model answers when bands are passed, stopped, cut off from above or below, or drowned in noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from hf_fourier.domains.base import Basis
from hf_fourier.errors import SpecError
from hf_fourier.methods.base import METHODS, Ranking
from hf_fourier.methods.shapley import marginal_changes, permutation_pairs
from hf_fourier.methods.subset_method import SubsetMethod, nothing, only_each, without_each
from hf_fourier.scoring.heads import Reading
from hf_fourier.scoring.replacements import replacement_coefficients
from hf_fourier.scoring.score import Score
from hf_fourier.scoring.subsets import SubsetReadings, subset_readings
from hf_fourier.seeding import ExampleRng
from hf_fourier.typing import Bool, Float, Tensor

#: The filters, in the order of `readings`: the band alone, all but it, up to it, from it on.
FILTERS = ("band-pass", "band-stop", "low-pass", "high-pass")
#: What is read, in the order of `readings`.
MEASURES = ("value", "confidence", "agreement", "predicted_class")


@METHODS.register("filters")
@dataclass(frozen=True)
class Filters(SubsetMethod):
    """Ask the model about an example through filters with the edges of the bands.

    The score of a band is its Shapley value, estimated from few permutations, which is unbiased: it is the mean over a
    data set that is exact enough. `extras`, per example:

    - "readings", shape `(4 + levels, K, 4)`: for each of `FILTERS`, then for each level of noise, for each band, the
      value, the confidence, the agreement with the clean prediction and the predicted class (NaN where the head has
      none). "low-pass" keeps the band and all below it, "high-pass" the band and all above it.
    - "nothing", shape `(4,)`: the same with no band left.

    Noise is white Gaussian noise filtered to the band, scaled to a fraction of the signal's norm around its mean, and
    added (critical bands: Fletcher 1940; of networks: Subramanian et al. 2023, arXiv 2309.13190).

    Attributes:
        permutations: Permutations for the Shapley values, an even number, each K - 1 rows; 0 for the mean of `deleted`
            and `alone` in their place.
        noise: Levels of noise, fractions of the signal's norm; None for no noise.
    """

    permutations: int = 4
    noise: tuple[float, ...] | float | None = (1.0,)

    reference: ClassVar[str] = "ours; noise in bands: arXiv 2309.13190"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "noise", self.levels or None)
        if not all(isinstance(level, (int, float)) and 0 < level < math.inf for level in self.levels):
            raise SpecError(f"noise {self.noise!r}", "fractions of the signal's norm above 0", "correct `noise`")
        if not isinstance(self.permutations, int) or self.permutations < 0 or self.permutations % 2:
            raise SpecError(f"permutations {self.permutations!r}", "an even number or 0", "correct `permutations`")

    @property
    def levels(self) -> tuple[float, ...]:
        """The levels of noise."""
        if self.noise is None:
            return ()
        return self.noise if isinstance(self.noise, tuple) else (self.noise,)

    @property
    def properties(self) -> tuple[str, ...]:
        """Permutations and noise are random."""
        return ("seeded",) if self.permutations or self.levels else super().properties

    @property
    def passes_text(self) -> str:
        """The passes in words."""
        return f"{4 + self.permutations + len(self.levels)} + 0 a feature, about"

    def attribute(self, score: Score, x: Float[Tensor, "batch *signal"], basis: Basis, rng: ExampleRng) -> Ranking:
        """The Shapley values, with the readings as extras.

        Raises:
            SpecError: If there are so many features that it takes more than `MOST_ROWS` model rows an example.
        """
        features = len(basis)
        self.check_rows((len(FILTERS) + self.permutations + len(self.levels)) * features, score, basis)
        other = replacement_coefficients(self.replacement, score, basis, rng, self.draws)
        table = measures(subset_readings(score, basis, torch.cat([filter_masks(features), nothing(features)]), other))
        filtered = table[:, :-1].unflatten(1, (len(FILTERS), features))
        noisy = [self._noisy(score, basis, rng, level) for level in self.levels]
        if self.permutations and features > 1:
            orders = permutation_pairs(rng, len(x), self.permutations, features)
            ends = table[:, -1:, 0], filtered[:, FILTERS.index("low-pass"), -1:, 0]
            scores = marginal_changes(self.game(score, basis, rng), orders, *ends).mean(1)
        else:
            alone, without = (filtered[:, FILTERS.index(name), :, 0] for name in ("band-pass", "band-stop"))
            clean = filtered[:, FILTERS.index("low-pass"), -1:, 0]
            scores = (clean - without + alone - table[:, -1:, 0]) / 2
        readings = torch.cat([filtered, *(rows.unsqueeze(1) for rows in noisy)], 1)
        return Ranking(scores.to(x), extras={"readings": readings.float(), "nothing": table[:, -1].float()})

    def _noisy(
        self, score: Score, basis: Basis, rng: ExampleRng, level: float
    ) -> Float[Tensor, "batch features measures"]:
        """The readings with noise in one band after another."""
        x, features = score.signal, len(basis)
        size = level * (x - x.mean(dim=tuple(range(1, x.ndim)), keepdim=True)).flatten(1).norm(dim=1)
        columns = []
        for feature, mask in enumerate(only_each(features)):
            white = basis.forward(rng.normal(x.shape[1:], "noise", feature).to(x))
            band = basis.keep_features(white, mask.to(x.device).expand(len(x), -1)).to(x)
            norm = band.flatten(1).norm(dim=1).clamp(min=torch.finfo(x.dtype).tiny)
            reading = score.value(x + band * (size / norm).view(-1, *[1] * (x.ndim - 1)), torch.arange(len(x)))
            columns.append(measures(of_rows(reading)))
        return torch.cat(columns, 1)


def filter_masks(features: int) -> Bool[Tensor, "subsets features"]:
    """The bands that each of `FILTERS` leaves, K for each, in their order."""
    upward = torch.ones(features, features, dtype=torch.bool)
    return torch.cat([only_each(features), without_each(features), upward.tril(), upward.triu()])


def of_rows(reading: Reading) -> SubsetReadings:
    """Readings of one row for each example, as those of one subset."""
    confidence, predicted = reading.confidence, reading.predicted_class
    return SubsetReadings(
        reading.value.unsqueeze(1),
        None if confidence is None else confidence.unsqueeze(1),
        reading.agreement.unsqueeze(1),
        None if predicted is None else predicted.unsqueeze(1),
    )


def measures(readings: SubsetReadings) -> Float[Tensor, "batch subsets measures"]:
    """`MEASURES` side by side, float64 on the CPU; NaN where the head has none or the output is not finite."""
    columns = (getattr(readings, name) for name in MEASURES)
    missing = torch.full(readings.value.shape, math.nan, dtype=torch.float64)
    table = torch.stack([missing if column is None else column.cpu().double() for column in columns], 2)
    # What an output that is not finite predicts is no prediction.
    return torch.where(table[..., :1].isfinite(), table, math.nan)
