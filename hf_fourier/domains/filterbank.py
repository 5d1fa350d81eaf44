"""One level of a wavelet transform along one axis: a smooth and a detail half, at any size, and the exact adjoint.

Two forms, both linear maps with short rows:

* *orthonormal*: as many coefficients as samples. Filters go around the end, as in `pywt`'s mode "periodization". Where
  the size is odd, going around breaks orthogonality at the seam, and the few rows there are made orthonormal again:
  the details first (so that a constant still has none), the smooth rows in what is left.
* *padded*: what `pywt.dwt` and `pywt.idwt` do, with more coefficients than samples, for filters that are not
  orthogonal.

A short axis uses its matrix; a long one writes only the rows at its ends as a matrix and shifts one block along.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hf_fourier.errors import MissingExtraError, SpecError
from hf_fourier.typing import Float, Tensor

Array = NDArray[np.float64]
MODES = {"zero": "constant", "constant": "edge", "symmetric": "symmetric", "reflect": "reflect", "periodic": "wrap"}
SHORT = 256  # entries along an axis up to which a level is one matrix; faster than blocks up to about here
BLOCK = 64  # coefficients of each half that a block of a long axis makes


@dataclass(frozen=True, eq=False)
class Filters:
    """The four filters of a family, as `pywt` gives them, of one even length.

    Attributes:
        dec_lo: Analysis, smooth.
        dec_hi: Analysis, detail.
        rec_lo: Synthesis, smooth.
        rec_hi: Synthesis, detail.
        orthogonal: Whether analysis is the adjoint of synthesis.
    """

    dec_lo: Array
    dec_hi: Array
    rec_lo: Array
    rec_hi: Array
    orthogonal: bool

    @property
    def taps(self) -> int:
        """The filters' length."""
        return len(self.rec_lo)


def pywt() -> Any:
    """The package `pywt`.

    Raises:
        MissingExtraError: If it is not installed.
    """
    try:
        import pywt
    except ImportError as error:
        raise MissingExtraError("PyWavelets", "wavelet", "the wavelet domain") from error
    return pywt


@lru_cache(maxsize=32)
def filters(family: str) -> Filters:
    """The filters of a discrete `pywt` family.

    Those of orthogonal families are orthonormalised first: by published digits some are orthonormal to 1e-11 only, and
    the truncated "dmey" to 2e-3.

    Raises:
        SpecError: If there is no such discrete family.
        MissingExtraError: If `pywt` is not installed.
    """
    library = pywt()
    names = library.wavelist(kind="discrete")
    if family not in names:
        example = "a discrete family of PyWavelets such as haar, db4, sym5, coif2 or bior2.2"
        raise SpecError(f"wavelet {family!r}", example, "see `pywt.wavelist(kind='discrete')`")
    wavelet = library.Wavelet(family)
    dec_lo, dec_hi, rec_lo, rec_hi = (np.array(bank, dtype=np.float64) for bank in wavelet.filter_bank)
    if not wavelet.orthogonal:
        return Filters(dec_lo, dec_hi, rec_lo, rec_hi, False)
    low = _orthonormalised(rec_lo)
    high = (-1.0) ** np.arange(len(low)) * low[::-1]
    return Filters(low[::-1].copy(), high[::-1].copy(), low, high, True)


def _orthonormalised(low: Array) -> Array:
    """The nearest filter with `Σ h_k h_(k+2m) = [m = 0]` and `Σ h_k = √2` to machine precision, by Gauss–Newton."""
    taps = len(low)
    for _ in range(20):
        shifted = [np.concatenate([low[2 * m :], np.zeros(2 * m)]) for m in range(taps // 2)]
        behind = [np.concatenate([np.zeros(2 * m), low[: taps - 2 * m]]) for m in range(taps // 2)]
        residual = np.array([low @ s for s in shifted] + [low.sum()])
        residual -= [1.0] + [0.0] * (taps // 2 - 1) + [2**0.5]
        if np.abs(residual).max() < 4e-16:
            break
        jacobian = np.stack([s + b for s, b in zip(shifted, behind, strict=True)] + [np.ones(taps)])
        low = low - np.linalg.lstsq(jacobian, residual, rcond=1e-9)[0]
    return low


class Bands:
    """Rows that make the `lows` smooth and then the `highs` detail coefficients of an axis of `size` entries."""

    size: int
    lows: int
    highs: int

    def apply(self, x: Float[Tensor, "..."], dim: int) -> Float[Tensor, "..."]:
        """The coefficients along `dim`, smooth ones first."""
        raise NotImplementedError

    def transpose(self, c: Float[Tensor, "..."], dim: int) -> Float[Tensor, "..."]:
        """The adjoint of `apply`."""
        raise NotImplementedError


class MatrixBands(Bands):
    """Rows written out, for a short axis."""

    def __init__(self, matrix: Array, lows: int) -> None:
        self.matrix = torch.from_numpy(matrix)
        self.size, self.lows, self.highs = matrix.shape[1], lows, matrix.shape[0] - lows

    def apply(self, x: Float[Tensor, "..."], dim: int) -> Float[Tensor, "..."]:
        """The coefficients along `dim`, smooth ones first."""
        return along(self.matrix.to(x), x, dim)

    def transpose(self, c: Float[Tensor, "..."], dim: int) -> Float[Tensor, "..."]:
        """The adjoint of `apply`."""
        return along(self.matrix.to(c).T, c, dim)


def along(matrix: Float[Tensor, "new old"], x: Float[Tensor, "..."], dim: int) -> Float[Tensor, "..."]:
    """The matrix times every line of `x` along `dim`."""
    before, after = x.shape[:dim], x.shape[dim + 1 :]
    if not after:
        return x @ matrix.T
    flat = x.reshape(before.numel(), x.shape[dim], after.numel())
    return torch.matmul(matrix, flat).reshape(*before, len(matrix), *after)


class LongBands(Bands):
    """Rows of a long axis, by those of a shorter one of the same parity that has the same ends.

    The first and last `2 taps` rows of each half are taken from there and see only the first and last `6 taps` entries;
    row k of the others has its filter at `2k + offset`.
    """

    def __init__(self, short: MatrixBands, size: int, taps: int, offset: int) -> None:
        self.size, more = size, (size - short.size) // 2
        self.lows, self.highs = short.lows + more, short.highs + more
        self._edge, self._reach, self._taps = 2 * taps, 6 * taps, taps
        plain = short.lows - 2 * self._edge
        self._plain = plain + more
        lows, highs = np.arange(short.lows), np.arange(short.highs)
        ends = [part[(part < self._edge) | (part >= self._edge + plain)] for part in (lows, highs)]
        rows = np.concatenate([ends[0], short.lows + ends[1]])
        matrix = short.matrix.numpy()
        self.ends = torch.from_numpy(np.concatenate([matrix[rows, : self._reach], matrix[rows, -self._reach :]], 1))
        self._cuts = [self._edge, len(ends[0]) - self._edge, self._edge, len(ends[1]) - self._edge]
        self._start = 2 * self._edge + offset
        block = np.zeros((2 * BLOCK, 2 * (BLOCK - 1) + taps))
        for half, first in enumerate((0, short.lows)):
            row = matrix[first + self._edge, self._start : self._start + taps]
            for k in range(BLOCK):
                block[half * BLOCK + k, 2 * k : 2 * k + taps] = row
        self.block = torch.from_numpy(block)

    def apply(self, x: Float[Tensor, "..."], dim: int) -> Float[Tensor, "..."]:
        """The coefficients along `dim`, smooth ones first."""
        x = x.movedim(dim, -1)
        outer = torch.cat([x[..., : self._reach], x[..., -self._reach :]], -1) @ self.ends.to(x).T
        low0, low1, high0, high1 = outer.split(self._cuts, -1)
        inner = x[..., self._start : self._start + 2 * (self._plain - 1) + self._taps]
        window, blocks = self.block.shape[1], -(-self._plain // BLOCK)
        inner = torch.nn.functional.pad(inner, (0, 2 * BLOCK * (blocks - 1) + window - inner.shape[-1]))
        both = inner.unfold(-1, window, 2 * BLOCK) @ self.block.to(x).T
        low, high = (both[..., i : i + BLOCK].flatten(-2)[..., : self._plain] for i in (0, BLOCK))
        return torch.cat([low0, low, low1, high0, high, high1], -1).movedim(-1, dim)

    def transpose(self, c: Float[Tensor, "..."], dim: int) -> Float[Tensor, "..."]:
        """The adjoint of `apply`."""
        c = c.movedim(dim, -1)
        head, tail, head_high, tail_high = self._cuts
        pieces = c.split([head, self._plain, tail, head_high, self._plain, tail_high], -1)
        outer = torch.cat([pieces[i] for i in (0, 2, 3, 5)], -1) @ self.ends.to(c)
        blocks = -(-self._plain // BLOCK)
        fill = (0, blocks * BLOCK - self._plain)
        halves = [torch.nn.functional.pad(pieces[i], fill).unflatten(-1, (blocks, BLOCK)) for i in (1, 4)]
        inner = overlap_add(torch.cat(halves, -1) @ self.block.to(c), 2 * BLOCK)
        inner = inner[..., : 2 * (self._plain - 1) + self._taps]
        x = torch.nn.functional.pad(inner, (self._start, self.size - self._start - inner.shape[-1]))
        x[..., : self._reach] += outer[..., : self._reach]
        x[..., -self._reach :] += outer[..., self._reach :]
        return x.movedim(-1, dim)


def overlap_add(frames: Float[Tensor, "*batch frames window"], hop: int) -> Float[Tensor, "*batch samples"]:
    """The sum of windows that start `hop` samples after each other; always in the same order.

    Returns:
        `(frames − 1) hop + window` samples, rounded up to a multiple of `hop`.
    """
    count, window = frames.shape[-2:]
    parts = -(-window // hop)
    frames = torch.nn.functional.pad(frames, (0, parts * hop - window)).unflatten(-1, (parts, hop))
    out = frames.new_zeros(*frames.shape[:-3], count + parts - 1, hop)
    for i in range(parts):
        out[..., i : i + count, :] += frames[..., i, :]
    return out.flatten(-2)


@dataclass(frozen=True, eq=False)
class Step:
    """One level along one axis: `analysis.apply` takes it apart, `synthesis.transpose` puts it together again.

    Attributes:
        analysis: The rows of the analysis.
        synthesis: The columns of the synthesis, as rows; `synthesis.apply` is therefore the adjoint of the synthesis.
    """

    analysis: Bands
    synthesis: Bands


@lru_cache(maxsize=256)
def step(family: str, mode: str | None, size: int) -> Step:
    """One level of `family` along an axis of `size` entries.

    Args:
        family: A discrete family.
        mode: How the padded form goes on beyond the ends, one of `MODES`; None for the orthonormal form.
        size: The axis' length, at least 2.
    """
    bank = filters(family)
    if mode is None:
        both = _bands(lambda n: _orthonormal(bank, n), size, bank.taps, offset(bank, mode))
        return Step(both, both)
    analysis = _bands(lambda n: _padded(bank, n, mode), size, bank.taps, offset(bank, mode))
    return Step(analysis, _bands(lambda n: _synthesis(bank, n), size, bank.taps, offset(bank, mode)))


def offset(bank: Filters, mode: str | None) -> int:
    """Where the first tap of the first coefficient lies, in entries."""
    return 1 - bank.taps // 2 if mode is None else 2 - bank.taps


def _bands(make: Callable[[int], MatrixBands], size: int, taps: int, first: int) -> Bands:
    limit = 14 * taps
    if size <= limit:
        return make(size)
    bands = LongBands(make(limit - size % 2), size, taps, first)
    if size > SHORT:
        return bands
    return MatrixBands(bands.apply(torch.eye(size, dtype=torch.float64), 1).T.contiguous().numpy(), bands.lows)


def _rows(count: int, first: int, taps: Array, places: NDArray[np.int64], size: int) -> Array:
    """`count` rows with `taps` at 2k + first, …; the column of entry i is `places[i]`, nowhere if that is negative."""
    rows = np.zeros((count, size))
    at = places[(2 * np.arange(count)[:, None] + np.arange(len(taps)) + first)]
    row, tap = np.nonzero(at >= 0)
    np.add.at(rows, (row, at[row, tap]), taps[tap])
    return rows


def _orthonormal(bank: Filters, size: int) -> MatrixBands:
    """The orthonormal form: rows that go around the end, corrected at the seam where the size is odd."""
    lows, highs, first, taps = -(-size // 2), size // 2, offset(bank, None), bank.taps
    around = np.arange(-taps, size + taps) % size
    low = _rows(lows, first + taps, bank.rec_lo, around, size)
    high = _rows(highs, first + taps, bank.rec_hi, around, size)
    if size % 2:
        start = 2 * np.arange(highs) + first
        inside = (start >= 0) & (start + taps <= size)
        high[~inside] = _completed(high[inside], high[~inside])
        free = (np.abs(low @ high.T) < 1e-14).all(1) & np.append(inside, False)
        low[~free] = _completed(np.concatenate([high, low[free]]), low[~free])
    return MatrixBands(np.concatenate([low, high]), lows)


def _completed(fixed: Array, rows: Array) -> Array:
    """The orthonormal rows nearest to `rows` among those that are orthogonal to the orthonormal rows `fixed`."""
    if not len(rows):
        return rows
    near = rows
    for _ in range(3):  # what is left of rounding errors after the first time is gone after the next
        near = near - (near @ fixed.T) @ fixed
        left, sizes, right = np.linalg.svd(near, full_matrices=False)
        if sizes[-1] < 1e-6:  # an axis so short that the rows do not span what is left
            rest = np.linalg.qr(fixed.T, mode="complete")[0][:, len(fixed) :]
            left, _, right = np.linalg.svd(rows @ rest, full_matrices=False)
            return left @ right @ rest.T
        near = left @ right
    return near


def _padded(bank: Filters, size: int, mode: str) -> MatrixBands:
    """What `pywt.dwt` does."""
    count, taps = (size + bank.taps - 1) // 2, bank.taps
    fill: dict[str, Any] = {"constant_values": -1} if mode == "zero" else {}
    places = np.pad(np.arange(size), (taps, taps + 1), mode=MODES[mode], **fill)  # type: ignore[call-overload]
    halves = [_rows(count, 2, f[::-1], places, size) for f in (bank.dec_lo, bank.dec_hi)]
    return MatrixBands(np.concatenate(halves), count)


def _synthesis(bank: Filters, size: int) -> MatrixBands:
    """What `pywt.idwt` does, cut to the axis' size, transposed: the same for every mode."""
    count, taps = (size + bank.taps - 1) // 2, bank.taps
    places = np.pad(np.arange(size), (taps, taps + 1), constant_values=-1)
    halves = [_rows(count, 2, f, places, size) for f in (bank.rec_lo, bank.rec_hi)]
    return MatrixBands(np.concatenate(halves), count)


@lru_cache(maxsize=256)
def atom(family: str, mode: str | None, level: int, detail: bool) -> tuple[float, float]:
    """Where the signal of one coefficient lies, and how fast it oscillates, away from the ends.

    Args:
        family: A discrete family.
        mode: As in `step`.
        level: How many levels down, at least 1.
        detail: Whether it is a detail coefficient.

    Returns:
        The centre of its energy, in entries, for coefficient 0 (coefficient k lies `2**level k` further on); and its
        mean frequency, weighted by power, in cycles per entry.
    """
    bank = filters(family)
    wave, start = np.ones(1), 0
    for j in range(level):
        taps = bank.rec_hi if detail and j == level - 1 else bank.rec_lo
        longer = np.zeros(len(wave) + 2**j * (bank.taps - 1))
        for t, tap in enumerate(taps):
            longer[2**j * t : 2**j * t + len(wave)] += tap * wave
        wave, start = longer, start + 2**j * offset(bank, mode)
    energy = wave**2 / (wave @ wave)
    power = np.abs(np.fft.rfft(wave, max(4096, 4 * len(wave)))) ** 2  # of even length: both ends count half
    power[[0, -1]] /= 2
    cycles = np.linspace(0, 0.5, len(power))
    return float(start + energy @ np.arange(len(wave))), float(cycles @ power / power.sum())
