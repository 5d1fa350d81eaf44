"""F-Fidelity: what a bounded random part of the top features does to the decision, and what a part of the rest does."""

from __future__ import annotations

import math

from hf_fourier.errors import InputError
from hf_fourier.evaluation.metrics.base import Metric, MetricValues, register
from hf_fourier.evaluation.metrics.statistics import Numbers
from hf_fourier.evaluation.metrics.table import Table


def f_fidelity(agreement: float, removed: Numbers) -> float:
    """The decisions that are lost when random parts of the features are removed, averaged over the sizes.

    `mean_s (1[f(x) = y] − mean_draws 1[f(χ_s(x)) = y])` (Zheng et al. 2025, arXiv 2410.02970), FFid⁺ where the parts
    are of the top (higher is better), FFid⁻ where they are of the rest (lower is better). From −1 to 1.

    Args:
        agreement: Whether the model gives the label to the whole example, 0 or 1.
        removed: For each size, the fraction of the removals after which it does.

    Returns:
        NaN without sizes.
    """
    return agreement - math.fsum(removed) / len(removed) if len(removed) else math.nan


def _from_table(table: Table) -> MetricValues:
    agreement, sizes = table["agreement"], list(map(list, table["removed_sizes"]))
    top, rest = table["removed_top_decision"], table["removed_rest_decision"]
    values = {
        "f_fidelity": [f_fidelity(*row) for row in zip(agreement, top, strict=True)],
        "f_fidelity_of_rest": [f_fidelity(*row) for row in zip(agreement, rest, strict=True)],
    }
    if any(own != sizes[0] for own in sizes):
        raise InputError(
            "examples with different sizes of the top", "the same for all", "call `remove_parts` once for all of them"
        )
    for place, size in enumerate(sizes[0] if sizes else []):
        values[f"f_fidelity_at_{size:g}"] = [a - row[place] for a, row in zip(agreement, top, strict=True)]
    return values


F_FIDELITY = register(
    Metric(
        name="f_fidelity",
        description=(
            "How many decisions change when random parts of the top features are removed, at most a tenth of all."
        ),
        reads=("agreement", "removed_sizes", "removed_top_decision", "removed_rest_decision"),
        range="−1 to 1; `f_fidelity_of_rest` for parts of the other features",
        better="higher",
        reversed=("f_fidelity_of_rest",),
        needs="pass the columns of `random_removals.remove_parts`: 201 forward passes per example",
        limits=(
            "Removals are small, so it does not test whether the top suffices. On the model as it is, perturbed "
            "inputs may be out of its distribution: fine-tune a copy (`surrogates.fine_tune_surrogate`, masks='few'). "
            "On two planted models it does not separate the true ranking from the magnitude, fine-tuned or not."
        ),
        reference=(
            "Zheng et al. 2025, arXiv 2410.02970: FFid⁺ and, of the rest, FFid⁻. The numbers of removed features are "
            "exact and bounded on both sides; the published code draws each feature"
        ),
        per_example=_from_table,
    )
)
