"""What is swept: a model, what it reads, ways to present that, and the plain answer to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from hf_fourier import FourierExplainer
from tests.sweep.forms import Form
from tests.sweep.references import Plain

Batch = Mapping[str, Any]
METHODS = ("gradient_input", "saliency", "magnitude", "ffc")


@dataclass(frozen=True)
class Subject:
    """One model and what it reads.

    Attributes:
        explainer: Makes it, once.
        content: Something that it reads.
        forms: Ways to present it.
        plain: The plain reference of it.
        batch: The processor's own output for several, in one of the ways `hows`.
        hows: Ways in which tensors lie.
        near: How far scores may be from the reference, of the largest: float32 against sums in another order.
        playable: Whether the score of another signal is that of the clean target as it stands (not so of detections,
            which are matched).
        wraps: Whether its outputs may come as a plain dict: `generate` needs its own.
    """

    explainer: Callable[[], FourierExplainer]
    content: Callable[[np.random.Generator], Any]
    forms: Mapping[str, Form]
    plain: Callable[[FourierExplainer, Any], Plain]
    batch: Callable[[FourierExplainer, list[Any], str], Batch] | None = None
    hows: tuple[str, ...] = ()
    near: float = 2e-3
    playable: bool = True
    wraps: bool = True


#: Types that masks come in.
MASKS: dict[str, Callable[[torch.Tensor], Any]] = {
    "int": lambda t: t,
    "int32": lambda t: t.int(),
    "numpy": lambda t: t.numpy(),
    "lists": lambda t: t.tolist(),
    "bool": lambda t: t.bool() if int(t.max()) <= 1 else t,
    "float": lambda t: t.float(),
}
