"""Errors of transcripts: edit distances by hand, and frames that count for nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hf_fourier.evaluation.studies.transcript_errors import _text, error_rate
from hf_fourier.scoring.targets import IGNORED


@pytest.mark.parametrize(
    ("expected", "predicted", "rate"),
    [
        ("abc", "abc", 0), ("abc", "abd", 1 / 3), ("abc", "ab", 1 / 3), ("abc", "xabc", 1 / 3), ("", "ab", 2),
        ("ab", "", 1), ("kitten", "sitting", 3 / 6), (["a", "b"], ["b"], 1 / 2),
    ],
)  # fmt: skip
def test_error_rates_are_edit_distances(expected: Any, predicted: Any, rate: float) -> None:
    assert error_rate(expected, predicted) == pytest.approx(rate)


def test_frames_that_are_ignored_are_not_in_the_text() -> None:
    class Letters:
        def text(self, ids: list[int]) -> str:
            return "".join(chr(97 + i) for i in ids)

    head: Any = Letters()
    assert _text(head, torch.tensor([0, IGNORED, 2, IGNORED, 1])) == "acb"
