"""`hf-fourier docs`: the pages that messages name, without a network."""

from __future__ import annotations

import os
import sys
from typing import ClassVar

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.markdown import Markdown, TableElement
from rich.table import Table
from rich.text import Text

from hf_fourier.cli import pages
from hf_fourier.cli.console import print_json, print_line, result_console

#: A line of a page is shown up to this many characters.
LINE = 160


class _WholeTable(TableElement):
    """A table that breaks long words and leaves none out."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for table in super().__rich_console__(console, options):
            for column in table.columns if isinstance(table, Table) else ():
                column.overflow = "fold"
            yield table


class _Page(Markdown):
    """Markdown with such tables."""

    elements: ClassVar = {**Markdown.elements, "table_open": _WholeTable}


def show_docs(*, page: str | None, search: str | None, as_json: bool) -> None:
    """Print a page, the sections with a word, or without both the list of pages.

    Raises:
        InputError: If there is no such page or section, or no section has the word.
    """
    if search is not None:
        _show_search(search, page, as_json)
    elif page is None:
        _show_list(as_json)
    else:
        text = pages.read(page)
        if as_json:
            print_json({"page": page, "markdown": text})
        else:
            _print(text, _Page(text, hyperlinks=False))


def _show_list(as_json: bool) -> None:
    groups = pages.groups()
    if as_json:
        rows = [(group, *one) for group, titles in groups.items() for one in titles.items()]
        print_json([{"group": group, "page": name, "title": title} for group, name, title in rows])
        return
    width = max(len(name) for titles in groups.values() for name in titles)
    lines = ["`hf-fourier docs PAGE` prints a page, `hf-fourier docs PAGE#SECTION` one section of it."]
    for group, titles in groups.items():
        lines += ["", group, *(f"  {name:{width}}  {title}" for name, title in titles.items())]
    _print("\n".join(lines) + "\n")


def _show_search(word: str, page: str | None, as_json: bool) -> None:
    found = pages.search(word, page)
    if as_json:
        print_json([{"page": name, "section": title, "line": line} for name, title, line in found])
        return
    _print("\n\n".join(f"{name}  {title}\n  {_around(word, line)}" for name, title, line in found) + "\n")


def _around(word: str, line: str) -> str:
    """The part of a line that has the word."""
    start = max(line.casefold().find(word.casefold()) - LINE // 2, 0)
    part = line[start : start + LINE]
    return f"{'…' * (start > 0)}{part}{'…' * (start + LINE < len(line))}"


def _print(text: str, drawn: RenderableType | None = None) -> None:
    """Plain text; on a terminal as it is drawn, in a pager."""
    console = result_console()
    if not sys.stdout.isatty():
        print_line(console, text.removesuffix("\n"))
        return
    os.environ.setdefault("LESS", "-FRX")  # colours, and no pager for what fits on the screen
    with console.pager(styles=os.name == "posix"):
        console.print(Text(text) if drawn is None else drawn)
