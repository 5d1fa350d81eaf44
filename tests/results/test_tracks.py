"""Tracks of sequences: bedGraph, BED, and the column of B-factors of a structure."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from hf_fourier import Attribution, FourierExplainer
from hf_fourier.errors import InputError
from hf_fourier.results.tracks import Track, _chains
from hf_fourier.results.views import NoView
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


def test_a_chain_is_its_residues_without_water_and_other_atoms() -> None:
    lines = structure("EVL", first=7).splitlines()
    water = lines[1].replace("ATOM  ", "HETATM").replace("N   GLU", "O   HOH")
    calcium = water.replace("O   HOH", "CA   CA")
    assert _chains([*lines, water, calcium]) == {"A": {"   7 ": "E", "   8 ": "V", "   9 ": "L"}}


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


def causal(processor: Any) -> FourierExplainer:
    """A language model with fresh weights, which keeps the end of what is too long."""
    size = {"n_positions": 64, "n_embd": 16, "n_layer": 1, "n_head": 2}
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=len(processor.get_vocab()), bos_token_id=None, eos_token_id=None, **size
    )
    return FourierExplainer(transformers.GPT2LMHeadModel(config).eval(), processor)


def cut_explainer(kind: str, side: str) -> FourierExplainer:
    """A model of proteins or bases that reads one end of a sequence."""
    protein = kind == "esm"
    if side == "causal":
        return causal(test_protein.tokenizer("esm") if protein else test_dna.tokenizer(kind))
    explain = test_protein.explainer("text-classification", "esm") if protein else test_dna.explainer(kind)
    if side == "left":
        processor = copy.deepcopy(explain.processor)
        processor.truncation_side = "left"
        explain = FourierExplainer(explain.model, processor)
    return explain


@pytest.mark.parametrize("side", ["right", "left", "causal"])
@pytest.mark.parametrize("kind", ["esm", "bases", "dnabert", "nucleotide-transformer"])
def test_what_is_cut_off_keeps_its_places_on_both_strands(
    kind: str, side: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    explain = cut_explainer(kind, side)
    monkeypatch.setattr(type(explain.wrapper), "limit", 3)
    sequence = "EVQLVESGGGLV" if kind == "esm" else test_dna.SEQUENCE
    track = explain.explain(sequence, method="magnitude", contributions=0).track()
    known = np.flatnonzero(~np.isnan(track.values))
    assert len(track) == len(sequence)
    assert 0 < len(known) < len(sequence)
    assert (known == np.arange(known[0], known[-1] + 1)).all()
    assert (known[0] == 0) if side == "right" else (known[-1] == len(sequence) - 1)
    assert [track.letters[place] for place in known] == [sequence[place] for place in known]
    for strand in "+-":
        lines = track.to_bed(tmp_path / "a.bed", start=100, strand=strand).read_text().splitlines()
        placed = {int(line.split("\t")[1]): line.split("\t")[3] for line in lines}
        assert placed == {
            100 + (place if strand == "+" else len(sequence) - 1 - place): sequence[place] for place in known
        }


def test_places_of_residues_come_back_and_hold_masks(tmp_path: Path) -> None:
    explain = test_protein.explainer("fill-mask", "esm")
    result = explain.explain("<mask>EV<mask>L")
    result.save(tmp_path / "a")
    for one in (result, Attribution.load(tmp_path / "a")):
        assert one.track().letters == "?EV?L"
    batch = explain.processor("<mask> E V <mask>", return_tensors="pt")
    assert explain.explain(dict(batch))[0].track().letters == "?EV?"
    old = replace(result, view=NoView())  # as saved by earlier versions
    assert old.track().letters == "?EV?L"


def test_a_structure_of_more_than_the_model_reads_is_placed(tmp_path: Path) -> None:
    path, out = tmp_path / "a.pdb", tmp_path / "out.pdb"
    path.write_text(structure("EVQLVE"))
    track = Track("EVQ???", np.array([1.0, 2.0, 4.0, np.nan, np.nan, np.nan]), "m")
    assert factors(track.to_pdb(path, out)) == [24.75, 49.5, 99.0, 0.0, 0.0, 0.0]
    with pytest.raises(InputError, match="do not fit"):
        Track("EQQ???", track.values, "m").to_pdb(path, out)
    path.write_text(structure("EVQLVE", 7))  # numbers that do not count from the sequence's first letter
    assert factors(track.to_pdb(path, out))[:3] == [24.75, 49.5, 99.0]
    with pytest.raises(InputError, match="do not fit"):
        Track("E?????", track.values, "m").to_pdb(path, out)
