"""What do lengths cost that have large prime factors, and what does a new length cost?

Transforms of pictures of several sizes there and back, by the Fourier and the cosine domain, per entry relative to the
first size; for Fourier also by scipy, whose library has Bluestein's algorithm for large primes, as cuFFT has. Then the
time to bind bases of token sequences of new lengths, the bytes that they hold, and those of all that are cached.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from benchmarks.tables import markdown
from hf_fourier.domains import DOMAINS, Axis, Basis, SignalShape, base

#: Edges of pictures; 227 and 229 are primes, 226 is twice the prime 113.
EDGES = (224, 225, 226, 227, 229, 240, 256)
CHANNELS, TOKENS, WIDTH = 3, (128, 300, 509, 512), 768


def main(arguments: Sequence[str]) -> None:
    """Print both tables; see the module's text."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks sizes", description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--pictures", type=int, default=8)
    parser.add_argument("--edges", type=int, nargs="+", default=EDGES)
    parser.add_argument("--tokens", type=int, nargs="+", default=TOKENS)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    print(markdown(transforms(chosen.edges, chosen.pictures, chosen.runs)))
    print()
    print(markdown(bindings(chosen.tokens, chosen.runs)))
    print(f"\n{cached(64) / 1e6:.0f} MB are kept of 64 lengths from 64 to 127 tokens.")


def transforms(edges: Sequence[int], pictures: int, runs: int) -> list[dict[str, Any]]:
    """A row for each size: nanoseconds per entry, there and back, and relative to the first size."""
    sides: dict[tuple[int, str], Callable[[], Any]] = {}
    for edge in edges:
        x = torch.randn(pictures, CHANNELS, edge, edge, generator=torch.Generator().manual_seed(0))
        for domain in ("fourier", "cosine"):
            sides[edge, domain] = both_ways(DOMAINS.parse(domain).bind(picture(edge)), x)
        sides[edge, "scipy"] = by_scipy(x)
    taken: dict[tuple[int, str], list[float]] = {key: [] for key in sides}
    for run in range(runs + 1):
        for key, side in sides.items():
            start = time.perf_counter()
            side()
            if run:  # the first one makes plans and tables
                taken[key].append(time.perf_counter() - start)
    rows = []
    for edge in edges:
        row: dict[str, Any] = {"edge": edge}
        for name in ("fourier", "cosine", "scipy"):
            own, first = (statistics.median(taken[e, name]) / (pictures * CHANNELS * e**2) for e in (edge, edges[0]))
            row |= {f"{name}, ns": own * 1e9, f"{name}, relative": own / first}
        rows.append(row)
    return rows


def picture(edge: int) -> SignalShape:
    """The shape of square pictures."""
    axes = (Axis("channel", CHANNELS, channel=True), Axis("height", edge), Axis("width", edge))
    return SignalShape("pixels", axes)


def both_ways(basis: Basis, x: torch.Tensor) -> Callable[[], Any]:
    """Analysis and synthesis."""
    return lambda: basis.inverse(basis.forward(x))


def by_scipy(x: torch.Tensor) -> Callable[[], Any]:
    """The same Fourier transform by scipy."""
    from scipy.fft import irfftn, rfftn

    values, axes = x.numpy(), (2, 3)
    return lambda: irfftn(rfftn(values, axes=axes), x.shape[2:], axes)


def bindings(lengths: Sequence[int], runs: int) -> list[dict[str, Any]]:
    """A row for each length: the milliseconds to bind its basis, and the bytes that it holds."""
    rows = []
    for length in lengths:
        taken = []
        for _ in range(runs):
            base._bind.cache_clear()
            start = time.perf_counter()
            basis = DOMAINS.parse("fourier").bind(tokens(length))
            taken.append(time.perf_counter() - start)
        held = base._bytes(basis, set()) / 1e6
        rows.append({"tokens": length, "to bind, ms": 1e3 * statistics.median(taken), "MB": held})
    return rows


def tokens(length: int) -> SignalShape:
    """The shape of embedded tokens."""
    return SignalShape("tokens", (Axis("token", length), Axis("hidden", WIDTH, channel=True)))


def cached(lengths: int) -> int:
    """The bytes of bases that are kept after so many lengths were used."""
    base._bind.cache_clear()
    for length in range(64, 64 + lengths):
        basis = DOMAINS.parse("fourier").bind(tokens(length))
        _ = basis.layout, basis.multiplicity
    seen: set[int] = set()
    return sum(base._bytes(basis, seen) for basis in base._bind._known.values())
