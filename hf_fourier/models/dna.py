"""DNA and RNA language models: bases, k-mers or longer words of bases, and where in the sequence each token lies.

Three ways of reading are told apart by the vocabulary: overlapping k-mers one base apart (DNABERT: all words of k
letters and no others), the tokenizer's own words side by side (Nucleotide Transformer's 6-mers with single letters for
what is left over, or words of any length), and single bases.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch

from hf_fourier.domains import Axis
from hf_fourier.errors import InputError
from hf_fourier.models.inputs.text import letters_of, sequences_in
from hf_fourier.models.text import TextWrapper
from hf_fourier.results.views import BaseView
from hf_fourier.scoring.example_batch import EncodedExample
from hf_fourier.typing import Tensor

#: What stands before a word, or a part of one, in vocabularies.
_MARKS = re.compile(r"^(##|Ġ|▁)")
_BASES = re.compile(r"[ACGTUN]+", re.IGNORECASE)
_PIECES = re.compile(r"\[[^\]\s]+\]|<[^>\s]+>|[^\s\[<]+|\S")
#: IUPAC's letters for a base that is not known exactly.
AMBIGUOUS = re.compile(r"[RYSWKMBDHVX]")
#: A base that a mask hides.
UNKNOWN = "?"
#: The share of a vocabulary that has to be words of bases.
MIN_SHARE = 0.9


def words_of(processor: Any) -> list[str]:
    """The words of bases in a tokenizer's vocabulary, without marks; empty where it reads something else."""
    special = set(processor.all_special_tokens)
    tokens = [_MARKS.sub("", token) for token in processor.get_vocab() if token not in special]
    words = [token for token in tokens if _BASES.fullmatch(token)]
    own = [token for token in tokens if not re.fullmatch(r"\[.*\]|<.*>|\W?", token)]  # reserved names aside
    letters = set("".join(words).upper())
    known = {"A", "C", "G"} <= letters and bool({"T", "U"} & letters)
    return words if known and len(words) >= MIN_SHARE * len(own) else []


class DNAWrapper(TextWrapper):
    """Embedded bases or words of bases. A sequence is written with or without spaces."""

    def __init__(self, model: torch.nn.Module, processor: Any, task: str) -> None:
        super().__init__(model, processor, task)
        words = words_of(processor)
        lengths = Counter(len(word) for word in words)
        self.letters = set("".join(words))
        #: How long most words are; a mask stands for one of them.
        self.usual = max(lengths, key=lambda length: lengths[length])
        self.overlapping = len(lengths) == 1 and self.usual > 1

    @classmethod
    def supports(cls, task: str, processor: Any) -> bool:
        """Whether the tokenizer's vocabulary is bases, or words of them."""
        if task not in cls.tasks or not hasattr(processor, "get_vocab") or not hasattr(processor, "all_special_tokens"):
            return False
        return bool(words_of(processor))

    def split_file(self, example: Any) -> list[Any] | None:
        """The records of a FASTA or FASTQ file, by its path."""
        return sequences_in(example)

    def encode(self, example: Any) -> EncodedExample:
        """A sequence such as "ACGTTGCA", with the tokenizer's mask where a word is to be predicted.

        Overlapping k-mers may also be given as such, with spaces between them; a sequence may be a FASTA record.

        Raises:
            InputError: If it is no text, holds letters that are no bases, or is shorter than one word.
        """
        pieces, written, read = self._read(example)
        special = set(self.processor.all_special_tokens)
        notes = tuple(
            dict.fromkeys(note for piece in pieces if piece not in special for note in self._reading_notes(piece))
        )
        encoded = super().encode(self._joined(written, special))
        view = encoded.view
        assert isinstance(view, BaseView)
        total = self._bases_in(written, special)
        front = max(0, total - self._end(encoded, view)) if self.keeps_end else 0
        starts, stops = (tuple(front + place for place in places) for places in (view.starts, view.stops))
        sequence = (UNKNOWN * front + view.sequence).ljust(total, UNKNOWN)
        encoded.view = BaseView(starts=starts, stops=stops, sequence=sequence)
        encoded.notes = (*encoded.notes, *read, *notes)
        return encoded

    @property
    def alphabet(self) -> tuple[str, ...]:
        """The four bases, with T or U as in the vocabulary."""
        return ("A", "C", "G", "T" if self.letters & set("Tt") else "U")

    def letters_in(self, example: Any) -> list[str]:
        """The bases of a sequence, and its masks, one by one; they join to the same sequence.

        Raises:
            InputError: As `encode`, or if overlapping words are given one by one.
        """
        _, written, _ = self._read(example)
        special = set(self.processor.all_special_tokens)
        if self.overlapping and len(written) > 1:
            got = f"{self.usual}-mers one by one"
            raise InputError(got, "one sequence of bases", "pass the sequence itself, without spaces")
        return [letter for piece in written for letter in ([piece] if piece in special else piece.upper())]

    def _read(self, example: Any) -> tuple[list[str], list[str], tuple[str, ...]]:
        """The pieces of a sequence as they are written, in the vocabulary's letters, and notes."""
        example, notes = letters_of(example, "DNA sequence", "bases")
        special = set(self.processor.all_special_tokens)
        pieces = _PIECES.findall(example)
        return pieces, [piece if piece in special else self._spelt(piece) for piece in pieces], notes

    def _joined(self, pieces: Sequence[str], special: set[str]) -> str:
        """The text that the tokenizer gets."""
        if not self.overlapping:
            return "".join(pieces)
        if all(piece in special or len(piece) == self.usual for piece in pieces):
            return " ".join(pieces)
        if special.intersection(pieces):
            got = f"a sequence with {' '.join(sorted(special.intersection(pieces)))} in it"
            raise InputError(got, f"its {self.usual}-mers one by one, with spaces between", "write them out")
        whole = "".join(pieces)
        if len(whole) < self.usual:
            raise InputError(f"a sequence of {len(whole)} bases", f"at least one {self.usual}-mer", "pass a longer one")
        return " ".join(whole[i : i + self.usual] for i in range(len(whole) - self.usual + 1))

    def _bases_in(self, pieces: Sequence[str], special: set[str]) -> int:
        """How many bases a sequence has, with those that masks hide and those that the model's length cuts off."""
        if self.overlapping and all(piece in special or len(piece) == self.usual for piece in pieces):
            return len(pieces) + self.usual - 1
        hidden = self.usual * pieces.count(self.processor.mask_token)
        return hidden + sum(len(piece) for piece in pieces if piece not in special)

    def _end(self, encoded: EncodedExample, view: BaseView) -> int:
        """The place behind the last base that is read or that a mask hides, counted from the first of these."""
        assert encoded.content is not None
        behind = encoded.inputs["input_ids"][int(encoded.content[-1]) + 1 :]
        masks = 0 if self.mask_id is None else int((behind == self.mask_id).sum())
        return view.stops[-1] + masks * (1 if self.overlapping else self.usual)

    def _spelt(self, piece: str) -> str:
        """A piece in the vocabulary's letters."""
        if not self.letters & set("acgt"):
            piece = piece.upper()
        elif not self.letters & set("ACGT"):
            piece = piece.lower()
        if not self.letters & set("Uu"):
            piece = piece.replace("U", "T").replace("u", "t")
        elif not self.letters & set("Tt"):
            piece = piece.replace("T", "U").replace("t", "u")
        if "N" in self.letters:
            piece = AMBIGUOUS.sub("N", piece)
        strange = sorted(set(piece) - self.letters)
        if strange:
            known = "".join(sorted(self.letters))
            do = "cut them, or write N for what is not known" if "N" in self.letters else "cut or replace them"
            raise InputError(f"letters {' '.join(strange)} in a sequence", f"some of {known}", do)
        return piece

    def _reading_notes(self, piece: str) -> list[str]:
        """Notes on how a piece was read."""
        spelt = self._spelt(piece)
        if spelt == piece:
            return []
        notes = ["lowercase letters were read as bases"] if any(letter.islower() for letter in piece) else []
        upper, now = piece.upper(), spelt.upper()
        notes += ["U was read as T"] if "U" in upper and "U" not in now else []
        notes += ["T was read as U"] if "T" in upper and "T" not in now else []
        return notes + (["ambiguous letters were read as N"] if AMBIGUOUS.search(upper) and "N" in now else [])

    def _encoded(
        self, row: dict[str, Tensor], added: Tensor, segments: Tensor | None, notes: tuple[str, ...]
    ) -> EncodedExample:
        encoded = super()._encoded(row, added, segments, notes)
        assert encoded.content is not None
        starts, stops = self._places(row["input_ids"], encoded.content)
        tokens, hidden = encoded.signal.axes
        lengths = {stop - start for start, stop in zip(starts, stops, strict=True)}
        steps = {after - before for before, after in pairwise(starts)} or lengths
        if lengths == steps == {1}:
            axis = Axis("base", tokens.length, "cycles/base")
        elif len(lengths) == len(steps) == 1:
            axis = Axis("k-mer", tokens.length, "cycles/base", 1 / steps.pop())
        else:
            axis = Axis("k-mer", tokens.length, "cycles/k-mer")
            note = "tokens of several lengths, or with a gap: frequencies are in cycles per token, not per base"
            encoded.notes = (*encoded.notes, note)
        encoded.signal = replace(encoded.signal, axes=(axis, hidden))
        encoded.view = BaseView(starts=starts, stops=stops, sequence=_sequence(starts, stops, encoded.names))
        return encoded

    def name_tokens(self, ids: Sequence[int]) -> list[str]:
        """Each word without the mark in front of it."""
        return [_MARKS.sub("", str(token)) for token in self.processor.convert_ids_to_tokens(list(ids))]

    def _places(self, ids: Tensor, content: Tensor) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The first base of each content token and the one behind its last, counted from the sequence's first.

        A mask, or a word that is not in the vocabulary, stands for one of the usual length.
        """
        placed, mask = set(content.tolist()), self.processor.mask_token_id
        starts: list[int] = []
        stops: list[int] = []
        place = 0
        for position, word in enumerate(self.name_tokens(ids.tolist())):
            length = len(word) if _BASES.fullmatch(word) else self.usual
            if position in placed:
                starts.append(place)
                stops.append(place + length)
            if position in placed or int(ids[position]) == mask:
                place += 1 if self.overlapping else length
        return tuple(starts), tuple(stops)


def _sequence(starts: Sequence[int], stops: Sequence[int], words: Sequence[str]) -> str:
    """The bases that words at some places spell.

    Raises:
        InputError: If overlapping words contradict each other.
    """
    letters = [UNKNOWN] * stops[-1]
    for start, stop, word in zip(starts, stops, words, strict=True):
        if len(word) != stop - start:  # a word that is not in the vocabulary
            continue
        if any(here not in (UNKNOWN, there) for here, there in zip(letters[start:stop], word, strict=True)):
            got = f"{word!r} at base {start + 1}, where {''.join(letters[start:stop])!r} was read"
            raise InputError(got, "overlapping k-mers, each shifted by one base", "pass the sequence itself")
        letters[start:stop] = word
    return "".join(letters)
