"""One method's numbers and costs in an evaluation, added up chunk by chunk."""

from __future__ import annotations

from collections.abc import Sequence

from hf_fourier.evaluation.results import MethodResult
from hf_fourier.results.attribution import Attribution


class MethodTotals:
    """One method's numbers and costs as they come, chunk by chunk."""

    def __init__(self, control: bool) -> None:
        self.control, self.examples, self.seconds, self.passes = control, 0, 0.0, [0.0, 0.0]
        self.values: dict[str, list[float]] = {}
        self.incomplete: list[str] = []

    def add(self, results: Sequence[Attribution], numbers: dict[str, Sequence[float]]) -> None:
        """Add the results of a chunk, and by quantity a number for each."""
        self.examples += len(results)
        for result in results:
            self.passes[0] += result.provenance["passes"]["forward"]
            self.passes[1] += result.provenance["passes"]["backward"]
            self.seconds += result.provenance["seconds"]
            self.incomplete += result.incomplete
        for quantity, values in numbers.items():
            self.values.setdefault(quantity, []).extend(values)

    def result(self, method: str, domain: str) -> MethodResult:
        """All of it."""
        forward, backward = (count / self.examples for count in self.passes)
        seconds = self.seconds / self.examples
        return MethodResult(method, domain, self.control, (forward, backward), self.values, seconds)
