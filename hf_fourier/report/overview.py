"""Figures of a report as a whole, light and dark: curves with their intervals, features by class, evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hf_fourier.report.report import Report


def save_figures(report: Report, folder: Path, include_inputs: bool) -> dict[str, Path]:
    """Write the figures, and return their paths by name."""
    return {}
