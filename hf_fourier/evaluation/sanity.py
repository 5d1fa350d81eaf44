"""What sanity checks found: each with its effect, what it needed, and the verdict in words."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hf_fourier.evaluation.results import ENOUGH
from hf_fourier.results.table import Table

if TYPE_CHECKING:
    import pandas as pd

_WIDTH = 118
_VERDICTS = {True: "pass", False: "FAIL", None: "not asked"}


@dataclass(frozen=True)
class Check:
    """One question about a method.

    Attributes:
        name: What was asked.
        passed: The answer; None where it cannot be asked, which is no pass.
        words: The verdict in words, with the numbers behind it.
        quantity: What `value` is.
        value: The effect size; NaN where nothing was measured.
        interval: Its 95 % bootstrap interval over sources; NaN where there is none.
        needed: What passing takes.
        examples: How many examples the value is of.
    """

    name: str
    passed: bool | None
    words: str
    quantity: str = ""
    value: float = math.nan
    interval: tuple[float, float] = (math.nan, math.nan)
    needed: str = ""
    examples: int = 0

    @property
    def verdict(self) -> str:
        """In a word."""
        return _VERDICTS[self.passed]


@dataclass(frozen=True)
class Sanity:
    """What `FourierExplainer.sanity` found.

    Attributes:
        model: The model's name.
        method: The method's spec, with what the leaf settled.
        domain: The domain's spec.
        head: The kind of what is explained.
        sources: The source of each example; intervals draw whole sources.
        checks: What was asked, and what could not be.
        notes: What has to be said.
    """

    model: str
    method: str
    domain: str
    head: str
    sources: Sequence[str]
    checks: Sequence[Check]
    notes: Sequence[str] = ()

    @property
    def passed(self) -> bool:
        """Whether something was asked, and all that was asked passed."""
        asked = [check for check in self.checks if check.passed is not None]
        return bool(asked) and all(check.passed for check in asked)

    def of(self, name: str) -> Check:
        """The check of this name.

        Raises:
            KeyError: If there is none.
        """
        for check in self.checks:
            if check.name == name:
                return check
        raise KeyError(f"no check {name!r}; there are {[check.name for check in self.checks]}")

    def table(self) -> Table:
        """One row per check: verdict, what was measured with its interval, what was needed, and the verdict in words.

        `low` and `high` are NaN where no interval was taken, `passed` is None for what was not asked.
        """
        rows = [
            {
                "model": self.model,
                "method": self.method,
                "domain": self.domain,
                "check": check.name,
                "passed": check.passed,
                "quantity": check.quantity,
                "value": check.value,
                "low": check.interval[0],
                "high": check.interval[1],
                "needed": check.needed,
                "n": check.examples,
                "sources": len(set(self.sources)),
                "words": check.words,
            }
            for check in self.checks
        ]
        return Table({title: [row[title] for row in rows] for title in rows[0]} if rows else {})

    def to_pandas(self) -> pd.DataFrame:
        """`table()` as a `pandas.DataFrame`.

        Raises:
            MissingExtraError: If pandas is not installed.
        """
        return self.table().to_pandas()

    @property
    def headline(self) -> str:
        """What was checked, on how many examples, and the verdict with its counts."""
        sources = len(set(self.sources))
        few = "" if sources >= ENOUGH else ", anecdotal"
        verdicts = [check.passed for check in self.checks]
        counts = f"{verdicts.count(True)} passed, {verdicts.count(False)} failed, {verdicts.count(None)} not asked"
        on = f"{len(self.sources)} examples ({sources} source{'s' * (sources != 1)}{few})"
        return f"{self.method} in {self.domain} on {self.model}, {on}: {'pass' if self.passed else 'FAIL'} ({counts})"

    def __str__(self) -> str:
        lines = [self.headline]
        for check in self.checks:
            text = f"  {check.verdict:<9}  {check.name}: {check.words}"
            lines += textwrap.wrap(text, _WIDTH, subsequent_indent=" " * 13)
        for note in self.notes:
            lines += textwrap.wrap(f"  note: {note}", _WIDTH, subsequent_indent=" " * 8)
        return "\n".join(lines)
