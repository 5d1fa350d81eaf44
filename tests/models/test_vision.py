"""Pictures in every form reach the model as the processor would bring them, and come back as pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers.utils import ModelOutput

from hf_fourier import FourierExplainer
from hf_fourier.errors import InputError, ModelError
from hf_fourier.models.inspection import is_convolutional
from tests.models import laws, tiny_models

MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]


def picture(width: int = 40, height: int = 30, seed: int = 0) -> Image.Image:
    numbers = np.random.default_rng(seed)
    coarse = numbers.integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def processor(kind: str = "ViTImageProcessor", **options: Any) -> Any:
    import transformers

    size = {"height": 32, "width": 32}
    return getattr(transformers, kind)(**{"size": size, "image_mean": MEAN, "image_std": STD, **options})


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    return tiny_models.build("image-classification", "vit")


@pytest.fixture(scope="module")
def explain(model: torch.nn.Module) -> FourierExplainer:
    return FourierExplainer(model, processor())


def pixels(explain: FourierExplainer, example: Any) -> torch.Tensor:
    return explain.wrapper.encode(example).values


def expected(explain: FourierExplainer, example: Image.Image) -> torch.Tensor:
    return explain.processor(images=example.convert("RGB"), return_tensors="pt")["pixel_values"][0]


RGB = picture()
ARRAY = np.asarray(RGB)
CHW = np.moveaxis(ARRAY, -1, 0).copy()
SAME = {
    "PIL": RGB,
    "HWC uint8": ARRAY,
    "CHW uint8": CHW,
    "HWC 0 to 1": ARRAY / 255,
    "CHW float32 0 to 1": (CHW / 255).astype(np.float32),
    "int64": ARRAY.astype(np.int64),
    "not contiguous": np.asfortranarray(ARRAY),
    "tensor uint8": torch.from_numpy(CHW),
    "tensor 0 to 1": torch.from_numpy(CHW).float() / 255,
    "tensor with a gradient": (torch.from_numpy(CHW).float() / 255).requires_grad_(True),
    "opaque RGBA array": np.dstack([ARRAY, np.full(ARRAY.shape[:2], 255, np.uint8)]),
    "16 bit": ARRAY.astype(np.uint16) * 257,
}


@pytest.mark.parametrize("form", SAME)
def test_all_forms_of_one_picture_are_one(explain: FourierExplainer, form: str) -> None:
    assert torch.equal(pixels(explain, SAME[form]), expected(explain, RGB))


@pytest.mark.parametrize("as_path", [str, Path])
def test_a_path_is_read(explain: FourierExplainer, as_path: Any, tmp_path: Path) -> None:
    RGB.save(tmp_path / "a.png")
    assert torch.equal(pixels(explain, as_path(tmp_path / "a.png")), expected(explain, RGB))


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "YCbCr", "HSV"])
def test_opaque_modes_are_what_pillow_makes_of_them(explain: FourierExplainer, mode: str) -> None:
    other = RGB.convert(mode)
    assert torch.equal(pixels(explain, other), expected(explain, other))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white(explain: FourierExplainer, mode: str) -> None:
    alpha = Image.new("L", RGB.size, 0)
    alpha.paste(255, (0, 0, 20, 30))
    see_through = RGB.convert("RGBA")
    see_through.putalpha(alpha)
    if mode == "P":
        see_through = RGB.convert("P")
        see_through.info["transparency"] = see_through.getpixel((0, 0))
        flat = see_through.convert("RGBA")
    else:
        see_through = see_through.convert(mode)
        flat = see_through.convert("RGBA")
    white = Image.new("RGBA", RGB.size, "white")
    assert torch.equal(pixels(explain, see_through), expected(explain, Image.alpha_composite(white, flat)))


def test_sixteen_bit_and_float_greys_keep_their_brightness(explain: FourierExplainer) -> None:
    grey = np.asarray(RGB.convert("L"))
    wanted = expected(explain, Image.fromarray(grey))
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    assert deep.mode == "I;16"
    assert torch.equal(pixels(explain, deep), wanted)
    assert torch.equal(pixels(explain, Image.fromarray(grey.astype(np.float32) / 255)), wanted)
    assert torch.equal(pixels(explain, grey), wanted)
    assert torch.equal(pixels(explain, grey[..., None]), wanted)
    assert torch.equal(pixels(explain, grey[None]), wanted)


def test_a_camera_held_sideways_is_turned(explain: FourierExplainer, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    RGB.save(tmp_path / "turned.png", exif=exif)
    turned = RGB.transpose(Image.Transpose.ROTATE_270)
    assert torch.equal(pixels(explain, tmp_path / "turned.png"), expected(explain, turned))


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (3, 50), (50, 3), (33, 31), (31, 97)])
def test_odd_sizes_are_no_matter(explain: FourierExplainer, size: tuple[int, int]) -> None:
    array = np.asarray(picture(*size))
    assert explain.explain(array).scores.isfinite().all()
    if size == (1, 1):  # a plain picture, whatever its size; an array of this shape is ambiguous to the processor
        plain = Image.new("RGB", (32, 32), tuple(array[0, 0].tolist()))
        torch.testing.assert_close(pixels(explain, array), expected(explain, plain))


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_a_plain_picture_is_explained(explain: FourierExplainer, shade: int) -> None:
    result = explain.explain(np.full((32, 32, 3), shade, np.uint8))
    assert result.scores.isfinite().all()
    assert result.gradient.abs().max() > 0


def test_a_signal_of_zeros_is_explained(explain: FourierExplainer) -> None:
    (result,) = explain.explain({"pixel_values": torch.zeros(1, 3, 32, 32)})
    assert result.scores.isfinite().all()
    assert result.keep_top(0.5).abs().max() == 0


PROCESSORS = {
    "normalised": {},
    "not normalised": {"do_normalize": False},
    "in grey levels": {"do_normalize": False, "do_rescale": False},
    "another range": {"rescale_factor": 1 / 127.5},
    "cropped": {"kind": "CLIPImageProcessor", "size": {"shortest_edge": 40}, "crop_size": {"height": 32, "width": 32}},
    "normalised twice": {"kind": "EfficientNetImageProcessor"},
    "with an offset": {"kind": "EfficientNetImageProcessor", "rescale_offset": True, "rescale_factor": 1 / 127.5},
    "blue first": {"kind": "MobileViTImageProcessor", "size": {"height": 32, "width": 32}, "do_center_crop": False},
}


@pytest.mark.parametrize("name", PROCESSORS)
def test_rebuild_undoes_what_the_processor_does(model: torch.nn.Module, name: str) -> None:
    options = dict(PROCESSORS[name])
    made = processor(options.pop("kind", "ViTImageProcessor"), **options)
    explain = FourierExplainer(model, made)
    original = picture(32, 32) if name == "cropped" else RGB
    if name == "cropped":
        made.do_resize = False
    result = explain.explain(original)
    rebuilt = np.asarray(result.render(1.0)).astype(int)
    resized = original.resize((32, 32), Image.Resampling(made.resample)) if made.do_resize else original
    assert rebuilt.shape == (32, 32, 3)
    assert np.abs(rebuilt - np.asarray(resized)).max() <= 1
    assert np.array_equal(np.asarray(result.render()).astype(int), rebuilt)


def test_a_dict_without_a_processor_has_no_picture(model: torch.nn.Module) -> None:
    (result,) = FourierExplainer(model).explain({"pixel_values": torch.rand(1, 3, 32, 32)})
    with pytest.raises(InputError, match="pass the image processor"):
        result.render(0.1)


def test_a_processor_that_mixes_colours_is_not_undone_wrongly(model: torch.nn.Module) -> None:
    inner = processor()

    class Grey:
        def __call__(self, images: Image.Image, return_tensors: str) -> Any:
            return inner(images=images.convert("L").convert("RGB"), return_tensors=return_tensors)

    with pytest.raises(InputError, match="more than scale colours"):
        FourierExplainer(model, Grey()).explain(RGB).render(0.5)


BAD: dict[str, tuple[Any, str]] = {
    "no file": ("a cat on a mat", "an image file that exists"),
    "a text longer than any path": ("word " * 3000, "an image file that exists"),
    "NaN": (np.full((8, 8, 3), np.nan), "finite"),
    "too bright": (np.full((8, 8, 3), 300.0), "divide by 255"),
    "negative": (np.full((8, 8, 3), -1), "0 to 255"),
    "a batch": (np.zeros((2, 8, 8, 3), np.uint8), "go in a list"),
    "five channels": (np.zeros((8, 8, 5), np.uint8), "height, width"),
    "empty": (np.zeros((0, 8, 3), np.uint8), "height, width"),
    "no numbers": (np.array([["a", "b"], ["c", "d"]]), "real numbers"),
    "complex": (np.zeros((8, 8), np.complex64), "real numbers"),
    "an object": (object(), "a path, a PIL image"),
    "nothing": (None, "a path, a PIL image"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_picture_is_refused(explain: FourierExplainer, name: str) -> None:
    example, words = BAD[name]
    with pytest.raises(InputError, match=words) as caught:
        explain.explain(example)
    assert len(str(caught.value)) < 400


def test_half_a_file_and_no_picture_are_refused(explain: FourierExplainer, tmp_path: Path) -> None:
    picture(200, 200).save(tmp_path / "whole.jpg")
    data = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "half.jpg").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.jpg").write_text("no picture")
    for name in ("half.jpg", "text.jpg"):
        with pytest.raises(InputError, match=f"{name}.*cannot be read") as caught:
            explain.explain(tmp_path / name)
        assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (torch.zeros(3, 32, 32), "4 dimensions"),
        (torch.zeros(1, 1, 32, 32), r"\(batch, 3, height, width\)"),
        (torch.zeros(1, 3, 32, 32, dtype=torch.long), "real numbers"),
        (torch.full((1, 3, 32, 32), torch.nan), "finite numbers"),
        (torch.zeros(0, 3, 32, 32), "none empty"),
    ],
)
def test_wrong_pixel_values_are_refused(explain: FourierExplainer, tensor: torch.Tensor, words: str) -> None:
    with pytest.raises(InputError, match=words):
        explain.explain({"pixel_values": tensor})


def test_a_size_that_the_model_refuses_is_told_with_its_reason(explain: FourierExplainer) -> None:
    from hf_fourier.errors import ModelError

    with pytest.raises(ModelError, match=r"pixel_values \(1, 3, 16, 16\).*refuses.*doesn't match model"):
        explain.explain({"pixel_values": torch.zeros(1, 3, 16, 16)})


class Upright(torch.autograd.Function):
    """Nothing, whose backward pass takes the usual layout alone."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        """As it is."""
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        """As it comes, if it comes in order."""
        return gradient.view(len(gradient), -1).view(gradient.shape)


class Rows(torch.nn.Module):
    """Two convolutions; what they find becomes rows by `reshape`, or by `view`, which takes the usual layout alone."""

    def __init__(self, how: str, backward: bool = False) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(4)
            self.first, self.second = torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.Conv2d(8, 4, 3, padding=1)
            self.last = torch.nn.Linear(4 * 16 * 16, 3)
        self.how, self.config = how, SimpleNamespace(id2label={0: "a", 1: "b", 2: "c"}, num_channels=3)
        self.backward, self.strides = backward, []

    def forward(self, pixel_values: torch.Tensor) -> ImageClassifierOutput:
        """Logits, and what was found."""
        self.strides.append(pixel_values.stride())
        found = self.first(pixel_values).relu()
        found = self.second(Upright.apply(found) if self.backward else found).relu()
        return ImageClassifierOutput(logits=self.last(getattr(found, self.how)(len(found), -1)), maps=found)


@dataclass
class ImageClassifierOutput(ModelOutput):
    """What a classifier says, and its last maps."""

    logits: torch.Tensor | None = None
    maps: torch.Tensor | None = None


def rows(how: str, backward: bool = False) -> FourierExplainer:
    return FourierExplainer(Rows(how, backward).eval(), task="image-classification")


PIXELS = {"pixel_values": torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))}
FIRST, LAST = (3 * 256, 256, 16, 1), (3 * 256, 1, 48, 3)


def test_convolutions_get_pictures_with_the_channels_last_and_say_the_same() -> None:
    own, plain = rows("reshape"), rows("reshape")
    plain.wrapper.takes_channels_last = False
    for one, other in zip(own.explain(PIXELS, method="ffc"), plain.explain(PIXELS, method="ffc"), strict=True):
        laws.same(one, other)
        assert one.signal.is_contiguous()
        assert one.gradient.is_contiguous()
        assert one.provenance["passes"] == {"forward": 1, "backward": 1}
    # Tried once, on a corner, which here is all; and the first picture is asked once more, beside another.
    assert own.model.strides == [LAST, LAST, LAST]
    assert plain.model.strides == [FIRST, FIRST]
    own.explain(PIXELS, method="ffc")
    assert own.model.strides == [LAST, LAST, LAST, LAST]


@pytest.mark.parametrize(("how", "backward"), [("view", False), ("reshape", True)])
def test_a_model_that_counts_on_the_usual_layout_gets_it(how: str, backward: bool) -> None:
    own = rows(how, backward)
    laws.same(own.explain(PIXELS, method="ffc")[0], rows("reshape").explain(PIXELS, method="ffc")[0])
    assert own.model.strides == [LAST, FIRST, FIRST]


def test_a_callable_of_ones_own_finds_maps_in_the_usual_layout() -> None:
    own = rows("reshape")
    values = [
        explain.explain(PIXELS, target=lambda outputs: outputs.maps.view(len(outputs.maps), -1).mean(1))[0].value
        for explain in (own, rows("view"))
    ]
    assert own.wrapper.takes_channels_last
    assert values[0] == pytest.approx(values[1], rel=1e-5)


def test_a_picture_that_is_refused_changes_nothing() -> None:
    own = rows("reshape")
    own.explain(PIXELS)
    with pytest.raises(ModelError, match="shapes"):
        own.explain({"pixel_values": torch.randn(1, 3, 12, 12)})
    own.explain(PIXELS)
    assert own.model.strides[-1] == LAST


def test_what_only_cuts_pictures_into_patches_gets_them_as_they_are(model: torch.nn.Module) -> None:
    assert not is_convolutional(model)
    assert is_convolutional(tiny_models.build("image-classification", "resnet"))
