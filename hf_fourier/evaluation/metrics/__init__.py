"""Metrics of explanations: reductions of perturbation curves and of other recorded answers of the model."""

# ruff: isort: off
from hf_fourier.evaluation.metrics.base import METRICS, Metric
from hf_fourier.evaluation.metrics.table import columns
from hf_fourier.results.curve import DEFAULT_GRID, PAPER_GRID

# One line a metric, in the order of tables and lists.
from hf_fourier.evaluation.metrics.dig import DIG
from hf_fourier.evaluation.metrics.insertion_deletion import DELETION, INSERTION
from hf_fourier.evaluation.metrics.maintain_rate import MAINTAIN_RATE
from hf_fourier.evaluation.metrics.r_flip import R_FLIP
from hf_fourier.evaluation.metrics.dice_retention import DICE_RETENTION
from hf_fourier.evaluation.metrics.selectivity import SELECTIVITY
from hf_fourier.evaluation.metrics.fidelity import FAITHFULNESS_OF_SPECTRA, INPUT_FIDELITY
from hf_fourier.evaluation.metrics.robustness import INFIDELITY, MU_FIDELITY, SENSITIVITY_MAX
from hf_fourier.evaluation.metrics.structure import CONCENTRATION, SPECIFICITY
from hf_fourier.evaluation.metrics.confidence_gain import AVERAGE_DROP, AVERAGE_GAIN, AVERAGE_INCREASE
from hf_fourier.evaluation.metrics.content import COMPLEXITY, CONCISENESS, SPARSENESS
from hf_fourier.evaluation.metrics.encoding import ENCODING
from hf_fourier.evaluation.metrics.f_fidelity import F_FIDELITY
from hf_fourier.evaluation.metrics.mask_probe import MASK_PROBE
from hf_fourier.evaluation.metrics.localisation import POINTING_GAME, RELEVANCE_MASS, RELEVANCE_RANK

from hf_fourier.evaluation.metrics.hf_evaluate import load, names

__all__ = [
    "AVERAGE_DROP",
    "AVERAGE_GAIN",
    "AVERAGE_INCREASE",
    "COMPLEXITY",
    "CONCENTRATION",
    "CONCISENESS",
    "DEFAULT_GRID",
    "DELETION",
    "DICE_RETENTION",
    "DIG",
    "ENCODING",
    "FAITHFULNESS_OF_SPECTRA",
    "F_FIDELITY",
    "INFIDELITY",
    "INPUT_FIDELITY",
    "INSERTION",
    "MAINTAIN_RATE",
    "MASK_PROBE",
    "METRICS",
    "MU_FIDELITY",
    "PAPER_GRID",
    "POINTING_GAME",
    "RELEVANCE_MASS",
    "RELEVANCE_RANK",
    "R_FLIP",
    "SELECTIVITY",
    "SENSITIVITY_MAX",
    "SPARSENESS",
    "SPECIFICITY",
    "Metric",
    "columns",
    "load",
    "names",
]
