"""What worker processes gain: examples decoded and encoded beside nothing else, and whole runs of a quick model."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.real import MODELS
from hf_fourier import FourierExplainer
from hf_fourier.models.inputs.dataset_sources import source_of
from hf_fourier.runs.encoding import Encoding
from hf_fourier.runs.worker import Worker

#: Files of each kind, and the model that reads them: those whose passes take least beside the decoder.
FILES = {"pictures": 600, "sounds": 300}
QUICK = {"pictures": "fashion-vit", "sounds": "wav2vec2-languages"}
WORKERS = (0, 1, 2)


@contextmanager
def files(kind: str, count: int) -> Iterator[str]:
    """A folder of JPEG pictures of 500 × 375 pixels, or of FLAC sounds of three seconds at 44.1 kHz."""
    numbers = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        for i in range(count):
            if kind == "pictures":
                from PIL import Image

                small = Image.fromarray(numbers.integers(0, 256, (12, 16, 3), dtype=np.uint8))
                small.resize((500, 375)).save(f"{name}/{i:05d}.jpg", quality=90)
            else:
                import soundfile

                soundfile.write(f"{name}/{i:05d}.flac", 0.1 * numbers.standard_normal(3 * 44100), 44100)
        yield name


def encoded(explainer: FourierExplainer, folder: str, workers: int) -> float:
    """Seconds to decode and encode all files of a folder."""
    job = explainer.job(explainer.method, explainer.resolve_domain(explainer.method), 0)
    source = source_of(folder)
    with Encoding(Worker(explainer, job, None, None, "auto"), source, workers) as encoding:
        encoding.start()
        start = time.perf_counter()
        encoding.ready(range(source.length or 0))
        return time.perf_counter() - start


def whole(explainer: FourierExplainer, folder: str, workers: int) -> float:
    """Seconds of a run over all files of a folder."""
    with tempfile.TemporaryDirectory() as place:
        start = time.perf_counter()
        explainer.explain_dataset(
            folder, Path(place) / "run", method="ffc", store="top", workers=workers, progress=False
        )
        return time.perf_counter() - start


def beside_none(kind: str, count: int, runs: int) -> list[dict[str, Any]]:
    """One row for each number of workers, all of them in turn."""
    explainer = MODELS[QUICK[kind]].explainer()
    sides: dict[str, Callable[[FourierExplainer, str, int], float]] = {"encoding": encoded, "run": whole}
    spent: dict[tuple[str, int], list[float]] = {}
    with files(kind, count) as folder:
        encoded(explainer, folder, 0)  # files and code are read once
        for _ in range(runs):
            for name, side in sides.items():
                for workers in WORKERS:
                    spent.setdefault((name, workers), []).append(side(explainer, folder, workers))
    medians = {key: statistics.median(seconds) for key, seconds in spent.items()}
    return [
        {
            "model": QUICK[kind],
            "files": f"{count} {kind}",
            "workers": workers,
            "encoding, s": medians["encoding", workers],
            "÷ without workers": medians["encoding", workers] / medians["encoding", 0],
            "run, s": medians["run", workers],
            "run ÷ without workers": medians["run", workers] / medians["run", 0],
        }
        for workers in WORKERS
    ]
