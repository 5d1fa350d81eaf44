"""Files of arrays beside plain values: what comes back, and what is refused with which advice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from hf_fourier.errors import DamagedFile, InputError, StorageError
from hf_fourier.results.integrity import to_json
from hf_fourier.results.schema import Malformed
from hf_fourier.results.sealed_values import SealedValues, check_class_names, check_present, check_shapes
from hf_fourier.results.tensor_files import bytes_tensor

VALUES = {"model": "toy", "names": {"0": "no", "12": "yes"}}
ARRAYS = {"readings": np.arange(6.0).reshape(2, 3), "labels": np.array([1.0, np.nan], np.float32)}


def fits(values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    check_class_names(values["names"])
    check_present(arrays, ARRAYS)
    check_shapes(arrays, {"readings": (2, 3), "labels": (2,)})


KIND = SealedValues("toy values", "Toy.save", 3, {"model": str, "names": dict}, "make the toy again", fits)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = KIND.write(tmp_path / "one", VALUES, {**ARRAYS, "readings": np.asfortranarray(ARRAYS["readings"])})
    values, arrays = KIND.read(path)
    assert values == VALUES
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError):
        KIND.write(tmp_path / "folder", VALUES, ARRAYS)


def test_other_files_and_newer_ones_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError, match=r"not a file; expected a file that `Toy\.save` wrote; pass that one"):
            KIND.read(path)
    save_file({"readings": torch.zeros(1)}, tmp_path / "other")
    with pytest.raises(InputError, match=r"another file of tensors; expected one that `Toy\.save` wrote"):
        KIND.read(tmp_path / "other")
    replace(KIND, format=4).write(tmp_path / "newer", VALUES, ARRAYS)
    with pytest.raises(InputError, match="got format 4; expected at most 3; install a newer hf_fourier"):
        KIND.read(tmp_path / "newer")


def test_an_earlier_place_of_the_plain_values_is_read(tmp_path: Path) -> None:
    save_file({name: torch.from_numpy(array) for name, array in ARRAYS.items()}, tmp_path / "old")
    text = to_json({"format": 1, **VALUES}).decode()
    assert replace(KIND, earlier=lambda path: text).read(tmp_path / "old")[0] == VALUES
    with pytest.raises(InputError, match="another file"):
        replace(KIND, earlier=lambda path: None).read(tmp_path / "old")


@pytest.mark.parametrize(
    ("values", "arrays"),
    [
        ({"model": 3}, {}),
        ({"names": {"0": 1}}, {}),
        ({"names": {"zero": "no"}}, {}),
        ({}, {"labels": None}),
        ({}, {"more": np.zeros(1)}),
        ({}, {"labels": np.zeros(3)}),
        ({}, {"labels": np.zeros(2, np.int64)}),
    ],
)
def test_values_that_do_not_fit_are_refused(values: Any, arrays: Any, tmp_path: Path) -> None:
    given = {name: array for name, array in {**ARRAYS, **arrays}.items() if array is not None}
    path = KIND.write(tmp_path / "one", {**VALUES, **values}, given)
    with pytest.raises(DamagedFile, match=r"not of the schema.*make the toy again"):
        KIND.read(path)


def test_every_changed_byte_is_noticed(tmp_path: Path) -> None:
    path = KIND.write(tmp_path / "one", VALUES, ARRAYS)
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(DamagedFile):
            KIND.read(path)


def test_text_that_is_no_json_is_damage(tmp_path: Path) -> None:
    path = KIND.write(tmp_path / "one", VALUES, ARRAYS)
    tensors = {name: tensor for name, tensor in load_file(path).items() if name != "digests"}
    save_file({**tensors, "toy values": bytes_tensor(b"{")}, path)
    with pytest.raises(DamagedFile, match="JSONDecodeError"):
        KIND.read(path)
    with pytest.raises(Malformed):
        check_present({}, ["a"])
