"""The model's prediction for one encoded example."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hf_fourier.errors import InputError, NotFinite
from hf_fourier.models.base import ModelWrapper
from hf_fourier.models.encoding import encode_single, restore
from hf_fourier.models.inspection import eval_mode
from hf_fourier.models.side_inputs import logits_at, padding_notes
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.remarks import NOT_FINITE_HINT
from hf_fourier.scoring.example_batch import batch_of
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

    def __repr__(self) -> str:
        others = [f"{label!r} {value:.4g}" for label, value in self.ranked if label != self.label]
        behind = f", then {', '.join(others[:2])}" if others else ""
        return f"Prediction({self.label!r} {self.confidence:.4g}{behind})"


def predict(
    wrapper: ModelWrapper, example: Any, signal: Tensor | None, dither: float, notes: Sequence[str]
) -> Prediction:
    """Predict one example, or the example with another signal.

    Args:
        wrapper: The model.
        example: One raw example, or an `Attribution`, which keeps its own seed and dither.
        signal: A signal in the example's shape; None for its own.
        dither: Noise added to the signal, as for `FourierExplainer`.
        notes: Remarks on the model.

    Raises:
        InputError: If the example or the signal does not fit.
        NotFinite: If a logit is NaN.
    """
    stored = isinstance(example, Attribution)
    encoded = restore(wrapper, example) if stored else encode_single(wrapper, example)
    seed, key = (int(example.provenance.get("seed", 0)), example.key) if stored else (0, encoded.key)
    with eval_mode(wrapper.model):
        if stored:
            dither = float(example.provenance.get("dither", 0.0))
        else:
            encoded = wrapper.prepare_target(encoded, None)[0]
        batch = batch_of(wrapper, [encoded], ExampleRng(seed, [key]), dither)
        x = batch.signal
        if signal is not None:
            x = _checked(signal, tuple(x.shape[1:])).detach().unsqueeze(0).to(x)
        logits = logits_at(batch, x)
        unpadded = None if stored or signal is not None else wrapper.without_padding(encoded)
        remarks = [] if unpadded is None else padding_notes(wrapper, unpadded, logits)
    if bool(logits.isnan().any()):
        got = "outputs that are not numbers (NaN)"
        raise NotFinite({0: got}, "finite logits", f"check the input and the model's dtype; or {NOT_FINITE_HINT}")
    batch.head.fits(logits.unsqueeze(0))
    ranked = batch.head.ranked(logits)
    return Prediction(ranked[0][0], ranked[0][1], ranked, logits, (*encoded.notes, *notes, *remarks))


def _checked(signal: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The signal, if it is a tensor of this shape.

    Raises:
        InputError: If it is not.
    """
    if isinstance(signal, Tensor) and tuple(signal.shape) == shape:
        return signal
    got = f"of shape {tuple(signal.shape)}" if isinstance(signal, Tensor) else f"of type {type(signal).__name__}"
    raise InputError(f"a signal {got}", f"a tensor of shape {shape}", "pass a.keep_top(…)")
