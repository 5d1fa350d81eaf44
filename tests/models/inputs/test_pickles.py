"""Pickled dictionaries: read where they are plain, refused where they want anything called."""

from __future__ import annotations

import json
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hf_fourier.errors import ModelError
from hf_fourier.models.inputs import pickles
from hf_fourier.models.inputs.pickles import read_float_dict, read_str_dict

RAN: list[str] = []


def payload(said: str) -> None:
    RAN.append(said)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_FOURIER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "dictionaries"


def written(folder: Path, value: Any, protocol: int = 4) -> Path:
    path = folder / "token_dictionary_gc104M.pkl"
    path.write_bytes(pickle.dumps(value, protocol))
    return path


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_plain_values_and_numpy_scalars_are_read(tmp_path: Path, protocol: int) -> None:
    kinds = [np.float64, np.float32, np.float16, np.int64, np.int32, np.uint8, np.dtype(">f8").type]
    values = {f"g{i}": kind(3 + i) for i, kind in enumerate(kinds)} | {"plain": 7, "real": 0.25}
    found = read_float_dict(written(tmp_path, values, protocol))
    assert found == {name: float(value) for name, value in values.items()}
    assert isinstance(found["plain"], int)
    assert isinstance(found["g0"], float)
    assert type(found["g3"]) is int


def test_the_older_name_of_numpys_scalar_is_admitted(tmp_path: Path) -> None:
    path = tmp_path / "old.pkl"
    newer = pickle.dumps({"a": np.float64(2.5)}, 3)
    path.write_bytes(newer.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert b"numpy.core.multiarray" in path.read_bytes()
    assert read_float_dict(path) == {"a": 2.5}


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_plain_values_of_any_protocol_are_read(tmp_path: Path, protocol: int) -> None:
    assert read_float_dict(written(tmp_path, {"a": 1, "b": 2.5}, protocol)) == {"a": 1, "b": 2.5}


def test_a_copy_is_kept_and_read(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, {"a": np.float64(2.5)})
    read_float_dict(path)
    (copy,) = cache.iterdir()
    assert json.loads(copy.read_text()) == {"a": 2.5}
    monkeypatch.setattr(pickles, "_unpickled", lambda data: pytest.fail("read twice"))
    assert read_float_dict(path) == {"a": 2.5}
    monkeypatch.undo()
    copy.write_text("{")
    assert read_float_dict(written(tmp_path, {"a": 3})) == {"a": 3}


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HF_FOURIER_CACHE", str(tmp_path / "file"))
    assert read_float_dict(written(tmp_path, {"a": 1})) == {"a": 1}


class Calls:
    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        self.made = function, args

    def __reduce__(self) -> Any:
        return self.made


def poisoned(tmp_path: Path) -> dict[str, Any]:
    trace = tmp_path / "ran"
    return {
        "a function": {"a": Calls(payload, "function")},
        "as a key": {Calls(payload, "key"): 1},
        "a shell": {"a": Calls(__import__("os").system, f"touch {trace}")},
        "eval": {"a": Calls(eval, f"open({str(trace)!r}, 'w')")},
        "getattr": {"a": Calls(getattr, "a", "upper")},
        "an ordered dictionary": OrderedDict(a=1),
        "an array": {"a": np.zeros(3)},
        "a type object": {"a": np.dtype("f8"), "b": np.float64},
    }


@pytest.mark.parametrize("kind", list(poisoned(Path("."))))
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_what_wants_something_called_is_refused_and_did_not_run(
    tmp_path: Path, cache: Path, kind: str, protocol: int
) -> None:
    path = written(tmp_path, poisoned(tmp_path)[kind], protocol)
    with pytest.raises(ModelError, match=r"token_dictionary_gc104M\.pkl") as caught:
        read_float_dict(path)
    assert not RAN
    assert not (tmp_path / "ran").exists()
    assert str(tmp_path) not in str(caught.value)
    assert not cache.exists()


def test_the_payloads_would_have_run(tmp_path: Path) -> None:
    pickle.loads(written(tmp_path, poisoned(tmp_path)["a function"]).read_bytes())
    assert RAN == ["function"]
    RAN.clear()


@pytest.mark.parametrize(
    "bad",
    [
        b"\x80\x04cnumpy\ndtype\n(X\x02\x00\x00\x00O8tR.",  # a dtype that holds objects
        b"\x80\x04cnumpy\ndtype\n.",  # the stand-in itself
        b"\x80\x02\x82\x01.",  # an extension's code
        b"\x80\x04Pname\n.",  # a persistent id
        b"not a pickle",
        b"",
        pickle.dumps([1, 2]),
        pickle.dumps({"a": "b"}),
        pickle.dumps({"a": float("nan")}),
        pickle.dumps({"a": True}),
        pickle.dumps({"a": None}),
        pickle.dumps({1: 2}),
        pickle.dumps({"a": {"b": 1}}),
    ],
)
def test_what_is_no_flat_dictionary_is_refused(tmp_path: Path, bad: bytes) -> None:
    path = tmp_path / "d.pkl"
    path.write_bytes(bad)
    for _ in range(2):  # a copy would be checked as well
        with pytest.raises(ModelError):
            read_float_dict(path)


def test_no_file_changes_how_the_next_is_read(tmp_path: Path) -> None:
    """A pickle can set attributes of what it was given; that is gone with it."""
    state = b"\x80\x04cnumpy.core.multiarray\nscalar\nN}X\x0c\x00\x00\x00__defaults__N\x86s\x86b."
    path = tmp_path / "d.pkl"
    path.write_bytes(state)
    with pytest.raises(ModelError):
        read_float_dict(path)
    assert read_float_dict(written(tmp_path, {"a": np.float64(1)})) == {"a": 1}


def test_names_and_json(tmp_path: Path) -> None:
    assert read_str_dict(written(tmp_path, {"CD3D": "ENSG00000167286"})) == {"CD3D": "ENSG00000167286"}
    with pytest.raises(ModelError, match="names to names"):
        read_str_dict(written(tmp_path, {"CD3D": 3}))
    (tmp_path / "d.json").write_text('{"a": 1}')
    assert read_float_dict(tmp_path / "d.json") == {"a": 1}
    with pytest.raises(ModelError):
        read_float_dict(tmp_path / "none.pkl")


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickles, "DICTIONARY_BYTES", 10)
    with pytest.raises(ModelError, match="at most 10 bytes"):
        read_float_dict(written(tmp_path, {"a": 1, "b": 2, "c": 3}))
