"""What a hostile checkpoint states in its configuration, label map or processor ends in one message."""

import json

import pytest

from hf_fourier import FourierExplainer
from hf_fourier.errors import InputError, ModelError
from tools.fuzz import models


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    return models.save_text_model(tmp_path_factory.mktemp("text"))


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    return models.save_sound_model(tmp_path_factory.mktemp("sound"))


def changed(folder, to, name="config.json", **values):
    """A copy of a checkpoint with other values in one of its files."""
    to.mkdir()
    for path in folder.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    known = json.loads((to / name).read_text())
    (to / name).write_text(json.dumps({**known, **values}))
    return to


@pytest.mark.parametrize(
    "values",
    [
        {"num_hidden_layers": "["},
        {"hidden_size": None},
        {"architectures": [{"a": 1}]},
        {"architectures": 3},
        {"model_type": []},
        {"id2label": 0.5},
        {"id2label": "text"},
        {"id2label": ["a", "b"]},
        {"id2label": {"a": "0", "b": "1"}},
    ],
    ids=str,
)
def test_a_configuration_that_is_none_is_one_message(texts, tmp_path, values):
    with pytest.raises(ModelError):
        FourierExplainer.from_pretrained(changed(texts, tmp_path / "m", **values)).explain("a good b")


def test_a_configuration_that_is_no_json_is_one_message(texts, tmp_path):
    folder = changed(texts, tmp_path / "m")
    (folder / "config.json").write_text("[" * 200_000)
    with pytest.raises(ModelError):
        FourierExplainer.from_pretrained(folder)


def test_names_back_to_numbers_that_are_no_map_are_not_needed(texts, tmp_path):
    for number, names in enumerate(([["a"]], "text", 0.5)):
        explainer = FourierExplainer.from_pretrained(changed(texts, tmp_path / str(number), label2id=names))
        assert explainer.explain("a good b", method="magnitude").label in ("bad", "good")


@pytest.mark.parametrize("rate", [{}, float("inf"), -1, "fast", 10**9, True])
def test_a_rate_that_cannot_be_is_one_message(sounds, tmp_path, rate):
    folder = changed(sounds, tmp_path / "m", "preprocessor_config.json", sampling_rate=rate)
    with pytest.raises(ModelError, match="sampling_rate"):
        FourierExplainer.from_pretrained(folder).explain(models.example("sound"), method="magnitude")


@pytest.mark.parametrize("length", ["long", {}, -1, True])
def test_a_length_that_is_no_number_limits_nothing(texts, tmp_path, length):
    folder = changed(texts, tmp_path / "m", "tokenizer_config.json", model_max_length=length)
    explainer = FourierExplainer.from_pretrained(folder)
    assert explainer.wrapper.limit == 32  # that of the model's positions
    if isinstance(length, (str, dict)):
        with pytest.raises(InputError, match=r"a text, which .* refuses"):
            explainer.explain("a good b", method="magnitude")


def test_a_size_beyond_what_a_picture_can_have_is_one_message(tmp_path):
    whole = models.save_picture_model(tmp_path / "whole")
    size = {"height": 2**40, "width": 2**40}
    explainer = FourierExplainer.from_pretrained(changed(whole, tmp_path / "m", "preprocessor_config.json", size=size))
    with pytest.raises(InputError, match="refuses"):
        explainer.explain(models.example("picture"), method="magnitude")
