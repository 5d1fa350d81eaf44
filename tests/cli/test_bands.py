"""`hf-fourier bands` and `hf-fourier spectrum` on small models, as they are typed."""

from __future__ import annotations

import json

import pytest

from hf_fourier.evaluation.studies.model_spectrum import ModelSpectrum
from tests.models import tiny_tokenizers


def test_bands_of_a_text(run, text_model, tmp_path):
    words = tiny_tokenizers.texts(1)[0]
    out = run("bands", text_model, words, "--output", tmp_path / "out").stdout
    assert "explained:" in out
    assert "lost without it" in out
    assert (tmp_path / "out").is_dir()
    found = json.loads(run("bands", text_model, words, "--json", "--bands", "2", "--output", tmp_path / "b").stdout)
    rows = found["results"][0]["bands"]
    assert rows[0]["band"] == "mean (frequency 0)"
    assert {"from", "to", "unit", "power", "score", "deleted", "alone"} <= set(rows[0])
    assert sum(row["power"] for row in rows) == pytest.approx(1)


def test_the_spectrum_of_texts(run, text_model, tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(tiny_tokenizers.texts(5)))
    found = json.loads(run("spectrum", text_model, path, "--output", tmp_path / "run", "--json").stdout)
    assert found["examples"] == 5
    assert found["failures"] == 0
    assert ModelSpectrum.load(found["files"]["spectrum"]).summary() == found["summary"]
    assert (tmp_path / "run" / "spectrum.csv").read_text().startswith("group,filter,band,")
    again = run("spectrum", text_model, path, "--output", tmp_path / "run")
    assert "decisions kept [%]" in again.stdout
    assert "Shapley value" in again.stdout
    assert f"next: hf-fourier report [RESULTS] --spectrum {tmp_path / 'run'} --output REPORT" in again.stdout
    done = run("report", "--spectrum", tmp_path / "run", "--output", tmp_path / "page")
    assert done.exit_code == 0, done.output
    assert found["summary"][0] in (tmp_path / "page" / "index.html").read_text()
