"""What a str, or what is none, stands for: texts, names of files, FASTA records, halves of characters."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hf_fourier import FourierExplainer
from hf_fourier.cli import inputs
from hf_fourier.errors import InputError
from hf_fourier.models.inputs.dataset_sources import source_of
from hf_fourier.models.inputs.files import read_sequences
from tests.models import laws, test_dna, test_protein, tiny_models, tiny_tokenizers

pytestmark = pytest.mark.usefixtures("unchecked")
FASTA = ">sp|P1 first one\nEVQLV\nESGG\n\n>second\n; a comment\nQVQLQ\n"


@pytest.fixture(scope="module")
def text() -> FourierExplainer:
    return FourierExplainer(tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer("bert"))


@pytest.fixture(scope="module")
def protein() -> FourierExplainer:
    return test_protein.explainer("text-classification", "bert")


@pytest.mark.parametrize(
    "name", ["report.txt", "mails.csv", "cells.json", "seqs.fasta", "cat.PNG", " a.jsonl\n", "../mails.csv"]
)
def test_names_of_files_are_no_texts(text: FourierExplainer, name: str) -> None:
    with pytest.raises(InputError, match="the name of a file that does not exist"):
        text.explain(name)
    with pytest.raises(InputError, match=r"example 1: .*the name of a file"):
        text.explain(["w10 w11", name])


def test_paths_that_exist_are_no_texts_and_the_advice_reads_them(text: FourierExplainer, tmp_path: Path) -> None:
    (tmp_path / "a mail.txt").write_text("w10 w11 w12")
    (tmp_path / "bare").write_text("w10")
    for path in (tmp_path / "a mail.txt", tmp_path / "bare"):
        with pytest.raises(InputError, match="the name of a file"):
            text.explain(str(path))
        with pytest.raises(InputError, match="read_text"):
            text.explain(path)
    with pytest.raises(InputError, match="the name of a folder"):
        text.explain(str(tmp_path))
    advised = text.explain((tmp_path / "a mail.txt").read_text(encoding="utf-8"))
    laws.same(advised, text.explain("w10 w11 w12"))
    (named,) = text.explain(text.processor(["report.txt"], return_tensors="pt"))  # where the name itself is meant
    assert named.layout.signal.axes[0].length == 1


@pytest.mark.parametrize(
    "said", ["see report.txt for w10", "and/or", "/r/w10/w11", "w10.", "https", ".json", "w10/w11"]
)
def test_texts_that_look_a_little_like_names_are_texts(text: FourierExplainer, said: str) -> None:
    assert text.explain(said).scores.isfinite().all()


def test_an_address_is_a_text_and_that_is_said(text: FourierExplainer) -> None:
    notes = text.explain("https://example.org/report.txt").provenance["notes"]
    assert any("nothing is fetched" in note for note in notes)


@pytest.mark.parametrize("task", ["text-classification", "multiple-choice"])
def test_half_a_character_is_refused_and_the_advice_mends_it(task: str) -> None:
    explain, broken = (
        FourierExplainer(tiny_models.build(task, "bert"), tiny_tokenizers.tokenizer("bert")),
        "w10 \ud83d w11",
    )
    with pytest.raises(InputError, match="half a character at position 4") as caught:
        explain.explain((broken, ["w12", "w13"]) if task == "multiple-choice" else broken)
    mended = eval(caught.value.hint.removeprefix("pass "), {"text": broken})
    assert mended == "w10 \ufffd w11"
    assert explain.explain((mended, ["w12", "w13"]) if task == "multiple-choice" else mended) is not None


def test_half_a_character_in_a_pair_and_in_a_target(text: FourierExplainer) -> None:
    from hf_fourier.scoring.targets import Continuation

    with pytest.raises(InputError, match="half a character"):
        text.explain(("w10", "\udc00"))
    writes = FourierExplainer(tiny_models.build("text-generation", "gpt2"), tiny_tokenizers.tokenizer("gpt"))
    for target in ("\ud800", Continuation(" \ud800")):
        with pytest.raises(InputError, match="half a character"):
            writes.explain("w10 w11", target)


@pytest.mark.parametrize("missing", [float("nan"), None, pd.NA, np.nan, pd.NaT])
def test_missing_values_are_named_as_such(text: FourierExplainer, protein: FourierExplainer, missing: Any) -> None:
    for explain in (text, protein):
        with pytest.raises(InputError, match=r"missing value.*dropna"):
            explain.explain([missing])


def test_bytes_say_how_they_become_a_text(text: FourierExplainer, protein: FourierExplainer) -> None:
    for explain in (text, protein):
        with pytest.raises(InputError, match="decode"):
            explain.explain(b"w10")


@pytest.mark.parametrize("ending", ["fasta", "fa", "faa", "FASTA", "fa.gz"])
def test_a_fasta_file_is_its_sequences(protein: FourierExplainer, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"two.{ending}"
    path.write_bytes(gzip.compress(FASTA.encode()) if ending.endswith("gz") else FASTA.encode())
    assert read_sequences(path) == [("sp|P1 first one", "EVQLVESGG"), ("second", "QVQLQ")]
    for form in (path, str(path)):
        for one, other in zip(protein.explain(form), protein.explain(["EVQLVESGG", "QVQLQ"]), strict=True):
            laws.same(one, other)
    items = source_of(path).read([0, 1])
    assert [(item.name, item.example) for item in items] == read_sequences(path)
    assert inputs.read([str(path)], False) == (["sp|P1", "second"], ["EVQLVESGG", "QVQLQ"])
    with pytest.raises(InputError, match=r"in a list.*read_sequences"):
        protein.explain([str(path)])


def test_a_fastq_file_is_its_sequences(protein: FourierExplainer, tmp_path: Path) -> None:
    path = tmp_path / "two.fq.gz"
    path.write_bytes(gzip.compress(b"@first one\nEVQLV\n+\n@@@@@\n@second\nQVQLQ\n+second\nIIIII\n\n"))
    assert read_sequences(path) == [("first one", "EVQLV"), ("second", "QVQLQ")]
    notes = [result.provenance["notes"] for result in protein.explain(path)]
    assert notes == [["read from the record 'first one'"], ["read from the record 'second'"]]
    assert inputs.read([str(path)], False) == (["first", "second"], ["EVQLV", "QVQLQ"])
    (tmp_path / "more.fa").write_text(">third\nEV\n")
    items = source_of(tmp_path).read([0, 1, 2])
    assert [item.name for item in items] == ["more.fa/third", "two.fq.gz/first one", "two.fq.gz/second"]
    broken = tmp_path / "broken.fastq"
    for text in ("@one\nEVQLV\n+\nIIII\n", "@one\nEVQLV\n", "@one\nEVQLV\nIIIII\n+\n"):
        broken.write_text(text)
        with pytest.raises(InputError, match="line 1 begins no FASTQ record"):
            read_sequences(broken)


def test_empty_reads_blank_lines_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "two.fastq"
    path.write_text("\ufeff@one\nEV\n+\nII\n\n@empty\n\n+\n\n\n@two\nQV\n+\nII\n", encoding="utf-8")
    with pytest.warns(UserWarning, match=r"'two.fastq': 1 read without letters was left out"):
        assert read_sequences(path) == [("one", "EV"), ("two", "QV")]
    path.write_text("\ufeff>one\nEV\n", encoding="utf-8")
    assert read_sequences(path) == [("one", "EV")]
    assert read_sequences("\ufeff>one\nEV\n") == [("one", "EV")]


def test_a_fasta_record_is_its_sequence(protein: FourierExplainer) -> None:
    result = protein.explain(">sp|P1 first one\nEVQLV\nESGG\n")
    laws.same(result, protein.explain("EVQLVESGG"))
    assert result.provenance["notes"] == ["read from the record 'sp|P1 first one'"]
    with pytest.raises(InputError, match="2 records") as caught:
        protein.explain(FASTA)
    assert "read_sequences(text)" in caught.value.hint
    assert len(protein.explain([letters for _, letters in read_sequences(FASTA)])) == 2
    with pytest.raises(InputError, match="without letters below it"):
        protein.explain(">sp|P1 first one")


def test_dna_likewise(tmp_path: Path) -> None:
    explain = test_dna.explainer("bases")
    result = explain.explain(f">chr1\n{test_dna.SEQUENCE[:12].lower()}\n{test_dna.SEQUENCE[12:]}\n")
    laws.same(result, explain.explain(test_dna.SEQUENCE))
    assert result.provenance["notes"] == ["read from the record 'chr1'", "lowercase letters were read as bases"]
    (tmp_path / "one.fna").write_text(f">chr1\n{test_dna.SEQUENCE}\n")
    (one,) = explain.explain(tmp_path / "one.fna")
    laws.same(one, result)
    with pytest.raises(InputError, match="does not exist"):
        explain.explain("genome.fna")
    with pytest.raises(InputError, match="write N"):
        explain.explain("ACGT-ACGT")
    assert "N" in explain.explain("ACGTNACGT").view.sequence
    with pytest.raises(InputError, match="without letters"):
        explain.explain(">ACGT")


def test_what_stands_for_no_residue(protein: FourierExplainer) -> None:
    stopped = protein.explain("EVQLVESGG**")
    laws.same(stopped, protein.explain("EVQLVESGG"))
    assert stopped.provenance["notes"] == ["the stop * at the end was left out"]
    inside = protein.explain("EVQ*LV")
    assert inside.provenance["notes"] == ["not in the vocabulary, read as [UNK]: '*'"]
    for wrong in ("seqs.fasta", "data/protein", "1 EVQLV 6", "EVQ_LV", "EVQé", "sp|P1"):
        with pytest.raises(InputError):
            protein.explain(wrong)
    with pytest.raises(InputError, match="the name of a file that does not exist"):
        protein.explain("seqs.fasta")


@pytest.mark.parametrize("said", ["mp3.example.com/music/w10.html", "www.example.com/w10/w11.zip"])
def test_an_address_without_its_scheme_is_one_where_no_such_file_is(text: FourierExplainer, said: str) -> None:
    assert any("nothing is fetched" in note for note in text.explain(said).provenance["notes"])


def test_an_address_that_is_a_file_here_or_meant_as_a_protein_is_a_name(
    text: FourierExplainer, protein: FourierExplainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "example.com").mkdir()
    (tmp_path / "example.com" / "a.txt").write_text("w10 w11")
    with pytest.raises(InputError, match="the name of a file"):
        text.explain("example.com/a.txt")
    with pytest.raises(InputError, match="the name of a file"):
        protein.explain("example.com/b.fasta")
    with pytest.raises(InputError, match=r"the name of a folder; .*path\.read_text"):
        text.explain("example.com/")
    assert text.explain("/").scores.isfinite().all()  # a slash alone is the root, and a text
