"""Explain the predictions of Hugging Face models by the frequencies of what they read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hf_fourier.results.formats import VERSION as __version__

if TYPE_CHECKING:
    from hf_fourier.evaluation.studies.spectrum_callback import SpectrumCallback
    from hf_fourier.explainer import FourierExplainer
    from hf_fourier.functional import attribute
    from hf_fourier.report.figures.comparison import plot_comparison
    from hf_fourier.report.figures.plot import plot
    from hf_fourier.report.figures.summary import plot_summary
    from hf_fourier.report.report import Report
    from hf_fourier.results.attribution import Attribution

_HOMES = {
    "Attribution": "hf_fourier.results.attribution",
    "FourierExplainer": "hf_fourier.explainer",
    "Report": "hf_fourier.report.report",
    "SpectrumCallback": "hf_fourier.evaluation.studies.spectrum_callback",
    "attribute": "hf_fourier.functional",
    "plot": "hf_fourier.report.figures.plot",
    "plot_summary": "hf_fourier.report.figures.summary",
    "plot_comparison": "hf_fourier.report.figures.comparison",
}
#: Modules that users meet under a shorter name.
_MODULES = {
    "metrics": "hf_fourier.evaluation.metrics",
    "studies": "hf_fourier.evaluation.studies",
    "targets": "hf_fourier.scoring.targets",
}

__all__ = [
    "Attribution",
    "FourierExplainer",
    "Report",
    "SpectrumCallback",
    "__version__",
    "attribute",
    "plot",
    "plot_comparison",
    "plot_summary",
]


def __getattr__(name: str) -> Any:
    """Load the public names when they are first used, so that the import costs little more than torch's own."""
    from importlib import import_module

    if name in _MODULES:
        return import_module(_MODULES[name])
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES, *_MODULES])
