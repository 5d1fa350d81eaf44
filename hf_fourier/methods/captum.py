"""Methods of Captum (extra `captum`) by name, `captum:IntegratedGradients`: its maps, carried to the features."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch

from hf_fourier.domains.base import Basis
from hf_fourier.errors import MissingExtraError, SpecError
from hf_fourier.methods.base import METHODS, Ranking
from hf_fourier.methods.gradients import NOISE_STD, SPREAD_ELSEWHERE
from hf_fourier.methods.library_maps import LibraryMaps, ScoreOfRows, seeded
from hf_fourier.scoring.score import Score
from hf_fourier.seeding import ExampleRng
from hf_fourier.torch_state import in_float32, taken
from hf_fourier.typing import Float, Tensor

#: Classes of `captum.attr` that draw random numbers.
DRAWING = ("GradientShap", "NoiseTunnel")


@METHODS.register("captum", needs="captum")
@dataclass(frozen=True)
class Captum(LibraryMaps):
    """Rank by a map of Captum over positions, converted to scores of features by `lift`.

    Captum is given the score as its forward function, one example at a time, with zero as the baseline. Its map is
    taken as it is where features are positions. `IntegratedGradients`, `InputXGradient` and `GradientShap` are
    contributions, which "transport" carries to frequencies so that their sum stays; `Saliency`, here with its sign, is
    a gradient; `NoiseTunnel` is that over `Saliency` with its absolute values (SmoothGrad), which "magnitude" ranks.

    Attributes:
        attribution: The class in `captum.attr`; case, hyphens and underscores do not matter.
        lift: "transport", "gradient" or "magnitude"; None for the one that suits the map.
        steps: Points on a path, or samples of noise, for the classes that have some.
    """

    attribution: str = "IntegratedGradients"
    steps: int = 20

    library: ClassVar[str] = "Captum"
    known: ClassVar[Mapping[str, str]] = {
        "IntegratedGradients": "transport",
        "InputXGradient": "transport",
        "GradientShap": "transport",
        "Saliency": "gradient",
        "NoiseTunnel": "magnitude",
    }
    reference: ClassVar[str] = (
        "Captum (arXiv 2009.07896); lift=transport, which keeps the sum of the map: arXiv 2303.06365"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.steps, int) or self.steps < 2:
            raise SpecError(f"steps {self.steps!r}", "a whole number of at least 2", "correct `steps`")

    @property
    def properties(self) -> tuple[str, ...]:
        """Transported integrated gradients should sum to `s(x) - s(0)`; noise is drawn."""
        complete = self.attribution == "IntegratedGradients" and self.lift in (None, "transport")
        if complete:
            return ("complete",)
        return ("seeded",) if self.attribution in DRAWING else ()

    @property
    def passes(self) -> tuple[int, int]:
        """Of each kind one per point or sample and one at the clean example; forward one at zero too, if complete."""
        count = 1 if self.attribution in ("InputXGradient", "Saliency") else self.steps + 1
        return count + ("complete" in self.properties), count

    def attribute(self, score: Score, x: Float[Tensor, "batch *signal"], basis: Basis, rng: ExampleRng) -> Ranking:
        """Captum's maps, lifted.

        Raises:
            MissingExtraError: If Captum is not installed.
        """
        clean = score.clean()
        maps = torch.stack([self._map(score, x, row, basis, rng) for row in range(len(x))])
        ranking = replace(self.carried(score, x, basis, rng, maps), gradient=clean.gradient)
        if "complete" not in self.properties:
            return ranking
        empty = score.value(torch.zeros_like(x)).value
        error = ranking.scores.sum(1) - (clean.reading.value - empty)
        return replace(ranking, completeness_error=error, baseline_value=empty)

    def _map(
        self, score: Score, x: Float[Tensor, "batch *signal"], row: int, basis: Basis, rng: ExampleRng
    ) -> Float[Tensor, "*signal"]:
        """Captum's map of one example."""
        try:
            import captum.attr as library
        except ImportError as error:
            raise MissingExtraError("captum", "captum", "methods of Captum") from error

        def forward(rows: Tensor) -> Tensor:
            usual.active = False  # the model's own code has the caller's default type
            try:
                return ScoreOfRows.apply(rows, score, row)
            finally:
                usual.active = True

        spread = NOISE_STD.get(basis.signal.kind, SPREAD_ELSEWHERE) * float(x[row].max() - x[row].min())
        makers: dict[str, Callable[[Tensor], Any]] = {
            "IntegratedGradients": lambda one: library.IntegratedGradients(forward).attribute(one, n_steps=self.steps),
            "InputXGradient": lambda one: library.InputXGradient(forward).attribute(one),
            "Saliency": lambda one: library.Saliency(forward).attribute(one, abs=False),
            "GradientShap": lambda one: library.GradientShap(forward).attribute(
                one, baselines=torch.zeros_like(one), n_samples=self.steps
            ),
            "NoiseTunnel": lambda one: library.NoiseTunnel(library.Saliency(forward)).attribute(
                one, nt_type="smoothgrad", nt_samples=self.steps, stdevs=spread
            ),
        }
        streams = seeded(rng.generator(row, "captum"))
        with torch.enable_grad(), taken(torch.random), streams, in_float32() as usual:
            signal = x[row : row + 1].detach().clone().requires_grad_(True)
            found: Tensor = makers[self.attribution](signal)
        return found.detach()[0].to(x.dtype)
