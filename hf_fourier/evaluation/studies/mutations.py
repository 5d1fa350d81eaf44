"""In-silico mutagenesis: how what a model says of a sequence changes with each substitution of one residue or base."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_fourier.errors import InputError, TargetError
from hf_fourier.models.dna import DNAWrapper
from hf_fourier.models.inputs.masks import places_of_mask
from hf_fourier.models.inspection import eval_mode
from hf_fourier.models.protein import ProteinWrapper
from hf_fourier.results.atomic_writes import write_whole
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.drawing import drawn_by
from hf_fourier.results.table import Table
from hf_fourier.results.tracks import HIDDEN, Track
from hf_fourier.scoring.example_batch import BatchSize, ExampleBatch
from hf_fourier.scoring.replay import reopen
from hf_fourier.scoring.score import Score
from hf_fourier.scoring.targets import Target

if TYPE_CHECKING:
    from hf_fourier.engine import Engine

#: Heads whose target is the whole sequence's, or that of its masks.
TASKS = ("text-classification", "feature-extraction", "fill-mask")
#: Letters of variants that are encoded in one go, at most.
AT_ONCE = 2**18


@dataclass(frozen=True, eq=False)
class Mutations:
    """What every substitution of one letter does to the log-odds of a sequence's label.

    Attributes:
        letters: The sequence; a mask is one entry.
        alphabet: The letters that were put in place of its own.
        effects: The quantity with the letter minus that without, shape `(letters, alphabet)`: below 0 the substitution
            speaks against the label. 0 for the sequence's own letter; NaN at places that were not asked, or
            that lie behind what the model reads.
        label: The explained label.
        value: The quantity of the sequence itself.
        quantity: "log-odds" of the label, or "score" (`Attribution.value`) where it is no probability's logarithm.
        unit: "residue" or "base".
        model: The model's name.
        notes: Remarks on how the sequence was read.
    """

    letters: tuple[str, ...]
    alphabet: tuple[str, ...]
    effects: np.ndarray
    label: str
    value: float
    quantity: str
    unit: str
    model: str = ""
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.letters)

    def __repr__(self) -> str:
        asked = int((~np.isnan(self.effects)).any(1).sum())
        return f"Mutations({self.label!r}: {asked} of {len(self)} {self.unit}s × {len(self.alphabet)} letters)"

    @property
    def contributions(self) -> np.ndarray:
        """The effects minus their mean over the alphabet at each place, shape `(letters, alphabet)`.

        What the sequence's own letter and each other would contribute there; the sum over the alphabet is 0.
        """
        return self.effects - self.effects.mean(1, keepdims=True)

    def track(self) -> Track:
        """For each letter the quantity minus its mean over the substitutions, NaN where not asked.

        Above 0 the letter is evidence for the label.
        """
        own = self.one_hot()
        others = np.where(own, np.nan, self.effects)
        counted = (~np.isnan(others)).sum(1)
        means = np.full(len(self), np.nan)
        np.divide(-np.nansum(others, 1), counted, out=means, where=counted > 0)
        text = "".join(letter if len(letter) == 1 else HIDDEN for letter in self.letters)
        return Track(text, means, f"{self.quantity} minus their mean over the substitutions")

    def table(self) -> Table:
        """All substitutions, the largest effect in size first: place (from 1), own letter, new letter, effect."""
        places, letters = np.nonzero(~self.one_hot() & ~np.isnan(self.effects))
        values = self.effects[places, letters]
        order = np.argsort(-np.abs(values), kind="stable")
        return Table(
            {
                "place": (places[order] + 1).tolist(),
                "letter": [self.letters[place] for place in places[order]],
                "substitution": [self.alphabet[letter] for letter in letters[order]],
                "effect": values[order].tolist(),
            },
            (
                f"effect: {self.quantity} of {self.label!r} with the substitution minus without, {self.value:.4g}",
                *self.notes,
            ),
        )

    def one_hot(self) -> np.ndarray:
        """Whether each place holds each letter of the alphabet, shape `(letters, alphabet)`."""
        return np.array([[letter == other for other in self.alphabet] for letter in self.letters])

    def plot(self, path: str | PathLike[str] | None = None, ax: Any = None) -> Any:
        """Draw the letters, each as high as its number in `track`, above a map; a `matplotlib.figure.Figure`.

        Args:
            path: Where to write it (PNG, SVG or PDF, by the ending); None only returns the figure.
            ax: Axes to draw the letters into, alone; their figure is returned.

        Raises:
            InputError: If the path has another ending, or both `path` and `ax` are given.
            MissingExtraError: If matplotlib is not installed.
        """
        return drawn_by("figures.logo:plot_mutations", self, path, ax)


def mutations(
    explainer: Engine,
    sequence: Any,
    target: Target = None,
    places: Sequence[int] | None = None,
    batch_size: BatchSize = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> Mutations:
    """See `FourierExplainer.mutations`."""
    wrapper = explainer.wrapper
    if not isinstance(wrapper, (ProteinWrapper, DNAWrapper)):
        raise InputError(f"mutations of {wrapper.task}", "a model of proteins or DNA", "call explainer.explain")
    if wrapper.task not in TASKS:
        expected = f"one of {', '.join(TASKS)}"
        raise TargetError(f"mutations under {wrapper.task}", expected, "load a head of whole sequences")
    letters, alphabet = wrapper.letters_in(sequence), wrapper.alphabet
    chosen = _chosen(letters, places)
    clean = explainer.explain(sequence, target, method="magnitude", contributions=0, batch_size=batch_size)
    notes = tuple(clean.provenance["notes"])
    effects = np.full((len(letters), len(alphabet)), np.nan)
    for place in chosen:
        if letters[place] in alphabet:
            effects[place, alphabet.index(letters[place])] = 0.0
    (value,), quantity, _ = _read(explainer, clean, ["".join(letters)], batch_size)
    unread = set[int]()
    asked = np.argwhere(np.isnan(effects[chosen]))
    step = max(1, AT_ONCE // len(letters))
    for start in range(0, len(asked), step):
        some = [(chosen[row], letter) for row, letter in asked[start : start + step]]
        variants = ["".join([*letters[:at], alphabet[new], *letters[at + 1 :]]) for at, new in some]
        values, _, same = _read(explainer, clean, variants, batch_size)
        for (place, letter), changed, unchanged in zip(some, values, same, strict=True):
            effects[place, letter] = changed - value
            if unchanged:
                unread.add(place)
        if progress is not None:
            progress(min(len(asked), start + step), len(asked))
    unit = "residue" if isinstance(wrapper, ProteinWrapper) else "base"
    if unread:
        effects[sorted(unread)] = np.nan
        notes += (f"the model does not read {len(unread)} of {len(chosen)} {unit}s: their effects are NaN",)
    name = str(clean.provenance.get("model", ""))
    return Mutations(tuple(letters), tuple(alphabet), effects, str(clean.label), value, quantity, unit, name, notes)


def _read(
    explainer: Engine, clean: Attribution, sequences: Sequence[str], batch_size: BatchSize
) -> tuple[list[float], str, list[bool]]:
    """The log-odds of a result's target, or its score, of each sequence; which of the two; whether its tokens stay."""
    values, quantities = [0.0] * len(sequences), set[str]()

    def visit(places: list[int], batch: ExampleBatch, score: Score) -> None:
        reading = score.value(score.signal)
        quantities.add("score" if reading.log_odds is None else "log-odds")
        for place, value in zip(places, reading.evidence.tolist(), strict=True):
            values[place] = value

    with eval_mode(explainer.model):
        encoded = [replace(explainer.wrapper.encode(sequence), notes=()) for sequence in sequences]
        reopen([clean] * len(sequences), encoded, explainer.wrapper, visit, batch_size)
    return values, quantities.pop(), [tuple(one.names) == tuple(clean.names) for one in encoded]


def write_motif_arrays(found: Sequence[Mutations], folder: str | PathLike[str]) -> tuple[Path, Path]:
    """Write maps of sequences of one length as `modisco motifs` (tfmodisco-lite) reads them.

    `ohe.npz` holds the one-hot sequences, `shap.npz` the hypothetical contributions (`Mutations.contributions`), each
    one array `arr_0` of shape `(sequences, letters of the alphabet, places)`, float32. Run
    `modisco motifs -s ohe.npz -a shap.npz -n 2000 -w LENGTH`; it expects the four bases.

    Args:
        found: One map for each sequence, all places asked.
        folder: Made if it does not exist.

    Returns:
        The two files.

    Raises:
        InputError: If there is none, lengths or alphabets differ, or a place was not asked.
        StorageError: If they cannot be written.
    """
    import io

    shapes = {(len(one), one.alphabet) for one in found}
    if len(shapes) != 1:
        got = f"{len(found)} maps of {len(shapes)} lengths or alphabets"
        raise InputError(got, "maps of sequences of one length", "cut the sequences to one length")
    partial = sum(bool(np.isnan(one.effects).any()) for one in found)
    if partial:
        got = f"{partial} of {len(found)} maps with places that have no effects"
        raise InputError(got, "whole maps", "ask all places of sequences without masks that the model reads whole")
    arrays = {"ohe": [one.one_hot() for one in found], "shap": [one.contributions for one in found]}
    written = []
    for name, parts in arrays.items():
        buffer = io.BytesIO()
        np.savez_compressed(buffer, np.stack(parts).transpose(0, 2, 1).astype(np.float32))
        written.append(Path(folder) / f"{name}.npz")
        write_whole(written[-1], [buffer.getvalue()])
    return written[0], written[1]


def _chosen(letters: Sequence[str], places: Sequence[int] | None) -> list[int]:
    """The places that are asked: all that hold a letter, or those given, counted from 0 or by a mask.

    Raises:
        InputError: If a place is none of the sequence's, or holds a mask.
    """
    letter_places = {place: None for place, letter in enumerate(letters) if len(letter) == 1}
    if places is None:
        return list(letter_places)
    masked = places_of_mask("places", places, len(letters))
    places = list(places) if masked is None else masked
    wrong = [place for place in places if isinstance(place, (bool, np.bool_)) or place not in letter_places]
    if wrong:
        got = f"place {wrong[0]!r} of a sequence of {len(letters)}"
        raise InputError(got, f"places of letters from 0 to {len(letters) - 1}", "correct `places`")
    return list(dict.fromkeys(int(place) for place in places))
