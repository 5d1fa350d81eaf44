"""Damaged and hostile files for every reader: pictures, sounds, volumes, arrays, cells, tables and others."""

from __future__ import annotations

import io
import pickle
import random
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tools.fuzz.files import dicom, edf, flac, nifti, npy, png, wav
from tools.fuzz.mutations import NUMBERS, damaged, json_bytes

#: What reads a file, by the file's name.
Reader = Callable[[Path], Any]
CELL = {"genes": ["ENSG00000000003", "ENSG00000000005", "ENSG00000000419"], "values": [3, 1, 2]}
CHAT = [{"role": "user", "content": "good"}, {"role": "assistant", "content": "bad"}]


def cases(rng: random.Random, folder: Path) -> Iterator[tuple[str, str, Callable[[], Any]]]:
    """Room, what was done, and the call, without end.

    Args:
        rng: Draws files and their damage.
        folder: Where files are written; each case has a name of its own.
    """
    number = 0
    while True:
        for room, (make, readers) in rooms().items():
            number += 1
            name, data = make(rng)
            path = folder / f"{number}-{name}"
            reader = rng.choice(readers)
            yield room, f"{reader.__name__} of {name}", _call(path, data, reader)


def warm(folder: Path) -> None:
    """Import what readers import, by reading whole files, so that no case has to."""
    import datasets  # noqa: F401
    import pyarrow.parquet  # noqa: F401

    from hf_fourier.cli import targets  # noqa: F401

    whole = {
        "a.png": (_encoded("PNG", "RGB"), _rgb), "a.wav": (_recorded("WAV"), _audio),
        "a.nii": (nifti((2, 3, 4), bytes(24)), _example), "a.npy": (npy("(8,)"), _example),
        "a.h5ad": (_cells_file(0), _cells), "b.h5ad": (_cells_file(1), _source),
        "a.fasta": (b">a\nMK\n", _source), "a.txt": (b"good\nbad\n", _source),
        "a.pkl": (pickle.dumps({"a": 1.0}), _numbers),
    }  # fmt: skip
    for name, (data, reader) in whole.items():
        (folder / name).write_bytes(data)
        reader(folder / name)


def _call(path: Path, data: bytes, reader: Reader) -> Callable[[], Any]:
    def call() -> None:
        try:
            path.write_bytes(data)
            reader(path)
        finally:
            path.unlink(missing_ok=True)

    return call


@cache
def rooms() -> dict[str, tuple[Callable[[random.Random], tuple[str, bytes]], tuple[Reader, ...]]]:
    """By room: what makes a file's name and bytes, and what reads it."""
    return {
        "pictures": (_picture, (_rgb, _rgb_bytes, _example)),
        "sounds": (_sound, (_audio, _audio_bytes, _stream, _example)),
        "volumes": (_volume, (_example,)),
        "recordings of channels": (_channels, (_series, _example)),
        "DICOM slices": (_slices, (_stack, _example)),
        "arrays": (_array, (_example, _target)),
        "cells and chats": (_json_example, (_example, _source)),
        "tables of cells": (_h5ad, (_cells, _source)),
        "sequences": (_fasta, (_sequences, _source)),
        "data sets": (_table, (_source,)),
        "dictionaries": (_dictionary, (_numbers, _names)),
    }


def _example(path: Path) -> Any:
    from hf_fourier.models.inputs.files import read_example

    return read_example(str(path))


def _series(path: Path) -> Any:
    from hf_fourier.models.inputs.channel_series import series_of

    return series_of(path)


def _stack(path: Path) -> Any:
    """The slice with a whole one above it."""
    from hf_fourier.models.inputs.dicom import read_dicom

    above = path.with_name(f"{path.stem}-above.dcm")
    try:
        above.write_bytes(dicom(np.ones((3, 4), np.int16), (0, 0, 1)))
        return read_dicom([path, above])
    finally:
        above.unlink(missing_ok=True)


def _rgb(path: Path) -> Any:
    from hf_fourier.models.inputs.images import as_rgb

    return as_rgb(path)


def _rgb_bytes(path: Path) -> Any:
    from hf_fourier.models.inputs.images import as_rgb

    return as_rgb({"bytes": path.read_bytes(), "path": None})


def _audio(path: Path) -> Any:
    from hf_fourier.models.inputs.audio import read_audio

    return read_audio(path, 16_000)


def _audio_bytes(path: Path) -> Any:
    from hf_fourier.models.inputs.audio import read_audio

    return read_audio(path.read_bytes(), 16_000)


def _stream(path: Path) -> Any:
    from hf_fourier.models.inputs.audio import AudioStream

    stream = AudioStream(path, 16_000)
    try:
        return stream.seconds, stream.read(0, 1000), stream.read(500, 1500)
    finally:
        stream.close()


def _target(path: Path) -> Any:
    from hf_fourier.cli.targets import parse_targets

    return parse_targets(f"region:{path}")


def _source(path: Path) -> Any:
    from hf_fourier.models.inputs.dataset_sources import source_of

    source = source_of(str(path))
    return source.fingerprint(), [item for item, _ in zip(source.stream(0), range(5), strict=False)]


def _cells(path: Path) -> Any:
    from hf_fourier.models.inputs.cells import read_cells

    return read_cells(path)


def _sequences(path: Path) -> Any:
    from hf_fourier.models.inputs.files import read_sequences

    return read_sequences(path)


def _numbers(path: Path) -> Any:
    from hf_fourier.models.inputs.pickles import read_float_dict

    return read_float_dict(path)


def _names(path: Path) -> Any:
    from hf_fourier.models.inputs.pickles import read_str_dict

    return read_str_dict(path)


def _picture(rng: random.Random) -> tuple[str, bytes]:
    if rng.randrange(8) == 0:
        size = rng.choice(NUMBERS) % 2**31, rng.choice((1, 9, 10**5))
        return "a.png", png(min(size[0], 10**6), size[1])
    kind = rng.choice(("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP", "PPM"))
    ending = {"JPEG": "jpg", "TIFF": "tif"}.get(kind, kind.lower())
    return f"a.{ending}", damaged(_encoded(kind, rng.choice(("RGB", "L", "P", "RGBA", "I;16"))), rng)


@cache
def _encoded(kind: str, mode: str) -> bytes:
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 255, (24, 20, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    if mode == "I;16" and kind in ("PNG", "TIFF"):
        image = Image.fromarray(noise[..., 0].astype(np.uint16) * 200)
    elif mode != "I;16" and not (kind in ("JPEG", "BMP", "PPM") and mode in ("P", "RGBA")):
        image = image.convert(mode)
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def _sound(rng: random.Random) -> tuple[str, bytes]:
    match rng.randrange(6):
        case 0:
            return "a.wav", wav(rng.choice(NUMBERS) % 2**32)
        case 1:
            return "a.flac", flac(rng.randrange(2**36))
    kind = rng.choice(("WAV", "FLAC", "OGG", "MP3"))
    return f"a.{kind.lower()}", damaged(_recorded(kind), rng)


@cache
def _recorded(kind: str) -> bytes:
    import soundfile

    file = io.BytesIO()
    noise = np.random.default_rng(0).normal(size=(4000, 2)) * 0.1
    soundfile.write(file, noise, 22_050, format=kind)
    return file.getvalue()


def _volume(rng: random.Random) -> tuple[str, bytes]:
    import gzip

    data = nifti((2, 3, 4), bytes(range(24)))
    match rng.randrange(4):
        case 0:
            sizes = tuple(rng.choice((-1, 0, 1, 2, 2000, 32767)) for _ in range(3))
            return "a.nii", nifti((sizes[0], sizes[1], sizes[2]), bytes(24))
        case 1:
            return "a.nii.gz", damaged(gzip.compress(data), rng)
        case 2:
            return "a.nii.gz", gzip.compress(damaged(data, rng))
    return "a.nii", damaged(data, rng)


def _channels(rng: random.Random) -> tuple[str, bytes]:
    name = rng.choice(("a.edf", "a.bdf"))
    each = rng.choice((4, 4, 0, -1, 10**7))
    channels = [("EEG Cz", "uV", each), ("EDF Annotations", "", 2), ("SpO2", "%", rng.choice((4, each)))]
    records = rng.choice((2, 2, -1, 0, 10**7))
    fixed = {"seconds": rng.choice(("1", "1", "0", "nan", "1e-300", "-1")), "mark": rng.choice(("", "EDF+C", "EDF+D"))}
    data = edf(channels, records, bytes(range(200)), **fixed)
    return name, data if rng.randrange(2) else damaged(data, rng)


def _slices(rng: random.Random) -> tuple[str, bytes]:
    odd: dict[str, tuple[Any, ...]] = {
        "steps": ([1, 1], [0, 1], ["nan", 1], [1e-300, 1], ["x", 1], [1]), "slope": (1, 2, "inf", "", "1e308"),
        "along": ([1, 0, 0, 0, 1, 0], [0] * 6, [1, 0, 0, 1, 0, 0], ["nan"] * 6, [1, 0]), "rows": (3, 0, 65535),
        "frames": (1, 0, -1, 10**9), "colours": (1, 3), "stored": (16, 12, 1, 0, 33),
        "syntax": ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2", ""),
    }  # fmt: skip
    chosen = {name: rng.choice(odd[name]) for name in rng.sample(sorted(odd), rng.randrange(3))}
    data = dicom(np.arange(12, dtype=np.int16).reshape(3, 4), rng.choice(((0, 0, 0), (0, 0, 1), ("x", 0, 0))), **chosen)
    return "a.dcm", data if rng.randrange(2) else damaged(data, rng)


def _array(rng: random.Random) -> tuple[str, bytes]:
    if rng.randrange(2):
        shape = rng.choice(("()", "(8,)", "(-8,)", "(2, 4)", "(10**9,)", "8", "None", f"({rng.choice(NUMBERS)},)"))
        kind = rng.choice(("<f8", "<f4", ">i2", "|O", "<U1", "|V8", "|b1", "<c16", "<M8[s]", "|S0", "x", "(2,)<f4"))
        return "a.npy", npy(shape, kind)
    file = io.BytesIO()
    (np.savez if rng.randrange(5) == 0 else np.save)(file, np.arange(8.0))
    return "a.npy", damaged(file.getvalue(), rng)


def _json_example(rng: random.Random) -> tuple[str, bytes]:
    return "a.json", json_bytes(rng.choice((CELL, CHAT, {"messages": CHAT})), rng)


def _h5ad(rng: random.Random) -> tuple[str, bytes]:
    return "a.h5ad", damaged(_cells_file(rng.randrange(2)), rng)


@cache
def _cells_file(sparse: int) -> bytes:
    import tempfile

    import anndata
    import pandas as pd
    import scipy.sparse

    counts = np.random.default_rng(0).poisson(1.0, (5, 6)).astype(np.float32)
    var = pd.DataFrame(index=[f"ENSG0000000000{i}" for i in range(6)])
    table = anndata.AnnData(scipy.sparse.csr_matrix(counts) if sparse else counts, var=var)
    with tempfile.TemporaryDirectory() as folder:
        table.write_h5ad(Path(folder) / "a.h5ad")
        return (Path(folder) / "a.h5ad").read_bytes()


def _fasta(rng: random.Random) -> tuple[str, bytes]:
    import gzip

    data = b">one\nMKV\nLAA\n>two words\nMKLV\n"
    if rng.randrange(3) == 0:
        return "a.fasta.gz", damaged(gzip.compress(data), rng)
    return "a.fasta", damaged(data, rng)


def _table(rng: random.Random) -> tuple[str, bytes]:
    match rng.randrange(5):
        case 0:
            return "a.csv", damaged(b"text,label\ngood,1\nbad,0\n", rng)
        case 1:
            return "a.jsonl", damaged(b'{"text": "good"}\n{"text": "bad"}\n', rng)
        case 2:
            return "a.txt", damaged(b"good\nbad\n", rng)
        case 3:
            return "a.json", json_bytes([{"text": "good"}, {"text": "bad"}], rng)
    return "a.parquet", damaged(_parquet(), rng)


@cache
def _parquet() -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    file = io.BytesIO()
    parquet.write_table(pa.table({"text": ["good", "bad"], "label": [1, 0]}), file)
    return file.getvalue()


def _dictionary(rng: random.Random) -> tuple[str, bytes]:
    entries: dict[str, Any] = {"ENSG1": 1, "ENSG2": 2.5, "ENSG3": np.float32(0.5), "ENSG4": np.int64(3)}
    match rng.randrange(4):
        case 0:
            return "a.json", json_bytes({"ENSG1": 1, "ENSG2": 2.5}, rng)
        case 1:
            return "a.pkl", _program(rng)
        case 2:
            return "a.pkl", damaged(pickle.dumps({"ENSG1": "A", "ENSG2": "B"}), rng)
    return "a.pkl", damaged(pickle.dumps(entries, protocol=rng.randrange(3, 6)), rng)


def _program(rng: random.Random) -> bytes:
    """A pickle of random instructions."""
    pieces = (b"}", b"]", b")", b"K\x01", b"\x85", b"\x86", b"\x87", b"\x94", b"h\x00", b"h\x01", b"h\x05", b"s", b"(",
              b"u",
              b"t", b"a", b"e", b"0", b"2", b"\x8c\x01a", b"\x88", b"N", b"G" + b"\x7f\xf0" + b"\0" * 6, b"R", b"b",
              b"\x93",
              b"cnumpy\ndtype\n", b"cos\nsystem\n", b"\x8f", b"\x90", b"\x91",
              b"\x8a\x09" + b"\xff" * 8 + b"\x00")  # fmt: skip
    return b"\x80\x04" + b"".join(rng.choice(pieces) for _ in range(rng.choice((5, 40, 400)))) + b"."
