"""The file of a Fourier heat map: arrays and plain values in safetensors, with their digests, checked when read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hf_fourier.errors import InputError
from hf_fourier.methods.filters import MEASURES
from hf_fourier.results.atomic_writes import write_whole
from hf_fourier.results.integrity import parsing, to_json
from hf_fourier.results.schema import Malformed, check
from hf_fourier.results.tensor_files import bytes_tensor, laid_out_sealed, read_sealed

FORMAT = 1
ARRAYS = ("frequencies", "readings", "clean", "labels")
_VALUES = "heat map"
_SCHEMA = {
    "model": str,
    "axes": [{"name": str, "unit": str}],
    "clusters": [str],
    "made_by": dict,
    "class_names": dict,
    "failures": int,
}
_HINT = "restore it from a copy, or make the heat map again"


def write(path: Path, values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Path:
    """Write a heat map as one file, whole or not at all.

    Args:
        path: The file.
        values: Its plain values.
        arrays: By the names in `ARRAYS`.

    Raises:
        StorageError: If it cannot be written.
    """
    import torch

    tensors = {name: torch.from_numpy(np.array(arrays[name], order="C")) for name in ARRAYS}
    text = bytes_tensor(to_json({"format": FORMAT, **values}))
    write_whole(path, laid_out_sealed({**tensors, _VALUES: text}))
    return path


def read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The plain values and arrays that `write` wrote.

    Raises:
        InputError: If it is no such file, or one of a newer format.
        DamagedFile: If it is not as it was written.
        StorageError: If it cannot be read.
    """
    if not path.is_file():
        raise InputError(f"{path.name!r}, which is no file", "a file that `HeatMap.save` wrote", "pass that one")
    tensors = read_sealed(path, _HINT)
    if _VALUES not in tensors:
        raise InputError(f"{path.name!r}, another file of tensors", "one that `HeatMap.save` wrote", "pass that one")
    with parsing(path, _HINT):
        values = json.loads(bytes(tensors.pop(_VALUES).numpy()))
        check(values, {"format": int})
        if values["format"] > FORMAT:
            raise InputError(f"format {values['format']}", f"at most {FORMAT}", "install a newer hf_fourier")
        check(values, _SCHEMA)
        check(list(values["class_names"].values()), [str], "the names of classes")
        _ = [int(number) for number in values["class_names"]]
        if not tensors.keys() >= set(ARRAYS):
            raise Malformed(f"no {', '.join(sorted(set(ARRAYS) - tensors.keys()))}")
        arrays = {name: tensors[name].numpy() for name in ARRAYS}
        _check_shapes(values, arrays)
        return values, arrays


def _check_shapes(values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Check that arrays fit each other and the values.

    Raises:
        Malformed: If they do not.
    """
    examples, waves, axes = len(arrays["clean"]), len(arrays["frequencies"]), len(values["axes"])
    shapes = {
        "frequencies": (waves, axes),
        "readings": (examples, waves, len(MEASURES)),
        "clean": (examples, len(MEASURES)),
        "labels": (examples,),
    }
    for name, shape in shapes.items():
        if arrays[name].shape != shape or arrays[name].dtype.kind != "f":
            raise Malformed(f"{name} of shape {arrays[name].shape}, not {shape}")
    if not axes or not waves or len(values["clusters"]) not in (0, examples):
        raise Malformed("no axis, no wave, or not one cluster for each example")
