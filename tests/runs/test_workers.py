"""Worker processes read, decode and encode the examples of a run: the same bytes, the same failures, in any life."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import ViTImageProcessor

from hf_fourier import FourierExplainer
from hf_fourier.errors import InputError
from hf_fourier.models.inputs.sources import ListSource, SourceItem
from hf_fourier.runs import Results, encoding
from hf_fourier.runs.encoding import Encoding
from hf_fourier.runs.worker import Worker
from tests.models import tiny_models, tiny_models_audio
from tests.runs.sample_results import digests, explainer, run, texts

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are forked")
OPTIONS: dict[str, Any] = {"method": "ffc:steps=2", "fractions": None, "chunk": 4}


def seer() -> FourierExplainer:
    model = tiny_models.build("image-classification", "resnet")
    return FourierExplainer(model, ViTImageProcessor(size={"height": 32, "width": 32}))


def listener() -> FourierExplainer:
    return FourierExplainer(tiny_models_audio.build("wav2vec2"), tiny_models_audio.extractor("wav2vec2"))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of ten JPEG files, one of which is cut off."""
    from PIL import Image

    folder, numbers = tmp_path / "pictures", np.random.default_rng(0)
    folder.mkdir()
    for i in range(10):
        Image.fromarray(numbers.integers(0, 256, (40, 50, 3), np.uint8)).save(folder / f"{i}.jpg")
    (folder / "3.jpg").write_bytes((folder / "4.jpg").read_bytes()[:200])
    return folder


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    from scipy.io import wavfile

    folder = tmp_path / "sounds"
    folder.mkdir()
    for i in range(6):
        wavfile.write(folder / f"{i}.wav", 16000, tiny_models_audio.clip(4000, i))
    return folder


def alike(data: Any, make: Any, folder: Path, **options: Any) -> Results:
    """The run with workers, which has the bytes and the failures of one without."""
    alone = run(data, folder / "alone", make(), **OPTIONS, **options)
    shared = run(data, folder / "shared", make(), **OPTIONS, **options, workers=2)
    assert len(digests(folder / "alone")) > 1
    assert digests(folder / "shared") == digests(folder / "alone")
    assert list(shared.failures().rows()) == list(alone.failures().rows())
    return shared


def test_pictures_of_a_folder(pictures: Path, tmp_path: Path) -> None:
    results = alike(str(pictures), seer, tmp_path)
    assert [row["name"] for row in results.failures().rows()] == ["3.jpg"]
    assert [row["name"] for row in results.rows()] == [f"{i}.jpg" for i in range(10)]


def test_sounds_of_a_folder(sounds: Path, tmp_path: Path) -> None:
    assert not len(alike(str(sounds), listener, tmp_path).failures())


def test_texts_are_planned_by_workers_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, encode = list[int](), Worker.encode
    monkeypatch.setattr(Worker, "encode", lambda self, item: here.append(item.index) or encode(self, item))
    data = [*texts(30), "", *texts(7)]
    results = alike(data, explainer, tmp_path)
    assert results.failures()["index"] == [30]
    here.clear()
    run(data, tmp_path / "again", workers=2, **OPTIONS)
    assert len(here) < 12, "those of the estimate"


def test_a_table_with_targets(pictures: Path, tmp_path: Path) -> None:
    from datasets import Dataset, Image

    paths = [str(pictures / f"{i}.jpg") for i in range(10) if i != 3]
    table = Dataset.from_dict({"image": paths}).cast_column("image", Image())
    targets = [i % 2 for i in range(9)]
    results = alike(table, seer, tmp_path, targets=targets)
    assert [result.target for result in results] == targets
    results = run(list(paths), tmp_path / "callables", seer(), **OPTIONS, workers=1,
                  targets=[lambda outputs, c=c: outputs.logits[:, c] for c in targets])  # fmt: skip
    assert not len(results.failures()), "targets are not sent, and need not be pickled"


def test_a_stream(tmp_path: Path) -> None:
    def rows() -> Iterator[np.ndarray]:
        yield from np.random.default_rng(0).integers(0, 256, (9, 40, 50, 3), np.uint8)

    assert len(alike(rows, seer, tmp_path)) == 9


def test_a_run_that_was_stopped_goes_on_with_workers_or_without(pictures: Path, tmp_path: Path) -> None:
    whole = run(str(pictures), tmp_path / "whole", seer(), **OPTIONS)
    for name, workers in (("with", 1), ("without", 0)):
        run(str(pictures), tmp_path / name, seer(), **OPTIONS, workers=1 - workers)
        shards = sorted((tmp_path / name / "shards").glob("*/*"))
        for shard in shards[1:]:
            shard.unlink()
        assert len(run(str(pictures), tmp_path / name, seer(), **OPTIONS, workers=workers)) == len(whole)
        assert digests(tmp_path / name) == digests(tmp_path / "whole")


class Held:
    """An example that holds a lock, which cannot be pickled."""

    def __init__(self, seed: int) -> None:
        self.row, self.lock = torch.randn(8, generator=torch.Generator().manual_seed(seed)), threading.Lock()


def network(preprocess: Any) -> FourierExplainer:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return FourierExplainer(torch.nn.Linear(8, 3), preprocess, version="1")


def test_only_what_is_sent_has_to_be_pickled(tmp_path: Path) -> None:
    held = [Held(i) for i in range(9)]
    assert not len(alike(held, lambda: network(lambda one: one.row), tmp_path).failures()), "a list is read there"
    with pytest.raises(InputError, match=r"cannot be sent between processes .*lock.*leave `workers` out"):
        run(lambda: iter(held), tmp_path / "stream", network(lambda one: one.row), **OPTIONS, workers=1)

    def strange(example: torch.Tensor) -> torch.Tensor:
        made = torch.nn.Parameter(example)
        made.lock = threading.Lock()
        return made

    rows = [one.row for one in held]
    expected = run(rows, tmp_path / "plain", network(strange), **OPTIONS)
    found = run(rows, tmp_path / "strange", network(strange), **OPTIONS, workers=1)
    assert [one.label for one in found] == [one.label for one in expected], "what a wrapper makes of it is plain"


def test_a_worker_that_ends_is_told(tmp_path: Path) -> None:
    own = os.getpid()

    def ending(example: torch.Tensor) -> torch.Tensor:
        if os.getpid() != own:
            os._exit(3)
        return example

    rows = list(torch.randn(9, 8, generator=torch.Generator().manual_seed(0)))
    with pytest.raises(InputError, match=r"a worker process that ended by itself.*fewer `workers`"):
        run(rows, tmp_path / "run", network(ending), **OPTIONS, workers=2)


def test_without_fork_workers_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(encoding.sys, "platform", "darwin")
    with pytest.raises(InputError, match=r"2 workers on darwin.*several `processes`"):
        run(texts(4), tmp_path, workers=2)


def test_what_comes_back_is_what_a_process_makes_alone() -> None:
    explain = seer()
    job = explain.job(explain.method, explain.resolve_domain(explain.method), 0)
    worker = Worker(explain, job, None, None, "auto")
    rows = list(np.random.default_rng(0).integers(0, 256, (5, 40, 50, 3), np.uint8))
    source = ListSource(5, rows.__getitem__, "row {}".format)
    broken = SourceItem(2, "broken", None, ValueError(threading.Lock()))
    alone = [worker.encode(item) for item in source.read(range(5))]
    with Encoding(worker, source, 2) as shared:
        shared.start()
        assert [one.key for one in shared.looked_at([4, 0]) if one] == [alone[4].encoded.key, alone[0].encoded.key]
        found, seconds = shared.ready([0, 1, broken, 3, 4])
        assert seconds > 0
        for place, (one, other) in enumerate(zip(alone, found, strict=True)):
            if place == 2:
                assert other.encoded is None
                assert "lock" in other.failure.reason
                continue
            assert (other.item.index, other.item.name, other.digest) == (place, f"row {place}", one.digest)
            assert torch.equal(one.encoded.values, other.encoded.values)
            assert one.encoded.batch_key == other.encoded.batch_key
            assert (one.encoded.notes, one.encoded.range) == (other.encoded.notes, other.encoded.range)


def test_workers_end_with_the_process_of_their_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "LOOK", 0.05)
    told, telling = os.pipe()
    child = os.fork()
    if child == 0:
        shared = Encoding(SimpleNamespace(), ListSource(0, int), 2)  # type: ignore[arg-type]
        shared.start()
        os.write(telling, " ".join(map(str, shared._pool._processes)).encode())  # type: ignore[union-attr]
        time.sleep(60)
        os._exit(0)
    workers = [int(pid) for pid in os.read(told, 1000).split()]
    assert len(workers) == 2
    assert all(map(alive, workers))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    end = time.monotonic() + 20
    while any(map(alive, workers)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(map(alive, workers))


def alive(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False
