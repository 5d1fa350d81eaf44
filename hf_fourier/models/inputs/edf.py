"""Recordings of several channels from EDF, EDF+ and BDF files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hf_fourier.domains.limits import SIGNAL_ENTRIES
from hf_fourier.models.inputs import limits

#: Bytes of the header's fixed part, and of the part of each channel; its fields with their sizes.
FIXED, EACH = 256, 256
_FIELDS = {
    "label": 16, "transducer": 80, "unit": 8, "low": 8, "high": 8, "digital_low": 8, "digital_high": 8,
    "filters": 80, "samples": 8, "reserved": 32,
}  # fmt: skip
#: Bytes that are read at once, but at least a record.
AT_ONCE = 2**24
#: Channels that hold marks and no signal.
_MARKS = ("EDF Annotations", "BDF Annotations")
#: Labels (in lower case) and the unit of channels that hold numbers of events, as of BioSemi's files.
_EVENTS, _EVENT_UNIT = ("status", "trigger"), "boolean"


@dataclass(frozen=True)
class EdfHeader:
    """What a header says.

    Attributes:
        labels: The channels' names, those of marks too.
        units: Their physical dimensions as written ("uV").
        gains: Physical units per digital step.
        offsets: The physical value of the digital 0.
        samples: Samples of each channel in a record.
        records: How many records there are.
        seconds: How long a record lasts.
        width: Bytes of a sample: 2, of BDF 3.
    """

    labels: tuple[str, ...]
    units: tuple[str, ...]
    gains: np.ndarray
    offsets: np.ndarray
    samples: tuple[int, ...]
    records: int
    seconds: float
    width: int

    @property
    def signals(self) -> tuple[int, ...]:
        """The channels that hold numbers and no annotations."""
        return tuple(i for i, label in enumerate(self.labels) if label not in _MARKS)

    @property
    def events(self) -> tuple[int, ...]:
        """Those of `signals` that hold the numbers of events."""
        return tuple(
            i for i in self.signals if self.labels[i].lower() in _EVENTS or self.units[i].lower() == _EVENT_UNIT
        )

    def rate(self, channel: int) -> float:
        """Samples per second of a channel."""
        return self.samples[channel] / self.seconds


def read_header(path: Path) -> EdfHeader:
    """The header of an EDF or BDF file, checked against the file's size. Patient and recording ids are not read.

    Raises:
        ValueError: It is none, has gaps between records (EDF+D), more channels than `limits.EDF_CHANNELS`, a scale
            that is none, or claims more than the file holds.
    """
    with path.open("rb") as file:
        raw = file.read(FIXED)
        if len(raw) < FIXED or raw[:8] not in (b"0       ", b"\xffBIOSEMI"):
            raise ValueError(f"{path.name} is not an EDF or BDF file")
        count = _whole(raw[252:256], "channels")
        if not 0 < count <= limits.EDF_CHANNELS:
            raise ValueError(f"{path.name} claims {count} channels; 1 to {limits.EDF_CHANNELS} are read")
        more = file.read(EACH * count)
        held = path.stat().st_size
    if len(more) < EACH * count:
        raise ValueError(f"{path.name} is shorter than its header")
    if raw[192:197] in (b"EDF+D", b"BDF+D"):
        raise ValueError(f"{path.name} has gaps between its records (EDF+D)")
    fields, start = dict[str, list[str]](), 0
    for name, size in _FIELDS.items():
        parts = (more[start + size * i : start + size * (i + 1)] for i in range(count))
        fields[name] = [_text(part).strip(" \0") for part in parts]
        start += size * count
    samples = tuple(_whole(text, "samples") for text in fields["samples"])
    width = 3 if raw[0] == 0xFF else 2
    if min(samples) < 1:
        raise ValueError(f"{path.name} has no samples in a record")
    first, record = FIXED + EACH * count, width * sum(samples)
    records = _whole(raw[236:244], "records")
    there = max(0, held - first) // record
    records = there if records == -1 else records
    if not 0 < records <= there:
        raise ValueError(f"{path.name} claims {records} records and holds {there}")
    seconds = _real(raw[244:252], "the length of a record")
    if seconds <= 0 or max(samples) > limits.EDF_RATE * seconds:
        raise ValueError(f"{path.name} has records of {seconds:g} s; at most {limits.EDF_RATE} Hz are read")
    gains, offsets = _scales(fields, path.name)
    labels, units = tuple(fields["label"]), tuple(fields["unit"])
    return EdfHeader(labels, units, gains, offsets, samples, records, seconds, width)


def _scales(fields: dict[str, list[str]], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Physical units per digital step, and the physical value of the digital 0."""
    ends = [[_real(text, "the ends of a scale") for text in fields[key]] for key in list(_FIELDS)[3:7]]
    low, high, digital_low, digital_high = np.array(ends)
    if (digital_low >= digital_high).any() or (low == high).any():
        raise ValueError(f"{name} has a channel whose scale is empty")
    gains = (high - low) / (digital_high - digital_low)
    return gains, low - gains * digital_low


def read_samples(path: Path, header: EdfHeader, channels: Sequence[int]) -> np.ndarray:
    """Channels of one rate in physical units, float32, shape `(channels, time)`; up to `AT_ONCE` bytes at a time.

    Raises:
        ValueError: They have more samples than `domains.limits.SIGNAL_ENTRIES`, or the file ends early.
    """
    each = header.samples[channels[0]]
    if header.records * each * len(channels) > SIGNAL_ENTRIES:
        got = f"{header.records * each} samples of {len(channels)} channels"
        raise ValueError(f"{path.name} has {got}; at most {SIGNAL_ENTRIES} numbers are read")
    starts = np.concatenate([[0], np.cumsum(header.samples)])
    values = np.empty((len(channels), header.records * each), np.float32)
    size = header.width * int(starts[-1])
    block = max(1, AT_ONCE // size)
    with path.open("rb") as file:
        file.seek(FIXED + EACH * len(header.labels))
        for first in range(0, header.records, block):
            count = min(block, header.records - first)
            raw = file.read(size * count)
            if len(raw) < size * count:
                raise ValueError(f"{path.name} ends within record {first + len(raw) // size + 1} of {header.records}")
            records = np.frombuffer(raw, np.uint8).reshape(count, -1, header.width)
            for row, channel in enumerate(channels):
                digital = _digital(records[:, starts[channel] : starts[channel + 1]]).reshape(-1)
                physical = digital * header.gains[channel] + header.offsets[channel]
                values[row, first * each : (first + count) * each] = physical
    return values


def _digital(raw: np.ndarray) -> np.ndarray:
    """Whole numbers of 16 or 24 bits, whose bytes are along the last axis, low byte first, as float64."""
    if raw.shape[-1] == 2:
        return np.ascontiguousarray(raw).view("<i2")[..., 0].astype(np.float64)
    low = raw.astype(np.int32)
    return ((low[..., 0] | low[..., 1] << 8 | low[..., 2] << 16) << 8 >> 8).astype(np.float64)


def _text(raw: bytes) -> str:
    """A field as UTF-8, as some programs write it, else as Latin-1."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _whole(raw: bytes | str, what: str) -> int:
    value = _real(raw, what)
    if not value.is_integer():
        raise ValueError(f"{what} is not a whole number")
    return int(value)


def _real(raw: bytes | str, what: str) -> float:
    text = (raw.decode("latin-1") if isinstance(raw, bytes) else raw).strip(" \0")
    value = float(text) if text and "_" not in text else math.nan
    if not math.isfinite(value):
        raise ValueError(f"{what} is not a number")
    return value
