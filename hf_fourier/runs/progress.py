"""The progress bar of a run: examples, rate, and the remaining time by the cost of the rest."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

from hf_fourier.models.distributed import Processes
from hf_fourier.runs.plan import duration_text


class Bar:
    """A line on standard error, of the first process alone, about its own share.

    Args:
        total: Examples and cost of the share; None if unknown.
        machine: The processes.
        visible: Whether there is a line.
    """

    def __init__(self, total: tuple[int, float] | None, machine: Processes, visible: bool) -> None:
        from tqdm import tqdm

        examples = None if total is None else total[0]
        self._cost = None if total is None else total[1]
        name = "explaining" if machine.processes == 1 else f"explaining (process 1 of {machine.processes})"
        ends = "{desc}: {n_fmt}{rest} [{elapsed}, {rate_fmt}{postfix}]"
        form = ends.replace("{rest}", "") if examples is None else ends.replace("{rest}", "/{total_fmt} {bar}")
        self._bar: Any = tqdm(
            total=examples, desc=name, unit=" examples", disable=not (visible and machine.first), bar_format=form
        )
        self._start, self._spent = time.perf_counter(), 0.0

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.close()

    def add(self, examples: int, cost: float, failed: int) -> None:
        """Count finished examples.

        Args:
            examples: How many.
            cost: What they cost.
            failed: How many failed so far.
        """
        self._spent += cost
        parts = []
        if self._cost:
            passed = time.perf_counter() - self._start
            parts.append(f"{duration_text(passed * (self._cost - self._spent) / self._spent)} left")
        if failed:
            parts.append(f"{failed} failed")
        self._bar.set_postfix_str(", ".join(parts), refresh=False)
        self._bar.update(examples)
