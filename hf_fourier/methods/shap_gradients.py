"""shap's expected gradients (extra `peers`) by their name there, `shap:GradientExplainer`, carried to the features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch

from hf_fourier.domains.base import Basis
from hf_fourier.errors import MissingExtraError, SpecError
from hf_fourier.methods.base import METHODS, Ranking
from hf_fourier.methods.library_maps import LibraryMaps, ScoreOfRows, seeded
from hf_fourier.scoring.score import Score
from hf_fourier.seeding import ExampleRng
from hf_fourier.torch_state import in_float32, taken
from hf_fourier.typing import Float, Tensor


@METHODS.register("shap_gradients", aliases=("shap:GradientExplainer", "GradientExplainer"), needs="shap")
@dataclass(frozen=True)
class ShapGradients(LibraryMaps):
    """Rank by expected gradients as `shap` computes them, from zero, converted to scores of features by `lift`.

    `shap.GradientExplainer` is given the score of one example at a time, and zero as its background: the mean of
    `x · gradient` at random points of the path from zero. These are contributions, which "transport" carries so that
    their sum stays; the sum is near `s(x) - s(0)`, as near as the random points allow.

    Attributes:
        attribution: "GradientExplainer".
        lift: "transport", "gradient" or "magnitude"; None for "transport".
        samples: Random points.
    """

    attribution: str = "GradientExplainer"
    samples: int = 20

    library: ClassVar[str] = "shap"
    known: ClassVar[Mapping[str, str]] = {"GradientExplainer": "transport"}
    first_is_bare: ClassVar[bool] = False
    reference: ClassVar[str] = "shap (arXiv 1705.07874); expected gradients: arXiv 1906.10670"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.samples, int) or self.samples < 1:
            raise SpecError(f"samples {self.samples!r}", "a whole number of at least 1", "correct `samples`")

    @property
    def properties(self) -> tuple[str, ...]:
        """The points are drawn."""
        return ("seeded",)

    @property
    def passes(self) -> tuple[int, int]:
        """One of each kind per sample, at the clean example, and at zero, where `shap` looks at the output."""
        return self.samples + 2, self.samples + 2

    def attribute(self, score: Score, x: Float[Tensor, "batch *signal"], basis: Basis, rng: ExampleRng) -> Ranking:
        """The maps of `shap`, lifted.

        Raises:
            MissingExtraError: If `shap` is not installed.
        """
        clean = score.clean()
        maps = torch.stack([self._map(score, x, row, rng) for row in range(len(x))])
        return replace(self.carried(score, x, basis, rng, maps), gradient=clean.gradient)

    def _map(
        self, score: Score, x: Float[Tensor, "batch *signal"], row: int, rng: ExampleRng
    ) -> Float[Tensor, "*signal"]:
        """The map of one example."""
        try:
            import shap
        except ImportError as error:
            raise MissingExtraError("shap", "peers", "expected gradients of `shap`") from error
        with (
            torch.enable_grad(),
            taken(torch.random),
            seeded(rng.generator(row, "shap")) as seed,
            in_float32() as usual,
        ):
            signal = x[row : row + 1].detach().clone()
            background, module = torch.zeros_like(signal), _Scored(score, row, usual)
            explainer = shap.GradientExplainer(module, background, batch_size=score.batcher.size)
            values = torch.as_tensor(explainer.shap_values(signal, nsamples=self.samples, rseed=seed))
        return values.reshape(x.shape[1:]).to(x)


class _Scored(torch.nn.Module):
    """The score of one example as a module, `(rows, *signal) -> (rows, 1)`."""

    def __init__(self, score: Score, row: int, usual: Any) -> None:
        super().__init__()
        self.score, self.row, self.usual = score, row, usual

    def forward(self, rows: Tensor) -> Tensor:
        """The score of each row, which shap draws in float32; the model's own code has the caller's default type."""
        self.usual.active = False
        try:
            return ScoreOfRows.apply(rows.to(self.score.signal), self.score, self.row).unsqueeze(1)
        finally:
            self.usual.active = True
