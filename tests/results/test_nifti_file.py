"""Maps on the grid of a scan: every orientation goes out as it came in, sizes are brought back, none is guessed."""

from __future__ import annotations

import errno
import gzip
import itertools
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from hf_fourier import FourierExplainer
from hf_fourier.errors import InputError, StorageError
from hf_fourier.models.inputs.nifti import read_nifti
from hf_fourier.results.nifti_file import Grid, write_map

SHAPE = (3, 4, 5)
TURNS = [(axes, signs) for axes in itertools.permutations(range(3)) for signs in itertools.product((1, -1), repeat=3)]


def affine(axes: tuple[int, ...] = (0, 1, 2), signs: tuple[int, ...] = (1, 1, 1), tilt: float = 0.0) -> np.ndarray:
    """Stored axis i runs along `axes[i]` of space, forwards or backwards, in steps of 1, 2 and 3 mm."""
    found = np.eye(4)
    found[:3, :3] = 0
    for stored, (space, sign) in enumerate(zip(axes, signs, strict=True)):
        found[space, stored] = sign * (stored + 1)
    c, s = np.cos(tilt), np.sin(tilt)
    found[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ found[:3, :3]
    found[:3, 3] = (10, -20, 30)
    return found


def scan(path: Path, order: str = "<", quaternion: bool = False, **turned: object) -> np.ndarray:
    """A scan with a header of its own; its stored numbers."""
    numbers = np.arange(60, dtype=np.int16).reshape(SHAPE)
    head = bytearray(352)
    struct.pack_into(order + "i", head, 0, 348)
    head[14:32] = b"Jane Doe, 1951".ljust(18)
    struct.pack_into(order + "8h", head, 40, 3, *SHAPE, 1, 1, 1, 1)
    struct.pack_into(order + "2h", head, 70, 4, 16)
    struct.pack_into(order + "4f", head, 76, -1 if quaternion else 1, 1, 2, 3)
    struct.pack_into(order + "3f", head, 108, 352, 0, 0)
    head[148:160] = b"Jane Doe".ljust(12)
    struct.pack_into(order + "2h", head, 252, 1, 0 if quaternion else 2)
    if quaternion:  # half a turn about the axis that points to the front; the third axis backwards
        struct.pack_into(order + "6f", head, 256, 0, 1, 0, 7, 8, 9)
    else:
        struct.pack_into(order + "12f", head, 280, *affine(**turned)[:3].ravel())  # type: ignore[arg-type]
    head[344:348] = b"n+1\0"
    data = bytes(head) + numbers.astype(order + "i2").tobytes(order="F")
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return numbers


def stored(path: Path, order: str = "<") -> tuple[bytes, np.ndarray]:
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    shape = struct.unpack_from(order + "3h", raw, 42)
    return raw[:352], np.frombuffer(raw, order + "f4", offset=352).reshape(shape, order="F")


@pytest.mark.parametrize(("axes", "signs"), TURNS)
def test_a_map_lies_on_the_scan_in_every_orientation(
    axes: tuple[int, ...], signs: tuple[int, ...], tmp_path: Path
) -> None:
    numbers = scan(tmp_path / "scan.nii", axes=axes, signs=signs, tilt=0.2)
    values, _ = read_nifti(tmp_path / "scan.nii")
    write_map(values, tmp_path / "map.nii", tmp_path / "scan.nii")
    head, back = stored(tmp_path / "map.nii")
    np.testing.assert_array_equal(back, numbers)
    own = (tmp_path / "scan.nii").read_bytes()
    for start, stop in ((76, 108), (252, 328)):  # steps, rotation, affine
        assert head[start:stop] == own[start:stop]
    assert b"Jane" not in head
    again, spacing = read_nifti(tmp_path / "map.nii")
    np.testing.assert_array_equal(again, values)
    assert spacing == read_nifti(tmp_path / "scan.nii")[1]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("quaternion", [False, True])
def test_byte_orders_rotations_and_packed_files(order: str, quaternion: bool, tmp_path: Path) -> None:
    numbers = scan(tmp_path / "scan.nii.gz", order, quaternion)
    values, _ = read_nifti(tmp_path / "scan.nii.gz")
    write_map(values, tmp_path / "map.nii.gz", tmp_path / "scan.nii.gz")
    np.testing.assert_array_equal(stored(tmp_path / "map.nii.gz", order)[1], numbers)
    grid = Grid.of(tmp_path / "map.nii.gz")
    np.testing.assert_allclose(grid.affine, Grid.of(tmp_path / "scan.nii.gz").affine)
    if quaternion:
        np.testing.assert_allclose(grid.affine[:3], [[-1, 0, 0, 7], [0, 2, 0, 8], [0, 0, 3, 9]], atol=1e-6)


def test_a_grid_of_no_file_is_written_with_its_affine(tmp_path: Path) -> None:
    grid = Grid(SHAPE, affine((1, 0, 2), (-1, 1, 1)))
    values = np.random.default_rng(0).normal(size=(4, 3, 5)).astype(np.float32)
    write_map(values, tmp_path / "map.nii", grid)
    np.testing.assert_allclose(Grid.of(tmp_path / "map.nii").affine, grid.affine)
    np.testing.assert_array_equal(read_nifti(tmp_path / "map.nii")[0], values)


def test_a_resized_map_is_brought_back(tmp_path: Path) -> None:
    grid = Grid((8, 12, 4), np.eye(4))
    half = np.full((4, 6, 2), 2.0)
    half[:2] = -2.0
    write_map(half, tmp_path / "map.nii", grid, fit="stretch")
    found = read_nifti(tmp_path / "map.nii")[0]
    assert found.shape == (8, 12, 4)
    np.testing.assert_allclose(found[:3], -2)
    np.testing.assert_allclose(found[-3:], 2)
    np.testing.assert_allclose(found[3:5, 0, 0], [-1, 1])


def test_padding_and_cropping_are_undone_around_the_middle(tmp_path: Path) -> None:
    whole = np.random.default_rng(1).normal(size=(6, 9, 4)).astype(np.float32)
    cube = np.zeros((6, 6, 6), np.float32)
    cube[:, :, 1:5] = whole[:, 1:7]
    write_map(cube, tmp_path / "map.nii", Grid((6, 9, 4), np.eye(4)), fit="centre")
    found = read_nifti(tmp_path / "map.nii")[0]
    np.testing.assert_array_equal(found[:, 1:7], whole[:, 1:7])
    assert not found[:, [0, 7, 8]].any()
    write_map(cube, tmp_path / "map.nii", Grid((6, 9, 4), np.eye(4)), fit="stretch")
    assert read_nifti(tmp_path / "map.nii")[0].shape == (6, 9, 4)


@pytest.mark.parametrize("size", [(8, 8, 8), (20, 20, 20), (11, 11, 11), (10, 10, 9)])
def test_equal_factors_do_not_say_how_a_scan_was_resized(size: tuple[int, ...], tmp_path: Path) -> None:
    grid = Grid((10, 10, 10), np.eye(4))
    with pytest.raises(InputError, match="say how the scan was resized"):
        write_map(np.ones(size), tmp_path / "map.nii", grid)
    for fit in ("stretch", "centre"):
        write_map(np.ones(size), tmp_path / "map.nii", grid, fit=fit)
        assert read_nifti(tmp_path / "map.nii")[0].shape == (10, 10, 10)


def test_a_map_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = scan(tmp_path / "scan.nii")
    before = (tmp_path / "scan.nii").read_bytes()
    values, _ = read_nifti(tmp_path / "scan.nii")
    write_map(values, tmp_path / "new" / "below" / "map.nii", tmp_path / "scan.nii")
    np.testing.assert_array_equal(stored(tmp_path / "new" / "below" / "map.nii")[1], numbers)
    (tmp_path / "folder.nii").mkdir()
    with pytest.raises(StorageError, match=r"folder\.nii, which cannot be written"):
        write_map(values, tmp_path / "folder.nii", tmp_path / "scan.nii")

    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr("os.fsync", full)
        with pytest.raises(StorageError, match="a full disk"):
            write_map(values, tmp_path / "scan.nii", tmp_path / "scan.nii")
    assert (tmp_path / "scan.nii").read_bytes() == before
    write_map(values, tmp_path / "scan.nii", tmp_path / "scan.nii")
    np.testing.assert_array_equal(stored(tmp_path / "scan.nii")[1], numbers)


def test_what_cannot_be_laid_on_a_scan_is_refused(tmp_path: Path) -> None:
    scan(tmp_path / "scan.nii")
    scan(tmp_path / "oblique.nii", tilt=0.7)
    values, good = np.zeros(SHAPE), tmp_path / "map.nii"
    for given, said in (
        ((np.zeros((6, 6, 6)), good, tmp_path / "scan.nii"), "3 × 4 × 5"),
        ((np.zeros((3, 4)), good, tmp_path / "scan.nii"), "use it for volumes"),
        ((np.full(SHAPE, np.nan), good, tmp_path / "scan.nii"), "finite"),
        ((np.full(SHAPE, 1e39), good, tmp_path / "scan.nii"), "finite as float32"),
        ((values, tmp_path / "map.png", tmp_path / "scan.nii"), "nii.gz"),
        ((values, good, tmp_path / "nowhere.nii"), "cannot be read"),
        ((values, good, tmp_path / "oblique.nii"), "oblique"),
        ((values, good, values), "ndarray"),
        ((values, good, tmp_path / "scan.nii", "crop"), "'crop'"),
    ):
        with pytest.raises(InputError, match=said):
            write_map(*given)  # type: ignore[arg-type]
    assert not good.exists()


def test_the_relevance_of_a_network_lies_where_it_looks(tmp_path: Path) -> None:
    """The score is one voxel's value: the map has that voxel alone, in its stored place."""
    numbers = scan(tmp_path / "scan.nii", axes=(2, 0, 1), signs=(-1, 1, -1))
    values, _ = read_nifti(tmp_path / "scan.nii")
    place = tuple(int(i) for i in np.argwhere(values == 17)[0])
    explain = FourierExplainer(
        lambda x: torch.stack([x[(slice(None), 0, *place)], 0 * x.sum((1, 2, 3, 4))], 1),
        axes=("depth", "height", "width"),
    )
    result = explain.explain(torch.from_numpy(values)[None], 0, method="gradient_input", domain="identity")
    result.input_relevance().to_nifti(tmp_path / "map.nii", like=tmp_path / "scan.nii")
    found = stored(tmp_path / "map.nii")[1]
    assert np.argwhere(found != 0).tolist() == np.argwhere(numbers == 17).tolist()
