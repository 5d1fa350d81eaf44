"""How bright a number is follows from its type or its file, never from the numbers; what was taken is said."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from hf_fourier import FourierExplainer
from hf_fourier.errors import InputError
from hf_fourier.models.inputs.images import as_rgb, range_notes
from tests.models import tiny_models, tiny_models_vision

GREY = np.random.default_rng(0).integers(0, 200, (30, 40), dtype=np.uint8)
RGB = np.random.default_rng(1).integers(0, 256, (30, 40, 3), dtype=np.uint8)


def read(example: Any) -> tuple[np.ndarray, tuple[str, ...]]:
    rgb, taken = as_rgb(example)
    return rgb, range_notes([taken])


def stored(image: Image.Image, kind: str, **options: Any) -> Image.Image:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return Image.open(io.BytesIO(file.getvalue()))


@pytest.mark.parametrize("form", ["array", "tensor", "PNG", "TIFF", "big-endian array"])
def test_one_bright_pixel_changes_one_pixel(form: str) -> None:
    dark = GREY.astype(np.uint16)  # up to 199 of 65535
    bright = dark.copy()
    bright[0, 0] = 256
    rgb, notes = zip(*(read(_as(form, array)) for array in (dark, bright)), strict=True)
    assert np.array_equal(rgb[0], np.repeat(np.rint(dark * (255 / 65535))[..., None], 3, axis=2))
    assert (rgb[0] != rgb[1]).any(2).sum() <= 1
    assert "uint16 pixels were read as 0 to 65535" in notes[0][0]
    assert "largest is 256 (where 256 is white, pass array / 256)" in notes[1][0]


def _as(form: str, array: np.ndarray) -> Any:
    if form == "tensor":
        return torch.from_numpy(array)
    if form == "big-endian array":
        return array.astype(">u2")
    return array if form == "array" else stored(Image.fromarray(array), form)


def test_twelve_bits_in_sixteen_are_said_and_the_advice_rescales_them() -> None:
    twelve = (GREY.astype(np.uint16) * 20).clip(0, 4095)
    twelve[0, 0] = 4095
    _, (note,) = read(twelve)
    assert "the largest is 4095 (where 4095 is white, pass array / 4095)" in note
    rgb, _ = read(twelve / 4095)
    assert np.array_equal(rgb[..., 0], np.rint(twelve * (255 / 4095)).astype(np.uint8))


@pytest.mark.parametrize("white", [255, 1023, 4095, 65535])
def test_a_file_that_states_its_white_is_read_by_it(white: int) -> None:
    values = (GREY.astype(np.float64) / 255 * white).round().astype(">u2" if white > 255 else np.uint8)
    rgb, notes = read(Image.open(io.BytesIO(b"P5 40 30 %d\n" % white + values.tobytes())))
    assert np.abs(rgb[..., 0].astype(int) - GREY).max() <= 1
    assert bool(notes) == (white > 255)


def test_a_tiff_of_which_zero_is_white() -> None:
    deep = GREY.astype(np.uint16) * 257
    rgb, notes = read(stored(Image.fromarray(deep), "TIFF", tiffinfo={262: 0}))
    assert np.array_equal(rgb[..., 0], 255 - GREY)
    assert "the file says that 0 is white" in notes


def test_a_deep_grey_that_is_transparent_lies_on_white() -> None:
    deep = GREY.astype(np.uint16) * 257
    deep[:5] = 1000
    rgb, _ = read(stored(Image.fromarray(deep), "PNG", transparency=1000))
    assert (rgb[:5] == 255).all()
    assert np.array_equal(rgb[5:, :, 0], GREY[5:])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_real_numbers_are_zero_to_one_and_an_overshoot_is_clipped(dtype: torch.dtype) -> None:
    exact = torch.from_numpy(RGB).double() / 255
    beyond = exact.clone()
    beyond[0, 0, 0], beyond[0, 1, 0] = 1.04, -0.04
    (plain, said), (clipped, note) = read(exact.to(dtype)), read(beyond.to(dtype))
    assert np.abs(plain.astype(int) - RGB).max() <= (1 if dtype in (torch.float16, torch.bfloat16) else 0)
    assert (plain != clipped).sum() <= 2
    assert (clipped[0, 0, 0], clipped[0, 1, 0]) == (255, 0)
    assert "were read as 0 to 1 and rounded to 8 bits" in said[0]
    assert "clipped" not in said[0]
    assert "2 beyond the range, from -0.04" in note[0]


@pytest.mark.parametrize("largest", [1 - 1e-4, 1, 1 + 1e-4])
def test_the_brightest_real_number_decides_nothing(largest: float) -> None:
    picture = RGB / 300
    picture[0, 0, 0] = largest
    rgb, _ = read(picture)
    assert np.array_equal(rgb[1:], np.rint(RGB[1:] / 300 * 255))


def test_numpys_own_whole_numbers_are_8_bits_and_that_is_said() -> None:
    rgb, (note,) = read(RGB.astype(np.int64))
    assert np.array_equal(rgb, RGB)
    assert "int64 pixels were read as 0 to 255" in note
    mask, (note,) = read((GREY > 100).astype(np.int64))
    assert mask.max() == 1
    assert "the largest is 1 (a mask of 0 and 1 is bool)" in note
    assert read(GREY > 100)[0].max() == 255


@pytest.mark.parametrize(
    "array", [RGB, torch.from_numpy(RGB), Image.fromarray(RGB), GREY > 3, Image.fromarray(GREY > 3)]
)
def test_what_is_8_bits_needs_no_note(array: Any) -> None:
    assert read(array)[1] == ()


REFUSED: dict[str, tuple[Any, str]] = {
    "real to 255": (RGB.astype(np.float32), "divide by 255"),
    "a float mode to 255": (Image.fromarray(GREY).convert("F"), "divide by 255"),
    "normalised": (RGB / 64 - 2.0, "{'pixel_values': tensor}"),
    "int64 to 65535": (GREY.astype(np.int64) * 257, "astype(np.uint16)"),
    "int64 below 0": (GREY.astype(np.int64) - 5, "{'pixel_values': tensor}"),
    "int32": (GREY.astype(np.int32), "astype(np.uint8)"),
    "int16": (GREY.astype(np.int16), "astype(np.uint8)"),
    "uint32": (GREY.astype(np.uint32) * 257, "for which white is not defined"),
    "mode I": (Image.fromarray(GREY.astype(np.int32)), "np.asarray(picture).astype(np.uint8)"),
    "a TIFF of 32 bits": (stored(Image.fromarray(GREY.astype(np.int32)), "TIFF"), "white is not defined"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_numbers_of_which_nobody_says_what_white_is_are_refused(name: str) -> None:
    example, said = REFUSED[name]
    with pytest.raises(InputError) as caught:
        as_rgb(example)
    assert said in str(caught.value)


def test_the_advice_leads_to_the_picture() -> None:
    for advised in (
        RGB.astype(np.float32) / 255,
        RGB.astype(np.int32).astype(np.uint8),
        (RGB.astype(np.int64) * 257).astype(np.uint16),
        RGB.astype(np.int64) * 257 / 65535,
        np.asarray(Image.fromarray(RGB[..., 0].astype(np.int32))).astype(np.uint8),
    ):
        rgb, _ = read(advised)
        assert np.array_equal(rgb[..., 0], RGB[..., 0])


def test_a_shape_of_two_meanings_is_said() -> None:
    _, notes = read(np.zeros((3, 9, 4), np.uint8))
    assert notes == ("an array of shape (3, 9, 4) was read with its channels last",)


@pytest.mark.parametrize("form", ["bytes", "stored", "stored by its path", "path"])
def test_encoded_pictures_are_read(form: str, tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, "PNG")
    (tmp_path / "a.png").write_bytes(file.getvalue())
    forms = {
        "bytes": file.getvalue(),
        "stored": {"bytes": file.getvalue(), "path": None},
        "stored by its path": {"bytes": None, "path": str(tmp_path / "a.png")},
        "path": tmp_path / "a.png",
    }
    assert np.array_equal(read(forms[form])[0], RGB)


def test_folders_and_addresses_are_named_as_such(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the folder .*glob"):
        as_rgb(tmp_path)
    with pytest.raises(InputError, match=r"address .*download it first"):
        as_rgb("https://example.org/cat.png")


def test_results_say_which_range_was_taken() -> None:
    from transformers import ViTImageProcessor

    size = {"height": 32, "width": 32}
    explain = FourierExplainer(tiny_models.build("image-classification", "vit"), ViTImageProcessor(size=size))
    plain, deep = explain.explain([RGB, GREY.astype(np.uint16)])
    assert plain.provenance["notes"] == []
    assert plain.provenance["range"] == "8-bit pixels, 0 to 255"
    assert deep.provenance["range"] == "uint16 pixels, 0 to 65535"
    assert "were read as 0 to 65535" in deep.provenance["notes"][0]


class Decoder:
    """Frames as torchcodec gives them."""

    def __init__(self, frames: torch.Tensor) -> None:
        self.frames = frames

    def __len__(self) -> int:
        return len(self.frames)

    def get_frames_at(self, indices: list[int]) -> Any:
        return type("FrameBatch", (), {"data": self.frames[indices]})


@pytest.fixture(scope="module")
def video() -> FourierExplainer:
    from transformers import VideoMAEImageProcessor

    processor = VideoMAEImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    return FourierExplainer(tiny_models_vision.build("video-classification", "videomae"), processor)


def test_frames_are_read_alike(video: FourierExplainer) -> None:
    many = video.model.config.num_frames
    frames = np.random.default_rng(2).integers(0, 200, (many, 32, 32, 3), dtype=np.uint8)
    deep = frames.astype(np.uint16)
    deep[1, 0, 0, 0] = 256
    encoded = video.wrapper.encode(deep)
    plain = video.wrapper.encode(np.rint(deep * (255 / 65535)).astype(np.uint8))
    assert torch.equal(encoded.values, plain.values)
    assert len([note for note in encoded.notes if "rounded to 8 bits; the largest is 256" in note]) == 1
    decoder = Decoder(torch.from_numpy(np.moveaxis(frames, -1, 1)))
    assert torch.equal(video.wrapper.encode(decoder).values, video.wrapper.encode(frames).values)


def test_videos_of_another_length_and_undecoded_ones_are_refused(video: FourierExplainer) -> None:
    many = video.model.config.num_frames
    decoder = Decoder(torch.zeros(5 * many + 1, 3, 32, 32, dtype=torch.uint8))
    with pytest.raises(InputError, match="choose them") as caught:
        video.explain(decoder)
    advised = eval(caught.value.hint.removeprefix("choose them: "), {"decoder": decoder})
    assert video.wrapper.encode(advised).values.shape[0] == many
    for wrong in ("clip.mp4", Path("clip.mp4"), b"mp4", {"bytes": b"mp4", "path": None}):
        with pytest.raises(InputError, match="decode it"):
            video.explain(wrong)
