"""Maps of other libraries: ranked as they are by place, lifted to other domains, and played like any other."""

import pytest
import torch

from hf_fourier import FourierExplainer
from hf_fourier.errors import InputError, SpecError
from tests.models import tiny_models, tiny_models_audio, tiny_tokenizers


@pytest.fixture(scope="module")
def vision():
    return FourierExplainer(tiny_models.build("image-classification", "resnet"))


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
    for one, other in zip(vision.from_maps(pixels, maps, "saliency by hand"), own, strict=True):
        torch.testing.assert_close(one.scores, other.scores)
        assert one.target == other.target
        assert one.provenance["method"] == "given:origin=saliency by hand"
        assert one.provenance["passes"]["backward"] == 0
    vision.perturb(one, [0.1])
    assert {stop.mode for stop in one.curve.points} == {"keep", "delete"}


def test_contributions_in_another_domain_are_those_that_are_made_there(vision, pixels):
    """gradient × input by place, adopted in another domain, is gradient × input of that domain, and keeps its sum."""
    x = pixels["pixel_values"]
    maps = saliency(vision.model, x) * x
    for domain in ("fourier", "wavelet:bior2.2", "cosine"):
        own = vision.explain(pixels, method="gradient_input", domain=domain)
        for one, other, given in zip(vision.from_maps(pixels, maps, "by hand", domain=domain), own, maps, strict=True):
            torch.testing.assert_close(one.scores, other.scores, rtol=1e-4, atol=1e-6)
            assert float(one.scores.double().sum()) == pytest.approx(float(given.sum()), abs=1e-5)
            assert one.provenance["method"] == "given:origin=by hand,lift=transport"
            assert abs(one.completeness_error) < 1e-5
            assert one.provenance["notes"] == other.provenance["notes"]


def test_integrated_gradients_from_zero_in_another_domain(vision, pixels):
    from captum.attr import IntegratedGradients

    def score(x, labels):
        return vision.model(pixel_values=x).logits.log_softmax(-1).gather(1, labels[:, None])[:, 0]

    own = vision.explain(pixels, method="integrated_gradients:steps=16", domain="fourier")
    labels = torch.tensor([one.target for one in own])
    made = IntegratedGradients(score).attribute(
        pixels["pixel_values"], n_steps=16, additional_forward_args=labels, method="riemann_middle"
    )
    for one, other in zip(vision.from_maps(pixels, made.detach(), "captum", domain="fourier"), own, strict=True):
        torch.testing.assert_close(one.scores, other.scores, rtol=1e-3, atol=1e-5)


def test_gradients_and_the_published_lift_by_name(vision, pixels):
    maps = saliency(vision.model, pixels["pixel_values"])
    own = vision.explain(pixels, method="saliency", domain="fourier")
    lifted = vision.from_maps(pixels, maps, domain="fourier", lift="gradient")
    published = vision.from_maps(pixels, maps, domain="fourier", lift="magnitude")
    for one, two, other in zip(lifted, published, own, strict=True):
        torch.testing.assert_close(one.scores, other.scores)
        torch.testing.assert_close(two.scores, other.scores)  # the same by Fourier features, of signed gradients
        assert two.provenance["method"] == "given:lift=magnitude"


def test_what_a_lift_cannot_know_is_said(vision, pixels):
    x = pixels["pixel_values"]
    size = saliency(vision.model, x).abs()
    for lift in (None, "gradient"):
        assert any(
            "no negative" in note
            for note in vision.from_maps(pixels, size, domain="fourier", lift=lift)[0].provenance["notes"]
        )
    assert not vision.from_maps(pixels, size, domain="fourier", lift="magnitude")[0].provenance["notes"]
    assert not vision.from_maps(pixels, size)[0].provenance["notes"]
    black = {"pixel_values": x.clone()}
    black["pixel_values"][:, :, :8] = 0
    (one, _) = vision.from_maps(black, saliency(vision.model, x), domain="fourier")
    assert any("25 % of the input is zero" in note for note in one.provenance["notes"])
    one_entry, there = {"pixel_values": x.clone()}, torch.zeros_like(x)
    one_entry["pixel_values"][:, 0, 3, 4] = 0
    there[:, 0, 3, 4], there[:, 1, 5, 6] = 1, -3
    (one, _) = vision.from_maps(one_entry, there, domain="fourier")
    assert any("loses 25 % of the map's size" in note for note in one.provenance["notes"])
    with pytest.raises(SpecError, match="transport"):
        vision.from_maps(pixels, size, domain="fourier", lift="fft")
    with pytest.raises(SpecError, match="channels"):
        vision.from_maps(pixels, torch.randn(2, 32, 32), domain="fourier", lift="gradient")


def test_maps_with_and_without_channels_in_one_call(vision, pixels):
    flat = torch.randn(32, 32, generator=torch.Generator().manual_seed(1))
    full = torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(2))
    mixed = vision.from_maps(pixels, [flat, full], domain="fourier")
    assert torch.equal(mixed[0].scores, vision.from_maps(pixels, [flat, flat], domain="fourier")[0].scores)
    assert torch.equal(mixed[1].scores, vision.from_maps(pixels, [full, full], domain="fourier")[1].scores)
    for one, given in zip(mixed, (flat, full), strict=True):
        assert float(one.scores.double().sum()) == pytest.approx(float(given.sum()), abs=1e-3)


def test_a_pair_of_texts_by_place_keeps_the_sign():
    """Two segments, each a basis of its own: by place a map is ranked as it is there, too."""
    explainer = FourierExplainer(tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer("bert"))
    pair = (tiny_tokenizers.texts(2)[0], tiny_tokenizers.texts(2)[1])
    names = explainer.explain(pair, method="magnitude").names
    given = torch.linspace(-1, 1, len(names))
    one = explainer.from_maps(pair, given)
    torch.testing.assert_close(one.scores, given)


@pytest.mark.parametrize("lead", [(), (1,), (1, 1)])
def test_a_map_over_pixels_takes_all_channels_together(vision, pixels, lead):
    flat = torch.arange(32 * 32.0).reshape(*lead, 32, 32)
    one, other = vision.from_maps(pixels, [flat, -flat.numpy()])
    assert one.layout.domain == "identity:grain=position"
    assert one.order[0] == other.order[-1] == 32 * 32 - 1
    gone = one.delete_top(k=1)
    assert (gone[:, -1, -1] == 0).all()
    assert torch.equal(gone[:, :-1], one.signal[:, :-1])


def test_maps_of_tokens_with_and_without_special_ones():
    explainer = FourierExplainer(tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer("bert"))
    text = tiny_tokenizers.texts(1)[0]
    length = len(explainer.processor(text)["input_ids"])
    whole = torch.arange(float(length))
    one = explainer.from_maps(text, whole)
    two = explainer.from_maps(text, whole[1:-1])
    assert torch.equal(one.scores, two.scores)
    assert one.order.tolist() == list(range(length - 2))[::-1]
    assert explainer.from_maps([text], [whole])[0].label == one.label
    wide = explainer.from_maps(text, torch.randn(length, explainer.model.config.hidden_size), domain="fourier")
    assert wide.scores.shape == explainer.explain(text).scores.shape


@pytest.mark.parametrize("name", tiny_models_audio.WINDOWS)
def test_maps_of_spectrograms_with_and_without_what_fills_the_window(name):
    explainer = FourierExplainer(tiny_models_audio.build(name), tiny_models_audio.extractor(name))
    clip = (tiny_models_audio.clip(8000), tiny_models_audio.RATE)
    signal = explainer.explain(clip, method="magnitude").layout.signal
    time = [axis.name for axis in signal.axes].index("time")
    encoded = explainer.wrapper.encode(clip)
    window = encoded.inputs[explainer.wrapper.main_input].shape
    assert window[time] > signal.shape[time]
    whole = torch.randn(window, generator=torch.Generator().manual_seed(0))
    heard = whole.index_select(time, encoded.content)
    for given in (whole, heard):
        assert torch.equal(explainer.from_maps(clip, given).scores, heard.flatten())


@pytest.mark.parametrize(
    ("maps", "words_"),
    [
        (torch.zeros(2, 7, 7), "interpolate"),
        (torch.zeros(3, 32, 32), "one per example"),
        (torch.full((2, 32, 32), float("nan")), "finite"),
        (torch.zeros(2, 3, 32, 31), "without channels"),
        (["a map", "another"], "an array of numbers"),
    ],
)
def test_maps_that_do_not_fit(vision, pixels, maps, words_):
    with pytest.raises(InputError, match=words_):
        vision.from_maps(pixels, maps)
