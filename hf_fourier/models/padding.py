"""Removes the padding of an example that arrived with it, to check whether it changes the score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from hf_fourier.domains import SignalShape
from hf_fourier.scoring.example_batch import EncodedExample
from hf_fourier.typing import Tensor

#: The names of masks over time, and over pixels.
TIME_MASKS = ("attention_mask", "feature_attention_mask", "input_features_mask", "padding_mask")
PIXEL_MASK = "pixel_mask"
#: The beginning of the note where there is no mask, and the ends look like padding.
LOOKS = "there is no mask; taken as padding: "
#: The least number of equal samples, or frames, at an end that are taken for padding.
SAMPLES, FRAMES = 16, 2


def ends_of(mask: Tensor) -> tuple[int, int] | None:
    """The first and last place of a mask, `(length,)`, as start and stop; None where it keeps all, or nothing."""
    kept = mask.nonzero()
    if not len(kept):
        return None
    start, stop = int(kept.min()), int(kept.max()) + 1
    return None if stop - start == len(mask) else (start, stop)


def in_time(example: EncodedExample, main: str, time: int, masks: Sequence[str]) -> EncodedExample | None:
    """An example whose content lies along time, without the masked entries at both ends.

    Args:
        example: With its main input among its inputs, and `content`.
        main: The name of that input.
        time: The dimension of it that counts time.
        masks: The names of inputs that have one entry for each place along time, if they are there and as long.
    """
    length = example.inputs[main].shape[time]
    present = {n: t for n in masks if (t := example.inputs.get(n)) is not None and t.ndim and t.shape[0] == length}
    mask = next((t for t in present.values() if t.ndim == 1), None)
    ends = None if mask is None or example.content is None else ends_of(mask)
    if ends is None or example.content is None:
        return None
    return _cut(example, main, time, ends, tuple(present), example.content - ends[0])


def unmasked(example: EncodedExample, main: str, time: int) -> EncodedExample | None:
    """An example without a mask, without the runs of entries at its ends that are all alike; None without one.

    Processors fill with zeros, which are normalised along with the rest where there is no mask.

    Args:
        example: As for `in_time`; its content is all of it.
        main: The name of its main input.
        time: The dimension of that that counts time.
    """
    rows = example.inputs[main].movedim(time, 0).flatten(1) if example.inputs[main].ndim > 1 else None
    rows = example.inputs[main].unsqueeze(1) if rows is None else rows
    length, least = len(rows), SAMPLES if rows.shape[1] == 1 else FRAMES
    differing = [(rows != rows[end]).any(1).nonzero().flatten() for end in (0, -1)]
    if not len(differing[0]):
        return None
    start, stop = int(differing[0][0]), int(differing[1][-1]) + 1
    start, stop = start if start >= least else 0, stop if length - stop >= least else length
    if stop - start == length:
        return None
    bare = _cut(example, main, time, (start, stop), (), torch.arange(stop - start))
    at = next(i for i, axis in enumerate(example.signal.axes) if axis.name == "time")
    runs = [f"the first {start}"] * (start > 0) + [f"the last {length - stop}"] * (stop < length)
    note = f"{LOOKS}{' and '.join(runs)} of {length} entries along time, which are equal"
    return replace(bare, signal=_resized(example.signal, {at: stop - start}), notes=(note,))


def in_pixels(example: EncodedExample) -> EncodedExample | None:
    """A picture or a video without the rows and columns at its sides that are masked entirely."""
    mask, values = example.inputs.get(PIXEL_MASK), example.values
    if mask is None or values is None or mask.ndim != 2 or mask.shape != values.shape[-2:]:
        return None
    sides = [ends_of((mask != 0).any(1 - d)) or (0, mask.shape[d]) for d in (0, 1)]
    (top, bottom), (left, right) = sides
    if (bottom - top, right - left) == tuple(mask.shape) or not bool((mask != 0).any()):
        return None
    inputs = {**example.inputs, PIXEL_MASK: mask[top:bottom, left:right]}
    last = len(example.signal.axes)
    signal = _resized(example.signal, {last - 2: bottom - top, last - 1: right - left})
    return replace(example, signal=signal, inputs=inputs, values=values[..., top:bottom, left:right])


def _cut(
    example: EncodedExample, main: str, time: int, ends: tuple[int, int], others: Sequence[str], content: Tensor
) -> EncodedExample:
    start, stop = ends
    inputs = {**example.inputs, main: example.inputs[main].narrow(time, start, stop - start)}
    inputs |= {name: example.inputs[name][start:stop] for name in others if name != main}
    return replace(example, inputs=inputs, content=content)


def _resized(signal: SignalShape, lengths: dict[int, int]) -> SignalShape:
    axes = tuple(replace(axis, length=lengths.get(i, axis.length)) for i, axis in enumerate(signal.axes))
    return replace(signal, axes=axes)
