"""Real models that read log-mel, explained at the waveform: the processors' own features, and parts that add up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hf_fourier import FourierExplainer
from hf_fourier.models.inputs.audio import read_audio
from hf_fourier.models.log_mel import front_end
from tests.end_to_end.cases import Asset
from tests.end_to_end.test_sound import RATE, clips, example

pytestmark = pytest.mark.assets
NAMES = ("whisper-instruments", "whisper-languages")


@pytest.mark.parametrize("name", NAMES)
def test_real_clips_at_the_waveform(asset: Asset, name: str, tmp_path: Path) -> None:
    explain = FourierExplainer.from_pretrained(str(asset(name)), device="cpu", signal="waveform")
    plain = FourierExplainer(explain.model, explain.processor)
    front = front_end(explain.processor)
    for one in clips(name, asset, 4):
        samples = read_audio(example(one), RATE)[0].samples[: front.window]
        theirs = explain.processor(samples, sampling_rate=RATE, return_tensors="pt")["input_features"]
        ours = front(torch.from_numpy(np.array(samples)).unsqueeze(0))
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)
        result, other = explain.explain(example(one)), plain.predict(example(one))
        assert result.label == other.label
        assert result.confidence == pytest.approx(other.confidence, abs=1e-3)
        assert result.layout.with_role("frequency")[0].unit == "Hz"
        parts = [result.audio(0.04, delete=delete).samples for delete in (False, True)]
        np.testing.assert_allclose(sum(parts), samples, atol=1e-5)
    explain.perturb(result)
    result.plot(tmp_path / "figure.png")


def test_the_gradient_is_that_of_a_finite_difference(asset: Asset) -> None:
    """Along the gradient of the whole model, in float64."""
    explain = FourierExplainer.from_pretrained(str(asset(NAMES[0])), device="cpu", dtype="float64", signal="waveform")
    front = front_end(explain.processor)
    (one,) = clips(NAMES[0], asset, 1)
    samples = torch.from_numpy(read_audio(example(one), RATE)[0].samples).double().unsqueeze(0).requires_grad_(True)

    def score(x: torch.Tensor) -> torch.Tensor:
        return explain.model(input_features=front(x)).logits.log_softmax(-1)[0, 0]

    (gradient,) = torch.autograd.grad(score(samples), samples)
    step = 1e-6 * gradient / gradient.norm()
    with torch.no_grad():
        slope = (score(samples + step) - score(samples - step)) / 2e-6
    assert float(slope) == pytest.approx(float(gradient.norm()), rel=1e-3)
