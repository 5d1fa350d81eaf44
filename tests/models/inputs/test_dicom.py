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
        np.testing.assert_array_equal(own.pixels.T, known.pixel_array)
    from pydicom.data import get_testdata_file

    for name in ("CT_small.dcm", "MR_small.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm"):
        file = Path(str(get_testdata_file(name)))
        known, own = pydicom.dcmread(file), reader._read(file)
        rescaled = known.pixel_array * float(known.get("RescaleSlope", 1)) + float(known.get("RescaleIntercept", 0))
        np.testing.assert_allclose(own.pixels.T, rescaled)


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
        ({"slope": 0}, "its rescale slope is 0"),
        ({"origin": (-10, 20.1, 40)}, r"displaced \(slice \d by"),
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
    series(folder, 2, series="1.2.4")  # the limit is that of the chosen series
    with monkeypatch.context() as limited:
        limited.setattr(reader, "SIGNAL_ENTRIES", 60)
        assert read_dicom(folder, series=1).values.shape == (4, 3, 5)
    with pytest.raises(InputError, match="without a slice"):
        read_dicom([])
    with pytest.raises(InputError, match="a folder of a DICOM series"):
        read_dicom(tmp_path / "nowhere")


def test_names_of_patients_are_not_read(tmp_path: Path) -> None:
    assert not {"PatientName", "PatientID", "PatientBirthDate", "InstitutionName"} & set(reader._TAGS)
    assert "1.2.3" not in repr(read_dicom(series(tmp_path / "ct")))


@pytest.mark.parametrize("content", [b"", b"garbage", bytes(500), b"\x08\0" * 300])
def test_a_file_that_is_no_slice_is_refused_where_it_is_meant(content: bytes, tmp_path: Path) -> None:
    folder = series(tmp_path / "ct")
    good = sorted(folder.iterdir())
    (folder / "notes.bin").write_bytes(content)
    assert read_dicom(folder).values.shape == (4, 3, 5)
    for source in (folder / "notes.bin", [*good, folder / "notes.bin"]):
        with pytest.raises(InputError, match=r"'notes\.bin', which cannot be read"):
            read_dicom(source)
    (folder / "notes.bin").unlink()
    (folder / "x.dcm").write_bytes(content)
    for source in (folder, folder / "x.dcm", good[0]):
        with pytest.raises(InputError, match=r"'x\.dcm', which cannot be read"):
            read_dicom(source)
    for cut in (200, 300):  # within the series' name and behind it
        whole = good[-1].read_bytes()
        (folder / "x.dcm").unlink(missing_ok=True)
        good[-1].write_bytes(whole[:cut])
        with pytest.raises(InputError, match=good[-1].name):
            read_dicom(folder)
    good[-1].write_bytes(b"")
    with pytest.raises(InputError, match=f"{good[-1].name}.*it is empty"):
        read_dicom(folder)


@pytest.mark.parametrize("skipped", [128 + 4, 128 + 4 + 12])
@pytest.mark.parametrize("ending", [".dcm", ""])
def test_slices_without_a_preamble_are_read(skipped: int, ending: str, tmp_path: Path) -> None:
    folder = series(tmp_path / "ct")
    expected = read_dicom(folder).values
    for path in list(folder.iterdir()):
        data = path.read_bytes()
        meta = data.index(b"\x20\0\x0e\0")
        bare = data[132:] if skipped == 132 else b"\x08\0\x60\0CS\x02\0CT" + data[meta:]
        path.unlink()
        path.with_suffix(ending).write_bytes(bare)
    np.testing.assert_array_equal(read_dicom(folder).values, expected)


@pytest.mark.parametrize(
    "other", [{"colours": 3}, {"syntax": "1.2.840.10008.1.2.4.70"}, {"origin": ("x", 0, 0)}, {"number": "x"}]
)
def test_files_of_another_series_are_not_in_the_way(other: dict[str, Any], tmp_path: Path) -> None:
    folder = series(tmp_path / "ct")
    alone = read_dicom(folder).values
    options = {"series": "9.9", "number": 7, **other}
    (folder / "scout.dcm").write_bytes(dicom(PIXELS[:, :, 0], options.pop("origin", (0, 0, 0)), **options))
    at = 1 if options["number"] == 7 else 2  # one without a number comes first
    np.testing.assert_array_equal(read_dicom(folder, series=at).values, alone)
    np.testing.assert_array_equal(read_dicom(folder / "1-0.dcm").values, alone)
    with pytest.raises(InputError):
        read_dicom(folder / "scout.dcm")  # a single slice at best


def test_files_without_a_picture_are_skipped_in_other_series_only(tmp_path: Path) -> None:
    folder = series(tmp_path / "ct")
    expected = read_dicom(folder).values
    other = pydicom.dcmread(folder / "1-0.dcm")
    for tag in ("Rows", "Columns", "PixelData"):
        delattr(other, tag)
    other.save_as(folder / "DICOMDIR")
    with pytest.raises(InputError, match=r"'DICOMDIR', which cannot be read .it holds no picture"):
        read_dicom(folder)
    other.SeriesInstanceUID = "9.9"  # as a report has one of its own
    other.save_as(folder / "DICOMDIR")
    np.testing.assert_array_equal(read_dicom(folder).values, expected)
    del other.SeriesInstanceUID
    other.save_as(folder / "DICOMDIR")
    with pytest.raises(InputError, match=r"'DICOMDIR', which cannot be read .it names no series"):
        read_dicom(folder)
    other.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    other.save_as(folder / "DICOMDIR")
    np.testing.assert_array_equal(read_dicom(folder).values, expected)
    with pytest.raises(InputError, match="'DICOMDIR', which cannot be read"):
        read_dicom(folder / "DICOMDIR")


def test_a_series_is_one_whatever_number_its_files_state(tmp_path: Path) -> None:
    folder = series(tmp_path / "ct")
    data = dicom(PIXELS[:, :, 4], (-10, 20, 40), steps=[0.5, 0.8], number=5)
    (folder / "1-3.dcm").write_bytes(data)
    assert read_dicom(folder).values.shape == (4, 3, 5)


def test_a_tilted_gantry_is_refused(tmp_path: Path) -> None:
    for shift, refused in ((0.02, False), (0.3, True)):
        folder = tmp_path / str(shift)
        folder.mkdir()
        for i in range(5):
            (folder / f"{i}.dcm").write_bytes(dicom(PIXELS[:, :, i], (0, shift * i, 2 * i)))
        if refused:
            with pytest.raises(InputError, match=r"a tilted gantry: each slice lies 0.3 mm beside"):
                read_dicom(folder)
        else:
            assert read_dicom(folder).grid.affine[1, 2] == pytest.approx(-shift)


def test_a_table_of_values_is_refused_and_an_empty_slope_is_none(tmp_path: Path) -> None:
    folder = series(tmp_path / "ct", slope="", intercept="")
    np.testing.assert_array_equal(read_dicom(folder).values, PIXELS.transpose(1, 0, 2)[::-1, ::-1])
    slice_ = pydicom.dcmread(folder / "1-0.dcm")
    slice_.ModalityLUTSequence = [pydicom.Dataset()]
    slice_.save_as(folder / "1-0.dcm")
    with pytest.raises(InputError, match=r"1-0\.dcm.*modality LUT"):
        read_dicom(folder)


@pytest.mark.parametrize("source", [["nowhere/nope.dcm"], [1, 2], 7, None, "nowhere/nope.dcm"])
def test_paths_that_are_none_are_refused(source: Any) -> None:
    with pytest.raises(InputError, match="correct the path"):
        read_dicom(source)
