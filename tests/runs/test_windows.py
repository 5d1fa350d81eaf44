"""Windows ordered by length: what an example costs, where chunks end, and where each example lies."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from hf_fourier.domains import Axis, SignalShape
from hf_fourier.errors import InputError
from hf_fourier.results.integrity import sealed
from hf_fourier.runs.chunking import MOST, Chunks, LengthWindow, _cuts, assign_chunks, cost_of, order_by_length
from hf_fourier.runs.manifest import FORMAT, Manifest
from hf_fourier.runs.recording import length_of, segment_starts
from hf_fourier.scoring.example_batch import EncodedExample

WIDTH = 6


def tokens(length: int, extra: int = 0) -> EncodedExample:
    axes = (Axis("token", length, "cycles/token", 1.0), Axis("channel", WIDTH, "", 1.0, True))
    ids = torch.zeros(length + 2, dtype=torch.long)
    inputs = {"input_ids": ids} | ({"other": torch.zeros(extra)} if extra else {})
    return EncodedExample(SignalShape("tokens", axes), inputs, content=torch.arange(1, length + 1))


def picture(*sizes: int) -> EncodedExample:
    axes = tuple(Axis(f"a{i}", n, "", 1.0) for i, n in enumerate(sizes))
    return EncodedExample(SignalShape("pixels", axes), {"input_ids": torch.zeros(9)}, torch.zeros(sizes))


def test_what_an_example_costs() -> None:
    """Of pictures their entries; tokens attend to each other: 24 h² a token, 4 h a pair, of all tokens of the input."""
    assert cost_of(picture(3, 4, 5)) == 60
    assert cost_of(tokens(10)) == 12 * WIDTH * (1 + 12 / (6 * WIDTH))
    assert cost_of(tokens(40)) / cost_of(tokens(19)) == pytest.approx(42 * (24 + 4 * 7) / (21 * (24 + 4 * 3.5)))
    no_ids = EncodedExample(tokens(4).signal, {"embeddings": torch.zeros(4)}, content=torch.arange(4))
    assert cost_of(no_ids) == 4 * WIDTH


def test_examples_of_one_window_by_length() -> None:
    lengths = {5: 30, 6: 4, 7: 10, 8: 4, 9: None}
    looked_at = [None if length is None else tokens(length) for length in lengths.values()]
    window = order_by_length(list(lengths), looked_at, 2)
    assert window.indices.tolist() == [9, 6, 8, 7, 5]  # what cannot be read first
    costs = [cost_of(tokens(n)) for n in (4, 4, 10, 30)]
    unknown = sum(costs) / 4
    assert window.cuts[-1] == 5
    assert window.costs.sum() == pytest.approx(sum(costs) + unknown)
    starts = [0, *window.cuts[:-1].tolist()]
    for number, (start, end) in enumerate(zip(starts, window.cuts.tolist(), strict=True)):
        assert window.chunk(number) == window.indices[start:end].tolist()
        assert window.costs[number] == pytest.approx(sum([unknown, *costs][start:end]))


def test_examples_of_one_length_and_other_shapes_stay_together() -> None:
    extra = [3, 0, 3, 0]
    window = order_by_length(range(4), [tokens(5, more) for more in extra], 4)
    assert window.indices.tolist() == [0, 2, 1, 3]


def test_a_window_of_which_nothing_can_be_read() -> None:
    window = order_by_length([3, 4, 5], [None] * 3, 2)
    assert window.indices.tolist() == [3, 4, 5]
    assert window.costs.sum() == 3


@pytest.mark.parametrize(
    ("costs", "chunk", "cuts"),
    [
        ([1, 1, 1, 1], 2, [2, 4]),
        ([1, 1, 1, 1, 1], 2, [2, 4, 5]),
        ([4, 1, 1, 1, 1], 3, [1, 5]),
        ([1, 1, 1, 1, 4], 3, [4, 5]),
        ([9], 4, [1]),
        ([10, 1, 1, 1], 1, [1, 4]),
        ([1, 1, 1], 8, [3]),
        ([1e-9] * 12 + [1.0] * 3, 5, [13, 14, 15]),
    ],
)
def test_chunks_end_where_their_share_is_spent(costs: list[float], chunk: int, cuts: list[int]) -> None:
    assert _cuts(np.array(costs, dtype=float), chunk).tolist() == cuts


def test_a_chunk_of_short_examples_has_an_end() -> None:
    cuts = _cuts(np.array([1e-9] * 20 + [1.0]), 2)
    sizes = np.diff([0, *cuts])
    assert sizes.max() == MOST * 2 == 8
    assert sizes.sum() == 21


def test_a_run_in_windows_is_read_back(tmp_path: Path) -> None:
    """Two windows of five and three examples, in chunks of two, three, one and two."""
    chunks = Chunks(tmp_path, Manifest({}, {}, 8, 2, 5, (2, 2)))
    orders = [([2, 0, 4, 1, 3], [2, 5], [7.0, 5.0]), ([7, 5, 6], [1, 3], [2.0, 4.0])]
    for number, (indices, cuts, costs) in enumerate(orders):
        assert not chunks.has_window(number)
        chunks.write_window(number, LengthWindow(np.array(indices), np.array(cuts), np.array(costs)))
        assert chunks.has_window(number)
        assert chunks.window_chunks(number) == 2
    held = [chunks.indices(number) for number in range(4)]
    assert held == [[2, 0], [4, 1, 3], [7], [5, 6]]
    places = {i: (number, row) for number, own in enumerate(held) for row, i in enumerate(own)}
    assert {i: chunks.place(i) for i in range(8)} == places
    assert chunks.costs().tolist() == [7, 5, 2, 4]
    manifest = chunks.manifest
    assert manifest.window_ranges == [range(5), range(5, 8)]
    assert (manifest.chunks, manifest.planned) == (4, True)
    assert not Manifest({}, {}, 8, 2, 5, (2,)).planned
    assert Manifest({}, {}, 8, 2).planned
    assert Manifest({}, {}, None, 2).chunks is None
    assert (chunks.path(999).parent.name, chunks.path(1000).parent.name) == ("0000", "0001")
    assert chunks.path(1000).name == "0001000.safetensors"
    chunks.path(2).parent.mkdir(parents=True)
    chunks.path(2).touch()
    assert chunks.unfinished() == [0, 1, 3]


def test_the_last_chunk_costs_less(tmp_path: Path) -> None:
    assert Chunks(tmp_path, Manifest({}, {}, 11, 4)).costs().tolist() == [4, 4, 3]


def test_the_most_expensive_chunks_go_first_and_to_whom_has_least() -> None:
    costs = np.array([1.0, 8.0, 3.0, 3.0, 5.0, 3.0])
    assert assign_chunks([0, 1, 2, 3, 4, 5], costs, 2) == [[1, 3, 0], [4, 2, 5]]
    assert assign_chunks([5, 3, 2], costs, 2) == [[2, 5], [3]]
    assert assign_chunks([], costs, 2) == [[], []]


class Listener:
    def __init__(self, window: int | None, rate: int) -> None:
        self.window, self.rate = window, rate


@pytest.mark.parametrize(
    ("window", "seconds", "samples"),
    [(None, None, 160), (500, None, 500), (None, 2.0, 32), (500, 31.25, 500), (500, 0.0625, 1), (None, 0.09, 1)],
)
def test_the_length_of_a_segment(window: int | None, seconds: float | None, samples: int) -> None:
    assert length_of(Listener(window, 16), seconds) == samples


@pytest.mark.parametrize(("window", "seconds"), [(500, 31.3), (None, 0.0), (500, -1.0), (None, 0.03)])
def test_segments_of_a_length_that_is_none(window: int | None, seconds: float) -> None:
    with pytest.raises(InputError, match=r"seconds above 0(, up to the model's window of 31\.25)?;"):
        length_of(Listener(window, 16), seconds)


@pytest.mark.parametrize(
    ("samples", "length", "overlap", "starts"),
    [
        (10, 10, 0.5, [0]),
        (3, 10, 0.5, [0]),
        (11, 10, 0.0, [0, 1]),
        (20, 10, 0.0, [0, 10]),
        (25, 10, 0.0, [0, 10, 15]),
        (25, 10, 0.5, [0, 5, 10, 15]),
        (12, 10, 0.99, [0, 1, 2]),
    ],
)
def test_where_segments_begin(samples: int, length: int, overlap: float, starts: list[int]) -> None:
    assert segment_starts(samples, length, overlap) == starts


def test_a_manifest_is_read_back_and_a_stream_ends(tmp_path: Path) -> None:
    settings = {"model": "m", "method": "ffc", "weights": "w", "store": "top"}
    manifest = Manifest(settings, {"threads": 2}, None, 4)
    manifest.write(tmp_path)
    assert Manifest.read(tmp_path) == manifest
    ended = manifest.ended(9, tmp_path)
    assert (ended.examples, ended.chunks) == (9, 3)
    assert Manifest.read(tmp_path) == ended
    with pytest.raises(InputError, match="without manifest"):
        Manifest.read(tmp_path / "nowhere")
    (tmp_path / "manifest.json").write_bytes(sealed({"format": FORMAT + 1, **asdict(ended)}))
    with pytest.raises(InputError, match="newer"):
        Manifest.read(tmp_path)
