"""Tracks of sequences: bedGraph, BED, and the column of B-factors of a structure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hf_fourier.errors import InputError
from hf_fourier.results.tracks import Track
from tests.advice.case import explained
from tests.models import test_dna, test_protein

TRACK = Track("AC?G", np.array([0.5, -2.0, np.nan, 1.0]), "contribution to the log-odds")
NAMES = {"E": "GLU", "V": "VAL", "Q": "GLN", "L": "LEU"}


def structure(residues: str, first: int = 1, skip: tuple[int, ...] = (), chain: str = "A") -> str:
    """A PDB file with two atoms a residue, numbered from `first` on, some left out."""
    atom = "ATOM  {:5d}  {:<3s} {} {}{:4d}    {:8.3f}{:8.3f}{:8.3f}{:6.2f}{:6.2f}          {:>2s}  "
    rows = [
        atom.format(2 * i + j, name, NAMES[letter], chain, first + i, 1.0, 2.0, 3.0, 1.0, 33.0, name[0])
        for i, letter in enumerate(residues)
        if i not in skip
        for j, name in enumerate(("N", "CA"))
    ]
    return "\n".join(["HEADER    A TEST", *rows, "TER", "END"]) + "\n"


def factors(path: Path) -> list[float]:
    return [float(line[60:66]) for line in path.read_text().splitlines() if line[12:16] == " CA "]


def test_bedgraph_counts_places_from_zero(tmp_path: Path) -> None:
    lines = TRACK.to_bedgraph(tmp_path / "a.bedgraph", "chr1", 100).read_text().splitlines()
    assert lines == [
        'track type=bedGraph name="chr1" description="contribution to the log-odds"',
        "chr1\t100\t101\t0.5",
        "chr1\t101\t102\t-2",
        "chr1\t103\t104\t1",
    ]


def test_the_other_strand_runs_backwards(tmp_path: Path) -> None:
    lines = TRACK.to_bed(tmp_path / "a.bed", "chr1", 100, "-").read_text().splitlines()
    assert lines == [
        "chr1\t100\t101\tG\t500\t-\t1",
        "chr1\t102\t103\tC\t1000\t-\t-2",
        "chr1\t103\t104\tA\t250\t-\t0.5",
    ]
    for wrong in ({"chrom": "a b"}, {"start": -1}, {"strand": "x"}, {"start": "3"}, {"start": 1.5}):
        with pytest.raises(InputError):
            TRACK.to_bed(tmp_path / "a.bed", **wrong)  # type: ignore[arg-type]


def test_b_factors_are_scaled_to_the_column(tmp_path: Path) -> None:
    track = Track("EVQLV", np.array([1.0, -4.0, 2.0, np.nan, 3.0]), "contribution × 1")
    scaled = [24.75, -99.0, 49.5, 0.0, 74.25]
    path = tmp_path / "whole.pdb"
    path.write_text(structure("LL", chain="B") + structure("EVQLV", 101))
    out = track.to_pdb(path, tmp_path / "out.pdb")
    assert factors(out) == [0.0, 0.0, *scaled]
    assert out.read_text().startswith("REMARK 999 B-FACTORS OF CHAIN A: 24.75 X CONTRIBUTION X 1\n")
    before, after = path.read_text().splitlines(), out.read_text().splitlines()[1:]
    assert [line[:60] + line[66:] for line in after] == [line[:60] + line[66:] for line in before]
    path.write_text(structure("VQ"))  # a part of the sequence
    assert factors(track.to_pdb(path, out)) == scaled[1:3]
    path.write_text(structure("EVQLV", 7, skip=(2,)))  # a residue that was not resolved
    assert factors(track.to_pdb(path, out, chain="A")) == [*scaled[:2], *scaled[3:]]
    path.write_text(structure("LLLL"))
    with pytest.raises(InputError, match="chains A do not fit"):
        track.to_pdb(path, out)
    with pytest.raises(InputError, match="without atoms"):
        track.to_pdb(Path(__file__), out)


def test_tracks_of_results_have_a_number_for_each_letter() -> None:
    result = test_dna.explainer("nucleotide-transformer").explain(test_dna.SEQUENCE)
    track = result.track()
    assert track.letters == test_dna.SEQUENCE
    np.testing.assert_allclose(track.values, result.bases()["relevance"])
    protein = test_protein.explainer("fill-mask", "esm")
    result = protein.explain("EV<mask>LV")
    track = result.track()
    assert track.letters == "EV?LV"
    assert np.isnan(track.values[2])
    np.testing.assert_allclose(track.values[[0, 1, 3, 4]], result.input_relevance().values)
    with pytest.raises(InputError, match="input_relevance"):
        explained()[0].track()


def test_the_chain_that_covers_most_is_placed_by_its_numbers(tmp_path: Path) -> None:
    track, path, out = Track("EVEVL", np.arange(1.0, 6), "m"), tmp_path / "a.pdb", tmp_path / "out.pdb"
    path.write_text(structure("EV", chain="B") + structure("EVEVL"))
    assert factors(track.to_pdb(path, out))[:2] == [0.0, 0.0]
    assert factors(out)[2:] == pytest.approx([19.8, 39.6, 59.4, 79.2, 99.0])
    path.write_text(structure("EVEVL", skip=(1, 2)))  # "EVL" is also one stretch of the sequence
    assert factors(track.to_pdb(path, out)) == pytest.approx([19.8, 79.2, 99.0])
    path.write_text(structure("EVEVL", skip=(0, 1)))  # "EVL", numbered from 3
    assert factors(track.to_pdb(path, out)) == pytest.approx([59.4, 79.2, 99.0])


def test_structures_with_long_numbers_and_lines_that_are_cut_off(tmp_path: Path) -> None:
    track, path, out = Track("EVL", np.array([1.0, 2, 3]), "m"), tmp_path / "a.pdb", tmp_path / "out.pdb"
    text = structure("EVL", 9998, skip=(1,)).replace("A10000 ", "AA000 ")
    path.write_text(text)
    assert factors(track.to_pdb(path, out)) == [33.0, 99.0]
    path.write_text(text.replace("AA000", "A****"))
    with pytest.raises(InputError, match="do not fit"):
        track.to_pdb(path, out)
    path.write_text(structure("EVL") + "ATOM      7  CA  GLU\n")
    with pytest.raises(InputError, match="line 10 ends after 20 characters"):
        track.to_pdb(path, out)


@pytest.mark.parametrize("kind", ["bases", "dnabert"])
def test_bases_that_are_cut_off_keep_the_places_of_the_other_strand(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    explain = test_dna.explainer(kind)
    monkeypatch.setattr(type(explain.wrapper), "limit", 10)
    track = explain.explain(test_dna.SEQUENCE, method="magnitude").track()
    read = 8 if kind == "bases" else 13
    assert len(track) == len(test_dna.SEQUENCE)
    assert np.isnan(track.values[read:]).all()
    assert np.isfinite(track.values[:read]).all()
    lines = track.to_bed(tmp_path / "a.bed", strand="-").read_text().splitlines()
    assert lines[-1].split("\t")[:2] == ["sequence", str(len(test_dna.SEQUENCE) - 1)]


def test_a_mask_at_the_end_keeps_its_place() -> None:
    track = test_dna.explainer("bases", "MaskedLM").explain("ACGT[MASK]").track()
    assert track.letters == "ACGT?"
    assert list(np.isnan(track.values)) == [False] * 4 + [True]
