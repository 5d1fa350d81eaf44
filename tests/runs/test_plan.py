"""What a run will take, from a measurement by hand: times, memory, disk, chunks, and their words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from hf_fourier import attribute
from hf_fourier.domains import Axis, SignalShape
from hf_fourier.errors import InputError
from hf_fourier.models.distributed import Processes
from hf_fourier.models.inputs.sources import SourceItem
from hf_fourier.runs import progress
from hf_fourier.runs.memory import LIBRARIES
from hf_fourier.runs.packing import Failure, Outcome, pack_shard
from hf_fourier.runs.plan import (
    CHUNK_BYTES,
    CHUNKS,
    WAITING,
    Measurement,
    Plan,
    _measured,
    duration_text,
    estimate,
    size,
)
from hf_fourier.runs.worker import PreparedExample, Worker
from hf_fourier.scoring.batching import suggested_rows
from hf_fourier.scoring.example_batch import EncodedExample
from tests.toy_scores import Smooth, noise

KNOWN = Measurement(
    rates=[(100.0, 50.0), (200.0, 40.0)], cost=120.0, sizes={"everything": 1000.5, "scores": 100.0, "top": 10.0},
    passes={"forward": 2.0, "backward": 1.0}, row=7, model=10**6, rows=16, tokens=False,
)  # fmt: skip


def planned(length: int | None = 1000, known: Measurement = KNOWN, **options: Any) -> Plan:
    chosen = {"store": "auto", "budget": 10**9, "chunk": None, "processes": 1, "cost": None, **options}
    return estimate(known, length, **chosen)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.034, "0.034 s"),
        (119.0, "1.2e+02 s"),
        (120.0, "2 min"),
        (7199.0, "120 min"),
        (7200.0, "2 h"),
        (172_799.0, "48 h"),
        (172_800.0, "2 days"),
        (950_400.0, "11 days"),
    ],
)
def test_times_in_words(seconds: float, words: str) -> None:
    """In the largest unit of which there are two."""
    assert duration_text(seconds) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1234, "1.23 kB"), (999_999, "1e+03 kB"), (10**6, "1 MB"),
        (2.5e7, "25 MB"), (10**9, "1 GB"), (2 * 10**12, "2 TB"),
    ],
)  # fmt: skip
def test_bytes_in_words(count: float, words: str) -> None:
    assert size(count) == words


def test_a_plan_in_words() -> None:
    plan = Plan(2000, 64, 300.0, 10**9, {"everything": 10**6, "scores": 2000, "top": 10}, "scores", {"forward": 1.5}, 4)
    assert str(plan).splitlines() == [
        "2,000 examples in chunks of about 64; passes per example: 1.5 forward",
        "time: about 5 min in one process, 75 s in 4 processes",
        "memory: about 1 GB per process",
        "on disk: 2 kB with store='scores' (everything 1 MB, scores 2 kB, top 10 B)",
    ]
    stream = str(replace(plan, examples=None, processes=1, passes={"forward": 1.0, "backward": 2.0}, notes=("a note",)))
    assert stream.splitlines() == [
        "a stream of examples in chunks of about 64; passes per example: 1 forward, 2 backward",
        "time: about 5 min, each in one process",
        "memory: about 1 GB per process",
        "on disk: 2 kB, each with store='scores' (everything 1 MB, scores 2 kB, top 10 B)",
        "a note",
    ]


def test_the_nearest_rate_counts() -> None:
    assert [KNOWN.seconds(cost) for cost in (100.0, 149.0, 151.0, 400.0)] == [2.0, 2.98, 3.775, 10.0]


def test_a_plan_by_hand() -> None:
    plan = planned()
    assert (plan.examples, plan.store, plan.processes, plan.notes) == (1000, "everything", 1, ())
    assert plan.sizes == {"everything": 1_000_500, "scores": 100_000, "top": 10_000}
    assert plan.seconds == pytest.approx(120 / 50 * 1000)
    assert plan.passes == KNOWN.passes
    assert plan.chunk == 64
    assert plan.memory == LIBRARIES + 10**6 + 7 * 16 + WAITING * 1000 * 64
    dear = planned(cost=180_000.0, processes=3)
    assert dear.seconds == pytest.approx(180 / 40 * 1000)
    assert dear.processes == 3
    few = planned(5)
    assert few.memory == LIBRARIES + 10**6 + 7 * 5 + WAITING * 1000 * few.chunk


def test_a_plan_of_a_stream_is_that_of_one_example() -> None:
    plan = planned(None)
    assert plan.examples is None
    assert plan.sizes == {"everything": 1000, "scores": 100, "top": 10}
    assert plan.seconds == pytest.approx(120 / 50)
    assert plan.chunk == 64
    assert plan.memory == LIBRARIES + 10**6 + 7 * 16 + WAITING * 1000 * 64


@pytest.mark.parametrize(
    ("budget", "store"), [(1_000_500, "everything"), (1_000_499, "scores"), (99_999, "top"), (9_999, "top")]
)
def test_the_fullest_store_that_fits(budget: int, store: str) -> None:
    plan = planned(budget=budget)
    assert plan.store == store
    assert bool(plan.notes) == (budget < 10_000)
    asked = planned(budget=1, store="scores")
    assert (asked.store, asked.notes) == ("scores", ())


@pytest.mark.parametrize(
    ("length", "chunk"),
    [
        (1, 8),
        (8, 8),
        (64, 8),
        (65, 9),
        (127, 16),
        (200, 16),
        (512, 64),
        (10**6, 64),
        (64 * CHUNKS, 64),
        (64 * CHUNKS + 1, 80),
    ],
)
def test_chunks_are_whole_batches_not_less_than_eight_nor_too_many(length: int, chunk: int) -> None:
    """Eighths of a small data set; above one batch a multiple of it."""
    assert planned(length).chunk == chunk


def test_chunks_of_large_results_are_small() -> None:
    large = replace(KNOWN, sizes={"everything": 10.0 * CHUNK_BYTES, "scores": CHUNK_BYTES / 5.5, "top": 0.0})
    assert planned(known=large, store="everything").chunk == 1
    assert planned(known=large, store="scores").chunk == 5
    assert planned(known=large, store="top").chunk == 64
    assert planned(chunk=7).chunk == 7
    assert planned(known=replace(KNOWN, rows=100)).chunk == 100


class Line:
    """What a progress bar was told, in place of `tqdm`."""

    def __init__(self, **options: Any) -> None:
        self.options, self.words, self.count, self.closed = options, "", 0, False

    def set_postfix_str(self, words: str, refresh: bool) -> None:
        assert not refresh
        self.words = words

    def update(self, count: int) -> None:
        self.count += count

    def close(self) -> None:
        self.closed = True


def test_the_progress_of_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr("tqdm.tqdm", Line)
    with progress.Bar((20, 400.0), Processes(), True) as bar:
        line = bar._bar
        assert line.options["total"] == 20
        assert line.options["desc"] == "explaining"
        assert line.options["bar_format"] == "{desc}: {n_fmt}/{total_fmt} {bar} [{elapsed}, {rate_fmt}{postfix}]"
        assert not line.options["disable"]
        clock[0] += 10
        bar.add(4, 100.0, 0)
        assert (line.words, line.count) == ("30 s left", 4)
        clock[0] += 30
        bar.add(6, 150.0, 2)
        assert (line.words, line.count) == ("24 s left, 2 failed", 10)
    assert line.closed


@pytest.mark.parametrize(
    ("machine", "visible", "hidden", "words"),
    [
        (Processes(), False, True, "explaining"),
        (Processes(1, 3), True, True, "explaining (process 1 of 3)"),
        (Processes(0, 3), True, False, "explaining (process 1 of 3)"),
    ],
)
def test_who_shows_progress(
    monkeypatch: pytest.MonkeyPatch, machine: Processes, visible: bool, hidden: bool, words: str
) -> None:
    monkeypatch.setattr("tqdm.tqdm", Line)
    bar = progress.Bar(None, machine, visible)
    line = bar._bar
    assert (line.options["disable"], line.options["desc"]) == (hidden, words)
    assert line.options["total"] is None
    assert line.options["bar_format"] == "{desc}: {n_fmt} [{elapsed}, {rate_fmt}{postfix}]"
    bar.add(3, 5.0, 0)
    assert (line.words, line.count) == ("", 3)
    bar.add(1, 5.0, 1)
    assert line.words == "1 failed"


class Recorder(Worker):
    """A worker that remembers what it explained; some lengths fail."""

    def __init__(self, failing: tuple[int, ...] = ()) -> None:
        self.model = torch.nn.Linear(3, 5)
        self.explainer: Any = SimpleNamespace(model=self.model, wrapper=SimpleNamespace(max_rows=None))
        self.batch_size: Any = 6
        self.failing, self.lengths = failing, list[int]()

    def explain(self, chunk: Sequence[PreparedExample]) -> tuple[list[Outcome], bool]:
        (example,) = chunk
        assert example.encoded is not None
        length = example.encoded.signal.shape[0]
        self.lengths.append(length)
        if length in self.failing:
            return [Outcome(0, "", Failure(f"length {length}"))], False
        (result,) = attribute(Smooth(3, length, 2).eval(), noise(1, length, 2), axes=[1])
        return [Outcome(0, "", result)], False


def prepared(length: int) -> PreparedExample:
    axes = (Axis("time", length, "Hz", 1.0), Axis("channel", 2, "", 1.0, True))
    encoded = EncodedExample(SignalShape("series", axes), {}, torch.zeros(length, 2))
    return PreparedExample(SourceItem(0, "", None), encoded)


def measured(worker: Recorder, lengths: list[int]) -> tuple[Measurement, list[int]]:
    """The measurement, and which lengths were explained for it, without what is explained twice."""
    found = _measured(worker, [prepared(length) for length in lengths], 3)
    return found, list(dict.fromkeys(worker.lengths))


def test_the_cheapest_a_middle_and_the_most_expensive_example_are_measured() -> None:
    worker = Recorder()
    known, explained = measured(worker, [4, 5, 6, 20, 40])
    assert explained == [4, 6, 40]
    assert [cost for cost, _ in known.rates] == [8, 12, 80]
    assert known.cost == 2 * (4 + 5 + 6 + 20 + 40) / 5
    assert (known.rows, known.model, known.tokens) == (6, (15 + 5) * 4, False)
    assert known.passes == {"forward": 4.0, "backward": 4.0}
    worker.explainer.wrapper.max_rows = 2
    assert measured(worker, [4])[0].rows == 2
    worker.batch_size = "auto"
    assert measured(worker, [4])[0].rows == 2
    worker.explainer.wrapper.max_rows = None
    assert measured(worker, [4])[0].rows == suggested_rows(8, torch.device("cpu"))


def test_sizes_grow_with_the_examples_that_were_not_measured() -> None:
    """The mean of all examples is to that of the measured ones as their bytes are."""
    alike, _ = measured(Recorder(), [10, 10, 10])
    mixed, explained = measured(Recorder(), [10, 10, 10, 40])
    assert explained == [10, 40]
    results = [attribute(Smooth(3, n, 2).eval(), noise(1, n, 2), axes=[1])[0] for n in (10, 40)]
    rows = [Outcome(0, "", result) for result in results]
    for store in ("everything", "scores", "top"):
        twice, once = (sum(map(len, pack_shard(some, store, 3, False))) for some in ([*rows, *rows], rows))
        expected = (twice - once) / 2 * (70 / 4) / (50 / 2)
        assert mixed.sizes[store] == pytest.approx(expected, rel=0.02)
    assert alike.sizes["everything"] > alike.sizes["scores"] > 0


def test_more_are_measured_only_where_these_fail() -> None:
    known, explained = measured(Recorder(failing=(4, 6, 40)), [4, 5, 6, 20, 40])
    assert explained == [4, 6, 40, 5]
    assert [cost for cost, _ in known.rates] == [10]
    known, explained = measured(Recorder(failing=(4,)), [4, 5, 6, 20, 40])
    assert explained == [4, 6, 40]
    with pytest.raises(InputError, match="length 6"):
        measured(Recorder(failing=(4, 5, 6)), [4, 5, 6])
