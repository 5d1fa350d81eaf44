"""What stands in a deleted feature's place: zero, noise, scrambled phases, its band, a reference, another example."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import torch

from hf_fourier.domains import Basis, SignalShape
from hf_fourier.errors import InputError, SpecError, brief
from hf_fourier.results.curve import REPLACEMENTS
from hf_fourier.scoring.example_batch import BatchSource, EncodedExample
from hf_fourier.scoring.score import Score
from hf_fourier.seeding import ExampleRng, LazyFingerprint
from hf_fourier.torch_state import in_float64
from hf_fourier.typing import Float, Inexact, Shaped, Tensor

#: The replacements that are drawn at random.
DRAWN = ("noise", "phase", "band", "example")
#: Frequencies up to this factor above and below one are its band, for "band".
NEAR = 1.2
#: The smallest magnitude that counts in a band, relative to the root mean square.
FLOOR = 1e-6
#: The purpose of the random streams of perturbation curves, which share no draw with methods.
CURVES = "curve"


def checked_replacement(name: str) -> str:
    """The name of a replacement.

    Raises:
        SpecError: If there is none of that name.
    """
    if not isinstance(name, str) or name not in REPLACEMENTS:
        raise SpecError(f"replacement {brief(name)}", f"one of {', '.join(REPLACEMENTS)}", "correct `replacement`")
    return name


def replacement_coefficients(
    name: str, score: Score, basis: Basis, rng: ExampleRng, draws: int, purpose: str = "replacement"
) -> Inexact[Tensor, "batch draws stored"] | None:
    """The coefficients of what stands in a deleted feature's place, by example and draw; None for zero.

    - "zero": 0.
    - "noise": Gaussian, of this example's power in each feature: white noise times `|c|_k` (in a redundant frame, and
      in a basis that is not orthonormal, on average over the features).
    - "phase": each coefficient's modulus with the phase that white noise has there, so that the signal is real; the
      sign of white noise where coefficients are real.
    - "band": random phases as above, and for the modulus the geometric mean of the moduli of the *other* features
      whose frequency is at most 20 % above or below; of the next lower and the next higher one, where there is none (in
      octaves); of all others, where features have no frequency. After ROAD's imputation from neighbours (Rong et al.
      2022, arXiv 2202.00449). Neighbours that are deleted as well count here, so that it is the same at all points of a
      curve.
    - "reference": what contributions are measured against (silence, a picture in one colour, a masked sequence); of
      several references each is one draw.
    - "example": other examples of the same shape, drawn for each example (see `donor_signals`).

    Random numbers depend on the example and the seed alone. The alternatives to zero: Heiß et al. 2020 (arXiv
    2007.00758), Kolek et al. 2022 (arXiv 2110.03485).

    Args:
        name: One of `REPLACEMENTS`.
        score: The batch.
        basis: Its domain.
        rng: The random streams of its examples.
        draws: Draws of those that are random.
        purpose: Of the random streams.

    Raises:
        SpecError: If there is no replacement of that name.
        InputError: If other examples are needed and there is none of this shape.
    """
    x = score.signal
    if checked_replacement(name) == "zero":
        return None
    if name == "reference":
        return torch.stack([basis.forward(own.signal.to(x).expand_as(x)) for own in score.references()], 1)
    if name == "example":
        if score.donors is None:
            raise no_donors("no other examples")
        return torch.stack([basis.forward(signals) for signals in score.donors(draws).to(x).unbind(1)], 1)
    clean = basis.forward(x)
    return torch.stack(
        [_scrambled(name, clean, basis, rng.normal(x.shape[1:], purpose, draw).to(x)) for draw in range(draws)], 1
    )


def curve_coefficients(
    name: str, score: Score, basis: Basis, rng: ExampleRng
) -> Inexact[Tensor, "batch stored"] | None:
    """What stands in a deleted feature's place along perturbation curves: one draw for each example; None for zero.

    It is the same at all points of a curve. Of several references it is the first. The random numbers are others than
    those of methods: a ranking is not tested by the draws that it was made from.

    Args:
        name: One of `REPLACEMENTS`.
        score: The batch.
        basis: Its domain.
        rng: The random streams of its examples.

    Raises:
        SpecError: If there is no replacement of that name.
        InputError: If other examples are needed and there is none of this shape.
    """
    found = replacement_coefficients(name, score, basis, rng, 1, CURVES)
    return None if found is None else found[:, 0]


def _scrambled(
    name: str, clean: Inexact[Tensor, "batch stored"], basis: Basis, white: Shaped[Tensor, "batch *signal"]
) -> Inexact[Tensor, "batch stored"]:
    """White noise with the example's power in each feature, or its phases with the example's moduli."""
    noise = basis.forward(white)
    if name == "noise":
        return basis.scale_features(noise, basis.magnitude(clean) * basis.redundancy**0.5)
    size = noise.abs()
    own = basis.expand_to_bins(band_magnitude(basis, basis.magnitude(clean))) if name == "band" else clean.abs()
    return own * torch.where(size > 0, noise / torch.where(size > 0, size, 1), 1)


def band_magnitude(basis: Basis, magnitude: Float[Tensor, "batch features"]) -> Float[Tensor, "batch features"]:
    """The geometric mean of the magnitudes around each feature's frequency, see `replacement_coefficients`.

    Args:
        basis: The domain.
        magnitude: That of each feature.
    """
    radius, counts = basis.layout.radius, basis.multiplicity.double()
    radius = torch.zeros_like(counts) if radius is None else radius.double()
    order = radius.argsort(stable=True)
    start, end = _neighbourhood(radius, radius[order].contiguous())
    sizes = in_float64(magnitude)
    order, counts = order.to(sizes.device), counts.to(sizes.device)
    floor = FLOOR * ((sizes.square() * counts).sum(1, keepdim=True) / counts.sum()).sqrt()
    logs = torch.maximum(sizes, floor).clamp(min=torch.finfo(torch.float64).tiny).log()

    def around(values: Tensor) -> Tensor:
        total = torch.nn.functional.pad(values[..., order].cumsum(-1), (1, 0))
        return total[..., end.to(total.device)] - total[..., start.to(total.device)] - values

    weight = around(counts)
    mean = torch.where(weight > 0, around(logs * counts) / weight.clamp(min=1), 0).exp()
    return torch.where((floor > 0) & (weight > 0), mean, 0).to(magnitude)


def _neighbourhood(radius: Tensor, ascending: Tensor) -> tuple[Tensor, Tensor]:
    """By feature: the first place in ascending order that belongs to its neighbourhood, and the one behind the last.

    It is what lies within a factor `NEAR`; where that is the feature alone, the next lower and the next higher one too.
    """
    start = torch.searchsorted(ascending, radius / NEAR * (1 - 1e-6))
    end = torch.searchsorted(ascending, radius * NEAR * (1 + 1e-6), right=True)
    below, above = (start - 1).clamp(min=0), end.clamp(max=len(radius) - 1)
    lower = torch.searchsorted(ascending, ascending[below] * (1 - 1e-6))
    upper = torch.searchsorted(ascending, ascending[above] * (1 + 1e-6), right=True)
    alone = end - start == 1
    return torch.where(alone, lower, start), torch.where(alone, upper, end)


def donor_signals(
    examples: Sequence[EncodedExample],
    donors: Sequence[EncodedExample],
    source: BatchSource,
    rng: ExampleRng,
    draws: int,
    purpose: str = "donors",
) -> Shaped[Tensor, "batch draws *signal"]:
    """Signals of other examples for each example of a batch, drawn by the example's own random stream.

    Each is drawn once before any is drawn again. An example is never its own donor.

    Args:
        examples: The batch.
        donors: The examples that may be drawn; those whose signal has another shape are left out.
        source: Makes batches.
        rng: The random streams of the batch.
        draws: How many for each example.
        purpose: Of the random streams.

    Raises:
        InputError: If there is none of this shape.
    """
    shape = examples[0].signal
    fitting = [donor for donor in donors if donor.signal == shape]
    keys, made = [donor.key for donor in fitting], {}
    chosen = []
    for i, example in enumerate(rng.keys):
        others = _others(example, keys)
        if not others:
            raise _none_of_shape(shape, donors)
        drawn = torch.randperm(len(others), generator=rng.generator(i, purpose)).tolist()
        chosen.append([others[drawn[draw % len(drawn)]] for draw in range(draws)])
    for j in {j for numbers in chosen for j in numbers}:
        made[j] = source.example_batch([fitting[j]], ExampleRng(rng.seed, [keys[j]])).signal[0]
    return torch.stack([torch.stack([made[j] for j in numbers]) for numbers in chosen])


def check_donors(examples: Sequence[EncodedExample], keys: Sequence[int], donors: Sequence[EncodedExample]) -> None:
    """Refuse examples for which no donor can be drawn, before any is drawn.

    Args:
        examples: The examples.
        keys: Their fingerprints.
        donors: The examples that may be drawn.

    Raises:
        InputError: If there is none of the shape of one of the examples.
    """
    known = [(donor.signal, donor.key) for donor in donors]
    for example, key in zip(examples, keys, strict=True):
        if not _others(key, [number for signal, number in known if signal == example.signal]):
            raise _none_of_shape(example.signal, donors)


def _others(example: int | LazyFingerprint, keys: Sequence[int]) -> list[int]:
    """The places of other examples than this one among fingerprints."""
    number = example.number if isinstance(example, LazyFingerprint) else example
    return [place for place, key in enumerate(keys) if key != number]


def _none_of_shape(signal: SignalShape, donors: Sequence[EncodedExample]) -> InputError:
    kinds = {donor.signal.shape for donor in donors if donor.signal != signal}
    sizes = f" of shape {signal.shape} (there are {sorted(kinds)})" if kinds else ""
    return no_donors(f"no other examples{sizes}")


def donors_origin(donors: Sequence[EncodedExample]) -> dict[str, Any]:
    """What provenance says of donors: how many examples they are, and their digest."""
    return {"examples": len(donors), "digest": donors_digest(donors)}


def donors_digest(donors: Sequence[EncodedExample]) -> str:
    """A digest of examples in their order, 16 hexadecimal digits."""
    text = "/".join(str(donor.key) for donor in donors)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def no_donors(got: str) -> InputError:
    """The error where other examples are needed, and what there is."""
    hint = (
        "set `explainer.donors` to a list of examples (for `attribute` pass `donors`), or take another replacement, "
        "such as 'noise'"
    )
    return InputError(f"replacement 'example' with {got}", "other examples of the signal's shape", hint)
