"""Files that hold the arrays and the plain values of one finding, such as a heat map, with digests of both."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hf_fourier.errors import InputError
from hf_fourier.results.atomic_writes import write_whole
from hf_fourier.results.integrity import parsing, to_json
from hf_fourier.results.schema import Malformed, check
from hf_fourier.results.tensor_files import bytes_tensor, laid_out_sealed, read_sealed


@dataclass(frozen=True)
class SealedValues:
    """One kind of file: safetensors with the plain values as JSON in a tensor of bytes.

    Attributes:
        name: The name of the tensor with the plain values.
        saved_by: What writes such files, for errors ("HeatMap.save").
        format: The number of the format that is written, the newest that is read.
        schema: Of the plain values, as `hf_fourier.results.schema.check` takes it.
        hint: What can be done where a file is damaged.
        fits: Checks that plain values and arrays fit each other; raises anything if they do not.
        earlier: Reads the plain values of formats that had them elsewhere; it returns None for a file of another
            kind. None where there are no such formats.
    """

    name: str
    saved_by: str
    format: int
    schema: Mapping[str, Any]
    hint: str
    fits: Callable[[Mapping[str, Any], Mapping[str, np.ndarray]], None]
    earlier: Callable[[Path], str | None] | None = None

    def write(self, path: Path, values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Path:
        """Write one file, whole or not at all.

        Args:
            path: The file.
            values: Its plain values, by the names in `schema`.
            arrays: By name.

        Raises:
            StorageError: If it cannot be written.
        """
        tensors = {name: torch.from_numpy(np.array(array, order="C")) for name, array in arrays.items()}
        text = bytes_tensor(to_json({"format": self.format, **values}))
        write_whole(path, laid_out_sealed({**tensors, self.name: text}))
        return path

    def read(self, path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The plain values and arrays that `write` wrote, or an earlier version.

        Raises:
            InputError: If it is no such file, or one of a newer format.
            DamagedFile: If it is not as it was written.
            StorageError: If it cannot be read.
        """
        if not path.is_file():
            raise InputError(
                f"{path.name!r}, which is not a file", f"a file that `{self.saved_by}` wrote", "pass that one"
            )
        tensors = read_sealed(path, self.hint)
        text: str | bytes | None = self.earlier(path) if self.earlier and self.name not in tensors else None
        if self.name in tensors:
            text = bytes(tensors.pop(self.name).numpy())
        if text is None:
            got = f"{path.name!r}, another file of tensors"
            raise InputError(got, f"one that `{self.saved_by}` wrote", "pass that one")
        with parsing(path, self.hint):
            values = json.loads(text)
            check(values, {"format": int})
            if values["format"] > self.format:
                raise InputError(f"format {values['format']}", f"at most {self.format}", "install a newer hf_fourier")
            check(values, self.schema)
            arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
            self.fits(values, arrays)
            names = (name.removesuffix("?") for name in self.schema)
            return {name: values[name] for name in names if name in values}, arrays


def check_present(arrays: Mapping[str, np.ndarray], names: Iterable[str]) -> None:
    """Check that there are exactly these arrays.

    Raises:
        Malformed: If there are not.
    """
    if missing := set(names) - arrays.keys():
        raise Malformed(f"no {', '.join(sorted(missing))}")
    if more := arrays.keys() - set(names):
        raise Malformed(f"{', '.join(sorted(more))} too")


def check_shapes(arrays: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Check that arrays hold floating-point numbers and have these shapes.

    Raises:
        Malformed: If they do not.
    """
    for name, shape in shapes.items():
        if arrays[name].shape != shape or arrays[name].dtype.kind != "f":
            raise Malformed(f"{name} of shape {arrays[name].shape}, not {shape}")


def check_class_names(names: Mapping[str, Any]) -> None:
    """Check that the keys of a mapping are whole numbers as text, and its values texts.

    Raises:
        Malformed: If a value is no text.
        ValueError: If a key is no whole number.
    """
    check(list(names.values()), [str], "the names of classes")
    for number in names:
        int(number)
