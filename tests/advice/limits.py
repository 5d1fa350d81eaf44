"""Advice where something is larger than the library takes."""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path
from typing import Any

import torch

from hf_fourier import attribute
from hf_fourier.domains import DOMAINS, Axis, SignalShape
from hf_fourier.methods import METHODS
from hf_fourier.methods.ffc import FFC
from hf_fourier.models.inputs.audio import read_audio
from hf_fourier.models.inputs.files import read_sequences
from hf_fourier.models.inputs.images import as_rgb
from tests.advice.case import Case
from tests.advice.hearing import hearer
from tests.models.tiny_models_audio import RATE
from tools.fuzz.files import flac, png, wav


def _bound(entries: int) -> Any:
    return DOMAINS.parse("fourier").bind(SignalShape("tensor", (Axis("axis0", entries),)))


def _frames(hop: int) -> Any:
    return attribute(lambda x: x[:, :2], torch.ones(1, 8192), domain=f"stft:window=4096,hop={hop}")


def _fasta(letters: int) -> Any:
    path = Path(tempfile.mkdtemp()) / "a.fasta.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b">a\n" + b"A" * letters)
    return read_sequences(path)


def _whole() -> Any:
    path = Path(tempfile.mkdtemp()) / "a.wav"
    path.write_bytes(wav(RATE, 3 * RATE))
    return hearer().explain_recording(path, seconds=1.0, method="magnitude")


CASES = [
    Case("shorten or resize the example", lambda: _bound(2**28), lambda: _bound(2**10)),
    Case("raise `hop` to 64 or more", lambda: _frames(1), lambda: _frames(64)),
    Case(
        "use explain_recording, which reads piece by piece, or cut it",
        lambda: read_audio(flac(2**35), RATE),
        _whole,
    ),
    Case(
        "correct its rate, or resample it to 16000 Hz",
        lambda: read_audio(wav(1), 16_000),
        lambda: read_audio(wav(16_000), 16_000),
    ),
    Case("split it", lambda: _fasta(2**27), lambda: _fasta(2**10)),
    Case(
        "make it smaller, or raise PIL.Image.MAX_IMAGE_PIXELS",
        lambda: as_rgb(png(100_000, 100_000)),
        lambda: as_rgb(png(100, 100)),
    ),
    Case(
        "pass an object of the class",
        lambda: METHODS.parse("ffc:" + ",".join(["steps=1"] * 2000)),
        lambda: METHODS.parse(FFC(steps=1)),
    ),
]
