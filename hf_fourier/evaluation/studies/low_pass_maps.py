"""How smooth should a map be? FORGrad's question: at which low-pass maps of a model rank positions best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_fourier.errors import InputError
from hf_fourier.evaluation.metrics.insertion_deletion import deletion, insertion
from hf_fourier.results.attribution import Attribution
from hf_fourier.results.curve import TENTHS, FractionGrid
from hf_fourier.results.table import Table

if TYPE_CHECKING:
    from hf_fourier.engine import Engine

#: Sides that are tried, in cycles over an axis and both signs.
SIDES = (3, 7, 15, 31, 63)


def choose_low_pass(
    explainer: Engine, examples: Sequence[Any], attributions: Sequence[Attribution], sides: Sequence[int] = SIDES
) -> Table:
    """Measure maps at several low-passes, and choose one on half of the examples.

    Each map is `input_relevance().low_pass(side)`; positions are deleted and put back by it, all channels together, and
    what counts is insertion minus deletion (22 forward passes for each side). After FORGrad (arXiv 2307.09591), which
    chooses the side of a model and a method once, by faithfulness on a set for tuning.

    Args:
        explainer: Of the model.
        examples: At least two, as `explain` takes them.
        attributions: Their results, in the same order.
        sides: Sides of the low-pass; those that are larger than the maps change nothing and are left out.

    Returns:
        A row for each side, and one for the maps as they are ("side" is the length of the longest axis): "chosen_on",
        the mean over the first, third, … example; "measured_on", that over the others; "chosen", whether it is the best
        of the first.

    Raises:
        InputError: If there are fewer than two examples, not one result for each, a side is no
            whole number of at least 1, or the head has no confidence.
    """
    if len(attributions) < 2 or len(examples) != len(attributions):
        got = f"{len(examples)} examples and {len(attributions)} results"
        raise InputError(got, "at least two, one result for each", "pass the results of these examples")
    if any(not isinstance(side, int) or isinstance(side, bool) or side < 1 for side in sides):
        raise InputError(f"sides {sides!r}", "whole numbers of at least 1", "correct `sides`")
    maps = [attribution.input_relevance() for attribution in attributions]
    longest = max(max(one.values.shape) for one in maps)
    rows: list[tuple[int, float, float]] = []
    for side in [*(side for side in sorted(set(sides)) if side < longest), longest]:
        passed = [one.low_pass(side).values for one in maps]
        targets = [attribution.target for attribution in attributions]
        ranked = explainer.from_maps(examples, passed, "low_pass", targets=targets)
        explainer.perturb(ranked, FractionGrid(keep=TENTHS, delete=TENTHS))
        worth = [insertion(one.curve) - deletion(one.curve) for one in ranked if one.curve is not None]
        rows.append((side, float(np.mean(worth[::2])), float(np.mean(worth[1::2]))))
    best = max(rows, key=lambda row: row[1])
    return Table(
        {
            "side": [row[0] for row in rows],
            "chosen_on": [row[1] for row in rows],
            "measured_on": [row[2] for row in rows],
            "chosen": [row is best for row in rows],
        }
    )
