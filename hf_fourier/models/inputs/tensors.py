"""Tensors that a user hands over: whether their numbers can be read."""

from __future__ import annotations

from typing import Any

import torch

from hf_fourier.errors import InputError
from hf_fourier.typing import Tensor


def check_dense(name: str, value: Any) -> None:
    """Refuse a tensor that does not hold its numbers one by one; anything that is no tensor passes.

    Args:
        name: Of what it is, with its article.
        value: What was given.

    Raises:
        InputError: If it is a meta, sparse, nested or quantised tensor.
    """
    if not isinstance(value, Tensor):
        return
    nested = value.is_nested
    if value.layout != torch.strided or value.is_meta or value.is_quantized or nested:
        kinds = {"meta": value.is_meta, "quantised": value.is_quantized, "nested": nested, "sparse": True}
        kind = next(word for word, holds in kinds.items() if holds)
        do = "convert it, as by x.to_dense() or x.dequantize()"
        raise InputError(f"{name} in a {kind} tensor", "a dense one that holds numbers", do)
