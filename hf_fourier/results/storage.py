"""One attribution in a folder: tensors as safetensors, the rest as JSON, both written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from hf_fourier.domains import DOMAINS, Axis, LeafShape
from hf_fourier.errors import InputError
from hf_fourier.results.curve import Curve
from hf_fourier.results.views import view_from

if TYPE_CHECKING:
    from hf_fourier.results.attribution import Attribution

FORMAT = 1
TENSORS, VALUES = "attribution.safetensors", "attribution.json"
#: Extras that are examples themselves, and are left out of a compact result.
EXAMPLES = ("adversarial",)


def save(result: Attribution, folder: str | PathLike[str], compact: bool = False) -> Path:
    """Write one result; see `Attribution.save`."""
    from safetensors.torch import save_file

    path = Path(folder)
    if path.exists() and not path.is_dir():
        raise InputError(f"the file {path.name!r}", "a folder, or a name that does not exist yet", "choose a folder")
    path.mkdir(parents=True, exist_ok=True)
    values, tensors = parts(result, compact)
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


def load(folder: str | PathLike[str]) -> Attribution:
    """Read one result; see `Attribution.load`."""
    from safetensors.torch import load_file

    path = Path(folder)
    if not (path / VALUES).is_file() or not (path / TENSORS).is_file():
        raise InputError(f"{path.name!r}", f"a folder with {VALUES} and {TENSORS}", "pass a folder that `save` wrote")
    values: dict[str, Any] = json.loads((path / VALUES).read_text(encoding="utf-8"))
    return from_parts(values, load_file(path / TENSORS))


def parts(result: Attribution, compact: bool = False) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """What a result is made of: plain values for JSON, and tensors by name."""
    tensors = {"scores": result.scores}
    if not compact:
        example = {"leaf": result.leaf, "gradient": result.gradient, "frozen": result.frozen}
        tensors.update({name: tensor for name, tensor in example.items() if tensor is not None})
        tensors.update({f"inputs.{name}": tensor for name, tensor in result.inputs.items()})
        tensors.update({f"source.{name}": tensor for name, tensor in result.source.items()})
    kept = {name: v for name, v in result.extras.items() if not (compact and name in EXAMPLES)}
    extras = {name: v for name, v in kept.items() if isinstance(v, torch.Tensor)}
    tensors.update({f"extras.{name}": tensor for name, tensor in extras.items()})
    values = {
        "format": FORMAT,
        "domain": result.layout.domain,
        "leaf": _leaf_values(result.layout.leaf),
        "target": result.target,
        "label": result.label,
        "confidence": result.confidence,
        "value": result.value,
        "provenance": result.provenance,
        "alternatives": [list(pair) for pair in result.alternatives],
        "names": [] if compact else list(result.names),
        "view": result.view.to_dict(),
        "extras": {name: v for name, v in kept.items() if name not in extras},
        "gap": result.gap,
        "curve": None if result.curve is None else result.curve.to_dict(),
        "key": result.key,
        "agrees": result.agrees,
    }
    return values, tensors


def from_parts(values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Attribution:
    """The result that `parts` took apart.

    Raises:
        InputError: If it is of a newer format.
    """
    from hf_fourier.results.attribution import Attribution

    if values["format"] > FORMAT:
        raise InputError(f"format {values['format']}", f"at most {FORMAT}", "install a newer hf_fourier")
    return Attribution(
        scores=tensors["scores"],
        layout=DOMAINS.parse(values["domain"]).bind(leaf_from(values["leaf"])).layout,
        target=values["target"],
        label=values["label"],
        confidence=values["confidence"],
        value=values["value"],
        leaf=tensors.get("leaf"),
        gradient=tensors.get("gradient"),
        provenance=values["provenance"],
        alternatives=[(name, p) for name, p in values["alternatives"]],
        names=values["names"],
        view=view_from(values["view"]),
        inputs=_below(tensors, "inputs."),
        source=_below(tensors, "source."),
        extras={**values["extras"], **_below(tensors, "extras.")},
        gap=values["gap"],
        curve=None if values["curve"] is None else Curve.from_dict(values["curve"]),
        fingerprint=values["key"],
        frozen=tensors.get("frozen"),
        agrees=values.get("agrees"),
    )


@lru_cache(maxsize=256)
def _leaf_values(leaf: LeafShape) -> dict[str, Any]:
    """A leaf's shape as plain values, which many results share."""
    return asdict(leaf)


def leaf_from(values: dict[str, Any]) -> LeafShape:
    """A leaf's shape out of its plain values."""
    return LeafShape(values["kind"], tuple(Axis(**axis) for axis in values["axes"]), tuple(values["segments"]))


def _below(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _replace(writers: dict[Path, Callable[[Path], Any]]) -> None:
    """Write neighbours of all files first, so that a run that is cut off leaves neither half a file nor half a pair."""
    parts = {path: path.with_name(f"{path.name}.{os.getpid()}.part") for path in writers}
    try:
        for path, write in writers.items():
            write(parts[path])
        for path, part in parts.items():
            part.replace(path)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)
