"""Shapley values: each feature's part of the score, averaged over all orders in which features can come in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import torch

from hf_fourier.domains.base import Basis
from hf_fourier.errors import SpecError
from hf_fourier.methods.base import METHODS, Ranking
from hf_fourier.methods.subset_method import USE_BANDS, Game, SubsetMethod, check_whole, nothing
from hf_fourier.scoring.pending import to_device
from hf_fourier.scoring.score import Score
from hf_fourier.seeding import ExampleRng
from hf_fourier.torch_state import in_float64
from hf_fourier.typing import Bool, Float, Int, Tensor

#: Up to so many features all subsets are run.
EXACT = 10
#: Permutations where there are more features and none are asked for.
PERMUTATIONS = 32
#: Entries of the masks that are made at once.
MASK_ENTRIES = 2**26


@METHODS.register("shapley", aliases=("shap", "shapley_values", "kernel_shap", "sampling_shap"))
@dataclass(frozen=True)
class Shapley(SubsetMethod):
    """Divide `s(x) - s(∅)` among the features: each gets its mean marginal contribution over all orders.

        φ_b = Σ_S |S|! (K - |S| - 1)! / K! (s(S ∪ b) - s(S))        over the subsets S without b

    Up to 10 features it is exact, from all 2^K subsets. With more, or where `permutations` is given, it is the mean
    over random permutations, each with its reverse, which is unbiased; every permutation's changes sum to the same
    total, so that the sum is exact even then. Between features that replace each other or need each other the value
    is split evenly.

    `extras`, per example: "standard_error" of each score, from the pairs of permutations (0 where exact), shape
    `(K,)`; "permutations", how many (0 where exact); where exact also "alone", `s(b) - s(∅)`, and "deleted",
    `s(x) - s(x without b)`, the first and the last of the changes that are averaged.

    Attributes:
        permutations: An even number of them, at least 4; None for exact values up to 10 features and 32 beyond.
    """

    permutations: int | None = None

    reference: ClassVar[str] = (
        "Shapley 1953; sampling: Castro et al. 2009 (doi 10.1016/j.cor.2008.04.004), in pairs: Mitchell et al. 2022 "
        "(arXiv 2104.12199)"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.permutations is None:
            return
        check_whole("permutations", self.permutations, 4)
        if self.permutations % 2:
            raise SpecError(f"permutations {self.permutations}", "an even number", "correct `permutations`")

    @property
    def properties(self) -> tuple[str, ...]:
        """Complete; seeded where permutations are asked for or the replacement is random."""
        seeded = self.permutations is not None or super().properties
        return ("complete", "seeded") if seeded else ("complete",)

    def properties_for(self, features: int) -> tuple[str, ...]:
        """Seeded beyond `EXACT` features, too."""
        return self.properties if features <= EXACT else ("complete", "seeded")

    @property
    def passes_text(self) -> str:
        """The passes in words."""
        if self.permutations is None:
            return f"2^K + 0 for K features up to {EXACT}, then {PERMUTATIONS} + 0 per feature"
        return f"{self.permutations} + 0 per feature"

    def attribute(self, score: Score, x: Float[Tensor, "batch *signal"], basis: Basis, rng: ExampleRng) -> Ranking:
        """The values; their sum minus `s(x) - s(∅)` is the completeness error.

        Raises:
            SpecError: If there are so many features that it takes more than `MOST_ROWS` model rows an example.
        """
        features = len(basis)
        exact = self.permutations is None and features <= EXACT
        count = 0 if exact else self.permutations or PERMUTATIONS
        subsets = 2**features if exact else count * (features - 1) + 2
        self.check_rows(
            subsets, score, basis, USE_BANDS if self.permutations is None else f"{USE_BANDS}, or fewer permutations"
        )
        game = self.game(score, basis, rng)
        if exact:
            values = game(all_subsets(features))
            empty, whole = values[:, :1], values[:, -1:]
            one = to_device(2 ** torch.arange(features), values.device)
            extras = {"alone": values[:, one] - empty, "deleted": whole - values[:, -1 - one]}
            matrix = to_device(shapley_matrix(features), values.device)
            scores, error = values @ matrix.T, values.new_zeros(len(x), features)
        else:
            orders = permutation_pairs(rng, len(x), count, features)
            empty, whole = game(nothing(features)), in_float64(score.clean_reading().value).unsqueeze(1)
            pairs = marginal_changes(game, orders, empty, whole).unflatten(1, (-1, 2)).mean(2)
            scores, error, extras = pairs.mean(1), pairs.std(1) / math.sqrt(count // 2), {}
        numbers = {name: array.to(x) for name, array in {"standard_error": error, **extras}.items()}
        scores = scores.to(x)
        return Ranking(
            scores,
            extras={**numbers, "permutations": [count] * len(x)},
            completeness_error=scores.sum(1) - (whole - empty)[:, 0].to(x),
            baseline_value=empty[:, 0].to(x),
        )


def all_subsets(features: int) -> Bool[Tensor, "subsets features"]:
    """All subsets, in the order of the numbers whose k-th bit says whether feature k is in: nothing first, all last."""
    numbers = torch.arange(2**features).unsqueeze(1)
    return (numbers >> torch.arange(features)) % 2 == 1


@lru_cache(maxsize=16)
def shapley_matrix(features: int) -> Float[Tensor, "features subsets"]:
    """What each of `all_subsets` counts in each feature's Shapley value.

    Args:
        features: How many there are.
    """
    inside = all_subsets(features)
    sizes = inside.sum(1)
    weights = [
        math.factorial(max(size - 1, 0)) * math.factorial(features - max(size, 1)) / math.factorial(features)
        for size in range(features + 1)
    ]  # of a subset of this size for a feature in it
    in_it = torch.tensor(weights, dtype=torch.float64)[sizes].unsqueeze(1)
    without = torch.tensor([*weights[1:], 0.0], dtype=torch.float64)[sizes].unsqueeze(1)
    return torch.where(inside, in_it, -without).T.contiguous()


def permutation_pairs(rng: ExampleRng, batch: int, count: int, features: int) -> Int[Tensor, "batch count features"]:
    """Random permutations, each followed by its reverse, from each example's own stream.

    Args:
        rng: The random streams of the examples.
        batch: How many examples.
        count: How many permutations, an even number.
        features: Their length.
    """
    if not count:
        return torch.zeros(batch, 0, features, dtype=torch.long)
    generators = [rng.generator(i, "permutations") for i in range(batch)]
    drawn = torch.stack(
        [torch.stack([torch.randperm(features, generator=g) for _ in range(count // 2)]) for g in generators]
    )
    return torch.stack([drawn, drawn.flip(-1)], 2).flatten(1, 2)


def permutation_masks(orders: Int[Tensor, "batch count features"]) -> Bool[Tensor, "batch steps features"]:
    """The features that are there after the first to the last but one came in, for each order in turn."""
    before = torch.arange(1, orders.shape[-1]).view(-1, 1)
    return (orders.argsort(-1).unsqueeze(2) < before).flatten(1, 2)


def changes_in_order(
    values: Float[Tensor, "batch steps"],
    orders: Int[Tensor, "batch count features"],
    empty: Float[Tensor, "batch 1"],
    whole: Float[Tensor, "batch 1"],
) -> Float[Tensor, "batch count features"]:
    """The change of the score as each feature comes in, in each order.

    Args:
        values: The scores with `permutation_masks(orders)`.
        orders: The orders.
        empty: The score with no feature.
        whole: The clean score.
    """
    batch, count, features = orders.shape
    ends = (end.unsqueeze(1).expand(-1, count, -1) for end in (empty, whole))
    steps = torch.cat([next(ends), values.view(batch, count, features - 1), next(ends)], 2)
    return steps.diff().gather(2, to_device(orders.argsort(-1), steps.device))


def marginal_changes(
    game: Game,
    orders: Int[Tensor, "batch count features"],
    empty: Float[Tensor, "batch 1"],
    whole: Float[Tensor, "batch 1"],
) -> Float[Tensor, "batch count features"]:
    """`changes_in_order`, some orders at a time, so that their masks fit in memory."""
    batch, _, features = orders.shape
    at_once = max(1, MASK_ENTRIES // max(1, batch * (features - 1) * features))
    parts = orders.split(at_once, 1)
    return torch.cat([changes_in_order(game(permutation_masks(part)), part, empty, whole) for part in parts], 1)
