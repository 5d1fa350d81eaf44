"""Sounds of results: clips, WAV files, and clips filtered by a change of their spectrogram."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import torch

from hf_fourier.results.drawing import drawn_by
from hf_fourier.typing import Float, Tensor

#: The most that a band may be raised when a spectrogram is made audible, in dB.
LOUDER = 20.0


@dataclass(frozen=True, eq=False)
class AudioClip:
    """A mono sound.

    Attributes:
        samples: Real numbers, shape `(samples,)`.
        rate: Samples per second, in Hz.
    """

    samples: np.ndarray
    rate: int

    def __repr__(self) -> str:
        return f"AudioClip({self.seconds:.2f} s at {self.rate} Hz)"

    def _repr_html_(self) -> str:
        return str(drawn_by("html.notebook:clip", self))

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


def filtered(
    samples: Float[Tensor, " samples"],
    mel_filters: Float[Tensor, "frequencies bands"],
    change: Float[Tensor, "bands frames"],
    rate: int,
    fft: int,
    hop: int,
    first: int = 0,
) -> AudioClip:
    """A clip whose short-time spectrum is scaled, frame by frame, by a change of its log-mel; its phase is kept.

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
    nearest = ((middles - first).float() / hop).round().long().clamp(0, gain.shape[1] - 1)
    return AudioClip(
        torch.istft(spectrum * gain[:, nearest], fft, hop, window=window, length=len(samples)).numpy(), rate
    )


def _band_weights(filters: Float[Tensor, "frequencies bands"]) -> Float[Tensor, "frequencies bands"]:
    """The weight of each band at each frequency, summing to 1; a frequency outside of all bands has the nearest's."""
    total = filters.sum(1)
    held = (total > 0).nonzero().flatten()
    away = (torch.arange(len(filters)).unsqueeze(1) - held).abs()
    return (filters / total.clamp(min=torch.finfo(torch.float32).tiny).unsqueeze(1))[held[away.argmin(1)]]
