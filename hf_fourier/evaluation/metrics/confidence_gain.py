"""Average drop, increase and gain: how the confidence in the kept part alone compares with that in the whole."""

from __future__ import annotations

import math

from hf_fourier.evaluation.metrics.base import Metric, of_curves, register
from hf_fourier.evaluation.metrics.table import KEEP_COLUMNS
from hf_fourier.results.curve import Curve

_READS = (*KEEP_COLUMNS, "clean")
_NEEDS = "perturb with 0.5 (or the `fraction` that you pass) among the kept fractions, as in `metrics.PAPER_GRID`"
_SOURCE = (
    "Chattopadhay et al. 2018 (arXiv 1710.11063); for sounds L-MAC (arXiv 2403.13086), whose code applies a softmax "
    "to probabilities; here the probabilities themselves"
)
_PERSUASION = (
    "A kept part can have more confidence than the whole input because the method searched for features that raise "
    "the label, not because they are evidence. Published tables take higher as better"
)


def average_drop(curve: Curve, fraction: float = 0.5) -> float:
    """The part of the confidence that the kept top lacks, `max(0, p(x) - p(kept)) / p(x)`, 0 to 1; lower is better.

    Args:
        curve: One example's, perturbed by keeping `fraction`.
        fraction: Kept fraction of the features, 0 to 1.

    Returns:
        NaN where the clean confidence is 0.

    Raises:
        InputError: If the curve has no point at the fraction, or the head has no confidence.
    """
    (kept,) = curve.confidences("keep", [fraction])
    return max(0.0, curve.clean - kept) / curve.clean if curve.clean > 0 else math.nan


def average_increase(curve: Curve, fraction: float = 0.5) -> float:
    """Whether the kept top alone has more confidence than the whole, 1 or 0. Arguments as for `average_drop`."""
    (kept,) = curve.confidences("keep", [fraction])
    return float(kept > curve.clean)


def average_gain(curve: Curve, fraction: float = 0.5) -> float:
    """The part of what is left to 1 that the kept top wins, `max(0, p(kept) - p(x)) / (1 - p(x))`, 0 to 1.

    Arguments as for `average_drop`; NaN where the clean confidence is 1.
    """
    (kept,) = curve.confidences("keep", [fraction])
    return max(0.0, kept - curve.clean) / (1 - curve.clean) if curve.clean < 1 else math.nan


AVERAGE_DROP = register(
    Metric(
        name="average_drop",
        description="The fraction of the clean confidence that is lost on the kept part alone.",
        reads=_READS,
        range="0 to 1",
        better="lower",
        needs=_NEEDS,
        limits="With half of the features, most rankings lose nothing; pass a smaller `fraction`",
        reference=_SOURCE,
        per_example=of_curves(average_drop),
    )
)


AVERAGE_INCREASE = register(
    Metric(
        name="average_increase",
        description="The fraction of examples whose confidence is higher on the kept part alone than on the whole.",
        reads=_READS,
        range="0 to 1",
        better="neither",
        needs=_NEEDS,
        limits=_PERSUASION,
        reference=_SOURCE,
        per_example=of_curves(average_increase),
    )
)


AVERAGE_GAIN = register(
    Metric(
        name="average_gain",
        description="The gain in confidence on the kept part alone, as a fraction of 1 minus the clean confidence.",
        reads=_READS,
        range="0 to 1",
        better="neither",
        needs=_NEEDS,
        limits=_PERSUASION,
        reference=_SOURCE,
        per_example=of_curves(average_gain),
    )
)
