"""Real and large models that listen, on real sounds: instruments, languages, raw waveforms and spectrograms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hf_fourier import FourierExplainer, demo
from tests.end_to_end.cases import Asset, Case, every_law
from tests.models import laws, tiny_models_audio

pytestmark = pytest.mark.assets
RATE = tiny_models_audio.RATE
NAMES = ("whisper-instruments", "whisper-languages", "ast-languages", "wav2vec2-languages")
#: Small ones with random weights; and one that takes longer to train than all tests of it.
CASES = (*NAMES[:3], pytest.param(NAMES[3], marks=pytest.mark.slow), "wav2vec2", "ast")


def clips(name: str, asset: Asset, count: int) -> list[dict[str, Any]]:
    """Short real sounds of the test split, several classes among them."""
    data = "prompt-sounds" if name.endswith("languages") else "instrument-sounds"
    asset(data)
    found = demo.prompts("test") if data == "prompt-sounds" else demo.instruments("test")
    short = sorted((one for one in found if len(one["audio"]) > one["rate"] // 4), key=lambda one: len(one["audio"]))
    return short[: 2 * count : 2]


def example(one: dict[str, Any]) -> dict[str, Any]:
    return {"array": one["audio"], "sampling_rate": one["rate"]}


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest, asset: Asset) -> Case:
    name = request.param
    if name in NAMES:
        explain = FourierExplainer.from_pretrained(str(asset(name)), device="cpu")
    else:
        explain = FourierExplainer(tiny_models_audio.build(name), tiny_models_audio.extractor(name))
    numbers = np.random.default_rng(0)
    hard = [
        np.zeros(8009, np.float32),
        numbers.normal(0, 0.1, (2, 4001)).astype(np.float32),
        (numbers.integers(-9000, 9000, 12_007).astype(np.int16), RATE),
        (numbers.normal(0, 0.1, 44_101).astype(np.float32), RATE),
    ]

    def own(sound: Any) -> torch.Tensor:
        from hf_fourier.models.inputs.audio import read_audio

        samples = read_audio(sound, RATE)[0].samples
        return explain.model(**explain.processor(samples, sampling_rate=RATE, return_tensors="pt")).logits

    return Case(explain, [example(one) for one in clips(name, asset, 3)], hard, own)


@every_law
def test_laws(case: Case, law: Any) -> None:
    law(case)


def test_a_result_comes_back_from_a_folder(case: Case, tmp_path: Path) -> None:
    case.comes_back(tmp_path)


def test_all_of_it_can_be_heard(case: Case) -> None:
    for result in case.alone:
        clean, kept, left = result.audio(), result.audio(0.04), result.audio(0.04, delete=True)
        assert clean.rate == RATE
        assert len(clean.samples) == len(kept.samples) == len(left.samples)
        assert all(np.isfinite(sound.samples).all() for sound in (clean, kept, left))
        np.testing.assert_allclose(result.audio(1.0).samples, clean.samples, atol=1e-3)


@pytest.mark.parametrize("name", NAMES[:2])
def test_most_clips_are_named_rightly(asset: Asset, name: str) -> None:
    explain = FourierExplainer.from_pretrained(str(asset(name)), device="cpu")
    some = clips(name, asset, 8)
    right = [explain.predict(example(one)).label == one["label"] for one in some]
    assert sum(right) >= len(right) / 2


def test_frames_that_only_fill_the_window_are_no_features(asset: Asset) -> None:
    explain = FourierExplainer.from_pretrained(str(asset("whisper-instruments")), device="cpu")
    for samples in (1, 1609, 16_001, 32_000, 48_000):
        result = explain.explain((0.1 * np.random.default_rng(1).normal(size=samples).astype(np.float32), RATE))
        laws.whole(result)
        frames = {axis.name: axis.length for axis in result.layout.signal.axes}["time"]
        assert frames == min(200, -(-samples // 160))
        cut = [note for note in result.provenance["notes"] if "cut to the model's window of 2.00 s" in note]
        assert bool(cut) == (samples > 32_000)
