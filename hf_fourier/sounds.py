"""Sound in and out: files and arrays of any rate and channel count as mono at a model's rate, and WAV files back."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hf_fourier.errors import InputError, MissingExtraError
from hf_fourier.typing import Float, Tensor

#: The most that a band may be raised when a spectrogram is made audible, in dB.
LOUDER = 20.0
#: Real samples lie within ±1; what reaches beyond this was scaled in another way, and that is said.
LOUDEST = 2.0
#: Arrays with at most this many rows or columns hold channels along that side.
CHANNELS = 8


@dataclass(frozen=True, eq=False)
class Sound:
    """A mono sound.

    Attributes:
        samples: Real numbers, shape `(samples,)`.
        rate: Samples per second, in Hz.
    """

    samples: np.ndarray
    rate: int

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.samples) / self.rate

    def save(self, path: str | PathLike[str]) -> Path:
        """Write a WAV file of 32-bit floating-point samples, unscaled but for what lies beyond ±1, and return its path.

        A sound that goes beyond ±1 is scaled down as a whole.
        """
        from scipy.io import wavfile

        where = Path(path)
        samples = np.asarray(self.samples, dtype=np.float32)
        peak = float(np.abs(samples).max(initial=0.0))
        wavfile.write(where, self.rate, samples / max(1.0, peak))
        return where


def read(example: Any, rate: int) -> tuple[Sound, tuple[str, ...]]:
    """A sound as mono at `rate`, and what was done to it.

    Args:
        example: A path; an array `(samples,)`, `(channels, samples)` or `(samples, channels)` at the model's rate;
            a pair (array, rate); a mapping with "array" (or "raw") and "sampling_rate", as `datasets` gives it; or a
            decoder of `datasets` with `get_all_samples`. Whole numbers are PCM of 8 to 32 bits.
        rate: The model's rate in Hz.

    Raises:
        InputError: If it is none of these, is empty, or holds NaN.
    """
    notes: list[str] = []
    array, own, channel_axis = _parts(example)
    mono, channels = _mono(_real(array), channel_axis)
    if own is None:
        own = rate
        notes.append(f"an array without a rate was taken as {rate} Hz, the model's")
    if channels > 1:
        notes.append(f"{channels} channels were averaged into one")
    if not np.isfinite(mono).all():
        raise InputError("a sound with NaN or infinite samples", "finite numbers", "mend the recording")
    peak = float(np.abs(mono).max())
    if peak > LOUDEST:
        notes.append(f"samples reach {peak:.3g}, far beyond the ±1 of real samples")
    if own != rate:
        notes.append(f"resampled from {own} Hz to the model's {rate} Hz")
        mono = _resampled(mono, own, rate)
    return Sound(mono, rate), tuple(notes)


def filtered(
    samples: Float[Tensor, " samples"],
    mel_filters: Float[Tensor, "frequencies bands"],
    change: Float[Tensor, "bands frames"],
    rate: int,
    fft: int,
    hop: int,
    first: int = 0,
) -> Sound:
    """A clip whose short-time spectrum is scaled, frame by frame, by a change of its log-mel; the phase is its own.

    Frequencies outside of all bands change as the nearest band does, samples outside of all frames as the nearest
    frame. Without a change the clip comes back.

    Args:
        samples: The clip.
        mel_filters: Weights of each frequency in each mel band.
        change: Decibels by which each band changes; raised by at most `LOUDER`, lowered without a limit.
        rate: Samples per second.
        fft: Samples of a frame's transform.
        hop: Samples between frames.
        first: The sample at the middle of the first frame.
    """
    gain = _band_weights(mel_filters[: fft // 2 + 1].float()) @ (10 ** (change.clamp(max=LOUDER).float() / 20))
    window = torch.hann_window(fft, dtype=torch.float32)
    spectrum = torch.stft(samples.float(), fft, hop, window=window, pad_mode="constant", return_complex=True)
    middles = torch.arange(spectrum.shape[1]) * hop
    nearest = ((middles - first) / hop).round().long().clamp(0, gain.shape[1] - 1)
    return Sound(torch.istft(spectrum * gain[:, nearest], fft, hop, window=window, length=len(samples)).numpy(), rate)


def _band_weights(filters: Float[Tensor, "frequencies bands"]) -> Float[Tensor, "frequencies bands"]:
    """How much each frequency follows each band, summing to 1; one that no band holds follows the nearest that is."""
    total = filters.sum(1)
    held = (total > 0).nonzero().flatten()
    away = (torch.arange(len(filters)).unsqueeze(1) - held).abs()
    return (filters / total.clamp(min=torch.finfo(torch.float32).tiny).unsqueeze(1))[held[away.argmin(1)]]


def _parts(example: Any) -> tuple[Any, int | None, int | None]:
    """Samples, their rate and the axis that holds their channels, None for what is not known."""
    if isinstance(example, (str, PathLike)):
        return _from_file(example)
    if hasattr(example, "get_all_samples"):
        decoded = example.get_all_samples()
        return decoded.data, _rate(decoded.sample_rate), 0
    if isinstance(example, Mapping):
        array = example.get("array", example.get("raw"))
        if array is None:
            raise InputError(f"a mapping with {sorted(example)}", "'array' and 'sampling_rate'", "correct the keys")
        return array, _rate(example.get("sampling_rate", example.get("rate"))), None
    if isinstance(example, tuple) and len(example) == 2 and np.ndim(example[1]) == 0:
        return example[0], _rate(example[1]), None
    if hasattr(example, "__array__") or hasattr(example, "detach"):
        return example, None, None
    got = f"an example of type {type(example).__name__}"
    raise InputError(got, "a path, an array, (array, rate) or {'array': …, 'sampling_rate': …}", "convert it")


def _rate(given: Any) -> int | None:
    """A sampling rate, if one is given."""
    if given is None:
        return None
    number = None if isinstance(given, (bool, str)) or not np.isreal(given) else float(given)
    if number is None or not number.is_integer() or number <= 0:
        raise InputError(f"a rate of {given} Hz", "a positive whole number", "correct the sampling rate")
    return int(number)


def _from_file(example: str | PathLike[str]) -> tuple[np.ndarray, int, int]:
    path = Path(example)
    if not os.path.isfile(path):  # unlike Path.is_file, no error where a text is too long for a path
        shown = textwrap.shorten(str(example), 80, placeholder=" …")
        raise InputError(f"path {shown!r}", "a sound file that exists", "correct the path")
    try:
        import soundfile
    except ImportError as error:
        raise MissingExtraError("soundfile", "audio", "sound files") from error
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise InputError(f"{path.name!r}", "a sound in a format that libsndfile reads", "convert it to WAV") from error
    return samples, int(rate), 1


def _real(array: Any) -> np.ndarray:
    """Samples as float32; of PCM the full range becomes ±1."""
    if isinstance(array, Tensor):
        array = array.detach().cpu()
        array = array.float() if array.dtype == torch.bfloat16 else array
    try:
        array = np.asarray(array)
    except ValueError as error:
        raise InputError(f"samples of uneven length ({error})", "one array", "pass one sound") from error
    kind, bits = array.dtype.kind, 8 * array.dtype.itemsize
    if kind == "f":
        with np.errstate(over="ignore"):
            return array.astype(np.float32)
    if kind not in "iu" or bits > 32:
        expected = "real numbers from −1 to 1, or PCM of 8 to 32 bits"
        raise InputError(f"samples of {array.dtype}", expected, "convert them (16-bit PCM is int16)")
    half = 2.0 ** (bits - 1)
    return ((array.astype(np.float64) - (half if kind == "u" else 0.0)) / half).astype(np.float32)


def _mono(array: np.ndarray, channel_axis: int | None) -> tuple[np.ndarray, int]:
    """Channels averaged, and how many there were."""
    if array.ndim == 1 and array.size:
        return array, 1
    if array.ndim == 2 and array.size and (channel_axis is not None or min(array.shape) <= CHANNELS):
        axis = int(array.shape[0] > array.shape[1]) if channel_axis is None else channel_axis
        return array.mean(axis=axis, dtype=np.float32), array.shape[axis]
    raise InputError(
        f"a sound of shape {array.shape}", "(samples,), (channels, samples) or (samples, channels)", "pass one sound"
    )


def _resampled(samples: np.ndarray, own: int, rate: int) -> np.ndarray:
    from scipy.signal import resample_poly

    shared = gcd(own, rate)
    return np.asarray(resample_poly(samples, rate // shared, own // shared), dtype=np.float32)
