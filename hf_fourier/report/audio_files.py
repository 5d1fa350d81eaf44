"""WAV files of an explained sound: the clip, what the top features rebuild, and what is left without them."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_fourier.report.example_record import DEFAULT_FRACTION, record_of
from hf_fourier.results.audio import AudioClip

if TYPE_CHECKING:
    from hf_fourier.results.attribution import Attribution
    from hf_fourier.runs.recording import Recording

    Samples = np.ndarray[Any, np.dtype[Any]]

KINDS = ("sound", "spectrogram")
NAMES = ("clean.wav", "kept.wav", "removed.wav")


def is_audio(attribution: Attribution) -> bool:
    """Whether the explained example can be heard: a waveform, or a spectrogram whose clip is known."""
    return attribution.view.kind == "sound" or (attribution.view.kind == "spectrogram" and bool(attribution.raw_input))


def save_clips(attribution: Attribution, folder: str | PathLike[str], fraction: float | None = None) -> dict[str, Path]:
    """Write `clean.wav`, `kept.wav` and `removed.wav`, and return their paths by name.

    A waveform's parts add up to the clip. A spectrogram's are the clip filtered, with its own phase: each band is
    raised or lowered as the rebuilt spectrogram differs from the clean one; they do not add up, as decibels do not.
    Only what the model got is written. If one of the three goes beyond ±1, all are scaled down alike, so that their
    loudness compares.

    Args:
        attribution: A result of a sound, with its example.
        folder: Made if it does not exist.
        fraction: The fraction of features; None for the one that the figure shows.

    Raises:
        InputError: If the signal is no sound, or the result is compact.
    """
    parts, rate = scaled_clips(attribution, fraction)
    where = Path(folder)
    where.mkdir(parents=True, exist_ok=True)
    return {name: AudioClip(part, rate).save(where / name) for name, part in zip(NAMES, parts, strict=True)}


def scaled_clips(attribution: Attribution, fraction: float | None = None) -> tuple[list[Samples], int]:
    """The clip, its top features and what is left without them, on one scale within ±1; and their rate in Hz."""
    share = record_of(attribution).displayed_fraction if fraction is None else fraction
    (clean, rate), (kept, _), (removed, _) = (
        clips(attribution), clips(attribution, share), clips(attribution, share, delete=True)
    )  # fmt: skip
    scale = max(1.0, *(float(np.abs(part).max(initial=0.0)) for part in (clean, kept, removed)))
    return [clean / scale, kept / scale, removed / scale], rate


def clips(attribution: Attribution, fraction: float | None = None, delete: bool = False) -> tuple[Samples, int]:
    """The samples of the clip, or of a part of it (`Attribution.audio`), that the model got, and their rate in Hz."""
    sound = attribution.audio(fraction, delete=delete)
    return np.asarray(sound.samples[: _length(attribution, sound)], dtype=np.float32), sound.rate


def save_recording(
    recording: Recording, folder: str | PathLike[str], fraction: float = DEFAULT_FRACTION
) -> dict[str, Path]:
    """Write `clean.wav`, `kept.wav` and `removed.wav` of a whole recording, and return their paths by name.

    Segments are faded into each other where they overlap, with weights that add up to 1. Of waveforms the parts add up
    to the recording. Nothing is scaled: these are files of real numbers, which may go beyond ±1.

    Args:
        recording: What `FourierExplainer.explain_recording` returned.
        folder: Made if it does not exist.
        fraction: The fraction of features that is kept, and removed, in each segment.

    Raises:
        InputError: If the segments cannot be heard.
    """
    import soundfile

    from hf_fourier.runs.recording import sample_weights

    where = Path(folder)
    where.mkdir(parents=True, exist_ok=True)
    starts = [round(segment.start * recording.rate) for segment in recording.segments]
    paths = {name: where / name for name in NAMES}
    files = [soundfile.SoundFile(path, "w", recording.rate, 1, "FLOAT") for path in paths.values()]
    try:
        open_end, at = np.zeros((len(NAMES), 0), np.float64), 0  # what later segments may still add to
        for i, attribution in enumerate(recording):
            sounds = [attribution.audio(), attribution.audio(fraction), attribution.audio(fraction, delete=True)]
            parts = np.stack([sound.samples for sound in sounds]) * sample_weights(starts, len(sounds[0].samples), i)
            done, open_end, at = open_end[:, : starts[i] - at], open_end[:, starts[i] - at :], starts[i]
            missing = max(0, parts.shape[1] - open_end.shape[1])
            open_end = np.pad(open_end, ((0, 0), (0, missing)))
            open_end[:, : parts.shape[1]] += parts
            for file, part in zip(files, done, strict=True):
                file.write(part.astype(np.float32))
        for file, part in zip(files, open_end, strict=True):
            file.write(part.astype(np.float32))
    finally:
        for file in files:
            file.close()
    return paths


def _length(attribution: Attribution, sound: AudioClip) -> int:
    """Samples that the model got: of a clip that was cut to its window, those inside."""
    hop = getattr(attribution.view, "hop", None)
    if hop is None:
        return len(sound.samples)
    frames = next(axis.length for axis in attribution.layout.signal.axes if axis.name == "time")
    return min(len(sound.samples), round(frames * hop * sound.rate))
