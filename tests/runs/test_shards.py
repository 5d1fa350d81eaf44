"""Shards write what examples share once, and give each row its own back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from hf_fourier.results.attribution import Attribution
from hf_fourier.results.integrity import tensor_digest
from hf_fourier.runs import packing
from hf_fourier.runs.packing import LOOK, Outcome, pack_shard
from hf_fourier.runs.shards import Shard
from tests.runs.sample_results import explainer, texts

LONG = torch.arange(LOOK, dtype=torch.int64)
CHANGED = LONG.where(LONG < LOOK - 1, 7)
#: A tensor and one that is not the same, bit by bit.
PAIRS = [
    (LONG, CHANGED),
    (LONG, LONG[:-1]),
    (LONG, LONG.unsqueeze(0)),
    (LONG, LONG.int()),
    (torch.tensor([0.0]), torch.tensor([-0.0])),
    (torch.tensor(1), torch.tensor(2)),
    (torch.zeros(0), torch.tensor([1.0])),
]


@pytest.fixture(scope="module")
def results() -> list[Attribution]:
    return explainer().explain(texts(4))


def written(results: Sequence[Attribution], path: Path) -> Shard:
    """A shard of these results."""
    outcomes = [Outcome(i, "", result) for i, result in enumerate(results)]
    path.write_bytes(b"".join(pack_shard(outcomes, "everything", 10, False)))
    return Shard(path)


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_rows_share_what_is_the_same(
    results: list[Attribution], tmp_path: Path, one: torch.Tensor, other: torch.Tensor
):
    inputs = [one, one.clone(), other, one]
    for result, tensor in zip(results, inputs, strict=True):
        result.inputs = {**result.inputs, "mask": tensor}
    shard = written(results, tmp_path / "shard")
    for row, tensor in enumerate(inputs):
        found = shard.tensors(row)["inputs.mask"]
        assert found.dtype == tensor.dtype
        assert found.shape == tensor.shape
        assert found.numpy().tobytes() == tensor.numpy().tobytes()
    stored = [tensor for name, tensor in load_file(tmp_path / "shard").items() if name.startswith("inputs.mask|")]
    entries = sum(tensor.numel() for tensor in stored if tensor.dtype == one.dtype and tensor.ndim == 1)
    assert entries <= 2 * one.numel() + other.numel() + 3 * len(inputs), "the second is that of the first"


def test_shards_of_the_first_format_are_read(results: list[Attribution], tmp_path: Path):
    for i, result in enumerate(results):
        result.inputs = {**result.inputs, "mask": torch.full((3 + i,), float(i))}
    new = written(results, tmp_path / "new")
    tensors = load_file(tmp_path / "new")
    head = json.loads(bytes(tensors["head"].numpy()).decode())
    old_head = {name: head[name] for name in ("store", "split", "rows")}  # which had no digests
    tensors["head"] = torch.frombuffer(bytearray(json.dumps({**old_head, "format": 1}).encode()), dtype=torch.uint8)
    shared = {name.removesuffix("|places") for name in tensors if name.endswith("|places")}
    for kind in shared:  # in the first format, every row had a tensor of its own
        places, shapes = tensors.pop(f"{kind}|places").long(), tensors[f"{kind}|shapes"]
        each = tensors[f"{kind}|data"].split(shapes.prod(1).tolist())
        tensors[f"{kind}|data"] = torch.cat([each[place] for place in places])
        tensors[f"{kind}|shapes"] = shapes[places]
    save_file(tensors, tmp_path / "old")
    old = Shard(tmp_path / "old")
    for row in range(len(results)):
        before, after = old.tensors(row), new.tensors(row)
        assert before.keys() == after.keys()
        assert all(torch.equal(before[name], after[name]) for name in before)
        assert old.result(row).label == results[row].label


@pytest.mark.parametrize("together", [1, 40, 2**18])
def test_tensors_of_a_column_lie_end_to_end_however_many_are_copied_at_once(
    together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "JOIN", together)
    sizes = (3, 0, 5, 1, 8, 2)
    tensors = [torch.arange(n, dtype=torch.float32) + 10 * i for i, n in enumerate(sizes)]
    tensors[2] = tensors[2].repeat_interleave(2)[::2]  # not in a row of memory
    data, digests = packing._joined(tensors)
    assert data.tolist() == [value for tensor in tensors for value in tensor.tolist()]
    assert digests == [tensor_digest(tensor) for tensor in tensors]
