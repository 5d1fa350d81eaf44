"""Filters: what the model answers when bands are passed, stopped, cut off from above or below, or drowned in noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from hf_fourier.domains.base import Basis
from hf_fourier.errors import SpecError
from hf_fourier.methods.base import METHODS, Ranking
from hf_fourier.methods.shapley import changes_in_order, permutation_masks, permutation_pairs
from hf_fourier.methods.subset_method import SubsetMethod, nothing, only_each, without_each
from hf_fourier.scoring.heads import Reading
from hf_fourier.scoring.replacements import replacement_coefficients
from hf_fourier.scoring.score import Score
from hf_fourier.scoring.subsets import ENTRIES, SubsetReadings, subset_readings
from hf_fourier.seeding import ExampleRng
from hf_fourier.torch_state import in_float64
from hf_fourier.typing import Bool, Float, Tensor

#: The filters, in the order of `readings`: the band alone, all but it, up to it, from it on.
FILTERS = ("band-pass", "band-stop", "low-pass", "high-pass")
#: What is read, in the order of `readings`.
MEASURES = ("value", "confidence", "agreement", "predicted_class")


@METHODS.register("filters")
@dataclass(frozen=True)
class Filters(SubsetMethod):
    """Score bands by Shapley values; run the model on filtered copies of the input, and with noise in each band.

    The score of a band is its Shapley value, estimated from few permutations, which is unbiased: it is the mean over a
    data set that is exact enough. `extras`, per example:

    - "readings", shape `(4 + levels, K, 4)`: for each of `FILTERS`, then for each level of noise, for each band, the
      value, the confidence, the agreement with the clean prediction and the predicted class (NaN where the head has
      none). "low-pass" keeps the band and all below it, "high-pass" the band and all above it.
    - "nothing", shape `(4,)`: the same with no band left.

    Noise is one draw of white Gaussian noise filtered to the band, scaled to a fraction of the signal's norm around its
    mean, and added (critical bands: Fletcher 1940; of networks: Subramanian et al. 2023, arXiv 2309.13190).

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
        return f"{4 + self.permutations + len(self.levels)} + 0 per feature, about"

    def attribute(self, score: Score, x: Float[Tensor, "batch *signal"], basis: Basis, rng: ExampleRng) -> Ranking:
        """The Shapley values, with the readings as extras.

        Raises:
            SpecError: If there are so many features that it takes more than `MOST_ROWS` model rows an example.
        """
        features = len(basis)
        self.check_rows((len(FILTERS) + self.permutations + len(self.levels)) * features, score, basis)
        other = replacement_coefficients(self.replacement, score, basis, rng, self.draws)
        orders = permutation_pairs(rng, len(x), self.permutations if features > 1 else 0, features)
        fixed = torch.cat([filter_masks(features), nothing(features)])
        masks = torch.cat([fixed.expand(len(x), -1, -1), permutation_masks(orders)], 1)
        table = measures(subset_readings(score, basis, masks, other))
        filtered, empty = table[:, : len(fixed) - 1].unflatten(1, (len(FILTERS), features)), table[:, len(fixed) - 1]
        by_name = dict(zip(FILTERS, filtered.unbind(1), strict=True))
        nothing_left, clean = empty[:, :1], by_name["low-pass"][:, -1:, 0]
        if orders.shape[1]:
            scores = changes_in_order(table[:, len(fixed) :, 0], orders, nothing_left, clean).mean(1)
        else:
            scores = (clean - by_name["band-stop"][..., 0] + by_name["band-pass"][..., 0] - nothing_left) / 2
        readings = torch.cat([filtered, self._noisy(score, basis, rng)], 1)
        return Ranking(scores.to(x), extras={"readings": readings.float(), "nothing": empty.float()})

    def _noisy(self, score: Score, basis: Basis, rng: ExampleRng) -> Float[Tensor, "batch levels features measures"]:
        """The readings with noise in one band after another: the bands of one draw of white noise."""
        x, features, shape = score.signal, len(basis), [-1, *[1] * (score.signal.ndim - 1)]
        if not self.levels:
            return in_float64(x.new_zeros(len(x), 0, features, len(MEASURES)))
        spread = (x - x.mean(dim=tuple(range(1, x.ndim)), keepdim=True)).flatten(1).norm(dim=1)
        white = basis.forward(rng.normal(x.shape[1:], "noise").to(x))
        rows = torch.arange(len(x), device=x.device)
        at_once = max(1, ENTRIES // (len(self.levels) * x.numel()))
        readings = []
        for some in only_each(features).to(x.device).split(at_once):
            signals = []
            for mask in some:
                band = basis.keep_features(white, mask.expand(len(x), -1)).to(x)
                size = spread / band.flatten(1).norm(dim=1).clamp(min=torch.finfo(x.dtype).tiny)
                signals += [x + band * (level * size).view(shape) for level in self.levels]
            table = measures(score.value(torch.cat(signals), rows.repeat(len(signals))))
            readings.append(table.view(len(some), len(self.levels), len(x), len(MEASURES)).permute(2, 1, 0, 3))
        return torch.cat(readings, 2)


def filter_masks(features: int) -> Bool[Tensor, "subsets features"]:
    """The bands that each of `FILTERS` leaves, K for each, in their order."""
    upward = torch.ones(features, features, dtype=torch.bool)
    return torch.cat([only_each(features), without_each(features), upward.tril(), upward.triu()])


def measures(readings: Reading | SubsetReadings) -> Float[Tensor, "... measures"]:
    """`MEASURES` side by side, by `in_float64`; NaN where the head has none or the output is not finite."""
    columns = (getattr(readings, name) for name in MEASURES)
    missing = torch.full_like(in_float64(readings.value), math.nan)
    table = torch.stack([missing if column is None else in_float64(column) for column in columns], -1)
    # What an output that is not finite predicts is no prediction.
    return torch.where(table[..., :1].isfinite(), table, math.nan)
