"""E-mails as a table of word frequencies, as SpamBase has them, and the three-layer perceptron of FreqX's studies."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache

import torch

from hf_fourier import demo
from recipes.paper.base import train

COLUMNS = 57


@cache
def tables(n: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Train and test rows `(n, 57)` of standardised word shares with their labels; the commonest words of training."""
    halves = [demo.emails(split)[:n] for split in ("train", "test")]
    counts = [[Counter(re.findall(r"[a-z$!]+", text.lower())) for text, _ in half] for half in halves]
    words = [word for word, _ in Counter(word for one in counts[0] for word in one).most_common(COLUMNS)]
    shares = [torch.tensor([[c[w] / max(1, c.total()) for w in words] for c in some]) for some in counts]
    mean, deviation = shares[0].mean(0), shares[0].std(0) + 1e-6
    x, held_out = ((share - mean) / deviation for share in shares)
    labels = [torch.tensor([label for _, label in half]) for half in halves]
    return x, labels[0], held_out, labels[1]


def perceptron(inputs: int = COLUMNS, classes: int = 2) -> torch.nn.Sequential:
    """Three layers, seeded."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first, second = torch.nn.Linear(inputs, 64), torch.nn.Linear(64, 32)
        return torch.nn.Sequential(first, torch.nn.ReLU(), second, torch.nn.ReLU(), torch.nn.Linear(32, classes))


def trained(n: int) -> tuple[torch.nn.Module, torch.Tensor, torch.Tensor, float]:
    """The perceptron, test rows with their labels, and its accuracy on them."""
    x, y, held_out, truth = tables(n)
    model = train(perceptron(), x, y, epochs=10)
    return model, held_out, truth, float((model(held_out).argmax(1) == truth).float().mean())
