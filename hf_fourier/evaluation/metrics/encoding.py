"""Encoding: whether the choice of features alone, with other examples' values, makes the model predict the label."""

from __future__ import annotations

import math

from hf_fourier.evaluation.metrics.base import Metric, MetricValues, register
from hf_fourier.evaluation.metrics.table import Table


def _encoding_from_table(table: Table) -> MetricValues:
    rows = table["swapped_decision"]
    return {"encoding": [math.fsum(row) / len(row) if len(row) else math.nan for row in rows]}


ENCODING = register(
    Metric(
        name="encoding",
        description=(
            "How often the label is predicted from the top features with the values of examples of other labels."
        ),
        reads=("swapped_decision",),
        range="0 to 1",
        better="lower",
        needs="pass the columns of `random_perturbations.swap_values`: 8 forward passes per example",
        limits=(
            "whether the values count for much: it says that the choice does not do it alone. Compare with the "
            "magnitude, whose choice also depends on the example: a model may say the label of any such set"
        ),
        reference=(
            "ours, after the question of Jethani et al. (AISTATS 2021) whether masks encode labels; they train a model "
            "on masked inputs for it, here the explained model itself is asked"
        ),
        per_example=_encoding_from_table,
    )
)
