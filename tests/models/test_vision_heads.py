"""Models that see: depth, boxes, masks, texts, videos and embeddings against the models' own outputs."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hf_fourier import FourierExplainer
from hf_fourier.errors import InputError, TargetError
from hf_fourier.scoring.heads.detection import Detections
from hf_fourier.scoring.targets import Contrast, Direction, Position
from tests.models import laws, tiny_models_vision, tiny_tokenizers
from tests.models.tiny_models_vision import EVERYTHING, MODELS, inputs
from tests.scoring.test_targets import gradients

FOUND = [(task, name) for task in ("object-detection", "universal-segmentation") for name in MODELS[task]]


@cache
def explainer(task: str, name: str) -> FourierExplainer:
    return FourierExplainer(tiny_models_vision.build(task, name), task=task)


def batch_of(explain: FourierExplainer, rows: slice = slice(None)) -> dict[str, torch.Tensor]:
    given = inputs(explain.wrapper.task)
    values = given.pop("pixel_values")[rows]
    return {explain.wrapper.main_input: values, **given}


@cache
def target(task: str, name: str) -> Any:
    if "feature" not in task:
        return None
    other = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(9))
    return Direction(explainer(task, name).predict({"pixel_values": other}).logits)


@pytest.mark.parametrize(("task", "name"), EVERYTHING)
def test_the_clean_forward_is_the_models_own(task: str, name: str) -> None:
    explain = explainer(task, name)
    batch = batch_of(explain)
    for i, encoded in enumerate(explain.wrapper.encode_batch(batch)):
        with torch.no_grad():
            theirs = explain.model(**batch_of(explain, slice(i, i + 1)))
        ours = laws.own_outputs(explain, encoded)
        laws.close(explain.wrapper.read(ours), explain.wrapper.read(theirs))


@pytest.mark.parametrize(("name", "over"), [("vit", None), ("resnet", None), ("segformer", (2, 3))])
def test_an_embedding_is_what_is_pooled_or_the_mean_over_places(name: str, over: Any) -> None:
    explain, batch = explainer("image-feature-extraction", name), inputs("image-feature-extraction", 1)
    with torch.no_grad():
        outputs = explain.model(**batch)
    expected = outputs.pooler_output.flatten(1) if over is None else outputs.last_hidden_state.mean(over)
    found = torch.as_tensor(explain.predict(batch).logits).view(1, -1)
    laws.close(found, expected)


@pytest.mark.parametrize("count", [1, 4])
def test_what_the_processor_pads_is_masked_for_the_model(count: int) -> None:
    from transformers import DetrImageProcessor

    sizes = {"shortest_edge": 32, "longest_edge": 64}
    processor = DetrImageProcessor(size=sizes, pad_size={"height": 64, "width": 96})
    explain = FourierExplainer(tiny_models_vision.build("object-detection", "detr"), processor)
    pictures = list(np.random.default_rng(0).integers(0, 256, (count, 40, 60, 3), dtype=np.uint8))
    results = explain.explain(pictures, method="magnitude")
    for picture, result in zip(pictures, results, strict=True):
        batch = processor(images=picture, return_tensors="pt")
        assert not batch["pixel_mask"].all()
        with torch.no_grad():
            theirs = explain.wrapper.read(explain.model(**batch))
        laws.close(torch.as_tensor(explain.predict(picture).logits).view_as(theirs), theirs)
        assert torch.equal(result.inputs["pixel_mask"], batch["pixel_mask"][0])


@pytest.mark.parametrize(("task", "name"), EVERYTHING)
def test_results_are_whole_and_come_back(task: str, name: str, tmp_path: Path) -> None:
    explain = explainer(task, name)
    results = explain.explain(batch_of(explain), target(task, name))
    for i, result in enumerate(results):
        laws.whole(result)
        assert result.gradient.abs().max() > 0
        assert result.agreement == 1.0
        (alone,) = explain.explain(batch_of(explain, slice(i, i + 1)), target(task, name))
        laws.same(result, alone)
    laws.comes_back(explain, results[0], tmp_path)
    if target(task, name) is None:
        laws.nothing_is_changed(explain, batch_of(explain))


@pytest.mark.parametrize(("task", "name"), EVERYTHING)
def test_bfloat16_in_training_mode(task: str, name: str) -> None:
    halved = FourierExplainer(tiny_models_vision.build(task, name).bfloat16().train(), task=task)
    (result,) = halved.explain(batch_of(halved, slice(0, 1)), target(task, name))
    laws.whole(result)
    assert result.scores.dtype == torch.float32
    assert all(module.training for module in halved.model.modules())


@pytest.mark.parametrize("name", MODELS["depth-estimation"])
def test_depth_is_the_mean_over_the_picture(name: str) -> None:
    explain = explainer("depth-estimation", name)
    (result, _) = explain.explain(batch_of(explain))
    with torch.no_grad():
        depth = explain.model(**batch_of(explain)).predicted_depth[0]
    assert result.value == pytest.approx(float(depth.mean()), rel=1e-4)
    assert result.confidence is None
    (one, _) = explain.explain(batch_of(explain), 7)
    assert one.value == pytest.approx(float(depth.flatten()[7]), rel=1e-4)
    for wrong in (10**6, "far", Contrast(0, 1)):
        with pytest.raises(TargetError):
            explain.explain(batch_of(explain), wrong)


@pytest.mark.parametrize(("task", "name"), FOUND)
def test_what_is_found(task: str, name: str) -> None:
    """The likeliest query of a model that is sure of nothing, a query by number, and a class."""
    explain = explainer(task, name)
    with torch.no_grad():
        outputs = explain.model(**batch_of(explain, slice(0, 1)))
    z = (outputs.class_queries_logits if "class_queries_logits" in outputs else outputs.logits)[0]
    softmax = z.shape[-1] == 4
    log_p = z.log_softmax(-1)[:, :3] if softmax else torch.nn.functional.logsigmoid(z)
    best = log_p.max(-1).values
    (result,) = explain.explain(batch_of(explain, slice(0, 1)))
    found = best.exp() >= 0.5 if (best.exp() >= 0.5).any() else best == best.max()
    assert result.value == pytest.approx(float(best[found].mean()), rel=1e-3)
    (second,) = explain.explain(batch_of(explain, slice(0, 1)), Position(1, "saucer"))
    assert (second.target, second.label) == (2, "saucer")
    (cup,) = explain.explain(batch_of(explain, slice(0, 1)), "cup")
    assert "cup" in cup.label
    for wrong in (3, "spoon", Position(5), Position(0, 3), Contrast(0, 1)):
        with pytest.raises(TargetError):
            explain.explain(batch_of(explain, slice(0, 1)), wrong)


def scene(softmax: bool) -> torch.Tensor:
    """Three queries, of which the first two find a cup on the left and a saucer on the right."""
    z = torch.full((1, 3, 4 if softmax else 3), -3.0, dtype=torch.float64)
    z[0, 0, 1] = z[0, 1, 2] = 4.0
    boxes = torch.tensor([[[0.2, 0.5, 0.2, 0.4], [0.7, 0.5, 0.2, 0.4], [0.5, 0.5, 1.0, 1.0]]], dtype=torch.float64)
    if softmax:
        z[0, 2, 3] = 4.0
    return torch.cat([z, boxes], dim=-1)


@pytest.mark.parametrize("softmax", [True, False])
def test_detections_are_matched_by_class_and_place(softmax: bool) -> None:
    head, logits = Detections({0: "ground", 1: "cup", 2: "saucer"}, 3), scene(softmax)
    frozen = head.freeze(logits, [None])
    assert frozen[0, :, 0].tolist() == [1, 2, -1]
    assert head.name_target(frozen[0]) == ([1, 2], "cup, saucer")
    reading = head.read(logits, frozen)
    classes = logits[0, :, :-4]
    log_p = classes.log_softmax(-1) if softmax else torch.nn.functional.logsigmoid(classes)
    assert float(reading.value) == pytest.approx(float((log_p[0, 1] + log_p[1, 2]) / 2))
    _, value, through = gradients(head, logits, frozen)
    torch.testing.assert_close(through, value)
    turned = head.read(logits[:, [2, 1, 0]], frozen)  # other queries find the same
    assert float(turned.value) == pytest.approx(float(reading.value))
    assert float(turned.agreement) == 1.0
    gone = logits.clone()
    gone[0, 1, 2] = -9.0
    assert float(head.read(gone, frozen).agreement) == 0.5
    moved = logits.clone()
    moved[0, 0, -4] += 0.1  # half of its width: an overlap of a third
    assert float(head.read(moved, frozen).agreement) == 0.5
    moved[0, 0, -4] -= 0.05
    assert float(head.read(moved, frozen).agreement) == 1.0


def test_masks_are_matched_by_their_places() -> None:
    head = Detections({0: "cup", 1: "saucer"}, 2, boxes=False)
    z = torch.tensor([[[4.0, -3, -3], [-3, 4.0, -3]]])
    masks = torch.tensor([[[5.0, 5, 5, -5, -5, -5], [-5, -5, -5, 5, 5, 5]]])
    logits = torch.cat([z, masks], dim=-1)
    frozen = head.freeze(logits, [None])
    assert float(head.read(logits[:, [1, 0]], frozen).agreement) == 1.0
    less = logits.clone()
    less[0, 0, 4:6] = -5.0  # a third is left
    assert float(head.read(less, frozen).agreement) == 0.5


@pytest.mark.parametrize("name", MODELS["zero-shot-image-classification"])
def test_texts(name: str) -> None:
    from transformers import CLIPImageProcessorPil, CLIPProcessor

    model = explainer("zero-shot-image-classification", name).model
    pictures = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=32)
    processor = CLIPProcessor(pictures, tiny_tokenizers.tokenizer("roberta", model_max_length=16))
    explain = FourierExplainer(model, processor, task="zero-shot-image-classification")
    picture = np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)
    texts = ["w10 w11", "w12 w13 w14", "w15"]
    padding = "max_length" if name == "siglip" else True
    own = processor(text=texts, images=picture, padding=padding, return_tensors="pt")
    with torch.no_grad():
        z = model(**own).logits_per_image[0]
    result = explain.explain((picture, texts))
    assert result.label == texts[int(z.argmax())]
    assert result.value == pytest.approx(float(z.log_softmax(0).max()), rel=1e-4)
    assert explain.explain((picture, texts), texts[2]).target == 2
    assert explain.explain((picture, texts), Contrast(texts[0], 1)).value == pytest.approx(float(z[0] - z[1]), abs=1e-4)
    many = explain.explain([(picture, texts), (picture, texts[:2]), (picture[::-1].copy(), texts)])
    laws.same(many[0], result)
    explain.perturb(many, fractions=[0.1])
    assert explain.predict((picture, texts)).label == result.label
    for wrong in (picture, (picture, "text"), (picture, []), (picture, [1])):
        with pytest.raises(InputError):
            explain.explain(wrong)
    with pytest.raises(TargetError):
        explain.explain((picture, texts), "w44")


def test_a_video_comes_through_a_processor() -> None:
    from transformers import VideoMAEImageProcessor

    processor = VideoMAEImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    explain = FourierExplainer(explainer("video-classification", "videomae").model, processor)
    frames = np.random.default_rng(0).integers(0, 255, (4, 40, 50, 3), np.uint8)
    result = explain.explain(frames)
    assert [axis.name for axis in result.layout.signal.axes] == ["time", "channel", "height", "width"]
    laws.whole(result)
    laws.same(explain.explain(tuple(frames)), result)
    for wrong in ("a video", 3, frames[:0], {"pixel_values": torch.zeros(1, 3, 32, 32)}):
        with pytest.raises(InputError):
            explain.explain(wrong)
