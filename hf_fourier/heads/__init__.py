"""Heads: what turns a model's logits into a score, a confidence and a decision."""

from hf_fourier.heads.answers import Answer, Contrasted, Similarity, Transcript, as_read
from hf_fourier.heads.base import Head, Reading, misnamed
from hf_fourier.heads.classes import Binary, Categorical, Custom, Regression
from hf_fourier.heads.outputs import by_class, logits_of, named, of_each, part_of

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
