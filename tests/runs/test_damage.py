"""A run believes no damaged file: shards, plan and manifest are checked, and a damaged shard alone is made again."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from hf_fourier import attribute
from hf_fourier.errors import DamagedFile, FourierError, InputError
from hf_fourier.results.curve import Curve, CurvePoint
from hf_fourier.results.tensor_files import laid_out
from hf_fourier.runs import Results
from hf_fourier.runs.manifest import Manifest
from hf_fourier.runs.packing import Failure, Outcome, Store, pack_shard
from hf_fourier.runs.shards import Shard
from tests.damage import changed_bytes, malformed
from tests.runs.sample_results import digests, run, texts
from tests.toy_scores import Smooth, noise

COUNT = 12
OPTIONS: dict[str, Any] = {"method": "magnitude", "fractions": None, "chunk": 3}


def small_shard(path: Path, store: Store) -> Shard:
    """Two results of four features and a failure."""
    outcomes: list[Outcome] = []
    for seed in range(2):
        (one,) = attribute(Smooth(2, 2, 2).eval(), noise(1, 2, 2, seed=seed), domain="fourier:axes=0+1")
        one.curve = Curve((CurvePoint("keep", 0.1, 0.1, 0.5, None, 1.0, 2),), 1.0)
        one.provenance["versions"] = {}
        outcomes.append(Outcome(seed, "", one, f"{seed:032x}"))
    path.write_bytes(b"".join(pack_shard([*outcomes, Outcome(2, "x", Failure("no"))], store, 2, False, "a run")))
    return Shard(path, "a run")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    run(texts(COUNT), folder, **OPTIONS)
    return folder


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def shards(folder: Path) -> list[Path]:
    return sorted((folder / "shards").glob("*/*.safetensors"))


@pytest.mark.parametrize("store", ["everything", "scores", "top"])
def test_every_changed_byte_of_a_shard_is_noticed(tmp_path: Path, store: Store) -> None:
    path = tmp_path / "shard"
    small_shard(path, store).verify([0, 1, 2])
    sample = None if store == "top" else 1000
    for place in changed_bytes(path, sample):
        with pytest.raises(DamagedFile, match="shard") as caught:
            Shard(path, "a run").verify([0, 1, 2])
        assert caught.value.path == path, place


def test_every_row_is_checked_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "shard"
    whole = small_shard(path, "everything")
    data = bytearray(path.read_bytes())
    data[bytes(data).index(whole.tensors(1)["signal"].numpy().tobytes()) + 3] ^= 4
    path.write_bytes(data)
    shard = Shard(path)
    assert torch.equal(shard.result(0).scores, whole.result(0).scores)
    with pytest.raises(DamagedFile, match=r"digest of 'signal' in row 1 differs.*other 2 rows .* can still be read"):
        shard.result(1)
    with pytest.raises(DamagedFile, match="row 1"):
        shard.verify()


def test_reading_a_run_notices_every_changed_byte(folder: Path) -> None:
    path = shards(folder)[1]
    for place in changed_bytes(path, 30):
        with pytest.raises(DamagedFile, match=path.name) as caught:
            list(Results(folder).rows(3))
        assert caught.value.path == path, place
        assert Results(folder).damage()["file"] == [path.relative_to(folder).as_posix()]
    assert not Results(folder).damage()["file"]


@pytest.mark.parametrize("name", ["manifest.json", "plan/000000.safetensors"])
def test_every_changed_byte_of_manifest_and_plan_is_noticed(folder: Path, name: str) -> None:
    for place in changed_bytes(folder / name):
        with pytest.raises(DamagedFile, match=Path(name).name) as caught:
            Results(folder)[0]
        assert caught.value.path == folder / name, place


DAMAGE = {
    "a changed bit": lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
    "no byte": lambda data: b"",
    "half of it": lambda data: data[: len(data) // 2],
    "zeros": lambda data: b"\0" * len(data),
    "no shard": lambda data: b"".join(laid_out({"x": torch.zeros(3)})),
    "more": lambda data: data + b"\0",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_shard_is_made_again_it_alone(finished: Path, folder: Path, damage: Any) -> None:
    first, second, *_ = shards(folder)
    second.write_bytes(damage(second.read_bytes()))
    results = Results(folder)
    assert damage is DAMAGE["a changed bit"] or not results.finished
    assert len(results[results.chunks.indices(0)]) == len(results.chunks.indices(0))
    with pytest.raises(DamagedFile, match=second.name):
        results[results.chunks.indices(1)]
    before = {path: path.stat().st_mtime_ns for path in shards(folder)}
    assert run(texts(COUNT), folder, **OPTIONS).finished
    assert digests(folder) == digests(finished)
    assert [path for path in shards(folder) if path.stat().st_mtime_ns != before[path]] == [second]
    assert second.with_name(second.name + ".damaged").is_file()
    (line,) = [line for line in map(json.loads, (folder / "log-0.jsonl").open()) if "damaged" in line]
    assert line["chunk"] == 1
    assert first.is_file()


def test_swapped_shards_are_noticed_and_made_again(finished: Path, folder: Path) -> None:
    first, second, *_ = shards(folder)
    first.rename(folder / "first")
    second.rename(first)
    (folder / "first").rename(second)
    results = Results(folder)
    with pytest.raises(DamagedFile, match="does not hold example"):
        results[results.chunks.indices(0)[0]]
    assert len(results.damage()["file"]) == 2
    assert run(texts(COUNT), folder, **OPTIONS).finished
    assert digests(folder) == digests(finished)


def test_a_shard_of_another_run_is_not_believed(finished: Path, folder: Path, tmp_path: Path) -> None:
    run(texts(COUNT), tmp_path / "other", **{**OPTIONS, "method": "low_frequency"})
    shutil.copy(shards(tmp_path / "other")[0], shards(folder)[0])
    results = Results(folder)
    with pytest.raises(DamagedFile, match="run with other settings"):
        results[results.chunks.indices(0)[0]]
    assert run(texts(COUNT), folder, **OPTIONS).finished
    assert digests(folder) == digests(finished)


def test_a_damaged_plan_is_planned_anew(finished: Path, folder: Path) -> None:
    path = folder / "plan" / "000000.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    before = [one.stat().st_mtime_ns for one in shards(folder)]
    assert run(texts(COUNT), folder, **OPTIONS).finished
    assert digests(folder) == digests(finished)
    assert [one.stat().st_mtime_ns for one in shards(folder)] == before


def test_a_damaged_manifest_is_refused(folder: Path) -> None:
    (folder / "manifest.json").write_bytes((folder / "manifest.json").read_bytes()[:-2])
    with pytest.raises(DamagedFile, match=r"manifest\.json.*start the run in a new folder"):
        run(texts(COUNT), folder, **OPTIONS)


def test_no_manifest_raises_a_bare_error(folder: Path) -> None:
    """Without a digest, as earlier versions wrote them."""
    values = json.loads((folder / "manifest.json").read_text())
    values = {name: value for name, value in values.items() if not name.startswith("digest")}
    refused = 0
    for other in malformed(values, random.Random(0), 300):
        (folder / "manifest.json").write_text(json.dumps(other))
        try:
            results = Results(folder)
            len(results), results.finished, repr(results)
            if len(results):
                results[0]
        except FourierError:
            refused += 1
    assert refused > 60
    for text in ("", "[]", "{", '{"format": 99}', '{"format": 1e400}', json.dumps({**values, "window": 10**18})):
        (folder / "manifest.json").write_text(text)
        with pytest.raises((DamagedFile, InputError)):
            Manifest.read(folder)


def test_rows_of_a_shard_without_digests_are_checked_by_their_schema(tmp_path: Path) -> None:
    """As earlier versions wrote them: fewer scores than features, scores that are not finite, places out of range."""
    from safetensors.torch import load_file, save_file

    small_shard(tmp_path / "shard", "everything")
    tensors = {n: t.clone() for n, t in load_file(tmp_path / "shard").items() if "digests" not in n and n != "examples"}
    head = {"format": 3, "store": "everything", "split": False, "rows": 3}
    tensors["head"] = torch.frombuffer(bytearray(json.dumps(head).encode()), dtype=torch.uint8)
    save_file(tensors, tmp_path / "old")
    assert len(Shard(tmp_path / "old").result(0).scores) == 4
    kind = next(name for name in tensors if name.startswith("scores|")).rpartition("|")[0]
    for name, other in ((f"{kind}|data", tensors[f"{kind}|data"] * float("nan")),
                        (f"{kind}|shapes", tensors[f"{kind}|shapes"] - 1),
                        (f"{kind}|places", tensors[f"{kind}|places"] + 9),
                        ("records.ends", tensors["records.ends"] - 1)):  # fmt: skip
        save_file({**tensors, name: other}, tmp_path / "old")
        with pytest.raises(DamagedFile, match="old"):
            Shard(tmp_path / "old").result(0)
