"""Occlusion: how much the score falls when a feature is deleted, or rises when it alone is there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from hf_fourier.domains.base import Basis
from hf_fourier.errors import SpecError
from hf_fourier.methods.base import METHODS, Ranking
from hf_fourier.methods.subset_method import SubsetMethod, nothing, only_each, without_each
from hf_fourier.scoring.score import Score
from hf_fourier.seeding import ExampleRng
from hf_fourier.torch_state import in_float64
from hf_fourier.typing import Float, Tensor

#: What is asked: each feature deleted, each alone, or both.
MODES = ("deleted", "alone", "both")


@METHODS.register("occlusion", aliases=("ablation", "feature_ablation"))
@dataclass(frozen=True)
class Occlusion(SubsetMethod):
    """Delete one feature at a time and run the model again.

    With s the score, x the example and ∅ what is left when every feature is replaced,

        deleted_b = s(x) - s(x without b)        the score of feature b
        alone_b = s(b alone) - s(∅)              in its place with mode=alone

    A feature with a large `alone` and a small `deleted` is redundant: others stand in for it. With a small `alone` and
    a large `deleted` it needs others. `extras` hold "deleted" and "alone", of each what was computed, shape `(K,)`.

    Attributes:
        mode: "deleted", "alone", or "both", which ranks by the first.
    """

    mode: str = "deleted"

    reference: ClassVar[str] = "FreqATT, arXiv 2506.18481; occlusion: Zeiler and Fergus 2014, arXiv 1311.2901"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mode not in MODES:
            raise SpecError(f"mode {self.mode!r}", f"one of {', '.join(MODES)}", "correct `mode`")

    @property
    def passes_text(self) -> str:
        """The passes in words."""
        return {"deleted": "1 + 0, and 1 + 0 per feature", "alone": "2 + 0, and 1 + 0 per feature"}.get(
            self.mode, "2 + 0, and 2 + 0 per feature"
        )

    def attribute(self, score: Score, x: Float[Tensor, "batch *signal"], basis: Basis, rng: ExampleRng) -> Ranking:
        """The differences, with the arrays as extras.

        Raises:
            SpecError: If there are so many features that it takes more than `MOST_ROWS` model rows an example.
        """
        features = len(basis)
        self.check_rows(features * (2 if self.mode == "both" else 1) + (self.mode != "deleted"), score, basis)
        masks = [] if self.mode == "alone" else [without_each(features)]
        masks += [] if self.mode == "deleted" else [only_each(features), nothing(features)]
        values = self.game(score, basis, rng)(torch.cat(masks))
        differences = {}
        if self.mode != "alone":
            clean = in_float64(score.clean_reading().value)
            differences["deleted"] = clean.unsqueeze(1) - values[:, :features]
        if self.mode != "deleted":
            differences["alone"] = values[:, -features - 1 : -1] - values[:, -1:]
        extras = {name: difference.to(x) for name, difference in differences.items()}
        return Ranking(next(iter(extras.values())), extras=extras)
