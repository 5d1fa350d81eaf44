"""What a model of any pair reads: ids, pixels, sounds and series as its config asks for them."""

from __future__ import annotations

import inspect
from typing import Any

import torch

from hf_fourier.typing import Tensor
from tools.coverage.pairs import Pair

#: Rows, and tokens of each.
ROWS, LENGTH = 3, 16
#: Ids below and above may mean something.
LOWEST, HIGHEST = 12, 96
#: Samples of a waveform.
SAMPLES = 8000
#: Frames of a spectrogram.
FRAMES = 200

VISION = (
    "image-classification",
    "depth-estimation",
    "object-detection",
    "universal-segmentation",
    "image-segmentation",
)
AUDIO = ("audio-classification", "automatic-speech-recognition", "ctc", "audio-frame-classification", "audio-xvector")


def inputs_for(model: torch.nn.Module, pair: Pair, padded: str = "none", seed: int = 0) -> dict[str, Tensor]:
    """Inputs of `ROWS` examples.

    Args:
        model: Whose config and `forward` say what it reads.
        pair: What it is.
        padded: For texts, where shorter rows are filled up: "right", "left", or "none" for rows of one length.
        seed: Of the numbers.
    """
    config: Any = model.config
    numbers = torch.Generator().manual_seed(seed)
    if pair.task in VISION:
        return {"pixel_values": torch.randn(ROWS, *_picture(config), generator=numbers)}
    if pair.task == "video-classification":
        frames = int(_first(config, ("num_frames", "frames_per_clip", "tubelet_size"), 8))
        channels, *sides = _picture(config)
        name = "pixel_values_videos" if "pixel_values_videos" in _names(model) else "pixel_values"
        return {name: torch.randn(ROWS, max(frames, 2), channels, *sides, generator=numbers)}
    if pair.task == "zero-shot-image-classification":
        texts = text(_text(config), "none", numbers)
        own = {n: t for n, t in texts.items() if n in _names(model)}
        return {
            "pixel_values": torch.randn(ROWS, *_picture(getattr(config, "vision_config", config)), generator=numbers),
            **own,
        }
    if pair.task in AUDIO:
        return _sound(model, config, pair, numbers)
    if pair.task.startswith("time-series"):
        return _series(model, config, pair, numbers)
    made = text(_text(config), padded, numbers, seq2seq=pair.task == "text2text-generation")
    if pair.model_type == "longformer" and (mark := getattr(config, "sep_token_id", None)) is not None:
        made["input_ids"][:, [5, 6]] = mark  # it looks for a question, which ends there
    if pair.task == "multiple-choice":
        made = {n: torch.stack([t, t.roll(1, 0)], dim=1) for n, t in made.items()}
    return {
        **{n: t for n, t in made.items() if n in _names(model)},
        **_others(model, config, pair.task, made["input_ids"], numbers),
    }


def text(config: Any, padded: str, numbers: torch.Generator, seq2seq: bool = False) -> dict[str, Tensor]:
    """Ids with marks at both ends, and their mask; rows of different lengths where they are padded."""
    size = int(_first(config, ("vocab_size", "src_vocab_size", "n_vocab"), 128))
    high = min(HIGHEST, size)
    low = min(LOWEST, high // 2)
    ids = torch.randint(low, high, (ROWS, LENGTH), generator=numbers)
    attended = torch.ones_like(ids)
    pad, begin, end = (
        _mark(config, name, low + i) for i, name in enumerate(("pad_token_id", "bos_token_id", "eos_token_id"))
    )
    for row in range(ROWS):
        short = 0 if padded == "none" else 3 * row
        own = ids[row, : LENGTH - short].clone()
        own[0], own[-1] = begin, end
        filling = torch.full((short,), pad)
        ids[row] = torch.cat([filling, own] if padded == "left" else [own, filling])
        places = torch.arange(LENGTH)
        attended[row] = (places >= short) if padded == "left" else (places < LENGTH - short)
    return {"input_ids": ids, "attention_mask": attended}


def _mark(config: Any, name: str, other: int) -> int:
    value = getattr(config, name, None)
    value = value[0] if isinstance(value, (list, tuple)) and value else value
    return value if isinstance(value, int) and value >= 0 else other


def _text(config: Any) -> Any:
    """The part of a config that speaks of text."""
    part = getattr(config, "text_config", None)
    return config if part is None else part


def _names(model: torch.nn.Module) -> set[str]:
    return set(inspect.signature(model.forward).parameters)


def _first(config: Any, names: tuple[str, ...], other: Any) -> Any:
    return next((value for name in names if (value := getattr(config, name, None)) is not None), other)


def _picture(config: Any) -> tuple[int, ...]:
    """Channels, height and width."""
    parts = [
        config,
        *(p for p in (getattr(config, n, None) for n in ("vision_config", "backbone_config")) if p is not None),
    ]
    size = next((s for p in parts if (s := _first(p, ("image_size", "input_size"), None)) is not None), 96)
    channels = next(
        (c for p in parts if isinstance(c := _first(p, ("num_channels", "in_channels", "in_chans"), None), int)), 3
    )
    sides = tuple(size) if isinstance(size, (list, tuple)) else (size, size)
    return (channels, *map(int, sides))


def _sound(model: torch.nn.Module, config: Any, pair: Pair, numbers: torch.Generator) -> dict[str, Tensor]:
    """A waveform, or a spectrogram of the shape that the config asks for."""
    names = _names(model)
    made: dict[str, Tensor] = {}
    if "input_features" in names:
        part = next(
            (p for n in ("audio_config", "encoder_config") if (p := getattr(config, n, None)) is not None), config
        )
        bands = int(
            _first(
                part,
                (
                    "num_mel_bins",
                    "feature_projection_input_dim",
                    "input_feat_per_channel",
                    "feature_size",
                    "input_dim",
                    "input_size",
                ),
                80,
            )
        )
        frames = _first(part, ("max_source_positions",), None)
        if pair.model_type == "whisper":
            made["input_features"] = torch.randn(ROWS, bands, 2 * int(frames), generator=numbers)
        else:
            made["input_features"] = torch.randn(ROWS, FRAMES, bands, generator=numbers)
    elif getattr(config, "max_length", None) and getattr(config, "num_mel_bins", None):
        made["input_values"] = torch.randn(ROWS, int(config.max_length), int(config.num_mel_bins), generator=numbers)
    else:
        made["input_values"] = torch.randn(ROWS, SAMPLES, generator=numbers)
    if pair.task == "automatic-speech-recognition":
        start = _first(config, ("decoder_start_token_id", "bos_token_id"), 1)
        made["decoder_input_ids"] = torch.full((ROWS, 1), int(start))
    return made


def _series(model: torch.nn.Module, config: Any, pair: Pair, numbers: torch.Generator) -> dict[str, Tensor]:
    length = int(_first(config, ("context_length", "sequence_length"), 32))
    channels = _first(config, ("num_input_channels", "input_size"), None)
    shape = (ROWS, length) if channels is None else (ROWS, length, int(channels))
    return {"past_values": torch.randn(*shape, generator=numbers)}


def _others(model: torch.nn.Module, config: Any, task: str, ids: Tensor, numbers: torch.Generator) -> dict[str, Tensor]:
    """What else a text model has to be given."""
    names, made = _names(model), {}
    rows = len(ids)
    if "bbox" in names:
        corners = torch.randint(0, 400, (*ids.shape, 2), generator=numbers)
        made["bbox"] = torch.cat([corners, corners + 100], dim=-1)
    if "decoder_input_ids" in names and task == "text2text-generation":
        start = _first(config, ("decoder_start_token_id", "bos_token_id", "pad_token_id"), 1)
        made["decoder_input_ids"] = torch.full((rows, 1), int(start))
    return made
