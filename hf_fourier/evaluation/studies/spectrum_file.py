"""The file of a model's spectrum: arrays and plain values in safetensors, with their digests, checked when read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hf_fourier.errors import InputError
from hf_fourier.methods.filters import MEASURES
from hf_fourier.results.atomic_writes import write_whole
from hf_fourier.results.integrity import damaged, parsing, to_json
from hf_fourier.results.schema import NUMBER, Malformed, check
from hf_fourier.results.tensor_files import bytes_tensor, laid_out_sealed, read_sealed

#: In format 1 the plain values stood in the file's metadata, and nothing had a digest.
FORMAT = 2
ARRAYS = ("readings", "empty", "clean", "shapley", "labels")
_VALUES = "values"
_SCHEMA = {
    "model": str,
    "bands": [{"name": str, "low": NUMBER, "high": NUMBER, "unit": str}],
    "filters": [str],
    "by": [str],
    "clusters": [str],
    "made_by": dict,
    "class_names": dict,
    "failures": int,
}
_HINT = "restore it from a copy, or make the spectrum again"


def write(path: Path, values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Path:
    """Write a spectrum as one file, whole or not at all.

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
    """The plain values and arrays that `write` wrote, or an earlier version.

    Raises:
        InputError: If it is no such file, or one of a newer format.
        DamagedFile: If it is not as it was written.
        StorageError: If it cannot be read.
    """
    if not path.is_file():
        raise InputError(f"{path.name!r}, which is no file", "a file that `ModelSpectrum.save` wrote", "pass that one")
    tensors = read_sealed(path, _HINT)
    text = bytes(tensors.pop(_VALUES).numpy()) if _VALUES in tensors else _metadata(path)
    if text is None:
        raise InputError(
            f"{path.name!r}, another file of tensors", "one that `ModelSpectrum.save` wrote", "pass that one"
        )
    with parsing(path, _HINT):
        values = json.loads(text)
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
    examples, filters, bands = len(arrays["clean"]), len(values["filters"]), len(values["bands"])
    shapes = {
        "readings": (examples, filters, bands, len(MEASURES)),
        "empty": (examples, len(MEASURES)),
        "clean": (examples, len(MEASURES)),
        "shapley": (examples, bands),
        "labels": (examples,),
    }
    for name, shape in shapes.items():
        if arrays[name].shape != shape or arrays[name].dtype.kind != "f":
            raise Malformed(f"{name} of shape {arrays[name].shape}, not {shape}")
    for name in ("by", "clusters"):
        if len(values[name]) not in (0, examples):
            raise Malformed(f"{len(values[name])} entries of {name!r} for {examples} examples")


def _metadata(path: Path) -> str | None:
    """The plain values of a file of format 1; None where there are none.

    Raises:
        DamagedFile: If the file cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            text: str | None = (file.metadata() or {}).get("spectrum")
            return text
    except (SafetensorError, ValueError) as error:
        raise damaged(path, f"it is no file of tensors ({error})", _HINT) from error
