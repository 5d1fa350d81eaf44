"""Checkpoints whose configuration, label map, tokenizer or processor is damaged or hostile."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tools.fuzz import models
from tools.fuzz.mutations import TEXTS, VALUES, damaged, json_bytes

#: By room: the files of a checkpoint that are changed.
ROOMS: dict[str, tuple[str, ...]] = {
    "checkpoints: config": ("config.json",),
    "checkpoints: label map": ("config.json",),
    "checkpoints: tokenizer and processor": (
        "tokenizer.json", "tokenizer_config.json", "preprocessor_config.json", "vocab.txt", "special_tokens_map.json",
    ),
    "checkpoints: weights": ("model.safetensors",),
}  # fmt: skip
KINDS = ("text", "picture", "sound")
#: The largest sizes in a changed configuration: what a model takes is decided by it, and not bounded here.
_SIZE = 512


def cases(rng: random.Random, folder: Path) -> Iterator[tuple[str, str, Callable[[], Any]]]:
    """Room, what was done, and the call, without end."""
    number = 0
    while True:
        for room, names in ROOMS.items():
            number += 1
            kind = rng.choice(KINDS)
            whole = folder / f"{kind}-model"
            place = rng.choice([whole / name for name in names if (whole / name).is_file()])
            data = _label_map(place, rng) if room.endswith("label map") else _changed(place, rng)
            yield room, f"{place.name} of the {kind} model", _call(whole, folder / f"model-{number}", place, data, kind)


def warm(folder: Path) -> None:
    """Write the models."""
    for kind in KINDS:
        models.explainer(kind, folder)


def _changed(place: Path, rng: random.Random) -> bytes:
    data = place.read_bytes()
    if place.suffix != ".json" or rng.randrange(4) == 0:
        return damaged(data, rng)
    other = json_bytes(json.loads(data), rng)
    try:
        values = json.loads(other)
    except (ValueError, RecursionError):
        return other
    return json.dumps(_small(values)).encode() if place.name == "config.json" else other


def _small(value: Any) -> Any:
    """The same with all sizes bounded."""
    if isinstance(value, dict):
        return {name: _small(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_small(inner) for inner in value]
    is_size = isinstance(value, (int, float)) and not isinstance(value, bool) and value > _SIZE
    return _SIZE if is_size else value


def _label_map(place: Path, rng: random.Random) -> bytes:
    """A configuration with other names of classes."""
    config = json.loads(place.read_bytes())
    names = rng.choice((
        rng.choice(VALUES), {"0": rng.choice(VALUES)}, {rng.choice(TEXTS): "a", "1": "b"}, {"0": "a", "1": "a"},
        ["a", "b"], {"0": rng.choice(TEXTS), "1": rng.choice(TEXTS)}, {"-1": "a", "9": "b"},
        {str(i): "x" for i in range(rng.choice((0, 1, 3, 5000)))}, {"0": {"a": 1}, "1": ["b"]},
    ))  # fmt: skip
    field = rng.choice(("id2label", "id2label", "label2id"))
    if field == "label2id" and isinstance(names, dict):
        names = {str(label): number for number, label in names.items()}
    return json.dumps({**config, field: names}).encode()


def _call(whole: Path, copy: Path, place: Path, data: bytes, kind: str) -> Callable[[], Any]:
    def call() -> None:
        from hf_fourier import FourierExplainer

        shutil.copytree(whole, copy)
        try:
            (copy / place.name).write_bytes(data)
            explainer = FourierExplainer.from_pretrained(copy)
            str(explainer.explain(models.example(kind), method="magnitude", contributions=0))
        finally:
            shutil.rmtree(copy, ignore_errors=True)

    return call
