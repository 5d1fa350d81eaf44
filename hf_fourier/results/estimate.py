"""Estimate: a mean with its interval as one cell of a table, rounded, with marks, in text, Markdown, LaTeX and HTML."""

from __future__ import annotations

import math
from dataclasses import dataclass

#: What follows a number that is better, worse or other than the control's, as the table's note says.
BETTER, WORSE, OTHER = "*", "†", "‡"
_LATEX = {"": "", BETTER: "$^{*}$", WORSE: r"$^{\dagger}$", OTHER: r"$^{\ddagger}$"}


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval.

    Attributes:
        mean: NaN where it is undefined.
        low: The interval's lower end; NaN where there is none.
        high: The upper end.
        best: Whether it is the best of its column.
        mark: "", or how it differs from the control: `BETTER`, `WORSE` or `OTHER`.
        digits: Decimals that are printed.
    """

    mean: float
    low: float = math.nan
    high: float = math.nan
    best: bool = False
    mark: str = ""
    digits: int = 2

    def __float__(self) -> float:
        return self.mean

    def __str__(self) -> str:
        """The plain text; ">" stands before the best of a column."""
        return f"{'>' if self.best else ''}{self.number}{self.interval}{self.mark}"

    __repr__ = __str__  # so that it reads well in a pandas frame

    @property
    def number(self) -> str:
        """The mean, rounded; a dash where it is undefined."""
        return "–" if math.isnan(self.mean) else _fixed(self.mean, self.digits)

    @property
    def interval(self) -> str:
        """The interval in brackets with a space before it, or nothing."""
        if math.isnan(self.mean) or math.isnan(self.low) or math.isnan(self.high):
            return ""
        return f" [{_fixed(self.low, self.digits)}, {_fixed(self.high, self.digits)}]"

    def to_markdown(self) -> str:
        """Bold where it is the best."""
        number = f"**{self.number}**" if self.best else self.number
        return f"{number}{self.interval}{self.mark.replace('*', '&#42;')}"

    def to_latex(self) -> str:
        """Bold where it is the best; minus signs in math mode."""
        number, interval = self.number.replace("–", "--"), self.interval
        if not math.isnan(self.mean):
            number = number.replace("-", "$-$")
        interval = interval.replace("-", "$-$")
        bold = rf"\textbf{{{number}}}" if self.best else number
        return f"{bold}{interval}{_LATEX[self.mark]}"


def _fixed(value: float, digits: int) -> str:
    """A number to so many decimals, without the sign of a rounded zero."""
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if not float(text) else text
