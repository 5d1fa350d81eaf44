"""All model wrappers, and the choice of one for a model."""

from __future__ import annotations

from typing import Any

import torch

from hf_fourier.errors import ModelError
from hf_fourier.models.audio import AudioWrapper
from hf_fourier.models.base import WRAPPERS, ModelWrapper
from hf_fourier.models.dna import DNAWrapper
from hf_fourier.models.multiple_choice import MultipleChoiceWrapper
from hf_fourier.models.protein import ProteinWrapper
from hf_fourier.models.segmentation import SegmentationWrapper
from hf_fourier.models.single_cell import SingleCellWrapper
from hf_fourier.models.text import TextWrapper
from hf_fourier.models.time_series import TimeSeriesWrapper
from hf_fourier.models.video import VideoWrapper
from hf_fourier.models.vision import VisionWrapper
from hf_fourier.models.zero_shot import ZeroShotWrapper
from hf_fourier.scoring.example_batch import EncodedExample, ExampleBatch

__all__ = [
    "WRAPPERS",
    "AudioWrapper",
    "DNAWrapper",
    "EncodedExample",
    "ExampleBatch",
    "ModelWrapper",
    "MultipleChoiceWrapper",
    "ProteinWrapper",
    "SegmentationWrapper",
    "SingleCellWrapper",
    "TextWrapper",
    "TimeSeriesWrapper",
    "VideoWrapper",
    "VisionWrapper",
    "ZeroShotWrapper",
    "wrap",
]


def wrap(model: torch.nn.Module, processor: Any, task: str) -> ModelWrapper:
    """The wrapper for a model with this head.

    Raises:
        ModelError: If no wrapper explains this head.
    """
    for cls in sorted(WRAPPERS, key=lambda cls: -len(cls.__mro__)):  # the more special first
        if cls.supports(task, processor):
            return cls(model, processor, task)
    known = ", ".join(sorted(task for cls in WRAPPERS for task in cls.tasks))
    raise ModelError(f"task {task!r}", f"one of {known}", "choose one of them, or use attribute(forward, x)")
