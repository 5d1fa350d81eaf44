"""Two processes share a run, each chunk whole: the bytes are those of one process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hf_fourier.errors import InputError
from hf_fourier.models.distributed import Processes, current
from hf_fourier.runs import Results
from hf_fourier.runs.chunking import assign_chunks
from tests.runs.sample_results import digests, explainer, texts


def shell(*words: object, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", **more}
    command = [sys.executable, "-m", *map(str, words)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, timeout=300)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model and texts, one of which cannot be explained."""
    folder = tmp_path_factory.mktemp("tiny")
    explain = explainer()
    explain.model.save_pretrained(folder / "model")
    explain.processor.save_pretrained(folder / "model")
    lines = [json.dumps({"text": text}) for text in [*texts(30), "", *texts(9)]]
    (folder / "texts.jsonl").write_text("\n".join(lines))
    return folder


RUN = ("explain-dataset", "model", "texts.jsonl", "--fraction", ".1,.3", "--chunk", "4")


def test_two_processes_write_the_bytes_of_one(tiny: Path) -> None:
    pytest.importorskip("datasets")
    pytest.importorskip("typer")
    one = shell("hf_fourier", *RUN, "--output", "one", folder=tiny)
    assert one.returncode == 0, one.stderr
    assert "39 of 40 examples explained" in one.stdout
    two = shell("hf_fourier", *RUN, "--output", "two", "--processes", "2", folder=tiny)
    assert two.returncode == 0, two.stderr
    assert "2 processes started, as requested" in two.stderr
    assert two.stdout.count("39 of 40 examples explained") == 1
    assert len(digests(tiny / "one")) > 8
    assert digests(tiny / "two") == digests(tiny / "one")
    logs = [[json.loads(line) for line in path.open()] for path in sorted((tiny / "two").glob("log-*.jsonl"))]
    assert len(logs) == 2
    counts = [sum(line.get("examples", 0) for line in log) for log in logs]  # planning has lines of its own
    assert min(counts) >= 10
    assert Results(tiny / "two").failures()["index"] == [30]


def test_a_number_of_processes_that_did_not_come_is_told(tiny: Path) -> None:
    words = ("accelerate.commands.launch", "--cpu", "--num_processes", "2", "--module", "hf_fourier", *RUN)
    done = shell(*words, "--output", "cpu", folder=tiny)
    assert done.returncode == 0, done.stderr
    assert "1 process started of 2 requested" in done.stderr
    assert Results(tiny / "cpu").finished


def test_a_wrong_number_is_refused() -> None:
    with pytest.raises(InputError, match="got 1 processes; expected the requested 3"):
        current(3)
    assert current(1).first
    assert str(Processes(0, 2, 2)) == "2 processes started, as requested"


def test_chunks_are_dealt_whole_and_evenly() -> None:
    import numpy as np

    costs = np.array([9.0, 1, 1, 1, 4, 4, 2, 2, 3, 3])
    shares = assign_chunks([i for i in range(10) if i != 4], costs, 3)
    assert sorted(chunk for share in shares for chunk in share) == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    loads = [costs[share].sum() for share in shares]
    assert max(loads) == 9.0
    assert min(loads) >= 8.0
    assert [costs[chunk] for chunk in shares[1]] == sorted((costs[chunk] for chunk in shares[1]), reverse=True)
