"""Tensors as the pieces of a safetensors file, which are written from where they lie."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence

import torch

from hf_fourier.typing import Tensor

#: One behind the other, a file.
Pieces = Sequence[bytes | memoryview]
#: What safetensors calls types, in the order in which it lays them out.
TYPES = {
    torch.int64: "I64",
    torch.float64: "F64",
    torch.float32: "F32",
    torch.int32: "I32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
_RANKS = {dtype: rank for rank, dtype in enumerate(TYPES)}
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def laid_out(tensors: Mapping[str, Tensor]) -> Pieces:
    """The bytes of `safetensors.torch.save(tensors)`, without a copy of them.

    The library's `save` copies all data twice and holds the interpreter, so that a model beside it waits; its
    `save_file` does not, but writes to a neighbour of a name of its own, which a run that is killed would leave.

    Args:
        tensors: Contiguous, on the CPU; they stay as they are until the pieces are written.
    """
    if sys.byteorder != "little" or not all(tensor.dtype in TYPES for tensor in tensors.values()):
        from safetensors.torch import save

        return [save(dict(tensors))]
    names = sorted(tensors, key=lambda name: (_RANKS[tensors[name].dtype], name.encode()))
    head, start = {}, 0
    for name in names:
        tensor = tensors[name]
        stop = start + tensor.numel() * tensor.element_size()
        head[name] = {"dtype": TYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, stop]}
        start = stop
    text = _JSON.encode(head).encode()
    text += b" " * (-len(text) % 8)
    data = [tensors[name].reshape(-1).view(torch.uint8).numpy().data for name in names]
    return [len(text).to_bytes(8, "little"), text, *data]
