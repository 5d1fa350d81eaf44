"""deepbet's brain extraction out of TorchScript."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from zipfile import ZipFile

import torch

from ..models.linknet3d import LinkNet3D, LinkNet3DConfig
from ..scans import at_size, dice, normalised, read_mri
from .checkpoint import graft
from .files import readme

_FILE = "data/models/bbox_model.pt"
"""Of the two networks that ship, the one that sees the whole head; the other sees a crop around the brain."""


def build(inputs: Mapping[str, Path], folder: Path) -> None:
    """Write the network with the weights of the TorchScript, and measure it on the head of `mri-head`."""
    with ZipFile(inputs["deepbet"]) as wheel:
        raw = wheel.read(_FILE)
    config = LinkNet3DConfig(id2label={0: "background", 1: "brain"}, label2id={"background": 0, "brain": 1})
    model = graft(LinkNet3D, config, script(raw).state_dict())
    model.save_pretrained(folder)
    scan = read_mri(inputs["mri-head"])
    found = {}
    for edge in (64, 128):
        volume = normalised(at_size(torch.from_numpy(scan["volume"]), edge))
        with torch.inference_mode():
            chances = model(volume[None, None]).logits.softmax(1)[0, 1]
        found[edge] = dice(at_size(chances, scan["mask"].shape, smooth=True).numpy() > 0.5, scan["mask"])
    readme(
        folder,
        "Brain extraction in 3-D",
        "deepbet's first network, a LinkNet, as a class of this package: call "
        "`hf_fourier.demo.models.linknet3d.register()`, then `AutoModelForSemanticSegmentation.from_pretrained`. "
        "The softmax of its logits (background, brain) is what the TorchScript gives.",
        "Input: a whole head in canonical orientation (left to right, back to front, bottom to top), resized to a cube "
        "whose edge is a multiple of 32 and scaled by `hf_fourier.demo.scans.normalised`. It was made for 128.",
        "Overlap (Dice) with the mask of `mri-head`: "
        + ", ".join(f"{value:.3f} at {edge}³" for edge, value in found.items())
        + ".",
    )


def script(raw: bytes) -> torch.jit.ScriptModule:
    """The network as it ships; its output is a softmax."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.load(io.BytesIO(raw), map_location="cpu").eval()
