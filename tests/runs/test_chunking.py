"""Which chunk holds which example, where they are not ordered by length: each once, the last chunk shorter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hf_fourier.runs import Results
from hf_fourier.runs.chunking import Chunks
from hf_fourier.runs.manifest import Manifest
from tests.advice.case import seer


def chunks(folder: Path, examples: int | None, chunk: int) -> Chunks:
    return Chunks(folder, Manifest({}, {}, examples, chunk))


@pytest.mark.parametrize(("examples", "chunk"), [(1, 4), (4, 4), (5, 4), (6, 1), (11, 3)])
def test_every_example_has_one_chunk(tmp_path: Path, examples: int, chunk: int) -> None:
    planned = chunks(tmp_path, examples, chunk)
    count = planned.manifest.chunks
    assert count == -(-examples // chunk)
    held = [planned.indices(number) for number in range(count)]
    assert [index for own in held for index in own] == list(range(examples))
    assert all(len(own) == chunk for own in held[:-1])
    places = {i: (number, row) for number, own in enumerate(held) for row, i in enumerate(own)}
    assert {i: planned.place(i) for i in range(examples)} == places
    assert planned.costs().tolist() == [len(own) for own in held]
    assert planned.unfinished() == list(range(count))


def test_a_stream_has_whole_chunks_until_it_ends(tmp_path: Path) -> None:
    assert chunks(tmp_path, None, 4).indices(2) == [8, 9, 10, 11]


def test_a_run_of_pictures_holds_them_all(tmp_path: Path) -> None:
    explain = seer()
    pictures = list(np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8))
    results = explain.explain_dataset(pictures, tmp_path / "run", chunk=4, progress=False)
    assert (len(results), results.done, results.finished) == (6, 6, True)
    for result, expected in zip(Results(tmp_path / "run"), explain.explain(pictures), strict=True):
        torch.testing.assert_close(result.signal, expected.signal)
