"""What the rankings of two models that read the same inputs have in common.

The models decide by different waves of the same input. Whatever a method puts on top for both comes from the input;
what it puts on top for one alone comes from the model.
"""

from __future__ import annotations

from benchmarks.planted.subjects import Half, Subject, frequencies, triggered
from hf_fourier.evaluation.metrics.robustness import rank_correlation
from hf_fourier.evaluation.metrics.structure import top_overlap

TOP = 0.04
"""The fraction of features whose overlap is taken."""


def compared(host: str, method: str, n: int, half: Half) -> dict[str, list[float]]:
    """How alike a method ranks for both models, on the inputs for which each says its own trigger's label.

    Args:
        host: The checkpoint that both were made from.
        method: The method's spec.
        n: Examples, before those are left out for which a model says something else.
        half: Of the test split.

    Returns:
        By column, one number per input: "index", its number; "top 4 % shared", the part of the first model's top that
        is in the second's; "rho", Spearman's rank correlation over all features; "first shared", whether both rank the
        same feature first.
    """
    subjects = [Subject(host, kind) for kind in ("first", "second")]
    explainers = [subject.explainer("planted") for subject in subjects]
    examples = [subject.examples(n, half) for subject in subjects]
    index = sorted(set.intersection(*(set(triggered(*pair)) for pair in zip(explainers, examples, strict=True))))
    first, second = (
        explainer.explain(made.inputs(rows=index), method=method, domain=frequencies(explainer))
        for explainer, made in zip(explainers, examples, strict=True)
    )
    pairs = list(zip(first, second, strict=True))
    return {
        "index": [float(i) for i in index],
        "top 4 % shared": [top_overlap(a, b, TOP) for a, b in pairs],
        "rho": [rank_correlation(a.scores.numpy(), b.scores.numpy()) for a, b in pairs],
        "first shared": [float(a.order[0] == b.order[0]) for a, b in pairs],
    }
