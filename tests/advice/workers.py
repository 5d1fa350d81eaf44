"""Advice about worker processes of runs."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from hf_fourier import FourierExplainer
from hf_fourier.runs import Results, encoding
from tests.advice.case import Case

ROWS = list(torch.randn(9, 8, generator=torch.Generator().manual_seed(0)))


def _ran(data: Any, workers: int, preprocess: Callable[[Any], Any] = lambda one: one) -> Results:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        explain = FourierExplainer(torch.nn.Linear(8, 3), preprocess, version="1")
    folder = Path(tempfile.mkdtemp()) / "run"
    results = explain.explain_dataset(data, folder, method="ffc:steps=2", workers=workers, chunk=4, progress=False)
    assert not len(results.failures())
    return results


def _elsewhere(workers: int) -> Results:
    with mock.patch.object(encoding, "sys", mock.Mock(platform="darwin")):
        return _ran(ROWS, workers)


def _locked() -> list[Any]:
    return [{"row": row, "lock": threading.Lock()} for row in ROWS]


def _crashing(workers: int) -> Results:
    """A decoder that crashes beside another one."""
    own = os.getpid()
    return _ran(ROWS, workers, lambda one: one if os.getpid() == own else os._exit(1))


CASES = [
    Case(
        "leave `workers` out, or start several `processes`",
        lambda: _elsewhere(2),
        lambda: [_elsewhere(0)],
    ),
    Case(
        "leave `workers` out, or return plain arrays from your data set and `preprocess`",
        lambda: _ran(lambda: iter(_locked()), 1, lambda one: one["row"]),
        lambda: [_ran(lambda: iter(_locked()), 0, lambda one: one["row"]), _ran(lambda: iter(ROWS), 1)],
    ),
    Case(
        "look for a crash of a decoder or a lack of memory, pass fewer `workers` or none, and run it again",
        lambda: _crashing(2),
        lambda: _crashing(0),
    ),
]
