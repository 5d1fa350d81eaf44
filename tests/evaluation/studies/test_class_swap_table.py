"""The table of exchanged features, by hand."""

from __future__ import annotations

import pytest

from hf_fourier.evaluation.studies.class_swap import ClassSwapResult


def test_the_gap_is_what_the_ranking_takes_over_beyond_magnitude() -> None:
    predicted = {("ffc", 0.1): [7, 7, 7, 1], ("magnitude", 0.1): [7, 1, 1, 1]}
    found = ClassSwapResult("ffc", "donor", predicted, [1, 1, 1, 1], [7, 7, 7, 7], list("abcd"), 0, {})
    ffc, magnitude = found.table().rows()
    assert (ffc["taken"], ffc["kept"], ffc["n"]) == (0.75, 0.25, 4)
    assert ffc["gap_magnitude"] == pytest.approx(0.5)
    assert ffc["gap_low"] <= 0.5 <= ffc["gap_high"]
    assert (magnitude["taken"], magnitude["gap_magnitude"]) == (0.25, 0)
