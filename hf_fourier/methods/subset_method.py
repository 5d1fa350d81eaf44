"""What methods have in common that ask the model about subsets of the features: forward passes, no gradient."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from hf_fourier.domains.base import Basis
from hf_fourier.errors import SpecError
from hf_fourier.methods.base import METHODS, Method
from hf_fourier.scoring.replacements import DRAWN, checked_replacement, replacement_coefficients
from hf_fourier.scoring.score import Score
from hf_fourier.scoring.subsets import subset_readings
from hf_fourier.seeding import ExampleRng
from hf_fourier.torch_state import in_float64
from hf_fourier.typing import Bool, Float, Tensor

#: Model rows per example that a method may ask for; with more features there is nothing to tell apart.
MOST_ROWS = 10_000
#: Up to so many features all subsets' values are remembered.
MOST_REMEMBERED = 12
#: The advice where there are too many features.
USE_BANDS = "use bands, e.g. domain='fourier:bands=octave'"
#: `(subsets, K)` or `(batch, subsets, K)` masks -> the score of each example with each subset, by `in_float64`.
Game = Callable[[Bool[Tensor, "... features"]], Float[Tensor, "batch subsets"]]


@dataclass(frozen=True)
class SubsetMethod(Method):
    """A method that asks for the score of subsets of the features, in forward passes alone.

    Attributes:
        replacement: What stands in a deleted feature's place, one of `hf_fourier.results.curve.REPLACEMENTS` (see
            `hf_fourier.scoring.replacements.replacement_coefficients`).
        draws: Draws of a random replacement, whose scores are averaged; each multiplies the cost.
    """

    replacement: str = "zero"
    draws: int = 4

    default_domain: ClassVar[str | None] = "fourier:bands=octave"

    def __post_init__(self) -> None:
        checked_replacement(self.replacement)
        check_whole("draws", self.draws)

    @property
    def properties(self) -> tuple[str, ...]:
        """Whether the replacement is random."""
        return ("seeded",) if self.replacement in DRAWN else ()

    @property
    def passes(self) -> None:
        """None: they depend on the number of features."""
        return None

    def game(self, score: Score, basis: Basis, rng: ExampleRng) -> Game:
        """The score as a function of which features are left, averaged over the draws of the replacement.

        Args:
            score: The batch.
            basis: Its domain.
            rng: The random streams of its examples.
        """
        values = self._values(score, basis, rng)
        return lambda masks: in_float64(values(masks))

    def game_here(self, score: Score, basis: Basis, rng: ExampleRng) -> Game:
        """The same game with its values on the CPU: the host waits for an accelerator once at each call.

        The clean readings come with the first values, so that it need not wait for them again.
        """
        values = self._values(score, basis, rng)

        def here(masks: Bool[Tensor, "... features"]) -> Float[Tensor, "batch subsets"]:
            found, clean = values(masks), score.clean_reading()
            beside = clean.value, clean.agreement, clean.confidence, score.frozen_targets
            return score.pending.fetch_with(found, beside).double()

        return here

    def _values(self, score: Score, basis: Basis, rng: ExampleRng) -> Game:
        replacement = replacement_coefficients(self.replacement, score, basis, rng, self.draws)
        return lambda masks: subset_readings(score, basis, masks, replacement).value

    def check_rows(self, subsets: int, score: Score, basis: Basis, instead: str = USE_BANDS) -> None:
        """Refuse more model rows per example than `MOST_ROWS`, before any is run.

        Args:
            subsets: How many subsets each example will be asked about.
            score: The batch.
            basis: Its domain.
            instead: What to do about it.

        Raises:
            SpecError: If they are more.
        """
        draws = self.draws if self.replacement in DRAWN else 1
        if self.replacement == "reference":
            draws = len(score.references())
        if subsets * draws > MOST_ROWS:
            got = f"{METHODS.spec(self)} over {len(basis)} features, {subsets * draws} model rows for each example"
            raise SpecError(got, f"at most {MOST_ROWS}", instead)


def remembered(game: Game, batch: int, features: int) -> Game:
    """A game that runs no subset of an example twice over several calls; the same game where features are many.

    Args:
        game: The game, its values on the CPU.
        batch: How many examples it has.
        features: How many features.
    """
    if features > MOST_REMEMBERED:
        return game
    bits = 2 ** torch.arange(features)
    memory = torch.full((batch, 2**features), math.nan, dtype=torch.float64)

    def values(masks: Bool[Tensor, "batch subsets features"]) -> Float[Tensor, "batch subsets"]:
        numbers = (masks * bits).sum(-1)
        before = memory.gather(1, numbers)
        asked = masks | ~before.isnan().unsqueeze(-1)  # the whole, which is not run
        memory.scatter_(1, numbers, torch.where(before.isnan(), game(asked), before))
        return memory.gather(1, numbers)

    return values


def asks_for_donors(method: Method) -> bool:
    """Whether a method puts other examples' features in the place of deleted ones."""
    return getattr(method, "replacement", None) == "example"


def check_whole(name: str, value: Any, least: int = 1) -> None:
    """Check a parameter that counts something.

    Raises:
        SpecError: If it is no whole number of at least `least`.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise SpecError(f"{name} {value!r}", f"a whole number of at least {least}", f"correct `{name}`")


def without_each(features: int) -> Bool[Tensor, "features features"]:
    """Each feature deleted, one after another."""
    return ~only_each(features)


def only_each(features: int) -> Bool[Tensor, "features features"]:
    """Each feature alone, one after another."""
    return torch.eye(features, dtype=torch.bool)


def nothing(features: int) -> Bool[Tensor, "1 features"]:
    """The empty subset."""
    return torch.zeros(1, features, dtype=torch.bool)
