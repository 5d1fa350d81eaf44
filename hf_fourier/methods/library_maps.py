"""What methods of other libraries have in common: names that are checked, a map over the signal, a lift to features."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from hf_fourier.domains.base import Basis
from hf_fourier.errors import SpecError
from hf_fourier.methods.base import Method, Ranking
from hf_fourier.methods.precomputed import LIFTS, Precomputed, lifted_notes
from hf_fourier.registry import bare_name
from hf_fourier.scoring.score import Score
from hf_fourier.seeding import ExampleRng
from hf_fourier.typing import Float, Tensor

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class LibraryMaps(Method):
    """Rank by a map of another library over positions, converted to scores of features by `lift`.

    The map is taken as it is where features are positions.

    Attributes:
        attribution: The library's own name of it; case, hyphens and underscores do not matter.
        lift: "transport", "gradient" or "magnitude"; None for the one that suits the map.
        known: The names, with the lift that suits each.
        refused: Other names of the library, with the reason why these maps are not carried to features here.
    """

    attribution: str = ""
    lift: str | None = None

    library: ClassVar[str] = ""
    known: ClassVar[Mapping[str, str]] = {}
    refused: ClassVar[Mapping[str, str]] = {}
    first_is_bare: ClassVar[bool] = True

    def __post_init__(self) -> None:
        given = str(self.attribution)
        alike = [name for name in self.known if bare_name(name) == bare_name(given)]
        if not alike:
            near = difflib.get_close_matches(given, self.known, n=1, cutoff=0.5)
            got, expected = f"{self.library} class {given!r}", f"one of {', '.join(self.known)}"
            do = f"compute its maps with {self.library}, and pass them to `explainer.from_maps`"
            for name, reason in self.refused.items():
                if bare_name(name) == bare_name(given):
                    raise SpecError(f"{got}, {reason}", expected, f"{do}, with lift='magnitude'")
            raise SpecError(got, expected, f"did you mean {near[0]!r}? Else {do}" if near else do)
        object.__setattr__(self, "attribution", alike[0])
        if self.lift is not None and self.lift not in LIFTS:
            raise SpecError(f"lift {self.lift!r}", f"one of {', '.join(LIFTS)}, or None", "choose one of them")

    def carried(
        self, score: Score, x: Float[Tensor, "batch *signal"], basis: Basis, rng: ExampleRng, maps: Tensor
    ) -> Ranking:
        """The ranking by `maps`, shape `(batch, *signal)`, lifted to the features, with notes on what the lift lost."""
        lift = None if basis.layout.by_place else self.lift or self.known[self.attribution]
        before, score.precomputed_maps = score.precomputed_maps, maps
        try:
            ranking = Precomputed(self.library, lift).attribute(score, x, basis, rng)
        finally:
            score.precomputed_maps = before
        extras = [{name: values[row] for name, values in ranking.extras.items()} for row in range(len(x))]
        signed = self.known[self.attribution] != "magnitude"  # the sizes of gradients are expected to be positive
        notes = [lifted_notes(one, values) if signed and lift else [] for one, values in zip(extras, maps, strict=True)]
        return replace(ranking, notes=notes, completeness_error=None)


class ScoreOfRows(torch.autograd.Function):
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
def seeded(generator: torch.Generator) -> Iterator[int]:
    """torch's and numpy's global random streams, seeded inside with the number given, and as they were afterwards."""
    seed = int(torch.randint(2**31, (), generator=generator))
    legacy = np.random.get_state()  # noqa: NPY002  # other libraries draw from it
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        try:
            yield seed
        finally:
            np.random.set_state(legacy)  # noqa: NPY002
