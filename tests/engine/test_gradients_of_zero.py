"""A gradient that is zero is said, whether the signal is not read or the answer is too sure."""

from __future__ import annotations

from types import SimpleNamespace

import torch

from hf_fourier import FourierExplainer
from hf_fourier.methods.tracking import UNMOVED
from hf_fourier.results.remarks import NO_GRADIENT


class Linear(torch.nn.Module):
    """Two classes, `scale` times the sum of the pixels apart."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.config = SimpleNamespace(id2label={0: "a", 1: "b"}, num_channels=1)
        self.scale = torch.nn.Parameter(torch.tensor(scale))

    def forward(self, pixel_values: torch.Tensor) -> SimpleNamespace:
        z = self.scale * pixel_values.flatten(1).sum(1)
        return SimpleNamespace(logits=torch.stack([z, -z], 1))


def explained(scale: float):
    explain = FourierExplainer(Linear(scale), task="image-classification", name="toy")
    return explain.explain({"pixel_values": torch.rand(1, 1, 4, 4, generator=torch.Generator().manual_seed(0))})[0]


def test_a_gradient_needs_no_note() -> None:
    assert NO_GRADIENT not in explained(0.1).provenance["notes"]


def test_a_signal_that_does_not_count_is_said() -> None:
    assert explained(0.0).provenance["notes"] == [UNMOVED, NO_GRADIENT]


def test_an_answer_that_is_too_sure_is_said_and_ffc_still_follows_the_log_odds() -> None:
    sure, unsure = explained(1000.0), explained(0.1)
    assert sure.provenance["notes"] == [NO_GRADIENT]
    assert not sure.gradient.any()
    torch.testing.assert_close(sure.scores, unsure.scores)  # a direction has no length
