"""Small models trained from scratch, the same every time on the same machine."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

Inputs = Mapping[str, Tensor]
"""What a model takes, by name; the first axis counts the examples."""


def train(
    make: Callable[[], PreTrainedModel],
    inputs: Inputs,
    labels: Tensor,
    *,
    epochs: int,
    rate: float,
    batch: int = 32,
    decay: float = 0.05,
    smoothing: float = 0.0,
    vary: Callable[[dict[str, Tensor], torch.Generator], dict[str, Tensor]] | None = None,
    seed: int = 0,
) -> PreTrainedModel:
    """A model trained with AdamW, a tenth of the steps to warm up and a cosine to come down; in eval mode.

    One thread does the work: what comes out then does not depend on how many cores there are, and such small steps
    gain little from more. torch's global generator and number of threads are left as they were.

    Args:
        make: makes the model with random weights.
        inputs: all training examples.
        labels: their labels, shape (examples,).
        epochs: how often each example is seen.
        rate: the highest learning rate.
        batch: examples per step; the last, smaller batch of an epoch is left out.
        decay: weight decay.
        smoothing: of the labels in the loss.
        vary: changes a batch at random before the model sees it.
        seed: of weights, order, dropout and variation.
    """
    generator = torch.Generator().manual_seed(seed)
    with _one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = make().train()
        optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=decay)
        steps = epochs * (len(labels) // batch)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps + 1, pct_start=0.1)
        for _ in range(epochs):
            order = torch.randperm(len(labels), generator=generator)
            for chosen in order.split(batch)[: len(labels) // batch]:
                given = {name: values[chosen] for name, values in inputs.items()}
                if vary is not None:
                    given = vary(given, generator)
                loss = torch.nn.functional.cross_entropy(
                    model(**given).logits, labels[chosen], label_smoothing=smoothing
                )
                optimiser.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimiser.step()
                schedule.step()
    return model.eval()


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def answers(model: PreTrainedModel, inputs: Inputs, batch: int = 64) -> np.ndarray:
    """The likeliest label of each example, shape (examples,)."""
    n = len(next(iter(inputs.values())))
    with torch.inference_mode():
        found = [
            model(**{name: values[start : start + batch] for name, values in inputs.items()}).logits.argmax(-1)
            for start in range(0, n, batch)
        ]
    return torch.cat(found).numpy()


def names_of(labels: list[str]) -> dict[str, Any]:
    """`id2label` and `label2id` for a configuration: the labels in alphabetical order."""
    names = sorted(set(labels))
    return {"id2label": dict(enumerate(names)), "label2id": {name: index for index, name in enumerate(names)}}
