"""References: signals that stand for the absence of an example, which its contributions are measured against."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from hf_fourier.domains import SignalShape
from hf_fourier.typing import Tensor

#: The words of a signal of zeros.
ZERO = "zero everywhere"
#: The standard deviation of a blur, as a part of a picture's shorter side.
BLUR = 0.05


@dataclass(frozen=True, eq=False)
class Reference:
    """One signal per example that stands for its absence.

    Attributes:
        signal: Shape `(batch, *signal)`, with length 1 along axes where it is constant.
        words: The reference in words ("silence").
    """

    signal: Tensor
    words: str


def zero(signal: Tensor, words: str = ZERO) -> Reference:
    """Zero in the model's own units.

    Args:
        signal: The clean signals, shape `(batch, *signal)`.
        words: The meaning of zero ("silence").
    """
    return Reference(signal.new_zeros((len(signal), *[1] * (signal.ndim - 1))), words)


def mean(signal: Tensor, shape: SignalShape, words: str) -> Reference:
    """Each channel's mean over all ordered axes.

    Args:
        signal: The clean signals, shape `(batch, *signal)`.
        shape: The signal's axes.
        words: The mean in words.
    """
    return Reference(signal.mean(dim=_ordered(shape), keepdim=True), words)


def smallest(signal: Tensor, shape: SignalShape, words: str) -> Reference:
    """Each channel's smallest value.

    Args:
        signal: The clean signals, shape `(batch, *signal)`.
        shape: The signal's axes.
        words: That value in words.
    """
    return Reference(signal.amin(dim=_ordered(shape), keepdim=True), words)


def border(signal: Tensor, shape: SignalShape, words: str) -> Reference:
    """Each channel's median over the outermost entries along the ordered axes.

    Args:
        signal: The clean signals, shape `(batch, *signal)`.
        shape: The signal's axes.
        words: The median in words.
    """
    ordered = _ordered(shape)
    outer = torch.zeros([signal.shape[axis] for axis in ordered], dtype=torch.bool, device=signal.device)
    for axis, length in enumerate(outer.shape):
        outer.index_fill_(axis, torch.tensor([0, length - 1], device=signal.device), True)
    channels = [axis for axis in range(signal.ndim) if axis not in ordered]
    values = signal.permute(*channels, *ordered)[..., outer].median(-1).values
    return Reference(
        values.reshape([1 if axis in ordered else signal.shape[axis] for axis in range(signal.ndim)]), words
    )


def blurred(signal: Tensor, words: str) -> Reference:
    """Pictures through a Gaussian whose standard deviation is `BLUR` of the shorter side, mirrored at the edges.

    Args:
        signal: The clean signals, shape `(batch, channels, height, width)`.
        words: The picture in words.
    """
    sigma = BLUR * min(signal.shape[2:])
    return Reference(_smoothed(_smoothed(signal, sigma).mT, sigma).mT.contiguous(), words)


def _smoothed(signal: Tensor, sigma: float) -> Tensor:
    """A Gaussian along the last axis, mirrored at its ends."""
    radius = min(math.ceil(3 * sigma), signal.shape[-1] - 1)
    steps = torch.arange(-radius, radius + 1, device=signal.device, dtype=signal.dtype)
    weights = (-(steps / sigma).square() / 2).exp()
    kernel = (weights / weights.sum()).view(1, 1, -1)
    rows = signal.reshape(-1, 1, signal.shape[-1])
    wide = torch.nn.functional.pad(rows, (radius, radius), mode="reflect")
    return torch.nn.functional.conv1d(wide, kernel).view(signal.shape)


def compact(signal: Tensor, words: str, same: bool = False) -> Reference:
    """A reference that is the same at all positions of axis 1, with length 1 there.

    Args:
        signal: The reference.
        words: What it is.
        same: Whether it is known to be the same, which an accelerator then is not asked.
    """
    first = signal[:, :1]
    same = (same and signal.device.type != "cpu") or torch.equal(first.expand_as(signal), signal)
    return Reference(first.clone() if same else signal, words)


def _ordered(shape: SignalShape) -> list[int]:
    """The ordered axes as dimensions of a batch."""
    return [axis + 1 for axis in shape.ordered_axes]
