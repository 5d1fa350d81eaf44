"""The examples of an evaluation, encoded once for all methods, with what the model said of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hf_fourier.models.base import ModelWrapper
from hf_fourier.models.encoding import encode, restore_all
from hf_fourier.results.attribution import Attribution
from hf_fourier.scoring.clean_passes import CleanPass
from hf_fourier.scoring.example_batch import EncodedExample

#: Bytes of examples and their gradients that are kept: the first chunks that fit, and the chunk at hand.
MOST = 2**28


class EncodedExamples:
    """Encodes chunks of examples when they are first asked for.

    Args:
        wrapper: Of the model.
        examples: Raw examples.

    Attributes:
        labels: The classes that each example is explained for, to be differentiated in one pass; None for others.
    """

    def __init__(self, wrapper: ModelWrapper, examples: Sequence[Any]) -> None:
        self._wrapper, self._examples = wrapper, examples
        self._chunks: dict[int, list[EncodedExample]] = {}
        self._bytes = 0
        self._at_hand: int | None = None  # a chunk that is not kept
        self.labels: Sequence[tuple[int, ...]] | None = None

    @property
    def are_known(self) -> bool:
        """Whether all examples are kept with what the model said of them."""
        passes = [example.clean for chunk in self._chunks.values() for example in chunk]
        known = [one for one in passes if one is not None and one.logits is not None]
        return len(known) == len(self._examples)

    def of(self, where: slice) -> list[EncodedExample]:
        """The encoded examples of one chunk, each with its `clean` pass.

        Raises:
            InputError: If one cannot be encoded.
        """
        if where.start not in self._chunks:
            encoded = encode(self._wrapper, self._examples[where])[1]
            size = sum(map(_bytes, encoded))
            if self._at_hand is not None:
                del self._chunks[self._at_hand]
            self._at_hand = where.start if self._bytes + size > MOST else None
            self._bytes += size if self._at_hand is None else 0
            for example in encoded:
                example.clean, example.known_key = CleanPass(), example.lazy_key
            self._chunks[where.start] = encoded
        encoded = self._chunks[where.start]
        for place, example in enumerate(encoded, start=where.start):
            assert example.clean is not None
            example.clean.labels = () if self.labels is None else self.labels[place]
        return encoded


def restored(
    wrapper: ModelWrapper, results: Sequence[Attribution], encoded: Sequence[EncodedExample]
) -> list[EncodedExample]:
    """The examples of results, with the clean passes of those that they were encoded as.

    Without them where an example was prepared for its target (an output that a model writes): the results hold that.
    """
    own = restore_all(wrapper, results)[1]
    for one, known in zip(own, encoded, strict=True):
        one.clean = known.clean if one.inputs.keys() == known.inputs.keys() else None
    return own


def _bytes(example: EncodedExample) -> int:
    """What an example takes with three gradients of its signal, its coefficients, and weights of features."""
    entries = 1
    for length in example.signal.shape:
        entries *= length
    return 20 * entries + sum(tensor.numel() * tensor.element_size() for tensor in example.parts)
