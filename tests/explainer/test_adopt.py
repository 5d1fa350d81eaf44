"""Maps of other libraries: ranked as they are by place, by their coefficients elsewhere, and played like any other."""

import pytest
import torch

from hf_fourier import FourierExplainer
from hf_fourier.errors import InputError
from tests.adapters import words, zoo, zoo_sound


@pytest.fixture(scope="module")
def vision():
    return FourierExplainer(zoo.build("image-classification", "resnet"))


@pytest.fixture(scope="module")
def pixels():
    return {"pixel_values": torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))}


def saliency(model, x):
    """The gradient as anyone would take it."""
    x = x.clone().requires_grad_(True)
    logits = model.eval()(pixel_values=x).logits
    return torch.autograd.grad(logits.log_softmax(-1).amax(-1).sum(), x)[0]


def test_a_map_is_ranked_as_it_is(vision, pixels):
    """The library's own saliency, taken over from outside, is the same ranking."""
    maps = saliency(vision.model, pixels["pixel_values"]).abs()
    own = vision.explain(pixels, method="saliency", domain="identity")
    for one, other in zip(vision.adopt(pixels, maps, "saliency by hand"), own, strict=True):
        torch.testing.assert_close(one.scores, other.scores)
        assert one.target == other.target
        assert one.provenance["method"] == "given:origin=saliency by hand"
        assert one.provenance["passes"]["backward"] == 0
    vision.play(one, [0.1])
    assert {stop.part for stop in one.curve.stops} == {"keep", "delete"}


def test_coefficients_of_a_map(vision, pixels):
    maps = saliency(vision.model, pixels["pixel_values"])
    own = vision.explain(pixels, method="saliency", domain="fourier")
    for one, other in zip(vision.adopt(pixels, maps, domain="fourier"), own, strict=True):
        torch.testing.assert_close(one.scores, other.scores)


@pytest.mark.parametrize("lead", [(), (1,), (1, 1)])
def test_a_map_over_pixels_takes_all_channels_together(vision, pixels, lead):
    flat = torch.arange(32 * 32.0).reshape(*lead, 32, 32)
    one, other = vision.adopt(pixels, [flat, -flat.numpy()])
    assert one.layout.domain == "identity:grain=position"
    assert one.order[0] == other.order[-1] == 32 * 32 - 1
    gone = one.delete(k=1)
    assert (gone[:, -1, -1] == 0).all()
    assert torch.equal(gone[:, :-1], one.leaf[:, :-1])


def test_maps_of_tokens_with_and_without_special_ones():
    explainer = FourierExplainer(zoo.build("text-classification", "bert"), words.tokenizer("bert"))
    text = words.texts(1)[0]
    length = len(explainer.processor(text)["input_ids"])
    whole = torch.arange(float(length))
    one = explainer.adopt(text, whole)
    two = explainer.adopt(text, whole[1:-1])
    assert torch.equal(one.scores, two.scores)
    assert one.order.tolist() == list(range(length - 2))[::-1]
    assert explainer.adopt([text], [whole])[0].label == one.label
    wide = explainer.adopt(text, torch.randn(length, explainer.model.config.hidden_size), domain="fourier")
    assert wide.scores.shape == explainer.explain(text).scores.shape


@pytest.mark.parametrize("name", zoo_sound.WINDOWS)
def test_maps_of_spectrograms_with_and_without_what_fills_the_window(name):
    explainer = FourierExplainer(zoo_sound.build(name), zoo_sound.extractor(name))
    clip = (zoo_sound.clip(8000), zoo_sound.RATE)
    leaf = explainer.explain(clip, method="magnitude").layout.leaf
    time = [axis.name for axis in leaf.axes].index("time")
    encoded = explainer.adapter.encode(clip)
    window = encoded.inputs[explainer.adapter.main_input].shape
    assert window[time] > leaf.shape[time]
    whole = torch.randn(window, generator=torch.Generator().manual_seed(0))
    heard = whole.index_select(time, encoded.content)
    for given in (whole, heard):
        assert torch.equal(explainer.adopt(clip, given).scores, heard.flatten())


@pytest.mark.parametrize(
    ("maps", "words_"),
    [
        (torch.zeros(2, 7, 7), "interpolate"),
        (torch.zeros(3, 32, 32), "one per example"),
        (torch.full((2, 32, 32), float("nan")), "finite"),
        (torch.zeros(2, 3, 32, 31), "without channels"),
    ],
)
def test_maps_that_do_not_fit(vision, pixels, maps, words_):
    with pytest.raises(InputError, match=words_):
        vision.adopt(pixels, maps)
