"""Names that are not those of the logits are refused with advice that works, or said."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hf_fourier import FourierExplainer
from hf_fourier.errors import FourierError, ModelError
from hf_fourier.scoring.heads.classification import ASSUMED_VALUE
from hf_fourier.scoring.heads.detection import boxes_of
from tests.models import tiny_models, tiny_models_segmentation, tiny_models_vision, tiny_tokenizers


def classifier(outputs: int = 3, **config: Any) -> FourierExplainer:
    """A text classifier with so many logits, whose config then says something else."""
    model = tiny_models.build("text-classification", "bert")
    with torch.random.fork_rng():
        torch.manual_seed(2)
        model.classifier = torch.nn.Linear(model.config.hidden_size, outputs)
    for name, value in config.items():
        setattr(model.config, name, value)
    return FourierExplainer(model, tiny_tokenizers.tokenizer())


def follow(explainer: FourierExplainer, advice: str) -> None:
    """Do what an error says: each `model.config.… = …` in it."""
    lines = [part for i, part in enumerate(advice.split("`")) if i % 2]
    assert any(line.startswith("model.config.") for line in lines)
    for line in lines:
        exec(line, {"model": explainer.model})


TEXT = tiny_tokenizers.texts(1)[0]


@pytest.mark.parametrize(
    ("outputs", "config"),
    [
        (3, {"id2label": {i: f"name {i}" for i in range(10)}}),
        (3, {"id2label": {i: f"name {i}" for i in range(10)}, "problem_type": "multi_label_classification"}),
        (3, {"id2label": {0: "only"}}),
        (3, {"id2label": {0: "only"}, "problem_type": "single_label_classification"}),
        (3, {"id2label": {i: f"value {i}" for i in range(4)}, "problem_type": "regression"}),
        (3, {"id2label": {i: f"LABEL_{i}" for i in range(4)}}),
        (10, {"id2label": {0: "no", 1: "yes"}}),
        (1, {"id2label": {0: "no", 1: "yes"}}),
    ],
)
def test_other_names_than_the_logits_are_refused_and_the_advice_works(outputs: int, config: dict[str, Any]) -> None:
    explain = classifier(outputs, **config)
    with pytest.raises(ModelError, match=f"{outputs} logits? of a model whose config names") as told:
        explain.explain(TEXT)
    with pytest.raises(ModelError):
        explain.predict(TEXT)
    follow(explain, told.value.hint)
    result = explain.explain(TEXT)
    assert len(explain.predict(TEXT).logits) == outputs
    if outputs > 1 and "problem_type = 'regression'" not in told.value.hint.partition("(")[0]:
        assert explain.predict(TEXT).ranked[0][0] in {str(i) for i in range(outputs)} | {"value"}
    assert result.label


def test_classes_without_a_name_are_said_and_shown_by_number() -> None:
    explain = classifier(id2label={0: "first", 2: "last"})
    results = [explain.explain(TEXT, target=y) for y in range(3)]
    assert [r.label for r in results] == ["first", "1", "last"]
    for result in results:
        (note,) = result.provenance["notes"]
        assert "2 of the model's 3 classes" in note


def test_a_head_of_another_width_without_names_of_its_own_shows_classes_by_number() -> None:
    explain = classifier(10, id2label={0: "LABEL_0", 1: "LABEL_1"})
    result = explain.explain(TEXT, target=7)
    assert result.label == "7"
    assert "2 of the model's 10 classes" in result.provenance["notes"][0]


def test_numbers_as_text_are_numbers() -> None:
    explain = classifier(id2label={"0": "a", "1": "b", "2": "c"})
    assert explain.explain(TEXT, target="b").target == 1


@pytest.mark.parametrize(
    "names", [{"cat": 0, "dog": 1, "cow": 2}, {0: "a", "0": "b", 1: "c"}, {-1: "a", 0: "b", 1: "c"}]
)
def test_names_the_wrong_way_round_or_twice_are_refused(names: dict[Any, Any]) -> None:
    explain = classifier(id2label=names)
    with pytest.raises(ModelError, match="id2label"):
        explain.explain(TEXT)


def test_two_lists_that_contradict_each_other_are_said() -> None:
    names = {0: "cat", 1: "dog", 2: "cow"}
    explain = classifier(id2label=names, label2id={"cat": 1, "dog": 0, "cow": 2})
    result = explain.explain(TEXT, target="dog")
    assert result.target == 1
    (note,) = result.provenance["notes"]
    assert "'cat' (0 and 1)" in note
    assert "'dog' (1 and 0)" in note
    agree = classifier(id2label=names, label2id={"cat": 0, "dog": 1, "cow": 2})
    assert agree.explain(TEXT).provenance["notes"] == []


def test_a_lone_output_is_said_to_be_taken_as_a_value_unless_the_config_says_what_it_is() -> None:
    assert classifier(1, id2label={0: "good"}).explain(TEXT).provenance["notes"] == [ASSUMED_VALUE]
    told = classifier(1, id2label={0: "good"}, problem_type="regression").explain(TEXT)
    assert (told.provenance["notes"], told.provenance["head"]) == ([], "value")
    sure = classifier(1, id2label={0: "good"}, problem_type="multi_label_classification").explain(TEXT)
    assert (sure.provenance["notes"], sure.provenance["head"]) == ([], "sigmoid")


def test_tags() -> None:
    model = tiny_models.build("token-classification", "bert")
    model.config.id2label = {i: f"tag {i}" for i in range(5)}
    explain = FourierExplainer(model, tiny_tokenizers.tokenizer())
    with pytest.raises(ModelError, match="3 logits of a model whose config names 5 classes") as told:
        explain.explain(TEXT)
    follow(explain, told.value.hint)
    assert explain.explain(TEXT).label


def test_masks() -> None:
    name = "segformer"
    model = tiny_models_segmentation.build(name)
    many = len(model.config.id2label)
    explain = FourierExplainer(model, task="image-segmentation")
    batch = {"pixel_values": tiny_models_segmentation.inputs(name, 1)}
    explain.explain(batch)
    model.config.id2label = {i: f"class {i}" for i in range(many + 3)}
    with pytest.raises(ModelError, match=f"whose config names {many + 3} classes") as told:
        explain.explain(batch)
    follow(explain, told.value.hint)
    assert explain.explain(batch)[0].label


@pytest.mark.parametrize("task", ["object-detection", "universal-segmentation"])
def test_detections(task: str) -> None:
    name = next(iter(tiny_models_vision.MODELS[task]))
    model = tiny_models_vision.build(task, name)
    many = len(model.config.id2label)
    explain, batch = FourierExplainer(model, task=task), tiny_models_vision.inputs(task, 1)
    explain.explain(batch)
    model.config.id2label = {i: f"class {i}" for i in range(many + 3)}
    with pytest.raises(FourierError, match=f"whose config names {many + 3} classes") as told:
        explain.explain(batch)
    follow(explain, told.value.hint)
    assert explain.explain(batch)[0].label


def test_a_tokenizer_that_knows_more_tokens_than_the_model_is_said() -> None:
    tokenizer = tiny_tokenizers.tokenizer()
    explain = FourierExplainer(tiny_models.build("fill-mask", "bert"), tokenizer)
    assert explain.explain(TEXT).provenance["notes"] == []
    tokenizer.add_tokens([f"more{i}" for i in range(40)])
    (note,) = explain.explain(TEXT).provenance["notes"]
    assert f"has {len(tokenizer)} tokens and the model {tiny_models.VOCABULARY}" in note


def test_quadrilaterals_are_read_as_the_boxes_around_them() -> None:
    corners = torch.tensor([[0.2, 0.1], [0.6, 0.2], [0.5, 0.7], [0.1, 0.6]])
    centre = torch.tensor([0.4, 0.4])
    said = torch.cat([centre, (corners - centre + 0.5).flatten()])[None, None]
    assert torch.allclose(boxes_of(said), torch.tensor([[[0.35, 0.4, 0.5, 0.6]]]))
    assert boxes_of(said[..., :4]) is not None
    with pytest.raises(ModelError, match="boxes of 6 numbers"):
        boxes_of(said[..., :6])
