"""A file of tensors is the one that safetensors writes, and no tensor is copied for it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from hf_fourier.results.tensor_files import TYPES, laid_out

COLUMN = torch.arange(12, dtype=torch.float32)
FILES: dict[str, Mapping[str, torch.Tensor]] = {
    "all types": {f"{i}": torch.tensor([[0, 1], [1, 0]]).to(dtype) for i, dtype in enumerate(TYPES)},
    "types whose order is not that of their names": {"a": torch.zeros(3, dtype=torch.bool), "b": COLUMN},
    "nothing": {},
    "empty and of no dimension": {"empty": torch.zeros(0, 3), "one": torch.tensor(3.0)},
    "names": {name: COLUMN + i for i, name in enumerate(('a "quoted" name', "naïve", "frequência|data", "B", "a"))},
    "a part of a larger tensor": {"middle": COLUMN[4:8]},
    "types that only the library knows": {"eight bits": torch.ones(3).to(torch.float8_e4m3fn), "b": COLUMN},
}


@pytest.mark.parametrize("tensors", FILES.values(), ids=FILES.keys())
def test_a_file_is_the_one_that_safetensors_writes(tensors: Mapping[str, torch.Tensor]):
    data = b"".join(laid_out(tensors))
    assert data == save(dict(tensors))
    read = load(data)
    assert read.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert read[name].dtype == tensor.dtype
        assert read[name].shape == tensor.shape
        assert torch.equal(read[name].view(-1).view(torch.uint8), tensor.reshape(-1).view(torch.uint8))


def test_tensors_are_not_copied():
    (part,) = laid_out({"column": COLUMN})[2:]
    assert np.shares_memory(np.frombuffer(part, np.float32), COLUMN.numpy())
