"""Tables: what `top_features`, `Evaluation.table` and others return, and their text, CSV, Markdown and LaTeX."""

from __future__ import annotations

import csv
import math
import operator
import re
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

from hf_fourier.errors import MissingExtraError
from hf_fourier.results import latex
from hf_fourier.results.drawing import drawn_by
from hf_fourier.results.estimate import Estimate

if TYPE_CHECKING:
    import pandas as pd

#: What a spreadsheet takes for the beginning of a formula, blanks before it or not; East Asian forms included.
_FORMULA = re.compile(r"[\s\ufeff\u200b\x00]*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n\x00]")


class Table:
    """Columns of equal length, in order; prints itself, and iterates over its rows, so `pd.DataFrame(table)` works.

    `table["score"]` is a column, `table[0]` a row, `table[:5]` and `table[["rank", "score"]]` smaller tables.

    Args:
        columns: Values by title.
        notes: Remarks, printed below.
    """

    def __init__(self, columns: Mapping[str, Sequence[Any]], notes: Sequence[str] = ()) -> None:
        self.columns = {name: list(values) for name, values in columns.items()}
        self.notes = tuple(notes)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), []))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self.rows()

    @overload
    def __getitem__(self, index: str) -> list[Any]: ...
    @overload
    def __getitem__(self, index: SupportsIndex) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice | list[str] | tuple[str, ...]) -> Table: ...
    def __getitem__(self, index: str | SupportsIndex | slice | list[str] | tuple[str, ...]) -> Any:
        """A column by its title, a row by its place, or the table of some rows (a slice) or columns (titles).

        Raises:
            KeyError: If there is no such column.
            IndexError: If there is no such row.
        """
        if isinstance(index, str):
            return self.columns[index]
        if isinstance(index, slice):
            return Table({title: values[index] for title, values in self.columns.items()}, self.notes)
        if isinstance(index, SupportsIndex):
            index = operator.index(index)
            if not -len(self) <= index < len(self):
                raise IndexError(f"row {index} of {len(self)}")
            return {title: values[index] for title, values in self.columns.items()}
        return Table({title: self.columns[title] for title in index}, self.notes)

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows, one dict each."""
        for values in zip(*self.columns.values(), strict=True):
            yield dict(zip(self.columns, values, strict=True))

    def formatted(self) -> list[list[str]]:
        """All cells as text, numbers to four digits, row by row."""
        return [[_cell(value) for value in row.values()] for row in self.rows()]

    def to_pandas(self) -> pd.DataFrame:
        """The table as a `pandas.DataFrame`.

        Raises:
            MissingExtraError: If pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise MissingExtraError("pandas", "metrics", "data frames") from error
        return pd.DataFrame(self.columns)

    def to_markdown(self) -> str:
        """The table in GitHub's Markdown, every text escaped; the notes follow as a paragraph each."""
        titles = [_markdown(title) for title in self.columns]
        rules = ["---:" if flush else "---" for flush in self.right]
        rows = [[_markdown(value) for value in row.values()] for row in self.rows()]
        lines = ["| " + " | ".join(cells) + " |" for cells in (titles, rules, *rows)]
        return "\n".join([*lines, *(f"\n{_markdown(note)}" for note in self.notes), ""])

    def to_latex(self, caption: str = "", label: str = "") -> str:
        r"""The table in LaTeX with `booktabs` rules, every text escaped, in a `table` environment; the notes below.

        Args:
            caption: Above it; "" for none.
            label: For `\ref`; "" for none.
        """
        rows = [[_latex(value) for value in row.values()] for row in self.rows()]
        titles, notes = [latex.escape(title) for title in self.columns], [latex.escape(note) for note in self.notes]
        return latex.table(titles, rows, self.right, notes, caption=latex.escape(caption), label=label)

    @property
    def right(self) -> list[bool]:
        """Whether each column holds numbers alone, or nothing, which stand flush right."""
        kinds = (int, float, Estimate, type(None))
        return [all(isinstance(value, kinds) for value in values) for values in self.columns.values()]

    def _repr_html_(self) -> str:
        return str(drawn_by("html.notebook:table", self))

    def to_csv(self, path: str | PathLike[str]) -> Path:
        """Write the table as UTF-8 CSV with a header line, and return the path; every CSV file is written here.

        Cells are inert: a text that a spreadsheet would run as a formula gets an apostrophe before it. Characters that
        UTF-8 cannot hold (surrogates alone) are written as escapes.

        Raises:
            OSError: If it cannot be written there.
        """
        where = Path(path)
        with where.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([inert_cell(title) for title in self.columns])
            writer.writerows([inert_cell(value) for value in row.values()] for row in self.rows())
        return where

    def __str__(self) -> str:
        cells = [list(self.columns), *self.formatted()]
        widths = [max(len(row[i]) for row in cells) for i in range(len(self.columns))]
        lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    __repr__ = __str__

    def blocks(self, width: int) -> str:
        """The table without its notes as text, its columns in blocks that are at most `width` characters wide.

        Each block begins with the first column; one that is wider alone stays whole.
        """
        cells = [list(self.columns), *self.formatted()]
        widths = [max(len(row[i]) for row in cells) for i in range(len(self.columns))]
        blocks, taken = [[0]], widths[0]
        for place in range(1, len(widths)):
            if taken + 2 + widths[place] > width and len(blocks[-1]) > 1:
                blocks.append([0])
                taken = widths[0]
            blocks[-1].append(place)
            taken += 2 + widths[place]
        texts = []
        for block in blocks:
            rows = [[row[i].rjust(widths[i]) if i else row[i].ljust(widths[i]) for i in block] for row in cells]
            texts.append("\n".join("  ".join(row).rstrip() for row in rows))
        return "\n\n".join(texts)


def table_of(rows: Sequence[Mapping[str, Any]], notes: Sequence[str] = ()) -> Table:
    """A table of rows: the columns in the order in which rows first name them, None where a row has no value."""
    titles = dict.fromkeys(title for row in rows for title in row)
    return Table({title: [row.get(title) for row in rows] for title in titles}, notes)


def inert_cell(value: Any) -> Any:
    """A cell that no spreadsheet runs: what reads like the beginning of a formula gets an apostrophe before it.

    Numbers, truth values and None stay as they are; anything else is written as its text.
    """
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = str(value)
    return f"'{text}" if _FORMULA.match(text) else text


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _plain(value: Any) -> str:
    """A cell without a None or a NaN."""
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    return "" if missing else _cell(value)


def _markdown(value: Any) -> str:
    if isinstance(value, Estimate):
        return value.to_markdown()
    if isinstance(value, (int, float)):  # whose signs mean nothing inside a cell
        return _plain(value)
    return str(drawn_by("hub.markdown:text", _plain(value)))


def _latex(value: Any) -> str:
    return value.to_latex() if isinstance(value, Estimate) else latex.escape(_plain(value))
