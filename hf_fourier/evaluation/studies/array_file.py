"""Files of a study: arrays with a number or more for each example, and plain values, in one safetensors file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hf_fourier.errors import InputError
from hf_fourier.results.atomic_writes import write_whole


def write_arrays(path: Path, key: str, arrays: Mapping[str, np.ndarray], values: Mapping[str, Any]) -> Path:
    """Write one file, whole or not at all, and return its path.

    Args:
        path: The file; its folder is made.
        key: The name of the values in the file's header.
        arrays: By name.
        values: Plain values, with the number of their `format`.

    Raises:
        StorageError: If the disk is full, or the folder cannot be written.
    """
    from safetensors.numpy import save

    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    write_whole(path, [save(whole, {key: json.dumps(values, ensure_ascii=False)})])
    return path


def read_arrays(
    path: Path, key: str, names: Sequence[str], newest: int, written_by: str
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The values and the arrays that `write_arrays` wrote.

    Args:
        path: The file.
        key: The name of the values.
        names: Of the arrays.
        newest: The newest format that can be read.
        written_by: What writes such files, for the message.

    Raises:
        InputError: If it is no such file, or one of a newer format.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            values = json.loads(file.metadata()[key])
            arrays = {name: file.get_tensor(name) for name in names}
            written = int(values["format"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        got = f"{path.name!r}, which cannot be read ({type(error).__name__})"
        raise InputError(got, f"a file that `{written_by}` wrote", "pass that one") from error
    if written > newest:
        raise InputError(f"format {written}", f"at most {newest}", "install a newer hf_fourier")
    return values, arrays
