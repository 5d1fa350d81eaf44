"""What a report holds, for everything that writes it."""

from __future__ import annotations

from hf_fourier.errors import InputError
from hf_fourier.report.report import Report


def require_inputs(report: Report) -> None:
    """Refuse to show inputs that are not there.

    Raises:
        InputError: If a result is compact, or there are none.
    """
    compact = [i + 1 for i, result in enumerate(report.results) if result.leaf is None]
    if report.records and (compact or not report.results):
        got = f"compact results ({', '.join(map(str, compact[:5]))})" if compact else "a report without its inputs"
        raise InputError(f"include_inputs=True and {got}", "results with their examples", "leave include_inputs out")
