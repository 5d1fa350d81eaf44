"""What an answer has to be, as simply as it can be said: the model called by itself, autograd, and the full FFT."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from hf_fourier import Attribution
from hf_fourier.domains import Layout, SignalShape
from tests.toy_scores import full_bins

Said = tuple[torch.Tensor, Any]


@dataclass(frozen=True)
class Plain:
    """One example as the model reads it.

    Attributes:
        signal: What is explained of it, without a batch axis.
        outputs: What the head reads, of any signal of that shape.
        settle: What those outputs say: the target, as a result names it.
        score: The score of outputs for a target.
        segments: Lengths of the pieces that are transformed apart; empty for one piece.
        sure: Whether the confidence is the score's exponential.
    """

    signal: torch.Tensor
    outputs: Callable[[torch.Tensor], torch.Tensor]
    settle: Callable[[torch.Tensor], Any]
    score: Callable[[torch.Tensor, Any], torch.Tensor]
    segments: tuple[int, ...] = ()
    sure: bool = True


@dataclass(frozen=True)
class Answer:
    """What the model says of an example, and how that goes with the frequencies of its signal."""

    signal: torch.Tensor
    target: Any
    value: float
    gradient: torch.Tensor


def answer(plain: Plain) -> Answer:
    """The score of what the model says, and its gradient at the signal."""
    signal = plain.signal.clone().requires_grad_(True)
    outputs = plain.outputs(signal)
    target = plain.settle(outputs.detach())
    value = plain.score(outputs, target)
    (gradient,) = torch.autograd.grad(value, signal)
    return Answer(plain.signal, target, float(value.detach()), gradient)


# What heads read, and what that scores.


def best(outputs: torch.Tensor) -> Any:
    """The likeliest class, or that of each position where there are several."""
    said = outputs.argmax(-1).tolist()
    return said[0] if isinstance(said, list) and len(said) == 1 else said


def log_p(outputs: torch.Tensor, target: Any) -> torch.Tensor:
    """The mean log-probability of a class, or of several positions' classes."""
    index = torch.as_tensor(target).reshape(-1)
    rows = outputs.reshape(-1, outputs.shape[-1]).double().log_softmax(-1)
    return rows[torch.arange(len(index)), index].mean()


def span(outputs: torch.Tensor) -> Any:
    """The likeliest start and end, of logits `(2, tokens)`, by trying all of them."""
    start, end = outputs.double()
    pairs = [(float(start[i] + end[j]), i, j) for i in range(len(start)) for j in range(i, len(end))]
    return list(max(pairs)[1:])


def span_log_p(outputs: torch.Tensor, target: Any) -> torch.Tensor:
    """The log-probabilities of both ends."""
    ends = outputs.double().log_softmax(-1)
    return ends[0, target[0]] + ends[1, target[1]]


def collapsed(outputs: torch.Tensor) -> Any:
    """A CTC model's greedy transcript, of logits `(frames, tokens)` with the blank 0."""
    frames = outputs.argmax(-1).tolist()
    return [one for i, one in enumerate(frames) if one != 0 and (i == 0 or one != frames[i - 1])]


def ctc(outputs: torch.Tensor, target: Any) -> torch.Tensor:
    """The log-probability of a transcript, per frame."""
    rows, ids = outputs.double().log_softmax(-1).unsqueeze(1), torch.tensor([target])
    sizes = torch.tensor([len(rows)]), torch.tensor([len(target)])
    return -torch.nn.functional.ctc_loss(rows, ids, *sizes, reduction="sum") / len(rows)


def mask(outputs: torch.Tensor) -> Any:
    """The class of each place, of logits `(classes, …)`."""
    return outputs.argmax(0).flatten().tolist()


def mask_log_p(outputs: torch.Tensor, target: Any) -> torch.Tensor:
    """The mean log-probability over all places."""
    return log_p(outputs.flatten(1).T, target)


def nothing(outputs: torch.Tensor) -> Any:
    """A value has no class."""
    return None


def mean(outputs: torch.Tensor, target: Any) -> torch.Tensor:
    """A value, or the mean of many."""
    return outputs.double().mean()


# Frequencies.


def spectra(tensor: torch.Tensor, shape: SignalShape) -> np.ndarray:
    """The full complex FFT over the axes that have an order, orthonormal, flattened."""
    return np.fft.fftn(tensor.double().numpy(), axes=shape.ordered_axes, norm="ortho").ravel()


_BINS: dict[Any, tuple[np.ndarray, np.ndarray]] = {}


def bins(layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    """The first and the last of the bins that each feature owns: the same for those that are their own partner."""
    if layout.signal not in _BINS:
        owned = full_bins(layout)
        _BINS[layout.signal] = np.array([one[0] for one in owned]), np.array([one[-1] for one in owned])
    return _BINS[layout.signal]


def ranked(result: Attribution, found: Answer, segments: tuple[int, ...], method: str) -> tuple[np.ndarray, bool]:
    """The scores that a method has to give, and whether they are in the layout's order (else from low to high)."""
    if segments:
        pieces = zip(found.signal.split(segments), found.gradient.split(segments), strict=True)
        return np.sort(np.concatenate([_halves(x, g, method) for x, g in pieces])), False
    shape, (a, b) = result.layout.signal, bins(result.layout)
    own, pulled = spectra(found.signal, shape), spectra(found.gradient, shape)
    return _scored(own, pulled, a, b, method), True


def _halves(signal: torch.Tensor, gradient: torch.Tensor, method: str) -> np.ndarray:
    """The scores of one piece, `(tokens, hidden)`, transformed along its first axis."""
    length = len(signal)
    half = np.arange(length // 2 + 1)
    own, pulled = (np.fft.fft(part.double().numpy(), axis=0, norm="ortho") for part in (signal, gradient))
    return _scored(own, pulled, half, -half % length, method).ravel()


def _scored(own: np.ndarray, pulled: np.ndarray, a: np.ndarray, b: np.ndarray, method: str) -> np.ndarray:
    if method == "magnitude":
        return np.abs(own[a])
    if method == "saliency":
        return np.abs(pulled[a])
    shared = (own.conj() * pulled).real
    alone = (a == b).reshape(-1, *[1] * (own.ndim - 1))
    return shared[a] + np.where(alone, 0, shared[b])


@contextmanager
def embedded(table: torch.nn.Module, places: torch.Tensor, signal: torch.Tensor) -> Iterator[None]:
    """Inside, what the embedding gives is replaced at some places of its one row."""
    handle = table.register_forward_hook(
        lambda module, args, own: own.index_put((torch.tensor([0]), places), signal.to(own))
    )
    try:
        yield
    finally:
        handle.remove()
