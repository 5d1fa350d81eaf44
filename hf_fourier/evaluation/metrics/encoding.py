"""Encoding: whether the selected set of features, with other examples' values, makes the model predict the label."""

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
            "How often the label is predicted when the top features have the values of examples with other labels."
        ),
        reads=("swapped_decision",),
        range="0 to 1",
        better="lower",
        needs="pass the columns of `random_perturbations.swap_values`: 8 forward passes per example",
        limits=(
            "A low value shows only that the set of selected features does not determine the label by itself. Compare "
            "with `magnitude`, whose selection also depends on the example"
        ),
        reference=(
            "this library, after the question of Jethani et al. (AISTATS 2021) whether masks encode labels; they train "
            "a model on masked inputs, here the explained model is run"
        ),
        per_example=_encoding_from_table,
    )
)
