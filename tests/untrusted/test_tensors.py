"""Tensors whose numbers cannot be read, as examples and in batches, end in one message for every kind of model."""

import numpy as np
import pytest
import torch

from hf_fourier import Report
from hf_fourier.errors import FourierError, InputError
from hf_fourier.models.inputs.tensors import check_dense
from tests.models.kinds import KINDS

pytestmark = pytest.mark.usefixtures("unchecked")

SHAPES = [(2, 12), (3, 16, 16), (1, 3, 16, 16)]


def unreadable(shape):
    """By kind: tensors that hold no numbers one by one."""
    zeros = torch.zeros(shape)
    return {
        "quantised": torch.quantize_per_tensor(zeros, 0.1, 0, torch.qint8),
        "meta": zeros.to("meta"),
        "sparse": zeros.to_sparse(),
        "nested": torch.nested.nested_tensor([zeros, zeros]),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_no_kind_of_model_reads_them(kind):
    """A network of the user's reads what it can: it makes sparse and quantised tensors dense."""
    explainer, refused = KINDS[kind].make(), 0
    main = explainer.wrapper.main_input
    for shape in SHAPES:
        dense = torch.ones(shape, dtype=torch.long if "ids" in main else torch.float32)
        for tensor in unreadable(shape).values():
            for example in (
                tensor,
                [tensor],
                {"array": tensor, "sampling_rate": 16_000},
                {main: tensor},
                {main: dense, "attention_mask": tensor},
                {main: dense, "input_ids": tensor},
            ):
                try:
                    explainer.explain(example, KINDS[kind].target)
                except FourierError:
                    refused += 1
    assert refused >= len(SHAPES)


@pytest.mark.parametrize("word", unreadable((2, 3)))
def test_the_message_names_what_it_is(word):
    with pytest.raises(InputError, match=rf"a sound in a {word} tensor.*x\.to_dense\(\)"):
        check_dense("a sound", unreadable((2, 3))[word])
    check_dense("a sound", torch.ones(2))
    check_dense("a sound", "no tensor")


@pytest.mark.parametrize("nothing", [np.array(0.5), torch.tensor(1), np.array(None, dtype=object)])
def test_a_report_of_one_number_is_refused(nothing):
    with pytest.raises(InputError, match="results"):
        Report(nothing)


@pytest.mark.parametrize("label", [torch.float32, 0.5, object(), {1}, None])
def test_a_true_label_that_is_none_is_refused(label):
    explainer = KINDS["text-classification"].make()
    for examples in ("a", ["a", "b"]):
        with pytest.raises(FourierError):
            explainer.rectify(examples, label)
