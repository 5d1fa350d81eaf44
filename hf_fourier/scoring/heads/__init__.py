"""Heads: what turns a model's logits into a score, a confidence and a decision."""

from hf_fourier.scoring.heads.base import Head, Reading, misnamed
from hf_fourier.scoring.heads.classification import Binary, Categorical, Custom, Regression
from hf_fourier.scoring.heads.outputs import by_class, logits_of, named, of_each, part_of
from hf_fourier.scoring.heads.sequences import Answer, Contrasted, Similarity, Transcript, as_read

__all__ = [
    "Answer",
    "Binary",
    "Categorical",
    "Contrasted",
    "Custom",
    "Head",
    "Reading",
    "Regression",
    "Similarity",
    "Transcript",
    "as_read",
    "by_class",
    "logits_of",
    "misnamed",
    "named",
    "of_each",
    "part_of",
]
