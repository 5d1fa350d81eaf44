"""Reads the inputs of the commands: texts, pictures, sounds, volumes and cells, by the endings of files."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hf_fourier.cli.console import error_console, print_line
from hf_fourier.errors import InputError
from hf_fourier.models.inputs.files import EXTENSIONS, is_sequence_file, read_example, read_sequences
from hf_fourier.models.inputs.text import refuse_missing

#: Cells of a file that are read where none are named.
FIRST_CELLS = 8
#: Characters of the longest name that each line of a track can hold.
LONGEST_NAME = 100


def read(inputs: Sequence[str], pair: bool, cells: str | None = None) -> tuple[list[str], list[Any]]:
    """The examples with a name for each: files by their endings, texts, or pairs of texts.

    Args:
        inputs: Paths or texts, or "-" alone.
        pair: Whether texts belong together two by two.
        cells: Which cells of a file that holds many: names and numbers with commas between, "0:20" or "all".

    Raises:
        InputError: If standard input is empty, a file does not exist or cannot be read, pairs are no texts or do not
            come out even, or cells are named where there are none.
    """
    from hf_fourier.models.inputs.cells import is_cell_file

    texts = list(inputs)
    if cells is not None and not any(map(is_cell_file, texts)):
        raise InputError(f"--cells {cells} without a file of cells", "an .h5ad or a .dataset", "leave --cells out")
    if texts == ["-"]:
        texts = [text for text in sys.stdin.read().splitlines() if text.strip()]
        if not texts:
            raise InputError("nothing on standard input", "one text per line", "pipe texts in")
        if pair:
            texts = [part for text in texts for part in _two(text)]
        files = False
    else:
        files = True
    for text in texts:
        refuse_missing(text)
    if not pair:
        named = [one for text in texts for one in (_several(text, cells) if files else [(text, text)])]
        return [name for name, _ in named], [one for _, one in named]
    if files and (found := [text for text in texts if text.lower().endswith(EXTENSIONS) and os.path.exists(text)]):
        got = f"the file {found[0]!r} with --pair, which takes texts"
        raise InputError(got, "two texts each", "leave --pair out: pictures, sounds and cells are taken one by one")
    if len(texts) % 2:
        raise InputError(f"{len(texts)} texts with --pair", "an even number", "give both texts of each pair, in quotes")
    pairs = list(zip(texts[::2], texts[1::2], strict=True))
    return [" | ".join(both) for both in pairs], pairs


def _several(text: str, cells: str | None) -> list[tuple[str, Any]]:
    """One example under its own name, or some cells of a file under theirs."""
    from hf_fourier.models.inputs.cells import is_cell_file, read_cells

    if is_sequence_file(text):
        return [((header.split() or [text])[0], letters) for header, letters in read_sequences(text)]
    if not is_cell_file(text):
        return [(text, read_example(text))]
    examples = read_cells(text, _which(cells))
    if cells is None and len(examples) > FIRST_CELLS:
        note = f"{Path(text).name} holds {len(examples)} cells: the first {FIRST_CELLS} are read; --cells names others"
        print_line(error_console(), note, style="yellow")
        examples = examples[:FIRST_CELLS]
    return [(cell["name"], cell) for cell in examples]


def _which(cells: str | None) -> Any:
    """`--cells` as `read_cells` takes it."""
    if cells is None or cells == "all":
        return None
    span = re.fullmatch(r"(\d{0,18}):(\d{0,18})", cells)
    if span is not None:
        return slice(*(int(end) if end else None for end in span.groups()))
    parts = [part.strip() for part in cells.split(",") if part.strip()]
    return [int(part) if re.fullmatch(r"\d{1,18}", part) else part for part in parts]


def slug(text: str, max_chars: int = 40) -> str:
    """A name for a file: letters, digits, dots and dashes."""
    ending = next((e for e in sorted(EXTENSIONS, key=len, reverse=True) if text.lower().endswith(e)), "")
    stem = Path(text[: len(text) - len(ending)]).name if ending else text
    return re.sub(r"[^\w.]+", "-", stem)[:max_chars].strip("-.") or "example"


def chromosome(name: str) -> str:
    """The name of a sequence in a track: the first word of its header as it is, of files and long letters a slug."""
    plain = name.split() == [name] and '"' not in name and len(name) <= LONGEST_NAME
    return name if plain and not name.lower().endswith(EXTENSIONS) else slug(name)


def _two(text: str) -> tuple[str, str]:
    parts = text.split("\t")
    if len(parts) != 2:
        raise InputError(f"the line {text[:60]!r} with --pair", "two texts with one tab between", "correct the line")
    return parts[0], parts[1]
