"""Ways to present one and the same text, picture, sound, cell or series, and things that are none."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy.io import wavfile

RATE = 16_000


@dataclass(frozen=True)
class Shown:
    """What a user passes.

    Attributes:
        example: As it is passed.
        content: What it means, as the plain reference reads it; None for what means nothing and has to be refused.
        plainly: Whether it has one meaning: it may then be neither refused nor read in another way, whatever is said.
            What has several may be refused, or read in any way that is said.
    """

    example: Any
    content: Any
    plainly: bool = True


Form = Callable[[Any], Shown]


def _reversed(array: np.ndarray) -> np.ndarray:
    """The same numbers behind negative strides."""
    return np.ascontiguousarray(array[::-1])[::-1]


def _between(array: np.ndarray) -> np.ndarray:
    """The same numbers, every other one of a larger array."""
    wide = np.zeros((2 * len(array), *array.shape[1:]), array.dtype)
    wide[::2] = array
    return wide[::2]


def _locked(array: np.ndarray) -> np.ndarray:
    own = array.copy()
    own.setflags(write=False)
    return own


def _swapped(array: np.ndarray) -> np.ndarray:
    return array.astype(array.dtype.newbyteorder())


#: Arrays as they lie in memory.
VIEWS: dict[str, Callable[[np.ndarray], Any]] = {
    "negative strides": _reversed,
    "every other": _between,
    "read only": _locked,
    "fortran": np.asfortranarray,
    "other byte order": _swapped,
    "tensor": lambda a: torch.from_numpy(a.copy()),
    "tensor between": lambda a: torch.from_numpy(np.repeat(a, 2, axis=0))[::2],
}


# Texts.


class Worded(str):
    """A string of another class."""


def _each(change: Callable[[str], Any]) -> Callable[[Any], Any]:
    """A change of a text, or of the last of several."""

    def changed(content: Any) -> Any:
        if isinstance(content, str):
            return change(content)
        *others, last = content
        if isinstance(last, list):  # a prompt with its choices
            return (*others, [*last[:-1], change(last[-1])])
        return (*others, change(last))

    return changed


def _same(change: Callable[[str], Any]) -> Form:
    return lambda content: Shown(_each(change)(content), content)


def _other(change: Callable[[str], str]) -> Form:
    """Another text, which the tokenizer can read."""
    return lambda content: Shown(_each(change)(content), _each(change)(content))


def none_of(example: Any) -> Form:
    return lambda content: Shown(example, None, plainly=False)


def perhaps(change: Callable[[Any], Any]) -> Form:
    return lambda content: Shown(change(content), content, plainly=False)


LETTERS: dict[str, Form] = {
    "str": _same(str),
    "numpy str": _same(np.str_),
    "str subclass": _same(Worded),
}
NO_TEXT: dict[str, Form] = {
    "empty": lambda content: Shown("" if isinstance(content, str) else None, None, plainly=False),
    "white space": none_of(" \n\t "),
    "bytes": none_of(b"w10 w11"),
    "a number": none_of(3),
    "NaN": none_of(float("nan")),
    "nothing": none_of(None),
    "a set": none_of({"w10"}),
}
TEXTS: dict[str, Form] = {
    **LETTERS,
    "spread": _same(lambda text: "  " + text.replace(" ", " \n ") + "\t"),
    "right to left": _other(lambda text: text + " نص عربي \u202e w11"),
    "emoji": _other(lambda text: text + " 👩‍👩‍👧 w12"),
    "NUL": _other(lambda text: text + " \x00 w13"),
    "long": _other(lambda text: " ".join([text] * 40)),
    "lone surrogate": perhaps(_each(lambda text: text + " \ud800")),
    **NO_TEXT,
}
SEQUENCES: dict[str, Form] = {
    **LETTERS,
    "spread": _same(lambda text: f" {text[:3]}\n{text[3:]} "),
    "small letters": _same(str.lower),
    "long": _other(lambda text: text * 30),
    "lone surrogate": perhaps(_each(lambda text: text + "\ud800")),
    **NO_TEXT,
}


# Cells: `{"genes": ids, "values": counts}`.


def _cell(genes: Callable[[list[str]], Any], values: Callable[[np.ndarray], Any]) -> Form:
    return lambda cell: Shown({"genes": genes(cell["genes"]), "values": values(np.array(cell["values"]))}, cell)


def _turned(cell: dict[str, Any]) -> Shown:
    return Shown({"genes": cell["genes"][::-1], "values": cell["values"][::-1]}, cell)


def _silent(cell: dict[str, Any]) -> Shown:
    """With a gene that was not seen, which has no rank."""
    return Shown({"genes": [*cell["genes"], "ENSG00000000057"], "values": [*cell["values"], 0]}, cell)


CELLS: dict[str, Form] = {
    "lists": _cell(list, np.ndarray.tolist),
    "arrays": _cell(np.array, np.array),
    "objects": _cell(lambda g: np.array(g, object), lambda v: v.astype(object)),
    "tuples": _cell(tuple, tuple),
    "tensor": _cell(list, torch.tensor),
    "int8": _cell(list, lambda v: v.astype(np.int8)),
    "uint16": _cell(np.array, lambda v: v.astype(np.uint16)),
    "float16": _cell(list, lambda v: v.astype(np.float16)),
    "float32 tensor": _cell(list, lambda v: torch.tensor(v).float()),
    "other order": _turned,
    "not seen": _silent,
    "NaN": perhaps(lambda cell: {**cell, "values": [float("nan"), *cell["values"][1:]]}),
    "below zero": perhaps(lambda cell: {**cell, "values": [-1.0, *cell["values"][1:]]}),
    "too few values": none_of({"genes": ["ENSG00000000001", "ENSG00000000002"], "values": [1.0]}),
    "no known gene": none_of({"genes": ["ENSG99999999999"], "values": [1.0]}),
    "no gene": none_of({"genes": [], "values": []}),
    "values as words": none_of({"genes": ["ENSG00000000001"], "values": ["many"]}),
    "a text": none_of("ENSG00000000001"),
}


# Pictures: uint8 `(height, width, 3)`.


def _pixels(change: Callable[[np.ndarray], Any], plainly: bool = True) -> Form:
    return lambda picture: Shown(change(picture), picture, plainly)


def _first(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(array, -1, 0))


def _grey(picture: np.ndarray) -> np.ndarray:
    return np.repeat(picture[..., :1], 3, axis=-1)


def _greys(change: Callable[[np.ndarray], Any], plainly: bool = True) -> Form:
    """A picture without colours, given as one plane."""
    return lambda picture: Shown(change(np.ascontiguousarray(picture[..., 0])), _grey(picture), plainly)


def _two_levels(change: Callable[[np.ndarray], Any]) -> Form:
    def form(picture: np.ndarray) -> Shown:
        on = picture[..., 0] > 127
        return Shown(change(on), _grey((on * np.uint8(255))[..., None]))

    return form


def _file(kind: str) -> Callable[[np.ndarray], bytes]:
    def written(picture: np.ndarray) -> bytes:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, kind)
        return file.getvalue()

    return written


def _opaque(picture: np.ndarray) -> np.ndarray:
    return np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])


def _signed(picture: np.ndarray) -> Shown:
    """From −1 to 1, with something dark in it: what is bright all over cannot be told from 0 to 1."""
    dark = picture.copy()
    dark[0, 0] = 0
    return Shown(dark / 127.5 - 1, dark, plainly=False)


PICTURES: dict[str, Form] = {
    "PIL": _pixels(Image.fromarray),
    "PIL RGBA": _pixels(lambda a: Image.fromarray(_opaque(a))),
    "PIL L": _greys(Image.fromarray),
    "PIL LA": _greys(lambda a: Image.fromarray(a).convert("LA")),
    "PIL 1": _two_levels(Image.fromarray),
    "PIL I;16": _greys(lambda a: Image.fromarray(a.astype(np.uint16) * 257)),
    "PIL I": _greys(lambda a: Image.fromarray(a.astype(np.int32)), plainly=False),
    "PIL F": _greys(lambda a: Image.fromarray(a.astype(np.float32)), plainly=False),
    "uint8": _pixels(np.copy),
    "uint8 channels first": _pixels(_first),
    "uint8 RGBA": _pixels(_opaque),
    "uint8 grey": _greys(np.copy),
    "uint8 grey with an axis": _greys(lambda a: a[..., None]),
    "uint8 grey channels first": _greys(lambda a: a[None]),
    "bool": _two_levels(np.copy),
    "bool tensor": _two_levels(torch.from_numpy),
    "float64": _pixels(lambda a: a / 255),
    "float32": _pixels(lambda a: (a / 255).astype(np.float32)),
    "float16": _pixels(lambda a: (a / 255).astype(np.float16)),
    "float32 channels first": _pixels(lambda a: _first(a / 255).astype(np.float32)),
    "float tensor": _pixels(lambda a: torch.from_numpy(_first(a / 255)).float().requires_grad_(True)),
    "bfloat16 tensor": _pixels(lambda a: torch.from_numpy(_first(a / 255)).bfloat16(), plainly=False),
    "channels last tensor": _pixels(
        lambda a: torch.from_numpy(_first(a))[None].contiguous(memory_format=torch.channels_last)[0]
    ),
    "uint16": _pixels(lambda a: a.astype(np.uint16) * 257),
    "12 bits": _pixels(lambda a: a.astype(np.uint16) * 16, plainly=False),
    "float 0 to 255": _pixels(lambda a: a.astype(np.float32), plainly=False),
    "overshoot": _pixels(lambda a: a / 255 * (1 + 1e-4), plainly=False),
    "undershoot": _pixels(lambda a: a / 255 - 1e-4, plainly=False),
    "-1 to 1": _signed,
    "int16": _pixels(lambda a: a.astype(np.int16), plainly=False),
    "int32": _pixels(lambda a: a.astype(np.int32), plainly=False),
    "int64": _pixels(lambda a: a.astype(np.int64), plainly=False),
    "int64 tensor": _pixels(lambda a: torch.from_numpy(_first(a)).long(), plainly=False),
    "uint32": _pixels(lambda a: a.astype(np.uint32), plainly=False),
    "bytes": _pixels(_file("png"), plainly=False),
    "undecoded": _pixels(lambda a: {"bytes": _file("png")(a), "path": None}, plainly=False),
    "a list of rows": _pixels(np.ndarray.tolist, plainly=False),
    "NaN": none_of(np.full((9, 9, 3), np.nan)),
    "infinite": none_of(np.full((9, 9, 3), np.inf, np.float32)),
    "below zero": none_of(np.full((9, 9, 3), -7)),
    "no pixels": none_of(np.zeros((0, 9, 3), np.uint8)),
    "five channels": none_of(np.zeros((9, 9, 5), np.uint8)),
    "complex": none_of(np.zeros((9, 9), np.complex64)),
    "objects": none_of(np.array([["a", None]], object)),
    "no file": none_of("no such file.png"),
    "a text with NUL": none_of("\x00"),
    "no bytes": none_of(b"no picture"),
    "nothing": none_of(None),
    "a number": none_of(0.5),
    **{name: _pixels(view) for name, view in VIEWS.items()},
}


# Sounds: float32 `(samples,)` at `RATE`.


def _samples(change: Callable[[np.ndarray], Any], plainly: bool = True) -> Form:
    return lambda sound: Shown((change(sound), RATE), sound, plainly)


def _rate(change: Callable[[int], Any], plainly: bool = True) -> Form:
    return lambda sound: Shown((sound, change(RATE)), sound, plainly)


def _coded(dtype: type, change: Callable[[np.ndarray], Any] = np.copy) -> Form:
    """Whole numbers, whose full range is ±1."""

    def form(sound: np.ndarray) -> Shown:
        half = 2.0 ** (8 * np.dtype(dtype).itemsize - 1)
        middle = half if np.dtype(dtype).kind == "u" else 0
        code = np.clip(np.rint(sound.astype(np.float64) * half) + middle, *_ends(dtype)).astype(dtype)
        return Shown((change(code), RATE), ((code.astype(np.float64) - middle) / half).astype(np.float32))

    return form


def _ends(dtype: type) -> tuple[int, int]:
    return np.iinfo(dtype).min, np.iinfo(dtype).max


def _halved(sound: np.ndarray) -> Shown:
    half = sound.astype(np.float16)
    return Shown((half, RATE), half.astype(np.float32))


def _wav(sound: np.ndarray) -> bytes:
    file = io.BytesIO()
    wavfile.write(file, RATE, sound)
    return file.getvalue()


SOUNDS: dict[str, Form] = {
    "pair": _samples(np.copy),
    "mapping": lambda s: Shown({"array": s, "sampling_rate": RATE, "path": None}, s),
    "raw mapping": lambda s: Shown({"raw": s, "sampling_rate": RATE}, s),
    "undecoded": perhaps(lambda s: {"bytes": _wav(s), "path": None}),
    "no rate": lambda s: Shown(s, s),
    "float64": _samples(lambda s: s.astype(np.float64)),
    "float16": _halved,
    "int16": _coded(np.int16),
    "int16 tensor": _coded(np.int16, torch.from_numpy),
    "int32": _coded(np.int32),
    "uint8": _coded(np.uint8),
    "int64": _samples(lambda s: np.rint(s * 32767).astype(np.int64), plainly=False),
    "bool": none_of((np.ones(900, bool), RATE)),
    "stereo": _samples(lambda s: np.stack([s * 1.5, s * 0.5])),
    "stereo behind": _samples(lambda s: np.stack([s * 1.5, s * 0.5], axis=1)),
    "one channel": _samples(lambda s: s[None]),
    "one channel behind": _samples(lambda s: s[:, None]),
    "with a gradient": _samples(lambda s: torch.from_numpy(s.copy()).requires_grad_(True)),
    "a list": _samples(np.ndarray.tolist, plainly=False),
    "rate as float": _rate(float),
    "rate as numpy": _rate(np.int32),
    "rate as float32": _rate(np.float32),
    "rate as tensor": _rate(torch.tensor, plainly=False),
    "rate as array": _rate(np.array),
    "rate as text": _rate(str, plainly=False),
    "no whole rate": none_of((np.ones(900, np.float32), 16000.5)),
    "rate below zero": none_of((np.ones(900, np.float32), -RATE)),
    "a batch": none_of((np.zeros((2, 3, 900), np.float32), RATE)),
    "NaN": none_of((np.full(900, np.nan, np.float32), RATE)),
    "no samples": none_of((np.zeros(0, np.float32), RATE)),
    "no file": none_of("no such file.wav"),
    "a text with NUL": none_of("\x00"),
    "no bytes": none_of({"bytes": b"no sound", "path": None}),
    "no array": none_of({"sampling_rate": RATE}),
    "nothing": none_of(None),
    "a number": none_of(0.5),
    **{name: _samples(view) for name, view in VIEWS.items()},
}


# Series: float32 `(time, channels)`.


def _steps(change: Callable[[np.ndarray], Any], plainly: bool = True) -> Form:
    return lambda series: Shown(change(series), series, plainly)


def _rounded(dtype: type) -> Form:
    def form(series: np.ndarray) -> Shown:
        whole = np.rint(series * 3).astype(dtype)
        return Shown(whole, whole.astype(np.float32))

    return form


SERIES: dict[str, Form] = {
    "float32": _steps(np.copy),
    "float64": _steps(lambda s: s.astype(np.float64)),
    "int64": _rounded(np.int64),
    "int16": _rounded(np.int16),
    "with a gradient": _steps(lambda s: torch.from_numpy(s.copy()).requires_grad_(True)),
    "transposed tensor": _steps(lambda s: torch.from_numpy(np.ascontiguousarray(s.T)).T),
    "a list of steps": _steps(np.ndarray.tolist, plainly=False),
    "channels first": _steps(lambda s: np.ascontiguousarray(s.T), plainly=False),
    "NaN": none_of(np.full((24, 2), np.nan, np.float32)),
    "complex": none_of(np.ones((24, 2), np.complex64)),
    "objects": none_of(np.full((24, 2), None, object)),
    "no steps": none_of(np.zeros((0, 2), np.float32)),
    "three axes": none_of(np.zeros((1, 2, 3, 4), np.float32)),
    "nothing": none_of(None),
    "a text": none_of("w10"),
    **{name: _steps(view) for name, view in VIEWS.items()},
}
