"""Small tables: what `Attribution.top_features` and `Relevance.top` return."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hf_fourier.errors import MissingExtraError

if TYPE_CHECKING:
    import pandas as pd


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

    def __str__(self) -> str:
        cells = [list(self.columns), *self.formatted()]
        widths = [max(len(row[i]) for row in cells) for i in range(len(self.columns))]
        lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    __repr__ = __str__


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
