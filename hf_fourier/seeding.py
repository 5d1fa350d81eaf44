"""Random numbers that depend on the example alone, not on its batch, its order or the process."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from hf_fourier.torch_state import bytes_of
from hf_fourier.typing import Float, Tensor

#: Tensors of so many bytes are folded before the digest is taken.
LARGE = 2**15
#: 2⁶⁴ divided by the golden ratio, made odd.
_ODD = np.uint64(0x9E3779B97F4A7C15)
_LANES = 128


def fingerprint(tensors: Iterable[Tensor]) -> int:
    """A 64-bit number that depends on the contents of `tensors` alone.

    It identifies an example alone, in a batch or in another process. Two equal examples share it.
    """
    digest = hashlib.blake2b(digest_size=8)
    for tensor in tensors:
        digest.update(f"{tuple(tensor.shape)}{tensor.dtype}".encode())
        data = bytes_of(tensor.cpu()).numpy()
        digest.update(data.data if data.size < LARGE else _folded(data).data)
    return int.from_bytes(digest.digest(), "little")


def _folded(data: np.ndarray) -> np.ndarray:
    """Many bytes folded to a thousand: rows of words, each times its odd number, added up modulo 2⁶⁴."""
    rows = data.size // (8 * _LANES)
    words = data[: rows * 8 * _LANES].view(np.uint64).reshape(rows, _LANES)
    weights = np.arange(1, rows + 1, dtype=np.uint64) * _ODD | np.uint64(1)
    return np.concatenate([(weights @ words).view(np.uint8), data[rows * 8 * _LANES :]])


@dataclass(eq=False)
class LazyFingerprint:
    """A fingerprint that is computed on first use: many results never need theirs."""

    tensors: Sequence[Tensor]

    @cached_property
    def number(self) -> int:
        """The fingerprint."""
        return fingerprint(self.tensors)


@dataclass(frozen=True)
class ExampleRng:
    """The random streams of a batch of examples, keyed by (seed, example, purpose, number).

    Attributes:
        seed: The user's seed.
        keys: One fingerprint per example of the batch.
    """

    seed: int
    keys: Sequence[int | LazyFingerprint]

    def generator(self, example: int, purpose: str, number: int = 0) -> torch.Generator:
        """A fresh CPU generator for one example of the batch and one purpose."""
        key = self.keys[example]
        text = f"{self.seed}/{key.number if isinstance(key, LazyFingerprint) else key}/{purpose}/{number}".encode()
        state = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 1
        return torch.Generator().manual_seed(state)

    def uniform(self, shape: Sequence[int], purpose: str, number: int = 0) -> Float[Tensor, "batch ..."]:
        """Uniform numbers in [0, 1), shape `(batch, *shape)`, on the CPU, row i from example i's own generator."""
        generators = [self.generator(i, purpose, number) for i in range(len(self.keys))]
        return torch.stack(
            [torch.rand(tuple(shape), generator=g, dtype=torch.float32, device="cpu") for g in generators]
        )

    def normal(self, shape: Sequence[int], purpose: str, number: int = 0) -> Float[Tensor, "batch ..."]:
        """Standard normal numbers, shape `(batch, *shape)`, on the CPU, row i from example i's own generator."""
        generators = [self.generator(i, purpose, number) for i in range(len(self.keys))]
        return torch.stack(
            [torch.randn(tuple(shape), generator=g, dtype=torch.float32, device="cpu") for g in generators]
        )
