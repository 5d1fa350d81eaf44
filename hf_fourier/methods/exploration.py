"""The adversarial walk of AttEXplore and FAMPE, led by gradients at copies with a jittered spectrum."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar

import torch
from torch.nn.functional import conv2d, interpolate, pad

from hf_fourier.domains.base import Basis
from hf_fourier.domains.layout import SignalShape
from hf_fourier.errors import SpecError
from hf_fourier.methods.base import Method, Ranking, numbers
from hf_fourier.methods.ffc import scale_to_length
from hf_fourier.methods.path_gradients import gradients_at
from hf_fourier.scoring.heads import Reading
from hf_fourier.scoring.pending import to_device
from hf_fourier.scoring.score import Score
from hf_fourier.seeding import ExampleRng
from hf_fourier.typing import Bool, Float, Tensor

#: ε and σ of pixels, in units of a picture from 0 to 1.
PIXELS = 16 / 255
#: ε and σ of other signals, in units of their root mean square.
RELATIVE = {"tokens": 0.01, "volume": 0.1, "video": 0.1}
RELATIVE_ELSEWHERE = 0.03

Chosen = TypeVar("Chosen", bound="Exploration")


@dataclass(frozen=True)
class Exploration(Method):
    """A walk from the example across the decision, and the contribution of each feature to it.

    Each of `steps` steps takes the mean gradient of the score at `copies` copies of the present point, whose
    coefficients have noise added and are scaled at random, feature by feature. The mean (turned uphill for the
    cross-entropy, that is down the score) is divided by its own mean size, added to a momentum m, and one step taken.
    Where the signal has a range (pixels), all this is done on a picture from 0 to 1, whatever the
    processor's normalization: the step is `epsilon / steps * sign(m)`, and the walk stays within `epsilon` and the
    range. Elsewhere it is done on the example divided by its root mean square: a step has length `epsilon ||x|| /
    steps` along m, and there is no range. An example of zeros has no size and stays where it is.

    With x_t the points of the walk and g_t the score's clean gradient there, the measure "path" (ours) ranks by

        A_k = Σ_t <W (x_t - x_t+1), W₊ (g_t + g_t+1) / 2>_k,

    which sums to `s(x_0) - s(x_T)` up to the trapezoid's error; `completeness_error` holds that error. "published" is
    `Σ_t |x_t+1 - x_t| |m_t|` entry by entry, sizes as above, which is never negative. In other domains the same product
    is taken in coefficients: it has the same sum, and may be negative. It is no part of the score and has no
    completeness error.

    Extras, one entry per example: `adversarial` (x_T), `flipped` (most decisions held at x, and no longer do at x_T),
    `adversarial_agrees` (the fraction that holds there), `adversarial_confidence`, `path` (the score at each point; for
    "published" at both ends), `linf` and `l2` (the displacement in units of a picture from 0 to 1; elsewhere relative
    to the root mean square and to the length of x), and `unit` ("pixel" or "rms"), which of the two.

    Attributes:
        steps: Steps T of the walk.
        copies: Copies N at each step.
        epsilon: The largest displacement; None for 16/255 of pixels and the relative size of other signals.
        rho: Coefficients are scaled by up to 1 ± rho.
        sigma: Standard deviation of the noise, in the unit of `epsilon`; None for the default of the kind of signal.
        momentum: The factor on the momentum from step to step; 1 keeps all.
        measure: "path" or "published".
        direction: "ascend" the cross-entropy, towards another decision, or "descend" it, as the released code does.
        diversity: The probability that a copy is resized and padded (pictures only, else set to 0). It is resized back,
            so that any model takes it; the release leaves it larger.
        smoothing: Size of the Gaussian window that smooths the mean gradient, odd; 0 for none (pictures only).
    """

    steps: int = 10
    copies: int = 20
    epsilon: float | None = None
    rho: float = 0.5
    sigma: float | None = None
    momentum: float = 1.0
    measure: str = "path"
    direction: str = "ascend"
    diversity: float = 0.0
    smoothing: int = 0

    default_domain: ClassVar[str | None] = None

    def __post_init__(self) -> None:
        for name in ("steps", "copies"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise SpecError(f"{name} {value!r}", "a whole number of at least 1", f"correct `{name}`")
        for name, most in (("epsilon", math.inf), ("sigma", math.inf), ("momentum", math.inf), ("rho", 1)):
            check_range(name, getattr(self, name), most)
        check_range("diversity", self.diversity, 1)
        for name, known in (("measure", ("path", "published")), ("direction", ("ascend", "descend"))):
            if getattr(self, name) not in known:
                got = f"{name} {getattr(self, name)!r}"
                raise SpecError(got, " or ".join(map(repr, known)), "choose one of them")
        if not isinstance(self.smoothing, int) or self.smoothing < 0 or (self.smoothing and self.smoothing % 2 == 0):
            raise SpecError(f"smoothing {self.smoothing!r}", "0 or an odd whole number", "correct `smoothing`")

    @abstractmethod
    def exploration_basis(self, signal: SignalShape) -> Basis:
        """The basis in which copies are made, whatever domain the features are of."""

    def bands(self, explorer: Basis, x: Float[Tensor, "batch *signal"]) -> BandWeights | None:
        """The weights of the bands; None where all features have the same."""
        return None

    def resolve(self: Chosen, signal: SignalShape) -> Chosen:
        """With sizes filled in for the kind of signal, and without the options of pictures elsewhere."""
        pixels = signal.kind == "pixels"
        size = PIXELS if pixels else RELATIVE.get(signal.kind, RELATIVE_ELSEWHERE)
        return replace(
            self,
            epsilon=size if self.epsilon is None else self.epsilon,
            sigma=size if self.sigma is None else self.sigma,
            diversity=self.diversity if pixels else 0.0,
            smoothing=self.smoothing if pixels else 0,
        )

    @property
    def properties(self) -> tuple[str, ...]:
        """The path measure sums to `s(x_0) - s(x_T)`; copies are drawn; x_T is meant to be on the other side."""
        return ("complete", "seeded", "attack") if self.measure == "path" else ("seeded", "attack")

    @property
    def passes(self) -> tuple[int, int]:
        """A forward and a backward pass per copy and step, and at each point of the walk.

        Of the points the published measure only sees the first, and the last without a gradient.
        """
        seen = self.steps * self.copies
        return (seen + self.steps + 1,) * 2 if self.measure == "path" else (seen + 2, seen + 1)

    def attribute(self, score: Score, x: Float[Tensor, "batch *signal"], basis: Basis, rng: ExampleRng) -> Ranking:
        """The measure of each feature, with the end of the walk and its prediction."""
        if self.epsilon is None or self.sigma is None:
            raise SpecError("epsilon or sigma None", "a number", "call `resolve(signal)` first")
        clean, explorer = score.clean(), self.exploration_basis(basis.signal)
        scale = StepScale.of(x, score.bounds, self.epsilon)
        bands, way = self.bands(explorer, scale.x), 1 if self.direction == "ascend" else -1
        d, m, scores = torch.zeros_like(x), torch.zeros_like(x), x.new_zeros(len(x), len(basis))
        gradient, readings, parts = clean.gradient, [clean.reading], []
        for t in range(self.steps):
            m = self.momentum * m + self._uphill(score, scale, d, explorer, bands, rng, t)
            further = scale.step(d, way * m, self.steps)
            move, weight, d = scale.unit * (further - d), way * m / scale.divisor, further
            if self.measure == "path":
                there = score.value_and_gradient(x + scale.unit * d)
                weight, gradient = -(gradient + there.gradient) / 2, there.gradient
                readings.append(there.reading)
            scores = scores + basis.inner(basis.pullback(weight), basis.forward(move))
            if bands is not None:
                low = explorer.keep_features(explorer.forward(move), bands.low)
                parts.append(torch.stack([low * weight, (move - low) * weight], 1))
        end = x + scale.unit * d
        if self.measure == "published":
            readings.append(score.value(end))
        values = torch.stack([reading.value for reading in readings], 1)
        extras = {**_end(end, readings), **scale.sizes(d), "path": values}
        if bands is not None:
            extras |= bands.extras(explorer, sum(parts[1:], parts[0]))
        error = scores.sum(1) - (values[:, 0] - values[:, -1]) if self.measure == "path" else None
        return Ranking(scores, clean.gradient, extras, error, None if error is None else values[:, -1])

    def _uphill(
        self,
        score: Score,
        scale: StepScale,
        d: Float[Tensor, "batch *signal"],
        explorer: Basis,
        bands: BandWeights | None,
        rng: ExampleRng,
        step: int,
    ) -> Float[Tensor, "batch *signal"]:
        """The direction of the mean gradient at the copies, up the cross-entropy, with entries of mean size 1.

        Gradients are taken at the copies, not through what made them.
        """
        coefficients, features, shape = explorer.forward(scale.x + d), (len(explorer),), d.shape[1:]
        back: dict[int, Callable[[Tensor], Tensor]] = {}

        def copy(j: int) -> Tensor:
            number, jitter = step * self.copies + j, torch.tensor(self.rho, dtype=torch.float32)
            noise = explorer.forward(
                (self.sigma or 0) * to_device(rng.normal(shape, "noise", number), d.device).to(d.dtype)
            )
            if bands is not None:
                noise, jitter = explorer.scale_features(noise, bands.weights), (self.rho * bands.weights).clamp(max=1)
            factors = 1 + jitter * (2 * to_device(rng.uniform(features, "factors", number), d.device).to(d.dtype) - 1)
            copied = explorer.inverse(explorer.scale_features(coefficients + noise, factors))
            if self.diversity:
                copied, back[j] = jittered_copies(copied, rng.uniform((4,), "diversity", number), self.diversity)
            return scale.signal(copied)

        total, plain, steepest = torch.zeros_like(d), torch.zeros_like(d), d.new_zeros(len(d))
        for j, (drive, slope) in enumerate(gradients_at(score, copy, self.copies)):
            drive = scale.unit * drive
            drive = back.pop(j)(drive) if self.diversity else drive
            total = total + drive * _each(slope, d)
            plain = plain + drive
            steepest = torch.maximum(steepest, slope.abs().to(d))
        # Where the model is so sure that every slope underflows, copies count alike.
        mean = torch.where(_each(steepest, d) > torch.finfo(d.dtype).eps ** 4, total, plain)
        if self.smoothing:
            mean = smoothed(mean, self.smoothing)
        top = mean.flatten(1).abs().amax(1)
        mean = mean / _each(_nonzero(top), d)
        size = mean.flatten(1).abs().mean(1)
        return -mean / _each(_nonzero(size), d)


@dataclass(frozen=True)
class BandWeights:
    """The low and the high band of each example, in features of the explorer.

    Attributes:
        cutoff: The largest radius of the low band, in cycles per sample, shape `(batch,)`.
        low: Which features are low, shape `(batch, K)`.
        weights: The factor on each feature's noise, shape `(batch, K)`.
    """

    cutoff: Float[Tensor, " batch"]
    low: Bool[Tensor, "batch features"]
    weights: Float[Tensor, "batch features"]

    def extras(self, explorer: Basis, parts: Float[Tensor, "batch 2 *signal"]) -> dict[str, Any]:
        """The cutoff, the bands' maps and sums, and the noise's power relative to weights of 1."""
        channels = [i + 2 for i, axis in enumerate(explorer.signal.axes) if axis.channel]
        m = explorer.multiplicity.to(self.weights)
        return {
            "cutoff": numbers(self.cutoff),
            "band_maps": parts.sum(channels) if channels else parts,
            "band_scores": parts.flatten(2).sum(2),
            "noise_power": numbers((m * self.weights.square()).sum(1) / m.sum()),
        }


@dataclass(frozen=True)
class StepScale:
    """The scale of a walk, so that no processor's normalisation changes it.

    Where a signal has a range, its lower end is 0 and its upper one 1: a picture. Elsewhere each example is divided by
    its root mean square.

    Attributes:
        x: The clean examples in this scale, shape `(batch, *signal)`.
        origin: The signal where the scale is 0.
        unit: The length of 1 in the signal, by channel or by example.
        epsilon: The largest displacement.
        ranged: Whether the signal has a range.
    """

    x: Float[Tensor, "batch *signal"]
    origin: Float[Tensor, "..."]
    unit: Float[Tensor, "..."]
    epsilon: float
    ranged: bool

    @classmethod
    def of(cls, x: Float[Tensor, "batch *signal"], bounds: tuple[Tensor, Tensor] | None, epsilon: float) -> StepScale:
        """The scale of a batch."""
        if bounds is None:
            size = x.flatten(1).norm(dim=1) / math.sqrt(x[0].numel())
            return cls(x / _each(_nonzero(size), x), x.new_zeros(()), _each(size, x), epsilon, False)
        low, high = (bound.to(x) for bound in bounds)
        return cls((x - low) / (high - low), low, high - low, epsilon, True)

    @property
    def divisor(self) -> Float[Tensor, "..."]:
        """The unit, 1 where it is 0."""
        return _nonzero(self.unit)

    def signal(self, scaled: Float[Tensor, "batch *signal"]) -> Float[Tensor, "batch *signal"]:
        """A point of this scale as a signal."""
        return self.origin + self.unit * scaled

    def step(
        self, d: Float[Tensor, "batch *signal"], m: Float[Tensor, "batch *signal"], steps: int
    ) -> Float[Tensor, "batch *signal"]:
        """The displacement after one of `steps` steps along `m`: its signs within a range, its direction elsewhere.

        It stays within `epsilon` and the range; an entry of the example that is out of range already is not pushed
        back, but goes no further.
        """
        length = self.epsilon / steps
        if not self.ranged:
            return d + length * math.sqrt(d[0].numel()) * scale_to_length(m)
        lower = (-self.x).clamp(-self.epsilon, 0)
        upper = (1 - self.x).clamp(0, self.epsilon)
        return torch.minimum(torch.maximum(d + length * m.sign(), lower), upper)

    def sizes(self, d: Float[Tensor, "batch *signal"]) -> dict[str, Any]:
        """The largest entry and the length of the displacement; without a range the length relative to that of x."""
        flat = d.flatten(1)
        length = flat.norm(dim=1) / (1 if self.ranged else math.sqrt(flat.shape[1]))
        kind = ["pixel" if self.ranged else "rms"] * len(d)
        return {"linf": numbers(flat.abs().amax(1)), "l2": numbers(length), "unit": kind}


def _end(x: Float[Tensor, "batch *signal"], readings: list[Reading]) -> dict[str, Any]:
    """The end of the walk and its prediction."""
    first, last = readings[0], readings[-1]
    sure = [None] * len(x) if last.confidence is None else numbers(last.confidence)
    return {
        "adversarial": x,
        "flipped": has_flipped(first, last),
        "adversarial_agrees": numbers(last.agreement),
        "adversarial_confidence": sure,
    }


def has_flipped(before: Reading, after: Reading) -> Any:
    """For each row, whether most decisions were the frozen ones before, and no longer are (see `numbers`)."""
    return numbers((before.agreement >= 0.5) & (after.agreement < 0.5))


def check_range(name: str, value: float | None, most: float) -> None:
    """Check a parameter that is None or a finite number from 0 to `most`.

    Raises:
        SpecError: If it is not.
    """
    if value is not None and not (0 <= value <= most and value < math.inf):
        expected = "a finite number of at least 0" if most == math.inf else f"a number from 0 to {most}"
        raise SpecError(f"{name} {value!r}", expected, f"correct `{name}`")


def jittered_copies(
    z: Float[Tensor, "batch channels height width"], chances: Float[Tensor, "batch 4"], probability: float
) -> tuple[Float[Tensor, "batch channels height width"], Callable[[Tensor], Tensor]]:
    """Pictures enlarged by up to 8/7 and laid on black 1.15 times their size, with the adjoint of the map.

    Of 224 pixels these are the released 224 to 256 on 257; here the whole is brought back to 224.

    Args:
        z: Pictures, black at 0.
        chances: Uniform numbers per picture: whether it is changed at all, its size, and where it lies (two).
        probability: How often it is changed.
    """
    with torch.enable_grad():
        signal = z.detach().requires_grad_(True)
        rows = signal.split(1)
        copied = [
            _enlarged(row, *chance[1:]) if chance[0] < probability else row
            for row, chance in zip(rows, chances.tolist(), strict=True)
        ]
        out = torch.cat(copied)
    return out.detach(), lambda gradient: torch.autograd.grad(out, signal, gradient)[0]


def _enlarged(row: Tensor, size: float, top: float, left: float) -> Tensor:
    height, width = row.shape[-2:]
    tall = height + int(size * (height * 8 // 7 - height + 1))
    wide = width * tall // height
    spare = int(1.15 * height) - tall, int(1.15 * width) - wide
    above, before = int(top * (spare[0] + 1)), int(left * (spare[1] + 1))
    larger = interpolate(row, (tall, wide), mode="bilinear", align_corners=False)
    padded = pad(larger, (before, spare[1] - before, above, spare[0] - above))
    return interpolate(padded, (height, width), mode="bilinear", align_corners=False)


def smoothed(
    gradient: Float[Tensor, "batch channels height width"], size: int
) -> Float[Tensor, "batch channels height width"]:
    """Each channel under a Gaussian window of `size` × `size` that reaches three deviations, sum 1, zeros around."""
    bell = torch.exp(-torch.linspace(-3, 3, size, dtype=torch.float32).square() / 2).to(gradient)
    window = torch.outer(bell, bell) / bell.sum().square()
    flat = gradient.flatten(0, 1).unsqueeze(1)
    return conv2d(flat, window.view(1, 1, size, size), padding=size // 2).view_as(gradient)


def _nonzero(values: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """A divisor: 1 where it would be 0."""
    return torch.where(values > 0, values, 1)


def _each(values: Float[Tensor, " batch"], like: Float[Tensor, "batch *signal"]) -> Float[Tensor, "batch ..."]:
    """One number per example, to be multiplied with signals."""
    return values.to(like).view(-1, *[1] * (like.ndim - 1))
