"""The volume asset as arrays, and what the brain extraction needs around it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_fourier.models.inputs.nifti import read_nifti

from .build import DEMO

if TYPE_CHECKING:
    import numpy as np
    import torch


def head_mri() -> dict[str, Any]:
    """A T1-weighted scan of a human head, as `{"volume", "mask", "spacing"}`.

    `volume` is float32, its axes run from left to right, back to front and bottom to top; `mask` says for each voxel
    whether it belongs to the brain; `spacing` is the distance of voxels along each axis in mm.
    """
    return read_mri(DEMO.get("mri-head"))


def read_mri(folder: Path) -> dict[str, Any]:
    """The scan of a folder that `mri-head` filled."""
    volume, spacing = read_nifti(folder / "head.nii.gz")
    brain, _ = read_nifti(folder / "brain.nii.gz")
    return {"volume": volume, "mask": brain > brain.min(), "spacing": spacing}


def at_size(volume: "torch.Tensor", size: int | tuple[int, ...], smooth: bool = False) -> "torch.Tensor":
    """A volume resized to a cube, or to a shape: by the nearest voxel, or trilinearly where `smooth`."""
    import torch

    shape = (size,) * 3 if isinstance(size, int) else size
    mode = "trilinear" if smooth else "nearest-exact"
    return torch.nn.functional.interpolate(volume[None, None], shape, mode=mode)[0, 0]


def normalised(volume: "torch.Tensor") -> "torch.Tensor":
    """A volume as deepbet wants it: clipped to its 0.5 and 99.5 % quantiles, mean 0.449, standard deviation 0.226."""
    ordered = volume.flatten().sort().values
    low, high = (ordered[round(share * (len(ordered) - 1))] for share in (0.005, 0.995))
    scaled = ((volume - low) / (high - low)).clamp(0, 1)
    return 0.226 * (scaled - scaled.mean()) / scaled.std() + 0.449


def dice(found: "np.ndarray", wanted: "np.ndarray") -> float:
    """Overlap of two masks: twice what they share over what they have together."""
    return float(2 * (found & wanted).sum() / (found.sum() + wanted.sum()))
