"""`maintain_rate` as an `evaluate` module; the card next to it describes the metric."""

import evaluate

from hf_fourier.evaluation.metrics import hf_evaluate


class MaintainRate(hf_evaluate.Module, evaluate.Metric):
    """See the card."""

    measure = "maintain_rate"
