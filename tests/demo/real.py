"""What the tests of real models share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hf_fourier import demo
from hf_fourier.demo.build import Catalogue
from hf_fourier.demo.convert import hearing, listening


def load(kind: str, folder: Path, **options: object) -> torch.nn.Module:
    """A model by its Auto class, from safetensors, with no key missing or left over, in eval mode."""
    import transformers

    model, info = getattr(transformers, kind).from_pretrained(
        folder, use_safetensors=True, local_files_only=True, output_loading_info=True, **options
    )
    assert not any(info.values()), info
    return model.eval()


def tokenizer(folder: Path) -> object:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, local_files_only=True)


def right_on_prompts(asset: Callable[[str], Path], name: str, shape: tuple[int, ...]) -> float:
    """The accuracy of a classifier of languages, on the test split, whose inputs have this shape."""
    from transformers import AutoFeatureExtractor

    asset("prompt-sounds")
    folder = asset(name)
    model, extractor = load("AutoModelForAudioClassification", folder), AutoFeatureExtractor.from_pretrained(folder)
    assert model.config.id2label == {0: "english", 1: "french"}
    right = []
    for clip in demo.prompts("test"):
        batch = extractor(listening.opening(clip), sampling_rate=16_000, return_tensors="pt")
        assert batch["input_values"].shape == shape
        with torch.inference_mode():
            found = model(batch["input_values"]).logits.argmax()
        right.append(model.config.id2label[int(found)] == clip["label"])
    return float(np.mean(right))


def right_on_clips(folder: Path, clips: Sequence[Mapping[str, Any]], labels: list[str], rate: int) -> float:
    """The accuracy of a classifier on Whisper's encoder, with these labels, on clips of this rate."""
    from transformers import AutoFeatureExtractor

    model, extractor = load("AutoModelForAudioClassification", folder), AutoFeatureExtractor.from_pretrained(folder)
    assert list(model.config.id2label.values()) == labels
    assert {clip["rate"] for clip in clips} == {rate}
    right = 0
    for clip in clips:
        batch = extractor(hearing.mono(clip), sampling_rate=16_000, return_tensors="pt")
        assert batch.input_features.shape == (1, 80, 200)
        with torch.inference_mode():
            right += model.config.id2label[int(model(**batch).logits.argmax())] == clip["label"]
    return right / len(clips)


def right_on_antibodies(folder: Path, head: str) -> int:
    """How many of the antibodies a classifier of "species" or "chain" is right on."""
    model, tokens = load("AutoModelForSequenceClassification", folder), tokenizer(folder)
    right = 0
    for row in demo.antibodies():
        with torch.inference_mode():
            logits = model(**tokens(" ".join(row["sequence"]), return_tensors="pt")).logits[0]
        right += model.config.id2label[int(logits.argmax())] == row[head]
        assert row[head] in model.config.label2id
    return right


def models(catalogue: Catalogue) -> list[Any]:
    """The names of its models, as parameters of a test; those that train for minutes are marked as slow."""
    return [
        pytest.param(name, marks=pytest.mark.slow) if name in ("fashion-vit", "wav2vec2-languages") else name
        for name, one in catalogue.assets.items()
        if one.kind == "model"
    ]


def check_folder(folder: Path, name: str) -> None:
    """A model's folder has its name, safetensors, a README, and no pickles."""
    assert folder.name == name
    assert (folder / "model.safetensors").is_file()
    assert (folder / "README.md").is_file()
    assert not list(folder.glob("*.bin"))
