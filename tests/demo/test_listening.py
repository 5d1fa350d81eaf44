"""The small audio models that were trained from scratch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from hf_fourier.demo.convert import listening
from tests.demo.real import right_on_prompts


def test_an_opening_is_a_second_long() -> None:
    for seconds in (0.2, 3.0):
        sound = listening.opening({"audio": np.ones(round(8000 * seconds), dtype=np.float32), "rate": 8000})
        assert sound.shape == (16_000,)
        assert sound.dtype == np.float32
        assert (np.abs(sound[-1000:]).max() > 0.5) == (seconds > 1)


def test_a_wave_is_turned_around() -> None:
    generator = torch.Generator().manual_seed(0)
    wave = torch.rand(4, 16_000)
    shifted = listening._shift_wave({"input_values": wave}, generator)["input_values"]
    assert torch.equal(shifted.sort(1).values, wave.sort(1).values)
    assert not torch.equal(shifted, wave)


@pytest.mark.slow
def test_a_language_is_heard_in_the_waveform(asset: Callable[[str], Path]) -> None:
    assert right_on_prompts(asset, "wav2vec2-languages", (1, 16_000)) >= 0.8
