"""Saved and read again: exactly, wholly, and without a trace of the machine."""

import errno
import json
import os
import stat
from pathlib import Path

import pytest
import safetensors.torch
import torch

from hf_fourier import Attribution, attribute
from hf_fourier.domains import Fourier
from hf_fourier.errors import InputError, StorageError
from hf_fourier.results import integrity, storage
from hf_fourier.results.atomic_writes import write_whole
from hf_fourier.results.curve import Curve, CurvePoint
from hf_fourier.results.parts import FORMAT
from hf_fourier.results.storage import TENSORS, VALUES
from hf_fourier.results.views import ImageView
from tests.toy_scores import Smooth, noise, signal

STOPS = (CurvePoint("keep", 0.1, 0.09, -0.5, 0.6, 1.0), CurvePoint("delete", 0.1, 0.09, -2.5, None, 0.0))


@pytest.fixture(params=[torch.float32, torch.float64], ids=["float32", "float64"])
def result(request):
    model = Smooth(3, 5, 6, dtype=request.param).eval()
    (one,) = attribute(model, noise(1, 5, 6, dtype=request.param), method="ffc:kappa=.2", domain="fourier:axes=0+1")
    one.curve = Curve(STOPS, 0.7)
    one.extras = {"map": noise(4, 4), "cutoff": 0.25, "bands": ["low", "high"]}
    one.inputs = {"input_ids": torch.arange(5), "mask": torch.tensor([True, False])}
    one.names, one.completeness_error = ("a", "β", "c"), 0.125
    one.view = ImageView((0.1, 0.2, 0.3), (1.0, 2.0, 3.0))
    return one


def test_a_round_trip_is_exact(result, tmp_path):
    assert result.save(tmp_path / "deep" / "folder") == tmp_path / "deep" / "folder"
    back = Attribution.load(str(tmp_path / "deep" / "folder"))
    for name in ("scores", "signal", "gradient", "frozen_target", "coefficients", "power", "order"):
        assert torch.equal(getattr(back, name), getattr(result, name)), name
        assert getattr(back, name).dtype == getattr(result, name).dtype, name
    for name in ("target", "label", "confidence", "value", "completeness_error", "key", "provenance", "curve", "view"):
        assert getattr(back, name) == getattr(result, name), name
    assert tuple(back.names) == tuple(result.names)
    assert [tuple(pair) for pair in back.top_predictions] == [tuple(pair) for pair in result.top_predictions]
    assert back.layout.signal == result.layout.signal
    assert back.layout.domain == result.layout.domain
    assert set(back.inputs) == set(result.inputs)
    assert all(torch.equal(back.inputs[name], result.inputs[name]) for name in result.inputs)
    assert torch.equal(back.extras["map"], result.extras["map"])
    assert (back.extras["cutoff"], back.extras["bands"]) == (0.25, ["low", "high"])
    for share in (0, 0.1, 0.5, 1.0):
        assert torch.equal(back.keep_top(share), result.keep_top(share))
        assert torch.equal(back.delete_top(share), result.delete_top(share))
    assert str(back.top_features(5)) == str(result.top_features(5))
    assert (back.input_relevance(0.2).values == result.input_relevance(0.2).values).all()


def test_saved_twice_is_the_same(result, tmp_path):
    result.save(tmp_path / "a")
    Attribution.load(tmp_path / "a").save(tmp_path / "b")
    for name in (TENSORS, VALUES):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_segments_are_kept(tmp_path):
    shape = signal(12, 2, channels=(1,), segments=(7, 5))
    (one,) = attribute(Smooth(3, 12, 2).eval(), noise(1, 12, 2), axes=[1])
    one.layout = Fourier().bind(shape).layout
    one.scores = noise(len(one.layout))
    back = Attribution.load(one.save(tmp_path))
    assert back.layout.signal == shape
    assert torch.equal(back.keep_top(0.3), one.keep_top(0.3))


def test_a_compact_result_says_what_it_cannot_do(result, tmp_path):
    back = Attribution.load(result.save(tmp_path, compact=True))
    assert torch.equal(back.scores, result.scores)
    assert torch.equal(back.order, result.order)
    assert back.top_features(3)["score"] == result.top_features(3)["score"]
    assert "power" not in back.top_features(3).columns
    assert back.curve == result.curve
    assert not back.inputs
    assert not back.names
    for ask in (back.keep_top, back.delete_top, back.render, back.input_relevance):
        with pytest.raises(InputError, match="compact"):
            ask(0.1)
    with pytest.raises(InputError, match="compact"):
        back.render()
    with pytest.raises(InputError, match="compact"):
        back.coefficients  # noqa: B018
    assert set(safetensors.torch.load_file(tmp_path / TENSORS)) == {"scores", "extras.map"}


def test_compact_over_whole_leaves_nothing_of_it(result, tmp_path):
    result.save(tmp_path)
    assert Attribution.load(result.save(tmp_path, compact=True)).signal is None
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([TENSORS, VALUES])


@pytest.mark.parametrize("fails", ["tensors", "values", "flush", "step"])
def test_a_save_that_fails_leaves_the_good_one(result, tmp_path, monkeypatch, fails):
    result.save(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    result.scores = result.scores + 1

    def broken(*arguments, **more):
        raise OSError("no space left on device")

    if fails == "tensors":

        def half(pieces):
            yield pieces[0]
            broken()

        laid_out = storage.laid_out
        monkeypatch.setattr(storage, "laid_out", lambda tensors: Half(laid_out(tensors)))

        class Half(list):
            def __iter__(self):
                return half(self[:])

    elif fails == "values":
        monkeypatch.setattr(json, "dumps", broken)
    elif fails == "flush":
        flush, calls = os.fsync, iter(range(2))

        def second(number):
            return broken() if next(calls) else flush(number)

        monkeypatch.setattr(os, "fsync", second)
    else:
        monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(OSError, match="no space"):
        result.save(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EIO])
def test_a_file_system_that_flushes_no_folders_is_no_failure(result, tmp_path, monkeypatch, number):
    """As FUSE and network mounts say EINVAL or ENOTSUP; a real error of the disk is still one."""
    flush = os.fsync

    def refused(file):
        if stat.S_ISDIR(os.fstat(file).st_mode):
            raise OSError(number, os.strerror(number))
        flush(file)

    monkeypatch.setattr(os, "fsync", refused)
    if number == errno.EIO:
        with pytest.raises(StorageError):
            result.save(tmp_path)
        return
    result.save(tmp_path)
    write_whole(tmp_path / "whole", [b"1"])
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([TENSORS, VALUES, "whole"])


def test_a_newer_format_is_refused(result, tmp_path):
    result.save(tmp_path)
    values = json.loads((tmp_path / VALUES).read_text())
    assert values["format"] == FORMAT
    newer = {name: value for name, value in values.items() if not name.startswith("digest_")}
    newer |= {"format": FORMAT + 1, "digests": values["digests"]}
    (tmp_path / VALUES).write_bytes(integrity.sealed(newer))
    with pytest.raises(InputError, match="newer"):
        Attribution.load(tmp_path)


@pytest.mark.parametrize("missing", [TENSORS, VALUES])
def test_a_folder_without_a_result(result, tmp_path, missing):
    result.save(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(InputError, match=tmp_path.name):
        Attribution.load(tmp_path)
    with pytest.raises(InputError):
        Attribution.load(tmp_path / "nowhere")


def test_a_file_is_no_folder(result, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="folder"):
        result.save(tmp_path / "file")


def test_nothing_of_the_machine_is_written(result, tmp_path):
    result.save(tmp_path)
    text = (tmp_path / VALUES).read_text()
    assert str(tmp_path) not in text
    assert "/tmp" not in text
    assert "/home" not in text
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_numbers_that_json_has_not(result, tmp_path):
    result.value, result.curve = float("-inf"), Curve((CurvePoint("keep", 0.1, 0.1, float("nan"), 0.0, 0.0),), 0.5)
    back = Attribution.load(result.save(tmp_path))
    assert back.value == float("-inf")
    assert back.curve.points[0].value != back.curve.points[0].value


def test_tensors_that_share_memory(result, tmp_path):
    whole = noise(10)
    result.extras = {"a": whole[:6], "b": whole[4:], "c": whole}
    result.inputs = {"x": result.signal}
    back = Attribution.load(result.save(tmp_path))
    assert torch.equal(back.extras["b"], whole[4:])
    assert torch.equal(back.inputs["x"], result.signal)
