"""Random masks: a linear model of the score, fitted to what the model answers when features are deleted at random."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from hf_fourier.domains.base import Basis
from hf_fourier.errors import SpecError
from hf_fourier.methods.base import METHODS, Ranking
from hf_fourier.methods.subset_method import USE_BANDS, SubsetMethod, check_whole, remembered
from hf_fourier.scoring.score import Score
from hf_fourier.seeding import ExampleRng
from hf_fourier.typing import Bool, Float, Int, Tensor

#: The fractions of features that masks keep, in turn; the complement of a mask keeps the rest.
RATES = (0.1, 0.3, 0.5, 0.7)
#: The different fractions that masks and complements keep.
STRATA = (0.1, 0.3, 0.5, 0.7, 0.9)
#: Masks that are run before the fit is looked at again.
ROUND = 128
#: Two halves of the masks agree where their top quarters of the features overlap so far.
DICE = 0.9
#: Masks for each coefficient of the fit, at least: either half then has two.
MASKS_EACH = 4


@METHODS.register("random_masks", aliases=("rise", "freq_rise"))
@dataclass(frozen=True)
class RandomMasks(SubsetMethod):
    """Delete random subsets of features, and regress the score on which features are present.

    Masks m keep each feature with probability p, in turn .1, .3, .5 and .7, each mask with its complement. Least
    squares fit

        s(x with m) ≈ a_p + Σ_k β_k m_k

    with one intercept a for each p, and β_k is the score of feature k: the mean change of s where k is there, in units
    of s. Where s is additive in the features β is exact; a feature that s does not depend on has β = 0 up to the
    standard error, because given p features are independent (with a single intercept it would not). Masks come in
    rounds of 128, until the top quarters of the features that either half of the masks finds agree (Dice of at least
    .9), or `masks` are reached. There have to be four masks for each coefficient; with fewer no feature could be told
    from another, and the method refuses. Of up to 12 features no subset is run twice.

    FreqRISE (arXiv 2406.13584) averages the score over the masks that keep a feature; the fit takes away from that
    average what all masks have in common, and what the features that were kept as well are worth.

    `extras`, per example: "standard_error" of each score, shape `(K,)`, robust against unequal residuals and computed
    from pairs of masks; "masks", how many were run; "dice", how far the halves agree; "r_squared", the part of the
    variance within equal p that the linear model explains: 1 where features add up, little where they work together.

    Attributes:
        masks: Masks of each example at most, an even number.
    """

    masks: int = 1024

    reference: ClassVar[str] = "ours, after FreqRISE (arXiv 2406.13584)"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("masks", self.masks, 2)
        if self.masks % 2:
            raise SpecError(f"masks {self.masks}", "an even number", "correct `masks`")

    @property
    def properties(self) -> tuple[str, ...]:
        """The masks are random."""
        return ("seeded",)

    @property
    def passes_text(self) -> str:
        """The passes in words."""
        return f"1 + 0, and up to {self.masks} + 0"

    def attribute(self, score: Score, x: Float[Tensor, "batch *signal"], basis: Basis, rng: ExampleRng) -> Ranking:
        """The coefficients of the fits.

        Raises:
            SpecError: If there are too few masks for so many features, or more than `MOST_ROWS` model rows an example.
        """
        features = len(basis)
        least = MASKS_EACH * (features + len(STRATA))
        if self.masks < least:
            got = f"random_masks over {features} features with {self.masks} masks"
            raise SpecError(got, f"at least {least} masks", f"{USE_BANDS}, or masks={least}")
        self.check_rows(self.masks, score, basis, f"{USE_BANDS}, or fewer masks")
        game = remembered(self.game_here(score, basis, rng), len(x), features)
        masks: list[Bool[Tensor, "batch masks features"]] = []
        values: list[Float[Tensor, "batch masks"]] = []
        fits: dict[int, dict[str, Any]] = {}
        done = asked = 0
        while len(fits) < len(x):
            count = min(ROUND, self.masks - done)
            masks.append(torch.stack([drawn_masks(rng, i, len(masks), count, features) for i in range(len(x))]))
            done += count
            if done < least:
                continue
            new = torch.cat(masks, 1)[:, asked:]
            new[list(fits)] = True  # the whole, which is not run again
            values.append(game(new))
            asked = done
            design, answers = torch.cat(masks, 1), torch.cat(values, 1)
            for i in set(range(len(x))).difference(fits):
                found = fit(design[i], answers[i])
                if found["dice"] >= DICE or done >= self.masks:
                    fits[i] = found
        ordered = [fits[i] for i in range(len(x))]
        names = "scores", "standard_error"
        scores, errors = (torch.stack([one[name] for one in ordered]).to(x.dtype) for name in names)
        extras = {name: [one[name] for one in ordered] for name in ("masks", "dice", "r_squared")}
        return Ranking(scores, extras={"standard_error": errors, **extras})


def drawn_masks(
    rng: ExampleRng, example: int, number: int, count: int, features: int
) -> Bool[Tensor, "count features"]:
    """One round of an example's masks, each followed by its complement.

    Args:
        rng: The random streams of the batch.
        example: The example's index in it.
        number: The round.
        count: How many masks, an even number.
        features: Features of a mask.
    """
    rates = torch.tensor(RATES, dtype=torch.float32).repeat(math.ceil(count / 2 / len(RATES)))[: count // 2]
    uniform = torch.rand(count // 2, features, dtype=torch.float32, generator=rng.generator(example, "masks", number))
    kept = uniform < rates.unsqueeze(1)
    return torch.stack([kept, ~kept], 1).flatten(0, 1)


def stratum_of(count: int) -> Int[Tensor, " count"]:
    """The place in `STRATA` of the fraction that each mask of rounds of `ROUND` keeps.

    Args:
        count: How many masks.
    """
    pair = torch.tensor([[STRATA.index(rate), STRATA.index(round(1 - rate, 1))] for rate in RATES])
    one = pair.repeat(math.ceil(ROUND / 2 / len(RATES)), 1).flatten()[:ROUND]
    return one.repeat(math.ceil(count / ROUND))[:count]


def fit(masks: Bool[Tensor, "masks features"], values: Float[Tensor, " masks"]) -> dict[str, Any]:
    """The fit of one example, with the agreement of its halves.

    Args:
        masks: Rounds of masks, each followed by its complement.
        values: The score with each.

    Returns:
        "scores" and "standard_error", shape `(K,)`; "masks", "dice" and "r_squared", numbers.
    """
    strata = stratum_of(len(masks))
    scores, errors, explained = least_squares(masks, values, strata)
    half = (torch.arange(len(masks)) // (2 * len(RATES))) % 2 == 0  # with all rates in either
    tops = []
    for chosen in (half, ~half):
        found = least_squares(masks[chosen], values[chosen], strata[chosen])[0]
        tops.append(set(found.argsort(descending=True, stable=True)[: max(1, masks.shape[1] // 4)].tolist()))
    dice = len(tops[0] & tops[1]) / len(tops[0])
    return {
        "scores": scores,
        "standard_error": errors,
        "masks": len(masks),
        "dice": dice,
        "r_squared": explained,
    }


def least_squares(
    masks: Bool[Tensor, "masks features"], values: Float[Tensor, " masks"], strata: Int[Tensor, " masks"]
) -> tuple[Float[Tensor, " features"], Float[Tensor, " features"], float]:
    """The coefficients of the features beside one intercept for each stratum, their standard errors, and R².

    The standard errors are those of a sandwich estimator whose clusters are pairs of neighbouring masks.

    Args:
        masks: Which features are left, in neighbouring pairs.
        values: The score.
        strata: Which intercept each mask has.
    """
    _, present = strata.unique(return_inverse=True)
    intercepts = torch.nn.functional.one_hot(present).double()
    # What is left of masks and values within the strata has the same coefficients, and no intercepts.
    inside, left = (
        columns - intercepts @ ((intercepts.T @ columns) / intercepts.sum(0).unsqueeze(1))
        for columns in (masks.double(), values.double().unsqueeze(1))
    )
    inverse = torch.linalg.pinv(inside.T @ inside, hermitian=True)
    scores = (inverse @ (inside.T @ left))[:, 0]
    residuals = left[:, 0] - inside @ scores
    clusters = (inside * residuals.unsqueeze(1)).unflatten(0, (-1, 2)).sum(1)
    pairs, spare = len(clusters), len(masks) - intercepts.shape[1] - len(scores)
    correction = pairs / (pairs - 1) * (len(masks) - 1) / max(1, spare)
    covariance = correction * inverse @ (clusters.T @ clusters) @ inverse
    total = float(left.square().sum())
    explained = 1.0 if total == 0 else 1 - float(residuals.square().sum()) / total
    return scores, covariance.diagonal().clamp(min=0).sqrt(), explained
