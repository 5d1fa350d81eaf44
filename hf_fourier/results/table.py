"""Small tables: what `Attribution.top_features` and `Relevance.top` return; and the one writer of CSV files."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_fourier.errors import MissingExtraError

if TYPE_CHECKING:
    import pandas as pd

#: What a spreadsheet takes for the beginning of a formula, blanks before it or not; East Asian forms included.
_FORMULA = re.compile(r"[\s\ufeff\u200b\x00]*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n\x00]")


class Table:
    """Columns of equal length, in order; prints itself and turns into a pandas frame.

    Args:
        columns: Values by title.
        notes: Remarks, printed below.
    """

    def __init__(self, columns: Mapping[str, Sequence[Any]], notes: Sequence[str] = ()) -> None:
        self.columns = {name: list(values) for name, values in columns.items()}
        self.notes = tuple(notes)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), []))

    def __getitem__(self, name: str) -> list[Any]:
        return self.columns[name]

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


def table_of(rows: Sequence[Mapping[str, Any]]) -> Table:
    """A table of rows: the columns in the order in which rows first name them, None where a row has no value."""
    titles = dict.fromkeys(title for row in rows for title in row)
    return Table({title: [row.get(title) for row in rows] for title in titles})


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
