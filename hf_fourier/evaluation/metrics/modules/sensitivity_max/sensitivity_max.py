"""`sensitivity_max` as an `evaluate` module; the card next to it describes the metric."""

import evaluate

from hf_fourier.evaluation.metrics import hf_evaluate


class SensitivityMax(hf_evaluate.Module, evaluate.Metric):
    """See the card."""

    measure = "sensitivity_max"
