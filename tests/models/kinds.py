"""One tiny model of each kind of input and head, with an example or two as a user has them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from hf_fourier import FourierExplainer
from hf_fourier.scoring.targets import Direction
from tests.models import tiny_models, tiny_models_audio, tiny_models_segmentation, tiny_models_vision, tiny_tokenizers


@dataclass(frozen=True)
class Kind:
    """One kind.

    Attributes:
        make: A fresh explainer, always of the same weights.
        example: What it explains: raw examples in a list, or a batch of tensors of the user's.
        target: What is explained, where a head says nothing by itself.
    """

    make: Callable[[], FourierExplainer]
    example: Callable[[], Any]
    target: Any = None


def _network(outputs: str | None = None) -> FourierExplainer:
    """Any torch module, which is no model of transformers."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        body = torch.nn.Sequential(torch.nn.Conv2d(3, 6, 3, padding=1), torch.nn.BatchNorm2d(6), torch.nn.SiLU())
        pooled = [] if outputs == "masks" else [torch.nn.AdaptiveAvgPool2d(1)]
        net = torch.nn.Sequential(*body, *pooled, torch.nn.Conv2d(6, 4, 1))
    return FourierExplainer(net.eval(), axes=("height", "width"), outputs=outputs)


def _text(task: str, name: str, kind: str) -> FourierExplainer:
    return FourierExplainer(tiny_models.build(task, name), tiny_tokenizers.tokenizer(kind), task=task)


def _sound(task: str, name: str, signal: str | None = None) -> FourierExplainer:
    return FourierExplainer(
        tiny_models_audio.build(name, task=task), tiny_models_audio.extractor(name), task=task, signal=signal
    )


def _sight(task: str, name: str) -> FourierExplainer:
    return FourierExplainer(tiny_models_vision.build(task, name), task=task)


def _series() -> FourierExplainer:
    import transformers

    options = {"num_input_channels": 2, "context_length": 24, "patch_length": 4, "patch_stride": 4, "d_model": 16}
    config = transformers.PatchTSTConfig(**options, num_hidden_layers=2, num_attention_heads=2, num_targets=3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.PatchTSTForClassification(config).eval()
        tiny_models.enliven(model)
    return FourierExplainer(model)


def _drawn(*sizes: int) -> torch.Tensor:
    return torch.randn(sizes, generator=torch.Generator().manual_seed(2), dtype=torch.float32, device="cpu")


def _picked(task: str) -> dict[str, torch.Tensor]:
    return tiny_models.batch("right", masks=task == "fill-mask")


def _clips() -> list[Any]:
    return [(tiny_models_audio.clip(4000, seed), tiny_models_audio.RATE) for seed in range(2)]


TEXTS = {
    "text-classification": ("bert", "bert"),
    "fill-mask": ("bert", "bert"),
    "text-generation": ("gpt2", "gpt"),
    "token-classification": ("bert", "bert"),
    "question-answering": ("bert", "bert"),
    "text2text-generation": ("t5", "roberta"),
}
KINDS: dict[str, Kind] = {
    **{task: Kind(partial(_text, task, *how), partial(tiny_tokenizers.texts, 2)) for task, how in TEXTS.items()},
    "texts in a batch": Kind(partial(_text, "text-classification", "bert", "bert"), partial(_picked, "x")),
    "masked texts": Kind(partial(_text, "fill-mask", "bert", "bert"), partial(_picked, "fill-mask")),
    "feature-extraction": Kind(
        partial(_text, "feature-extraction", "bert", "bert"),
        partial(tiny_tokenizers.texts, 2),
        Direction(list(range(1, 33))),
    ),
    "pictures": Kind(
        lambda: FourierExplainer(tiny_models.build("image-classification", "resnet")),
        lambda: {"pixel_values": _drawn(2, 3, 32, 32)},
    ),
    "patches": Kind(
        lambda: FourierExplainer(tiny_models.build("image-classification", "vit")),
        lambda: {"pixel_values": _drawn(2, 3, 32, 32)},
    ),
    **{
        task: Kind(partial(_sight, task, name), partial(tiny_models_vision.inputs, task), target)
        for task, name, target in (
            ("depth-estimation", next(iter(tiny_models_vision.MODELS["depth-estimation"])), None),
            ("object-detection", next(iter(tiny_models_vision.MODELS["object-detection"])), None),
            ("universal-segmentation", next(iter(tiny_models_vision.MODELS["universal-segmentation"])), None),
            (
                "zero-shot-image-classification",
                next(iter(tiny_models_vision.MODELS["zero-shot-image-classification"])),
                None,
            ),
            ("video-classification", "videomae", None),
            ("image-feature-extraction", "resnet", Direction(list(range(1, 17)))),
        )
    },
    **{
        f"masks of {name}": Kind(
            lambda name=name: FourierExplainer(tiny_models_segmentation.build(name), task="image-segmentation"),
            lambda name=name: {"pixel_values": tiny_models_segmentation.inputs(name, 2)},
        )
        for name in (next(iter(tiny_models_segmentation.PICTURES)), next(iter(tiny_models_segmentation.VOLUMES)))
    },
    "waveforms": Kind(partial(_sound, "audio-classification", "wav2vec2"), _clips),
    "spectrograms": Kind(partial(_sound, "audio-classification", "whisper"), _clips),
    "samples before a spectrogram": Kind(partial(_sound, "audio-classification", "whisper", "waveform"), _clips),
    "ctc": Kind(partial(_sound, "ctc", "wav2vec2"), _clips),
    "frames": Kind(partial(_sound, "audio-frame-classification", "wav2vec2"), _clips),
    "speech": Kind(partial(_sound, "automatic-speech-recognition", "whisper"), _clips),
    "series": Kind(_series, lambda: list(_drawn(2, 24, 2))),
    "series in a batch": Kind(_series, lambda: {"past_values": _drawn(2, 24, 2)}),
    "a network": Kind(_network, lambda: list(_drawn(2, 3, 12, 12))),
    "masks of a network": Kind(partial(_network, "masks"), lambda: _drawn(2, 3, 12, 12)),
}
