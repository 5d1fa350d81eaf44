"""Recordings of several channels, such as an EEG: objects of MNE and EDF files, with rate, names and units."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np

from hf_fourier.errors import InputError, brief, is_list_like, real_number
from hf_fourier.models.inputs import edf, limits

ENDINGS = (".edf", ".bdf")
#: Volts in each unit of voltage.
VOLTS = {"V": 1.0, "mV": 1e-3, "uV": 1e-6, "nV": 1e-9}
#: Other spellings of microvolts in EDF files, in lower case: with the micro sign, the Greek letter, and in words.
_MICRO = ("µv", "μv", "uv", "uv.", "microv", "microvolt", "microvolts", "\x83êv")
#: MNE's unit for channels of each type; of others there is none.
_OF_TYPE = {
    **dict.fromkeys(("eeg", "eog", "ecg", "emg", "ecog", "seeg", "dbs", "bio"), "V"),
    "mag": "T", "grad": "T/m", "ref_meg": "T", "temperature": "C", "gsr": "S",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class ChannelSeries:
    """A recording of several channels.

    Attributes:
        values: float32, shape `(channels, time)`; voltages in volts.
        rate: Samples per second.
        names: The channels' names.
        units: The channels' units; "" where none is known.
        notes: What was done to it.
    """

    values: np.ndarray
    rate: float
    names: tuple[str, ...]
    units: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        channels = f"{self.names[0]} … {self.names[-1]}" if len(self.names) > 2 else ", ".join(self.names)
        return f"ChannelSeries({self.values.shape[1] / self.rate:g} s at {self.rate:g} Hz of {channels})"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.values, dtype=dtype)

    def tobytes(self) -> bytes:
        """What tells two recordings apart: the numbers, the rate and the names."""
        return repr((self.rate, self.names, self.units)).encode() + self.values.tobytes()

    def pick(self, names: Sequence[str]) -> ChannelSeries:
        """Some of the channels, in the order of `names`.

        Raises:
            InputError: If there is no such channel.
        """
        places = _places(self.names, names)
        return replace(self, values=self.values[places], names=tuple(names), units=tuple(self.units[i] for i in places))

    def resample(self, rate: float) -> ChannelSeries:
        """The recording at another rate, by a polyphase filter.

        What is filtered is the difference to the straight line from each channel's first sample to its last one, so
        that an offset or a drift makes no steps at the ends.

        Raises:
            InputError: If the rate is none, or the ratio of the two is out of the range of `limits`.
        """
        from scipy.signal import resample_poly

        low, high = self.rate / limits.RATE_TERM, self.rate * limits.RATE_STRETCH
        expected = f"samples per second, {low:g} to {high:g}"
        new = real_number("rate", rate, expected)
        if not 0 < low <= new <= high:
            raise InputError(f"rate {brief(rate)}", expected, "correct `rate`")
        up, down = _ratio(new, self.rate)
        first, last = self.values[:, :1].astype(np.float64), self.values[:, -1:].astype(np.float64)
        length = self.values.shape[1]
        slope = (last - first) / max(1, length - 1)
        bare = resample_poly(self.values - (first + slope * np.arange(length)), up, down, axis=1)
        values = (bare + first + slope * np.arange(bare.shape[1]) * (down / up)).astype(np.float32)
        note = f"resampled from {self.rate:g} Hz to {float(new):g} Hz"
        return replace(self, values=values, rate=float(new), notes=(*self.notes, note))

    def windows(self, seconds: float, overlap: float = 0.0) -> list[ChannelSeries]:
        """Stretches of one length, one after the other; what is left at the end is left out.

        Args:
            seconds: The length of each.
            overlap: The part of a stretch that overlaps the next one, 0 to below 1.

        Raises:
            InputError: If the recording is shorter, or the overlap is out of range.
        """
        total = self.values.shape[1]
        length = round(seconds * self.rate) if isinstance(seconds, (int, float)) and np.isfinite(seconds) else 0
        if not 1 <= length <= total:
            expected = f"a length of at most {total / self.rate:g} s, the recording's"
            raise InputError(f"windows of {brief(seconds)} s", expected, "correct `seconds`")
        if not isinstance(overlap, (int, float)) or not 0 <= overlap < 1:
            raise InputError(f"overlap {brief(overlap)}", "0 to below 1", "correct `overlap`")
        step = max(1, round(length * (1 - overlap)))
        starts = range(0, total - length + 1, step)
        return [replace(self, values=self.values[:, start : start + length]) for start in starts]

    def in_unit(self, unit: str | None) -> tuple[np.ndarray, tuple[str, ...]]:
        """The numbers with voltages in a unit, and a note on that.

        Args:
            unit: One of `VOLTS`; None for volts.

        Raises:
            InputError: If a unit is asked for and a channel is in none of voltage.
        """
        others = [
            f"{name} [{known or '?'}]" for name, known in zip(self.names, self.units, strict=True) if known != "V"
        ]
        if unit is None:
            if len(others) == len(self.names):
                return self.values, ()
            return self.values, ("voltages were taken in volts; unit='uV' gives the network microvolts",)
        if others:
            got = f"the channels {', '.join(others[:6])} for a network that reads {unit}"
            do = "leave them out, as by series_of(recording).pick(['Cz', 'Oz'])"
            raise InputError(got, "channels of voltages", do)
        return self.values / np.float32(VOLTS[unit]), (f"voltages were taken in {unit}",)


def is_recording(example: Any) -> bool:
    """Whether something is an object of MNE with channels in time (Raw, Epochs, Evoked)."""
    try:
        known = hasattr(example, "get_data") and hasattr(example, "ch_names") and "sfreq" in example.info
        return bool(known)
    except (AttributeError, TypeError):
        return False


def is_edf(example: Any) -> bool:
    """Whether something is the path of an EDF or BDF file, by its ending."""
    if not isinstance(example, (str, os.PathLike)):
        return False
    name = os.fspath(example)
    return isinstance(name, str) and name.lower().endswith(ENDINGS) and os.path.isfile(name)


def several_series(recording: Any) -> list[ChannelSeries] | None:
    """Each of MNE's `Epochs` as a series; None for anything else."""
    if not is_recording(recording) or not hasattr(recording, "events"):
        return None
    return [_of_mne(recording, values) for values in recording.get_data()]


def series_of(example: Any) -> ChannelSeries:
    """A recording as a `ChannelSeries`: MNE's `Raw` or `Evoked`, `Epochs` of one, or the path of an EDF or BDF file.

    Raises:
        InputError: If it is none, or cannot be read.
    """
    if isinstance(example, ChannelSeries):
        return example
    if is_edf(example):
        return read_edf(example)
    if not is_recording(example):
        got = f"a {type(example).__name__}" if not isinstance(example, (str, os.PathLike)) else f"{str(example)!r:.80}"
        raise InputError(got, "an mne.io.Raw, an Evoked, or an EDF or BDF file", "pass one recording")
    values = np.asarray(example.get_data())
    if values.ndim == 3 and len(values) == 1:
        values = values[0]
    if values.ndim != 2:
        raise InputError(f"{len(values)} epochs", "one recording", "pass one recording")
    return _of_mne(example, values)


def _of_mne(recording: Any, values: Any) -> ChannelSeries:
    """Values `(channels, time)` in MNE's units with what the object says of them; without its channels of events."""
    types = recording.get_channel_types()
    kept = [i for i, kind in enumerate(types) if kind != "stim"]
    names = recording.ch_names
    notes = []
    if len(kept) < len(types):
        left = ", ".join(name for name, kind in zip(names, types, strict=True) if kind == "stim")
        notes.append(f"channels of events were left out: {left}")
    if bad := [name for name in recording.info["bads"] if name in names]:
        notes.append(f"channels that MNE has marked as bad are among the channels: {', '.join(bad)}")
    units = tuple(_OF_TYPE.get(types[i], "") for i in kept)
    array = np.ascontiguousarray(np.asarray(values)[kept], np.float32)
    return ChannelSeries(array, float(recording.info["sfreq"]), tuple(names[i] for i in kept), units, tuple(notes))


def read_edf(path: str | os.PathLike[str], channels: Sequence[str] | None = None) -> ChannelSeries:
    """A recording from an EDF, EDF+ or BDF file, voltages in volts.

    Args:
        path: The file.
        channels: The channels to read, which have one rate; None for all of them but those of events.

    Raises:
        InputError: If it cannot be read, has no such channel, or the channels differ in their rates.
    """
    file = Path(path)
    try:
        header = edf.read_header(file)
        places, notes = _chosen(header, channels)
        rates = {header.rate(i) for i in places}
        if len(rates) != 1:
            groups = (f"{rate:g} Hz: {header.labels[i]}" for i in places for rate in [header.rate(i)])
            got = f"{file.name!r} with channels of several rates ({shorten(', '.join(groups), 200, placeholder=' …')})"
            raise InputError(got, "channels of one rate", "choose those, as by read_edf(path, ['EEG Fpz-Cz'])")
        values = edf.read_samples(file, header, places)
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = str(error).replace(str(file), file.name)
        raise InputError(
            f"{file.name!r}, which cannot be read ({reason:.300})", "an EDF or BDF file", "convert it"
        ) from error
    units = ["uV" if header.units[i].lower() in _MICRO else header.units[i] for i in places]
    for row, unit in enumerate(units):
        values[row] *= np.float32(VOLTS.get(unit, 1.0))
    known = tuple("V" if unit in VOLTS else unit for unit in units)
    names = tuple(header.labels[i] for i in places)
    others = [f"{name} [{unit}]" for name, unit in zip(names, known, strict=True) if unit not in ("V", "")]
    if others:
        said = shorten(", ".join(others), 200, placeholder=" …")
        notes = (*notes, f"channels that are not voltages keep the file's numbers: {said}")
    return ChannelSeries(values, rates.pop(), names, known, notes)


def _chosen(header: edf.EdfHeader, channels: Sequence[str] | None) -> tuple[list[int], tuple[str, ...]]:
    """The places of the channels to read, and a note on those that are left out.

    Raises:
        InputError: If there is no such channel, or none is named.
        ValueError: There is none of a signal.
    """
    if channels is not None:
        names = [header.labels[i] for i in header.signals]
        return [header.signals[i] for i in _places(names, channels)], ()
    places = [i for i in header.signals if i not in header.events]
    if not places:
        raise ValueError("it has no channel of a signal")
    if not header.events:
        return places, ()
    return places, (f"channels of events were left out: {', '.join(header.labels[i] for i in header.events)}",)


def _places(known: Sequence[str], names: Sequence[str]) -> list[int]:
    """Where the channels of these names are, each once; where several have one name, the next of them.

    Raises:
        InputError: If there is no such channel, or none is named.
    """
    if not is_list_like(names) or len(names) == 0:
        raise InputError(f"channels {brief(names)}", "a list of names", "correct `channels`")
    places = list[int]()
    for name in names:
        place = next((i for i, one in enumerate(known) if one == name and i not in places), None)
        if place is None:
            expected = f"one of {shorten(', '.join(known), 200, placeholder=' …')}"
            raise InputError(f"channel {brief(name)}", expected, "correct `channels`")
        places.append(place)
    return places


def _ratio(new: float, own: float) -> tuple[int, int]:
    """The two rates' ratio as whole numbers up to `limits.RATE_TERM`."""
    ratio = Fraction(new) / Fraction(own)
    if ratio > 1:
        down, up = (1 / ratio).limit_denominator(limits.RATE_TERM).as_integer_ratio()
        return up, down
    return ratio.limit_denominator(limits.RATE_TERM).as_integer_ratio()
