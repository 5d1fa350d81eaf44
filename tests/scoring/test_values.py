"""Readings, targets and failures are values; heads, batchers and counts of passes are not."""

import pytest

from hf_fourier import scoring
from tests.values import changed, classes

CHANGING = (
    "MicroBatcher",
    "CleanPass",
    "EncodedExample",
    "ExplanationRequest",
    "Perturbation",
    "Passes",
    "Categorical",
    "Binary",
    "Regression",
    "CustomTarget",
    "Detections",
    "Mask",
    "ContrastHead",
    "AnswerSpanHead",
    "Transcript",
    "Similarity",
)


@pytest.mark.parametrize("kind", classes(scoring, but=CHANGING), ids=lambda kind: kind.__name__)
def test_it_cannot_be_changed(kind):
    assert not changed(kind)
