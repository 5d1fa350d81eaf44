"""Heads: what turns a model's logits into a score, a confidence and a decision."""

from hf_fourier.scoring.heads.base import Head, Reading, misnamed
from hf_fourier.scoring.heads.classification import Binary, Categorical, CustomTarget, Regression
from hf_fourier.scoring.heads.outputs import by_class, logits_of, of_each, part_of, with_named_parts
from hf_fourier.scoring.heads.sequences import AnswerSpanHead, ContrastHead, Similarity, Transcript, head_for_target

__all__ = [
    "AnswerSpanHead",
    "Binary",
    "Categorical",
    "ContrastHead",
    "CustomTarget",
    "Head",
    "Reading",
    "Regression",
    "Similarity",
    "Transcript",
    "by_class",
    "head_for_target",
    "logits_of",
    "misnamed",
    "of_each",
    "part_of",
    "with_named_parts",
]
