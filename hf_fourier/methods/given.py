"""Maps of other libraries as rankings, so that they can be played and compared like any other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from hf_fourier.domains.base import Basis
from hf_fourier.domains.identity import IdentityBasis
from hf_fourier.errors import InputError, SpecError
from hf_fourier.methods.base import Method, Ranking
from hf_fourier.scoring import Score
from hf_fourier.seeding import Draw
from hf_fourier.typing import Float, Tensor

if TYPE_CHECKING:
    from hf_fourier.adapters.base import Encoded


@dataclass(frozen=True)
class Given(Method):
    """Rank by a map over the leaf that was made elsewhere; see `FourierExplainer.adopt`.

    In the identity domain a feature's score is the map's value there, summed over the channels that it takes together;
    in any other it is the size of the map's own coefficient `|W m|_k`, the way in which the FFC paper ranks frequencies
    by spatial maps. It is in no registry: without its maps it means nothing.

    Attributes:
        origin: What made the maps.
    """

    origin: str = "elsewhere"

    name: ClassVar[str] = "given"
    source: ClassVar[str] = "arXiv 2411.18343, spatial baselines (identity) and their FFT variants"

    @property
    def passes(self) -> tuple[int, int]:
        """One forward pass, for the target and its confidence; what the map cost is not known here."""
        return 1, 0

    def attribute(self, score: Score, x: Float[Tensor, "batch *leaf"], basis: Basis, draw: Draw) -> Ranking:
        """The maps' values, or the sizes of their coefficients.

        Raises:
            SpecError: If there are no maps.
        """
        if score.given is None:
            raise SpecError("method 'given' without maps", "a map for each example", "call `explainer.adopt`")
        maps = score.given.to(x)
        coefficients = basis.forward(maps)
        if isinstance(basis, IdentityBasis):
            return Ranking(basis.inner(coefficients, torch.ones_like(coefficients)))
        return Ranking(basis.magnitude(coefficients))


def fit(values: Any, example: Encoded) -> tuple[Float[Tensor, "*leaf"], bool]:
    """A map in the leaf's shape, and whether it came without channels, whose places then share one value.

    A map of all the model's positions is cut to those that the leaf holds (no special tokens, no padding or silence
    that only fills a window).

    Raises:
        InputError: If it has another shape, or numbers that are not finite.
    """
    leaf = example.leaf
    one = torch.as_tensor(values).detach().cpu().float()
    shape, plain = leaf.shape, tuple(leaf.shape[i] for i in leaf.positions)
    while one.ndim > len(plain) and one.shape[0] == 1 and tuple(one.shape) != shape:
        one = one[0]
    if example.content is not None:
        one = _cut(one, shape if one.ndim == len(shape) else plain, example)
    if not bool(one.isfinite().all()):
        raise InputError("a map with NaN or infinite numbers", "finite numbers", "mend the map")
    if tuple(one.shape) == shape:
        return one, plain == shape
    if tuple(one.shape) == plain:
        return one.reshape([1 if axis.channel else axis.length for axis in leaf.axes]).expand(shape), True
    expected = f"the leaf's shape {shape}, or {plain} without channels"
    raise InputError(f"a map of shape {tuple(one.shape)}", expected, "interpolate or crop the map to its leaf first")


def _cut(one: Tensor, shape: tuple[int, ...], example: Encoded) -> Tensor:
    """A map of all positions, at those that the leaf holds; any other map as it is."""
    if example.content is None or one.ndim != len(shape):
        return one
    longer = [d for d, (got, own) in enumerate(zip(one.shape, shape, strict=True)) if got != own]
    if len(longer) != 1 or one.shape[longer[0]] not in next(iter(example.inputs.values())).shape:
        return one
    return one.index_select(longer[0], example.content.cpu())
