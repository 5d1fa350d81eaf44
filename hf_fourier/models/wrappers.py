"""Adapters: the only place that knows `transformers`. One file per kind of input."""

from __future__ import annotations

from typing import Any

import torch

from hf_fourier.errors import ModelError
from hf_fourier.models.audio import AudioAdapter
from hf_fourier.models.base import ADAPTERS, Adapter
from hf_fourier.models.dna import DNAAdapter
from hf_fourier.models.multiple_choice import ChoiceAdapter
from hf_fourier.models.protein import ProteinAdapter
from hf_fourier.models.segmentation import SegmentationAdapter
from hf_fourier.models.single_cell import GeneAdapter
from hf_fourier.models.text import TextAdapter
from hf_fourier.models.time_series import SeriesAdapter
from hf_fourier.models.video import VideoAdapter
from hf_fourier.models.vision import VisionAdapter
from hf_fourier.models.zero_shot import ZeroShotAdapter
from hf_fourier.scoring.example_batch import Block, Encoded

__all__ = [
    "ADAPTERS",
    "Adapter",
    "AudioAdapter",
    "Block",
    "ChoiceAdapter",
    "DNAAdapter",
    "Encoded",
    "GeneAdapter",
    "ProteinAdapter",
    "SegmentationAdapter",
    "SeriesAdapter",
    "TextAdapter",
    "VideoAdapter",
    "VisionAdapter",
    "ZeroShotAdapter",
    "adapt",
]


def adapt(model: torch.nn.Module, processor: Any, task: str) -> Adapter:
    """The adapter for a model with this head.

    Raises:
        ModelError: If no adapter explains this head.
    """
    for cls in sorted(ADAPTERS, key=lambda cls: -len(cls.__mro__)):  # the more special first
        if cls.suits(task, processor):
            return cls(model, processor, task)
    known = ", ".join(sorted(task for cls in ADAPTERS for task in cls.tasks))
    raise ModelError(f"task {task!r}", f"one of {known}", "choose one of them, or use attribute(forward, x)")
