"""The model's prediction for one encoded example."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hf_fourier.errors import InputError, NotFinite
from hf_fourier.models.base import ModelWrapper
from hf_fourier.models.side_inputs import logits_at, padded
from hf_fourier.results.remarks import MEND
from hf_fourier.scoring.example_batch import EncodedExample, batch_of
from hf_fourier.seeding import ExampleRng
from hf_fourier.typing import Tensor

__all__ = ["Prediction"]


@dataclass(frozen=True)
class Prediction:
    """The model's prediction for one example.

    Attributes:
        label: The most probable class.
        confidence: The probability of that class (or the value, for a regression).
        ranked: The most probable classes with their probabilities.
        logits: The logits that these come from.
        notes: Remarks on the example and, as far as it was tested, on the model.
    """

    label: str
    confidence: float
    ranked: Sequence[tuple[str, float]]
    logits: Tensor
    notes: tuple[str, ...] = ()


def predict(
    wrapper: ModelWrapper,
    example: EncodedExample,
    rng: ExampleRng,
    dither: float,
    signal: Tensor | None,
    notes: Sequence[str],
    check_padding: bool = False,
) -> Prediction:
    """Predict one example, or the example with another signal.

    Args:
        wrapper: The model, in evaluation mode.
        example: The example.
        rng: Its random streams.
        dither: Noise added to the signal, as for `FourierExplainer`.
        signal: A signal in the example's shape; None for its own.
        notes: Remarks on the model.
        check_padding: Whether to compare the logits with those of the example without its padding.

    Raises:
        InputError: If the signal does not fit.
        NotFinite: If a logit is NaN.
    """
    batch = batch_of(wrapper, [example], rng, dither)
    x = batch.signal
    if signal is not None:
        x = _checked(signal, tuple(x.shape[1:])).detach().unsqueeze(0).to(x)
    logits = logits_at(batch, x)
    unpadded = wrapper.without_padding(example) if check_padding else None
    remarks = [] if unpadded is None else padded(wrapper, unpadded, logits)
    if bool(logits.isnan().any()):
        got = "outputs that are not numbers (NaN)"
        raise NotFinite({0: got}, "finite logits", f"check the input and the model's dtype; or {MEND}")
    batch.head.fits(logits.unsqueeze(0))
    ranked = batch.head.ranked(logits)
    return Prediction(ranked[0][0], ranked[0][1], ranked, logits, (*example.notes, *notes, *remarks))


def _checked(signal: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The signal, if it is a tensor of this shape.

    Raises:
        InputError: If it is not.
    """
    if isinstance(signal, Tensor) and tuple(signal.shape) == shape:
        return signal
    got = f"of shape {tuple(signal.shape)}" if isinstance(signal, Tensor) else f"of type {type(signal).__name__}"
    raise InputError(f"a signal {got}", f"a tensor of shape {shape}", "pass a.keep_top(…)")
