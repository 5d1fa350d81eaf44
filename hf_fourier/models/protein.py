"""Protein language models: one residue is one token, frequencies are in cycles per residue."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, ClassVar

import torch

from hf_fourier.errors import InputError
from hf_fourier.models.inputs.text import letters_of, sequences_in
from hf_fourier.models.text import TextWrapper
from hf_fourier.results.views import ResidueView
from hf_fourier.scoring.example_batch import EncodedExample
from hf_fourier.typing import Tensor

#: What ends a translated sequence; it is no residue.
STOP = "*"
RESIDUES = frozenset("ACDEFGHIKLMNPQRSTVWY")
#: A vocabulary of residues has hardly more tokens than there are letters.
MOST_TOKENS = 64


class ProteinWrapper(TextWrapper):
    """Embedded residues. A sequence may be written with or without spaces between its letters."""

    unit: ClassVar[str] = "residue"

    @classmethod
    def supports(cls, task: str, processor: Any) -> bool:
        """Whether the tokenizer's vocabulary is the residues' letters."""
        if task not in cls.tasks or not hasattr(processor, "get_vocab"):
            return False
        vocabulary = processor.get_vocab()
        return len(vocabulary) <= MOST_TOKENS and RESIDUES.issubset(vocabulary)

    def split_file(self, example: Any) -> list[Any] | None:
        """The records of a FASTA or FASTQ file, by its path."""
        return sequences_in(example)

    def encode(self, example: Any) -> EncodedExample:
        """A sequence such as "EVQLV", with the tokenizer's mask where a residue is to be predicted.

        It may be a FASTA record with its header.

        Raises:
            InputError: If it is no text, the name of a file, several records, or holds what stands for no residue.
        """
        letters, notes = self._read(example)
        encoded = super().encode(" ".join(letters))
        view = encoded.view
        assert isinstance(view, ResidueView)
        cut = len(letters) - view.length
        if cut > 0:
            front = cut if self.keeps_end else 0
            encoded.view = replace(view, places=tuple(front + at for at in view.places), length=len(letters))
        encoded.notes = (*encoded.notes, *notes)
        return encoded

    def _encoded(
        self, row: dict[str, Tensor], added: Tensor, segments: Tensor | None, notes: tuple[str, ...]
    ) -> EncodedExample:
        encoded = super()._encoded(row, added, segments, notes)
        assert encoded.content is not None
        read = torch.zeros_like(row["input_ids"], dtype=torch.bool)
        read[encoded.content] = True
        if self.mask_id is not None:
            read |= row["input_ids"] == self.mask_id
        places = (read.cumsum(0) - 1)[encoded.content]
        encoded.view = ResidueView(places=tuple(places.tolist()), length=int(read.sum()))
        return encoded

    @property
    def alphabet(self) -> tuple[str, ...]:
        """The twenty residues."""
        return tuple(sorted(RESIDUES))

    def letters_in(self, example: Any) -> list[str]:
        """The residues of a sequence, and its masks, one by one; they join to the same sequence.

        Raises:
            InputError: As `encode`.
        """
        return self._read(example)[0]

    def _read(self, example: Any) -> tuple[list[str], tuple[str, ...]]:
        """The residues and marks of a sequence in the vocabulary's letters, and notes."""
        example, notes = letters_of(example, "protein", "residues")
        known = self.processor.get_vocab()
        written = re.findall(r"\[[^\]\s]+\]|<[^>\s]+>|\S", example)
        while written and written[-1] == STOP and STOP not in known:
            written.pop()
            notes = (*dict.fromkeys((*notes, f"the stop {STOP} at the end was left out")),)
        letters = [one if one in known or one.upper() not in known else one.upper() for one in written]
        strange = sorted({letter for letter in letters if letter not in known})
        others = [one for one in strange if len(one) == 1 and not re.fullmatch(r"[A-Za-z*.-]", one)]
        if others:
            got = f"{' '.join(others[:8])} in a protein"
            raise InputError(got, "the letters of residues", "leave out numbers, marks and names")
        return letters, notes if letters == written else (*notes, "lowercase letters were read as residues")
