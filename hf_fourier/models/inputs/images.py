"""Pictures in: files, encoded bytes, PIL images and arrays as 8-bit RGB.

How bright a number is follows from the type that holds it, or from the bit depth that a file states, never from the
numbers themselves; a note says what was taken for white.
"""

from __future__ import annotations

import io
import os
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hf_fourier.errors import FourierError, InputError, MissingExtraError
from hf_fourier.models.inputs.containers import is_stored, is_url
from hf_fourier.models.inputs.tensors import check_dense
from hf_fourier.typing import Tensor

#: White, by the type of whole numbers. Those of other types (int16, int32) are as often 8 bits as 16, or neither.
WHITE = {"uint8": 255, "uint16": 65535, "int64": 255}
#: How far real numbers may lie beyond 0 to 1 and be clipped: interpolation overshoots an edge by up to a tenth.
SLACK = 0.1
#: Formats of which Pillow stretches more than 8 bits to the range of 16, also where it keeps them in 32.
STRETCHED = ("PNG", "PPM")
#: TIFF's tags: bits of a sample, and whether 0 is white.
_BITS, _PHOTOMETRIC = 258, 262


@dataclass(frozen=True)
class Range:
    """How a picture's numbers were read.

    Attributes:
        kind: What held them: "8-bit", or an array's type.
        white: The number that was read as white; 0 is black.
        low: The least of them.
        high: The largest.
        clipped: How many lay beyond the range, and were clipped.
        note: Another note.
    """

    kind: str
    white: float
    low: float = 0.0
    high: float = 0.0
    clipped: int = 0
    note: str = ""

    def __str__(self) -> str:
        return f"{self.kind} pixels, 0 to {self.white:g}"


#: What needs no note.
PLAIN = Range("8-bit", 255)


def range_notes(ranges: Sequence[Range]) -> tuple[str, ...]:
    """Notes on how the numbers of a picture, or of a video's frames, were read."""
    notes = []
    for kind, white in dict.fromkeys((one.kind, one.white) for one in ranges if one.kind != PLAIN.kind):
        group = [one for one in ranges if (one.kind, one.white) == (kind, white)]
        low, high = min(one.low for one in group), max(one.high for one in group)
        clipped = sum(one.clipped for one in group)
        real = "float" in kind
        note = f"{kind} pixels were read as 0 to {white:g}" + (" and rounded to 8 bits" if real or white > 255 else "")
        note += f"; the largest is {high:g}"
        if clipped:
            note += f"; {clipped} beyond the range, from {low:g} to {high:g}, were clipped"
        elif not real and high < white:
            note += f" (where {high:g} is white, pass array / {high:g})" if high > 1 else " (a mask of 0 and 1 is bool)"
        notes.append(note)
    return (*notes, *dict.fromkeys(one.note for one in ranges if one.note))


def as_rgb(example: Any) -> tuple[np.ndarray, Range]:
    """A picture as 8-bit RGB, `(height, width, 3)`, and how its numbers were read.

    Args:
        example: A path; an encoded picture as `bytes` or `{"bytes", "path"}`, as `datasets` stores it; a `PIL.Image` of
            any mode; or an array or tensor: `(height, width)`, channels last or first, 1, 3 or 4 of them, of `uint8`
            (0 to 255), `uint16` (0 to 65535), `int64` (0 to 255), `bool`, or real numbers from 0 to 1.

    Raises:
        InputError: If it is none of these, has NaN in it, or numbers of unknown range; or if a file has more pixels
            than Pillow opens (twice `PIL.Image.MAX_IMAGE_PIXELS`, 179 million).
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError("PIL", "vision", "pictures") from error
    if isinstance(example, Mapping) and is_stored(example):
        data, name = example.get("bytes"), example.get("path")
        return as_rgb(name) if data is None else _read(io.BytesIO(data), Path(name or "picture").name)
    if isinstance(example, (bytes, bytearray)):
        return _read(io.BytesIO(example), "picture")
    if isinstance(example, (str, PathLike)):
        _exists(example)
        return _read(Path(example), Path(example).name)
    if isinstance(example, Image.Image):
        return _flattened(example)
    kind = None
    check_dense("a picture", example)
    if isinstance(example, Tensor):
        kind = str(example.dtype).removeprefix("torch.")
        example = example.detach().cpu()
        example = (example.float() if example.dtype == torch.bfloat16 else example).numpy()
    elif not isinstance(example, np.ndarray) and hasattr(example, "__array__"):
        example = np.asarray(example)
    if not isinstance(example, np.ndarray):
        got = f"an example of type {type(example).__name__}"
        raise InputError(got, "a path, a PIL image, an array or a tensor", "pass one picture, or a list of them")
    array, twice = _channels_last(example)
    eight, taken = _eight_bit(array, kind)
    if twice:
        taken = replace(taken, note=f"an array of shape {example.shape} was read with its channels last")
    return _flattened(Image.fromarray(eight))[0], taken


def _exists(example: str | PathLike[str]) -> None:
    """Refuse the name of what is no file."""
    if os.path.isfile(example):  # unlike Path.is_file, no error where a text is too long for a path
        return
    shown = textwrap.shorten(str(example), 80, placeholder=" …")
    if is_url(example):
        raise InputError(f"the address {shown!r}", "a local picture", "download it first, and pass its path")
    if os.path.isdir(example):
        do = "list its files, as in sorted(pathlib.Path(folder).glob('*.png')), or use explain_dataset"
        raise InputError(f"the folder {shown!r}", "an image file", do)
    raise InputError(f"path {shown!r}", "an image file that exists", "correct the path")


def _read(file: Any, name: str) -> tuple[np.ndarray, Range]:
    """A whole picture out of a path or an open file."""
    from PIL import Image

    try:
        with Image.open(file) as opened:
            opened.load()
            return _flattened(opened)
    except FourierError:
        raise
    except Image.DecompressionBombError as error:
        got = f"{name!r} of too many pixels ({error})"
        raise InputError(
            got, "a picture that Pillow opens", "make it smaller, or raise PIL.Image.MAX_IMAGE_PIXELS"
        ) from error
    except Exception as error:  # exceptions of Pillow's decoders have no common base
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].replace(str(file), name)
        got = f"{name!r}, which cannot be read ({reason:.300})"
        raise InputError(got, "a whole picture in a format that Pillow reads", "convert it") from error


def _flattened(image: Any) -> tuple[np.ndarray, Range]:
    """Any PIL mode as RGB; transparency is laid on white."""
    from PIL import Image, ImageOps

    try:
        format_, tags, taken = image.format, getattr(image, "tag_v2", {}), PLAIN  # which a turned picture has no more
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I") or image.mode == "F":
            grey, taken = _grey(image, format_, tags)
            image = Image.fromarray(grey)
        if "A" in image.getbands() or "transparency" in image.info:
            ground = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(ground, image.convert("RGBA"))
        return np.asarray(image.convert("RGB")), taken
    except FourierError:
        raise
    except (OSError, ValueError) as error:
        got = f"a picture of mode {image.mode} that cannot be read ({error})"
        raise InputError(got, "a whole picture that Pillow turns into RGB", "convert it") from error


def _grey(image: Any, format_: str | None, tags: Mapping[int, Any]) -> tuple[np.ndarray, Range]:
    """One channel of more than 8 bits, by the depth that its mode or its file states."""
    array, sixteen = np.asarray(image), image.mode.startswith("I;16")
    if image.mode == "I":
        if format_ not in STRETCHED:
            raise _nameless(array, "mode 'I' (32 bits)", "np.asarray(picture)")
        array = array.astype(np.uint16)
    bits: Sequence[int] = tags.get(_BITS, ()) if sixteen else ()
    stated = bits[0] if len(bits) == 1 and bits[0] < 16 else None
    eight, taken = _eight_bit(array, *((None, None) if stated is None else (f"{stated}-bit", 2**stated - 1)))
    if sixteen and tags.get(_PHOTOMETRIC) == 0:  # of which Pillow takes no notice
        eight, taken = 255 - eight, replace(taken, note="the file says that 0 is white")
    if sixteen and isinstance(clear := image.info.get("transparency"), int):
        eight = np.where(array == clear, np.uint8(255), eight)
    return eight, taken


def _channels_last(array: np.ndarray) -> tuple[np.ndarray, bool]:
    """An array with its channels last, or without them, and whether it could have been read the other way as well."""
    if array.ndim == 2 and array.size:
        return array, False
    if array.ndim == 3 and array.size and array.shape[-1] in (1, 3, 4):
        return (array[..., 0] if array.shape[-1] == 1 else array), array.shape[0] in (1, 3, 4)
    if array.ndim == 3 and array.size and array.shape[0] in (1, 3, 4):
        return (array[0] if array.shape[0] == 1 else np.moveaxis(array, 0, -1)), False
    raise InputError(
        f"an array of shape {array.shape}",
        "(height, width), (height, width, 1|3|4) or (1|3|4, height, width)",
        "pass one picture; several go in a list",
    )


def _eight_bit(array: np.ndarray, kind: str | None = None, white: float | None = None) -> tuple[np.ndarray, Range]:
    """Numbers as 8 bits, by their type (or by the white that a file states)."""
    name = kind or array.dtype.name
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array), PLAIN
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * 255, PLAIN
    real = array.dtype.kind == "f"
    if array.dtype.kind not in "iuf":
        raise InputError(f"an array of {array.dtype}", "real numbers", "convert it")
    if real and not np.isfinite(array).all():
        raise InputError("a picture with NaN or infinite pixels", "finite numbers", "repair the picture")
    white = 1 if real else WHITE.get(array.dtype.name) if white is None else white
    if white is None:
        raise _nameless(array, name, "array")
    low, high = float(array.min()), float(array.max())
    slack = SLACK if real else 0
    if low < -slack or high > white + slack:
        raise _beyond(name, low, high, real)
    clipped = int(((array < 0) | (array > white)).sum()) if low < 0 or high > white else 0
    scaled = array.astype(np.float64) * (255 / white)
    eight = np.rint(scaled.clip(0, 255) if clipped else scaled).astype(np.uint8)
    return np.ascontiguousarray(eight), Range(name, white, low, high, clipped)


def _beyond(name: str, low: float, high: float, real: bool) -> InputError:
    got, normalised = f"{name} pixels from {low:g} to {high:g}", "pass what is normalised as {'pixel_values': tensor}"
    if real:
        do = "divide by 255 where that is white (array / 255)" if low >= 0 else normalised
        return InputError(got, "real numbers from 0 to 1", do)
    if low < 0:
        return InputError(got, "whole numbers from 0 to 255", normalised)
    do = "pass array.astype(np.uint16) where 65535 is white, or array / white"
    return InputError(got, "0 to 255, or another type of number", do)


def _nameless(array: np.ndarray, name: str, written: str) -> InputError:
    """The error for numbers of unknown range."""
    got = f"pixels of {name} from {array.min():g} to {array.max():g}, for which white is not defined"
    if array.min() < 0:  # as in Hounsfield units
        do = f"pass ({written} - black) / (white - black), with what stands for black and for white"
    else:
        do = f"pass {written}.astype(np.uint8) where 255 is white, {written} / white where it is another number"
    return InputError(got, "uint8 (0 to 255), uint16 (0 to 65535), or real numbers from 0 to 1", do)
