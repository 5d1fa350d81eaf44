"""Printing of the commands: tables on standard output, progress and errors on standard error.

Text of others (labels, file names, model ids) is never markup, and nothing in it acts on the terminal: all that is
printed goes through `line`, `table` or `progress`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table as RichTable

from hf_fourier.errors import FourierError, InputError, MissingExtraError, SpecError, StorageError, TargetError
from hf_fourier.report.visible_text import escape_invisible
from hf_fourier.results.schema import finite_values


def result_console() -> Console:
    """Standard output, without markup; 120 columns where it is no terminal."""
    return Console(markup=False, emoji=False, highlight=False, width=None if sys.stdout.isatty() else 120)


def error_console() -> Console:
    """Standard error, likewise."""
    return Console(stderr=True, markup=False, emoji=False, highlight=False, width=None if sys.stderr.isatty() else 120)


def print_line(console: Console, text: str, style: str | None = None) -> None:
    """One line that is broken by the terminal only, so that a path can be copied."""
    console.print(escape_invisible(text, keep="\n"), style=style, soft_wrap=True)


def print_name(console: Console, name: str) -> None:
    """The name of an example above its result, after an empty line."""
    print_line(console, f"\n{name if len(name) <= 100 else name[:99] + '…'}", style="bold")


def drawn(result: Any, path: Path) -> dict[str, str]:
    """Draw a result with its `plot`: the path under "figure"; nothing where matplotlib is missing, which is said."""
    try:
        result.plot(path)
    except MissingExtraError as error:
        print_line(error_console(), f"no figure: {error}", style="yellow")
        return {}
    return {"figure": str(path)}


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> RichTable:
    """A table whose first `left` columns are aligned left, the others right; the first is never broken."""
    made = RichTable(title=escape_invisible(title), title_justify="left", title_style="bold")
    for i, column in enumerate(columns):
        made.add_column(
            escape_invisible(column), justify="left" if i < left else "right", overflow="fold", no_wrap=i == 0
        )
    for row in rows:
        made.add_row(*(escape_invisible(cell, keep="\n") for cell in row))
    return made


@contextmanager
def report_errors(debug: bool) -> Iterator[None]:
    """Print this library's errors as one message on standard error; `debug` lets them through.

    Raises:
        Exit: With code 2 where what was typed cannot be done, 1 where it could not be done here and now.
    """
    try:
        yield
    except Exception as error:
        if debug or not _expected(error):
            raise
        print_line(error_console(), f"error: {error}", style="bold red")
        raise typer.Exit(2 if _mistyped(error) else 1) from error


@contextmanager
def progress(text: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error (one line where that is no terminal); yields what to call with (done, in all)."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    console = error_console()
    if not console.is_terminal:
        print_line(console, f"{text} …")
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(escape_invisible(text), total=None)

        def update(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield update


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Without the progress bars of `transformers`, which are set back afterwards."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def print_json(value: Any) -> None:
    """Plain values as JSON, alone on standard output: ASCII only, and null for what is no number."""
    typer.echo(json.dumps(finite_values(value), indent=1, allow_nan=False))


def parse_fractions(text: str) -> list[float]:
    """The fractions in ".01,.04".

    Raises:
        InputError: If one is no number from 0 to 1, or there are none.
    """
    try:
        fractions = [float(part) for part in text.replace(" ", "").split(",") if part]
    except ValueError:
        fractions = []
    if not fractions or not all(0 <= fraction <= 1 for fraction in fractions):
        raise InputError(f"--fraction {text!r}", "fractions from 0 to 1", "separate them by commas, such as .01,.04")
    return fractions


def parse_batch_size(text: str) -> Any:
    """The value of `--batch-size`: a number, or "auto".

    Raises:
        InputError: If it is neither.
    """
    if text != "auto" and not (text.isdecimal() and len(text) < _DIGITS and int(text) > 0):
        raise InputError(f"--batch-size {text!r}", "a whole number of at least 1, or 'auto'", "correct --batch-size")
    return parse_int(text)


def writable(place: Path, what: str = "a folder") -> Path:
    """The path of `--output`, checked before anything long begins.

    Args:
        place: The folder or the file.
        what: Which of the two, in words.

    Raises:
        InputError: If it cannot be written.
    """
    file = what != "a folder"
    existing = next(folder for folder in ((place.parent if file else place).absolute(), *place.absolute().parents)
                    if os.path.exists(folder))  # fmt: skip
    if (file and place.is_dir()) or not existing.is_dir() or not os.access(existing, os.W_OK):
        reason = f"{existing.name!r} is {'read-only' if existing.is_dir() else 'a file'}"
        reason = "is a folder" if file and place.is_dir() else reason
        raise InputError(f"--output {str(place)!r} ({reason})", f"{what} that can be written", "choose another")
    return place


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Turn errors of writing below a folder into `StorageError`s.

    Raises:
        StorageError: If it cannot be written.
    """
    try:
        yield
    except FourierError:
        raise
    except OSError as error:
        got = f"--output {str(place)!r}, which cannot be written ({error.strerror or error})"
        raise StorageError(got, "a disk that can be written", "fix that, or choose another") from error


def parse_int(text: str) -> Any:
    """A whole number where `text` is one, else the text."""
    return int(text) if text.removeprefix("-").isdecimal() and len(text) < _DIGITS else text


#: Digits of a number that is typed, at most.
_DIGITS = 19


def _mistyped(error: Exception) -> bool:
    """Whether the same command would fail again, however the model, the network or the disk are."""
    from hf_fourier import demo

    return isinstance(error, (InputError, SpecError, TargetError, demo.UnknownAsset))


def _expected(error: Exception) -> bool:
    from hf_fourier import demo

    return isinstance(error, (FourierError, demo.AssetUnavailable, demo.ChecksumMismatch, demo.UnknownAsset))
