"""Several pictures of one size go through the processor in one call, and are what one call for each makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from hf_fourier import FourierExplainer
from hf_fourier.errors import InputError
from hf_fourier.models.encoding import TOGETHER, encode
from tests.models import tiny_models
from tests.models.test_vision import picture, processor

KINDS = ("ViTImageProcessor", "CLIPImageProcessor", "ConvNextImageProcessor")


class Counting:
    """A processor whose calls are counted, each by its pictures; it may do something to the pixels of several."""

    def __init__(self, own: Any, change: Any = None) -> None:
        self.own, self.change, self.calls = own, change, list[int]()

    def __call__(self, images: Any, **options: Any) -> Any:
        several = isinstance(images, list)
        self.calls.append(len(images) if several else 1)
        made = self.own(images=images, **options)
        return {"pixel_values": self.change(made["pixel_values"])} if several and self.change else made


def explainer_of(own: Any) -> FourierExplainer:
    return FourierExplainer(tiny_models.build("image-classification", "vit"), own)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [4, TOGETHER + 5])
def test_pictures_of_one_size_are_processed_together_to_the_same_bits(kind: str, count: int) -> None:
    size = {"shortest_edge": 32} if kind == "ConvNextImageProcessor" else {"height": 32, "width": 32}
    counting = Counting(processor(kind, size=size))
    wrapper = explainer_of(counting).wrapper
    pictures: list[Any] = [picture(seed=i) for i in range(count)]
    pictures[1] = np.asarray(pictures[1]).astype(np.float32) / 255
    alone = [wrapper.encode(one) for one in pictures]
    counting.calls.clear()
    many, together = encode(wrapper, pictures)
    assert many
    assert len(counting.calls) == 3 * -(-count // TOGETHER)
    for one, other in zip(together, alone, strict=True):
        assert torch.equal(one.values, other.values)
        assert one.values.dtype == other.values.dtype
        assert (one.signal, one.range, one.notes, one.key) == (other.signal, other.range, other.notes, other.key)
        assert (one.view, one.batch_key) == (other.view, other.batch_key)


CHANGES = {
    "other pixels": lambda pixels: pixels + 1e-6,
    "only the last": lambda pixels: torch.cat([pixels[:-1], pixels[-1:] * 1.001]),
    "one clip": lambda pixels: pixels.unsqueeze(0),
    "one picture less": lambda pixels: pixels[1:],
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_processor_that_makes_something_else_of_several_is_asked_for_each(name: str) -> None:
    pictures = [picture(seed=i) for i in range(5)]
    wrapper = explainer_of(Counting(processor(), CHANGES[name])).wrapper
    plain = explainer_of(processor()).wrapper
    for one, raw in zip(encode(wrapper, pictures)[1], pictures, strict=True):
        assert torch.equal(one.values, plain.encode(raw).values)


def test_pictures_of_several_sizes_and_few_ones_are_processed_each() -> None:
    counting = Counting(processor())
    wrapper = explainer_of(counting).wrapper
    wrapper.encode(picture())
    for pictures in ([picture(seed=i) for i in range(3)], [picture(40 + i, seed=i) for i in range(5)]):
        counting.calls.clear()
        encode(wrapper, pictures)
        assert counting.calls == [1] * len(pictures)


def test_a_bad_picture_among_many_is_named_by_its_index() -> None:
    pictures: list[Any] = [picture(seed=i) for i in range(TOGETHER + 6)]
    pictures[TOGETHER + 3] = "no such file.png"
    with pytest.raises(InputError, match=f"example {TOGETHER + 3}: "):
        encode(explainer_of(processor()).wrapper, pictures)
