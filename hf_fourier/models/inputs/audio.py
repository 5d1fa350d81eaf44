"""Sound in and out: files and arrays of any rate and channel count as mono at a model's rate, and WAV files back.

Clips are read whole (`read_audio`), recordings of any length piece by piece (`AudioStream`).
"""

from __future__ import annotations

import io
import os
import textwrap
from collections.abc import Callable, Mapping
from math import ceil, gcd
from numbers import Real
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hf_fourier.domains.limits import SIGNAL_ENTRIES
from hf_fourier.errors import InputError, MissingExtraError
from hf_fourier.models.inputs import limits
from hf_fourier.models.inputs.containers import is_stored
from hf_fourier.models.inputs.tensors import check_dense
from hf_fourier.results.audio import AudioClip
from hf_fourier.typing import Tensor

#: Real samples lie within ±1; a note says where they reach beyond this.
MAX_AMPLITUDE = 2.0
#: The beginning of that note.
LOUD = "samples reach"
#: Arrays with at most this many rows or columns hold channels along that side.
CHANNELS = 8
#: Channels whose average has less of their power cancel each other; eight independent ones leave 1/8.
CANCELLED = 0.01
#: Half the length of the resampling filter, in samples of the slower of the two rates (scipy's).
FILTER_REACH = 10
#: What to do with a sound that is too long for one example.
IN_PIECES = "use explain_recording, which reads piece by piece, or cut it"


def read_audio(example: Any, rate: int) -> tuple[AudioClip, tuple[str, ...]]:
    """A sound as mono at `rate`, and what was done to it.

    Args:
        example: A path; an array `(samples,)`, `(channels, samples)` or `(samples, channels)` at the model's rate;
            a pair (array, rate); a mapping with "array" (or "raw") and "sampling_rate", as `datasets` gives it; or a
            decoder of `datasets` with `get_all_samples`; or an encoded sound, as `bytes` or `{"bytes", "path"}`. Whole
            numbers are PCM of 8 to 32 bits, their type's full range ±1; real ones are taken as they are.
        rate: The model's rate in Hz.

    Raises:
        InputError: If it is none of these, is empty, or holds NaN; or if it exceeds `limits.SOUND_NUMBERS`, or its rate
            `limits.RATE_STRETCH` or `RATE_TERM`.
    """
    notes: list[str] = []
    array, sound_rate, channel_axis = _parts(example, rate)
    samples, scale = _real(array)
    mono, channels = _mono(samples, channel_axis)
    if sound_rate is None:
        sound_rate = rate
        notes.append(f"an array without a rate was taken as {rate} Hz, the model's")
    if channels > 1:
        notes.append(f"{channels} channels were averaged into one")
    if not np.isfinite(mono).all():
        raise InputError("a sound with NaN or infinite samples", "finite numbers", "repair the recording")
    notes += cancelled(_powers(samples, mono))
    notes += _scaled(samples, scale, example)
    if len(mono) * rate > SIGNAL_ENTRIES * sound_rate:
        got = f"{len(mono)} samples at {sound_rate} Hz for a model of {rate} Hz"
        raise InputError(got, f"at most {SIGNAL_ENTRIES} samples of the model's rate", IN_PIECES)
    if sound_rate != rate:
        notes.append(f"resampled from {sound_rate} Hz to the model's {rate} Hz")
        mono = resample(mono, sound_rate, rate)
    return AudioClip(mono, rate), tuple(notes)


class AudioStream:
    """A recording as mono at a model's rate, read forwards piece by piece.

    A file is decoded on demand, and earlier samples are dropped. A piece that is resampled is what the same
    stretch of the whole recording, resampled at once, would be. An array is in memory anyway.

    Args:
        example: A path, or whatever else `read` takes.
        rate: The model's rate in Hz.

    Attributes:
        samples: How many samples there are at the model's rate, by the file's header.
        notes: What is done to it.

    Raises:
        InputError: If it is no sound, holds no samples, or has a rate beyond `limits.RATE_STRETCH` or `RATE_TERM`.
    """

    def __init__(self, example: Any, rate: int) -> None:
        self.rate, self.notes, self._file = rate, list[str](), None
        self._powers = np.zeros(2)
        if isinstance(example, (str, PathLike)):
            self._file = _file(Path(example))
            file_rate, self._frames, channels = self._file.samplerate, self._file.frames, self._file.channels
            self._more = _from_blocks(self._file, Path(example), self._powers)
        else:
            array, given, channel_axis = _parts(example, rate)
            samples, scale = _real(array)
            mono, channels = _mono(samples, channel_axis)
            file_rate, self._frames, self._more = given or rate, len(mono), _pieces(mono)
            if given is None:
                self.notes.append(f"an array without a rate was taken as {rate} Hz, the model's")
            self.notes += (*cancelled(_powers(samples, mono)), *_scaled(samples, scale, example))
        if not self._frames:
            raise InputError("a recording without samples", "a sound", "record it again")
        if channels > 1:
            self.notes.append(f"{channels} channels were averaged into one")
        if file_rate != rate:
            self.notes.append(f"resampled from {file_rate} Hz to the model's {rate} Hz")
        self._up, self._down = _ratio(file_rate, rate)
        self.samples = ceil(self._frames * self._up / self._down)
        self._buffer, self._at = np.zeros(0, np.float32), 0

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.samples / self.rate

    @property
    def cancelled(self) -> tuple[str, ...]:
        """A note where the channels of a file cancel each other in what was read."""
        return cancelled(self._powers)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def read(self, start: int, stop: int) -> np.ndarray:
        """Samples `start` to `stop` at the model's rate; neither ever goes back.

        Returns:
            Fewer samples where the file ends before its header says so.

        Raises:
            InputError: If a sample is no number.
        """
        up, down = self._up, self._down
        if up == down:
            return self._own(start, stop)
        reach = FILTER_REACH * max(up, down)
        first = max(0, (start * down - reach) // (up * down) * down)  # whole periods: the filter keeps its phase
        last = min(self._frames, ((stop - 1) * down + reach) // up + 2)
        block = self._own(first, last)
        before = first // down * up
        there = stop if len(block) == last - first else min(stop, before + ceil(len(block) * up / down))
        return resample(block, down, up)[start - before : there - before]

    def _own(self, first: int, last: int) -> np.ndarray:
        """Samples at the recording's own rate; those before them are dropped."""
        gone = min(max(0, first - self._at), len(self._buffer))
        pieces, self._at = [self._buffer[gone:]], self._at + gone
        missing = last - self._at - len(pieces[0])
        while missing > 0 and len(piece := self._more(missing)):
            if not np.isfinite(piece).all():
                raise InputError("a recording with NaN or infinite samples", "finite numbers", "repair the recording")
            pieces.append(piece)
            missing -= len(piece)
        self._buffer = np.concatenate(pieces)
        return self._buffer[first - self._at : last - self._at].copy()


def _parts(example: Any, rate: int) -> tuple[Any, int | None, int | None]:
    """Samples, their rate and the axis that holds their channels, None for what is not known.

    Args:
        example: As for `read_audio`.
        rate: The model's rate, to which that of a file is compared before anything is decoded.
    """
    if isinstance(example, (str, PathLike)):
        return _from_file(example, rate)
    if hasattr(example, "get_all_samples"):
        decoded = example.get_all_samples()
        return decoded.data, _rate(decoded.sample_rate), 0
    if is_stored(example):
        data = example.get("bytes")
        return _from_file(example["path"], rate) if data is None else _from_bytes(data, example.get("path"), rate)
    if isinstance(example, (bytes, bytearray)):
        return _from_bytes(example, None, rate)
    if isinstance(example, Mapping):
        array = example.get("array", example.get("raw"))
        if array is None:
            raise InputError(f"a mapping with {sorted(example)}", "'array' and 'sampling_rate'", "correct the keys")
        return array, _rate(example.get("sampling_rate", example.get("rate"))), None
    if isinstance(example, tuple) and len(example) == 2 and np.ndim(_lone(example[1])) == 0:
        return example[0], _rate(example[1]), None
    if hasattr(example, "__array__") or hasattr(example, "detach"):
        return example, None, None
    got = f"an example of type {type(example).__name__}"
    do = "several sounds go in a list" if isinstance(example, tuple) else "pass np.asarray(samples, np.float32)"
    raise InputError(got, "a path, an array, (array, rate) or {'array': …, 'sampling_rate': …}", do)


def _lone(value: Any) -> Any:
    """The number in a tensor or an array that holds one; anything else as it is."""
    many = value.numel() if isinstance(value, Tensor) else np.size(value)
    return value.item() if many == 1 and hasattr(value, "item") else value


def _rate(given: Any) -> int | None:
    """A sampling rate, if one is given."""
    if given is None:
        return None
    one = _lone(given)
    number = None if isinstance(one, bool) or not isinstance(one, Real) else float(one)
    if number is None or not number.is_integer() or number <= 0:
        raise InputError(f"a rate of {given} Hz", "a positive whole number", "correct the sampling rate")
    return int(number)


def _from_file(example: str | PathLike[str], rate: int) -> tuple[np.ndarray, int, int]:
    path = Path(example)
    with _file(path) as file:
        return _all_of(file, path, rate)


def _from_bytes(data: bytes | bytearray, name: str | None, rate: int) -> tuple[np.ndarray, int, int]:
    """An encoded sound that is in memory."""
    path = Path(name or "the sound in memory")
    with _opened(io.BytesIO(data), path) as file:
        return _all_of(file, path, rate)


def _all_of(file: Any, path: Path, rate: int) -> tuple[np.ndarray, int, int]:
    """All samples of an open file, its rate, and the axis of its channels; its header is checked first.

    Raises:
        InputError: If it claims more than is decoded at once.
    """
    _ratio(int(file.samplerate), rate)
    numbers = file.frames * file.channels
    if numbers > limits.SOUND_NUMBERS:
        got = f"{path.name!r}, whose header claims {file.frames} samples of {file.channels} channels"
        raise InputError(got, f"at most {limits.SOUND_NUMBERS} numbers", IN_PIECES)
    return _decoded(file, -1, path), int(file.samplerate), 1


def _ratio(own: int, rate: int) -> tuple[int, int]:
    """A model's rate over a sound's, in lowest terms.

    Raises:
        InputError: If the sound would become very much longer, or the resampling filter very long.
    """
    up, down = rate // gcd(own, rate), own // gcd(own, rate)
    if up > limits.RATE_STRETCH * down or max(up, down) > limits.RATE_TERM:
        expected = f"at least {ceil(rate / limits.RATE_STRETCH)} Hz, and a ratio to the model's {rate} Hz of terms "
        expected += f"up to {limits.RATE_TERM}"
        raise InputError(f"a sound of {own} Hz", expected, f"correct its rate, or resample it to {rate} Hz")
    return up, down


def _from_blocks(file: Any, path: Path, powers: np.ndarray) -> Callable[[int], np.ndarray]:
    """What gives the next samples of an open file as mono, at most so many, and adds `_powers`; none at a break."""

    def more(count: int) -> np.ndarray:
        try:
            block = _decoded(file, count, path)
            mono = block.mean(axis=1, dtype=np.float32)
            powers[:] += _powers(block, mono)
            return mono
        except InputError:
            if not file.tell():
                raise
            return np.zeros(0, np.float32)

    return more


def _pieces(samples: np.ndarray) -> Callable[[int], np.ndarray]:
    """What gives the next samples of an array, at most so many."""
    at = 0

    def more(count: int) -> np.ndarray:
        nonlocal at
        piece, at = samples[at : at + count], at + count
        return piece

    return more


def _file(path: Path) -> Any:
    """An open `soundfile.SoundFile`."""
    if not os.path.isfile(path):  # unlike Path.is_file, no error where a text is too long for a path
        shown = textwrap.shorten(str(path), 80, placeholder=" …")
        if os.path.isdir(path):
            do = "list its files, as in sorted(pathlib.Path(folder).glob('*.wav')), or use explain_dataset"
            raise InputError(f"the folder {shown!r}", "a sound file", do)
        do = "download it first, and pass its path" if ":/" in shown[:12] else "correct the path"
        raise InputError(f"path {shown!r}", "a sound file that exists", do)
    return _opened(path, path)


def _opened(file: Any, path: Path) -> Any:
    """An open `soundfile.SoundFile` of a path, or of what lies in memory."""
    try:
        import soundfile
    except ImportError as error:
        raise MissingExtraError("soundfile", "audio", "sound files") from error
    try:
        return soundfile.SoundFile(file)
    except soundfile.LibsndfileError as error:
        raise _unreadable(path) from error


def _decoded(file: Any, count: int, path: Path) -> np.ndarray:
    """The next samples of an open file, `(samples, channels)`; all of them where `count` is −1."""
    import soundfile

    try:
        return np.asarray(file.read(count, dtype="float32", always_2d=True))
    except soundfile.LibsndfileError as error:
        raise _unreadable(path) from error


def _unreadable(path: Path) -> InputError:
    return InputError(f"{path.name!r}", "a sound in a format that libsndfile reads", "convert it to WAV")


def _real(array: Any) -> tuple[np.ndarray, tuple[str, float]]:
    """Samples as float32, of PCM the full range ±1; the type that held them and the number that became 1."""
    check_dense("a sound", array)
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
            return array.astype(np.float32), (array.dtype.name, 1.0)
    if kind not in "iu" or bits > 32:
        expected = "real numbers from −1 to 1, or PCM of 8 to 32 bits"
        raise InputError(f"samples of {array.dtype}", expected, "convert them (16-bit PCM is int16)")
    half = 2.0 ** (bits - 1)
    real = ((array.astype(np.float64) - (half if kind == "u" else 0.0)) / half).astype(np.float32)
    return real, (array.dtype.name, half)


def _scaled(samples: np.ndarray, scale: tuple[str, float], example: Any) -> list[str]:
    """A note on the range of samples, but for 16-bit PCM, ±1, and the overshoot of decoders (MP3, Ogg)."""
    (kind, full), peak = scale, float(np.abs(samples).max(initial=0.0))
    most = 1 if isinstance(example, tuple) or hasattr(example, "__array__") else MAX_AMPLITUDE
    if "float" not in kind:
        note = f"{kind} samples were read as PCM with full scale {full:.0f}; they reach {peak:.3g} of it"
        return [] if kind == "int16" else [note]
    if peak <= most:
        return []
    if peak <= MAX_AMPLITUDE:
        return [f"{LOUD} {peak:.4g}, beyond the ±1 of real samples; they were taken as they are"]
    do = "pass PCM as integers (int16), or divide by the full scale"
    return [f"{LOUD} {peak:.3g}, far beyond the ±1 of real samples; {do}"]


def _powers(samples: np.ndarray, mono: np.ndarray) -> np.ndarray:
    """The power of channels, their mean, and that of their average, each times the number of samples."""
    means = [float(np.square(part, dtype=np.float64).sum()) / max(1, part.size) for part in (samples, mono)]
    return len(mono) * np.array(means)


def cancelled(powers: np.ndarray) -> tuple[str, ...]:
    """A note where the average of channels has far less power than they have: some are others upside down."""
    channels, mono = powers.tolist()
    if not mono < CANCELLED * channels:
        return ()
    return (
        f"the channels cancel each other: their average has {mono / channels:.1%} of their power; pass one of them",
    )


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


def resample(samples: np.ndarray, own: int, rate: int) -> np.ndarray:
    """Samples at another rate, by a polyphase filter.

    Raises:
        InputError: If the rates are beyond `limits.RATE_STRETCH` or `RATE_TERM`.
    """
    from scipy.signal import resample_poly

    return np.asarray(resample_poly(samples, *_ratio(own, rate)), dtype=np.float32)
