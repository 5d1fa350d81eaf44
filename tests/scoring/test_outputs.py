"""Outputs of all shapes and containers: read where there is one right reading, else refused with what works."""

import re
from collections import OrderedDict, UserDict
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch

from hf_fourier import attribute
from hf_fourier.errors import FourierError, InputError, ModelError, TargetError
from hf_fourier.scoring.heads.outputs import _is_loss
from tests.toy_scores import Smooth, noise

MODEL, X = Smooth(3, 6).eval(), noise(4, 6)
LOSS = torch.tensor(0.5, dtype=torch.float64)


class Answer(NamedTuple):
    loss: Any
    logits: Any


class Scored(NamedTuple):
    features: Any
    scores: Any


@dataclass
class Said:
    loss: Any
    logits: Any
    hidden: Any = None


@dataclass
class Predicted:
    features: Any
    prediction: Any


READ = {
    "dict": lambda z: {"logits": z},
    "dict with a loss first": lambda z: {"loss": LOSS, "logits": z, "hidden": z * 2},
    "ordered dict": lambda z: OrderedDict(hidden=z * 2, logits=z),
    "mapping": lambda z: UserDict(logits=z),
    "namespace": lambda z: SimpleNamespace(loss=None, logits=z),
    "dataclass": lambda z: Said(LOSS, z),
    "named tuple": lambda z: Answer(LOSS, z),
    "tuple": lambda z: (z, z * 2),
    "list": lambda z: [z, z * 2],
    "None first": lambda z: (None, z),
    "loss first": lambda z: (LOSS, z, z * 2),
    "loss of one entry first": lambda z: (LOSS.view(1), z),
    "loss as a number": lambda z: (0.5, z),
    "None and a loss in a list": lambda z: [None, LOSS, z],
    "nested": lambda z: ((z, z * 2), z * 3),
    "loss, then a dict": lambda z: (LOSS, {"logits": z}),
    "loss, then a nest": lambda z: [LOSS.view(1), (z, None)],
    "an entry beside the classes": lambda z: z.unsqueeze(1),
    "maps of one pixel": lambda z: z[:, :, None, None],
    "all of it": lambda z: (None, {"loss": None, "logits": z.view(len(z), 1, -1, 1)}),
}


@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("form", list(READ))
def test_one_right_reading(form, rows):
    x = X[:rows]
    for own, plain in zip(attribute(lambda v: READ[form](MODEL(v)), x), attribute(MODEL, x), strict=True):
        assert (own.target, own.value, own.confidence) == (plain.target, plain.value, plain.confidence)
        assert torch.equal(own.scores, plain.scores)
        assert own.top_predictions == plain.top_predictions


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("form", ["dict", "loss first", "an entry beside the classes"])
def test_logits_in_half_precision(form, dtype):
    for own, plain in zip(attribute(lambda v: READ[form](MODEL(v).to(dtype)), X), attribute(MODEL, X), strict=True):
        assert own.value == pytest.approx(plain.value, abs=0.02)
        assert own.signal.dtype == plain.signal.dtype


#: What could be read in several ways, or in none; and what `explain` says of it.
REFUSED = {
    "a name that says no logits": (lambda z: {"scores": z}, ModelError),
    "two such names": (lambda z: {"features": z * 2, "scores": z}, ModelError),
    "an object": (lambda z: Predicted(z * 2, z), ModelError),
    "a named tuple": (lambda z: Scored(z * 2, z), ModelError),
    "logits in a list": (lambda z: {"logits": [z, z]}, ModelError),
    "one number a row": (lambda z: z[:, 0], InputError),
    "one number a row, by name": (lambda z: {"logits": z[:, 0]}, InputError),
    "one number a row, in a tuple": (lambda z: (LOSS, z[:, 0]), InputError),
    "one class": (lambda z: z[:, :1], TargetError),
    "one class, by name": (lambda z: SimpleNamespace(logits=z[:, :1]), TargetError),
    "places": (lambda z: torch.stack([z, z * 2], dim=1), InputError),
    "maps": (lambda z: Said(None, z[:, :, None, None].expand(-1, -1, 2, 2)), InputError),
}


@pytest.mark.parametrize("form", list(REFUSED))
def test_the_advice_of_a_refusal_works(form):
    make, kind = REFUSED[form]
    with pytest.raises(kind) as caught:
        attribute(lambda v: make(MODEL(v)), X)
    (advised,) = re.findall(r"target=(lambda out: \S+(?: [^;,]\S*)*)", caught.value.hint)
    results = attribute(lambda v: make(MODEL(v)), X, target=eval(advised))
    assert len(results) == 4
    assert results[0].gradient.abs().max() > 0


@pytest.mark.parametrize("outputs", [(), [], {}, None, "logits", (None, None), {"logits": None}, SimpleNamespace()])
def test_outputs_without_a_tensor(outputs):
    with pytest.raises(ModelError, match="logits") as caught:
        attribute(lambda v: outputs, X)
    assert caught.value.hint


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5])
def test_a_batch_that_comes_second_is_refused_whatever_its_size(rows):
    """Three classes: of three rows the wrong answer would have the right shape."""
    x = noise(rows, 6)
    with pytest.raises(FourierError, match="batch") as caught:
        attribute(lambda v: MODEL(v).T, x)
    assert "logits.T" in caught.value.hint
    assert [one.value for one in attribute(lambda v: MODEL(v).T.T, x)] == [one.value for one in attribute(MODEL, x)]


def test_as_many_rows_as_classes_are_no_matter():
    asked = []

    def forward(v):
        asked.append(len(v))
        return MODEL(v)

    three = attribute(forward, X[:3], method="ffc")
    assert [one.value for one in three] == pytest.approx([one.value for one in attribute(MODEL, X[:3], batch_size=2)])
    assert three[0].provenance["passes"] == {"forward": 1.0, "backward": 1.0}


@pytest.mark.parametrize("outputs", [lambda z: z.sum(), lambda z: {"logits": z.mean()}])
def test_one_number_for_all_rows(outputs):
    with pytest.raises(InputError, match="rows"):
        attribute(lambda v: outputs(MODEL(v)), X)


def test_layers_are_not_heard_twice_where_one_row_is_asked_alone():
    class Deep(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = torch.nn.ModuleList([torch.nn.Linear(6, 6), torch.nn.Tanh(), torch.nn.Linear(6, 3)])

        def forward(self, v):
            for layer in self.layers:
                v = layer(v)
            return v

    torch.manual_seed(0)
    model = Deep().double().eval()
    together, apart = (attribute(model, X[:3], method="freqx", batch_size=size) for size in (3, 2))
    for own, other in zip(together, apart, strict=True):
        torch.testing.assert_close(own.scores, other.scores)


def test_one_number_is_a_loss_where_rows_of_numbers_follow():
    one = torch.zeros(1)
    assert _is_loss(one, torch.zeros(2, 3))
    assert _is_loss(torch.tensor(0.5), torch.zeros(2))
    assert not _is_loss(one, torch.zeros(5)), "a score of one row, and something else"
    assert not _is_loss(torch.zeros(2), torch.zeros(2, 3))
    assert not _is_loss(one, None)
