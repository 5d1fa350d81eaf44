"""Examples out of files, by their endings: pictures, sounds, volumes and cells."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from string import ascii_letters
from typing import Any

from hf_fourier.errors import InputError
from hf_fourier.models.inputs import limits
from hf_fourier.models.inputs.containers import is_chat

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
SOUNDS = (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif", ".opus")
VOLUMES, SERIES = (".nii", ".nii.gz"), (".edf", ".bdf")
ARRAYS, CELLS, DICOM = (".npy",), (".json",), (".dcm",)
MANY_CELLS = (".h5ad", ".loom", ".zarr", ".dataset")
SEQUENCES = (".fasta", ".fa", ".fna", ".faa", ".ffn", ".frn", ".fas", ".fastq", ".fq")
EXTENSIONS = (*PICTURES, *SOUNDS, *SERIES, *VOLUMES, *DICOM, *ARRAYS, *CELLS, *MANY_CELLS, *SEQUENCES)
#: Pictures and sounds that are not read out of folders.
UNREAD = (".m4a", ".aac", ".wma", ".amr", ".au", ".caf", ".mp4", ".heic", ".heif", ".avif", ".jfif", ".jp2", ".svs")
#: Other files that are named where their content is meant.
TEXTS = (".txt", ".csv", ".tsv", ".jsonl", ".md", ".html", ".pdf", ".docx", ".parquet", ".arrow", ".xml", ".gz", ".zip")
ACCEPTED_FILES = (
    "a picture, a sound (.wav, .flac, .ogg, .mp3, .aiff, .opus), a recording of several channels (.edf, .bdf), "
    "a volume (.nii, .nii.gz, .npy, one .dcm of a series), cells (.h5ad, .loom, .zarr, .dataset), "
    'sequences (.fasta, .fastq), a cell (.json: {"genes": [Ensembl ids], "values": [counts]}), '
    'a chat (.json: [{"role": …, "content": …}]), or a text or protein typed as it is'
)
#: What a JSON file holds.
EXPECTED = '{"genes": [Ensembl ids], "values": [counts]} or [{"role": "user", "content": "…"}]'


#: What may stand before a text's first record: white space and a byte order mark.
_BLANK = " \t\r\n\ufeff"
#: Bytes of a JSON file that are looked at together.
BLOCK = 2**22


def read_example(text: str) -> Any:
    """One example: what the file of this name holds, or the text itself where there is no such file.

    Raises:
        InputError: If the file's ending is none that is read, or its content does not match its ending.
    """
    if not os.path.isfile(text):
        return _typed(text)
    path, name = Path(text), text.lower()
    if name.endswith((*PICTURES, *SOUNDS, *SERIES)):
        return path
    if name.endswith(VOLUMES):
        return _scan(path)
    if name.endswith(DICOM):
        from hf_fourier.models.inputs.dicom import read_dicom

        return read_dicom(path).values
    if name.endswith(ARRAYS):
        return read_array(path)
    if name.endswith(CELLS):
        return _chat_or_cell(path)
    do = f"for the lines of a text file: hf-fourier explain MODEL - < {text}"
    raise InputError(f"the file {text!r}", ACCEPTED_FILES, do)


def example_files(folder: Path) -> list[str]:
    """The files of examples below a folder, sorted, as paths relative to it; without hidden ones.

    A `UserWarning` counts pictures and sounds of formats that are not read, and slices in DICOM beside other files.
    """
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    files = sorted(path.as_posix() for path in paths if not any(part.startswith(".") for part in path.parts))
    usual = [name for name in files if name.lower().endswith((*PICTURES, *SOUNDS, *SERIES, *VOLUMES, *ARRAYS))]
    left = [name for name in files if name.lower().endswith((*UNREAD, *DICOM))]
    if usual and left:
        said = f"{folder.name!r}: {len(left)} of {len(usual) + len(left)} files of pictures and sounds were left out"
        warnings.warn(f"{said}, such as {left[0]!r}: convert them", stacklevel=4)
    sequences = [name for name in files if is_sequence_file(folder / name)]
    return usual or [name for name in files if name.lower().endswith(CELLS)] or sequences


def is_sequence_file(path: Any) -> bool:
    """Whether something is the path of a FASTA or FASTQ file that exists, by its ending (".gz" behind it or not)."""
    if not isinstance(path, (str, os.PathLike)):
        return False
    name = os.fspath(path).lower() if isinstance(os.fspath(path), str) else ""
    return name.removesuffix(".gz").endswith(SEQUENCES) and os.path.isfile(path)


def read_sequences(source: str | os.PathLike[str]) -> list[tuple[str, str]]:
    """The records of a FASTA or FASTQ file, or of a text in the form of FASTA, in their order.

    Args:
        source: A path (".gz" is unpacked; a file that begins with "@" is FASTQ), or a text whose first line begins
            with ">".

    Returns:
        The header of each record without its ">" or "@", and its letters as they are written; qualities are left out.

    Raises:
        InputError: If it cannot be read, unpacks to more than `limits.SEQUENCE_BYTES`, holds no record, a header has
            no letters below it, or a FASTQ record is incomplete. FASTQ reads without letters are left out, which a
            `UserWarning` counts.
    """
    if isinstance(source, str) and source.lstrip(_BLANK).startswith(">"):
        name, text = "a FASTA text", source.lstrip(_BLANK)
    else:
        name, text = repr(Path(source).name), _unpacked(Path(source))
    lines = [line.strip() for line in text.splitlines()]
    records = _fastq(name, lines) if text.lstrip().startswith("@") else _fasta(name, lines)
    if not records:
        raise InputError(f"{name} without a record", "a header with '>' and letters below it", "correct the file")
    if bare := [header for header, letters in records if not letters]:
        got = f"the FASTA header {bare[0][:60]!r} without letters below it"
        raise InputError(got, "a sequence", "pass the sequence alone, or with its header in the line above")
    return records


def _fasta(name: str, lines: list[str]) -> list[tuple[str, str]]:
    parts: list[tuple[str, list[str]]] = []
    for line in lines:
        if line.startswith(">"):
            parts.append((line[1:].strip(), []))
        elif line and not line.startswith(";"):
            if not parts:
                got = f"{name} with letters before its first header"
                raise InputError(got, "FASTA, with '>' first", "correct the file")
            parts[-1][1].append(line)
    return [(header, "".join(letters)) for header, letters in parts]


def _fastq(name: str, lines: list[str]) -> list[tuple[str, str]]:
    """Records of four lines: "@" and the header, the letters, "+", and a quality for each letter."""
    records, start = [], 0
    while start < len(lines):
        if not lines[start]:  # a blank line between records
            start += 1
            continue
        header, letters, mark, qualities = (*lines[start : start + 4], "", "", "")[:4]
        if not header.startswith("@") or not mark.startswith("+") or len(letters) != len(qualities):
            got = f"{name}, whose line {start + 1} begins no FASTQ record"
            expected = "four lines a record: '@' and a header, the letters, '+', a quality for each letter"
            raise InputError(got, expected, "correct the file")
        records.append((header[1:].strip(), letters))
        start += 4
    read = [record for record in records if record[1]]
    if len(read) < len(records):
        warnings.warn(f"{name}: {_reads(len(records) - len(read))} left out", stacklevel=3)
    return read


def _reads(number: int) -> str:
    return "1 read without letters was" if number == 1 else f"{number} reads without letters were"


def _unpacked(path: Path) -> str:
    import gzip
    import zlib

    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            data = file.read(limits.SEQUENCE_BYTES + 1)
        if len(data) > limits.SEQUENCE_BYTES:
            got = f"{path.name!r} of more than {limits.SEQUENCE_BYTES} bytes"
            raise InputError(got, "a file of sequences of at most that many", "split it")
        return data.decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        reason = str(error).replace(str(path), path.name)
        raise InputError(
            f"{path.name!r}, which cannot be read ({reason})", "a FASTA or FASTQ file", "correct the path"
        ) from error


def _scan(path: Path) -> Any:
    """A NIfTI volume, its axes from left to right, back to front and bottom to top."""
    from hf_fourier.models.inputs.nifti import read_nifti

    try:
        return read_nifti(path)[0]
    except Exception as error:  # what broken files raise has no common base
        raise InputError(f"{path.name!r}, which cannot be read ({error})", "a NIfTI-1 volume", "convert it") from error


def read_array(path: Path) -> Any:
    """The array of numbers in a `.npy` file; its header is checked against the file's size before anything is read.

    Raises:
        InputError: If it is none, or larger than `limits.ARRAY_BYTES`.
    """
    import numpy as np

    try:
        _check_header(path)
        return np.load(path, allow_pickle=False)
    except Exception as error:  # what numpy raises of broken headers has no common base
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].replace(str(path), path.name)
        got = f"{path.name!r}, which cannot be read ({reason:.300})"
        raise InputError(got, "one array of numbers as numpy.save writes it", "save it again") from error


def _check_header(path: Path) -> None:
    """Check what the header of a `.npy` file claims.

    Raises:
        ValueError: If that is no array of numbers, or more than the file holds.
    """
    import math

    from numpy.lib import format as npy

    with path.open("rb") as file:
        version = npy.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"a .npy file of version {version}, which has no array of plain numbers")
        shape, _, kind = (npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0)(file)
        held = path.stat().st_size - file.tell()
    size = math.prod(shape) * kind.itemsize
    if kind.kind not in "biufc":
        raise ValueError(f"an array of {kind}")
    if any(length < 0 or length > limits.ARRAY_BYTES for length in shape) or size > limits.ARRAY_BYTES:
        raise ValueError(f"an array of shape {shape}; at most {limits.ARRAY_BYTES} bytes are read")
    if size > held:
        raise ValueError(f"{size} bytes of numbers are claimed, {held} are there")


def _typed(text: str) -> Any:
    """What was typed: the messages of a chat where that is JSON of them, else the text itself."""
    if not text.lstrip().startswith(("[", "{")):
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if is_chat(value) else text


def check_json_rows(path: Path) -> None:
    """Check a JSON table for what ends the process in the reader of Arrow.

    Lists and objects deep within each other overflow the stack, and so ends a row that is `null` (or NaN).

    Raises:
        InputError: If they are deeper than `limits.JSON_LEVELS`, or there is such a row.
    """
    import numpy as np

    step = np.zeros(256, np.int8)
    step[[ord("["), ord("{")]], step[[ord("]"), ord("}")]] = 1, -1
    letters = np.isin(np.arange(256), np.frombuffer(ascii_letters.encode(), np.uint8))
    level, within, slashes = 0, 0, 0  # so far: brackets that are open, whether in a text, backslashes at the end
    last = 0
    with path.open("rb") as file:
        rows_at = int(file.read(4096).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"[")
        file.seek(0)
        while block := file.read(BLOCK):
            data = np.frombuffer(b"\\" * slashes + block, np.uint8)
            place = np.arange(len(data))
            plain = np.maximum.accumulate(np.where(data == ord("\\"), -1, place))
            slashed = np.concatenate([[0], (place - plain)[:-1]])  # backslashes before each byte
            quotes = (data == ord('"')) & (slashed % 2 == 0)
            inside = (np.cumsum(quotes) + within) % 2
            opened = level + np.where(inside, 0, step[data]).cumsum(dtype=np.int64)
            depth = opened - np.minimum(np.minimum.accumulate(opened), 0)  # brackets that close nothing hide none
            if int(depth.max()) > limits.JSON_LEVELS:
                got = f"{path.name!r} with more than {limits.JSON_LEVELS} brackets within each other"
                raise InputError(got, "a table of plain values", "write it as plain rows")
            begins = np.isin(data, (ord("n"), ord("N"))) & ~letters[np.concatenate([[last], data[:-1]])]
            if (begins & (inside == 0) & (depth <= rows_at)).any():
                do = "write an object for each row, or leave the row out"
                raise InputError(f"{path.name!r} with a row that is null", "a row of values", do)
            last = int(data[-1])
            level, within, slashes = int(depth[-1]), int(inside[-1]), int(place[-1] - plain[-1]) % 2


def _chat_or_cell(path: Path) -> Any:
    """What a JSON file holds: the messages of a chat, or one cell."""
    size = path.stat().st_size
    if size > limits.JSON_BYTES:
        got, do = f"{path.name!r} of {size} bytes", "write one cell, or one chat, per file"
        raise InputError(got, f"a JSON file of at most {limits.JSON_BYTES} bytes", do)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        got = f"{path.name!r}, which is not JSON ({error})"
        raise InputError(got, EXPECTED, "correct the file") from error
    if is_chat(value):
        return value["messages"] if isinstance(value, dict) else value
    if not isinstance(value, dict) or not all(isinstance(value.get(key), list) for key in ("genes", "values")):
        got = f"{path.name!r} without 'genes' and 'values', or messages"
        raise InputError(got, EXPECTED, "write one cell, or one chat, per file")
    return {"genes": [str(gene) for gene in value["genes"]], "values": value["values"]}
