"""Protein language models: one residue is one token, frequencies are in cycles per residue."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from hf_fourier.adapters.base import Encoded
from hf_fourier.adapters.text import TextAdapter
from hf_fourier.errors import InputError

RESIDUES = frozenset("ACDEFGHIKLMNPQRSTVWY")
#: A vocabulary of residues has hardly more tokens than there are letters.
MOST_TOKENS = 64


class ProteinAdapter(TextAdapter):
    """Embedded residues. A sequence may be written with or without spaces between its letters."""

    unit: ClassVar[str] = "residue"

    @classmethod
    def suits(cls, task: str, processor: Any) -> bool:
        """Whether the tokenizer's vocabulary is the residues' letters."""
        if task not in cls.tasks or not hasattr(processor, "get_vocab"):
            return False
        vocabulary = processor.get_vocab()
        return len(vocabulary) <= MOST_TOKENS and RESIDUES.issubset(vocabulary)

    def encode(self, example: Any) -> Encoded:
        """A sequence such as "EVQLV", with the tokenizer's mask where a residue is to be predicted."""
        if not isinstance(example, str):
            got = f"an example of type {type(example).__name__}"
            raise InputError(got, "a str of residues", "pass one sequence, or a list of them")
        known = self.processor.get_vocab()
        written = re.findall(r"\[[^\]\s]+\]|<[^>\s]+>|\S", example)
        letters = [one if one in known or one.upper() not in known else one.upper() for one in written]
        strange = sorted({letter for letter in letters if letter not in known})
        encoded = super().encode(" ".join(letters))
        if letters != written:
            encoded.notes = (*encoded.notes, "small letters were read as residues")
        if strange:
            encoded.notes = (*encoded.notes, f"not in the vocabulary: {' '.join(strange)}")
        return encoded
