"""Digests of examples: equal values have equal digests however they lie in memory, and no two different ones do."""

from __future__ import annotations

import copy
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch

from hf_fourier.runs.content_digest import DEPTH
from hf_fourier.runs.fingerprint import digest_of

MANY = 20
OBJECTS = np.array([("a", 1)], dtype=[("name", object), ("n", int)])
DIFFERENT = {
    "texts": ["ab", "c"] * MANY,
    "texts cut elsewhere": ["a", "bc"] * MANY,
    "texts with a zero": ["ab\0c"] + ["ab", "c"] * (MANY - 1) + ["d"],
    "texts with a zero elsewhere": ["ab", "c\0ab"] + ["c", "ab"] * (MANY - 2) + ["c", "d", "e"],
    "texts joined by zeros": "\0".join(["ab", "c"] * MANY),
    "half characters": ["\ud800", "c"] * MANY,
    "their escapes": ["\\ud800", "c"] * MANY,
    "integers": list(range(MANY)),
    "numbers": [float(i) for i in range(MANY)],
    "truths": [i > 0 for i in range(MANY)],
    "integers and a truth": [True, *range(1, MANY)],
    "integers at the end of doubles": [2**53] * MANY,
    "integers beyond doubles": [2**53 + 1] * MANY,
    "large integers": [2**64 + i for i in range(MANY)],
    "larger integers": [2**65 + i for i in range(MANY)],
    "an array of integers": np.arange(MANY),
    "in two rows": np.arange(MANY).reshape(2, -1),
    "in two columns": np.arange(MANY).reshape(-1, 2),
    "of 32 bits": np.arange(MANY, dtype=np.int32),
    "of numbers": np.arange(MANY, dtype=np.float64),
    "a tensor": torch.arange(MANY),
    "a tensor in two rows": torch.arange(MANY).reshape(2, -1),
    "bytes": bytes(range(MANY)),
    "more bytes": bytes(range(MANY + 1)),
    "dates": np.array(["2026-01-01", "2026-01-02"], "datetime64[D]"),
    "no texts": np.array(["", ""]),
    "no text": np.array([""]),
    "fields": np.array([(1, 2.0)], dtype=[("a", int), ("b", float)]),
    "fields the other way round": np.array([(1, 2.0)], dtype=[("a", int), ("b", float)])[["b", "a"]],
    "steps of bytes": memoryview(bytes(2 * MANY))[::2],
    "texts that look like more": [["a"] * MANY + [""], "astr 1:b"],
    "more texts": [["a"] * MANY + ["str 8:a"], "b"],
    "other fields": np.array([(1, 2.0)], dtype=[("a", int), ("c", float)]),
}


def test_no_two_values_share_a_digest() -> None:
    digests = {name: digest_of(value) for name, value in DIFFERENT.items()}
    assert [pair for pair in combinations(digests, 2) if digests[pair[0]] == digests[pair[1]]] == []


@pytest.mark.parametrize("name", DIFFERENT)
def test_equal_values_have_equal_digests(name: str) -> None:
    value = DIFFERENT[name]
    again = value if isinstance(value, memoryview) else copy.deepcopy(value)
    assert digest_of(again) == digest_of(value)


def test_how_an_array_lies_in_memory_does_not_count() -> None:
    rows = np.arange(24.0).reshape(4, 6)
    wide = np.zeros((4, 12))
    wide[:, ::2] = rows
    locked = rows.copy()
    locked.flags.writeable = False
    for same in (np.asfortranarray(rows), wide[:, ::2], locked):
        assert digest_of(same) == digest_of(rows)
    columns = torch.arange(6.0).reshape(2, 3).T
    assert digest_of(columns.contiguous()) == digest_of(columns)
    one = torch.arange(6.0).reshape(3, 2)[:1, 1]  # of one entry, two apart
    assert one.stride() == (2,)
    assert digest_of(one) == digest_of(one.clone(memory_format=torch.contiguous_format)) != digest_of(one + 1)
    turned = torch.tensor([1 + 2j]).conj()
    assert digest_of(turned) == digest_of(turned.resolve_conj()) != digest_of(turned.conj())


def test_arrays_that_hold_objects_are_read_by_value_and_not_by_address() -> None:
    first, again = (np.array([("".join(["a", "b"]), 1)], dtype=OBJECTS.dtype) for _ in range(2))
    assert first["name"][0] is not again["name"][0]
    assert digest_of(first) == digest_of(again) != digest_of(OBJECTS)


def test_what_lies_between_fields_does_not_count() -> None:
    kind = np.dtype({"names": ["a", "b"], "formats": ["u1", "f8"], "offsets": [0, 8], "itemsize": 16})
    zeros, ones = (np.frombuffer(bytearray([filled] * 32), kind) for filled in (0, 1))
    for array in (zeros, ones):
        array["a"], array["b"] = [1, 2], [3, 4]
    assert zeros.tobytes() != ones.tobytes()
    assert digest_of(zeros) == digest_of(ones)
    assert digest_of(zeros[0]) == digest_of(ones[0]) != digest_of(zeros[1])


def test_one_object_in_an_array_is_read() -> None:
    first, again = (np.array({"a": ["b"]}, dtype=object) for _ in range(2))
    assert digest_of(first) == digest_of(again) != digest_of(np.array({"a": ["c"]}, dtype=object))


def test_a_file_counts_by_its_content(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.wav", "b.wav", "c.wav")]
    for path, content in zip(paths, (b"same", b"same", b"other"), strict=True):
        path.write_bytes(content)
    first, second, other = map(digest_of, paths)
    assert first == second != other
    assert digest_of(tmp_path / "none.wav") != digest_of(tmp_path / "neither.wav")


class Box:
    """An object of a user, with one attribute."""

    def __init__(self, inner: object) -> None:
        self.inner = inner


class Processor(Box):
    """One whose `to_dict` leaves out its tokenizer."""

    def __init__(self, tokenizer: object) -> None:
        super().__init__(1)
        self.tokenizer = tokenizer

    def to_dict(self) -> dict[str, int]:
        return {"inner": 1}


def test_objects_are_read_by_their_attributes_down_to_a_depth() -> None:
    def boxes(depth: int, inner: int) -> Box:
        return Box(inner) if depth == 0 else Box(boxes(depth - 1, inner))

    assert digest_of(boxes(DEPTH, 1)) != digest_of(boxes(DEPTH, 2))
    assert digest_of(boxes(DEPTH + 1, 1)) == digest_of(boxes(DEPTH + 1, 2))
    assert digest_of(Processor(Box(1))) != digest_of(Processor(Box(2)))
