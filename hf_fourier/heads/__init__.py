"""Heads: what turns a model's logits into a score, a confidence and a decision."""

from hf_fourier.heads.answers import Answer, Contrasted, Similarity, Transcript, as_read
from hf_fourier.heads.base import Head, Reading, logits_of, misnamed
from hf_fourier.heads.classes import Binary, Categorical, Custom, Regression

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
    "logits_of",
    "misnamed",
]
