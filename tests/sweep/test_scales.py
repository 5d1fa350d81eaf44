"""What a number means never hangs on the other numbers: one pixel that is nudged moves no other."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from hf_fourier.errors import FourierError
from tests.sweep.forms import PICTURES, SOUNDS
from tests.sweep.test_sweep import SUBJECTS, made

pytestmark = pytest.mark.usefixtures("unchecked")
#: How far one entry goes, in steps of its type.
STEPS = (1, -1, 300)
NUMBERS = (np.ndarray, torch.Tensor, Image.Image)


def nudged(example: Any, by: int) -> Any:
    """One entry a step higher or lower, or as far away as its type allows."""
    if isinstance(example, tuple):
        return (nudged(example[0], by), *example[1:])
    array = _array(example).copy()
    steps: dict[str, float] = {"f": 1e-3, "i": 1, "u": 1}
    first = (0,) * array.ndim
    if array.dtype.kind == "b":
        array[first] = not array[first]
    elif array.dtype.kind == "f":
        array[first] += steps["f"] * by
    else:
        ends = np.iinfo(array.dtype)
        array[first] = min(max(int(array[first]) + by, ends.min), ends.max)
    if isinstance(example, Image.Image):
        return Image.fromarray(array)
    return torch.from_numpy(array).to(example.dtype) if isinstance(example, torch.Tensor) else array


def _array(example: Any) -> np.ndarray:
    if isinstance(example, torch.Tensor):
        return example.detach().float().numpy() if example.is_floating_point() else example.numpy()
    return np.asarray(example)


@pytest.mark.parametrize("name", PICTURES)
def test_a_pixel_does_not_move_the_others(name: str) -> None:
    explain = made("picture")
    for seed, by in itertools.product(range(12), STEPS):
        shown = PICTURES[name](SUBJECTS["picture"].content(np.random.default_rng(seed)))
        if shown.content is None or not isinstance(shown.example, NUMBERS) or name in ("PIL 1", "PIL LA"):
            return
        try:
            before, after = (explain.wrapper.encode(one).values for one in (shown.example, nudged(shown.example, by)))
        except FourierError:
            continue
        moved = (before - after).abs().flatten()
        assert moved.median() < 0.02, f"{name} by {by}, content {seed}: the median pixel moves by {moved.median():.3g}"


@pytest.mark.parametrize("name", SOUNDS)
def test_a_sample_does_not_move_the_others(name: str) -> None:
    explain = made("plain waveform")
    shown = SOUNDS[name](SUBJECTS["waveform"].content(np.random.default_rng(5)))
    if shown.content is None or not isinstance(shown.example, tuple) or not isinstance(shown.example[0], NUMBERS):
        return
    for by in STEPS:
        try:
            both = [
                explain.wrapper.encode(one).inputs["input_values"] for one in (shown.example, nudged(shown.example, by))
            ]
        except FourierError:
            continue
        assert (both[0] - both[1]).abs().median() < 1e-4, f"{name} by {by}"
