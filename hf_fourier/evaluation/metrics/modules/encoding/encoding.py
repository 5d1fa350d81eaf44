"""`encoding` as an `evaluate` module; the card beside it says what it measures."""

import evaluate

from hf_fourier.evaluation.metrics import hf_evaluate


class Encoding(hf_evaluate.Module, evaluate.Metric):
    """See the card."""

    measure = "encoding"
