"""What was made against one model, put before another: in real numbers, through each model's own normalisation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from hf_fourier import FourierExplainer
from hf_fourier.errors import InputError
from hf_fourier.results.views import ImageView, NoView
from tests.models import tiny_models, tiny_models_audio, tiny_tokenizers

ATTACK = "attexplore:steps=3,copies=3,epsilon=.3"


def explainer(which: str = "vit", size: int = 32, mean: float = 0.5, std: float = 0.5, **changes: Any) -> Any:
    from transformers import ViTImageProcessor

    processor = ViTImageProcessor(size={"height": size, "width": size}, image_mean=[mean] * 3, image_std=[std] * 3)
    return FourierExplainer(tiny_models.build("image-classification", which, **changes), processor)


def pictures(n: int = 5) -> list[np.ndarray]:
    numbers = np.random.default_rng(0)
    return [numbers.integers(0, 256, (32, 32, 3), dtype=np.uint8) for _ in range(n)]


@pytest.fixture(scope="module")
def source() -> FourierExplainer:
    return explainer()


@pytest.fixture(scope="module")
def results(source: FourierExplainer) -> list[Any]:
    return source.explain(pictures(), method=ATTACK)


def test_the_walk_keeps_to_the_range_of_pixels(source: FourierExplainer, results: list[Any]) -> None:
    """The block says what its processor does to black and white."""
    for result in results:
        assert result.extras["unit"] == "pixel"
        end = result.view.pixels(result.extras["adversarial"])
        assert float((end - result.view.pixels(result.signal)).abs().max()) == pytest.approx(0.3, abs=1e-5)
        assert float(end.min()) >= -1e-6
        assert float(end.max()) <= 1 + 1e-6


def test_to_itself_it_says_what_the_walk_said(source: FourierExplainer, results: list[Any]) -> None:
    table = source.transfer(results, other=source)
    assert len(table) == len(results)
    assert table["example"] == list(range(len(results)))
    assert table["flipped"] == table["source flipped"] == [r.extras["flipped"] for r in results]
    assert table["clean decision"] == table["explained"] == [r.label for r in results]
    assert table["confidence"] == pytest.approx([r.confidence for r in results], rel=1e-4)
    after = [r.extras["adversarial_confidence"] for r in results]
    assert table["confidence after"] == pytest.approx(after, rel=1e-3)


def test_normalisation_and_the_order_of_channels_are_undone(source: FourierExplainer, results: list[Any]) -> None:
    """The same network behind another processor is the same model of pictures."""
    other = explainer(mean=0.1, std=0.8)

    def rescaled(module: torch.nn.Module, args: Any, kwargs: dict[str, Any]) -> Any:
        return args, {**kwargs, "pixel_values": (kwargs["pixel_values"] * 0.8 + 0.1 - 0.5) / 0.5}

    other.model.load_state_dict(source.model.state_dict())
    other.model.register_forward_pre_hook(rescaled, with_kwargs=True)
    there, here = source.transfer(results, other=other), source.transfer(results, other=source)
    assert there["flipped"] == here["flipped"]
    assert there["confidence after"] == pytest.approx(here["confidence after"], rel=1e-3)
    signal = torch.rand(3, 4, 5)
    for order in ((), (2, 1, 0), (1, 2, 0)):
        view = ImageView((0.1, 0.2, 0.3), (0.5, 0.6, 0.7), order)
        torch.testing.assert_close(view.signal(view.pixels(signal)), signal)
    red = ImageView(order=(2, 1, 0)).signal(torch.tensor([1.0, 0, 0]).view(3, 1, 1))
    assert red.flatten().tolist() == [0, 0, 1]


def test_nothing_is_rounded_to_bytes(source: FourierExplainer) -> None:
    """A displacement of a tenth of a grey level would not outlive an image file."""
    (result,) = source.explain(pictures(1), method="attexplore:steps=1,copies=1,epsilon=.0004")
    adopted = source.wrapper.encode_signal(result.extras["adversarial"], result.view)
    assert adopted.values is not None
    torch.testing.assert_close(adopted.values, result.extras["adversarial"], rtol=0, atol=1e-6)
    assert float((adopted.values - result.signal).abs().max()) > 5e-4


def test_a_model_of_another_size(source: FourierExplainer, results: list[Any]) -> None:
    other = explainer(size=48, image_size=48)
    table = source.transfer(results, other=other, batch_size=2)
    assert len(table) == len(results)
    signal = results[0].signal
    clean = [other.wrapper.encode_signal(r.signal, r.view) for r in results]
    assert clean[0].signal.shape == (3, 48, 48)
    flat = other.wrapper.encode_signal(torch.full_like(signal, 0.25), results[0].view)
    assert flat.values is not None
    torch.testing.assert_close(flat.values, torch.full((3, 48, 48), 0.25))
    with torch.no_grad():
        logits = other.model(pixel_values=torch.stack([e.values for e in clean if e.values is not None])).logits
    names = [other.model.config.id2label[int(i)] for i in logits.argmax(1)]
    assert table["clean decision"] == names
    assert table["confidence"] == pytest.approx(logits.softmax(1).amax(1).tolist(), rel=1e-4)
    ends = [other.wrapper.encode_signal(r.extras["adversarial"], r.view).values for r in results]
    with torch.no_grad():
        after = other.model(pixel_values=torch.stack(ends)).logits
    assert table["flipped"] == (after.argmax(1) != logits.argmax(1)).tolist()
    assert table["flipped"] != table["source flipped"], "the toy must tell the two apart"


def test_one_result_and_saved_ones(source: FourierExplainer, results: list[Any], tmp_path: Any) -> None:
    from hf_fourier import Attribution

    back = Attribution.load(results[1].save(tmp_path / "whole"))
    expected = {name: [column[1]] for name, column in source.transfer(results, other=source).columns.items()}
    got = source.transfer(back, other=source).columns
    for name in ("explained", "source flipped", "clean decision", "flipped"):
        assert got[name] == expected[name]
    compact = Attribution.load(results[1].save(tmp_path / "small", compact=True))
    with pytest.raises(InputError, match="compact"):
        source.transfer(compact, other=source)


def test_what_cannot_be_transferred(source: FourierExplainer, results: list[Any]) -> None:
    with pytest.raises(InputError, match="attexplore"):
        source.transfer(source.explain(pictures(1)), other=source)
    model = tiny_models.build("text-classification", "bert")
    texts = FourierExplainer(model, tiny_tokenizers.tokenizer("bert"))
    sentences = texts.explain(tiny_tokenizers.texts(2), method="attexplore:steps=2,copies=2")
    assert all(result.extras["unit"] == "rms" for result in sentences)
    with pytest.raises(InputError, match="of a kind that"):
        texts.transfer(sentences, other=texts)
    with pytest.raises(InputError, match="of a kind that"):
        texts.transfer(sentences, other=source)
    with pytest.raises(InputError, match="of a kind that"):
        source.transfer(results, other=texts)
    with pytest.raises(InputError, match="own model"):
        texts.transfer(results, other=source)
    nameless = FourierExplainer(source.model)
    (result,) = nameless.explain({"pixel_values": results[0].signal[None]}, method=ATTACK)
    assert isinstance(result.view, NoView)
    assert result.extras["unit"] == "rms", "no processor, no range"
    with pytest.raises(InputError, match="of a kind that"):
        nameless.transfer(result, other=source)


def test_a_sound_goes_through_the_others_own_processor() -> None:
    name = tiny_models_audio.WAVEFORMS[0]
    listener = FourierExplainer(tiny_models_audio.build(name), tiny_models_audio.extractor(name))
    clips = [tiny_models_audio.clip(4000 + 500 * i, seed=i) for i in range(3)]
    results = listener.explain(clips, method="attexplore:steps=3,copies=2,epsilon=.5")
    table = listener.transfer(results, other=listener)
    assert table["flipped"] == table["source flipped"]
    assert table["confidence"] == pytest.approx([r.confidence for r in results], rel=1e-3)
    with pytest.raises(InputError, match="of a kind that"):
        listener.transfer(results, other=explainer())
