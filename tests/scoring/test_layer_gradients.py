"""Which layers are recorded, and which of them every path to the score goes through."""

import pytest
import torch

from hf_fourier import attribute
from hf_fourier.errors import SpecError
from hf_fourier.scoring.layer_gradients import LayerHooks
from tests.toy_scores import noise


class Around(torch.nn.Module):
    """A layer with a way around it, and one that everything goes through."""

    def __init__(self):
        super().__init__()
        self.inner, self.out = torch.nn.Linear(6, 6), torch.nn.Linear(6, 3)

    def forward(self, x):
        return self.out(x + torch.tanh(self.inner(x)))


def test_layers_are_chosen_by_name():
    model = Around()
    assert list(LayerHooks(model, ["inner"]).modules.values()) == [model.inner]
    assert LayerHooks(None, None).modules == {}
    with pytest.raises(SpecError, match="nothing"):
        LayerHooks(model, ["nothing"])
    with pytest.raises(SpecError):
        LayerHooks(None, ["inner"])


def test_a_layer_with_a_way_around_it_is_no_cut():
    (one,) = attribute(Around().double(), noise(1, 6), method="freqx:layers=inner+out")
    assert one.extras["layers"] == ["input", "inner", "out"]
    assert one.extras["is_cut"] == [True, False, True]
