"""Reads a str as an example: a text, and not the name of a file, a FASTA record or half a character."""

from __future__ import annotations

import math
import os
import re
import textwrap
from os import PathLike
from typing import Any

from hf_fourier.errors import InputError
from hf_fourier.models.inputs.containers import is_url
from hf_fourier.models.inputs.files import EXTENSIONS, TEXTS, is_sequence_file, read_sequences

#: How the name of a file ends, where a text of one word does.
_ENDINGS = (*EXTENSIONS, *TEXTS)
_HOST = re.compile(r"(?:[\w-]+\.)+[a-z]{2,}/", re.IGNORECASE)
_SURROGATE = re.compile("[\ud800-\udfff]")
#: Characters of a path, at most, that are looked for on disk.
_LONGEST = 1024


def text_of(example: Any, what: str = "text") -> tuple[str, tuple[str, ...]]:
    """A text, and notes on it.

    Args:
        example: What was given as one.
        what: What it is meant to be.

    Raises:
        InputError: If it is no str, holds half a character, or is the name of a file.
    """
    if not isinstance(example, str):
        raise _no_str(example, what)
    whole(example)
    refuse_names(example, what)
    note = f"the address was read as a {what}: nothing is fetched"
    name = example.strip()
    return example, (note,) if is_url(name) or (name.lower().endswith(_ENDINGS) and _is_address(name)) else ()


def _is_address(name: str) -> bool:
    """Whether something is a web address without its scheme, as lists of malicious ones have them, and no file here."""
    return _HOST.match(name) is not None and len(name.split()) == 1 and not os.path.exists(name)


def whole(text: Any) -> str:
    """A text of whole characters.

    Raises:
        InputError: If it is no str, or holds a surrogate alone: half a character, which cannot be written as UTF-8.
    """
    if not isinstance(text, str):
        raise _no_str(text, "text")
    surrogate = None if text.isascii() else _SURROGATE.search(text)
    if surrogate is not None:
        got = f"a text with half a character at position {surrogate.start()} ({surrogate[0]!a}, a lone surrogate)"
        do = "pass text.encode('utf-16', 'surrogatepass').decode('utf-16', 'replace')"
        raise InputError(got, "whole Unicode characters", do)
    return text


def refuse_names(text: str, what: str = "text") -> None:
    """Refuse what is the name of a file or a folder, whether it exists or not.

    Raises:
        InputError: If it is one word with the ending of a file, or the path of something that exists.
    """
    name = text.strip()
    if not _may_be_name(name):
        return
    there = (_ends(name) or "/" in name or "\\" in name) and os.path.exists(name)
    if not there and (not _names_file(name) or (what == "text" and _is_address(name))):
        return
    shown = textwrap.shorten(name, 60, placeholder=" …")
    folder = os.path.isdir(name)
    got = f"{shown!r}, the name of a {'folder' if folder else 'file'}" + ("" if there else " that does not exist")
    if what != "text":
        raise InputError(
            got, f"a {what}, or a FASTA file that exists", "pass the letters themselves, or correct the path"
        )
    do = "pass open(name, encoding='utf-8').read(), or for a table explain_dataset(name)"
    if folder:
        do = "pass [path.read_text(encoding='utf-8') for path in sorted(pathlib.Path(name).glob('*.txt'))]"
    raise InputError(got, "the text itself", do + "; for the name itself pass tokenizer(…, return_tensors='pt')")


def refuse_missing(text: str) -> None:
    """Refuse the name of a file that does not exist, which no model reads.

    Raises:
        InputError: If it is one word with the ending of a file, no web address, and there is no such file.
    """
    name = text.strip()
    if _may_be_name(name) and _names_file(name) and not _is_address(name) and not os.path.exists(name):
        shown = textwrap.shorten(name, 60, placeholder=" …")
        raise InputError(f"{shown!r}, a file that does not exist", "a file that exists, or a text", "correct the path")


def _may_be_name(name: str) -> bool:
    """Whether the name of a file can be so long, with such characters."""
    return any(map(str.isalnum, name)) and len(name) <= _LONGEST and "\n" not in name and not is_url(name)


def _ends(name: str) -> bool:
    """Whether something ends as files do; an ending alone does not."""
    return name.lower().endswith(_ENDINGS) and not os.path.basename(name).startswith(".")


def _names_file(name: str) -> bool:
    """Whether something is one word that ends as files do."""
    return _ends(name) and len(name.split()) == 1


def letters_of(example: Any, what: str, unit: str) -> tuple[str, tuple[str, ...]]:
    """The letters of one sequence, out of a FASTA record if it is one, and notes on it.

    Args:
        example: What was given as one.
        what: What it is meant to be: "protein", "DNA sequence".
        unit: What its letters stand for, in the plural.

    Raises:
        InputError: If it is no str, the name of a file, or a FASTA text of no or of several records.
    """
    if is_sequence_file(example):  # of a list: alone, its records are the examples
        got, do = f"the file of sequences {os.path.basename(example)!r} in a list", "pass the file alone"
        raise InputError(
            got,
            "sequences",
            f"{do}, or [letters for _, letters in hf_fourier.models.inputs.files.read_sequences(path)]",
        )
    if not isinstance(example, str):
        raise _no_str(example, f"str of {unit}")
    whole(example)
    if not example.lstrip(" \t\r\n\ufeff").startswith(">"):
        refuse_names(example, what)
        return example, ()
    records = read_sequences(example)
    if len(records) > 1:
        do = "pass [letters for _, letters in hf_fourier.models.inputs.files.read_sequences(text)]"
        raise InputError(f"a FASTA text of {len(records)} records", "one", do)
    ((header, letters),) = records
    return letters, (f"read from the record {header[:60]!r}",)


def sequences_in(example: Any) -> list[str] | None:
    """The records of a FASTA or FASTQ file, by its path, each as FASTA with its header; None where it is none."""
    if isinstance(example, (str, PathLike)) and is_sequence_file(example):
        return [f">{header}\n{letters}" for header, letters in read_sequences(example)]
    return None


def _no_str(example: Any, what: str) -> InputError:
    """The error for what is no str, with how it becomes one."""
    kind = f"an example of type {type(example).__name__}"
    expected = f"a {what}" if what.startswith("str") else f"a str (a {what}), or a tuple of two (a pair of texts)"
    if isinstance(example, (bytes, bytearray)):
        return InputError(kind, expected, "pass example.decode('utf-8')")
    if isinstance(example, PathLike):
        return InputError(f"the path {os.fspath(example)!r}", expected, "pass path.read_text(encoding='utf-8')")
    missing = example is None or type(example).__name__ in ("NAType", "NaTType")
    if missing or (isinstance(example, float) and math.isnan(example)):
        return InputError(f"{kind} (a missing value)", expected, "leave out what is missing, as in series.dropna()")
    return InputError(kind, expected, "pass one, or a list of them")
