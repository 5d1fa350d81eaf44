"""The sound assets as plain Python objects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hf_fourier.errors import MissingExtraError

from .build import DEMO


def instruments(split: str | None = None) -> list[dict[str, Any]]:
    """Sounds of five families of instruments, as `{"name", "audio", "rate", "label"}`, 44.1 kHz.

    `audio` is a float32 array, of shape (samples,) where the recording is mono and (samples, 2) where it is stereo.
    Variants of one sound lie on the same side of the split; the heads of the instrument models have seen `train` only.

    Args:
        split: "train" or "test"; both when None.

    Raises:
        ValueError: another split is asked for.
        MissingExtraError: soundfile is not installed.
    """
    return _ask("instrument-sounds", split)


def prompts(split: str | None = None) -> list[dict[str, Any]]:
    """Telephone prompts, as `{"name", "audio", "rate", "label"}`: "english" or "french", mono, 8 kHz.

    There is one speaker per language, so what tells the languages apart may be what tells the speakers apart.
    A prompt and its translation lie on the same side of the split, and so do prompts whose names begin alike.

    Args:
        split: "train" or "test"; both when None.

    Raises:
        ValueError: another split is asked for.
        MissingExtraError: soundfile is not installed.
    """
    return _ask("prompt-sounds", split)


def _ask(name: str, split: str | None) -> list[dict[str, Any]]:
    if split not in (None, "train", "test"):
        raise ValueError(f'split must be "train", "test" or None; got {split!r}')
    return read_clips(DEMO.get(name), split)


def read_clips(folder: Path, split: str | None) -> list[dict[str, Any]]:
    """The clips of one split, or of both, of a folder with a `clips.json`."""
    try:
        import soundfile
    except ImportError as absent:
        raise MissingExtraError("soundfile", "audio", "reading sounds") from absent
    found = []
    for row in json.loads((folder / "clips.json").read_text(encoding="utf-8")):
        if split in (None, row["split"]):
            audio, rate = soundfile.read(folder / row["file"], dtype="float32")
            found.append({"name": row["name"], "audio": audio, "rate": int(rate), "label": row["label"]})
    return found
