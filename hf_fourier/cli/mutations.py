"""`hf-fourier mutations`: what each substitution of a residue or base does, as tables, tracks, figures and arrays."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_fourier.cli.console import (
    drawn,
    parse_batch_size,
    print_json,
    print_line,
    print_name,
    progress,
    result_console,
    table,
    writable,
    writing,
)
from hf_fourier.cli.explain import load
from hf_fourier.cli.inputs import chromosome, read, slug
from hf_fourier.cli.mutation_options import MutationsRequest
from hf_fourier.cli.targets import parse_targets
from hf_fourier.errors import InputError, brief
from hf_fourier.registry import DEFAULT_METHOD

if TYPE_CHECKING:
    from hf_fourier.evaluation.studies.mutations import Mutations
    from hf_fourier.explainer import FourierExplainer

#: Substitutions of each sequence that are printed.
PRINTED = 10
#: The last place that can be asked for.
MOST_PLACES = 10_000_000
_PLACES = re.compile(r"(\d+)(?:-(\d+))?")


def run(request: MutationsRequest) -> None:
    """Map the mutations of each sequence, write what was asked for and print the strongest substitutions.

    Raises:
        FourierError: If something that was typed cannot be done.
    """
    places, size = (
        None if request.places is None else parse_places(request.places),
        parse_batch_size(request.batch_size),
    )
    target = None if request.target is None else parse_targets(request.target)
    if request.motifs and places is not None:
        got = "--motifs with --places"
        raise InputError(got, "whole maps", "leave out --places")
    if request.strand not in ("+", "-"):
        raise InputError(f"--strand {request.strand}", "+ or -", "correct --strand")
    folder = writable(request.output)
    names, sequences = read(request.inputs, False)
    explainer = load(request.model, [DEFAULT_METHOD], [], request.loading)
    if request.motifs:
        _check_lengths(explainer, sequences)
    if places is not None:
        _check_places(explainer, places, names, sequences)
    found: list[Mutations] = []
    records = []
    for number, (name, sequence) in enumerate(zip(names, sequences, strict=True), 1):
        with progress(f"substituting letters of {name[:40]}") as update:
            found.append(explainer.mutations(sequence, target, places=places, batch_size=size, progress=update))
        if request.motifs:
            _check_whole(name, found[-1])
        place = folder / (f"{number:03d}-{slug(name)}" if len(names) > 1 else slug(name))
        with writing(place):
            written = dict(_written(found[-1], place, chromosome(name), request))
        records.append({"input": name, **_record(found[-1]), "files": written})
        if not request.as_json:
            _print(name, found[-1], written)
    arrays = {}
    if request.motifs:
        from hf_fourier.evaluation.studies.mutations import write_motif_arrays

        with writing(folder):
            arrays = dict(zip(("one_hot", "contributions"), map(str, write_motif_arrays(found, folder)), strict=True))
    if request.as_json:
        print_json({"model": explainer.name, "results": records, "files": arrays})
        return
    for name, path in arrays.items():
        print_line(result_console(), f"{name.replace('_', '-')} of all {len(found)} sequences: {path}", style="bold")


def parse_places(text: str) -> list[int]:
    """Places counted from 0, of ranges that are counted from 1: "3-5,9" is [2, 3, 4, 8].

    Raises:
        InputError: If it is none of these.
    """
    places: list[int] = []
    for part in text.split(","):
        match = _PLACES.fullmatch(part.strip())
        first, last = (0, 0) if match is None else (int(match[1]), int(match[2] or match[1]))
        if not 1 <= first <= last <= MOST_PLACES:
            expected = f"places from 1 to {MOST_PLACES:,}, as 98-101,120"
            raise InputError(f"--places {textwrap.shorten(text, 60)}", expected, "correct --places")
        places += range(first - 1, last)
    return places


def _check_lengths(explainer: FourierExplainer, sequences: Sequence[Any]) -> None:
    """Refuse sequences that make no arrays for motif discovery, before anything is mapped."""
    letters_in = getattr(explainer.wrapper, "letters_in", None)
    lengths = set() if letters_in is None else {len(letters_in(sequence)) for sequence in sequences}
    if len(lengths) > 1:
        got = f"--motifs with sequences of {min(lengths)} to {max(lengths)} letters"
        raise InputError(got, "sequences of one length", "cut the sequences to one length")


def _check_places(
    explainer: FourierExplainer, places: Sequence[int], names: Sequence[str], sequences: Sequence[Any]
) -> None:
    """Refuse places that one of the sequences has not or hides, before anything is mapped."""
    letters_in = getattr(explainer.wrapper, "letters_in", None)
    if letters_in is None:
        return  # no model of letters, which the map says
    for name, sequence in zip(names, sequences, strict=True):
        letters = letters_in(sequence)
        wrong = next((one for one in places if one >= len(letters) or len(letters[one]) != 1), None)
        if wrong is not None:
            got = f"--places {wrong + 1} with {brief(name)}, a sequence of {len(letters)}"
            raise InputError(got, "places of letters in each sequence", "correct --places")


def _check_whole(name: str, found: Mutations) -> None:
    """Refuse a map that makes no array for motif discovery, before it is written and before the next one is made."""
    missing = int(np.isnan(found.effects).any(1).sum())
    if missing:
        got = f"--motifs with {brief(name)}, of whose {len(found)} places {missing} have no effects"
        raise InputError(got, "sequences that the model reads whole, without masks", "leave out --motifs")


def _written(found: Mutations, folder: Path, chrom: str, request: MutationsRequest) -> Iterator[tuple[str, str]]:
    """What lies in the folder of one sequence, written as it is named."""
    folder.mkdir(parents=True, exist_ok=True)
    yield "mutations", str(found.table().to_csv(folder / "mutations.csv"))
    track = found.track()
    yield "track", str(track.to_bedgraph(folder / "track.bedgraph", chrom, request.start, request.strand))
    yield from drawn(found, folder / "mutations.png").items()


def _record(found: Mutations) -> dict[str, Any]:
    """One map as printed with `--json`."""
    return {
        "label": found.label,
        "quantity": found.quantity,
        "value": found.value,
        "letters": "".join(found.letters),
        "alphabet": list(found.alphabet),
        "strongest": list(found.table()[:PRINTED].rows()),
        "notes": list(found.notes),
    }


def _print(name: str, found: Mutations, written: dict[str, str]) -> None:
    console, rows = result_console(), found.table()
    print_name(console, name)
    best = rows[:PRINTED]
    title = f"Strongest of {len(rows)} substitutions for {found.label}"
    console.print(table(title, list(best.columns), best.formatted(), left=3))
    for note in rows.notes:
        print_line(console, note)
    for kind, path in written.items():
        print_line(console, f"{kind}: {path}")
