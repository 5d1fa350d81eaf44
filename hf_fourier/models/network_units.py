"""A network's examples as real numbers, and what these are in human units: colours of pictures, samples of sounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.nn.functional import interpolate

from hf_fourier.errors import InputError, is_list_like
from hf_fourier.models.base import check_numbers
from hf_fourier.models.inputs.axes import CHANNEL, SOUND, AxisNames
from hf_fourier.models.inputs.channel_series import ChannelSeries
from hf_fourier.models.inputs.tensors import check_dense
from hf_fourier.typing import Float, Tensor, tensor_of

#: Colours that `preprocess` is asked about, as bytes: black, and the three that span the others; then two to check.
_SPANNING = ((0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255))
_CHECKED = ((255, 255, 255), (51, 102, 204))
#: How far a colour may be from what the others say, relative to the range from black to white.
_TOLERANCE = 0.02
#: Pixels that a resized picture may be off at its edges.
_EDGE = 0.25


def scale_of(model: Any, preprocess: Any) -> tuple[Sequence[float], Sequence[float]] | None:
    """Mean and standard deviation that pictures are normalised by, where `preprocess` or the network show them."""
    steps = getattr(preprocess, "transforms", ())
    places = [preprocess, *(steps if isinstance(steps, (list, tuple)) else ())]
    pairs: list[tuple[Any, Any]] = [(getattr(one, "mean", None), getattr(one, "std", None)) for one in places]
    known = getattr(model, "pretrained_cfg", None)
    if isinstance(known, Mapping):
        pairs.append((known.get("mean"), known.get("std")))
    listed = ((m, s) for m, s in pairs if is_list_like(m) and is_list_like(s))  # timm's are tensors
    return next((([float(v) for v in m], [float(v) for v in s]) for m, s in listed), None)


def series_as_read(
    series: ChannelSeries, names: AxisNames, unit: str | None
) -> tuple[Tensor, AxisNames, tuple[str, ...]]:
    """A recording of several channels as a network reads it, the axes with its rate, and notes.

    Args:
        series: The recording.
        names: The axes that the user named, and the rate that is expected; without one they get the recording's.
        unit: The unit of voltages that the network reads; None for volts.

    Raises:
        InputError: If the axes have no time or others than time and channels, the rate is another, or a channel is in
            no unit of voltage where one is asked for.
    """
    known = names.names or ("time",)
    if others := [name for name in known if name not in ("time", CHANNEL)]:
        got = f"a recording of channels for axes {known}, of which it has no {others[0]!r}"
        raise InputError(got, "the axes 'channel' and 'time'", "pass axes=('channel', 'time') in the network's order")
    if names.rate is not None and abs(names.rate - series.rate) > 1e-6 * names.rate:
        got = f"a recording of {series.rate:g} Hz"
        do = "resample it, as by series_of(recording).resample(128)"
        raise InputError(got, f"{names.rate:g} Hz, as the network's examples", do)
    values, noted = series.in_unit(unit)
    array = torch.from_numpy(np.ascontiguousarray(values.T if known == ("time", CHANNEL) else values))
    return array, replace(names, names=known, rate=series.rate), (*series.notes, *noted)


def numbers_of(made: Any, preprocessed: bool) -> tuple[Tensor, tuple[str, ...]]:
    """An example as real numbers on the CPU, float64 where it is that and else float32, and notes on that.

    Args:
        made: A tensor, an array or a flat list.
        preprocessed: Whether `preprocess` made it.

    Raises:
        InputError: If it is none of real numbers.
    """
    expected = "a tensor, an array or a flat list of real numbers"
    do = "correct `preprocess`" if preprocessed else "pass preprocess=, which converts it to one"
    try:
        if isinstance(made, (str, bytes, Mapping)) or hasattr(made, "getbands"):
            raise TypeError
        values = made.detach().cpu() if isinstance(made, Tensor) else tensor_of(_array(made))
        if values.layout != torch.strided or values.is_quantized:
            values = values.dequantize() if values.is_quantized else values.to_dense()
    except (TypeError, ValueError, RuntimeError, NotImplementedError) as error:
        raise InputError(f"an example of type {type(made).__name__}", expected, do) from error
    check_dense("an example", values)
    if values.is_complex():
        raise InputError(f"an example of {values.dtype}", expected, do)
    notes: tuple[str, ...] = ()
    if not values.is_floating_point():
        notes = (f"{str(values.dtype).removeprefix('torch.')} was converted to float32, unscaled",)
    values = values if values.dtype == torch.float64 else values.float()
    check_numbers("an example", values, do, "repair the tensor")
    return values, notes


def _array(made: Any) -> Any:
    """A list of numbers as an array of real ones; anything else as it is."""
    return np.asarray(made, dtype=np.float32) if isinstance(made, (list, tuple)) else np.asarray(made)


def sound_rate(names: AxisNames) -> int | None:
    """Samples per second of a network on sounds; None of any other."""
    rate = names.rate
    sound = rate is not None and rate >= SOUND and rate == int(rate) and set(names.names or ()) <= {"time", CHANNEL}
    return int(rate) if sound and rate is not None else None


def as_network_reads(
    pixels: Float[Tensor, "channels height width"], encode: Callable[[Any], Tensor]
) -> Float[Tensor, "own height2 width2"]:
    """A picture in real numbers as a network's `preprocess` would make it of one in bytes, without rounding.

    The colours of `preprocess` are measured: black, red, green and blue give `offset + matrix @ (red, green, blue)`,
    which has to hold for white and one more colour, everywhere in the picture; the size is that of what it makes of a
    picture of this size (resized whole, bilinear). Pictures that grow brighter to the right and to the bottom show
    whether it does resize the whole.

    Args:
        pixels: Red, green and blue, or grey, 0 to 1.
        encode: `preprocess`: a picture to `(own, height2, width2)`.

    Raises:
        InputError: If it refuses pictures, what it makes of a colour is no such sum, or it crops, turns or mirrors.
    """
    height, width = pixels.shape[1:]
    made = [_of_picture(np.full((height, width, 3), colour, np.uint8), encode) for colour in (*_SPANNING, *_CHECKED)]
    offset = made[0].mean((1, 2))
    matrix = torch.stack([one.mean((1, 2)) - offset for one in made[1:4]], dim=1)
    size = max(float(matrix.abs().sum(1).max()), 1e-12)
    for colour, one in zip((*_SPANNING, *_CHECKED), made, strict=True):
        expected = offset + matrix @ (torch.tensor(colour, dtype=one.dtype) / 255)
        if float((one - expected[:, None, None]).abs().max()) > _TOLERANCE * size:
            got = "a `preprocess` that is not the same affine map of the colours at every pixel"
            raise InputError(got, "one that scales and normalises", "leave padding and equalising out of `preprocess`")
    own_size = (made[0].shape[1], made[0].shape[2])

    def read(picture: Tensor) -> Tensor:
        if own_size != picture.shape[1:]:
            picture = interpolate(picture[None], own_size, mode="bilinear", antialias=True)[0]
        rgb = picture.expand(3, *picture.shape[1:]).to(matrix)
        return torch.einsum("oc,chw->ohw", matrix, rgb) + offset[:, None, None]

    for axis, length in enumerate((height, width)):
        steps = np.round(255 * (np.arange(length) + 0.5) / length).astype(np.uint8)
        ramp = np.broadcast_to(steps[:, None, None] if axis == 0 else steps[None, :, None], (height, width, 3)).copy()
        expected = read(torch.from_numpy(ramp).permute(2, 0, 1).to(pixels) / 255)
        one = _of_picture(ramp, encode)
        # Kernels of resizing differ by parts of a pixel at the edges.
        allowed = (_TOLERANCE + _EDGE / min(length, own_size[axis])) * size
        if one.shape != expected.shape or float((one - expected).abs().max()) > allowed:
            got = "a `preprocess` that crops, turns or mirrors pictures"
            raise InputError(got, "one that resizes the whole picture", "crop pictures before `preprocess`")
    return read(pixels)


def _of_picture(array: np.ndarray, encode: Callable[[Any], Tensor]) -> Float[Tensor, "own height2 width2"]:
    """What `preprocess` makes of a picture of bytes, given as Pillow's, or as it is where it takes no other."""
    examples: list[Any] = [array]
    try:
        from PIL import Image

        examples.insert(0, Image.fromarray(array))
    except ImportError:
        pass
    for example in examples:
        try:
            made = encode(example)
        except InputError:
            continue
        if made.ndim == 3:
            return made
    got = "a `preprocess` that takes neither a PIL image nor uint8 (height, width, 3)"
    raise InputError(got, "one that returns (channels, height, width) for a picture", "give such a `preprocess`")
