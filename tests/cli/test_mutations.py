"""`hf-fourier mutations` on tiny models of proteins and bases, as it is typed."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from hf_fourier import FourierExplainer
from hf_fourier.cli.mutations import parse_places
from hf_fourier.errors import InputError
from tests.models import test_dna, test_protein

PROTEIN, DNA = "EVQLVESGG", test_dna.SEQUENCE[:12]


def saved(explainer: FourierExplainer, folder: Path) -> Path:
    explainer.model.save_pretrained(folder)
    explainer.processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def protein_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(test_protein.explainer("text-classification", "esm"), tmp_path_factory.mktemp("esm"))


@pytest.fixture(scope="module")
def dna_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(test_dna.explainer("nucleotide-transformer"), tmp_path_factory.mktemp("dna"))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_protein_is_mapped_at_the_places_that_are_named(run, protein_model):
    done = run("mutations", protein_model, PROTEIN, "--output", "out", "--places", "2-3,9")
    assert done.exit_code == 0, done.output
    found = FourierExplainer.from_pretrained(str(protein_model)).mutations(PROTEIN, places=[1, 2, 8])
    written = rows(Path("out") / PROTEIN / "mutations.csv")
    assert len(written) == 3 * 19
    assert {row["place"] for row in written} == {"2", "3", "9"}
    assert [row["substitution"] for row in written] == found.table()["substitution"]
    assert float(written[0]["effect"]) == pytest.approx(found.table()["effect"][0], rel=1e-4)
    lines = (Path("out") / PROTEIN / "track.bedgraph").read_text().splitlines()
    assert [line.split("\t")[1] for line in lines[1:]] == ["1", "2", "8"]
    assert (Path("out") / PROTEIN / "mutations.png").read_bytes().startswith(b"\x89PNG")
    assert "Strongest of 57 substitutions" in done.stdout
    assert "effect: log-odds of" in done.stdout


def test_records_of_a_file_are_mapped_with_arrays_for_motif_discovery(run, dna_model, tmp_path):
    (tmp_path / "two.fasta").write_text(f">chr1:100-200 left\n{DNA}\n>sp|P1|right\tOS\n{DNA[::-1]}\n")
    words = ["--strand", "-", "--start", "100", "--motifs", "--target", "1", "--json"]
    done = run("mutations", dna_model, "two.fasta", "--output", "out", *words)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert [one["letters"] for one in told["results"]] == [DNA, DNA[::-1]]
    tracks = [Path(one["files"]["track"]).read_text().splitlines()[1:] for one in told["results"]]
    assert [{line.split("\t")[0] for line in lines} for lines in tracks] == [{"chr1:100-200"}, {"sp|P1|right"}]
    assert [one["label"] for one in told["results"]] == ["promoter"] * 2
    explain = FourierExplainer.from_pretrained(str(dna_model))
    maps = [explain.mutations(sequence, 1) for sequence in (DNA, DNA[::-1])]
    ohe, shap = (np.load(told["files"][name])["arr_0"] for name in ("one_hot", "contributions"))
    assert ohe.shape == shap.shape == (2, 4, len(DNA))
    for number, found in enumerate(maps):
        assert (found.one_hot() == ohe[number].T).all()
        assert pytest.approx(found.contributions, rel=1e-4, abs=1e-6) == shap[number].T
        lines = Path(told["results"][number]["files"]["track"]).read_text().splitlines()[1:]
        numbers = {int(line.split("\t")[1]): float(line.split("\t")[3]) for line in lines}
        expected = {100 + len(DNA) - 1 - place: value for place, value in enumerate(found.track().values)}
        assert numbers == pytest.approx(expected, rel=1e-4)


def test_mistakes_are_refused_before_anything_is_mapped(run, protein_model, text_model):
    base = ["mutations", protein_model, PROTEIN, PROTEIN[:-1], "--output", "out"]
    for words, said in (
        (["--places", "0-2"], "--places 0-2"),
        (["--places", "5-3"], "--places 5-3"),
        (["--motifs", "--places", "2"], "--motifs with --places"),
        (["--motifs"], f"sequences of {len(PROTEIN) - 1} to {len(PROTEIN)} letters"),
        (["--places", "70"], "--places 70"),
        (["--places", f"1,{len(PROTEIN)}"], f"a sequence of {len(PROTEIN) - 1}"),
        (["--strand", "x"], "--strand x"),
    ):
        done = run(*base, *words)
        assert done.exit_code == 2, done.output
        assert said in done.stderr
        assert not list(Path().glob("out/**/mutations.csv"))
    done = run("mutations", text_model, "a good text", "--output", "out")
    assert done.exit_code == 2
    assert "a model of proteins or DNA" in done.stderr


def test_places_count_from_one():
    assert parse_places("3-5, 9") == [2, 3, 4, 8]
    for text in ("", "a", "3-", "-2", "1,,2", "1-99999999999"):
        with pytest.raises(InputError, match="--places"):
            parse_places(text)
