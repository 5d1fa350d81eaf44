"""A DICOM series as a volume: slices by place, units, orientation; maps back on it; and what is refused."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from hf_fourier.errors import InputError
from hf_fourier.models.inputs import dicom as reader
from hf_fourier.models.inputs import limits
from hf_fourier.models.inputs.dicom import read_dicom
from hf_fourier.models.inputs.files import read_example
from hf_fourier.models.inputs.nifti import read_nifti
from hf_fourier.results.nifti_file import write_map
from tools.fuzz.files import dicom

#: rows, columns and slices.
SIZES = (3, 4, 5)
PIXELS = np.random.default_rng(0).integers(-1000, 1000, SIZES).astype(np.int16)


def series(folder: Path, number: int = 1, step: float = 2.5, **tags: Any) -> Path:
    """A series in a folder, its files named in no order."""
    folder.mkdir(exist_ok=True)
    along = np.array(tags.get("along", [1, 0, 0, 0, 1, 0]), float).reshape(2, 3)
    normal = np.cross(along[0], along[1])
    for i in range(SIZES[2]):
        origin = np.round(np.array([-10, 20, 30]) + step * i * normal, 6)
        data = dicom(PIXELS[:, :, i], origin.tolist(), **{"steps": [0.5, 0.8], "number": number, **tags})
        (folder / f"{number}-{(7 * i) % SIZES[2]}.dcm").write_bytes(data)
    return folder


def test_slices_are_stacked_by_place_and_rescaled(tmp_path: Path) -> None:
    found = read_dicom(series(tmp_path / "ct", slope=2, intercept=-1024))
    # DICOM runs to the left and to the back: both are turned; columns are the first axis
    expected = (2.0 * PIXELS - 1024).transpose(1, 0, 2)[::-1, ::-1]
    np.testing.assert_array_equal(found.values, expected)
    assert found.spacing == pytest.approx((0.8, 0.5, 2.5))
    np.testing.assert_allclose(found.grid.affine, [[-0.8, 0, 0, 10], [0, -0.5, 0, -20], [0, 0, 2.5, 30], [0, 0, 0, 1]])


def test_pixels_are_those_of_pydicom(tmp_path: Path) -> None:
    folder = series(tmp_path / "mr")
    for path in folder.iterdir():
        known = pydicom.dcmread(path)
        own = reader._read(path)
        assert own is not None
        np.testing.assert_array_equal(own.pixels.T, known.pixel_array)
    from pydicom.data import get_testdata_file

    for name in ("CT_small.dcm", "MR_small.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm"):
        path = get_testdata_file(name)
        known, own = pydicom.dcmread(path), reader._read(Path(path))
        rescaled = known.pixel_array * float(known.get("RescaleSlope", 1)) + float(known.get("RescaleIntercept", 0))
        np.testing.assert_allclose(own.pixels.T, rescaled)  # type: ignore[union-attr]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("signs", [(1, 1), (1, -1), (-1, 1), (-1, -1)])
def test_every_plane_comes_out_in_one_orientation(
    order: tuple[int, int, int], signs: tuple[int, int], tmp_path: Path
) -> None:
    """A voxel's value says where it is in space, and is found there."""
    along = np.zeros((2, 3))
    along[0, order[0]], along[1, order[1]] = signs
    normal = np.cross(along[0], along[1])
    for i in range(5):
        rows, columns = np.mgrid[:3, :4]
        places = columns[..., None] * along[0] + rows[..., None] * along[1] + i * normal
        code = (places @ np.array([1, 10, 100])).round().astype(np.int16)
        data = dicom(code, (i * normal).tolist(), along=along.ravel().tolist(), signed=1)
        (tmp_path / f"{i}.dcm").write_bytes(data)
    values = read_dicom(tmp_path).values
    steps = [np.unique(np.diff(values, axis=axis)) for axis in range(3)]
    assert [step.tolist() for step in steps] == [[-1], [-10], [100]]  # to the right, to the front, upwards


def test_a_map_of_a_series_lies_on_it(tmp_path: Path) -> None:
    found = read_dicom(series(tmp_path / "ct", along=[0, 1, 0, 0, 0, -1]))
    write_map(found.values, tmp_path / "map.nii", like=found.grid)
    again, spacing = read_nifti(tmp_path / "map.nii")
    np.testing.assert_array_equal(again, found.values)
    assert spacing == pytest.approx(found.spacing)


def test_one_file_stands_for_its_series(tmp_path: Path) -> None:
    series(tmp_path / "both", 1)
    series(tmp_path / "both", 2, series="1.2.4", slope=3)
    (tmp_path / "both" / "notes.txt").write_text("no slice")
    first, second = read_dicom(tmp_path / "both", series=1), read_dicom(tmp_path / "both", series=2)
    np.testing.assert_array_equal(second.values, 3 * first.values)
    np.testing.assert_array_equal(read_example(str(tmp_path / "both" / "2-0.dcm")), second.values)
    with pytest.raises(InputError, match="2 series; expected one of them; choose one with series=1 to 2"):
        read_dicom(tmp_path / "both")


def test_signs_and_unused_bits(tmp_path: Path) -> None:
    raw = np.array([[0x0FFF, 0x07FF], [0xF001, 0x0800]], np.uint16).view(np.int16)
    for signed, expected in ((1, [[-1, 2047], [1, -2048]]), (0, [[4095, 2047], [1, 2048]])):
        for i in range(2):
            (tmp_path / f"{i}.dcm").write_bytes(dicom(raw, (0, 0, i), stored=12, signed=signed))
        np.testing.assert_array_equal(read_dicom(tmp_path).values[::-1, ::-1, 0].T, expected)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"steps": [0.5, 0.9]}, "several sizes, spacings or orientations"),
        ({"origin": (-10, 20, 30)}, "two slices at one place"),
        ({"origin": (-10, 20, 41)}, "a gap between slices"),
        ({"syntax": "1.2.840.10008.1.2.4.70"}, "decompress the series"),
        ({"syntax": "1.2.840.10008.1.2.1.99"}, "decompress the series"),
        ({"colours": 3}, "colours or several frames"),
        ({"frames": 5}, "colours or several frames"),
        ({"rows": 60_000}, "60000 × 4 pixels are claimed"),
        ({"along": [1, 0, 0, 1, 0, 0]}, "its place in space"),
        ({"slope": "1e39"}, "its place in space|cannot be read"),
    ],
)
def test_what_is_no_stack_is_refused(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    series(tmp_path / "ct", step=2.5)
    options = {"steps": [0.5, 0.8], **change}
    origin = options.pop("origin", (-10, 20, 40))
    (tmp_path / "ct" / "1-3.dcm").write_bytes(dicom(PIXELS[:, :, 4], origin, **options))
    with pytest.raises(InputError, match=said):
        read_dicom(tmp_path / "ct")


def test_limits_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = series(tmp_path / "ct")
    for module, name, most in (
        (limits, "DICOM_FILES", 4),
        (limits, "DICOM_BYTES", 300),
        (reader, "SIGNAL_ENTRIES", 30),
    ):
        with monkeypatch.context() as limited:
            limited.setattr(module, name, most)
            with pytest.raises(InputError, match=str(most)):
                read_dicom(folder)
    with pytest.raises(InputError, match="without a slice"):
        read_dicom([Path(__file__)])
    with pytest.raises(InputError, match="a folder of a DICOM series"):
        read_dicom(tmp_path / "nowhere")


def test_names_of_patients_are_not_read(tmp_path: Path) -> None:
    assert not {"PatientName", "PatientID", "PatientBirthDate", "InstitutionName"} & set(reader._TAGS)
    assert "1.2.3" not in repr(read_dicom(series(tmp_path / "ct")))
