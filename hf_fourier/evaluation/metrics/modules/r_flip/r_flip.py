"""`r_flip` as an `evaluate` module; the card next to it describes the metric."""

import evaluate

from hf_fourier.evaluation.metrics import hf_evaluate


class RFlip(hf_evaluate.Module, evaluate.Metric):
    """See the card."""

    measure = "r_flip"
