"""Values and tensors in a folder: tensors as safetensors, the rest as JSON, both written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from hf_fourier.domains import Axis, SignalShape
from hf_fourier.errors import InputError

TENSORS, VALUES = "attribution.safetensors", "attribution.json"


def write(folder: str | PathLike[str], values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Path:
    """Write `attribution.json` and `attribution.safetensors` into a folder, which is made if it does not exist.

    Raises:
        InputError: If it is a file.
    """
    from safetensors.torch import save_file

    path = Path(folder)
    if path.exists() and not path.is_dir():
        raise InputError(f"the file {path.name!r}", "a folder, or a name that does not exist yet", "choose a folder")
    path.mkdir(parents=True, exist_ok=True)
    text = json.dumps(values, indent=1, ensure_ascii=False)
    # Copies: what shares memory cannot be written.
    ready = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    _replace(
        {
            path / TENSORS: lambda to: save_file(ready, to),
            path / VALUES: lambda to: to.write_text(text, encoding="utf-8"),
        }
    )
    return path


def read(folder: str | PathLike[str]) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Read what `write` wrote.

    Raises:
        InputError: If the folder holds none.
    """
    from safetensors.torch import load_file

    path = Path(folder)
    if not (path / VALUES).is_file() or not (path / TENSORS).is_file():
        raise InputError(f"{path.name!r}", f"a folder with {VALUES} and {TENSORS}", "pass a folder that `save` wrote")
    values: dict[str, Any] = json.loads((path / VALUES).read_text(encoding="utf-8"))
    return values, load_file(path / TENSORS)


@lru_cache(maxsize=256)
def signal_values(signal: SignalShape) -> dict[str, Any]:
    """A signal's shape as plain values, which many results share."""
    return asdict(signal)


def shape_from_dict(values: dict[str, Any]) -> SignalShape:
    """A signal's shape out of its plain values."""
    return SignalShape(values["kind"], tuple(Axis(**axis) for axis in values["axes"]), tuple(values["segments"]))


def _replace(writers: dict[Path, Callable[[Path], Any]]) -> None:
    """Write temporary files first, then rename them, so that an interruption leaves no part of a file or pair."""
    parts = {path: path.with_name(f"{path.name}.{os.getpid()}.part") for path in writers}
    try:
        for path, write in writers.items():
            write(parts[path])
        for path, part in parts.items():
            part.replace(path)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)
