"""The recordings of the smartwatch: whole, split by person, and read without running what a pickle asks for."""

from __future__ import annotations

import io
import pickle

import numpy as np
import pytest

from hf_fourier import demo
from hf_fourier.demo.convert.movements import TEST, _Arrays


@pytest.mark.assets
def test_recordings_are_whole_and_split_by_person(asset) -> None:
    asset("shoulder-exercises")
    train, test = demo.movements("train"), demo.movements("test")
    assert (len(train), len(test)) == (98, 42)
    assert {one["subject"] for one in test} == set(TEST)
    assert not {one["subject"] for one in train} & set(TEST)
    assert len({one["label"] for one in test}) == 7
    for one in (*train, *test):
        assert one["values"].shape[0] == len(one["channels"]) == 6
        assert np.isfinite(one["values"]).all()
    assert len(demo.movements()) == 140
    slow = [one["values"] - one["values"].mean(1, keepdims=True) for one in test]
    power = sum(
        np.interp(
            np.linspace(0, 25, 100),
            np.fft.rfftfreq(s.shape[1], 1 / one["rate"]),
            np.square(np.abs(np.fft.rfft(s))).sum(0) / s.size,
        )
        for s, one in zip(slow, test, strict=True)
    )
    assert np.linspace(0, 25, 100)[power.argmax()] < 1  # people move the arm about twice in three seconds


def test_another_split_is_refused() -> None:
    with pytest.raises(ValueError, match="train"):
        demo.movements("validation")


def test_what_is_no_array_is_not_read() -> None:
    array = np.arange(3.0)
    assert (_Arrays(io.BytesIO(pickle.dumps([array, {"a": 1}], protocol=2))).load()[0] == array).all()
    for hostile in (print, io.BytesIO, np.load):
        with pytest.raises(pickle.UnpicklingError):
            _Arrays(io.BytesIO(pickle.dumps(hostile))).load()
