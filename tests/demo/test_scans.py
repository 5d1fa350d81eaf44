"""The scan of a head, and the network that finds the brain in it."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from hf_fourier import demo
from hf_fourier.demo import fetch, packages, scans
from hf_fourier.demo.convert import deepbet
from hf_fourier.demo.models import linknet3d
from hf_fourier.models.inputs import nifti
from tests.demo.real import load


def _nifti(volume: np.ndarray, axes: tuple[tuple[int, float], ...], sign: str = "<", quaternion: bool = False) -> bytes:
    """A NIfTI-1 file with the voxels of `volume`; `axes` says which way in space each axis runs, and the spacing."""
    header = bytearray(352)
    struct.pack_into(sign + "i", header, 0, 348)
    struct.pack_into(sign + "8h", header, 40, 3, *volume.shape, 1, 1, 1, 1)
    struct.pack_into(sign + "h", header, 70, 4)
    struct.pack_into(sign + "8f", header, 76, 1, *(abs(step) for _, step in axes), 0, 0, 0, 0)
    struct.pack_into(sign + "3f", header, 108, 352, 2, 1)
    affine = np.zeros((3, 4))
    for axis, (space, step) in enumerate(axes):
        affine[space, axis] = step
    struct.pack_into(sign + "2h", header, 252, int(quaternion), int(not quaternion))
    struct.pack_into(sign + "12f", header, 280, *affine.ravel())
    header[344:348] = b"n+1\0"
    return bytes(header) + volume.astype(sign + "i2").tobytes(order="F")


@pytest.mark.parametrize("sign", ["<", ">"])
def test_a_volume_is_turned_to_canonical_axes(tmp_path: Path, sign: str) -> None:
    volume = np.arange(24).reshape(2, 3, 4)
    path = tmp_path / "x.nii.gz"
    path.write_bytes(gzip.compress(_nifti(volume, ((0, 1.0), (1, 2.0), (2, 3.0)), sign)))
    read, spacing = nifti.read_nifti(path)
    assert read.dtype == np.float32
    assert np.array_equal(read, 2 * volume + 1)
    assert spacing == (1, 2, 3)
    path.write_bytes(gzip.compress(_nifti(volume, ((1, -1.0), (0, 2.0), (2, -3.0)), sign)))
    read, spacing = nifti.read_nifti(path)
    assert np.array_equal(read, 2 * volume.transpose(1, 0, 2)[:, ::-1, ::-1] + 1)
    assert spacing == (2, 1, 3)


def test_a_quaternion_without_a_turn_means_canonical_axes(tmp_path: Path) -> None:
    volume = np.arange(24).reshape(2, 3, 4)
    (tmp_path / "x.nii").write_bytes(_nifti(volume, ((0, 1.0), (1, 1.0), (2, 1.0)), quaternion=True))
    assert np.array_equal(nifti.read_nifti(tmp_path / "x.nii")[0], 2 * volume + 1)


def test_what_is_not_a_volume_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.nii"
    path.write_bytes(bytes(400))
    with pytest.raises(ValueError, match="not a NIfTI-1"):
        nifti.read_nifti(path)
    good = bytearray(_nifti(np.zeros((2, 2, 2)), ((0, 1.0), (1, 1.0), (2, 1.0))))
    struct.pack_into("<2h", good, 40, 4, 2)
    struct.pack_into("<h", good, 48, 5)
    path.write_bytes(good)
    with pytest.raises(ValueError, match="something else than one volume"):
        nifti.read_nifti(path)
    oblique = bytearray(_nifti(np.zeros((2, 2, 2)), ((0, 1.0), (1, 1.0), (2, 1.0))))
    struct.pack_into("<12f", oblique, 280, 1, 1, 0, 0, 1, -1, 0, 0, 0, 0, 1, 0)
    path.write_bytes(oblique)
    with pytest.raises(ValueError, match="oblique"):
        nifti.read_nifti(path)


def test_overlap_and_scaling() -> None:
    one, two = np.array([True, True, False]), np.array([True, False, False])
    assert scans.dice(one, two) == pytest.approx(2 / 3)
    volume = torch.rand(8, 8, 8, generator=torch.Generator().manual_seed(0))
    scaled = scans.normalised(volume)
    assert scaled.mean().item() == pytest.approx(0.449, abs=1e-5)
    assert scaled.std().item() == pytest.approx(0.226, abs=1e-5)
    assert scans.at_size(volume, 4).shape == (4, 4, 4)
    assert scans.at_size(volume, (3, 4, 5), smooth=True).shape == (3, 4, 5)


def test_a_small_linknet_has_a_logit_per_voxel_and_a_loss() -> None:
    linknet3d.register()
    linknet3d.register()
    model = linknet3d.LinkNet3D(linknet3d.LinkNet3DConfig(width=4, num_labels=3)).eval()
    volume = torch.rand(2, 1, 32, 64, 32, requires_grad=True)
    labels = torch.zeros(2, 32, 64, 32, dtype=torch.long)
    out = model(volume, labels=labels)
    assert out.logits.shape == (2, 3, 32, 64, 32)
    assert out.loss.item() == pytest.approx(torch.nn.functional.cross_entropy(out.logits, labels).item())
    out.loss.backward()
    assert volume.grad.abs().sum() > 0
    assert torch.equal(model(volume, return_dict=False)[0], out.logits)
    for edges in ((32, 33, 31), (1, 40, 64)):  # continued inside, and cut again
        volume = torch.rand(1, 1, *edges)
        logits = model(volume).logits
        assert logits.shape == (1, 3, *edges)
        wide = torch.nn.functional.pad(volume, [n for edge in edges[::-1] for n in (0, -edge % 32)], "replicate")
        depth, height, width = edges
        assert torch.equal(logits, model(wide).logits[:, :, :depth, :height, :width])


def test_the_network_is_the_torchscript(asset: Callable[[str], Path]) -> None:
    from zipfile import ZipFile

    folder = asset("deepbet")
    linknet3d.register()
    model = load("AutoModelForSemanticSegmentation", folder)
    assert type(model).__name__ == "LinkNet3D"
    with ZipFile(fetch.package(packages.DEEPBET)) as wheel:
        script = deepbet.script(wheel.read(deepbet._FILE))
    volume = torch.rand(1, 1, 64, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        logits = model(volume).logits
        assert logits.shape == (1, 2, 64, 64, 64)
        assert (logits.softmax(1) - script(volume)).abs().max() < 1e-5


@pytest.mark.parametrize(("edge", "least"), [(64, 0.86), (128, 0.92)])
def test_the_brain_is_found(asset: Callable[[str], Path], edge: int, least: float) -> None:
    asset("mri-head")
    linknet3d.register()
    model = load("AutoModelForSemanticSegmentation", asset("deepbet"))
    scan = demo.head_mri()
    assert scan["volume"].shape == scan["mask"].shape == (181, 217, 181)
    assert scan["volume"].dtype == np.float32
    assert scan["mask"].dtype == bool
    assert scan["spacing"] == (1, 1, 1)
    volume = scans.normalised(scans.at_size(torch.from_numpy(scan["volume"]), edge))
    with torch.inference_mode():
        brain = model(volume[None, None]).logits.softmax(1)[0, model.config.label2id["brain"]]
    found = scans.at_size(brain, scan["mask"].shape, smooth=True).numpy() > 0.5
    assert scans.dice(found, scan["mask"]) >= least
