"""One number per residue or base of a sequence, and files of it: bedGraph, BED, and the B-factors of a structure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral
from os import PathLike
from pathlib import Path

import numpy as np

from hf_fourier.errors import InputError, checked
from hf_fourier.results.atomic_writes import write_whole
from hf_fourier.results.relevance import Explained, Kind, bases, relevance, usual_kind
from hf_fourier.results.views import BaseView, GeneView, ResidueView

#: Stands where a mask hides a letter.
HIDDEN = "?"
#: The largest size in a column of B-factors, which has six characters.
LARGEST = 99.0
#: Characters of an atom's line up to the end of its coordinates.
ATOM_COLUMNS = 54
#: Residues by their names in structures; selenomethionine is read as methionine.
RESIDUES = {
    "ALA": "A", "ARG": "R", "ASN": "N", "ASP": "D", "CYS": "C", "GLN": "Q", "GLU": "E", "GLY": "G", "HIS": "H",
    "ILE": "I", "LEU": "L", "LYS": "K", "MET": "M", "MSE": "M", "PHE": "F", "PRO": "P", "SER": "S", "THR": "T",
    "TRP": "W", "TYR": "Y", "VAL": "V",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Track:
    """A number for each letter of a sequence.

    Attributes:
        letters: Its residues or bases; "?" where a mask hides one, or the model's length cuts it off.
        values: A number for each; NaN where there is none.
        measure: One number in words.
    """

    letters: str
    values: np.ndarray
    measure: str

    def __len__(self) -> int:
        return len(self.letters)

    def __repr__(self) -> str:
        return f"Track({len(self)} letters: {self.measure})"

    @checked
    def to_bedgraph(
        self, path: str | PathLike[str], chrom: str = "sequence", start: int = 0, strand: str = "+"
    ) -> Path:
        """Write a bedGraph track: a line for each letter that has a number, places counted from 0.

        Args:
            path: The file.
            chrom: The name of the chromosome or the sequence.
            start: Where the sequence begins on it, counted from 0.
            strand: "-" where the sequence is the reverse complement of what lies there.

        Raises:
            InputError: If `chrom` holds white space, `start` is no whole number from 0 on, or `strand` is neither "+"
                nor "-".
            StorageError: If it cannot be written.
        """
        rows = self._rows(chrom, start, strand)
        head = f'track type=bedGraph name="{chrom}" description="{self.measure}"'
        return _write(Path(path), [head, *(f"{chrom}\t{at}\t{at + 1}\t{value:.6g}" for at, _, value in rows)])

    @checked
    def to_bed(self, path: str | PathLike[str], chrom: str = "sequence", start: int = 0, strand: str = "+") -> Path:
        """Write BED with a seventh column: a line for each letter that has a number.

        The fourth column is the letter, the fifth the size of its number from 0 to 1000 (the largest), the seventh the
        number itself. Arguments and errors as for `to_bedgraph`.
        """
        rows = self._rows(chrom, start, strand)
        largest = max((abs(value) for _, _, value in rows), default=0.0) or 1.0
        return _write(
            Path(path),
            [
                f"{chrom}\t{at}\t{at + 1}\t{letter}\t{round(1000 * abs(value) / largest)}\t{strand}\t{value:.6g}"
                for at, letter, value in rows
            ],
        )

    @checked
    def to_pdb(self, structure: str | PathLike[str], path: str | PathLike[str], chain: str | None = None) -> Path:
        """Write a structure with the numbers in its column of B-factors, scaled so that the largest size is 99.

        A chain's residues are found in the sequence by their numbers in the structure, which may count from any place
        of the sequence on, or else as one stretch of it. All other atoms get 0. A remark names the measure and
        the factor.

        Args:
            structure: A PDB file.
            path: The file to write.
            chain: The name of its chain; None for the one that fits with the most residues.

        Raises:
            InputError: If it is no PDB file, the line of an atom is cut off, or no chain of it fits the sequence.
            StorageError: If it cannot be written.
        """
        lines = _read_structure(Path(structure))
        chains = _chains(lines)
        names = list(chains) if chain is None else [chain]
        fits = {name: _places(chains.get(name, {}), self.letters) for name in names}
        fitting = max(fits, key=lambda name: len(fits[name]), default="")
        if not fits.get(fitting):
            got = f"{Path(structure).name!r}, whose chains {', '.join(chains) or '(none)'} do not fit the sequence"
            raise InputError(got, "the structure of this sequence", "pass another structure, or its `chain`")
        largest = float(np.nanmax(np.abs(self.values), initial=0.0))
        factor = LARGEST / largest if largest else 1.0
        number_of = {residue: factor * float(np.nan_to_num(self.values[at])) for residue, at in fits[fitting].items()}
        written = [f"REMARK 999 B-FACTORS OF CHAIN {fitting}: {factor:.6g} X {_ascii(self.measure)}"]
        for line in lines:
            if line.startswith(("ATOM", "HETATM")):
                number = number_of.get(line[22:27], 0.0) if line[21] == fitting else 0.0
                line = f"{line[:60].ljust(60)}{number:6.2f}{line[66:]}"
            written.append(line)
        return _write(Path(path), written)

    def _rows(self, chrom: str, start: int, strand: str) -> list[tuple[int, str, float]]:
        """The place, the letter and the number of each letter that has one, in the order of places."""
        if not chrom or chrom.split() != [chrom] or '"' in chrom:
            raise InputError(f"chrom {chrom!r}", "a name without white space or quotes", "correct `chrom`")
        whole = isinstance(start, Integral) and not isinstance(start, bool)
        if not whole or start < 0 or strand not in ("+", "-"):
            got = f"start {start!r}, strand {strand!r}"
            raise InputError(got, "a whole number from 0 on, and '+' or '-'", "correct `start` or `strand`")
        rows = [(start + i, self.letters[i], float(v)) for i, v in enumerate(self.values) if not math.isnan(v)]
        if strand == "+":
            return rows
        last = 2 * start + len(self) - 1
        return [(last - at, letter, value) for at, letter, value in reversed(rows)]


def track_of(attribution: Explained, fraction: float | None = None, kind: Kind | None = None) -> Track:
    """The relevance of each residue or base of an explained sequence; see `Attribution.track`."""
    if isinstance(attribution.view, BaseView):
        table = bases(attribution, fraction, None, kind)
        values = np.full(len(table), np.nan)
        for start, stop in zip(attribution.view.starts, attribution.view.stops, strict=True):
            values[start:stop] = table["relevance"][start:stop]
        return Track("".join(table["base"]), values, str(table["measure"][0]))
    content, view = getattr(attribution, "inputs", {}).get("content"), attribution.view
    axes = attribution.layout.signal.axes
    if content is None or axes[0].name != "residue" or isinstance(view, GeneView):
        got = f"track() of {attribution.layout.signal.kind} along {axes[0].name}"
        raise InputError(got, "the result of a model of proteins or DNA", "call input_relevance()")
    numbers = relevance(attribution, fraction, None, kind or usual_kind(attribution))
    # Of results of earlier versions: before the first residue stands the model's own mark, or masks behind that.
    places = [int(place) - min(1, int(content[0])) for place in content]
    length = places[-1] + 1
    if isinstance(view, ResidueView):
        places, length = list(view.places), view.length
    letters, values = [HIDDEN] * length, np.full(length, np.nan)
    for place, name, value in zip(places, attribution.names, numbers.values, strict=True):
        letters[place], values[place] = name if len(name) == 1 else "X", value
    return Track("".join(letters), values, numbers.measure)


def _write(path: Path, lines: list[str]) -> Path:
    write_whole(path, ["".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")])
    return path


def _ascii(text: str) -> str:
    return text.replace("×", "x").encode("ascii", "replace").decode().upper()


def _read_structure(path: Path) -> list[str]:
    """The lines of a PDB file.

    Raises:
        InputError: If it cannot be read, has no atoms, or the line of one ends before its place.
    """
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError as error:
        raise InputError(
            f"{path.name!r}, which cannot be read ({error.strerror})", "a PDB file", "correct its path"
        ) from error
    if not any(line.startswith("ATOM") and len(line) > 54 for line in lines):
        raise InputError(f"{path.name!r} without atoms", "a PDB file", "convert it, as from mmCIF")
    for number, line in enumerate(lines, 1):
        if line.startswith(("ATOM", "HETATM")) and len(line) < ATOM_COLUMNS:
            got = f"{path.name!r}, whose line {number} ends after {len(line)} characters"
            raise InputError(got, f"atoms in lines of at least {ATOM_COLUMNS}", "write the structure again")
    return lines


def _chains(lines: list[str]) -> dict[str, dict[str, str]]:
    """For each chain its residues in order: their numbers (with insertion codes) and letters."""
    chains: dict[str, dict[str, str]] = {}
    for line in lines:
        if line.startswith(("ATOM", "HETATM")) and line[12:16].strip() == "CA" and line[17:20] in RESIDUES:
            chains.setdefault(line[21], {}).setdefault(line[22:27], RESIDUES[line[17:20]])
    return chains


def _places(residues: dict[str, str], letters: str) -> dict[str, int]:
    """Where each residue lies in a sequence: by its number, else in one stretch; empty if they do not fit."""
    numbers = {residue: _number(residue) for residue in residues}
    known = {residue: number for residue, number in numbers.items() if number is not None}
    if residues and len(known) == len(residues):
        first, last = min(known.values()), max(known.values())
        offsets = range(len(letters) - (last - first))
        # Numbers that count from the sequence's first letter come before other ways to place them.
        for offset in sorted(offsets, key=lambda offset: offset != first - 1):
            places = {residue: number - first + offset for residue, number in known.items()}
            pairs = [(letters[place], residues[residue]) for residue, place in places.items()]
            same = [own == other for own, other in pairs if own != HIDDEN]
            # Letters that are not known fit any residue, where the numbers or most of the letters say the place.
            if same and all(same) and (offset == first - 1 or 2 * len(same) >= len(pairs)):
                return places
    at = letters.find("".join(residues.values()))
    return {residue: at + i for i, residue in enumerate(residues)} if at >= 0 else {}


def _number(residue: str) -> int | None:
    """A residue's number, also in hybrid-36 (A000 is 10000); None with an insertion code, or where it is none."""
    digits = residue[:4].strip()
    try:
        if residue[4] != " ":
            return None
        if len(digits) < 4 or not digits[0].isalpha():
            return int(digits)
        return int(digits, 36) - 10 * 36**3 + 10**4 + (26 * 36**3 if digits[0].islower() else 0)
    except ValueError:
        return None
