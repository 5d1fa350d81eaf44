"""Maps of other libraries as rankings, to be perturbed and compared like any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch

from hf_fourier.domains.base import Basis
from hf_fourier.errors import InputError, SpecError
from hf_fourier.methods.base import Method, Ranking
from hf_fourier.scoring.example_batch import EncodedExample
from hf_fourier.scoring.score import Score
from hf_fourier.seeding import ExampleRng
from hf_fourier.torch_state import has_float64, in_float64
from hf_fourier.typing import Float, Tensor

#: How a map is carried into a domain whose features are no positions.
LIFTS = ("transport", "gradient", "magnitude")
#: Entries of the input below this fraction of its root mean square count as zero: no contribution is divided by them.
NEAR_ZERO = 1e-6
#: Fractions of the input that are zero, and of a map's size that lies there, above which a result has a note.
NOTED_ZERO_SHARE, NOTED_LOST_SHARE = 0.01, 1e-3


@dataclass(frozen=True)
class Precomputed(Method):
    """Rank by a map over the signal, made by another library; see `FourierExplainer.from_maps`.

    Where features are positions of the signal (the identity domain) a feature's score is the map's value there, summed
    over the channels that it takes together. In any other domain a lift carries the map R over to the coefficients F of
    the signal x:

    - "transport": of contributions, `<F, Q>_k` with Q the pullback of the sensitivity ρ that R stands for. Where R has
      channels, ρ = R / x; where it has none, ρ = R x / Σ x² over the channels of a place, the least ρ that contributes
      R there. The scores sum to the map's sum except for what lies where x is zero, which is the completeness error.
    - "gradient": of signed gradients, `|pullback(R)|_k`, the magnitude of the gradient with respect to the coefficient.
    - "magnitude": of any map, `|W R|_k`, the size of its own coefficient, as the FFC paper ranks frequencies by spatial
      maps. It says how fast the map changes: the contributions x·g of one tone at k lie at 0 and 2k by this lift.

    It is in no registry, as it needs its maps.

    Attributes:
        origin: The method or library that made the maps.
        lift: One of the above; None for the map as it is by position, and "transport" elsewhere.
    """

    origin: str = "elsewhere"
    lift: str | None = None

    name: ClassVar[str] = "given"
    reference: ClassVar[str] = "transport: arXiv 2303.06365; magnitude: arXiv 2411.18343 (FFT of spatial baselines)"

    def __post_init__(self) -> None:
        if self.lift is not None and self.lift not in LIFTS:
            raise SpecError(f"lift {self.lift!r}", f"one of {', '.join(LIFTS)}, or None", "choose one of them")

    @property
    def properties(self) -> tuple[str, ...]:
        """Transported contributions have the sum of the map."""
        return ("complete",) if self.lift == "transport" else ()

    @property
    def passes(self) -> tuple[int, int]:
        """One forward pass, for the target and its confidence; the cost of the map is not known."""
        return 1, 0

    def attribute(self, score: Score, x: Float[Tensor, "batch *signal"], basis: Basis, rng: ExampleRng) -> Ranking:
        """The maps' values by position, or lifted into the domain.

        Raises:
            SpecError: If there are no maps, or a gradient comes without channels.
        """
        if score.precomputed_maps is None:
            raise SpecError("method 'given' without maps", "a map for each example", "call `explainer.from_maps`")
        exact = torch.float64 if has_float64(x.device) else torch.float32
        maps, signals = score.precomputed_maps.to(x.device, exact), x.to(exact)
        if self.lift == "transport" or (self.lift is None and not basis.layout.by_place):
            return _rounded(_transported(maps, signals, basis), score.precomputed_maps.dtype)
        return Ranking(self._lifted(maps, signals, basis).to(score.precomputed_maps.dtype))

    def _lifted(self, maps: Tensor, x: Tensor, basis: Basis) -> Tensor:
        """The scores of maps that are not transported."""
        if self.lift == "gradient":
            if maps.shape != x.shape:
                raise SpecError(
                    "a gradient without the signal's channels",
                    f"one number per entry, shape {tuple(x.shape[1:])}",
                    "pass the signed gradient before channels are pooled, or lift='magnitude'",
                )
            return basis.magnitude(basis.pullback(maps))
        if self.lift == "magnitude":
            return basis.magnitude(basis.forward(maps.expand_as(x)))
        # A position's value is divided among its channels, so that their sum is the value again.
        entries = basis.forward(maps.expand_as(x) * (maps[0].numel() / x[0].numel()))
        return basis.inner(entries, torch.ones_like(entries))


def _transported(maps: Tensor, x: Tensor, basis: Basis) -> Ranking:
    """Contributions over the signal as contributions of coefficients; `maps` may lack the channels (length 1)."""
    pooled = [d for d in range(1, x.ndim) if maps.shape[d] != x.shape[d]]
    power = x.square().sum(pooled, keepdim=True) if pooled else x.square()
    floor = NEAR_ZERO**2 * power.flatten(1).mean(1).view(-1, *[1] * (x.ndim - 1))
    there = power > floor
    sensitivity = torch.where(there, maps * x / torch.where(there, power, 1), 0)
    scores = basis.inner(basis.pullback(sensitivity), basis.forward(x))
    size = maps.abs().flatten(1).sum(1).clamp(min=torch.finfo(maps.dtype).tiny)
    lost = torch.where(there, 0, maps.abs()).flatten(1).sum(1) / size
    extras = {"zero_share": in_float64((~there).flatten(1)).mean(1).tolist(), "lost_share": lost.tolist()}
    return Ranking(scores, extras=extras, completeness_error=scores.sum(1) - maps.flatten(1).sum(1))


def _rounded(ranking: Ranking, dtype: torch.dtype) -> Ranking:
    """The ranking with numbers of a type, the maps' own."""
    assert ranking.completeness_error is not None
    return replace(ranking, scores=ranking.scores.to(dtype), completeness_error=ranking.completeness_error.to(dtype))


def lifted_notes(extras: Mapping[str, Any], values: Tensor) -> list[str]:
    """Remarks on a map that was lifted, with the extras of its result."""
    notes = []
    zero, lost = (float(extras.get(name, 0.0)) for name in ("zero_share", "lost_share"))
    if zero > NOTED_ZERO_SHARE or lost > NOTED_LOST_SHARE:
        notes.append(
            f"{100 * zero:.3g} % of the input is zero, where a contribution does not determine the sensitivity: "
            f"the lift ignores these entries, and loses {100 * lost:.3g} % of the map's size"
        )
    if bool((values >= 0).all()) and bool((values > 0).any()):
        notes.append(
            "the map has no negative number: if it is a heat map or the size of a gradient it is neither contributions "
            "nor a gradient, and lift='magnitude' is what there is for it"
        )
    return notes


def fit_all(maps: Sequence[Any], examples: Sequence[EncodedExample]) -> tuple[list[Tensor], bool]:
    """Each map fitted to its example's signal, and whether all have one number per place.

    Raises:
        InputError: If there is not one map for each example, or one does not fit.
    """
    if len(maps) != len(examples):
        raise InputError(f"{len(maps)} maps for {len(examples)} examples", "one per example", "correct `maps`")
    fitted = [fit(values, example) for values, example in zip(maps, examples, strict=True)]
    return [values for values, _ in fitted], all(by_place for _, by_place in fitted)


def fit(values: Any, example: EncodedExample) -> tuple[Float[Tensor, "..."], bool]:
    """A map in the signal's shape, or with channels of length 1, and whether it has one number per position.

    A map of all model positions is cut to those of the signal (no special tokens, no padding or silence that only
    fills a window).

    Raises:
        InputError: If it has another shape, or numbers that are not finite.
    """
    signal = example.signal
    try:
        fitted = torch.as_tensor(values).detach().cpu().float()
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"a map that is a {type(values).__name__}", "an array of numbers", "fix the map") from error
    shape, plain = signal.shape, tuple(signal.shape[i] for i in signal.ordered_axes)
    while fitted.ndim > len(plain) and fitted.shape[0] == 1 and tuple(fitted.shape) != shape:
        fitted = fitted[0]
    if example.content is not None:
        fitted = _cut(fitted, shape if fitted.ndim == len(shape) else plain, example)
    if not bool(fitted.isfinite().all()):
        raise InputError("a map with NaN or infinite numbers", "finite numbers", "fix the map")
    if tuple(fitted.shape) == shape:
        return fitted, plain == shape
    if tuple(fitted.shape) == plain:
        return fitted.reshape([1 if axis.channel else axis.length for axis in signal.axes]), True
    expected = f"the signal's shape {shape}, or {plain} without channels"
    raise InputError(
        f"a map of shape {tuple(fitted.shape)}", expected, "interpolate or crop the map to its signal first"
    )


def _cut(values: Tensor, shape: tuple[int, ...], example: EncodedExample) -> Tensor:
    """A map of all model positions, cut to those of the signal; any other map unchanged."""
    if example.content is None or values.ndim != len(shape):
        return values
    longer = [d for d, (got, own) in enumerate(zip(values.shape, shape, strict=True)) if got != own]
    if len(longer) != 1 or values.shape[longer[0]] not in next(iter(example.inputs.values())).shape:
        return values
    return values.index_select(longer[0], example.content.cpu())
