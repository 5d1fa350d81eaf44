"""Methods of Captum (extra `captum`) by name, `captum:IntegratedGradients`: its maps, carried to the features."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from hf_fourier.domains.base import Basis
from hf_fourier.errors import MissingExtraError, SpecError
from hf_fourier.methods.base import METHODS, Method, Ranking
from hf_fourier.methods.gradients import NOISE_STD, SPREAD_ELSEWHERE
from hf_fourier.methods.precomputed import LIFTS, Precomputed, lifted_notes
from hf_fourier.registry import bare_name
from hf_fourier.scoring.score import Score
from hf_fourier.seeding import ExampleRng
from hf_fourier.torch_state import in_float32, taken
from hf_fourier.typing import Float, Tensor

if TYPE_CHECKING:
    from collections.abc import Iterator

#: By class of `captum.attr`: the lift that suits its maps, and whether it draws random numbers.
KNOWN: Mapping[str, tuple[str, bool]] = {
    "IntegratedGradients": ("transport", False),
    "InputXGradient": ("transport", False),
    "GradientShap": ("transport", True),
    "Saliency": ("gradient", False),
    "NoiseTunnel": ("magnitude", True),
}


@METHODS.register("captum")
@dataclass(frozen=True)
class Captum(Method):
    """Rank by a map of Captum over the signal, carried to the features by a lift (see `Precomputed`).

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
    lift: str | None = None
    steps: int = 20

    first_is_bare: ClassVar[bool] = True
    reference: ClassVar[str] = "Captum (arXiv 2009.07896); transport: arXiv 2303.06365 (virtual inspection layer)"

    def __post_init__(self) -> None:
        alike = [name for name in KNOWN if bare_name(name) == bare_name(str(self.attribution))]
        if not alike:
            near = difflib.get_close_matches(str(self.attribution), KNOWN, n=1, cutoff=0.5)
            hint = "compute its maps with Captum, and pass them to `explainer.from_maps`"
            got, expected = f"captum class {self.attribution!r}", f"one of {', '.join(KNOWN)}"
            raise SpecError(got, expected, f"did you mean {near[0]!r}? Else {hint}" if near else hint)
        object.__setattr__(self, "attribution", alike[0])
        if self.lift is not None and self.lift not in LIFTS:
            raise SpecError(f"lift {self.lift!r}", f"one of {', '.join(LIFTS)}, or None", "choose one of them")
        if not isinstance(self.steps, int) or self.steps < 2:
            raise SpecError(f"steps {self.steps!r}", "a whole number of at least 2", "correct `steps`")

    @property
    def properties(self) -> tuple[str, ...]:
        """Transported integrated gradients should sum to `s(x) - s(0)`; noise is drawn."""
        complete = self.attribution == "IntegratedGradients" and self.lift in (None, "transport")
        if complete:
            return ("complete",)
        return ("seeded",) if KNOWN[self.attribution][1] else ()

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
        lift = None if basis.layout.by_place else self.lift or KNOWN[self.attribution][0]
        before, score.precomputed_maps = score.precomputed_maps, maps
        try:
            ranking = Precomputed("captum", lift).attribute(score, x, basis, rng)
        finally:
            score.precomputed_maps = before
        extras = [{name: values[row] for name, values in ranking.extras.items()} for row in range(len(x))]
        signed = KNOWN[self.attribution][0] != "magnitude"  # the sizes of gradients are expected to be positive
        notes = [lifted_notes(one, values) if signed and lift else [] for one, values in zip(extras, maps, strict=True)]
        ranking = replace(ranking, gradient=clean.gradient, notes=notes, completeness_error=None)
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
                return _ScoreOfRows.apply(rows, score, row)
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
        seeded = _seeded(rng.generator(row, "captum"))
        with torch.enable_grad(), taken(torch.random), seeded, in_float32() as usual:
            signal = x[row : row + 1].detach().clone().requires_grad_(True)
            found: Tensor = makers[self.attribution](signal)
        return found.detach()[0].to(x.dtype)


class _ScoreOfRows(torch.autograd.Function):
    """The score of rows that belong to one example, differentiable once; batches and passes are the score's own."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, score: Score, row: int) -> Tensor:
        """Scores of shape `(rows,)`; the clean example itself is not run again."""
        if len(rows) == 1 and torch.equal(rows[0], score.signal[row]):
            clean = score.clean()
            ctx.save_for_backward(clean.gradient[row : row + 1])
            return clean.reading.value[row : row + 1].to(rows.dtype)
        found = score.value_and_gradient(rows.detach(), torch.full((len(rows),), row, device=rows.device))
        ctx.save_for_backward(found.gradient)
        return found.reading.value.to(rows.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        """The signed gradient of each row's score, times what came back."""
        (gradient,) = ctx.saved_tensors
        return grads[0].to(gradient).view(-1, *[1] * (gradient.ndim - 1)) * gradient, None, None


@contextmanager
def _seeded(generator: torch.Generator) -> Iterator[None]:
    """torch's and numpy's global random streams, from which Captum draws, seeded inside and as they were afterwards."""
    seed = int(torch.randint(2**31, (), generator=generator))
    legacy = np.random.get_state()  # noqa: NPY002  # Captum draws from it
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(legacy)  # noqa: NPY002
