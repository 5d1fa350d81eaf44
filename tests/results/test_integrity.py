"""What was damaged is not believed: every changed byte of a stored result, files cut off or mixed up, wrong values."""

from __future__ import annotations

import copy
import json
import math
import os
import random
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from hf_fourier import Attribution, attribute
from hf_fourier.errors import DamagedFile, FourierError, InputError
from hf_fourier.results import integrity, storage
from hf_fourier.results.curve import Curve, CurvePoint
from hf_fourier.results.schema import Malformed, check
from hf_fourier.results.storage import TENSORS, VALUES
from tests.damage import changed_bytes, malformed
from tests.toy_scores import Smooth, noise


def result(seed: int = 0, width: int = 4) -> Attribution:
    """A small result with a curve, further inputs and extras."""
    (one,) = attribute(Smooth(3, 2, width).eval(), noise(1, 2, width, seed=seed), domain="fourier:axes=0+1")
    one.label, one.names = f"label {seed}", ("a", "β")
    one.curve = Curve(
        (CurvePoint("keep", 0.1, 0.1, 0.5, None, 1.0, 2), CurvePoint("delete", 0.1, 0.1, 0.5, 0.5, 0)), 1.0
    )
    one.inputs, one.extras = {"input_ids": torch.arange(5)}, {"cutoff": 0.25, "map": noise(2, 2)}
    return one


def without_digests(folder: Path) -> dict[str, Any]:
    """The values of a stored result, to be changed and written as an earlier version wrote them."""
    values = json.loads((folder / VALUES).read_text())
    return {name: value for name, value in values.items() if not name.startswith("digest")}


@pytest.mark.parametrize("name", [TENSORS, VALUES])
def test_every_changed_byte_is_noticed(tmp_path: Path, name: str) -> None:
    folder = result().save(tmp_path / "saved")
    for place in changed_bytes(folder / name):
        with pytest.raises(DamagedFile, match="saved/attribution") as caught:
            Attribution.load(folder)
        assert caught.value.path.parent == folder, place
    assert Attribution.load(folder).label == "label 0"


@pytest.mark.parametrize("name", [TENSORS, VALUES])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99], ids=lambda share: f"{share:.0%}")
def test_files_that_are_cut_off(tmp_path: Path, name: str, share: float) -> None:
    folder = result().save(tmp_path)
    data = (folder / name).read_bytes()
    for rest in (data[: int(share * len(data))], b"\0" * len(data), data + b" "):
        (folder / name).write_bytes(rest)
        with pytest.raises(DamagedFile, match=name):
            Attribution.load(folder)


def test_a_pair_of_two_results_is_not_believed(tmp_path: Path) -> None:
    a, b = result(0).save(tmp_path / "a"), result(1).save(tmp_path / "b")
    (b / TENSORS).replace(a / TENSORS)
    with pytest.raises(DamagedFile, match="can still be read"):
        Attribution.load(a)


def test_the_error_says_what_is_whole(tmp_path: Path) -> None:
    folder = result().save(tmp_path)
    data = bytearray((folder / TENSORS).read_bytes())
    place = bytes(data).index(load_file(folder / TENSORS)["gradient"].numpy().tobytes())
    data[place] ^= 1
    (folder / TENSORS).write_bytes(data)
    with pytest.raises(DamagedFile, match=r"digest of 'gradient' differs.*'scores'.* can still be read"):
        Attribution.load(folder)


def test_results_without_digests_are_read_and_checked_by_their_schema(tmp_path: Path) -> None:
    saved = result()
    folder = saved.save(tmp_path)
    values, tensors = without_digests(folder), load_file(folder / TENSORS)
    (folder / VALUES).write_text(json.dumps(values, indent=1))
    assert torch.equal(Attribution.load(folder).scores, saved.scores)
    scores = tensors["scores"]
    wrong = {
        "for a layout of": scores[:-1],
        "not finite": scores.where(torch.arange(len(scores)) != 1, math.nan),
        "no scores": scores.reshape(1, -1),
        "real number": scores.to(torch.int32),
    }
    for said, other in wrong.items():
        save_file({**tensors, "scores": other}, folder / TENSORS)
        with pytest.raises(DamagedFile, match=said):
            Attribution.load(folder)
    save_file({**tensors, "gradient": tensors["gradient"][:1].contiguous()}, folder / TENSORS)
    with pytest.raises(DamagedFile, match="a gradient of shape"):
        Attribution.load(folder)


def test_no_values_raise_a_bare_error(tmp_path: Path) -> None:
    folder = result().save(tmp_path)
    values, refused = without_digests(folder), 0
    for other in malformed(values, random.Random(0), 400):
        (folder / VALUES).write_bytes(json.dumps(other).encode())
        try:
            Attribution.load(folder)
        except FourierError:
            refused += 1
    assert refused > 200
    for text in (b"", b"[" * 200_000, b"\xff\xfe{}", b"null", b'{"format": 1e400}', b'{"format": 3}', b'{"digest": 1}'):
        (folder / VALUES).write_bytes(text)
        with pytest.raises((DamagedFile, InputError)):
            Attribution.load(folder)


def steps(folder: Path, one: Attribution) -> int:
    """Saves in a child and returns how many lines of what writes it runs."""
    return killed_at(folder, one, 10**6)


def killed_at(folder: Path, one: Attribution, most: int) -> int:
    """Saves in a child that ends, nothing cleaned up, before a line of what writes; how many these are if it ran on."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        count = 0

        def trace(frame: Any, event: str, argument: Any) -> Any:
            nonlocal count
            if frame.f_code.co_name not in ("write", "_finish") or not frame.f_code.co_filename.endswith("storage.py"):
                return None
            if event in ("line", "return"):
                count += 1
                if count >= most:
                    os._exit(0)
            return trace

        try:
            sys.settrace(trace)
            one.save(folder)
            sys.settrace(None)
            os.write(write, str(count).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with os.fdopen(read) as file:
        return int(file.read() or 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forked")
def test_a_save_that_is_killed_anywhere_leaves_one_of_both(tmp_path: Path) -> None:
    a, b, c = result(0), result(1), result(2)
    count = steps(tmp_path / "count", a)
    assert count >= 20
    labels = set()
    for step in range(1, count + 1):
        folder = a.save(tmp_path / f"{step}")
        assert killed_at(folder, b, step) == 0
        found = Attribution.load(folder)
        whole = {"label 0": a, "label 1": b}[found.label]
        assert torch.equal(found.scores, whole.scores)
        labels.add(found.label)
        if step % 3 == 0:
            killed_at(folder, c, count // 2 + step // 3)  # and a second one on top of it
            found = Attribution.load(folder)
            assert torch.equal(found.scores, {"label 0": a, "label 1": b, "label 2": c}[found.label].scores)
        assert torch.equal(Attribution.load(c.save(folder)).scores, c.scores)
        assert sorted(path.name for path in folder.iterdir()) == [VALUES, TENSORS]
    assert labels == {"label 0", "label 1"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forked")
def test_several_writers_and_a_reader(tmp_path: Path) -> None:
    results = [result(seed) for seed in range(3)]
    results[0].save(tmp_path)
    children = []
    for one in results:
        child = os.fork()
        if child == 0:
            try:
                for _ in range(60):
                    one.save(tmp_path)
            finally:
                os._exit(0)
        children.append(child)
    while children:
        found = Attribution.load(tmp_path)
        assert torch.equal(found.scores, results[int(found.label[-1])].scores)
        children = [child for child in children if os.waitpid(child, os.WNOHANG) == (0, 0)]


def test_a_file_that_a_writer_renames_in_between_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved, reads = result(0), []
    saved.save(tmp_path)
    shutil.copy(tmp_path / "attribution.safetensors", tmp_path / "attribution.safetensors.part")
    plainly = storage.read_tensors

    def read(file: Path, *others: Any) -> Any:
        reads.append(file.name)
        if len(reads) == 1:
            raise integrity.damaged(file, "it is of another writer")
        if len(reads) == 2:
            file.unlink()
        return plainly(file, *others)

    monkeypatch.setattr(storage, "read_tensors", read)
    assert torch.equal(Attribution.load(tmp_path).scores, saved.scores)
    assert len(reads) == 3


SIZES = (integrity.LARGE, integrity.WIDE, 8 * 251 * 255)


@pytest.mark.parametrize("size", [0, 1, 100, *(size + more for size in SIZES for more in (-1, 0, 5)), 10**6 + 3])
def test_digests_tell_data_apart(size: int) -> None:
    data = np.random.default_rng(0).integers(0, 255, size, dtype=np.uint8)
    digests = [integrity.digest(data), integrity.digest(np.append(data, np.uint8(0)))]
    words = data[: size // 8 * 8].view(np.uint64)
    others: list[np.ndarray] = []
    for place in {0, size // 7, size - 1} if size else ():
        others.append(data.copy())
        others[-1][place] ^= 128
    if 8 * len(words) > integrity.LARGE:
        moved = (words[::-1], np.roll(words, 1), np.roll(words, 512), words * 0, words ^ np.uint64(2**63))
        others.extend(change.copy().view(np.uint8) for change in moved)
    digests += [integrity.digest(other) for other in others]
    assert len(set(digests)) == len(digests)
    assert integrity.digest(data.tobytes()) == integrity.digest(memoryview(data)) == digests[0]


EARLIER = {
    100: "d12320f10a58541d5624644567b176a9",
    5000: "fce8490d88b6a9852ae64d2d1b7fac5c",
    40_000: "8ad1356e6192e090a9e366e1531c785f",
    1_042_437: "916fff96009282d99a9e88e32dea767b",
}


@pytest.mark.parametrize("size", EARLIER)
def test_digests_of_earlier_versions_are_known(size: int) -> None:
    data = np.arange(size, dtype=np.uint32).astype(np.uint8)
    assert integrity.fits(data, EARLIER[size])
    assert integrity.fits(data, integrity.digest(data))
    data[size // 2] ^= 1
    assert not integrity.fits(data, EARLIER[size])


def test_a_schema_names_what_is_wrong() -> None:
    schema = {"a": [{"b": (int, float), "c?": str}], "d": (None, {"e": bool})}
    check({"a": [{"b": 1.0}, {"b": 2, "c": "x"}], "d": None, "more": 1}, schema)
    check({"a": (), "d": {"e": True}}, schema)
    for values, said in (
        ([], "all of it is"),
        ({"d": None}, "no a"),
        ({"a": [{"b": 1}, {"b": True}], "d": None}, r"a\[1\].b is True, not int or float"),
        ({"a": [{"b": 1, "c": None}], "d": None}, r"a\[0\].c is None"),
        ({"a": "text", "d": None}, "a is 'text', not a list"),
        ({"a": [], "d": {"e": 1}}, "d.e is 1"),
    ):
        with pytest.raises(Malformed, match=said):
            check(values, schema)


def test_half_characters_are_written_out(tmp_path: Path) -> None:
    one = result()
    one.label, one.names, one.provenance["model"] = "caf\udce9", ("\ud800", "b"), {"name": "\udfff"}
    back = Attribution.load(one.save(tmp_path))
    assert (back.label, back.names, back.provenance["model"]) == ("caf\\udce9", ["\\ud800", "b"], {"name": "\\udfff"})
    assert integrity.readable(one.label) == back.label
    assert integrity.as_stored(("\ud800", {1: None})) == ["\\ud800", {"1": None}]


def test_a_result_whose_scores_are_not_finite_is_not_saved(tmp_path: Path) -> None:
    one = copy.copy(result())
    one.scores = one.scores * math.nan
    with pytest.raises(InputError, match="not finite"):
        one.save(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()
