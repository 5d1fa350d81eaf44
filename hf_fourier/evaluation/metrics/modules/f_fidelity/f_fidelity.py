"""`f_fidelity` as an `evaluate` module; the card next to it describes the metric."""

import evaluate

from hf_fourier.evaluation.metrics import hf_evaluate


class FFidelity(hf_evaluate.Module, evaluate.Metric):
    """See the card."""

    measure = "f_fidelity"
