"""Models that segment: their own masks, masks as targets, and volumes of any edges."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hf_fourier import FourierExplainer
from hf_fourier.errors import InputError, TargetError
from hf_fourier.scoring.heads.segmentation import decisions
from hf_fourier.scoring.targets import Region
from tests.models import laws, tiny_models_segmentation
from tests.models.tiny_models_segmentation import PICTURES, VOLUMES, inputs

MODELS = [*PICTURES, *VOLUMES]


@cache
def explainer(name: str) -> FourierExplainer:
    return FourierExplainer(tiny_models_segmentation.build(name), task="image-segmentation")


@pytest.mark.parametrize("name", MODELS)
def test_the_clean_forward_is_the_models_own(name: str) -> None:
    explain, pixels = explainer(name), inputs(name)
    for i, encoded in enumerate(explain.wrapper.encode_batch({"pixel_values": pixels})):
        with torch.no_grad():
            theirs = explain.model(pixel_values=laws.laid_out(explain, pixels[i : i + 1])).logits
        laws.close(laws.own_forward(explain, encoded), theirs)


@pytest.mark.parametrize("name", MODELS)
def test_results_are_whole_and_come_back(name: str, tmp_path: Path) -> None:
    explain, pixels = explainer(name), inputs(name)
    with torch.no_grad():
        theirs = explain.model(pixel_values=laws.laid_out(explain, pixels)).logits
    results = explain.explain({"pixel_values": pixels})
    for i, result in enumerate(results):
        laws.whole(result)
        assert result.gradient.abs().max() > 0
        assert torch.equal(result.signal, pixels[i])
        said = decisions(theirs[i : i + 1])[0]
        own = said == 1 if theirs.shape[1] == 1 and said.any() else torch.ones_like(said, dtype=torch.bool)
        assert torch.equal(result.frozen_target != -1, own)
        z = torch.cat([torch.zeros_like(theirs[i]), theirs[i]]) if theirs.shape[1] == 1 else theirs[i]
        log_p = z.log_softmax(0).gather(0, said.unsqueeze(0))[0]
        assert result.value == pytest.approx(float(log_p[own].mean()), rel=1e-4)
        assert result.confidence == pytest.approx(np.exp(result.value))
    laws.comes_back(explain, results[0], tmp_path)
    assert torch.equal(results[0].extras["mask keep 1"].long(), decisions(theirs[:1])[0])


@pytest.mark.parametrize("name", MODELS)
def test_batch_passes_and_state(name: str) -> None:
    explain, pixels = explainer(name), inputs(name)
    with laws.counted(explain) as (rows, back):
        together = explain.explain({"pixel_values": pixels}, method="ffc")
    assert (sum(rows), sum(back)) == (3, 3)
    turned = explain.explain({"pixel_values": pixels.flip(0)}, batch_size=2, method="ffc")
    for i, result in enumerate(together):
        (alone,) = explain.explain({"pixel_values": pixels[i : i + 1]}, method="ffc")
        laws.same(result, alone)
        laws.same(result, turned[2 - i])
        assert result.provenance["passes"] == {"forward": 1, "backward": 1}
    kept = pixels.clone()
    laws.nothing_is_changed(explain, explain_one(name))
    assert torch.equal(pixels, kept)


def explain_one(name: str) -> Any:
    return inputs(name)[0].numpy() if name in VOLUMES else {"pixel_values": inputs(name)[:1]}


@pytest.mark.parametrize("name", ["segformer", "upernet", *VOLUMES])
def test_bfloat16(name: str) -> None:
    halved = FourierExplainer(tiny_models_segmentation.build(name).bfloat16(), task="image-segmentation")
    (result,) = halved.explain({"pixel_values": inputs(name)[:1]})
    (wide,) = explainer(name).explain({"pixel_values": inputs(name)[:1]})
    laws.whole(result)
    assert result.scores.dtype == torch.float32
    assert abs(result.confidence - wide.confidence) < 0.1


@pytest.mark.parametrize("name", ["segformer", "beit", "two classes", "two channels"])
def test_one_class_as_a_target(name: str) -> None:
    """By index or by name; its places alone count, and Dice is that of its mask."""
    explain, pixels = explainer(name), inputs(name)[:1]
    with torch.no_grad():
        said = explain.model(pixel_values=laws.laid_out(explain, pixels)).logits.argmax(1)[0]
    index = int(said.flatten().mode().values)
    (result,) = explain.explain({"pixel_values": pixels}, index)
    label = explain.model.config.id2label[index]
    assert (result.target, result.label) == (index, label)
    assert torch.equal(result.frozen_target == index, said == index)
    (named,) = explain.explain({"pixel_values": pixels}, label.upper())
    laws.same(result, named)
    explain.perturb(result, fractions=[0.02])
    stop, found = result.curve.at("keep", 0.02), result.extras["mask keep 0.02"] == index
    both = 2 * (found & (said == index)).sum() / (found.sum() + (said == index).sum())
    assert stop.agreement == pytest.approx(float(both))
    with pytest.raises(TargetError):
        explain.explain({"pixel_values": pixels}, "spoon")
    with pytest.raises(TargetError):
        explain.explain({"pixel_values": pixels}, 3)


@pytest.mark.parametrize("name", ["segformer", "two channels", "one logit"])
def test_a_mask_of_ones_own(name: str) -> None:
    explain, pixels = explainer(name), inputs(name)[:1]
    with torch.no_grad():
        z = explain.model(pixel_values=laws.laid_out(explain, pixels)).logits[0]
    own = torch.full(z.shape[1:], -1)
    own[0], own[1] = 1, 0
    (result,) = explain.explain({"pixel_values": pixels}, Region(own.numpy()))
    log_p = (torch.cat([torch.zeros_like(z), z]) if len(z) == 1 else z).log_softmax(0)
    assert result.value == pytest.approx(
        float((log_p[1][own == 1].sum() + log_p[0][own == 0].sum()) / (own >= 0).sum())
    )
    assert torch.equal(result.frozen_target.long(), own)
    (again,) = explain.explain({"pixel_values": pixels.numpy()[:, ::-1][:, ::-1]}, Region(own.numpy()[::-1][::-1]))
    laws.same(again, result)
    (flipped,) = explain.explain({"pixel_values": pixels}, Region(own.flip(0).numpy()[::-1].astype(">i8")))
    laws.same(flipped, result)
    for wrong in (own + 3, own[1:], own.float(), torch.full_like(own, -1), own - 1):
        with pytest.raises(TargetError):
            explain.explain({"pixel_values": pixels}, Region(wrong))


def test_a_class_that_is_absent_and_masks_that_are_empty() -> None:
    model = tiny_models_segmentation.build("two classes")
    with torch.no_grad():
        model.out.bias[1] -= 50
    explain = FourierExplainer(model, task="image-segmentation")
    volume = inputs("two classes")[0].numpy()
    result = explain.explain(volume, "brain")
    laws.whole(result)
    assert (result.frozen_target == 1).all()
    assert explain.explain(volume).label == "background"
    lone = tiny_models_segmentation.build("one logit")
    with torch.no_grad():
        lone.out.bias -= 50
    explain = FourierExplainer(lone, task="image-segmentation")
    result = explain.explain(volume)
    laws.whole(result)
    assert result.label == "not brain"
    explain.perturb(result, fractions=[0.1])
    assert {stop.agreement for stop in result.curve.points} == {1.0}  # nothing, and nothing again


def test_a_lone_class_is_what_is_found() -> None:
    explain, volume = explainer("one logit"), inputs("one logit")[0].numpy()
    result = explain.explain(volume)
    assert (result.target, result.label) == (1, "brain")
    laws.same(explain.explain(volume, "brain"), result)
    away = explain.explain(volume, "not brain")
    assert away.target == 0
    assert torch.equal(away.frozen_target == 0, result.frozen_target == -1)


@pytest.mark.parametrize("edges", [(1, 1, 1), (5, 7, 6), (3, 11, 13), (2, 16, 1)])
def test_volumes_of_any_edges_in_every_form(edges: tuple[int, int, int]) -> None:
    explain = explainer("two classes")
    volume = np.random.default_rng(0).normal(size=edges).astype(np.float32)
    result = explain.explain(volume)
    laws.whole(result)
    assert [(axis.name, axis.length) for axis in result.layout.signal.axes] == [
        ("channel", 1), *zip(("depth", "height", "width"), edges, strict=True)
    ]  # fmt: skip
    assert any("model's own units" in note for note in result.provenance["notes"])
    np.testing.assert_allclose(result.render(1.0), volume, atol=1e-5)
    forms = [
        volume[None], torch.from_numpy(volume), torch.from_numpy(volume).requires_grad_(True),
        volume.astype(">f4"), np.asfortranarray(volume), volume[::-1].copy()[::-1],
    ]  # fmt: skip
    for form in forms:
        laws.same(explain.explain(form), result)
    laws.same(explain.explain([volume, volume])[1], result)
    laws.same(explain.explain({"pixel_values": volume[None, None]})[0], result)
    assert explain.explain(volume.astype(np.float64)).signal.shape == result.signal.shape


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "bool"])
def test_volumes_of_whole_numbers(dtype: str) -> None:
    volume = np.random.default_rng(0).integers(0, 2, (4, 5, 6)).astype(dtype)
    result = explainer("two classes").explain(volume)
    assert torch.equal(result.signal[0], torch.from_numpy(volume.astype(np.float32)))


def test_a_flat_volume() -> None:
    for level in (0.0, 3.0):
        laws.whole(explainer("two classes").explain(np.full((5, 6, 7), level, np.float32)))


BAD: dict[str, tuple[Any, str]] = {
    "NaN": (np.full((4, 4, 4), np.nan, np.float32), "finite"),
    "infinity": (np.full((4, 4, 4), np.inf, np.float32), "finite"),
    "empty": (np.zeros((0, 4, 4), np.float32), "none empty"),
    "complex": (np.ones((4, 4, 4), complex), "complex128"),
    "two channels": (np.ones((2, 4, 4, 4), np.float32), "(batch, 1, depth, height, width)"),
    "flat": (np.ones((4, 4), np.float32), "without a processor"),
    "a batch": (np.ones((1, 1, 4, 4, 4), np.float32), "without a processor"),
    "no array": (3, "without a processor"),
    "four dimensions in a dict": ({"pixel_values": torch.ones(1, 1, 4, 4)}, "5 dimensions"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_volumes(name: str) -> None:
    example, said = BAD[name]
    with pytest.raises(InputError) as caught:
        explainer("two classes").explain(example)
    assert said in str(caught.value)


def test_pictures_through_a_processor() -> None:
    from transformers import SegformerImageProcessor

    processor = SegformerImageProcessor(size={"height": 47, "width": 33})
    explain = FourierExplainer(explainer("segformer").model, processor)
    picture = np.random.default_rng(0).integers(0, 255, (60, 50, 3), np.uint8)
    result = explain.explain(picture)
    assert torch.equal(result.signal, processor(images=picture, return_tensors="pt")["pixel_values"][0])
    assert result.render(0.5).size == (33, 47)
    laws.batch_and_order_are_no_matter(explain, [picture, picture[::-1].copy(), picture[:, ::-1].copy()])
