"""A run gives what `explain` gives, goes on where it stopped, and loses nothing to a bad example, disk or memory."""

from __future__ import annotations

import errno
import gc
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from transformers import ViTImageProcessor

from hf_fourier import Attribution
from hf_fourier.errors import InputError, StorageError
from hf_fourier.models.inputs.sources import SourceItem
from hf_fourier.results import atomic_writes
from hf_fourier.runs import Results, folder_lock, memory, plan, worker
from hf_fourier.runs.interpreter import SWITCH_INTERVAL
from hf_fourier.runs.shards import Shard
from hf_fourier.scoring.batching import objects_are_frozen
from tests.runs.sample_results import PLAY, digests, explainer, run, texts

#: An example of each store's size: 10 MB with everything.
PROBE = plan.Measurement(
    [(1.0, 1.0)], 1.0, {"everything": 1e7, "scores": 1e6, "top": 1e3}, {"forward": 1.0}, 0, 0, 16, False
)
COUNTS = {"few": 10, "some": 100, "usual": 1000, "many": 10**6, "very many": 10**8, "stream": None}


def test_results_are_those_of_explain_and_play(tmp_path: Path) -> None:
    data, explain = texts(), explainer()
    results = run(data, tmp_path / "run", explain)
    alone = explain.perturb(explain.explain(data), PLAY)
    assert len(results) == len(data)
    assert results.finished
    for one, other in zip(results, alone, strict=True):
        assert isinstance(one, Attribution)
        assert (one.label, one.key) == (other.label, other.key)
        assert torch.equal(one.signal, other.signal)
        assert (one.scores - other.scores).abs().max() <= 1e-5 * other.scores.abs().max()
        assert [stop.key for stop in one.curve.points] == [stop.key for stop in other.curve.points]
    explain.perturb(results[7], (0.5,))  # a stored result can be played again


def test_several_threads_encode_beside_an_accelerator_in_order(monkeypatch) -> None:
    explain, names, encode = explainer(), set[str](), worker.Worker.encode
    job = explain.job(explain.method, explain.resolve_domain(explain.method), 0)
    working = worker.Worker(explain, job, None, None, "auto")
    items = [SourceItem(index, f"text {index}", text) for index, text in enumerate(texts()[:8])]
    alone, elsewhere = working.encode_all(items, {})
    assert elsewhere == 0

    def noted(self: worker.Worker, item: SourceItem) -> worker.PreparedExample:
        names.add(threading.current_thread().name)
        time.sleep(0.005)  # as a decoder that lets go of the interpreter
        return encode(self, item)

    monkeypatch.setattr(worker.Worker, "encode", noted)
    monkeypatch.setattr(worker, "encoders", lambda *_: 3)
    known = {3: alone[3], 99: alone[0]}
    together, elsewhere = working.encode_all(items, known)
    assert [one.item.index for one in together] == list(range(8))
    assert [one.encoded.key for one in together] == [one.encoded.key for one in alone]
    assert together[3] is alone[3]
    assert list(known) == [99]
    assert len(names) == 3
    assert elsewhere > 0
    monkeypatch.undo()
    processor = ViTImageProcessor()
    assert worker.encoders(torch.device("cpu"), processor) == 1
    assert 1 <= worker.encoders(torch.device("cuda"), processor) <= 8
    assert worker.encoders(torch.device("cuda"), None) == 1 == worker.encoders(torch.device("cuda"), lambda x: x)


def test_a_run_that_stopped_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    run(texts(), tmp_path / "whole")
    run(texts(), tmp_path / "cut")
    shards = sorted((tmp_path / "cut" / "shards").glob("*/*"))
    kept = shards[0].stat().st_mtime_ns
    for path in shards[1::2]:
        path.unlink()
    assert not Results(tmp_path / "cut").finished
    run(texts(), tmp_path / "cut")
    assert digests(tmp_path / "cut") == digests(tmp_path / "whole")
    assert shards[0].stat().st_mtime_ns == kept


def test_shards_hold_no_time_host_or_path(tmp_path: Path) -> None:
    run(texts(), tmp_path / "run")
    for path in (tmp_path / "run" / "shards").glob("*/*"):
        data = path.read_bytes()
        for told in (b"seconds", os.uname().nodename.encode() + b'"', str(tmp_path).encode()):
            assert told not in data


def test_chunks_are_ordered_by_length_and_cost_about_the_same(tmp_path: Path) -> None:
    data = texts(100)
    results = run(data, tmp_path / "run", chunk=10)
    chunks = results.chunks
    lengths = [[len(data[i].split()) for i in chunks.indices(c)] for c in range(results.manifest.chunks)]
    flat = [length for chunk in lengths for length in chunk]
    assert flat == sorted(flat)
    assert sorted(i for c in range(results.manifest.chunks) for i in chunks.indices(c)) == list(range(100))
    costs = chunks.costs()
    assert costs.max() <= 2 * costs.mean()
    assert len(lengths[0]) > len(lengths[-2])  # short texts: more of them


def test_another_run_is_refused(tmp_path: Path) -> None:
    run(texts(), tmp_path / "run")
    for other in ({"seed": 1}, {"method": "magnitude"}, {"fractions": (0.2,)}, {"target": 1}):
        with pytest.raises(InputError, match=r"choose another folder"):
            run(texts(), tmp_path / "run", **other)
    with pytest.raises(InputError, match="data"):
        run(texts(41), tmp_path / "run")
    with pytest.raises(InputError, match="data"):
        run(texts()[::-1], tmp_path / "run")
    different = explainer()
    with torch.no_grad():
        next(different.model.parameters()).add_(1)
    with pytest.raises(InputError, match="weights"):
        run(texts(), tmp_path / "run", different)


def test_two_runs_do_not_write_to_one_folder(tmp_path: Path) -> None:
    with folder_lock.run_lock(tmp_path / "run", 0), pytest.raises(StorageError, match="another run"):
        run(texts(), tmp_path / "run")
    with folder_lock.run_lock(tmp_path / "run", 3), pytest.raises(StorageError, match="another run"):
        run(texts(), tmp_path / "run")
    assert run(texts(), tmp_path / "run").finished


def test_a_bad_example_is_recorded_and_the_run_goes_on(tmp_path: Path) -> None:
    data = [*texts(20), None, *texts(20)]
    results = run(data, tmp_path / "run")
    assert results.finished
    assert results.failures()["index"] == [20]
    assert results.failures()["failed"][0].startswith("InputError")
    assert len(list(results)) == 40
    with pytest.raises(InputError, match="could not be explained"):
        results[20]
    assert results[21].key == results[0].key


def test_an_example_that_poisons_its_batch_is_set_aside_alone(tmp_path: Path) -> None:
    data, explain = texts(), explainer()
    poison = "w63 w63 w63 w63 w63 w63 w63"
    data[3] = poison
    bad = explain.processor(poison)["input_ids"][1]
    inner = explain.model.get_input_embeddings()
    with torch.no_grad():
        for text in data[:3] + data[4:]:
            assert bad not in explain.processor(text.replace("w63", "w62"))["input_ids"]
        inner.weight[bad] = float("nan")
    data = [poison if i == 3 else text.replace("w63", "w62") for i, text in enumerate(data)]
    results = run(data, tmp_path / "run", explain)
    assert results.failures()["index"] == [3]
    assert "not finite" in results.failures()["failed"][0]
    assert len(list(results)) == 39


def test_a_run_in_which_nothing_works_stops_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        run([None] * 40, tmp_path / "none")
    with pytest.raises(InputError, match="cannot be explained"):
        run(texts(), tmp_path / "target", target="no such label")
    assert not (tmp_path / "target" / "shards").exists()


@pytest.mark.parametrize("data", [lambda: iter(texts()), "dataset"])
def test_streams(tmp_path: Path, data: object) -> None:
    if data == "dataset":
        datasets = pytest.importorskip("datasets")
        data = datasets.Dataset.from_dict({"text": texts()}).to_iterable_dataset()
    results = run(data, tmp_path / "stream")
    assert results.finished
    assert len(results) == 40
    assert results[33].key == explainer().explain(texts()[33]).key
    for path in sorted((tmp_path / "stream" / "shards").glob("*/*"))[2::3]:
        path.unlink()
    before = digests(tmp_path / "stream")
    results = run(data, tmp_path / "stream")
    assert results.finished
    assert before.items() < digests(tmp_path / "stream").items()


def test_an_iterator_that_is_read_but_once_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="read only once"):
        run(iter(texts()), tmp_path / "run")


def test_memory_that_runs_out_halves_the_chunk_and_is_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = texts(25)
    whole = run(data, tmp_path / "whole", chunk=12)
    explain = explainer()
    forward = explain.model.forward

    def small(*args: object, **kwargs: object) -> object:
        if len(kwargs["input_ids"]) > 3:
            raise torch.OutOfMemoryError("out of memory")
        return forward(*args, **kwargs)

    monkeypatch.setattr(explain.model, "forward", small)
    results = run(data, tmp_path / "small", explain, chunk=12)
    assert results.finished
    assert not whole.split()
    assert results.split() == list(range(results.manifest.chunks))
    for one, other in zip(results, whole, strict=True):
        assert (one.scores - other.scores).abs().max() <= 1e-5 * other.scores.abs().max()


def test_a_full_disk_stops_the_run_and_what_was_written_is_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush, written = os.fsync, []

    def full(number: int) -> None:
        written.append(number)
        if len(written) > 12:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(number)

    monkeypatch.setattr(atomic_writes.os, "fsync", full)
    with pytest.raises(StorageError, match=r"full disk.*run the same command again"):
        run(texts(), tmp_path / "run")
    monkeypatch.undo()
    cut = Results(tmp_path / "run")
    assert not cut.finished
    assert 0 < cut.done < 40
    assert not list((tmp_path / "run").rglob("*.part"))
    assert len(list(cut.rows())) == cut.done
    run(texts(), tmp_path / "run")
    run(texts(), tmp_path / "whole")
    assert digests(tmp_path / "run") == digests(tmp_path / "whole")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own that holds part of a run; only root may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=140k", "tmpfs", str(place)], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting is not allowed here; the same is tested with an error that is put in")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_is_really_full(tmp_path: Path, small_disk: Path) -> None:
    with pytest.raises(StorageError, match="full disk"):
        run(texts(), small_disk / "run")
    cut = Results(small_disk / "run")
    assert 0 < cut.done < 40
    assert len(list(cut.rows())) == cut.done
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StorageError, match="cannot be written"):
        run(texts(), small_disk / "run")
    subprocess.run(["mount", "-o", "remount,rw,size=10m", str(small_disk)], check=True)
    run(texts(), small_disk / "run")
    run(texts(), tmp_path / "whole")
    assert digests(small_disk / "run") == digests(tmp_path / "whole")


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    folder = Path("/sys")  # where nobody may write, root neither
    if not folder.is_dir():
        folder = tmp_path / "closed"
        folder.mkdir(mode=0o555)
    with pytest.raises(StorageError, match="cannot be written"):
        run(texts(), folder / "run")


@pytest.mark.parametrize("store", ["everything", "scores", "top"])
def test_rows_are_the_same_however_much_is_stored(tmp_path: Path, store: str) -> None:
    explain, data = explainer(), texts(12)
    results = run([*data, None], tmp_path / "run", explain, store=store, top=30)
    for index, whole in enumerate(explain.perturb(explain.explain(data), PLAY)):
        row = results.row(index, top=5)
        assert row["top_feature"] == whole.order[:5].tolist()
        assert row["label"] == whole.label
        assert [stop["confidence"] for stop in row["curve"]] == pytest.approx(
            [stop.confidence for stop in whole.curve.points], abs=1e-6
        )
        assert len(row["top_power"]) == (0 if store == "scores" else 5)
    if store == "top":
        with pytest.raises(InputError, match="only the top features"):
            results[0]
    else:
        assert len(results[0].scores) == len(explain.explain(data[0]).scores)


def test_rows_as_a_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("datasets")
    results = run([*texts(), None], tmp_path / "run")
    table = results.to_dataset(top=3)
    assert table["index"][:] == list(range(41))
    assert table[5]["top_feature"] == results.row(5, 3)["top_feature"]
    assert table[40]["label"] is None
    assert "InputError" in table[40]["failed"]


def test_how_much_is_stored_follows_the_budget(tmp_path: Path) -> None:
    sizes = explainer().estimate(texts(), fractions=PLAY, top=5).sizes
    assert sizes["everything"] > sizes["scores"] > sizes["top"]
    for budget, store in ((sizes["everything"], "everything"), (sizes["scores"], "scores"), (1, "top")):
        plan = explainer().estimate(texts(), fractions=PLAY, budget=budget, top=5)
        assert plan.store == store
        assert "time: about" in str(plan)
    results = run(texts(), tmp_path / "run", budget=sizes["scores"], top=5)
    assert results.manifest.settings["store"] == "scores"
    assert run(texts(), tmp_path / "run", budget=sizes["scores"], top=5).finished
    taken = sum(path.stat().st_size for path in (tmp_path / "run" / "shards").glob("*/*"))
    assert taken < 1.6 * sizes["scores"]  # the heads of small shards


def test_one_result_is_read_without_the_rest(tmp_path: Path) -> None:
    run(texts(), tmp_path / "run", chunk=40)
    (path,) = (tmp_path / "run" / "shards").glob("*/*")
    shard = Shard(path)
    asked: list[str] = []
    file = shard._file

    class Watched:
        def get_tensor(self, name: str) -> torch.Tensor:
            asked.append(name)
            return file.get_tensor(name)

        def get_slice(self, name: str) -> object:
            return file.get_slice(name)

    shard._file = Watched()
    shard.result(3)
    assert not [name for name in asked if name.endswith("|data") or name == "records"]


def test_targets_one_for_each(tmp_path: Path) -> None:
    wanted = [i % 3 for i in range(40)]
    results = run(texts(), tmp_path / "run", targets=wanted)
    assert [result.target for result in results] == wanted
    with pytest.raises(InputError, match="39 targets for 40 examples"):
        run(texts(), tmp_path / "other", targets=wanted[1:])


def test_the_manifest_is_plain_json(tmp_path: Path) -> None:
    run(texts(), tmp_path / "run")
    told = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert told["settings"]["method"] == "tracking"
    assert told["environment"]["threads"] >= 1
    assert str(tmp_path) not in json.dumps(told)


def test_chunks_are_of_a_size_that_can_be_shared_and_read() -> None:
    known = {name: plan.estimate(PROBE, n, "top", 10**9, None, 1, None).chunk for name, n in COUNTS.items()}
    assert known == {"few": 8, "some": 13, "usual": 64, "many": 64, "very many": 5008, "stream": 64}
    assert plan.estimate(PROBE, 10**4, "everything", 10**9, None, 1, None).chunk == 6  # 64 MB of them
    assert plan.estimate(replace(PROBE, rows=4), 10**4, "everything", 10**9, None, 1, None).chunk == 4  # whole batches
    small = replace(PROBE, rows=111)
    assert [plan.estimate(small, n, "top", 10**9, None, 1, None).chunk for n in (100, 10**4)] == [13, 111]
    assert plan.estimate(PROBE, 10**4, "everything", 10**9, 7, 1, None).chunk == 7


def test_the_memory_of_a_plan_is_the_same_whatever_was_done_before() -> None:
    """Noise of the resident memory, times the rows of a batch, once made gigabytes of a tiny model."""
    plans = [explainer().estimate(texts(), fractions=PLAY).memory]
    kept = [bytearray(10**8) for _ in range(3)]
    plans.append(explainer().estimate(texts(), fractions=PLAY).memory)
    del kept
    explainer().explain(texts(8), method="integrated_gradients")
    plans.append(explainer().estimate(texts(), fractions=PLAY).memory)
    assert max(plans) < 1.02 * min(plans)
    assert max(plans) < memory.LIBRARIES + 10**8


def test_what_a_row_takes_is_counted_by_hand() -> None:
    """A layer of 1000 → 3000 without gradients: the rows' inputs and outputs, and nothing that was freed."""
    layer = torch.nn.Linear(1000, 3000, bias=False)
    rows = 10
    with memory.count_memory(layer) as tensors, torch.no_grad():
        for _ in range(5):
            layer(torch.zeros(rows, 1000)).sum()
    assert memory.weights(layer) == 3000 * 1000 * 4  # which a transposed view of it does not add to
    one = rows * 4 * (1000 + 3000)
    assert one <= tensors.per_row * rows <= one + rows * 4 * 1000 + 100
    assert not layer._forward_pre_hooks


def test_the_turns_of_threads_are_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "setswitchinterval", Mock(wraps=sys.setswitchinterval))
    before = sys.getswitchinterval()
    run(texts(4), tmp_path / "run")
    assert sys.getswitchinterval() == before
    assert min(call.args[0] for call in sys.setswitchinterval.call_args_list) == SWITCH_INTERVAL


@pytest.mark.parametrize("frozen", ["nothing", "what Python 3.12 freezes", "all, by someone else"])
def test_what_was_there_before_is_not_looked_through_while_a_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frozen: str
) -> None:
    explain, counts = explainer(), []

    def look(*_: object) -> None:
        if len(counts) < 3:  # counting goes through all of them
            counts.append(gc.get_freeze_count())

    explain.model.register_forward_hook(look)
    gc.unfreeze()
    if frozen == "all, by someone else":
        gc.freeze()
    elif frozen != "nothing":
        real = gc.get_freeze_count
        monkeypatch.setattr(gc, "get_freeze_count", lambda: max(real(), 375))
    try:
        run(texts(4), tmp_path / "run", explain)
        assert min(counts) > 10_000
        assert objects_are_frozen() is (frozen == "all, by someone else")
        with pytest.raises(InputError, match="seed"):
            run(texts(4), tmp_path / "run", explain, seed=1)
        assert objects_are_frozen() is (frozen == "all, by someone else")
    finally:
        gc.unfreeze()


def test_results_by_slices_and_places(tmp_path: Path) -> None:
    results = run(texts(10), tmp_path / "run", chunk=10, fractions=None)
    keys = [result.key for result in results]
    for part in (slice(2, 5), slice(-3, 99), slice(8, 2, -2), slice(4, 4)):
        assert [result.key for result in results[part]] == keys[part]
    for place in (3, -1, np.int64(3), np.int8(-2), torch.tensor(4)):
        assert results[place].key == keys[int(place)]
    for places in ([0, -1, 3], (2, 1), np.array([4, 4]), torch.tensor([1, 2]), range(3), []):
        assert [result.key for result in results[places]] == [keys[int(place)] for place in places]
    chosen = np.arange(10) % 3 == 0
    assert [result.key for result in results[chosen]] == [keys[i] for i in (0, 3, 6, 9)]
    assert [result.key for result in results[chosen.tolist()]] == [keys[i] for i in (0, 3, 6, 9)]
    played = explainer().perturb(results[2:4], (0.5,))
    assert [result.key for result in played] == keys[2:4]
    for wrong in (10, -11, [0, 10], chosen[:5]):
        with pytest.raises(IndexError):
            results[wrong]
    for wrong in (1.0, "1", True, np.True_, None):
        with pytest.raises(TypeError):
            results[wrong]


def test_places_of_a_stream_are_counted_from_its_end(tmp_path: Path) -> None:
    results = run(lambda: iter(texts(10)), tmp_path / "run")
    assert results[-1].key == results[9].key
    assert [result.key for result in results[-2:]] == [results[8].key, results[9].key]
    with pytest.raises(IndexError):
        results[-11]


def test_a_data_set_is_of_the_run_that_lies_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two folders of one name, and one folder after another run: `datasets` caches what it makes."""
    seen = []
    for place, method in (("a", "magnitude"), ("b", "random"), ("a", "low_frequency")):
        (tmp_path / place).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / place)
        shutil.rmtree("run", ignore_errors=True)
        results = run(texts(6), Path("run"), method=method)
        rows = sorted(results.to_dataset(top=3), key=lambda row: row["index"])
        assert [row["top_score"] for row in rows] == [
            row["top_score"] for row in sorted(results.rows(3), key=lambda r: r["index"])
        ]
        seen.append(rows[0]["top_score"])
    assert len({tuple(scores) for scores in seen}) == 3


def test_contributions_of_a_run_are_those_of_explain(tmp_path: Path) -> None:
    data, explain = texts(6), explainer()
    results = run(data, tmp_path / "run", explain, contributions=2, store="everything")
    for one, other in zip(results, explain.explain(data, contributions=2), strict=True):
        assert isinstance(one, Attribution)
        assert one.contributions is not None
        assert other.contributions is not None
        assert one.contributions.total == pytest.approx(other.contributions.total, abs=1e-5)
        torch.testing.assert_close(one.contributions.gradient, other.contributions.gradient, rtol=1e-3, atol=1e-5)
        assert one.provenance["passes"]["backward"] == 4 + 2 * 2
    run(data, tmp_path / "run", explain, contributions=2, store="everything")  # goes on with the same
    with pytest.raises(InputError, match="a run with contributions 3"):
        run(data, tmp_path / "run", explain, contributions=3, store="everything")
    small = run(data, tmp_path / "small", explain, contributions=2, store="scores")
    for one in small:
        assert isinstance(one, Attribution)
        assert one.contributions is None
        assert one.provenance["passes"]["backward"] == 4, "what is not stored is not made"
        assert one.provenance["contributions"] == 0
    with pytest.raises(InputError, match="contributions"):
        run(data, tmp_path / "wrong", explain, contributions=-1)
