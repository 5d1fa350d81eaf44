"""Every recipe runs without a Hub at a small size, says where its report is, and the report opens."""

import runpy
import sys
from pathlib import Path

import pytest

from hf_fourier import Report

FOLDER = Path(__file__).parents[2] / "recipes"
#: By recipe, the assets that it needs.
NEEDS = {
    "audio_spectrogram": ("whisper-instruments", "instrument-sounds"),
    "audio_waveform": ("wav2vec2-languages", "prompt-sounds"),
    "compare_methods": ("fashion-vit", "fashion-mnist"),
    "error_rectification": ("fashion-vit", "fashion-mnist"),
    "federated_freqx": ("fashion-mnist",),
    "geneformer_cells": ("pbmc-geneformer", "pbmc"),
    "ground_truth": (),
    "image_classification": ("efficientnet-lite0", "pictures"),
    "language_model": ("smollm2",),
    "mri_segmentation": ("deepbet", "mri-head"),
    "protein": ("antiberty-species",),
    "text_classification": ("minilm-spam", "spam-emails"),
    "time_series": ("shoulder-exercises",),
}


def test_all_recipes_are_here():
    assert sorted(NEEDS) == sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "options")


@pytest.mark.parametrize("name", NEEDS)
def test_first_lines_give_the_command(name):
    assert f"\n\n    .venv/bin/python recipes/{name}.py\n" in (FOLDER / f"{name}.py").read_text()[:600]


@pytest.mark.parametrize("name", NEEDS)
def test_recipe_runs_and_its_report_opens(name, asset, tmp_path, monkeypatch, capsys):
    for needed in NEEDS[name]:
        asset(needed)
    folder = tmp_path / "report"
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--small", "--out", str(folder)])
    runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
    assert capsys.readouterr().out.splitlines()[-1] == f"report: {folder}"
    assert "</html>" in (folder / "index.html").read_text(encoding="utf-8")
    report = Report.load(folder)
    assert len(report) > 0
    assert report.has_inputs
