"""Small files of every kind that is read, whole, whose headers claim what the caller wants."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence

import numpy as np


def wav(rate: int, samples: int = 2000) -> bytes:
    """A WAV file of little noise that claims a rate in Hz."""
    data = np.random.default_rng(0).integers(-999, 999, samples).astype("<i2").tobytes()
    head = b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt "
    head += struct.pack("<IHHIIHH", 16, 1, 1, rate, (2 * rate) % 2**32, 2, 16)
    return head + b"data" + struct.pack("<I", len(data)) + data


def flac(frames: int) -> bytes:
    """The beginning of a FLAC file that claims so many samples, and one frame of noise."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, np.random.default_rng(0).normal(size=4000) * 0.1, 16_000, format="FLAC", subtype="PCM_16")
    data = bytearray(file.getvalue())
    total = int.from_bytes(data[18:26], "big")  # rate, channels, bits and 36 bits of samples
    data[18:26] = ((total >> 36 << 36) | frames).to_bytes(8, "big")
    return bytes(data)


def png(width: int, height: int) -> bytes:
    """A PNG of one colour with so many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compressobj()
    data = b"".join(rows.compress(b"\0" * (-(-width // 8) + 1)) for _ in range(min(height, 1000))) + rows.flush()
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def npy(shape: str, kind: str = "<f8") -> bytes:
    """A `.npy` file that claims a shape, with 64 bytes of numbers."""
    head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + b"\0" * 64


def nifti(shape: tuple[int, int, int], data: bytes) -> bytes:
    """A NIfTI-1 volume of bytes that claims a shape."""
    head = bytearray(352)
    struct.pack_into("<i", head, 0, 348)
    struct.pack_into("<8h", head, 40, 3, *shape, 1, 1, 1, 1)
    struct.pack_into("<h", head, 70, 2)
    struct.pack_into("<8f", head, 76, *[1.0] * 8)
    struct.pack_into("<f", head, 108, 352.0)
    head[344:348] = b"n+1\0"
    return bytes(head) + data


def edf(channels: Sequence[tuple[str, str, int]], records: int, data: bytes, **fixed: str) -> bytes:
    """An EDF file that claims channels (name, unit, samples in a record) and records of one second.

    Args:
        channels: Scaled from −32768…32767 to −3276.8…3276.7 in their units.
        records: How many records are claimed.
        data: The samples, two bytes each.
        **fixed: `seconds` of a record, `mark` ("EDF+D"), `version`.
    """
    count = len(channels)
    head = [
        (fixed.get("version", "0"), 8), ("X", 80), ("X", 80), ("01.01.26", 8), ("00.00.00", 8),
        (str(256 * (count + 1)), 8), (fixed.get("mark", ""), 44), (str(records), 8), (fixed.get("seconds", "1"), 8),
        (str(count), 4),
    ]  # fmt: skip
    fields: list[tuple[list[str], int]] = [
        ([name for name, _, _ in channels], 16), ([""] * count, 80), ([unit for _, unit, _ in channels], 8),
        (["-3276.8"] * count, 8), (["3276.7"] * count, 8), (["-32768"] * count, 8), (["32767"] * count, 8),
        ([""] * count, 80), ([str(samples) for _, _, samples in channels], 8), ([""] * count, 32),
    ]  # fmt: skip
    parts = [*head, *((text, size) for texts, size in fields for text in texts)]
    return b"".join(text.encode("latin-1").ljust(size)[:size] for text, size in parts) + data


def dicom(pixels: np.ndarray, origin: Sequence[float], **tags: object) -> bytes:
    """A DICOM file of one slice, explicit VR and little endian, without pydicom.

    Args:
        pixels: int16, shape `(rows, columns)`.
        origin: Where the first pixel is, in mm.
        **tags: `along` (six direction cosines), `steps` (rows, columns), `slope`, `intercept`, `series`, `number`,
            `syntax`, and `rows`, `frames`, `colours` that are claimed.
    """

    def element(group: int, number: int, kind: str, value: bytes) -> bytes:
        value += (b" " if kind not in ("UI", "OW", "US") else b"\0") * (len(value) % 2)
        long = kind == "OW"
        head = struct.pack("<HH2s", group, number, kind.encode())
        return head + (struct.pack("<HI", 0, len(value)) if long else struct.pack("<H", len(value))) + value

    def text(values: object) -> bytes:
        listed = values if isinstance(values, (list, tuple)) else [values]
        return "\\".join(str(one) for one in listed).encode()

    def short(value: object) -> bytes:
        return struct.pack("<H", int(str(value)))

    rows, columns = pixels.shape
    high = max(0, int(str(tags.get("stored", 16))) - 1)
    syntax = str(tags.get("syntax", "1.2.840.10008.1.2.1"))
    meta = element(2, 0x10, "UI", syntax.encode())
    body = [
        (0x20, 0x0E, "UI", text(tags.get("series", "1.2.3"))), (0x20, 0x11, "IS", text(tags.get("number", 1))),
        (0x20, 0x32, "DS", text(list(origin))), (0x20, 0x37, "DS", text(tags.get("along", [1, 0, 0, 0, 1, 0]))),
        (0x28, 0x02, "US", short(tags.get("colours", 1))), (0x28, 0x04, "CS", b"MONOCHROME2"),
        (0x28, 0x08, "IS", text(tags.get("frames", 1))),
        (0x28, 0x10, "US", short(tags.get("rows", rows))), (0x28, 0x11, "US", short(columns)),
        (0x28, 0x30, "DS", text(tags.get("steps", [1, 1]))), (0x28, 0x100, "US", short(16)),
        (0x28, 0x101, "US", short(tags.get("stored", 16))), (0x28, 0x102, "US", short(high)),
        (0x28, 0x103, "US", short(tags.get("signed", 1))), (0x28, 0x1052, "DS", text(tags.get("intercept", 0))),
        (0x28, 0x1053, "DS", text(tags.get("slope", 1))), (0x7FE0, 0x10, "OW", pixels.astype("<i2").tobytes()),
    ]  # fmt: skip
    length = element(2, 0, "UL", struct.pack("<I", len(meta)))
    return bytes(128) + b"DICM" + length + meta + b"".join(element(*one) for one in body)
