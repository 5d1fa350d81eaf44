"""Recordings from a shell: segments by itself where a file is longer than the model's window, said aloud."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from hf_fourier.runs.recording import Recording
from tests.models import tiny_models_audio

RATE = tiny_models_audio.RATE


@pytest.fixture(scope="module")
def listener(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Whisper classifier with a window of one second."""
    folder = tmp_path_factory.mktemp("listener")
    tiny_models_audio.build("whisper").save_pretrained(folder)  # type: ignore[operator]
    tiny_models_audio.extractor("whisper").save_pretrained(folder)
    return folder


def test_a_long_file_is_explained_in_segments(run: Any, listener: Path, tmp_path: Path) -> None:
    sound = tiny_models_audio.clip(2 * RATE + 77)
    soundfile.write(tmp_path / "long.wav", sound, RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "short.wav", sound[:9000], RATE, subtype="FLOAT")
    said = run(
        "explain", listener, "long.wav", "short.wav", "--signal", "waveform", "--output", "out", "--fraction", ".1,.5"
    )
    assert said.exit_code == 0, said.output
    assert "longer than the model takes at once: explained in segments of 1 s" in said.stderr
    assert "All segments of one label together" in said.stdout
    assert "note: explained at the waveform" in said.stdout
    assert "frequency [Hz]" in said.stdout
    folder = Path("out") / "001-long"
    found = Recording.load(folder)
    assert len(found) == 3
    with (folder / "segments.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == [segment.label for segment in found.segments]
    with (folder / "spectrum.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == RATE // 2 + 1
    parts = [soundfile.read(folder / f"{name}.wav", dtype="float32")[0] for name in ("clean", "kept", "removed")]
    np.testing.assert_allclose(parts[0], sound, atol=1e-6)
    np.testing.assert_allclose(parts[1] + parts[2], sound, atol=1e-5)
    assert (folder / "figure.png").is_file()
    assert (Path("out") / "002-short" / "attribution.json").is_file()


def test_segments_as_they_are_asked_for(run: Any, listener: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "clip.wav", tiny_models_audio.clip(9600), RATE, subtype="FLOAT")
    asked = ("--seconds", "0.2", "--overlap", "0", "--fraction", ".5", "--json")
    said = run("explain", listener, "clip.wav", "--output", "out", *asked)
    assert said.exit_code == 0, said.output
    (result,) = json.loads(said.stdout)["results"]
    assert len(result["segments"]) == 3
    assert result["seconds"] == pytest.approx(0.6)
    assert sum(result["labels"].values()) == pytest.approx(0.6)
    assert [row["top fraction"] for row in result["points"]] == [0.5]
    assert run("explain", listener, "clip.wav", "--seconds", "2").exit_code == 0  # one clip: nothing to cut
    wrong = run("explain", listener, "clip.wav", "--seconds", "0.2", "--overlap", "1")
    assert wrong.exit_code == 2
    assert "overlap 1.0" in wrong.stderr
