"""Weights and a configuration in, a model out."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel


def graft(kind: type[PreTrainedModel], config: PreTrainedConfig, weights: Mapping[str, Tensor]) -> PreTrainedModel:
    """A model of this class with exactly these weights, in eval mode; torch's global generator is left as it was.

    Raises:
        RuntimeError: a weight is missing, left over, or has another shape.
    """
    with torch.random.fork_rng(devices=[]):
        model = kind(config)
    model.load_state_dict(dict(weights), strict=True)
    return model.eval()
