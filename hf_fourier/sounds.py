"""Sound in and out: files and arrays of any rate and channel count as mono at a model's rate, and WAV files back."""

from __future__ import annotations

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
            decoder of `datasets` with `get_all_samples`.
        rate: The model's rate in Hz.

    Raises:
        InputError: If it is none of these, is empty, or holds NaN.
    """
    notes: list[str] = []
    array, own = _samples_and_rate(example)
    if own is None:
        own = rate
        notes.append(f"an array without a rate was taken as {rate} Hz, the model's")
    mono, channels = _mono(np.asarray(array))
    if channels > 1:
        notes.append(f"{channels} channels were averaged into one")
    if not np.isfinite(mono).all():
        raise InputError("a sound with NaN or infinite samples", "finite numbers", "mend the recording")
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
) -> Sound:
    """A clip whose short-time spectrum is scaled, frame by frame, by a change of its log-mel; the phase is its own.

    Args:
        samples: The clip.
        mel_filters: Weights of each frequency in each mel band.
        change: Decibels by which each band changes; raised by at most `LOUDER`, lowered without a limit.
        rate: Samples per second.
        fft: Samples of a frame's transform.
        hop: Samples between frames.
    """
    weights = mel_filters[: fft // 2 + 1] / mel_filters[: fft // 2 + 1].sum(1, keepdim=True).clamp(min=1e-10)
    gain = weights @ (10 ** (change.clamp(max=LOUDER).float() / 20))
    window = torch.hann_window(fft)
    spectrum = torch.stft(samples, fft, hop, window=window, center=True, return_complex=True)
    frames = min(spectrum.shape[1], gain.shape[1])
    spectrum = torch.cat([spectrum[:, :frames] * gain[:, :frames], torch.zeros_like(spectrum[:, frames:])], dim=1)
    sound = torch.istft(spectrum, fft, hop, window=window, center=True, length=len(samples))
    return Sound(sound.numpy(), rate)


def _samples_and_rate(example: Any) -> tuple[Any, int | None]:
    if isinstance(example, (str, PathLike)):
        return _from_file(Path(example))
    if hasattr(example, "get_all_samples"):
        decoded = example.get_all_samples()
        return decoded.data, int(decoded.sample_rate)
    if isinstance(example, Mapping):
        array = example.get("array", example.get("raw"))
        if array is None:
            raise InputError(f"a mapping with {sorted(example)}", "'array' and 'sampling_rate'", "correct the keys")
        found = example.get("sampling_rate", example.get("rate"))
        return array, None if found is None else int(found)
    if isinstance(example, tuple) and len(example) == 2 and isinstance(example[1], (int, float)):
        return example[0], int(example[1])
    if hasattr(example, "__array__") or hasattr(example, "detach"):
        return example, None
    got = f"an example of type {type(example).__name__}"
    raise InputError(got, "a path, an array, (array, rate) or {'array': …, 'sampling_rate': …}", "convert it")


def _from_file(path: Path) -> tuple[np.ndarray, int]:
    if not path.is_file():
        raise InputError(f"path {str(path)!r}", "a sound file that exists", "correct the path")
    try:
        import soundfile
    except ImportError as error:
        raise MissingExtraError("soundfile", "audio", "sound files") from error
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise InputError(f"{path.name!r}", "a sound in a format that libsndfile reads", "convert it to WAV") from error
    return samples.T, int(rate)


def _mono(array: np.ndarray) -> tuple[np.ndarray, int]:
    """Channels averaged; whole numbers scaled to ±1."""
    if np.issubdtype(array.dtype, np.integer):
        array = array.astype(np.float32) / float(np.iinfo(array.dtype).max)
    array = array.astype(np.float32)
    if array.ndim == 1 and array.size:
        return array, 1
    if array.ndim == 2 and array.size and min(array.shape) <= CHANNELS:
        axis = 0 if array.shape[0] <= array.shape[1] else 1
        return array.mean(axis=axis), array.shape[axis]
    raise InputError(
        f"a sound of shape {array.shape}", "(samples,), (channels, samples) or (samples, channels)", "pass one sound"
    )


def _resampled(samples: np.ndarray, own: int, rate: int) -> np.ndarray:
    from scipy.signal import resample_poly

    if own <= 0:
        raise InputError(f"a rate of {own} Hz", "a positive number", "correct `sampling_rate`")
    shared = gcd(own, rate)
    return np.asarray(resample_poly(samples, rate // shared, own // shared), dtype=np.float32)
