"""Readings and tensors of the chunks of a batch: detached, attached to a graph, joined."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import torch

from hf_fourier.scoring.heads import Reading
from hf_fourier.typing import Tensor


def attached(x: Tensor) -> Tensor:
    """A copy of signals as an autograd leaf."""
    signal = x.detach()
    return (signal.clone() if signal.is_inference() else signal).requires_grad_(True)


def detached(reading: Reading) -> Reading:
    """A reading without its graph."""
    return _each([reading], lambda values: values[0].detach())


def joined(readings: Sequence[Reading]) -> Reading:
    """One reading of the rows of several."""
    return _each(readings, cat)


def cat(parts: Sequence[Tensor]) -> Tensor:
    """`torch.cat`, without a copy of a lone part."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def _each(readings: Sequence[Reading], make: Callable[[list[Tensor]], Tensor]) -> Reading:
    """One reading, each field made from those of several; fields that the head does not have stay None."""
    values_of: dict[str, Any] = {}
    for name in (f.name for f in fields(Reading)):
        values = [getattr(reading, name) for reading in readings]
        values_of[name] = None if values[0] is None else make(values)
    return Reading(**values_of)
