"""Data sets as users hold them."""

import pytest
from datasets import Dataset, Features, Image, Value

from hf_fourier import FourierExplainer
from hf_fourier.errors import InputError
from hf_fourier.models.inputs.examples import examples_of
from tests.models import tiny_models, tiny_tokenizers


def texts():
    return Dataset.from_dict({"text": tiny_tokenizers.texts(4), "label": [0, 1, 0, 1]})


def test_lists_and_iterables_stay_as_they_are():
    assert examples_of(["a", "b"]) == ["a", "b"]
    assert examples_of(iter([1, 2])) == [1, 2]
    with pytest.raises(InputError, match="leave `column` out"):
        examples_of(["a"], "text")


@pytest.mark.parametrize("single", ["a text", b"bytes", {"input_ids": 1}])
def test_a_single_example_is_not_taken_apart(single):
    with pytest.raises(InputError, match="in a list"):
        examples_of(single)


def test_the_only_column_of_texts():
    assert examples_of(texts()) == tiny_tokenizers.texts(4)
    assert examples_of(texts().to_iterable_dataset()) == tiny_tokenizers.texts(4)
    two = texts().add_column("title", ["x"] * 4)
    assert examples_of(two, "title") == ["x"] * 4
    with pytest.raises(InputError, match="choose one"):
        examples_of(two)
    with pytest.raises(InputError, match="one of text, label, title"):
        examples_of(two, "name")


def test_pictures_come_before_their_names():
    from PIL import Image as Pillow

    pictures = [Pillow.new("RGB", (4, 5), (i, 0, 0)) for i in range(3)]
    features = Features({"image": Image(), "name": Value("string")})
    made = Dataset.from_dict({"image": pictures, "name": ["a", "b", "c"]}, features=features)
    assert [picture.getpixel((0, 0))[0] for picture in examples_of(made)] == [0, 1, 2]


def test_a_data_set_is_evaluated_like_a_list():
    explainer = FourierExplainer(tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer("bert"))
    one, other = (explainer.evaluate(x, "ffc", metrics=["maintain_rate"]) for x in (texts(), tiny_tokenizers.texts(4)))
    assert one.of("ffc").values == other.of("ffc").values
